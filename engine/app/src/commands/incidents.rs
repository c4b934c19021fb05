//! `quell incidents`: what people are asked to act on.
use super::{
    client::{self, Connection, explain, parent},
    table::{Cell, Look, Table, time, word},
};
use quell_proto::v1::{Incident, ListIncidentsRequest};
use std::num::NonZeroUsize;

/// Incidents, newest first; or one of them, with its alerts.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  quell incidents                            what is not closed\n  quell incidents payments-1042\n  quell incidents --scope payments --filter 'severity = \"CRITICAL\"'\n  quell incidents --json | jq .title"
)]
pub struct IncidentsArgs {
    /// payments-1042, 1042 in the scope `default`, or a resource name.
    #[arg(value_name = "INCIDENT")]
    incident: Option<String>,
    /// Of this scope only.
    #[arg(long, value_name = "SCOPE", conflicts_with = "incident")]
    scope: Option<String>,
    /// Closed ones too.
    #[arg(long, conflicts_with = "incident")]
    all: bool,
    /// Over state, severity, priority, number, title: `state = "NEW" AND priority != 5`.
    #[arg(long, value_name = "FILTER", conflicts_with = "incident")]
    filter: Option<String>,
    /// At most so many.
    #[arg(long, value_name = "N", default_value = "50", conflicts_with = "incident")]
    limit: NonZeroUsize,
    #[command(flatten)]
    connection: Connection,
}

/// Prints them.
///
/// # Errors
/// Where the server can't be reached or refuses.
pub async fn run(args: IncidentsArgs) -> anyhow::Result<()> {
    let mut client = args.connection.client().await?;
    if let Some(means) = &args.incident {
        let incident = client::incident(&mut client, means).await?;
        return args.connection.show("Incident", &incident, detail);
    }
    let open = if args.all { None } else { Some("state != \"CLOSED\"".to_owned()) };
    let filter = client::both(args.filter.clone(), open);
    let limit = args.limit.get();
    let (mut incidents, mut page_token) = (Vec::new(), String::new());
    let more = loop {
        let parent = parent(args.scope.as_deref());
        let page_size = client::page_size(limit - incidents.len());
        let asked =
            ListIncidentsRequest { parent, page_size, page_token, filter: filter.clone(), ..Default::default() };
        let page = client.list_incidents(asked).await.map_err(explain)?.into_inner();
        incidents.extend(page.incidents);
        page_token = page.next_page_token;
        if page_token.is_empty() || incidents.len() >= limit {
            break !page_token.is_empty();
        }
    };
    args.connection.show_all("Incident", &incidents, list)?;
    client::remark(more, incidents.len(), "incidents");
    Ok(())
}

fn list(incidents: &[Incident], look: Look) -> String {
    let mut table = Table::new(&["NUMBER", "PRIO", "STATE", "SEVERITY", "ALERTS", "OPENED", "ASSIGNEE", "TITLE"]);
    for incident in incidents {
        table.row(vec![
            Cell::new(&incident.number),
            Cell::priority(incident.priority),
            Cell::incident_state(incident.state()),
            Cell::severity(incident.severity()),
            Cell::new(&format!("{}/{}", incident.open_alert_count, incident.alert_count)),
            Cell::time(incident.opened_at.as_ref()),
            Cell::new(&incident.assignee),
            Cell::new(&incident.title),
        ]);
    }
    table.text(look, 0)
}

/// The first lines of an incident, whatever else is told of it.
pub fn head(incident: &Incident, look: Look) -> String {
    let facts = [
        look.paint(&Cell::new(&incident.number).into_text(), super::table::Tone::Head),
        format!("P{}", incident.priority),
        word(incident.state().as_str_name()),
        word(incident.severity().as_str_name()),
    ];
    format!("{}\n{}", facts.join("  "), look.paragraph(&incident.title, 0))
}

/// `name: value`, where there is a value.
pub fn facts(look: Look, facts: &[(&str, String)]) -> String {
    let mut table = Table::bare();
    for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        table.row(vec![Cell::new(name), Cell::new(value)]);
    }
    table.text(look, 0)
}

fn detail(incident: &Incident, look: Look) -> String {
    let mut text = head(incident, look);
    text.push_str(&look.paragraph(&incident.summary, 0));
    text.push('\n');
    text.push_str(&facts(
        look,
        &[
            ("name", incident.name.clone()),
            ("started", time(incident.started_at.as_ref())),
            ("opened", time(incident.opened_at.as_ref())),
            ("updated", time(incident.updated_at.as_ref())),
            ("resolved", time(incident.resolved_at.as_ref())),
            ("closed", time(incident.closed_at.as_ref())),
            ("services", incident.services.join(", ")),
            ("assignee", incident.assignee.clone()),
            ("acknowledged by", incident.acknowledged_by.clone()),
            ("tickets", tickets(incident)),
            ("merged into", incident.merged_into.clone()),
        ],
    ));
    let open = format!("\n{} of {} alerts open\n", incident.open_alert_count, incident.alert_count);
    text.push_str(&open);
    let mut table = Table::new(&["STATE", "SEVERITY", "ENTITY", "CHECK", "SINCE", "SUMMARY"]);
    for alert in &incident.alerts {
        table.row(vec![
            Cell::alert_state(alert.state()),
            Cell::severity(alert.severity()),
            Cell::new(&alert.entity),
            Cell::new(&alert.check),
            Cell::time(alert.opened_at.as_ref()),
            Cell::new(&alert.summary),
        ]);
    }
    text.push_str(&table.text(look, 2));
    text.push_str(if incident.alerts_truncated { "  and more: quell alerts --incident\n" } else { "" });
    text
}

/// `servicenow INC0012345 https://…`
pub fn tickets(incident: &Incident) -> String {
    let one = |ticket: &quell_proto::v1::Ticket| format!("{} {} {}", ticket.system, ticket.key, ticket.url);
    incident.tickets.iter().map(|ticket| one(ticket).trim_end().to_owned()).collect::<Vec<_>>().join(", ")
}
