//! Each journal partition: how far it is, what it has before it, what a restart would cost. As many as the journal has,
//! at most 1,024.
use super::{Family, Page, Sources};
use std::sync::atomic::Ordering;

const PARTITION: &[&str] = &["partition"];

pub(super) fn gather(sources: &Sources, page: &mut Page) {
    let progress = &sources.progress;
    let all = 0..progress.partitions();
    let mut each = |name: &str, help: &str, value: &dyn Fn(u32) -> Option<f64>| {
        let mut family = Family::gauge(name, PARTITION, help);
        for partition in all.clone() {
            if let Some(value) = value(partition) {
                family.add([&partition.to_string()], value);
            }
        }
        page.push(family);
    };
    let snapshot = |partition| progress.snapshot(partition);
    each("quell_journal_position", "The next journal position to fold.", &|p| Some(progress.folded(p).position as f64));
    each(
        "quell_journal_unfolded_records",
        "Journal positions known to be durable and not folded yet, holes included.",
        &|p| Some(progress.unfolded(p) as f64),
    );
    each(
        "quell_journal_unfolded_seconds",
        "Age of the oldest pack that this process appended and that is not folded; 0 where all are.",
        &|p| Some(progress.tail_age_of(p).as_secs_f64()),
    );
    each("quell_partition_ready", "1 where the partition is recovered and folds what comes.", &|p| {
        Some(f64::from(u8::from(progress.folded(p).ready)))
    });
    each("quell_partition_stopped", "1 where the partition stopped for good: only a person can help.", &|p| {
        Some(f64::from(u8::from(progress.is_stopped(p))))
    });
    each("quell_snapshot_timestamp_seconds", "When the newest snapshot was written; 0 before the first.", &|p| {
        Some(snapshot(p).map_or(0.0, |taken| taken.at.0 as f64 / 1e3))
    });
    each(
        "quell_snapshot_behind_records",
        "Journal positions folded since the newest snapshot: what a restart folds again.",
        &|p| Some(progress.folded(p).position.saturating_sub(snapshot(p).map_or(0, |taken| taken.position)) as f64),
    );
    each("quell_snapshot_size_bytes", "Size of the newest snapshot.", &|p| Some(snapshot(p)?.bytes as f64));
    each(
        "quell_snapshot_duration_seconds",
        "From when the fold was held for the newest snapshot until it was written and read back.",
        &|p| Some(snapshot(p)?.took?.as_secs_f64()),
    );
    let ready = progress.is_ready() && progress.stopped().is_none();
    let help = "1 where /ready is 200: all partitions are recovered, and none has stopped.";
    page.push(Family::gauge("quell_ready", &[], help).of(f64::from(u8::from(ready))));
    for (name, help, value) in [
        (
            "quell_recoveries_total",
            "Recoveries of journal partitions, the first of each included.",
            &progress.recoveries,
        ),
        ("quell_snapshots_total", "Snapshots written and read back right.", &progress.snapshots),
        ("quell_snapshots_refused_total", "Snapshots that were beyond their outputs.", &progress.snapshots_refused),
        ("quell_snapshots_rotten_total", "Snapshots that did not read back right.", &progress.snapshots_rotten),
        ("quell_divergences_total", "Outputs that came out otherwise than they were said.", &progress.divergences),
    ] {
        page.push(Family::counter(name, &[], help).of(value.load(Ordering::Relaxed) as f64));
    }
    let in_flight = sources.progress.outputs_in_flight() as f64;
    page.push(Family::gauge("quell_outputs_in_flight", &[], "Outputs on their way to their topics.").of(in_flight));
}
