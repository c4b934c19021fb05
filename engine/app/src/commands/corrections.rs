//! What people say of which alerts belong together: `quell move`, `same-cause`, `not-related`, `corrections`.
use super::{
    act, bad_input,
    client::{self, Acting, Client, Connection, explain, parent, resource},
    table::{Cell, Look, Room, Table, id, printable, word},
};
use anyhow::anyhow;
use quell_proto::v1::{
    Correction, CorrectionSubject, GetAlertRequest, ListCorrectionsRequest, MoveAlertsRequest, RelateAlertsRequest,
    UndoCorrectionRequest, correction::Relation,
};

/// Alerts of one incident belong to another: they go there, and such alerts will.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  quell move disk-3/full disk-4/full payments-1044 --comment 'the array, not the shop'"
)]
pub struct MoveArgs {
    /// Alerts of one incident: ids (SCOPE/ID in another scope than `default`), resource names, or ENTITY/CHECK.
    #[arg(required = true, value_name = "ALERT")]
    alerts: Vec<String>,
    /// Where they belong: payments-1042, 1042 in the scope `default`, or a resource name.
    #[arg(required = true, value_name = "INCIDENT")]
    incident: String,
    /// For its timeline.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    comment: String,
    /// Refused where the incident that they leave is no longer the one that was read.
    #[arg(long, default_value = "", hide_default_value = true)]
    etag: String,
    #[command(flatten)]
    acting: Acting,
    #[command(flatten)]
    connection: Connection,
}

/// Of which two it is said.
#[derive(Debug, clap::Args)]
pub struct RelateArgs {
    /// An alert (its id, resource name, or ENTITY/CHECK) or an incident (payments-1042, 1042).
    #[arg(value_name = "ONE")]
    one: String,
    /// Another of the same scope.
    #[arg(value_name = "OTHER")]
    other: String,
    /// Why.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    comment: String,
    #[command(flatten)]
    acting: Acting,
    #[command(flatten)]
    connection: Connection,
}

/// What people did and said of which alerts belong together, as long as it counts.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  quell corrections\n  quell corrections --filter 'actor = \"ann\" AND relation = NOT_RELATED'\n  quell corrections undo 00f1a2b3c4d5e6f7"
)]
pub struct CorrectionsArgs {
    #[command(subcommand)]
    command: Option<CorrectionsCommand>,
    /// Of this scope only.
    #[arg(long, value_name = "SCOPE")]
    scope: Option<String>,
    /// Over relation, deed, actor, comment, created_at, expires_at.
    #[arg(long, value_name = "FILTER", default_value = "", hide_default_value = true)]
    filter: String,
    #[command(flatten)]
    connection: Connection,
}

/// What is done with one.
#[derive(Debug, clap::Subcommand)]
pub enum CorrectionsCommand {
    /// It counts no more; what was merged, split or moved stays so.
    #[command(after_help = "Example:\n  quell corrections undo 00f1a2b3c4d5e6f7")]
    Undo(UndoArgs),
}

/// Which one.
#[derive(Debug, clap::Args)]
pub struct UndoArgs {
    /// Its id (SCOPE/ID in another scope than `default`), or its resource name.
    #[arg(value_name = "CORRECTION")]
    correction: String,
    #[command(flatten)]
    acting: Acting,
    #[command(flatten)]
    connection: Connection,
}

