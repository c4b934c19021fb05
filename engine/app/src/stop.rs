//! How the parts of a process are told to stop.
use tokio::sync::watch;

/// Told once, for good.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

/// Tells.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// A pair.
pub fn pair() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Tells everyone.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Waits until it is told, or nobody is left who could.
    pub async fn requested(&mut self) {
        // Without its sender the process is ending.
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    /// Whether it was told.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }
}
