//! Every metric, named once. Gathered when they are asked for, from what the parts count; `deploy/prometheus/METRICS.md`
//! lists them.
use crate::{
    ingest::IngestCounts,
    progress::Progress,
    serve::{connections::Connections, door::Door},
    views::Views,
};
use quell_core::engine::FOLD;
use std::sync::Arc;
use tokio::sync::Semaphore;

mod conclusions;
mod doors;
mod events;
mod label;
mod log;
mod page;
mod partitions;
mod timing;
pub use label::Known;
pub use log::{LogCounts, Metered};
pub use page::{Family, Page};

/// Origins that are told apart, over all scopes and partitions.
const ORIGINS_MAX: usize = 1_000;

/// The subscriptions to the feed, and how many updates each is behind.
pub type Subscriptions = Arc<dyn Fn() -> Vec<(String, u64)> + Send + Sync>;

/// Where the counts are.
#[derive(Clone)]
pub struct Sources {
    pub progress: Arc<Progress>,
    pub views: Arc<Views>,
    pub ingest: Arc<IngestCounts>,
    pub door: Arc<Door>,
    pub feeds: Arc<Semaphore>,
    pub feeds_max: usize,
    pub connections: Arc<Connections>,
    pub subscriptions: Subscriptions,
    pub log: Arc<LogCounts>,
    /// Of a local log.
    pub syncs: Option<Arc<dyn Fn() -> u64 + Send + Sync>>,
    pub origins: Arc<Known>,
}

impl Sources {
    /// The origins' names: one for the life of the process.
    pub fn origins() -> Arc<Known> {
        Arc::new(Known::new(ORIGINS_MAX))
    }
}

/// Every metric, those without a sample too.
pub fn gather(sources: &Sources) -> Page {
    let mut page = Page::default();
    let mut build = Family::gauge(
        "quell_build_info",
        &["version", "fold"],
        "1; the version that runs, and the number of its way to conclude (FOLD).",
    );
    build.add([env!("CARGO_PKG_VERSION"), &FOLD.to_string()], 1.0);
    page.push(build);
    events::gather(sources, &mut page);
    conclusions::gather(sources, &mut page);
    partitions::gather(sources, &mut page);
    timing::gather(sources, &mut page);
    doors::gather(sources, &mut page);
    log::gather(sources, &mut page);
    #[cfg(target_os = "linux")]
    page.collect(&prometheus::process_collector::ProcessCollector::for_self());
    page
}

/// The page of `/metrics`.
///
/// # Errors
/// Where a metric is not well formed: a defect.
pub fn page(sources: &Sources) -> Result<String, prometheus::Error> {
    gather(sources).text()
}
