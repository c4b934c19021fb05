//! Watches of states: things as they are, then each that changes. Not every change is told: a client that is slow is sent
//! the latest of each.
use super::{
    errors::{exhausted, unavailable},
    grpc::Api,
};
use futures::Stream;
use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
    pin::Pin,
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc};
use tonic::Status;

mod alerts;
mod services;
pub use alerts::Alerts;
pub use services::Services;

/// Responses that wait for the client.
const AHEAD_MAX: usize = 64;
/// Who lags is looked after no more often: then all has to be looked at.
const REST: Duration = Duration::from_secs(1);

/// The stream of a watch.
pub type Changes<R> = Pin<Box<dyn Stream<Item = Result<R, Status>> + Send>>;

/// What is watched.
pub trait Watched: Send + Sync + 'static {
    /// What things are told apart by, in the order in which they are sent first.
    type Key: Clone + Ord + Hash + Send + Sync;
    type Response: Send + 'static;
    /// What is remembered of a thing that was sent, to tell whether it differs.
    type Sent: PartialEq + Send + Sync;
    /// Keys of those that change, from now on.
    fn changes(api: &Api) -> broadcast::Receiver<Self::Key>;
    fn keys(api: &Api) -> BTreeSet<Self::Key>;
    /// A thing as it is now, and what is remembered of it; `None` where it is not there, or not asked for.
    fn find(&self, api: &Api, key: &Self::Key, snapshot: bool) -> Option<(Self::Response, Self::Sent)>;
    /// What is sent of one that was sent and is not there any more, if anything is.
    fn gone(key: &Self::Key, sent: Self::Sent) -> Option<Self::Response>;
}

struct Watch<W: Watched> {
    api: Api,
    watched: W,
    changed: broadcast::Receiver<W::Key>,
    send: mpsc::Sender<Result<W::Response, Status>>,
    sent: HashMap<W::Key, W::Sent>,
    _permit: OwnedSemaphorePermit,
}

/// Begins a watch.
///
/// # Errors
/// `RESOURCE_EXHAUSTED` where there are too many feeds, `UNAVAILABLE` where a recovery takes too long.
pub async fn watch<W: Watched>(api: &Api, watched: W) -> Result<Changes<W::Response>, Status> {
    let permit =
        api.feeds.clone().try_acquire_owned().map_err(|_| {
            exhausted("FEEDS_MAX", "too many feeds: server.feeds_max is reached; close one or try later")
        })?;
    api.until_ready().await?;
    let (send, receive) = mpsc::channel(AHEAD_MAX);
    // Before the things are looked at: no change is missed in between.
    let changed = W::changes(api);
    let watch = Watch { api: api.clone(), watched, changed, send, sent: HashMap::new(), _permit: permit };
    tokio::spawn(watch.run());
    Ok(Box::pin(futures::stream::unfold(receive, |mut receive| async { Some((receive.recv().await?, receive)) })))
}

impl<W: Watched> Watch<W> {
    /// Sends until the client leaves or the process stops.
    async fn run(mut self) {
        let (mut stop, left) = (self.api.stop.clone(), self.send.clone());
        tokio::select! {
            _ = self.pump() => {}
            () = left.closed() => {}
            () = stop.requested() => {
                // The client may have left.
                let _ = left.try_send(Err(unavailable("the server is stopping; watch again")));
            }
        }
    }

    /// `None` where nobody listens.
    async fn pump(&mut self) -> Option<()> {
        for key in W::keys(&self.api) {
            self.send_one(key, true).await?;
        }
        loop {
            match self.changed.recv().await {
                Ok(key) => self.send_one(key, false).await?,
                // Keys were lost: whatever differs has changed.
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    tokio::time::sleep(REST).await;
                    self.changed = W::changes(&self.api);
                    let mut keys = W::keys(&self.api);
                    keys.extend(self.sent.keys().cloned());
                    for key in keys {
                        self.send_one(key, false).await?;
                    }
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    /// Sends a thing as it is, unless it was sent so.
    async fn send_one(&mut self, key: W::Key, snapshot: bool) -> Option<()> {
        let response = match self.watched.find(&self.api, &key, snapshot) {
            Some((_, now)) if self.sent.get(&key).is_some_and(|sent| *sent == now) => None,
            Some((response, now)) => {
                self.sent.insert(key, now);
                Some(response)
            }
            None => self.sent.remove(&key).and_then(|sent| W::gone(&key, sent)),
        };
        match response {
            Some(response) => self.send.send(Ok(response)).await.ok(),
            None => Some(()),
        }
    }
}
