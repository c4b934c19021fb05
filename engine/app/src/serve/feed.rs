//! The incident feed: every client reads the output topics from its own cursor, at its own pace.
use super::{
    cursor::Cursor,
    errors::{exhausted, invalid, refused, unavailable},
    filter::Filter,
    grpc::Api,
    names,
    page::Placed,
    subscriptions::{Claim, check_name},
};
use crate::{outputs::OutputReader, snapshots::Mark};
use futures::Stream;
use prost::Message as _;
use quell_connectors::{
    log::{LogError, Topic},
    wire,
};
use quell_core::domain::incident::{Incident, State};
use quell_proto::v1::{self, WatchIncidentsResponse, watch_incidents_request::From as Start};
use std::{
    collections::{HashMap, HashSet},
    pin::Pin,
    sync::Arc,
    time::Duration,
};
use tokio::sync::{Mutex, OwnedSemaphorePermit, mpsc};
use tonic::{Code, Status};

/// Updates read and not yet taken by the client; then reading waits.
const AHEAD_MAX: usize = 64;
const WAIT: Duration = Duration::from_secs(1);

/// The stream of a watch.
pub type Updates = Pin<Box<dyn Stream<Item = Result<WatchIncidentsResponse, Status>> + Send>>;

/// How far the client is.
struct Sent {
    cursor: Cursor,
    /// Incidents that were sent and are not closed: they are followed, whether they pass or not.
    followed: HashSet<String>,
}

/// Which incidents are asked for.
struct Asked {
    prefix: String,
    /// `None`: all.
    passes: Option<Filter<v1::Incident>>,
}

impl Asked {
    fn of(request: &v1::WatchIncidentsRequest) -> Result<Self, Status> {
        let passes = if request.filter.is_empty() { None } else { Some(Filter::parse(&request.filter)?) };
        Ok(Self { prefix: names::prefix(&request.parent)?, passes })
    }

    /// Whether it is sent; then it is followed until it is closed.
    fn takes(&self, incident: &v1::Incident, followed: &mut HashSet<String>) -> bool {
        let Some(passes) = &self.passes else { return incident.name.starts_with(&self.prefix) };
        let passes = incident.name.starts_with(&self.prefix) && passes.matches(incident);
        let takes = passes || followed.contains(&incident.name);
        if incident.state() == v1::incident::State::Closed {
            followed.remove(&incident.name);
        } else if passes {
            followed.insert(incident.name.clone());
        }
        takes
    }
}

/// One client's watch.
struct Watch {
    api: Api,
    send: mpsc::Sender<Result<WatchIncidentsResponse, Status>>,
    /// What was sent: order across partitions is that of this lock.
    sent: Mutex<Sent>,
    /// Revisions in the snapshot of a watch from now: updates up to them were sent as part of it.
    shown: HashMap<String, u64>,
    asked: Asked,
    /// By partition: where in the log the stream ends.
    until: Option<Vec<u64>>,
    claim: Option<Claim>,
    _permit: OwnedSemaphorePermit,
}

/// Answers `WatchIncidents`.
///
/// # Errors
/// `INVALID_ARGUMENT` for a cursor that is malformed or of another journal, `RESOURCE_EXHAUSTED` where there are too many
/// feeds, `UNAVAILABLE` where the sources can't be asked.
pub async fn watch(api: &Api, request: v1::WatchIncidentsRequest) -> Result<Updates, Status> {
    let permit =
        api.feeds.clone().try_acquire_owned().map_err(|_| {
            exhausted("FEEDS_MAX", "too many feeds: server.feeds_max is reached; close one or try later")
        })?;
    let contents = api.shared.control.latest();
    let (journal, partitions) = (contents.uuid, contents.partitions);
    let asked = Asked::of(&request)?;
    if !request.subscription.is_empty() {
        check_name(&request.subscription)?;
    }
    let from_now = matches!(request.from, Some(Start::Now(true)));
    let mut cursor = match request.from {
        Some(Start::Cursor(text)) => Cursor::decode(&text, journal, partitions)?,
        Some(Start::Now(true)) => {
            api.until_ready().await?;
            // The marks before what stands: what comes between is sent again as an update only where it is newer.
            let mut marks: Vec<_> = (0..partitions).map(|p| api.views.seen(p).incidents()).collect();
            for (partition, mark) in (0..).zip(&mut marks) {
                // Of what is older than the mark nothing is needed, nor that it is still kept.
                let extent = api.shared.log.extent(Topic::Incidents, partition).await.map_err(unavailable)?;
                mark.next = mark.next.max(extent.oldest);
            }
            Cursor::at(journal, marks)
        }
        Some(Start::Beginning(true)) | None => Cursor::beginning(journal, partitions),
        Some(Start::Now(false) | Start::Beginning(false)) => {
            return Err(invalid("from", "`beginning` or `now` is true, or it is a cursor"));
        }
    };
    let mut claim = None;
    if !request.subscription.is_empty() {
        let begun = api.subscriptions.begin(&request.subscription, &cursor).await?;
        cursor = begun.start.clone();
        claim = Some(begun);
    }
    // What stands is told until something was acknowledged: the client may have ended before it dealt with it.
    let tells = from_now && claim.as_ref().is_none_or(|claim| claim.fresh);
    let stream = claim.as_ref().map_or_else(String::new, |claim| claim.stream.clone());
    let mut followed = HashSet::new();
    let (mut first, shown) = if tells { standing(api, &cursor, &stream) } else { Default::default() };
    first.retain(|it| it.incident.as_ref().is_some_and(|incident| asked.takes(incident, &mut followed)));
    let until = if request.until_caught_up { Some(api.caught_up().await?) } else { None };
    let (send, receive) = mpsc::channel(AHEAD_MAX);
    let marks = cursor.marks.clone();
    let (api, sent) = (api.clone(), Mutex::new(Sent { cursor, followed }));
    let watch = Arc::new(Watch { api, send, sent, shown, asked, until, claim, _permit: permit });
    tokio::spawn(async move {
        for response in first {
            if watch.send.send(Ok(response)).await.is_err() {
                return;
            }
        }
        for (partition, mark) in (0..).zip(marks) {
            tokio::spawn(watch.clone().pump(partition, mark));
        }
    });
    Ok(Box::pin(futures::stream::unfold(receive, |mut receive| async { Some((receive.recv().await?, receive)) })))
}

