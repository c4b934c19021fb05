//! Processes that can be stopped, wake late, and be killed.
use futures::{FutureExt as _, future::BoxFuture};
use quell_connectors::log::{Append, Extent, Log, LogError, Reader, Topic, hostile::HostileLog};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    future::poll_fn,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Poll, Waker},
    time::Duration,
};
use tokio::time::sleep;

/// While it is shut, the process behind it does not run. What it has sent still arrives, and its timers go on.
#[derive(Clone, Default)]
pub struct Gate(Arc<Mutex<(bool, Option<Waker>)>>);

impl Gate {
    /// Stops or wakes the process.
    pub fn set_shut(&self, shut: bool) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 = shut;
        if let Some(waker) = state.1.take_if(|_| !shut) {
            waker.wake();
        }
    }

    /// Runs a process behind it.
    pub async fn run<T>(self, process: impl Future<Output = T>) -> T {
        let mut process = pin!(process);
        poll_fn(|context| {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if state.0 {
                state.1 = Some(context.waker().clone());
                return Poll::Pending;
            }
            drop(state);
            process.as_mut().poll(context)
        })
        .await
    }
}

/// A log whose requests take time, so that a process can be stopped between any two.
pub struct Slow {
    inner: HostileLog,
    rng: Mutex<StdRng>,
}

impl Slow {
    /// Over one writer's view.
    pub fn new(inner: HostileLog, seed: u64) -> Arc<Self> {
        Arc::new(Self { inner, rng: Mutex::new(StdRng::seed_from_u64(seed)) })
    }

    async fn trip(&self) {
        let takes = self.rng.lock().unwrap_or_else(PoisonError::into_inner).random_range(0..10);
        sleep(Duration::from_millis(takes)).await;
    }
}

impl Log for Slow {
    fn append(&self, topic: Topic, partition: u32, bytes: bytes::Bytes) -> Append {
        self.inner.append(topic, partition, bytes)
    }

    fn read_from(
        &self,
        topic: Topic,
        partition: u32,
        position: u64,
    ) -> BoxFuture<'_, Result<Box<dyn Reader>, LogError>> {
        self.trip().then(move |()| self.inner.read_from(topic, partition, position)).boxed()
    }

    fn extent(&self, topic: Topic, partition: u32) -> BoxFuture<'_, Result<Extent, LogError>> {
        self.trip().then(move |()| self.inner.extent(topic, partition)).boxed()
    }

    fn trim(&self, topic: Topic, partition: u32, position: u64) -> BoxFuture<'_, Result<(), LogError>> {
        self.trip().then(move |()| self.inner.trim(topic, partition, position)).boxed()
    }
}
