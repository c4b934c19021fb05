//! Where every event went, and how much less people have to look at.
use super::{Family, Page, Sources};
use crate::progress::Counts;
use quell_core::{
    ledger::Outcome,
    totals::{Evicted, Regroupings, Suggestions, Totals},
};
use std::collections::{BTreeMap, BTreeSet};

/// Outcomes of what is no report of a condition: it could open no alert.
const NO_ALERT_EVENTS: [Outcome; 3] = [Outcome::Rejected, Outcome::Sampled, Outcome::Noted];

/// Outcomes that rules look for.
const WATCHED: [Outcome; 2] = [Outcome::Rejected, Outcome::OverQuota];

pub(super) fn gather(sources: &Sources, page: &mut Page) {
    let counts = sources.progress.counts();
    ledger(sources, &counts, page);
    let (mut totals, mut evicted) = (Totals::default(), Evicted::default());
    for counts in &counts {
        totals.add(&counts.totals);
        evicted.add(&counts.evicted);
    }
    ratios(&counts, &totals, page);
    made(&totals, page);
    let mut by_kind = Family::counter(
        "quell_evicted_total",
        &["kind"],
        "What a limit under [limits] made go before its time, or kept out, by kind; continues over restarts.",
    );
    evicted.by_kind().into_iter().for_each(|(kind, n)| by_kind.add([kind], n as f64));
    page.push(by_kind);
    let sum = |of: fn(&Counts) -> u64| counts.iter().map(of).sum::<u64>() as f64;
    for (name, help, value) in [
        (
            "quell_records_skipped_total",
            "Source records in the journal twice, and folded once.",
            sum(|c| c.records_skipped),
        ),
        ("quell_packs_ignored_total", "Packs that did not follow on what is folded.", sum(|c| c.packs_ignored)),
        ("quell_ids_reused_total", "Ids that came again with another status or time.", sum(|c| c.id_reused)),
    ] {
        page.push(Family::counter(name, &[], help).of(value));
    }
    let mut skews = Family::gauge(
        "quell_origin_skew_seconds",
        &["origin"],
        "How far the times of an origin are off their arrival, where that is steady; in the future where positive.",
    );
    for (origin, skew) in counts.iter().flat_map(|c| &c.skews) {
        skews.first([&sources.origins.name(origin)], skew.0 as f64 / 1_000.0);
    }
    page.push(skews);
    for (name, help, value) in [
        (
            "quell_past_incidents",
            "Incidents that are over and remembered, to know what comes back.",
            sum(|c| c.past_incidents as u64),
        ),
        ("quell_problems", "Problem candidates: like incidents that keep coming back.", sum(|c| c.problems as u64)),
    ] {
        page.push(Family::gauge(name, &[], help).of(value));
    }
    let held = "Recoveries that wait for their problem; they have no outcome yet.";
    page.push(Family::gauge("quell_events_held", &[], held).of(sum(|c| c.held)));
    page.push(Family::gauge("quell_scopes", &[], "Scopes that have had an event.").of(sum(|c| c.scopes as u64)));
}

fn ledger(sources: &Sources, counts: &[Counts], page: &mut Page) {
    let mut received = Family::counter(
        "quell_events_received_total",
        &["origin", "outcome"],
        "Events folded, by origin and outcome; each event has one outcome. Continues over restarts.",
    );
    // Of each origin once: there may be as many as scopes and origins together.
    let mut by_origin: BTreeMap<(&str, Outcome), u64> = BTreeMap::new();
    for ((origin, outcome), n) in counts.iter().flat_map(|c| &c.ledger) {
        *by_origin.entry((origin, *outcome)).or_default() += n;
    }
    // A series that begins above 0 hides its first increase from a rule.
    let origins: BTreeSet<&str> = by_origin.keys().map(|(origin, _)| *origin).collect();
    for (origin, outcome) in origins.into_iter().flat_map(|origin| WATCHED.map(|outcome| (origin, outcome))) {
        received.add([&sources.origins.name(origin), outcome.name()], 0.0);
    }
    for ((origin, outcome), n) in by_origin {
        received.add([&sources.origins.name(origin), outcome.name()], n as f64);
    }
    page.push(received);
}

