//! The reasons are the decision: what is told of each placement, each move and each merge sums to the number that decided.
use anyhow::{Context as _, anyhow, ensure};
use quell_connectors::{
    decode::{Context, Mapping, canonical},
    wire,
};
use quell_core::{
    domain::{
        apart::Subject,
        command::{Action, Command},
        episode::Evidence,
        policy::{CausalEdge, Clock, Policy},
        time::{Span, Timestamp},
        topology::Topology,
    },
    engine::{Engine, Input, Pack},
    output::{Body, IncidentUpdate, Outputs, United, Weighed},
};
use quell_proto::v1::ReasonPart;
use quell_tests::stream;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

const EVENTS: &str = include_str!("../engine/app/src/demo/recording/events.jsonl");
const TOPOLOGY: &str = include_str!("../engine/app/src/demo/recording/topology.json");
/// 2026-01-05T00:00:00Z, in milliseconds.
const EPOCH_MS: i64 = 1_767_571_200_000;
/// A factor of nothing is taken as this, so that it has a logarithm: in thousandths of a nat.
const FLOOR: i64 = -27_631;
/// Each part is rounded by half of a thousandth at most, and there are six.
const ROUNDED: i64 = 4;

/// What was decided of an alert: the sum, the margin, and what the next best had.
type Told = (i64, i64, i64);

struct World {
    engine: Engine,
    policy: Arc<Policy>,
    out: Outputs,
    position: u64,
    /// By the API's name.
    decided: BTreeMap<String, BTreeSet<Told>>,
    /// Sums of merges.
    united: BTreeSet<i64>,
    counts: Counts,
}

/// Of what was there to be looked at.
#[derive(Debug, Default)]
struct Counts {
    joined: usize,
    /// By what is known to cause what, too.
    known: usize,
    founded: usize,
    moved: usize,
    merged: usize,
    told: usize,
    told_merges: usize,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.joined += other.joined;
        self.known += other.known;
        self.founded += other.founded;
        self.moved += other.moved;
        self.merged += other.merged;
        self.told += other.told;
        self.told_merges += other.told_merges;
    }
}

