//! How long things took: incidents, as operators count them, and the stages of a record's journey.
use super::{Family, Page, Sources, page::Buckets};
use crate::progress::{BUCKET_MICROS, Durations};
use quell_core::stages::raise::{BUCKET_SECONDS, Histogram, Times};

pub(super) fn gather(sources: &Sources, page: &mut Page) {
    incidents(sources, page);
    let progress = &sources.progress;
    for (name, help, durations) in [
        (
            "quell_record_durable_seconds",
            "From a record's arrival until the journal has it, durably; sampled once a pack, with the wall's clock.",
            &progress.latency.durable,
        ),
        (
            "quell_record_folded_seconds",
            "From a record's arrival until it is folded; sampled once a pack, with the wall's clock.",
            &progress.latency.folded,
        ),
        (
            "quell_record_said_seconds",
            "From a record's arrival until its conclusions are durable; sampled once a read, with the wall's clock.",
            &progress.latency.said,
        ),
        (
            "quell_step_seconds",
            "What the fold of one journal record takes of a core: a pack of events, a tick, a command.",
            &progress.steps,
        ),
        (
            "quell_snapshot_hold_seconds",
            "How long the fold of a partition is held for a snapshot.",
            &progress.snapshot_holds,
        ),
    ] {
        let mut family = Family::histogram(name, &[], help);
        observe(&mut family, [], durations);
        page.push(family);
    }
}

/// Adds what was measured.
pub(super) fn observe<const N: usize>(family: &mut Family, labels: [&str; N], durations: &Durations) {
    let bounds = BUCKET_MICROS.map(|micros| micros as f64 / 1e6);
    let (counts, sum) = durations.read();
    family.observe(labels, Buckets { bounds: &bounds, counts: &counts, sum });
}

/// Part of the fold's state: they continue over restarts.
fn incidents(sources: &Sources, page: &mut Page) {
    let mut times = Times::default();
    sources.progress.counts().iter().for_each(|counts| times.add(&counts.times));
    let bounds = BUCKET_SECONDS.map(f64::from);
    for (name, help, Histogram { counts, sum }) in [
        (
            "quell_incident_detection_seconds",
            "MTTD: from the beginning of an incident's first alert to its announcement. Continues over restarts.",
            &times.detect,
        ),
        (
            "quell_incident_acknowledgement_seconds",
            "MTTA: from an incident's announcement to the first person who takes it. Continues over restarts.",
            &times.acknowledge,
        ),
        (
            "quell_incident_resolution_seconds",
            "MTTR: from the beginning of an incident's first alert to the end of its last, as their origins tell them, or to the person who resolved it; without those that ended by auto-clear. Continues over restarts.",
            &times.resolve,
        ),
    ] {
        let mut family = Family::histogram(name, &[], help);
        family.observe([], Buckets { bounds: &bounds, counts, sum: *sum as f64 / 1e3 });
        page.push(family);
    }
}
