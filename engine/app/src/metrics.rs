//! Every metric, named once. Gathered when they are asked for, from what the parts count.
use crate::{ingest::IngestCounts, progress::Progress, serve::http::DoorCounts, views::Views};
use prometheus::{
    Encoder as _, GaugeVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder,
    core::{Collector, GenericCounterVec},
};
use quell_proto::v1;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::Semaphore;

/// Services beyond so many are left out of `/metrics`, worst health first kept.
const SERVICES_MAX: usize = 500;

/// Where the counts are.
#[derive(Clone)]
pub struct Sources {
    pub progress: Arc<Progress>,
    pub views: Arc<Views>,
    pub ingest: Arc<IngestCounts>,
    pub doors: Arc<DoorCounts>,
    pub feeds: Arc<Semaphore>,
    pub feeds_max: usize,
    /// Of a local log.
    pub syncs: Option<Arc<dyn Fn() -> u64 + Send + Sync>>,
}

/// The page of `/metrics` (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
///
/// # Errors
/// Where a metric is not well named: a defect.
pub fn page(sources: &Sources) -> Result<String, prometheus::Error> {
    let registry = Registry::new();
    ledger(&registry, sources)?;
    conclusions(&registry, sources)?;
    process(&registry, sources)?;
    let mut page = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut page)?;
    String::from_utf8(page).map_err(|error| prometheus::Error::Msg(error.to_string()))
}

fn add<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> Result<C, prometheus::Error> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

fn counter(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
    add(registry, GenericCounterVec::new(Opts::new(name, help), labels)?)
}

fn gauge(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
    add(registry, IntGaugeVec::new(Opts::new(name, help), labels)?)
}

/// Where every event went; it continues over restarts.
fn ledger(registry: &Registry, sources: &Sources) -> Result<(), prometheus::Error> {
    let received = counter(
        registry,
        "quell_events_received_total",
        "Events folded, by origin and outcome; each event has one outcome.",
        &["origin", "outcome"],
    )?;
    let skipped = counter(registry, "quell_records_skipped_total", "Source records that had been folded before.", &[])?;
    let ignored = counter(registry, "quell_packs_ignored_total", "Packs that did not follow on what is folded.", &[])?;
    let reused = counter(registry, "quell_ids_reused_total", "Ids that came again with another status or time.", &[])?;
    let evicted = counter(registry, "quell_evicted_total", "Alerts and incidents that a limit made go.", &[])?;
    let held = gauge(registry, "quell_events_held", "Recoveries that wait for their problem.", &[])?;
    let skews = gauge(
        registry,
        "quell_origin_skew_seconds",
        "How far the times of an origin are off their arrival, where that is steady; in the future where positive.",
        &["origin"],
    )?;
    for counts in sources.progress.counts() {
        for (origin, skew) in &counts.skews {
            skews.with_label_values(&[&**origin]).set(skew.0 / 1_000);
        }
        for ((origin, outcome), n) in &counts.ledger {
            received.with_label_values(&[&**origin, outcome.name()]).inc_by(*n);
        }
        skipped.with_label_values::<&str>(&[]).inc_by(counts.records_skipped);
        ignored.with_label_values::<&str>(&[]).inc_by(counts.packs_ignored);
        reused.with_label_values::<&str>(&[]).inc_by(counts.id_reused);
        evicted.with_label_values::<&str>(&[]).inc_by(counts.evicted);
        held.with_label_values::<&str>(&[]).add(i64::try_from(counts.held).unwrap_or(i64::MAX));
    }
    Ok(())
}

fn conclusions(registry: &Registry, sources: &Sources) -> Result<(), prometheus::Error> {
    let alerts = gauge(registry, "quell_alerts", "Alerts kept, by state and severity.", &["state", "severity"])?;
    for state in [v1::alert::State::Open, v1::alert::State::Cleared] {
        for severity in SEVERITIES {
            alerts.with_label_values(&[&lower(state.as_str_name()), &lower(severity.as_str_name())]).set(0);
        }
    }
    for entry in &sources.views.alerts {
        let (state, severity) = (entry.state().as_str_name(), entry.severity().as_str_name());
        alerts.with_label_values(&[&lower(state), &lower(severity)]).inc();
    }
    let incidents =
        gauge(registry, "quell_incidents", "Incidents kept, by state and priority.", &["state", "priority"])?;
    for state in [v1::incident::State::New, v1::incident::State::Resolved, v1::incident::State::Closed] {
        for priority in 1..=5 {
            incidents.with_label_values(&[&lower(state.as_str_name()), &format!("P{priority}")]).set(0);
        }
    }
    for entry in &sources.views.incidents {
        let state = lower(entry.state().as_str_name());
        incidents.with_label_values(&[&state, &format!("P{}", entry.priority)]).inc();
    }
    let updates = counter(registry, "quell_incident_updates_total", "Incident updates seen since the start.", &[])?;
    updates.with_label_values::<&str>(&[]).inc_by(sources.views.incident_updates.load(Ordering::Relaxed));
    let score = GaugeVec::new(
        Opts::new("quell_service_health_score", "Health of a service, 0 (down) to 100 (well)."),
        &["scope", "service"],
    )?;
    let score = add(registry, score)?;
    let worst: BTreeMap<(u64, String), String> = sources
        .views
        .services
        .iter()
        .map(|entry| (((entry.health_score * 100.0) as u64, entry.name.clone()), entry.name.clone()))
        .collect();
    for ((points, _), name) in worst.into_iter().take(SERVICES_MAX) {
        let parts = name.strip_prefix("scopes/").and_then(|rest| rest.rsplit_once("/services/"));
        if let Some((scope, service)) = parts {
            score.with_label_values(&[scope, service]).set(points as f64 / 100.0);
        }
    }
    Ok(())
}

