//! Small worlds in which much happens soon: few things, short windows, every kind of disorder.
use proptest::prelude::*;
use quell_core::{
    domain::{
        event::{Event, Kind, Status},
        policy::{Absence, Clock, ForecastOf, Inhibit, Policy, Silence, Storm},
        severity::Severity,
        time::{Span, Timestamp},
        topology::Topology,
    },
    engine::{Engine, Input, Pack, Range, Rejected},
    ledger::Outcome,
    output::{Body, Outputs, Verdict},
};
use std::{collections::BTreeMap, sync::Arc};

pub const START: i64 = 1_700_000_000_000;
pub const LATENESS: Span = Span::seconds(30);

/// Windows so short that a run of minutes meets them all.
pub fn hasty(clock: Clock) -> Policy {
    let mut policy = Policy { clock, ..Policy::default() };
    policy.deduplicate.lateness = LATENESS;
    policy.deduplicate.id_horizon = Span::seconds(60);
    policy.deduplicate.auto_clear = Span::seconds(90);
    policy.deduplicate.reopen_window = Span::seconds(60);
    policy.deduplicate.count_interval = Span::seconds(10);
    policy.flap.changes = 4;
    policy.flap.window = Span::seconds(60);
    policy.absence = vec![Absence {
        check: "heart*".to_owned(),
        origin: "*".to_owned(),
        after: Span::seconds(20),
        severity: Severity::Major,
    }];
    let thresholds = r#"[{"check": "errors", "entity": "web-*", "adaptive": "mad", "direction": "both", "warning": 4, "critical": 20},
        {"check": "*", "entity": "web-*", "warning": 10, "critical": 30}]"#;
    policy.score.threshold = serde_json::from_str(thresholds).expect("thresholds");
    policy.score.learn_samples = 16;
    policy.score.new_usual = Span::seconds(90);
    policy.score.old_usual = Span::seconds(200);
    policy.score.calm = Span::seconds(10);
    policy.score.forecast.of = ForecastOf::All;
    policy.score.forecast.ahead = Span::seconds(5);
    policy.score.cohesion.peers = serde_json::from_str(r#"[{"check": "latency"}]"#).expect("peers");
    policy.score.silence = Silence::All;
    policy.score.silence_min = Span::seconds(20);
    policy.score.keep = Span::seconds(300);
    policy.correlate.window = Span::seconds(40);
    policy.correlate.reopen = Span::seconds(20);
    policy.correlate.revise.after = Span::seconds(8);
    policy.correlate.revise.until = Span::seconds(50);
    policy.raise.settle = Span::seconds(20);
    policy.raise.many_settle = Span::seconds(5);
    policy.raise.resolve = Span::seconds(30);
    policy.raise.close = Span::seconds(60);
    policy.raise.keep = Span::seconds(60);
    suppressing(&mut policy);
    policy
}

/// The same, where each entity stands for itself, and two incidents are a storm.
pub fn stormy(clock: Clock) -> Policy {
    let mut policy = hasty(clock);
    let alone = r#"[{"name": "alone", "split_by": ["entity"]}]"#;
    policy.correlate.policy = serde_json::from_str(alone).expect("a policy");
    policy.raise.storm = Storm { incidents: 2, within: Span::seconds(60) };
    policy
}

/// A window now and then, and inhibition by a rule and by the topology.
fn suppressing(policy: &mut Policy) {
    let window = |id: &str, entity: &str, from: i64, until: i64| {
        let at = |seconds: i64| format!("2023-11-14T22:{:02}:{:02}Z", 13 + (20 + seconds) / 60, (20 + seconds) % 60);
        let text = format!(
            r#"{{"id": "{id}", "entities": ["{entity}"], "schedule": {{"start": "{}", "end": "{}"}}}}"#,
            at(from),
            at(until)
        );
        serde_json::from_str(&text).expect("a window")
    };
    // `START` is 2023-11-14T22:13:20Z.
    policy.maintenance =
        vec![window("one", "pay-1", 20, 60), window("two", "pay-1", 50, 90), window("three", "other", 100, 200)];
    policy.suppress.topology_down = "check=latency".parse().expect("matchers");
    policy.suppress.inhibit = vec![Inhibit {
        name: "rule".into(),
        source: "entity=web-1,severity=~\"major|critical\"".parse().expect("matchers"),
        target: "severity=~\"warning|minor|major\"".parse().expect("matchers"),
        equal: serde_json::from_str(r#"["check"]"#).expect("fields"),
        absent_equal: false,
    }];
}

pub fn topology() -> Topology {
    let file = r#"{
        "entities": [{"id": "db-1", "on": ["rack"]}, {"id": "pay-1", "on": ["rack"]}, {"id": "web-1", "on": ["db-1"]}],
        "services": [
            {"id": "db", "tier": 1, "entities": ["db-1"], "kpis": [
                {"id": "latency", "series": {"check": "latency"}, "importance": 8, "thresholds": {"low": 10, "critical": 40}},
                {"id": "errors", "series": {"check": "errors"}, "importance": 3, "thresholds": {"high": 20}}]},
            {"id": "payments", "depends_on": [{"id": "db", "impact": "as_is"}], "entities": ["pay-1"]},
            {"id": "checkout", "depends_on": ["payments"], "entities": ["web-1"]}]}"#;
    Topology::new(&serde_json::from_str(file).expect("a topology file")).expect("a valid topology")
}