/// Moves alerts, and prints the incident that they went to.
///
/// # Errors
/// Where the server can't be reached or refuses.
pub async fn move_alerts(args: MoveArgs) -> anyhow::Result<()> {
    let MoveArgs { alerts: meant, incident, comment, etag, acting, connection } = args;
    let actor = acting.actor()?;
    let mut client = connection.client().await?;
    let mut alerts = Vec::with_capacity(meant.len());
    for means in &meant {
        alerts.push(client::alert(&mut client, means).await?);
    }
    let into = client::incident(&mut client, &incident).await?.name;
    let first = alerts.first().cloned().unwrap_or_default();
    let asked = GetAlertRequest { name: first, ..Default::default() };
    let name = client.get_alert(asked).await.map_err(explain)?.into_inner().incident;
    if name.is_empty() {
        let means = meant.first().map_or("", |means| means);
        return Err(bad_input(anyhow!("{} is of no incident: there is nothing to move", printable(means))));
    }
    let asked = MoveAlertsRequest { name, request_id: acting.request_id, actor, etag, comment, alerts, into };
    let reply = client.move_alerts(asked).await.map_err(explain)?.into_inner();
    connection.show("IncidentReply", &reply, act::told)
}

/// Says of two that they have the same cause, or are not related, and prints what is kept of it.
///
/// # Errors
/// Where the server can't be reached or refuses.
pub async fn relate(args: RelateArgs, relation: Relation) -> anyhow::Result<()> {
    let RelateArgs { one, other, comment, acting, connection } = args;
    let actor = acting.actor()?;
    let mut client = connection.client().await?;
    let (one, other) = (named(&mut client, &one).await?, named(&mut client, &other).await?);
    let parent = one.split('/').take(2).collect::<Vec<_>>().join("/");
    let (request_id, relation) = (acting.request_id, relation as i32);
    let asked = RelateAlertsRequest { parent, request_id, actor, comment, relation, one, other };
    let reply = client.relate_alerts(asked).await.map_err(explain)?.into_inner();
    connection.show("Correction", &reply.correction.unwrap_or_default(), one_row)
}

/// Lists them, or undoes one.
///
/// # Errors
/// Where the server can't be reached or refuses.
pub async fn run(args: CorrectionsArgs) -> anyhow::Result<()> {
    match args.command {
        Some(CorrectionsCommand::Undo(args)) => undo(args).await,
        None => list(args).await,
    }
}

async fn undo(args: UndoArgs) -> anyhow::Result<()> {
    let UndoArgs { correction, acting, connection } = args;
    let (name, actor) = (resource(&correction, "corrections"), acting.actor()?);
    let asked = UndoCorrectionRequest { name, request_id: acting.request_id, actor };
    let reply = connection.client().await?.undo_correction(asked).await.map_err(explain)?.into_inner();
    connection.show("Correction", &reply.correction.unwrap_or_default(), one_row)?;
    connection.remark("it counts no more");
    Ok(())
}

async fn list(args: CorrectionsArgs) -> anyhow::Result<()> {
    let mut client = args.connection.client().await?;
    let corrections = client::every_page(async |page_token| {
        let (parent, filter) = (parent(args.scope.as_deref()), args.filter.clone());
        let asked = ListCorrectionsRequest { parent, page_token, filter, ..Default::default() };
        let page = client.list_corrections(asked).await.map_err(explain)?.into_inner();
        Ok((page.corrections, page.next_page_token))
    })
    .await?;
    args.connection.show_all("Correction", &corrections, table)?;
    if corrections.is_empty() {
        args.connection.remark("nobody has merged, split, moved or related anything of late");
    }
    Ok(())
}

/// The resource name of the alert or incident that a person means.
async fn named(client: &mut Client, means: &str) -> anyhow::Result<String> {
    if is_incident(means) {
        return Ok(client::incident(client, means).await?.name);
    }
    client::alert(client, means).await
}

/// `payments-1042`, `1042`, or a resource name; an id of 16 digits is an alert's.
fn is_incident(means: &str) -> bool {
    if means.starts_with("scopes/") {
        return means.split('/').nth(2) == Some("incidents");
    }
    let number = means.rsplit('-').next().unwrap_or_default();
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number && !means.contains('/') && means.len() != 16
}

fn one_row(correction: &Correction, look: Look) -> String {
    if correction.name.is_empty() { String::new() } else { table(std::slice::from_ref(correction), look) }
}

