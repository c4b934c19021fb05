//! On real data, the demo's recording, and on a stream with everything in it, with people at work: every packing gives the
//! same bytes, and so does a fold that is cut at any event by a snapshot and a restore, in mid-pack and with timers pending.
use prost::Message as _;
use quell_connectors::{
    decode::{Context, Mapping, canonical},
    wire,
};
use quell_core::{
    domain::{
        command::Command,
        event::Event,
        policy::{Clock, Policy},
        time::Timestamp,
        topology::Topology,
    },
    engine::{Engine, Input, Pack, Range},
    output::{OutputTopic, Outputs},
};
use quell_proto::v1;
use quell_tests::{people::People, stream};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use std::{collections::BTreeMap, sync::Arc};

const EVENTS: &str = include_str!("../engine/app/src/demo/recording/events.jsonl");
const TOPOLOGY: &str = include_str!("../engine/app/src/demo/recording/topology.json");
const JOURNAL: [u8; 16] = [7; 16];

struct Recording {
    events: Vec<Event>,
    /// What people asked for before the event of that number.
    commands: BTreeMap<usize, Vec<Command>>,
    policy: Arc<Policy>,
    topology: Arc<Topology>,
}

impl Recording {
    fn demo() -> Self {
        Self::of(EVENTS.lines(), TOPOLOGY)
    }

    fn made_up() -> Self {
        let stream = stream::generate(7, 1_000);
        Self::of(stream.iter().map(|event| &*event.json), &stream::topology())
    }

    fn of<'a>(lines: impl Iterator<Item = &'a str>, topology: &str) -> Self {
        let mapping = Mapping::default();
        let event = |(offset, line): (i64, &str)| {
            let arrival = Timestamp(0);
            let context = Context { arrival, offset, check_wall: false, mapping: &mapping, default_origin: "test" };
            canonical::decode(line.as_bytes(), &context).expect("a canonical event")
        };
        let file = serde_json::from_str(topology).expect("a topology file");
        let recording = Self {
            events: (0..).zip(lines).map(event).collect(),
            commands: BTreeMap::new(),
            policy: Arc::new(Policy { clock: Clock::Events, ..Policy::default() }),
            topology: Arc::new(Topology::new(&file).expect("a topology")),
        };
        recording.with_people()
    }

    /// With what people ask for who hear what is concluded, some of it twice.
    fn with_people(mut self) -> Self {
        let (mut people, mut random) = (People::new(1, "team"), StdRng::seed_from_u64(1));
        let (mut engine, mut said, mut heard) = (self.engine(), Said::default(), 0);
        for n in 0..self.events.len() {
            if random.random_bool(0.1)
                && let Some(command) = people.command()
            {
                let mut all = vec![command.clone()];
                if random.random_bool(0.3) {
                    all.extend([command.clone(), people.another(&command)]);
                }
                all.iter().for_each(|command| said.step(&mut engine, 0, &Input::Command(command.clone())));
                self.commands.insert(n, all);
            }
            said.step(&mut engine, 0, &self.pack(n, n + 1));
            for (_, output) in
                said.0[heard..].iter().filter(|(topic, o)| *topic == OutputTopic::Incidents && o.gone.is_empty())
            {
                let update = v1::IncidentUpdate::decode(&*output.body).expect("an update");
                people.hear(&update.incident.expect("an incident")).expect("names");
            }
            heard = said.0.len();
        }
        assert!(self.commands.len() > 10, "people ask for little");
        self
    }

    fn engine(&self) -> Engine {
        Engine::new(JOURNAL, self.policy.clone(), self.topology.clone())
    }

    /// Through the bytes that a log would hold.
    fn restored(&self, engine: &Engine) -> Engine {
        let bytes = engine.snapshot().expect("a snapshot");
        Engine::restore(&bytes, self.policy.clone(), vec![self.topology.clone()]).expect("restores")
    }

    /// Events `from..to` as one pack, which says that it follows on what ends at `after`.
    fn pack(&self, after: usize, to: usize) -> Input {
        let offset = |n: usize| i64::try_from(n).expect("few");
        let range = Range {
            source: "recording/0".into(),
            incarnation: 0,
            session: 0,
            after: offset(after),
            part: 0,
            to: offset(to),
            reach: None,
        };
        Input::Pack(Pack { range: Some(range), events: self.events[after..to].to_vec(), rejected: Vec::new() })
    }

    /// Where packs of at most `size` events begin and end: none goes beyond a command.
    fn packs(&self, size: usize) -> Vec<(usize, usize)> {
        let (mut packs, mut after) = (Vec::new(), 0);
        while after < self.events.len() {
            let end = self.commands.range(after + 1..).next().map_or(self.events.len(), |(n, _)| *n);
            packs.push((after, end.min(after + size)));
            after = end.min(after + size);
        }
        packs
    }

    /// Folds all in packs of a size, cut at an event if there is one: the part before the cut, the bytes of the production
    /// path, then the whole pack again.
    fn folded(&self, size: usize, cut: Option<usize>) -> (Said, Vec<u8>) {
        let (mut engine, mut said, mut position) = (self.engine(), Said::default(), 0);
        for (after, to) in self.packs(size) {
            for command in self.commands.get(&after).into_iter().flatten() {
                said.step(&mut engine, position, &Input::Command(command.clone()));
                position += 1;
            }
            if let Some(cut) = cut.filter(|cut| (after + 1..=to).contains(cut)) {
                said.step(&mut engine, position, &self.pack(after, cut));
                engine = self.restored(&engine);
            }
            said.step(&mut engine, position, &self.pack(after, to));
            position += 1;
        }
        // So that how many records there were before is no part of the memory.
        said.step(&mut engine, 1_000_000, &Input::Settle);
        (said, engine.snapshot().expect("a snapshot"))
    }
}

/// The outputs as they stand in their topics, but for the journal position.
#[derive(Default, PartialEq)]
struct Said(Vec<(OutputTopic, v1::Output)>);

impl Said {
    fn step(&mut self, engine: &mut Engine, position: u64, input: &Input) {
        let mut outputs = Outputs::default();
        engine.step(position, input, &mut outputs).expect("folds");
        for output in outputs.items {
            let message = v1::Output { position: 0, ..wire::output(&output) };
            self.0.push((output.body.topic(), message));
        }
    }
}

#[test]
fn every_packing_gives_the_same_bytes() {
    for recording in [Recording::demo(), Recording::made_up()] {
        let whole = recording.folded(recording.events.len(), None);
        assert!(whole.0.0.len() > 100, "the recording says little");
        for size in [1, 2, 7, 100] {
            assert!(recording.folded(size, None) == whole, "packs of {size}");
        }
    }
}

/// Every so many events.
fn cut(recording: &Recording, every: usize) {
    let whole = recording.folded(50, None);
    for cut in (1..recording.events.len()).step_by(every) {
        let (said, memory) = recording.folded(50, Some(cut));
        assert!(said == whole.0, "outputs differ after a cut at event {cut}");
        assert!(memory == whole.1, "memory differs after a cut at event {cut}");
    }
}

#[test]
fn a_snapshot_at_any_event_changes_nothing() {
    cut(&Recording::demo(), 1);
}

#[test]
fn a_snapshot_changes_nothing_with_every_organ_in() {
    cut(&Recording::made_up(), 17);
}
