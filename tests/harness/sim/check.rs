//! What readers saw, against what an undisturbed engine says.
use super::{
    Failure, Scenario,
    broker::{Produced, TOPIC},
    world::{JOURNALS, policy, topology},
};
use prost::Message as _;
use quell::{outputs::OutputReader, progress::Progress, snapshots};
use quell_connectors::{
    decode::{self, Mapping, canonical},
    log::{Log, LogError, Topic},
    wire,
};
use quell_core::{
    domain::{time::Timestamp, topology::Topology},
    engine::{Engine, Input, Pack, Range, Rejected},
    output::{OutputTopic, Outputs},
};
use quell_proto::v1;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// What was said of each thing, in order: by topic and name.
type Said = BTreeMap<(OutputTopic, String), Vec<Vec<u8>>>;

/// The fewest incidents that a run must tell.
const INCIDENTS_MIN: usize = 20;

fn differs(what: impl Into<String>) -> Failure {
    Failure::Differs(what.into())
}

fn failed(error: &LogError) -> Failure {
    Failure::Stuck(error.to_string())
}

/// Adds an output to what was said of its thing.
fn add(said: &mut Said, topic: OutputTopic, output: &v1::Output) -> Result<(), Failure> {
    let unreadable = |error: prost::DecodeError| differs(format!("an output of {topic:?} can't be read: {error}"));
    let body = &*output.body;
    let name = match topic {
        _ if !output.gone.is_empty() => output.gone.clone(),
        OutputTopic::Incidents => {
            let update = v1::IncidentUpdate::decode(body).map_err(unreadable)?;
            update.incident.map(|incident| incident.name).unwrap_or_default()
        }
        OutputTopic::Alerts => v1::Alert::decode(body).map_err(unreadable)?.name,
        OutputTopic::Health => v1::Service::decode(body).map_err(unreadable)?.name,
        OutputTopic::DeadLetter => {
            let letter = v1::DeadLetter::decode(body).map_err(unreadable)?;
            format!("{}:{}", letter.source, letter.offset)
        }
        OutputTopic::Commands => {
            use v1::command_output::Body;
            match v1::CommandOutput::decode(body).map_err(unreadable)?.body {
                Some(Body::Result(result)) => result.request_id,
                Some(Body::Silence(silence)) => silence.name,
                Some(Body::MaintenanceWindow(window)) => window.name,
                None => String::new(),
            }
        }
    };
    said.entry((topic, name)).or_default().push(body.to_vec());
    Ok(())
}

/// What one engine says that folds the records in the order in which they were produced.
fn undisturbed(uuid: [u8; 16], history: &[Produced]) -> Result<Said, Failure> {
    let topology = Topology::new(&topology()).map_err(|error| differs(error.to_string()))?;
    let mut engine = Engine::new(uuid, Arc::new(policy()), Arc::new(topology));
    let (mapping, mut outputs) = (Mapping::default(), Outputs::default());
    let mut inputs = Vec::new();
    for record in history {
        let (offset, arrival) = (record.offset, Timestamp(record.timestamp_ms));
        let context = decode::Context { arrival, offset, check_wall: false, mapping: &mapping, default_origin: TOPIC };
        let (mut events, mut rejected) = (Vec::new(), Vec::new());
        match canonical::decode(&record.payload, &context) {
            Ok(event) => events.push(event),
            Err(why) => {
                let payload = record.payload.to_vec();
                rejected.push(Rejected { offset, part: 0, reason: why.reason, payload, arrival });
            }
        }
        let range = Some(Range {
            source: format!("{TOPIC}/{}", record.partition).into(),
            incarnation: record.incarnation,
            session: 0,
            after: offset,
            part: 0,
            to: offset + 1,
            reach: None,
        });
        inputs.push(Input::Pack(Pack { range, events, rejected }));
    }
    inputs.push(Input::Settle);
    for (position, input) in (0..).zip(&inputs) {
        engine.step(position, input, &mut outputs).map_err(|error| differs(error.to_string()))?;
    }
    let mut said = Said::new();
    for output in &outputs.items {
        add(&mut said, output.body.topic(), &wire::output(output))?;
    }
    Ok(said)
}