impl World {
    fn of<'a>(lines: impl Iterator<Item = &'a str>, topology: &str, policy: Policy) -> anyhow::Result<Self> {
        let policy = Arc::new(Policy { clock: Clock::Events, ..policy });
        let topology = Arc::new(Topology::new(&serde_json::from_str(topology)?)?);
        let engine = Engine::new([3; 16], policy.clone(), topology);
        let mut world = Self {
            engine,
            policy,
            out: Outputs::traced(),
            position: 0,
            decided: BTreeMap::new(),
            united: BTreeSet::new(),
            counts: Counts::default(),
        };
        for (offset, line) in (0..).zip(lines) {
            world.fold(&pack(offset, line)?)?;
        }
        world.fold(&Input::Settle)?;
        Ok(world)
    }

    fn fold(&mut self, input: &Input) -> anyhow::Result<()> {
        self.engine.step(self.position, input, &mut self.out)?;
        self.position += 1;
        let trace = self.out.trace.as_mut().context("a trace")?;
        let (weighed, united) = (std::mem::take(&mut trace.weighed), std::mem::take(&mut trace.united));
        for one in weighed {
            self.weighed(&one).with_context(|| format!("{one:?}"))?;
        }
        for one in united {
            self.united(&one).with_context(|| format!("{one:?}"))?;
        }
        for output in std::mem::take(&mut self.out.items) {
            if let Body::Incident(update) = output.body {
                self.told(&update)?;
            }
        }
        Ok(())
    }

    /// A decision, against what it was decided by.
    fn weighed(&mut self, one: &Weighed) -> anyhow::Result<()> {
        let Weighed { evidence, total, needed, second, .. } = one;
        let (sum, parts) = (evidence.total(), evidence.parts().map(|(_, part)| i64::from(part)).collect::<Vec<_>>());
        ensure!(sum == parts.iter().sum::<i64>(), "not the sum of its parts");
        if one.founds {
            ensure!(*evidence == Evidence { margin: evidence.margin, next: evidence.next, ..Evidence::default() });
            ensure!(total <= needed && i64::from(evidence.margin) == narrow(-second));
            self.counts.founded += 1;
        } else {
            let nucleation = self.policy.correlate.revise.nucleation * 1_000.0;
            ensure!(sum == *total, "the parts sum to {sum}");
            ensure!(total > needed || !one.moves && one.together as f64 > nucleation, "not enough");
            ensure!(i64::from(evidence.margin) == narrow(total - second), "the margin is another one");
            ensure!(parts.contains(&FLOOR) || (one.odds - total).abs() <= ROUNDED, "the odds are others");
            ensure!(*second >= 0, "one of its own weighs 0");
            self.counts.joined += usize::from(!one.moves);
            self.counts.known += usize::from(evidence.causality > 0);
        }
        self.counts.moved += usize::from(one.moves);
        let name = quell_core::domain::alert::Alert::name(&one.scope, one.alert);
        self.decided.entry(name).or_default().insert((sum, evidence.margin.into(), sum - i64::from(evidence.margin)));
        Ok(())
    }

    fn united(&mut self, one: &United) -> anyhow::Result<()> {
        if let Some(gain) = one.gain {
            ensure!(gain.total() == one.total && gain.parts().map(|(_, part)| part).sum::<i64>() == one.total);
            ensure!(one.total > 0, "apart they are likelier");
            self.united.insert(one.total);
            self.counts.merged += 1;
        }
        Ok(())
    }

    /// What the API says is what was decided.
    fn told(&mut self, update: &IncidentUpdate) -> anyhow::Result<()> {
        let incident = wire::incident_update(update).incident.context("an incident")?;
        for alert in &incident.alerts {
            let Some(next) = &alert.next_best else {
                ensure!(alert.parts.is_empty(), "it was weighed against nothing: {alert:?}");
                continue;
            };
            let told = (sum(&alert.parts), thousandths(alert.margin), thousandths(next.log_odds));
            let decided = self.decided.get(&alert.name).is_some_and(|decided| decided.contains(&told));
            ensure!(decided, "{told:?} was not decided: {alert:?}");
            self.counts.told += 1;
        }
        for merge in &incident.merges {
            ensure!(self.united.contains(&sum(&merge.parts)), "{merge:?}");
            self.counts.told_merges += 1;
        }
        Ok(())
    }
}

fn pack(offset: i64, line: &str) -> anyhow::Result<Input> {
    let (arrival, mapping) = (Timestamp(0), Mapping::default());
    let context = Context { arrival, offset, check_wall: false, mapping: &mapping, default_origin: "test" };
    let event = canonical::decode(line.as_bytes(), &context).map_err(|refused| anyhow!("{refused:?}"))?;
    Ok(Input::Pack(Pack { range: None, events: vec![event], rejected: Vec::new() }))
}

fn narrow(millinats: i64) -> i64 {
    millinats.clamp(i16::MIN.into(), i16::MAX.into())
}

fn thousandths(log_odds: f64) -> i64 {
    (log_odds * 1_000.0).round() as i64
}

fn sum(parts: &[ReasonPart]) -> i64 {
    parts.iter().map(|part| thousandths(part.log_odds)).sum()
}

#[test]
fn the_demo_is_told_as_it_was_decided() -> anyhow::Result<()> {
    let counts = World::of(EVENTS.lines(), TOPOLOGY, Policy::default())?.counts;
    let Counts { joined, founded, merged, told, told_merges, .. } = counts;
    ensure!(joined > 20 && founded > 5 && merged > 0 && told > 100 && told_merges > 0, "{counts:?}");
    Ok(())
}

#[test]
fn made_up_streams_are_told_as_they_were_decided() -> anyhow::Result<()> {
    let mut all = Counts::default();
    for seed in 1..4 {
        let stream = stream::generate(seed, 2_000);
        let events = stream.iter().map(|event| &*event.json);
        all.add(World::of(events, &stream::topology(), Policy::default())?.counts);
        all.add(World::of(stream::crowded(seed).iter().map(|event| &**event), "{}", Policy::default())?.counts);
    }
    let Counts { joined, founded, moved, merged, told, told_merges, .. } = all;
    ensure!(joined > 500 && founded > 300 && moved > 5 && merged > 20, "{all:?}");
    ensure!(told > 10_000 && told_merges > 200, "{all:?}");
    Ok(())
}

