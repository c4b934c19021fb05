//! `quell alerts`: conditions, each with its events folded.
use super::{
    client::{self, Connection, explain, parent, quoted},
    table::{Cell, Look, Table},
};
use quell_proto::v1::{Alert, ListAlertsRequest};
use std::num::NonZeroUsize;

/// Alerts that are open.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  quell alerts\n  quell alerts --incident payments-1042 --all\n  quell alerts --filter 'entity = \"db-07\"' --json"
)]
pub struct AlertsArgs {
    /// Of this scope only.
    #[arg(long, value_name = "SCOPE")]
    scope: Option<String>,
    /// Of this incident only.
    #[arg(long, value_name = "INCIDENT", conflicts_with = "scope")]
    incident: Option<String>,
    /// Cleared ones too.
    #[arg(long)]
    all: bool,
    /// Over state, severity, entity, check, origin, service, episode: `entity = "db-07" AND check != "disk"`.
    #[arg(long, value_name = "FILTER")]
    filter: Option<String>,
    /// At most so many.
    #[arg(long, value_name = "N", default_value = "50")]
    limit: NonZeroUsize,
    #[command(flatten)]
    connection: Connection,
}

/// Prints them.
///
/// # Errors
/// Where the server can't be reached or refuses.
pub async fn run(args: AlertsArgs) -> anyhow::Result<()> {
    let mut client = args.connection.client().await?;
    let mut filter = if args.all { None } else { Some("state = \"OPEN\"".to_owned()) };
    if let Some(means) = &args.incident {
        let episode = client::incident(&mut client, means).await?.episode;
        filter = Some(client::both(filter, Some(format!("episode = {}", quoted(&episode)))));
    }
    let filter = client::both(args.filter.clone(), filter);
    let limit = args.limit.get();
    let (mut alerts, mut page_token) = (Vec::new(), String::new());
    let more = loop {
        let parent = parent(args.scope.as_deref());
        let page_size = client::page_size(limit - alerts.len());
        let asked = ListAlertsRequest { parent, page_size, page_token, filter: filter.clone(), ..Default::default() };
        let page = client.list_alerts(asked).await.map_err(explain)?.into_inner();
        alerts.extend(page.alerts);
        page_token = page.next_page_token;
        if page_token.is_empty() || alerts.len() >= limit {
            break !page_token.is_empty();
        }
    };
    args.connection.show_all("Alert", &alerts, list)?;
    client::remark(more, alerts.len(), "alerts");
    Ok(())
}

/// What keeps people from hearing of each of its changes.
const fn flags(alert: &Alert) -> &'static str {
    match (alert.suppressed, alert.flapping, alert.switch) {
        (true, true, _) => "muted, flaps",
        (true, false, _) => "muted",
        (false, true, _) => "flaps",
        (false, false, true) => "switch",
        (false, false, false) => "",
    }
}

fn list(alerts: &[Alert], look: Look) -> String {
    let mut table = Table::new(&["STATE", "", "SEVERITY", "ENTITY", "CHECK", "EVENTS", "LAST FIRED", "SUMMARY"]);
    for alert in alerts {
        table.row(vec![
            Cell::alert_state(alert.state()),
            Cell::new(flags(alert)),
            Cell::severity(alert.severity()),
            Cell::new(&alert.entity),
            Cell::new(&alert.check),
            Cell::new(&alert.count.to_string()),
            Cell::time(alert.last_fired_at.as_ref()),
            Cell::new(&alert.summary),
        ]);
    }
    table.text(look, 0)
}