fn process(registry: &Registry, sources: &Sources) -> Result<(), prometheus::Error> {
    let Sources { progress, ingest, doors, .. } = sources;
    let folded = gauge(registry, "quell_journal_position", "The next journal position to fold.", &["partition"])?;
    let ready = gauge(registry, "quell_partition_ready", "1 where the partition is recovered.", &["partition"])?;
    for partition in 0..progress.partitions() {
        let (at, label) = (progress.folded(partition), partition.to_string());
        folded.with_label_values(&[&label]).set(i64::try_from(at.position).unwrap_or(i64::MAX));
        ready.with_label_values(&[&label]).set(i64::from(at.ready));
    }
    let lag = gauge(registry, "quell_source_lag_records", "Source records not yet in the journal.", &["source"])?;
    for entry in &ingest.lag {
        lag.with_label_values(&[entry.key()]).set(i64::try_from(*entry.value()).unwrap_or(i64::MAX));
    }
    let counters: [(&str, &str, &AtomicU64); 14] = [
        ("quell_source_records_total", "Records read from sources.", &ingest.records),
        ("quell_source_tombstones_total", "Source records without a value; skipped.", &ingest.tombstones),
        ("quell_source_records_lost_total", "Records that retention deleted before they were read.", &ingest.lost),
        ("quell_ingest_sessions_total", "Readings of a source partition that began.", &ingest.sessions),
        ("quell_ingest_sessions_failed_total", "Readings that ended with a failure.", &ingest.sessions_failed),
        ("quell_ingest_pauses_total", "Times that reading waited for the journal.", &ingest.pauses),
        ("quell_http_events_taken_total", "Events taken at the HTTP door.", &doors.taken),
        ("quell_http_events_refused_total", "Events refused at the HTTP door, with a reason.", &doors.refused),
        ("quell_http_bodies_too_large_total", "Bodies beyond server.body_max.", &doors.too_large),
        ("quell_http_events_unavailable_total", "Events that the journal did not take.", &doors.unavailable),
        ("quell_recoveries_total", "Recoveries of journal partitions.", &progress.recoveries),
        ("quell_snapshots_total", "Snapshots written and read back right.", &progress.snapshots),
        ("quell_snapshots_refused_total", "Snapshots that were beyond their outputs.", &progress.snapshots_refused),
        ("quell_divergences_total", "Outputs that came out otherwise than they were said.", &progress.divergences),
    ];
    for (name, help, value) in counters {
        let counter = counter(registry, name, help, &[])?;
        counter.with_label_values::<&str>(&[]).inc_by(value.load(Ordering::Relaxed));
    }
    let gauges = [
        (
            "quell_snapshot_timestamp_seconds",
            "When the last snapshot was written; 0 before the first.",
            progress.snapshot_at.load(Ordering::Relaxed) / 1_000,
        ),
        ("quell_journal_unfolded_seconds", "Age of the oldest pack that is not folded.", progress.tail_age().as_secs()),
        (
            "quell_feed_clients",
            "Feeds that are followed now.",
            sources.feeds_max.saturating_sub(sources.feeds.available_permits()) as u64,
        ),
    ];
    for (name, help, value) in gauges {
        let gauge = gauge(registry, name, help, &[])?;
        gauge.with_label_values::<&str>(&[]).set(i64::try_from(value).unwrap_or(i64::MAX));
    }
    if let Some(syncs) = &sources.syncs {
        let counter = counter(registry, "quell_log_syncs_total", "Syncs of the local log to its disk.", &[])?;
        counter.with_label_values::<&str>(&[]).inc_by(syncs());
    }
    Ok(())
}

const SEVERITIES: [v1::Severity; 5] =
    [v1::Severity::Info, v1::Severity::Warning, v1::Severity::Minor, v1::Severity::Major, v1::Severity::Critical];

fn lower(name: &str) -> String {
    name.to_ascii_lowercase()
}
