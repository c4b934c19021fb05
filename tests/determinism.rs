//! On real data, the demo's recording: every packing gives the same bytes, and so does a fold that is cut at any event by
//! a snapshot and a restore, in mid-pack and with timers pending.
use quell_connectors::{
    decode::{Context, Mapping, canonical},
    wire,
};
use quell_core::{
    domain::{
        event::Event,
        policy::{Clock, Policy},
        time::Timestamp,
        topology::Topology,
    },
    engine::{Engine, Input, Pack, Range},
    output::Outputs,
};
use std::sync::Arc;

const EVENTS: &str = include_str!("../engine/app/src/demo/recording/events.jsonl");
const TOPOLOGY: &str = include_str!("../engine/app/src/demo/recording/topology.json");
const JOURNAL: [u8; 16] = [7; 16];

struct Recording {
    events: Vec<Event>,
    policy: Arc<Policy>,
    topology: Arc<Topology>,
}

impl Recording {
    fn read() -> Self {
        let mapping = Mapping::default();
        let event = |(offset, line): (i64, &str)| {
            let arrival = Timestamp(0);
            let context = Context { arrival, offset, check_wall: false, mapping: &mapping, default_origin: "test" };
            canonical::decode(line.as_bytes(), &context).expect("a canonical event")
        };
        let file = serde_json::from_str(TOPOLOGY).expect("a topology file");
        Self {
            events: (0..).zip(EVENTS.lines()).map(event).collect(),
            policy: Arc::new(Policy { clock: Clock::Events, ..Policy::default() }),
            topology: Arc::new(Topology::new(&file).expect("a topology")),
        }
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
}

/// The outputs as they stand in their topics, but for the journal position.
#[derive(Default)]
struct Said(Vec<Vec<u8>>);

impl Said {
    fn step(&mut self, engine: &mut Engine, position: u64, input: &Input) {
        let mut outputs = Outputs::default();
        engine.step(position, input, &mut outputs).expect("folds");
        for output in outputs.items {
            let message = wire::output(&output);
            let frame = format!("{:?} {} {}", output.body.topic(), message.number, message.gone);
            self.0.push([frame.as_bytes(), &message.body].concat());
        }
    }
}

fn folded(recording: &Recording, pack_size: usize) -> (Vec<Vec<u8>>, Vec<u8>) {
    let (mut engine, mut said, mut position) = (recording.engine(), Said::default(), 0);
    let end = recording.events.len();
    for after in (0..end).step_by(pack_size) {
        said.step(&mut engine, position, &recording.pack(after, (after + pack_size).min(end)));
        position += 1;
    }
    said.step(&mut engine, 1_000_000, &Input::Settle);
    (said.0, engine.snapshot().expect("a snapshot"))
}

#[test]
fn every_packing_gives_the_same_bytes() {
    let recording = Recording::read();
    let whole = folded(&recording, recording.events.len());
    assert!(whole.0.len() > 100, "the recording says little");
    for pack_size in [1, 2, 7, 100] {
        assert!(folded(&recording, pack_size) == whole, "packs of {pack_size}");
    }
}

#[test]
fn a_snapshot_at_any_event_changes_nothing() {
    let recording = Recording::read();
    let end = recording.events.len();
    let pack_size = 50;
    let whole = folded(&recording, pack_size);
    for cut in 1..end {
        let (mut engine, mut said, mut position) = (recording.engine(), Said::default(), 0);
        for after in (0..end).step_by(pack_size) {
            let to = (after + pack_size).min(end);
            if (after + 1..=to).contains(&cut) {
                // In mid-pack: the part before the cut, the bytes of the production path, then the whole pack again.
                said.step(&mut engine, position, &recording.pack(after, cut));
                engine = recording.restored(&engine);
            }
            said.step(&mut engine, position, &recording.pack(after, to));
            position += 1;
        }
        said.step(&mut engine, 1_000_000, &Input::Settle);
        assert!(said.0 == whole.0, "outputs differ after a cut at event {cut}");
        assert!(engine.snapshot().expect("a snapshot") == whole.1, "memory differs after a cut at event {cut}");
    }
}