#[test]
fn what_is_known_to_cause_what_is_told_as_it_decided() -> anyhow::Result<()> {
    let edge = |cause: &str, effect: &str| CausalEdge {
        cause: cause.to_owned(),
        effect: effect.to_owned(),
        share: 0.8,
        within: Span::seconds(30),
    };
    let (mut counts, mut plain) = (Counts::default(), Counts::default());
    for seed in 1..4 {
        let events = stream::crowded(seed);
        let of = |policy| World::of(events.iter().map(|event| &**event), "{}", policy);
        let mut policy = Policy::default();
        plain.add(of(policy.clone())?.counts);
        policy.correlate.causality = vec![edge("disk", "latency"), edge("latency", "errors"), edge("up", "queue")];
        counts.add(of(policy)?.counts);
    }
    let Counts { known, told, told_merges, .. } = counts;
    ensure!(known > 20 && told > 1_000 && told_merges > 10, "{counts:?}");
    ensure!(plain.known == 0 && plain.joined != counts.joined, "{plain:?} {counts:?}");
    Ok(())
}

/// What is said of incidents and alerts, and how many answers were looked at, where so many questions are asked.
fn asked(events: &[String], questions: usize, random: &mut StdRng) -> anyhow::Result<(String, usize, usize)> {
    let mut world = World::of(std::iter::empty(), "{}", Policy::default())?;
    let (mut said, mut answers, mut weighed) = (String::new(), 0, 0);
    for (n, line) in events.iter().enumerate() {
        let input = pack(n as i64, line)?;
        world.engine.step(world.position, &input, &mut world.out)?;
        world.position += 1;
        for _ in 0..questions {
            let views = world.engine.views();
            let alerts = views.iter().flat_map(|view| &view.alerts).map(|update| Subject::Alert(update.alert.id));
            let incidents = views.iter().flat_map(|view| &view.incidents);
            let mut subjects: Vec<_> = alerts.chain(incidents.map(|i| Subject::Incident(i.incident.id))).collect();
            subjects.sort_by_key(|subject| format!("{subject:?}"));
            let mut one = || subjects[random.random_range(0..subjects.len())];
            let (request_id, action) = (format!("q-{}", world.position), Action::WhyNot(one(), one()));
            let scope = "default".to_owned();
            let at = Timestamp(EPOCH_MS);
            let question = Command { request_id, actor: String::new(), scope, at, action, digest: 0 };
            world.engine.step(world.position, &Input::Command(question), &mut world.out)?;
            world.position += 1;
        }
        for output in std::mem::take(&mut world.out.items) {
            match output.body {
                Body::Result(result) => {
                    let Some(answer) = &result.answer else { continue };
                    ensure!(
                        !answer.verdict.is_empty()
                            && (answer.together || !answer.notes.is_empty() || !answer.weighed.is_empty())
                    );
                    for weighing in &answer.weighed {
                        let sum: i64 = weighing.parts.iter().map(|part| part.millinats).sum();
                        ensure!(sum == weighing.total, "{weighing:?}");
                        ensure!(weighing.parts.iter().all(|part| !part.text.is_empty()), "{weighing:?}");
                    }
                    answers += 1;
                    weighed += answer.weighed.len();
                }
                body => said.push_str(&format!("{body:?}\n")),
            }
        }
    }
    Ok((said, answers, weighed))
}

#[test]
fn questions_are_answered_by_the_model_and_change_nothing() -> anyhow::Result<()> {
    let events = stream::crowded(9);
    let mut random = StdRng::seed_from_u64(9);
    let (unasked, ..) = asked(&events, 0, &mut random)?;
    let (said, answers, weighed) = asked(&events, 1, &mut random)?;
    ensure!(said == unasked, "a question changed what is concluded");
    ensure!(answers > 500 && weighed > 200, "{answers} {weighed}");
    Ok(())
}
