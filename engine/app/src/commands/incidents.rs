//! `quell incidents`: what people are asked to act on.
use super::{
    client::{self, Connection, explain, parent},
    table::{Cell, Look, Room, Table, Tone, id, printable, time, word},
};
use crate::demo::text::{pad, width, wrap};
use quell_proto::v1::{Incident, IncidentAlert, ListIncidentsRequest};
use std::num::NonZeroUsize;

/// Columns that a fact has, however narrow the terminal.
const VALUE_MIN: usize = 20;

/// Incidents, newest first; or one of them, with its alerts. Of a storm the major one alone.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  quell incidents                            what is not closed\n  quell incidents payments-1042\n  quell incidents --branches                 what storms are made of, too\n  quell incidents --scope payments --filter 'severity = \"CRITICAL\"'\n  quell incidents --json | jq .title"
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
    /// Branches of storms too: incidents for which a major one stands.
    #[arg(long, conflicts_with = "incident")]
    branches: bool,
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
    let alone = if args.branches { None } else { Some("major = \"\"".to_owned()) };
    let filter = client::both(args.filter.clone(), Some(client::both(open, alone)));
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
    if incidents.is_empty() {
        let narrowed = args.scope.is_some() || args.filter.is_some();
        args.connection.remark(&client::none_open("incident", args.all, narrowed));
    }
    client::remark(more, incidents.len(), "incidents");
    Ok(())
}

fn list(incidents: &[Incident], look: Look) -> String {
    let mut table = Table::new(&[
        ("NUMBER", Room::Whole),
        ("PRIO", Room::Whole),
        ("STATE", Room::Whole),
        ("SEVERITY", Room::Whole),
        ("ALERTS", Room::Whole),
        ("OPENED", Room::Whole),
        ("FLAGS", Room::Whole),
        ("ASSIGNEE", Room::Name),
        ("TITLE", Room::Text),
    ]);
    for incident in incidents {
        table.row(vec![
            Cell::new(&incident.number),
            Cell::priority(incident.priority),
            Cell::incident_state(incident.state()),
            Cell::severity(incident.severity()),
            Cell::new(&alerts(incident)),
            Cell::when(incident.opened_at.as_ref()),
            Cell::new(flags(incident)),
            Cell::new(&incident.assignee),
            Cell::new(&incident.title),
        ]);
    }
    table.text(look, 0)
}

/// How many of its alerts are open; of a storm how many branches it has.
fn alerts(incident: &Incident) -> String {
    match incident.branch_count {
        0 => format!("{}/{}", incident.open_alert_count, incident.alert_count),
        branches => format!("{branches} branches"),
    }
}

/// Where the branches of a storm are told.
pub fn branches(incident: &Incident) -> String {
    match incident.branch_count {
        0 => String::new(),
        count => format!("{count}: quell incidents --branches --filter 'major = \"{}\"'", incident.name),
    }
}

/// What keeps people from hearing of it.
pub const fn flags(incident: &Incident) -> &'static str {
    if incident.muted { "muted" } else { "" }
}

/// The first lines of an incident, whatever else is told of it.
pub fn head(incident: &Incident, look: Look) -> String {
    let facts = [
        look.paint(&Cell::new(&incident.number).into_text(), Tone::Head),
        format!("P{}", incident.priority),
        word(incident.state().as_str_name()),
        word(incident.severity().as_str_name()),
        flags(incident).to_owned(),
    ];
    format!("{}\n{}", facts.join("  ").trim_end(), look.paragraph(&incident.title, 0))
}

