//! Which values the numbers of the model may have.
use quell_core::domain::{
    policy::{Action, Bounds, CauseModel, Correlate, ResolutionModel, Weights, wrong_edge},
    time::Span,
};

/// Explicit policies are looked at one by one when an alert opens.
const GROUPINGS_MAX: usize = 1_000;
/// Gaps are counted by the second.
const GAP_MAX: Span = Span::hours(1);
/// Longer names are whole sentences.
const WORD_MAX: usize = 64;
/// Checks that are taken for granted.
const CHECKS_MAX: usize = 10_000;
/// What is kept of each alert or episode, or looked through for it.
const BOUND_MAX: usize = 1_000;
/// Deeper is no infrastructure.
const LEVELS_MAX: u8 = 8;
/// Each is weighed against every alert that may tell of a cause.
const SILENT_MAX: usize = 1_000;

/// What the model divides by, or takes the logarithm of.
pub fn validate_cause(cause: &CauseModel) -> anyhow::Result<()> {
    for (name, chance) in
        [("dependency", cause.dependency), ("ground", cause.ground), ("peer", cause.peer), ("recall", cause.recall)]
    {
        anyhow::ensure!((0.0..1.0).contains(&chance), "raise.cause.{name}: from 0 to less than 1");
    }
    for (name, number) in [
        ("symptom_size", cause.symptom_size),
        ("own_size", cause.own_size),
        ("plain_size", cause.plain_size),
        ("silent", cause.silent),
        ("outside", cause.outside),
        ("intervention", cause.intervention),
        ("configuration", cause.configuration),
        ("confidence", cause.confidence),
        ("confidence_power", cause.confidence_power),
    ] {
        // A hundred alerts of the largest size are still a number.
        anyhow::ensure!((0.01..=100.0).contains(&number), "raise.cause.{name}: from 0.01 to 100");
    }
    anyhow::ensure!((0.0..=100.0).contains(&cause.late), "raise.cause.late: from 0 to 100");
    anyhow::ensure!(cause.late_after.0 >= 1_000, "raise.cause.late_after: at least 1s");
    anyhow::ensure!(cause.levels <= LEVELS_MAX, "raise.cause.levels: at most {LEVELS_MAX}");
    anyhow::ensure!(cause.silent_max <= SILENT_MAX, "raise.cause.silent_max: at most {SILENT_MAX}");
    Ok(())
}

