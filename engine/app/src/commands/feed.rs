//! `quell feed`: follows the incident feed.
use super::{
    client::{endpoint, explain},
    json::Json,
};
use anyhow::Context as _;
use jiff::Timestamp;
use quell_proto::v1::{
    Incident, WatchIncidentsRequest, WatchIncidentsResponse, quell_client::QuellClient,
    watch_incidents_request::From as Start,
};
use std::io::{self, Write as _};

/// The largest update taken, in bytes.
const UPDATE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Follows the incident feed.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  quell feed                                   what is open, then what changes\n  quell feed --from beginning --json | jq .incident.title\n  quell feed --from \"$CURSOR\""
)]
pub struct FeedArgs {
    /// Where Quell listens.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7117")]
    server: String,
    /// beginning: every update kept; now: what is open, then updates; or a cursor that the feed gave.
    #[arg(long, value_name = "WHERE", default_value = "now")]
    from: String,
    /// An update a line, in protobuf's JSON form.
    #[arg(long)]
    json: bool,
    /// Ends after all that stands in the sources now has been concluded and shown.
    #[arg(long)]
    exit_when_caught_up: bool,
}

/// Prints updates until the server or the reader of our output ends.
///
/// # Errors
/// Where the server can't be reached or refuses.
pub async fn run(args: FeedArgs) -> anyhow::Result<()> {
    let client = QuellClient::connect(endpoint(&args.server)).await;
    let client = client.with_context(|| format!("{}: can't connect", args.server))?;
    let from = match args.from.as_str() {
        "beginning" => Start::Beginning(true),
        "now" => Start::Now(true),
        cursor => Start::Cursor(cursor.to_owned()),
    };
    let request =
        WatchIncidentsRequest { from: Some(from), until_caught_up: args.exit_when_caught_up, ..Default::default() };
    let mut client = client.max_decoding_message_size(UPDATE_BYTES_MAX);
    let stream = client.watch_incidents(request).await.map_err(explain)?;
    let mut stream = stream.into_inner();
    let json = args.json.then(|| Json::of("WatchIncidentsResponse")).transpose()?;
    let mut out = io::stdout().lock();
    while let Some(update) = stream.message().await.map_err(explain)? {
        let written = match &json {
            // Only updates: a line is a revision.
            Some(_) if update.snapshot => Ok(()),
            Some(json) => writeln!(out, "{}", json.line(&update)?),
            None => writeln!(out, "{}", line(&update)),
        };
        match written.and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            done => done?,
        }
    }
    Ok(())
}

/// For people: when, what, why.
fn line(update: &WatchIncidentsResponse) -> String {
    let Some(incident) = &update.incident else { return String::new() };
    let at = incident.updated_at.as_ref().map_or(0, |at| at.seconds);
    let at = Timestamp::from_second(at).map(|at| at.to_string()).unwrap_or_default();
    let change = if update.snapshot { "stands" } else { update.change.as_str() };
    format!("{at}  {:<14} P{} {:<8} {}", incident.number, incident.priority, change, describe(incident))
}

fn describe(incident: &Incident) -> String {
    let services = match incident.services.len() {
        0 => String::new(),
        _ => format!("; services: {}", incident.services.join(", ")),
    };
    format!("{} ({} of {} alerts open{services})", incident.title, incident.open_alert_count, incident.alert_count)
}
