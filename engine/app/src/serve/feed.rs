//! The incident feed: every client reads the output topics from its own cursor, at its own pace.
use super::{cursor::Cursor, grpc::Api};
use crate::{outputs::OutputReader, snapshots::Mark};
use futures::Stream;
use prost::Message as _;
use quell_connectors::log::{LogError, Topic};
use quell_proto::v1::{self, WatchIncidentsResponse, watch_incidents_request::From as Start};
use std::{collections::HashMap, pin::Pin, sync::Arc, time::Duration};
use tokio::sync::{Mutex, OwnedSemaphorePermit, mpsc};
use tonic::Status;

/// Updates read and not yet taken by the client; then reading waits.
const AHEAD_MAX: usize = 64;
const WAIT: Duration = Duration::from_secs(1);

/// The stream of a watch.
pub type Updates = Pin<Box<dyn Stream<Item = Result<WatchIncidentsResponse, Status>> + Send>>;

/// One client's watch.
struct Watch {
    api: Api,
    send: mpsc::Sender<Result<WatchIncidentsResponse, Status>>,
    /// What was sent: order across partitions is that of this lock.
    cursor: Mutex<Cursor>,
    /// Revisions in the snapshot of a watch from now: updates up to them were sent as part of it.
    shown: HashMap<String, u64>,
    /// By partition: where in the log the stream ends.
    until: Option<Vec<u64>>,
    _permit: OwnedSemaphorePermit,
}

/// Answers `WatchIncidents`.
///
/// # Errors
/// `INVALID_ARGUMENT` for a cursor that is malformed or of another journal, `RESOURCE_EXHAUSTED` where there are too many
/// feeds, `UNAVAILABLE` where the sources can't be asked.
pub async fn watch(api: &Api, request: v1::WatchIncidentsRequest) -> Result<Updates, Status> {
    let permit = api.feeds.clone().try_acquire_owned().map_err(|_| {
        Status::resource_exhausted("too many feeds: server.feeds_max is reached; close one or try later")
    })?;
    let contents = api.shared.control.latest();
    let (journal, partitions) = (contents.uuid, contents.partitions);
    let mut shown = HashMap::new();
    let mut first = Vec::new();
    let cursor = match request.from {
        Some(Start::Cursor(text)) => Cursor::decode(&text, journal, partitions)?,
        Some(Start::Now(true)) => {
            api.until_ready().await?;
            // The marks first: what comes between is sent again as an update only where it is newer.
            let marks: Vec<Mark> = (0..partitions).map(|p| api.views.seen(p).incidents).collect();
            let cursor = Cursor::at(journal, marks);
            let closed = v1::incident::State::Closed as i32;
            let mut open: Vec<_> = api.views.incidents.iter().map(|entry| entry.value().clone()).collect();
            open.sort_by_cached_key(|incident| super::grpc::incident_key(incident));
            for incident in open {
                shown.insert(incident.name.clone(), incident.revision);
                if incident.state != closed {
                    let (incident, cursor) = (Some(Arc::unwrap_or_clone(incident)), cursor.encode());
                    first.push(WatchIncidentsResponse { incident, cursor, snapshot: true, ..Default::default() });
                }
            }
            cursor
        }
        Some(Start::Beginning(true)) | None => Cursor::beginning(journal, partitions),
        Some(Start::Now(false) | Start::Beginning(false)) => {
            return Err(Status::invalid_argument("from: `beginning` or `now` is true, or it is a cursor"));
        }
    };
    let until = if request.until_caught_up { Some(api.caught_up().await?) } else { None };
    let (send, receive) = mpsc::channel(AHEAD_MAX);
    let marks = cursor.marks.clone();
    let watch = Arc::new(Watch { api: api.clone(), send, cursor: Mutex::new(cursor), shown, until, _permit: permit });
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

impl Watch {
    /// Sends one partition's updates, until the client leaves or the process stops.
    async fn pump(self: Arc<Self>, partition: u32, mark: Mark) {
        let mut stop = self.api.stop.clone();
        let ended = tokio::select! {
            ended = self.try_pump(partition, mark) => ended,
            () = stop.requested() => Err(Status::unavailable("the server is stopping; go on from the cursor")),
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
            let mut cursor = self.cursor.lock().await;
            cursor.marks[partition as usize] = mark;
            // What is no longer kept is no update.
            let Some(incident) = update.incident else { continue };
            if self.shown.get(&incident.name).is_some_and(|revision| incident.revision <= *revision) {
                continue;
            }
            let response = WatchIncidentsResponse {
                incident: Some(incident),
                added: update.added,
                removed: update.removed,
                change: update.change,
                cursor: cursor.encode(),
                snapshot: false,
                stream: String::new(),
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
        LogError::Trimmed { oldest, .. } => Status::out_of_range(format!(
            "cursor: too old; the updates after it are no longer kept (the oldest kept is at {oldest}): watch from now"
        )),
        other => Status::unavailable(other.to_string()),
    }
}