pub fn engine(policy: &Policy) -> Engine {
    Engine::new([7; 16], Arc::new(policy.clone()), Arc::new(topology()))
}

/// What tells one event from another.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Seconds after the event before.
    pub gap: i64,
    /// Milliseconds that it is older than its arrival.
    pub delay: i64,
    pub entity: usize,
    pub check: usize,
    pub scope: usize,
    pub firing: bool,
    pub severity: Severity,
    /// Which of a condition's reports.
    pub identity: usize,
    /// How long before its time the condition began or ended, in seconds, if it says so; also what can't be.
    pub since: Option<i64>,
    pub kind: Kind,
    /// It repeats the id of the event so many before it.
    pub same_id: Option<usize>,
    /// Instead of one that follows from the gap.
    pub value: Option<f64>,
}

const SEVERITIES: [Severity; 5] =
    [Severity::Info, Severity::Warning, Severity::Minor, Severity::Major, Severity::Critical];

/// Up to `max` events, each at most `delay_max` milliseconds old on arrival.
pub fn drafts(max: usize, delay_max: i64) -> impl Strategy<Value = Vec<Draft>> {
    let gap = prop_oneof![3 => Just(0), 6 => 0..8_i64, 2 => 8..50_i64, 1 => 50..200_i64];
    // As old as it may be: the edge of the lateness.
    let delay = prop_oneof![4 => Just(0), 2 => 0..=delay_max, 1 => Just(delay_max)];
    let kind = prop_oneof![12 => Just(Kind::Alert), 6 => Just(Kind::Sample), 1 => Just(Kind::Change)];
    let same_id = prop_oneof![7 => Just(None), 1 => (0..6_usize).prop_map(Some)];
    let check = prop_oneof![4 => Just(0_usize), 4 => Just(1), 1 => Just(2)];
    let identity = prop_oneof![4 => Just(0_usize), 1 => Just(1), 1 => Just(2)];
    let since = prop_oneof![3 => Just(None), 1 => (-20..60_i64).prop_map(Some)];
    let what = (0..4_usize, check, 0..2_usize, any::<bool>(), 0..5_usize, identity, since);
    let draft = (gap, delay, what, kind, same_id);
    let draft =
        draft.prop_map(|(gap, delay, (entity, check, scope, firing, severity, identity, since), kind, same_id)| {
            Draft {
                gap,
                delay,
                entity,
                check,
                scope,
                firing,
                severity: SEVERITIES[severity],
                identity,
                since,
                kind,
                same_id,
                value: None,
            }
        });
    prop::collection::vec(draft, 1..max)
}

/// The same, of which some come to series that are known.
pub fn lives(max: usize, delay_max: i64) -> impl Strategy<Value = Vec<Draft>> {
    prop_oneof![15 => drafts(max, delay_max), 1 => known(max, delay_max)]
}

/// Rounds of samples, a second apart: after 30 detectors know what is usual (of a counter after twice as many), after as many more peers do.
const ROUNDS: usize = 76;
const LEAVES: usize = 12;

/// Drafts after so many samples that something can be said of them: of latency everywhere, of errors of one, which are few, and of another, which are
/// counted. Every second one is a sample, too.
pub fn known(max: usize, delay_max: i64) -> impl Strategy<Value = Vec<Draft>> {
    let sample = |entity: usize, check: usize, gap: i64, value: f64| Draft {
        gap,
        delay: 0,
        entity,
        check,
        scope: 0,
        firing: true,
        severity: Severity::Info,
        identity: 0,
        since: None,
        kind: Kind::Sample,
        same_id: None,
        value: Some(value),
    };
    let before = (0..ROUNDS).flat_map(move |round| {
        let value = 4.0 + (7 * round % 5) as f64 / 4.0;
        // Windows of maintenance are over by then.
        let gap = if round == 0 { 200 } else { 1 };
        let jump = if round + 1 < ROUNDS { 0 } else { 500 };
        let counted = sample(3, 1, gap, (10 * round + round * 7 % 3 + jump) as f64);
        let learned = (round >= ROUNDS / 2).then(|| sample(2, 1, 0, value));
        // In the end one does not go with the others, and what is counted jumps.
        let together = if round + LEAVES < ROUNDS { 0.0 } else { 2.0 };
        let peers = (0..4).map(|entity| sample(entity, 0, 0, value + if entity == 3 { 0.0 } else { together }));
        std::iter::once(counted).chain(learned).chain(peers.collect::<Vec<_>>())
    });
    let before: Vec<_> = before.collect();
    drafts(max, delay_max).prop_map(move |mut drafts| {
        for draft in drafts.iter_mut().step_by(2) {
            (draft.kind, draft.scope, draft.check) = (Kind::Sample, 0, draft.check.min(1));
        }
        [before.clone(), drafts].concat()
    })
}