/// The open incidents as they are, and the revisions of all.
fn standing(api: &Api, cursor: &Cursor, stream: &str) -> (Vec<WatchIncidentsResponse>, HashMap<String, u64>) {
    let (mut shown, mut first) = (HashMap::new(), Vec::new());
    let mut all: Vec<_> = api.views.incidents.iter().map(|entry| Placed::of(entry.value().clone())).collect();
    all.sort_unstable();
    for Placed { item: update, .. } in all {
        let Incident { id, revision, state, .. } = update.incident;
        shown.insert(Incident::name(&update.scope, id), revision);
        if state != State::Closed {
            let (incident, cursor) = (Some(wire::incident(&update)), cursor.encode());
            let stream = stream.to_owned();
            first.push(WatchIncidentsResponse { incident, cursor, snapshot: true, stream, ..Default::default() });
        }
    }
    (first, shown)
}

impl Api {
    /// A subscription has dealt with updates.
    pub(super) async fn acknowledge(
        &self,
        request: v1::AcknowledgeUpdatesRequest,
    ) -> Result<v1::AcknowledgeUpdatesResponse, Status> {
        let v1::AcknowledgeUpdatesRequest { subscription, stream, cursor } = request;
        check_name(&subscription)?;
        let contents = self.shared.control.latest();
        let cursor = Cursor::decode(&cursor, contents.uuid, contents.partitions)?;
        for (partition, mark) in (0..).zip(&cursor.marks) {
            // Another process may have read further than this one: then the log is asked.
            if mark.number > self.views.seen(partition).incidents().number {
                let extent = self.shared.log.extent(Topic::Incidents, partition).await.map_err(unavailable)?;
                if mark.next > extent.end {
                    return Err(invalid("cursor", "it is beyond the feed; use one that the feed gave, as it is"));
                }
            }
        }
        self.subscriptions.acknowledge(&subscription, &stream, &cursor).await?;
        Ok(v1::AcknowledgeUpdatesResponse {})
    }
}

impl Watch {
    /// Waits until the client must be told that a later stream took over.
    async fn taken_over(&self) -> Status {
        match &self.claim {
            Some(claim) => self.api.subscriptions.taken_over(claim).await,
            None => std::future::pending().await,
        }
    }

    /// Sends one partition's updates, until the client leaves or the process stops.
    async fn pump(self: Arc<Self>, partition: u32, mark: Mark) {
        let mut stop = self.api.stop.clone();
        let ended = tokio::select! {
            ended = self.try_pump(partition, mark) => ended,
            taken_over = self.taken_over() => Err(taken_over),
            () = stop.requested() => Err(unavailable("the server is stopping; go on from the cursor")),
            () = self.send.closed() => return,
        };
        if let Err(status) = ended {
            // The client may have left.
            let _ = self.send.send(Err(status)).await;
        }
    }

    async fn try_pump(&self, partition: u32, mark: Mark) -> Result<(), Status> {
        let journal = self.api.shared.control.latest().uuid;
        let (log, skip) = (&self.api.shared.log, self.api.shared.rules.readers_skip);
        let place = (Topic::Incidents, partition);
        let reader = OutputReader::open(log, place, journal, (mark.number, mark.next), skip).await;
        let mut reader = reader.map_err(|error| log_status(&error))?;
        let end = self.until.as_ref().map(|until| until[partition as usize]);
        while end.is_none_or(|end| !reader.is_past(end)) {
            let next = reader.next(WAIT).await.map_err(|error| match error {
                crate::outputs::OutputError::Log(error) => log_status(&error),
                damaged => Status::data_loss(damaged.to_string()),
            })?;
            let Some(next) = next else { continue };
            let mark = Mark { number: next.output.number, next: next.next };
            let update = v1::IncidentUpdate::decode(next.output.body).map_err(|e| Status::data_loss(e.to_string()))?;
            let mut sent = self.sent.lock().await;
            let Sent { cursor, followed } = &mut *sent;
            cursor.marks[partition as usize] = mark;
            // What is no longer kept is no update.
            let Some(incident) = update.incident else { continue };
            if self.shown.get(&incident.name).is_some_and(|revision| incident.revision <= *revision) {
                continue;
            }
            if !self.asked.takes(&incident, followed) {
                continue;
            }
            let response = WatchIncidentsResponse {
                incident: Some(incident),
                added: update.added,
                removed: update.removed,
                change: update.change,
                cursor: cursor.encode(),
                snapshot: false,
                stream: self.claim.as_ref().map_or_else(String::new, |claim| claim.stream.clone()),
            };
            if self.send.send(Ok(response)).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }
}

fn log_status(error: &LogError) -> Status {
    match error {
        LogError::Trimmed { oldest, .. } => {
            let message = format!(
                "cursor: too old; the updates after it are no longer kept (the log has them from {oldest} on). Watch from `now`: it \
                 sends the open incidents as they are, then updates; ListIncidents has those that were closed meanwhile"
            );
            refused(Code::OutOfRange, "CURSOR_TOO_OLD", message)
        }
        other => unavailable(other),
    }
}