/// What a reader of an output topic takes, from some mark on.
async fn read(
    log: &Arc<dyn Log>,
    (topic, partition): (OutputTopic, u32),
    uuid: [u8; 16],
    from: (u64, u64),
    skip: bool,
) -> Result<(Vec<v1::Output>, OutputReader), Failure> {
    let place = (wire::topic(topic), partition);
    let end = log.extent(place.0, place.1).await.map_err(|error| failed(&error))?.end;
    let opened = OutputReader::open(log, place, uuid, from, skip).await;
    let mut reader = opened.map_err(|error| failed(&error))?;
    let mut outputs = Vec::new();
    while !reader.is_past(end) {
        let next = reader.next(Duration::from_millis(10)).await.map_err(|error| differs(error.to_string()))?;
        outputs.extend(next.map(|next| next.output));
    }
    Ok((outputs, reader))
}

/// Compares all topics; and what it met on the way, for the [`Bite`](super::Bite).
///
/// # Errors
/// With the first difference.
pub async fn check(
    log: &Arc<dyn Log>,
    uuid: [u8; 16],
    history: &[Produced],
    scenario: Scenario,
    progress: &[Arc<Progress>],
) -> Result<BTreeMap<&'static str, u64>, Failure> {
    let mut said = Said::new();
    let mut seen: BTreeMap<&'static str, u64> = BTreeMap::new();
    for partition in 0..JOURNALS {
        let (kept, _) = snapshots::read(log, partition, uuid).await.map_err(|error| failed(&error))?;
        for topic in OutputTopic::ALL {
            let place = (topic, partition);
            let (outputs, reader) = read(log, place, uuid, (0, 0), scenario.rules.readers_skip).await?;
            let number = reader.number;
            *seen.entry("duplicates skipped").or_default() += reader.skipped;
            outputs.iter().try_for_each(|output| add(&mut said, topic, output))?;
            for snapshot in &kept {
                let mark = snapshot.outputs[topic as usize];
                let last = read(log, place, uuid, (mark.number, mark.next), true).await?.1.number;
                if last != number {
                    let from = snapshot.position;
                    return Err(differs(format!(
                        "{topic:?}/{partition}: who starts at the snapshot of {from} with {mark:?} reaches {last}, not {number}"
                    )));
                }
            }
        }
        let oldest = log.extent(Topic::Journal, partition).await.map_err(|error| failed(&error))?.oldest;
        *seen.entry("journal partitions trimmed").or_default() += u64::from(oldest > 0);
    }
    compare(&said, &undisturbed(uuid, history)?)?;
    for progress in progress {
        let (mut events, mut ignored, mut skipped) = (0, 0, 0);
        for counts in progress.counts() {
            events += counts.ledger.values().sum::<u64>() + counts.held;
            ignored += counts.packs_ignored;
            skipped += counts.records_skipped;
        }
        if events != history.len() as u64 {
            return Err(differs(format!("the ledger has {events} events of {}", history.len())));
        }
        *seen.entry("packs ignored").or_default() += ignored;
        *seen.entry("records of overlapping packs skipped").or_default() += skipped;
    }
    Ok(seen)
}

fn compare(said: &Said, expected: &Said) -> Result<(), Failure> {
    let incidents = expected.keys().filter(|(topic, _)| *topic == OutputTopic::Incidents).count();
    if incidents < INCIDENTS_MIN {
        return Err(Failure::Dull(incidents));
    }
    for (key @ (topic, name), bodies) in said {
        if *topic == OutputTopic::Incidents {
            dense(name, bodies)?;
        }
        if !expected.contains_key(key) {
            return Err(differs(format!("{topic:?} {name} should not be there")));
        }
    }
    for (key @ (topic, name), expected) in expected {
        let found = said.get(key).map_or(&[][..], Vec::as_slice);
        if found != expected {
            let same = found.iter().zip(expected).take_while(|(a, b)| a == b).count();
            let (n, of) = (found.len(), expected.len());
            return Err(differs(format!("{topic:?} {name}: {n} updates instead of {of}, the first {same} alike")));
        }
    }
    Ok(())
}

/// An incident's revisions are 1, 2, 3…
fn dense(name: &str, bodies: &[Vec<u8>]) -> Result<(), Failure> {
    let updates = bodies.iter().filter_map(|body| v1::IncidentUpdate::decode(&**body).ok()?.incident);
    // What says that it is gone has no revision.
    for (update, expected) in updates.zip(1..) {
        if update.revision != expected {
            return Err(differs(format!("{name}: revision {} where {expected} should come", update.revision)));
        }
    }
    Ok(())
}
