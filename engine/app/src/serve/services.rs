//! `WatchServices`: the services as they are, then each that changes. It is about states, not about changes: a client that
//! is slow is sent the latest of each.
use super::{
    errors::{exhausted, unavailable},
    grpc::Api,
    names,
};
use futures::Stream;
use quell_proto::v1::{self, WatchServicesResponse};
use std::{
    collections::{BTreeSet, HashMap},
    pin::Pin,
    sync::Arc,
};
use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc};
use tonic::Status;

/// Responses that wait for the client.
const AHEAD_MAX: usize = 64;

/// The stream of a watch.
pub type Changes = Pin<Box<dyn Stream<Item = Result<WatchServicesResponse, Status>> + Send>>;

struct Watch {
    api: Api,
    prefix: String,
    changed: broadcast::Receiver<Arc<str>>,
    send: mpsc::Sender<Result<WatchServicesResponse, Status>>,
    /// What was sent last, by name.
    sent: HashMap<String, Arc<v1::Service>>,
    _permit: OwnedSemaphorePermit,
}

/// Answers `WatchServices`.
///
/// # Errors
/// `INVALID_ARGUMENT` for a parent that is none, `RESOURCE_EXHAUSTED` where there are too many feeds.
pub async fn watch(api: &Api, request: v1::WatchServicesRequest) -> Result<Changes, Status> {
    let prefix = names::prefix(&request.parent)?;
    let permit =
        api.feeds.clone().try_acquire_owned().map_err(|_| {
            exhausted("FEEDS_MAX", "too many feeds: server.feeds_max is reached; close one or try later")
        })?;
    api.until_ready().await?;
    let (send, receive) = mpsc::channel(AHEAD_MAX);
    // Before the services are looked at: no change is missed in between.
    let changed = api.views.service_changes.subscribe();
    let watch = Watch { api: api.clone(), prefix, changed, send, sent: HashMap::new(), _permit: permit };
    tokio::spawn(watch.run());
    Ok(Box::pin(futures::stream::unfold(receive, |mut receive| async { Some((receive.recv().await?, receive)) })))
}

impl Watch {
    /// Sends until the client leaves or the process stops.
    async fn run(mut self) {
        let (mut stop, left) = (self.api.stop.clone(), self.send.clone());
        tokio::select! {
            () = self.pump() => {}
            () = left.closed() => {}
            () = stop.requested() => {
                // The client may have left.
                let _ = left.try_send(Err(unavailable("the server is stopping; watch again")));
            }
        }
    }

    async fn pump(&mut self) {
        if self.send_all(true).await.is_none() {
            return;
        }
        loop {
            let sent = match self.changed.recv().await {
                Ok(name) => self.send_one(&name, false).await,
                // Names were lost: whatever differs has changed.
                Err(broadcast::error::RecvError::Lagged(_)) => self.send_all(false).await,
                Err(broadcast::error::RecvError::Closed) => None,
            };
            if sent.is_none() {
                return;
            }
        }
    }

    async fn send_all(&mut self, snapshot: bool) -> Option<()> {
        let names: BTreeSet<_> = self.api.views.services.iter().map(|entry| entry.key().clone()).collect();
        for name in names {
            self.send_one(&name, snapshot).await?;
        }
        Some(())
    }

    /// Sends a service as it is, unless it was sent so; `None` where nobody listens.
    async fn send_one(&mut self, name: &str, snapshot: bool) -> Option<()> {
        let now = self.api.views.services.get(name).map(|entry| entry.value().clone());
        let Some(now) = now.filter(|_| name.starts_with(&self.prefix)) else { return Some(()) };
        if self.sent.get(name).is_some_and(|sent| *sent == now) {
            return Some(());
        }
        self.sent.insert(name.to_owned(), now.clone());
        let response = WatchServicesResponse { service: Some(Arc::unwrap_or_clone(now)), snapshot };
        self.send.send(Ok(response)).await.ok()
    }
}