/// The usual definitions: what is left of a stage's input, taken from 1.
fn ratios(counts: &[Counts], totals: &Totals, page: &mut Page) {
    let outcomes = || counts.iter().flat_map(|c| c.ledger.iter().map(|((_, outcome), n)| (*outcome, *n)));
    let events: u64 = outcomes().map(|(_, n)| n).sum::<u64>() + counts.iter().map(|c| c.held).sum::<u64>();
    let no_alerts: u64 = outcomes().filter(|(o, _)| NO_ALERT_EVENTS.contains(o)).map(|(_, n)| n).sum();
    let opened: u64 = outcomes().filter(|(o, _)| *o == Outcome::Opened).map(|(_, n)| n).sum();
    for (name, help, left, of) in [
        (
            "quell_dedup_ratio",
            "1 - alerts opened by events / alert events, since the journal's beginning; 0 before the first.",
            opened,
            events - no_alerts,
        ),
        (
            "quell_correlation_ratio",
            "1 - incidents announced / alerts opened, since the journal's beginning; 0 before the first.",
            totals.incidents,
            totals.alerts,
        ),
        (
            "quell_noise_reduction_ratio",
            "1 - incidents announced / events received, since the journal's beginning; 0 before the first.",
            totals.incidents,
            events,
        ),
    ] {
        page.push(Family::gauge(name, &[], help).of(reduction(left, of)));
    }
}

fn reduction(left: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { (1.0 - left as f64 / of as f64).max(0.0) }
}

fn made(totals: &Totals, page: &mut Page) {
    for (name, help, value) in [
        (
            "quell_alerts_opened_total",
            "Alerts ever opened, those that Quell found itself too; continues over restarts.",
            totals.alerts,
        ),
        (
            "quell_episodes_opened_total",
            "Episodes ever founded: groups of alerts with one cause; continues over restarts.",
            totals.episodes,
        ),
        (
            "quell_incidents_opened_total",
            "Incidents ever announced; a reopened one counts once. Continues over restarts.",
            totals.incidents,
        ),
        (
            "quell_correlation_revisions_total",
            "Alerts moved to another episode and episodes merged when the model looked again; continues over restarts.",
            totals.revisions,
        ),
        (
            "quell_alerts_endless_total",
            "Alerts of origins that tell of no ends (raise.endless_openings): by itself one raises only if grave; continues over restarts.",
            totals.endless,
        ),
        (
            "quell_storms_total",
            "Storms: so many incidents at once (raise.storm) that a major one stands for them; continues over restarts.",
            totals.storms,
        ),
        (
            "quell_branches_total",
            "Incidents that became branches of a storm's major incident; continues over restarts.",
            totals.branches,
        ),
    ] {
        page.push(Family::counter(name, &[], help).of(value as f64));
    }
    regrouped(totals, page);
}

/// What people who were told of incidents saw change.
fn regrouped(totals: &Totals, page: &mut Page) {
    let mut regroupings = Family::counter(
        "quell_regroupings_total",
        &["kind", "by"],
        "What became of incidents that people were told of: incidents merged into another, incidents split off (by the model: alerts put out), alerts moved to another; by the model or an operator. Continues over restarts.",
    );
    let Regroupings { merged, split, moved } = totals.regroupings;
    for (kind, count) in [("merge", merged), ("split", split), ("move", moved)] {
        regroupings.add([kind, "model"], count.model as f64);
        regroupings.add([kind, "operator"], count.operator as f64);
    }
    page.push(regroupings);
    let mut suggestions = Family::counter(
        "quell_suggestions_total",
        &["outcome"],
        "Merges, moves and splits that were only suggested, as somebody looks after the incident: made; taken (an operator did so); refused (an operator did or said otherwise, or the incident was closed first). The rest stands open. Continues over restarts.",
    );
    let Suggestions { made, taken, refused } = totals.suggestions;
    for (outcome, count) in [("made", made), ("taken", taken), ("refused", refused)] {
        suggestions.add([outcome], count as f64);
    }
    page.push(suggestions);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_no_division_and_no_reduction_is_below_nothing() {
        assert_eq!([reduction(0, 0), reduction(5, 100), reduction(1, 0), reduction(7, 2)], [0.0, 0.95, 0.0, 0.0]);
    }
}