/// The events of a draft by arrival, at offsets with holes.
pub fn events(drafts: &[Draft]) -> Vec<Event> {
    let mut arrival = START;
    let mut events: Vec<Event> = Vec::new();
    for (n, draft) in drafts.iter().enumerate() {
        arrival += draft.gap * 1_000;
        let repeated = draft.same_id.and_then(|back| n.checked_sub(back + 1)).map(|n| &events[n]);
        // Half of the repeated ids are redeliveries, half are another event.
        let (id, time) = match repeated {
            Some(before) if draft.firing => (before.id.clone(), before.time.0),
            Some(before) => (before.id.clone(), arrival - draft.delay),
            None => (format!("e{n}"), arrival - draft.delay),
        };
        let since = draft.since.map(|seconds| Timestamp(time - 1_000 * seconds));
        events.push(Event {
            id,
            time: Timestamp(time),
            started_at: since.filter(|_| draft.firing),
            ended_at: since.filter(|_| !draft.firing),
            origin: "tool".to_owned(),
            entity: ["db-1", "pay-1", "web-1", "other"][draft.entity].to_owned(),
            check: ["latency", "errors", "heartbeat"][draft.check].to_owned(),
            status: if draft.firing { Status::Firing } else { Status::Resolved },
            severity: draft.severity,
            summary: String::new(),
            // Spread over the thresholds, and the same each time.
            value: Some(draft.value.unwrap_or((draft.gap * 7 % 50) as f64)),
            labels: Vec::new(),
            service: String::new(),
            scope: ["east", "west"][draft.scope].to_owned(),
            fingerprint: String::new(),
            identity: ["", "warning", "critical"][draft.identity].to_owned(),
            part: 0,
            kind: draft.kind,
            arrival: Timestamp(arrival),
            offset: 3 * n as i64,
        });
    }
    events
}

/// A pack `(after, to]` of the source `t/0`.
pub fn pack(session: i64, after: i64, to: i64, events: Vec<Event>) -> Input {
    let range = Range { source: "t/0".into(), incarnation: 0, session, after, part: 0, to, reach: None };
    Input::Pack(Pack { range: Some(range), events, rejected: Vec::<Rejected>::new() })
}

/// A source has been read until `at`.
pub fn reach(to: i64, at: Timestamp) -> Input {
    let range = Range { source: "t/0".into(), incarnation: 0, session: 0, after: 0, part: 0, to, reach: Some(at) };
    Input::Reaches(vec![range])
}

/// What came of a run.
#[derive(Debug, Default, PartialEq)]
pub struct Run {
    /// With their numbers.
    pub said: Vec<(u64, Body)>,
    pub verdicts: Vec<Verdict>,
    pub ledger: BTreeMap<(String, Outcome), u64>,
}

impl Run {
    /// What it said in `scope`.
    pub fn of_scope(&self, scope: &str) -> Vec<&Body> {
        self.said.iter().map(|(_, body)| body).filter(|body| scope_of(body) == scope).collect()
    }
}

/// Folds inputs, and sees that the ledger balances after each.
pub fn fold(engine: &mut Engine, first: u64, inputs: &[Input]) -> Run {
    let mut out = Outputs::traced();
    for (n, input) in inputs.iter().enumerate() {
        engine.step(first + n as u64, input, &mut out).expect("the journal is its own");
        assert!(engine.ledger_balances(), "after {input:?}");
    }
    let mut ledger = BTreeMap::new();
    for (origin, outcome, count) in engine.ledger_counts() {
        *ledger.entry((origin.to_string(), outcome)).or_default() += count;
    }
    Run {
        said: out.items.into_iter().map(|o| (o.number, o.body)).collect(),
        verdicts: out.trace.expect("it is traced").verdicts,
        ledger,
    }
}

pub fn scope_of(body: &Body) -> &str {
    match body {
        Body::Incident(update) => &update.scope,
        Body::Alert(update) => &update.scope,
        Body::Service(update) => &update.scope,
        Body::IncidentGone { scope, .. } | Body::AlertGone { scope, .. } => scope,
        Body::Result(result) => &result.scope,
        Body::Silence(update) => &update.scope,
        Body::Window(update) => &update.scope,
        Body::Problem(update) => &update.scope,
        Body::ProblemGone { scope, .. } => scope,
        Body::Correction(update) => &update.scope,
        Body::CorrectionGone { scope, .. } => scope,
        Body::SuppressorGone { scope, .. } => scope,
        Body::DeadLetter(_) => "",
    }
}
