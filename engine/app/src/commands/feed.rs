//! `quell feed`: follows the incident feed.
use super::{
    client::{self, explain, parent},
    json::Json,
    table::printable,
};
use jiff::Timestamp;
use quell_proto::v1::{
    AcknowledgeUpdatesRequest, Incident, WatchIncidentsRequest, WatchIncidentsResponse, quell_client::QuellClient,
    watch_incidents_request::From as Start,
};
use std::{
    io::{self, Write as _},
    time::Duration,
};
use tokio::sync::watch;
use tonic::{Code, Status, Streaming, transport::Channel};

/// The largest update taken, in bytes.
const UPDATE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Before an acknowledgement that the server did not take is sent again.
const RETRY: Duration = Duration::from_secs(1);

/// Follows the incident feed.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  quell feed                                   what is open, then what changes\n  quell feed --from beginning --json | jq .incident.title\n  quell feed --from \"$CURSOR\"\n  quell feed --subscription tickets --json | ./bridge      goes on where it was, after a restart too"
)]
pub struct FeedArgs {
    /// Where Quell listens.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7117")]
    server: String,
    /// beginning: every update kept; now: what is open, then updates; or a cursor that the feed gave.
    #[arg(long, value_name = "WHERE", default_value = "now")]
    from: String,
    /// Acknowledges what it printed under this name, and goes on after it the next time; --from says where a new name
    /// begins. What was printed and not acknowledged, because of a crash, comes again.
    #[arg(long, value_name = "NAME", default_value = "")]
    subscription: String,
    /// Of this scope only.
    #[arg(long, value_name = "SCOPE")]
    scope: Option<String>,
    /// Of incidents that pass, as `quell incidents` takes it; each is then followed to its end.
    #[arg(long, value_name = "FILTER", default_value = "", hide_default_value = true)]
    filter: String,
    /// JSON, an update a line: as over REST, but 64-bit integers are numbers, which are texts there.
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
    let client = QuellClient::new(client::connect(&args.server).await?);
    let from = match args.from.as_str() {
        "beginning" => Start::Beginning(true),
        "now" => Start::Now(true),
        cursor => Start::Cursor(cursor.to_owned()),
    };
    let FeedArgs { subscription, exit_when_caught_up: until_caught_up, .. } = args;
    let request = WatchIncidentsRequest {
        from: Some(from),
        until_caught_up,
        subscription: subscription.clone(),
        parent: parent(args.scope.as_deref()),
        filter: args.filter,
    };
    let mut client = client.max_decoding_message_size(UPDATE_BYTES_MAX);
    let (printed, to_acknowledge) = watch::channel(None);
    let acknowledging = tokio::spawn(acknowledge(client.clone(), subscription.clone(), to_acknowledge));
    let stream = client.watch_incidents(request).await.map_err(explain)?;
    let mut stream = stream.into_inner();
    let json = args.json.then(|| Json::of("WatchIncidentsResponse")).transpose()?;
    let mut cursor = String::new();
    let followed = follow(&mut stream, json.as_ref(), |update| {
        cursor.clone_from(&update.cursor);
        if !subscription.is_empty() {
            printed.send_replace(Some((update.stream, update.cursor)));
        }
    });
    let followed = tokio::select! {
        followed = followed => followed,
        stopped = tokio::signal::ctrl_c() => Ok(stopped?),
    };
    // A subscription goes on by itself, and a line of JSON has its own.
    if subscription.is_empty() && json.is_none() && !cursor.is_empty() {
        eprintln!("quell: to go on after this: quell feed --from '{}'", printable(&cursor));
    }
    // What was printed is acknowledged, however it ended.
    drop(printed);
    let acknowledged = acknowledging.await?;
    followed?;
    acknowledged.map_err(explain)
}

/// Prints updates, each to the end, and tells of it, until the server or the reader of our output ends.
async fn follow(
    stream: &mut Streaming<WatchIncidentsResponse>,
    json: Option<&Json>,
    mut printed: impl FnMut(WatchIncidentsResponse),
) -> anyhow::Result<()> {
    let mut out = io::stdout();
    while let Some(update) = stream.message().await.map_err(explain)? {
        let written = match json {
            // Only updates: a line is a revision.
            Some(_) if update.snapshot => Ok(()),
            Some(json) => writeln!(out, "{}", json.line(&update)?),
            None => writeln!(out, "{}", line(&update)),
        };
        match written.and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            done => done?,
        }
        printed(update);
    }
    Ok(())
}

/// Acknowledges the latest that was printed, one call at a time, until nothing more is printed.
async fn acknowledge(
    mut client: QuellClient<Channel>,
    subscription: String,
    mut printed: watch::Receiver<Option<(String, String)>>,
) -> Result<(), Status> {
    // The last of all is still seen after its sender is gone.
    while printed.changed().await.is_ok() {
        let Some((stream, cursor)) = printed.borrow_and_update().clone() else { continue };
        let request = AcknowledgeUpdatesRequest { subscription: subscription.clone(), stream, cursor };
        match client.acknowledge_updates(request).await {
            // While the feed goes on the server is there: it is tried again, with the latest.
            Err(status) if status.code() == Code::Unavailable && printed.has_changed().is_ok() => {
                tokio::time::sleep(RETRY).await;
                printed.mark_changed();
            }
            done => drop(done?),
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
    let muted = if incident.muted { "; muted" } else { "" };
    let Incident { title, open_alert_count, alert_count, branch_count, major, .. } = incident;
    if *branch_count > 0 {
        return format!("{title} ({branch_count} branches{services})");
    }
    let branch = if major.is_empty() { "" } else { "; branch of a storm" };
    format!("{title} ({open_alert_count} of {alert_count} alerts open{branch}{muted}{services})")
}
