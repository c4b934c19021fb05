//! `quell alerts`: conditions, each with its events folded.
use super::{
    client::{self, Connection, explain, parent, quoted},
    incidents::facts,
    table::{Cell, Look, Room, Table, Tone, id, time},
};
use quell_proto::v1::{Alert, GetAlertRequest, ListAlertsRequest};
use std::num::NonZeroUsize;

/// Alerts that are open, or one in full.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  quell alerts\n  quell alerts 00f1a2b3c4d5e6f7\n  quell alerts db-07/disk\n  quell alerts --incident payments-1042 --all\n  quell alerts --filter 'entity = \"db-07\"' --json"
)]
pub struct AlertsArgs {
    /// Its id (SCOPE/ID in another scope than `default`), its resource name, or ENTITY/CHECK.
    #[arg(value_name = "ALERT", conflicts_with_all = ["scope", "incident", "all", "filter", "limit"])]
    alert: Option<String>,
    /// Of this scope only.
    #[arg(long, value_name = "SCOPE")]
    scope: Option<String>,
    /// Of this incident only.
    #[arg(long, value_name = "INCIDENT", conflicts_with = "scope")]
    incident: Option<String>,
    /// Cleared ones too.
    #[arg(long)]
    all: bool,
    /// Over state, severity, entity, check, origin, service, incident, suppressed_by, labels.NAME and more:
    /// `entity = "db-07" AND check != "disk"`.
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
    if let Some(means) = &args.alert {
        let asked = GetAlertRequest { name: client::alert(&mut client, means).await?, ..Default::default() };
        let alert = client.get_alert(asked).await.map_err(explain)?.into_inner();
        return args.connection.show("Alert", &alert, detail);
    }
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
    if alerts.is_empty() {
        let narrowed = args.scope.is_some() || args.incident.is_some() || args.filter.is_some();
        args.connection.remark(&client::none_open("alert", args.all, narrowed));
    }
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

fn detail(alert: &Alert, look: Look) -> String {
    let head = [
        look.paint(&Cell::new(&format!("{} {}", alert.entity, alert.check)).into_text(), Tone::Head),
        Cell::alert_state(alert.state()).into_text(),
        Cell::severity(alert.severity()).into_text(),
        flags(alert).to_owned(),
    ];
    let mut text = format!("{}\n{}", head.join("  ").trim_end(), look.paragraph(&alert.summary, 0));
    let cleared = time(alert.cleared_at.as_ref());
    text.push('\n');
    text.push_str(&facts(
        look,
        &[
            ("name", alert.name.clone()),
            ("incident", alert.incident.clone()),
            ("suppressed by", alert.suppressed_by.clone()),
            ("services", alert.services.join(", ")),
            ("origin", alert.origin.clone()),
            ("opened", time(alert.opened_at.as_ref())),
            ("at its hour", alert.at_its_hour.clone()),
            ("last fired", last_fired(alert)),
            ("cleared", if alert.expired { format!("{cleared}, as nothing was heard of it") } else { cleared }),
            ("events", alert.count.to_string()),
            ("reopened", if alert.reopened > 0 { format!("{} times", alert.reopened) } else { String::new() }),
            ("fingerprint", alert.fingerprint.clone()),
            ("episode", alert.episode.clone()),
        ],
    ));
    if !alert.labels.is_empty() {
        let labels: Vec<_> = alert.labels.iter().map(|label| (&*label.key, label.value.clone())).collect();
        text.push_str(&format!("\n{}\n{}", look.paint("Labels", Tone::Head), facts(look, &labels)));
    }
    text
}

fn last_fired(alert: &Alert) -> String {
    let fired = time(alert.last_fired_at.as_ref());
    match &alert.told_at {
        None => fired,
        told => format!("{fired}, when it arrived; it said {}, which is ahead", time(told.as_ref())),
    }
}

pub(super) fn list(alerts: &[Alert], look: Look) -> String {
    let mut table = Table::new(&[
        ("ID", Room::Whole),
        ("STATE", Room::Whole),
        ("SEVERITY", Room::Whole),
        ("EVENTS", Room::Whole),
        ("LAST FIRED", Room::Whole),
        ("FLAGS", Room::Whole),
        ("ENTITY", Room::Name),
        ("CHECK", Room::Name),
        ("SUMMARY", Room::Text),
    ]);
    for alert in alerts {
        table.row(vec![
            Cell::new(&id(&alert.name)),
            Cell::alert_state(alert.state()),
            Cell::severity(alert.severity()),
            Cell::new(&alert.count.to_string()),
            Cell::when(alert.last_fired_at.as_ref()),
            Cell::new(flags(alert)),
            Cell::new(&alert.entity),
            Cell::new(&alert.check),
            Cell::new(&alert.summary),
        ]);
    }
    table.text(look, 0)
}