fn table(corrections: &[Correction], look: Look) -> String {
    let mut table = Table::new(&[
        ("ID", Room::Whole),
        ("SAYS", Room::Whole),
        ("AS", Room::Whole),
        ("BY", Room::Name),
        ("AT", Room::Whole),
        ("UNTIL", Room::Whole),
        ("ONE", Room::Text),
        ("OTHER", Room::Text),
        ("COMMENT", Room::Text),
    ]);
    for correction in corrections {
        table.row(vec![
            Cell::new(&id(&correction.name)),
            Cell::new(&word(correction.relation().as_str_name())),
            Cell::new(&word(correction.deed().as_str_name())),
            Cell::new(&correction.actor),
            Cell::when(correction.created_at.as_ref()),
            Cell::when(correction.expires_at.as_ref()),
            Cell::new(&side(&correction.one)),
            Cell::new(&side(&correction.other)),
            Cell::new(&correction.comment),
        ]);
    }
    table.text(look, 0)
}

/// The first alerts of a side, and how many more there are.
fn side(subjects: &[CorrectionSubject]) -> String {
    const TOLD: usize = 2;
    let told: Vec<_> = subjects.iter().take(TOLD).map(|s| format!("{} on {}", s.check, s.entity)).collect();
    match subjects.len().saturating_sub(TOLD) {
        0 => told.join(", "),
        more => format!("{} and {more} more", told.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    enum Line {
        Move(MoveArgs),
        NotRelated(RelateArgs),
        Corrections(CorrectionsArgs),
    }

    fn parsed(words: &[&str]) -> Result<Line, clap::Error> {
        Line::try_parse_from([&["quell"], words].concat())
    }

    #[test]
    fn lines_are_read() {
        match parsed(&["move", "a/b", "c/d", "payments-7"]) {
            Ok(Line::Move(args)) => {
                assert_eq!(
                    (&args.alerts[..], &*args.incident),
                    (&["a/b".to_owned(), "c/d".to_owned()][..], "payments-7")
                );
            }
            _ => panic!("alerts, then the incident"),
        }
        assert!(parsed(&["move", "payments-7"]).is_err(), "no alert");
        assert!(matches!(parsed(&["not-related", "a/b", "7"]), Ok(Line::NotRelated(_))));
        assert!(parsed(&["not-related", "a/b"]).is_err());
        assert!(matches!(parsed(&["corrections"]), Ok(Line::Corrections(args)) if args.command.is_none()));
        let undo = parsed(&["corrections", "undo", "ff", "--actor", "ann"]);
        assert!(matches!(undo, Ok(Line::Corrections(args)) if args.command.is_some()));
    }

    #[test]
    fn incidents_and_alerts_are_told_apart() {
        for incident in ["7", "payments-7", "scopes/eu/incidents/00000000000000ff"] {
            assert!(is_incident(incident), "{incident}");
        }
        for alert in
            ["web-1/latency", "00f1a2b3c4d5e6f7", "0000000000001042", "eu/00f1a2b3c4d5e6f7", "scopes/eu/alerts/1"]
        {
            assert!(!is_incident(alert), "{alert}");
        }
    }

    #[test]
    fn a_correction_is_a_row() {
        let subject =
            |entity: &str| CorrectionSubject { entity: entity.into(), check: "disk".into(), ..Default::default() };
        let mut correction = Correction {
            name: "scopes/default/corrections/00f1a2b3c4d5e6f7".into(),
            one: vec![subject("a")],
            other: vec![subject("b"), subject("c"), subject("d\u{1b}[2J")],
            actor: "ann".into(),
            ..Default::default()
        };
        correction.set_relation(Relation::NotRelated);
        let text = table(&[correction], Look::default());
        for part in ["00f1a2b3c4d5e6f7", "not related", "ann", "disk on a", "disk on b, disk on c and 1 more"] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(!text.contains('\u{1b}'));
    }
}