/// `name: value`, where there is a value, which is told whole.
pub fn facts(look: Look, facts: &[(&str, String)]) -> String {
    let told = || facts.iter().filter(|(_, value)| !value.is_empty());
    let names = told().map(|(name, _)| width(&printable(name))).max().unwrap_or(0) + 2;
    let mut text = String::new();
    for (name, value) in told() {
        let mut lead = pad(&printable(name), names);
        let room = look.columns.map_or(usize::MAX, |columns| columns.saturating_sub(names).max(VALUE_MIN));
        for row in wrap(&printable(value), room, usize::MAX) {
            text.push_str(&format!("{lead}{row}\n"));
            lead = " ".repeat(names);
        }
    }
    text
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
            ("branch of", incident.major.clone()),
            ("branches", branches(incident)),
            ("similar", incident.similar.iter().map(|past| &*past.number).collect::<Vec<_>>().join(", ")),
            ("problem", incident.problem.as_ref().map(|problem| problem.number.clone()).unwrap_or_default()),
        ],
    ));
    if incident.branch_count > 0 {
        return text;
    }
    let open = format!("\n{} of {} alerts open\n", incident.open_alert_count, incident.alert_count);
    text.push_str(&open);
    let mut table = Table::new(&[
        ("ID", Room::Whole),
        ("STATE", Room::Whole),
        ("SEVERITY", Room::Whole),
        ("SINCE", Room::Whole),
        ("ENTITY", Room::Name),
        ("CHECK", Room::Name),
        ("SUMMARY", Room::Text),
    ]);
    for alert in &incident.alerts {
        table.row(vec![
            Cell::new(&id(&alert.name)),
            Cell::alert_state(alert.state()),
            Cell::severity(alert.severity()),
            Cell::when(alert.opened_at.as_ref()),
            Cell::new(&alert.entity),
            Cell::new(&alert.check),
            Cell::new(&said(alert)),
        ]);
    }
    text.push_str(&table.text(look, 2));
    text.push_str(if incident.alerts_truncated { "  and more: quell alerts --incident\n" } else { "" });
    text
}

/// Its summary, and whether it comes so as a rule.
fn said(alert: &IncidentAlert) -> String {
    match (alert.summary.as_str(), alert.at_its_hour.as_str()) {
        (summary, "") => summary.to_owned(),
        ("", hour) => hour.to_owned(),
        (summary, hour) => format!("{summary} (at its hour: {hour})"),
    }
}

/// `servicenow INC0012345 https://…`
pub fn tickets(incident: &Incident) -> String {
    let one = |ticket: &quell_proto::v1::Ticket| format!("{} {} {}", ticket.system, ticket.key, ticket.url);
    incident.tickets.iter().map(|ticket| one(ticket).trim_end().to_owned()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_muted_incident_is_called_so_wherever_it_is_shown() {
        let mut incident = Incident { number: "default-1".into(), title: "disk on db-1".into(), ..Default::default() };
        for shows in
            [|i: &Incident| list(std::slice::from_ref(i), Look::default()), |i: &Incident| head(i, Look::default())]
        {
            incident.muted = true;
            assert!(shows(&incident).contains("muted"), "{}", shows(&incident));
            incident.muted = false;
            assert!(!shows(&incident).contains("muted"), "{}", shows(&incident));
        }
    }

    #[test]
    fn in_eighty_columns_what_is_typed_again_is_whole() {
        let at = Some(prost_types::Timestamp { seconds: 1_767_571_200, nanos: 0 });
        let title = "latency on db-1 and 12 more: the median is 40 times its usual";
        let mut incident = Incident {
            number: "payments-1042".into(),
            title: title.into(),
            muted: true,
            assignee: "bob".into(),
            opened_at: at,
            ..Default::default()
        };
        incident.set_state(quell_proto::v1::incident::State::Acknowledged);
        incident.set_severity(quell_proto::v1::Severity::Critical);
        let text = list(&[incident], Look { columns: Some(80), colour: false });
        for part in ["payments-1042 ", "acknowledged ", "critical ", "01-05 00:00Z ", "muted", "bob", title] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(text.lines().all(|line| width(line) <= 80), "{text}");
    }

    #[test]
    fn a_storm_tells_its_branches_where_others_tell_alerts() {
        let storm = Incident { name: "scopes/s/incidents/7".into(), branch_count: 43, ..Default::default() };
        let branch = Incident { major: storm.name.clone(), alert_count: 3, open_alert_count: 2, ..Default::default() };
        let text = list(&[storm.clone(), branch.clone()], Look::default());
        assert!(text.contains("43 branches") && text.contains("2/3") && !text.contains("0/0"), "{text}");
        let text = detail(&storm, Look::default());
        assert!(text.contains("--branches --filter 'major = \"scopes/s/incidents/7\"'"), "{text}");
        assert!(!text.contains("alerts open"), "{text}");
        assert!(detail(&branch, Look::default()).contains("branch of  scopes/s/incidents/7"));
    }

    #[test]
    fn facts_are_told_whole() {
        let services = (0..20).map(|n| format!("service-{n}")).collect::<Vec<_>>().join(", ");
        let text =
            facts(Look { columns: Some(60), colour: false }, &[("name", "x".into()), ("services", services.clone())]);
        assert!(text.lines().all(|line| width(line) <= 60), "{text}");
        let told = text.split_once("services").map_or("", |(_, rest)| rest);
        assert_eq!(told.split_whitespace().collect::<Vec<_>>().join(" "), services);
    }
}
