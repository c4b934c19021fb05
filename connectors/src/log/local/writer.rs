//! The one thread that writes: all that is queued, in one batch, with one sync.
use super::{LogError, Topic, store::Store};
use bytes::Bytes;
use std::{collections::BTreeMap, sync::mpsc};
use tokio::sync::oneshot;

/// A batch ends at whichever comes first.
const BATCH_BYTES: usize = 8 << 20;
const BATCH_RECORDS: usize = 4096;

/// An append on its way.
pub struct Request {
    pub topic: Topic,
    pub partition: u32,
    pub bytes: Bytes,
    pub done: oneshot::Sender<Result<u64, LogError>>,
}

/// Serves requests until no more can come.
pub fn run(store: &Store, requests: &mpsc::Receiver<Request>) {
    let mut ends = store.ends();
    let mut failure = None;
    while let Ok(first) = requests.recv() {
        let batch = gather(first, requests);
        // What the store holds after a failure nobody knows before it is opened anew, so no position can be given.
        if failure.is_none() {
            failure = write(store, &mut ends, batch).err();
        } else {
            fail(batch, failure.as_deref().unwrap_or_default());
        }
    }
}

fn gather(first: Request, requests: &mpsc::Receiver<Request>) -> Vec<Request> {
    let mut bytes = first.bytes.len();
    let mut batch = vec![first];
    while bytes < BATCH_BYTES && batch.len() < BATCH_RECORDS {
        let Ok(request) = requests.try_recv() else { break };
        bytes += request.bytes.len();
        batch.push(request);
    }
    batch
}

fn write(store: &Store, ends: &mut BTreeMap<(Topic, u32), u64>, requests: Vec<Request>) -> Result<(), String> {
    let mut batch = store.batch();
    let mut moved = BTreeMap::new();
    let mut positions = Vec::with_capacity(requests.len());
    for Request { topic, partition, bytes, .. } in &requests {
        let end = ends.entry((*topic, *partition)).or_default();
        store.put(&mut batch, *topic, *partition, *end, bytes);
        positions.push(*end);
        *end += 1;
        moved.insert((*topic, *partition), *end);
    }
    let written = store.commit(batch).map_err(|error| error.to_string());
    if let Err(reason) = written.and_then(|()| store.note(&moved).map_err(|error| error.to_string())) {
        tracing::error!(%reason, "the journal can't be written");
        fail(requests, &reason);
        return Err(reason);
    }
    // The ends first: who has a position can read it.
    for ((topic, partition), end) in moved {
        store.set_end(topic, partition, end);
    }
    for (request, position) in requests.into_iter().zip(positions) {
        // Who appended may not care.
        request.done.send(Ok(position)).ok();
    }
    Ok(())
}

fn fail(requests: Vec<Request>, reason: &str) {
    for Request { topic, partition, done, .. } in requests {
        done.send(Err(LogError::Closed { topic, partition, reason: reason.to_owned() })).ok();
    }
}