/// What the model divides by, takes the logarithm of, or keeps so many of.
pub fn validate_correlate(correlate: &Correlate) -> anyhow::Result<()> {
    let (time, place, what) = (&correlate.time, &correlate.place, &correlate.what);
    anyhow::ensure!((0.0..=1.0).contains(&time.offspring), "correlate.time.offspring: from 0 to 1");
    anyhow::ensure!(time.spans.iter().all(|s| s.0 >= 1_000), "correlate.time.spans: each at least 1s");
    anyhow::ensure!(time.fade.0 >= 1_000, "correlate.time.fade: at least 1s");
    anyhow::ensure!((0.0..=1.0).contains(&time.lingering), "correlate.time.lingering: from 0 to 1");
    let kinds = [place.entity, place.parent, place.grandparent, place.service, place.label];
    let names = ["entity", "parent", "grandparent", "service", "label"];
    for (name, prior) in names.into_iter().zip(kinds) {
        anyhow::ensure!(prior > 0.0 && prior <= 1.0, "correlate.place.{name}: more than 0, up to 1");
    }
    let shares = place.rings.iter().all(|share| *share > 0.0 && *share < 1.0);
    anyhow::ensure!(shares, "correlate.place.rings: each between 0 and 1");
    validate_bounds(&correlate.bounds)?;
    for (name, share) in [
        ("candidates_share", correlate.candidates_share),
        ("time.faded", time.faded),
        ("resolution.share", correlate.resolution.share),
        ("place.root_max", place.root_max),
        ("place.services", place.services),
        ("place.mentions", place.mentions),
        ("place.share_min", place.share_min),
        ("place.common", place.common),
        ("revise.odds_min", correlate.revise.odds_min),
        ("revise.ground_share", correlate.revise.ground_share),
    ] {
        anyhow::ensure!(share > 0.0 && share < 1.0, "correlate.{name}: more than 0, less than 1");
    }
    let ResolutionModel { gap_max, gaps_min, gaps_max, .. } = correlate.resolution;
    anyhow::ensure!((1_000..=GAP_MAX.0).contains(&gap_max.0), "correlate.resolution.gap_max: from 1s to 1h");
    anyhow::ensure!(
        gaps_min >= 1 && gaps_max > gaps_min,
        "correlate.resolution.gaps_max: more than gaps_min, which is at least 1"
    );
    anyhow::ensure!(correlate.background.again.0 >= 1_000, "correlate.background.again: at least 1s");
    anyhow::ensure!((1..=WORD_MAX).contains(&place.word_min), "correlate.place.word_min: from 1 to {WORD_MAX}");
    anyhow::ensure!((1..=CHECKS_MAX).contains(&what.checks_min), "correlate.what.checks_min: from 1 to {CHECKS_MAX}");
    for (name, nats) in [("sure", correlate.revise.sure), ("rival_min", correlate.revise.rival_min)] {
        anyhow::ensure!((-30.0..=30.0).contains(&nats), "correlate.revise.{name}: from -30 to 30");
    }
    anyhow::ensure!(place.outside > 0.0 && place.outside < 0.5, "correlate.place.outside: more than 0, less than 0.5");
    anyhow::ensure!((0.0..1.0).contains(&place.discount), "correlate.place.discount: from 0 to less than 1");
    for (name, number) in [
        ("place.concentration", place.concentration),
        ("place.strength", place.strength),
        ("what.prior", what.prior),
        ("what.shrinkage", what.shrinkage),
        ("place.root", place.root),
        ("what.openings", what.openings),
        ("what.unheard", what.unheard),
        ("background.daily", correlate.background.daily),
        ("background.weight", correlate.background.weight),
    ] {
        anyhow::ensure!(number > 0.0 && number < 1e6, "correlate.{name}: more than 0");
    }
    anyhow::ensure!((0.0..=1.0).contains(&correlate.background.company), "correlate.background.company: from 0 to 1");
    if let Some((name, _)) = correlate.weights.beyond() {
        anyhow::bail!("correlate.weights.{name}: from 0 to {}", Weights::MAX);
    }
    let said = &correlate.corrections;
    for (name, nats) in [("alert", said.alert), ("kind", said.kind), ("max", said.max)] {
        // What people forbid outweighs all that speaks for it.
        anyhow::ensure!((0.0..=30.0).contains(&nats), "correlate.corrections.{name}: from 0 to 30");
    }
    let wiring = &correlate.wiring;
    for (name, alerts) in [("alerts", wiring.alerts), ("alerts_known", wiring.alerts_known)] {
        anyhow::ensure!((1..=64).contains(&alerts), "correlate.wiring.{name}: from 1 to 64");
    }
    anyhow::ensure!(correlate.background.span.0 >= 1_000, "correlate.background.span: at least 1s");
    if let Some(wrong) = wrong_edge(&correlate.causality) {
        anyhow::bail!("correlate.causality{wrong}");
    }
    anyhow::ensure!(correlate.policy.len() <= GROUPINGS_MAX, "correlate.policy: at most {GROUPINGS_MAX}");
    let mut names = std::collections::BTreeSet::new();
    for (n, policy) in correlate.policy.iter().enumerate() {
        anyhow::ensure!(!policy.name.is_empty(), "correlate.policy[{n}].name: not empty");
        anyhow::ensure!(names.insert(&policy.name), "correlate.policy[{n}].name: `{}` stands twice", policy.name);
        let most = if policy.action == Action::Never { Some(1) } else { policy.breaks.max_alerts };
        let ever = most.is_none_or(|most| policy.min_alerts <= most);
        anyhow::ensure!(ever, "correlate.policy[{n}].min_alerts: a group never has so many");
    }
    Ok(())
}

fn validate_bounds(bounds: &Bounds) -> anyhow::Result<()> {
    for (name, most) in [
        ("words", bounds.words),
        ("grounds", bounds.grounds),
        ("episodes_per_ground", bounds.episodes_per_ground),
        ("grounds_per_episode", bounds.grounds_per_episode),
        ("hypotheses", bounds.hypotheses),
        ("checks_per_episode", bounds.checks_per_episode),
        ("partners", bounds.partners),
        ("links", bounds.links),
        ("rivals", bounds.rivals),
        ("joint_grounds", bounds.joint_grounds),
        ("joint", bounds.joint),
    ] {
        anyhow::ensure!((1..=BOUND_MAX).contains(&most), "correlate.bounds.{name}: from 1 to {BOUND_MAX}");
    }
    Ok(())
}
