//! What readers saw, against what an undisturbed engine says.
use super::{
    Failure, Scenario,
    broker::{Produced, TOPIC},
    world::{JOURNALS, policy, topology},
};
use bytes::Bytes;
use prost::Message as _;
use quell::{outputs::OutputReader, progress::Progress, snapshots};
use quell_connectors::{
    decode::{self, Mapping, canonical},
    log::{Log, LogError, Topic},
    wire::{self, Invalid},
};
use quell_core::{
    domain::{command::Command, time::Timestamp, topology::Topology},
    engine::{Engine, Input, Pack, Range, Rejected},
    output::{OutputTopic, Outputs},
};
use quell_proto::v1::{self, journal_record::Record};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

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
                Some(Body::Problem(problem)) => problem.name,
                Some(Body::Correction(correction)) => correction.name,
                None => String::new(),
            }
        }
    };
    said.entry((topic, name)).or_default().push(body.to_vec());
    Ok(())
}

/// A command, and how far the source partitions were folded when it came: by name, to the incarnation and the offset.
struct Asked {
    command: Command,
    after: BTreeMap<String, (u32, i64)>,
}

impl Asked {
    /// It came before a record of its scope's source partition.
    fn is_before(&self, source: &str, incarnation: u32, offset: i64) -> bool {
        self.after.get(source).is_none_or(|after| *after <= (incarnation, offset))
    }
}

/// The commands of a journal partition, each where it stands first. Only the journal tells where among the events that is:
/// packs that do not follow on what is folded, or were folded before, do not count.
fn commands(journal: &[Bytes]) -> Result<(Vec<Asked>, u64), Failure> {
    let (mut marks, mut known) = (BTreeMap::<String, (u32, i64)>::new(), BTreeSet::new());
    let (mut commands, mut again) = (Vec::new(), 0);
    for bytes in journal {
        let record = v1::JournalRecord::decode(bytes.clone()).map_err(|error| differs(error.to_string()))?;
        let ranges = match record.record {
            Some(Record::Pack(pack)) => pack.range.into_iter().collect(),
            Some(Record::Reaches(reaches)) => reaches.ranges,
            Some(Record::Command(command)) => {
                let command = wire::command::command_back(command).map_err(|Invalid(reason)| differs(reason))?;
                if known.insert(command.request_id.clone()) {
                    commands.push(Asked { command, after: marks.clone() });
                } else {
                    again += 1;
                }
                continue;
            }
            _ => continue,
        };
        for range in ranges {
            let mark = marks.entry(range.source).or_default();
            let start = (range.incarnation, range.session);
            if range.incarnation >= mark.0 && (range.incarnation, range.after) <= start.max(*mark) {
                *mark = start.max(*mark).max((range.incarnation, range.to));
            }
        }
    }
    Ok((commands, again))
}

/// What one engine says that folds the records in the order in which they were produced, and the commands where they came.
fn undisturbed(uuid: [u8; 16], history: &[Produced], asked: Vec<Asked>) -> Result<Said, Failure> {
    let topology = Topology::new(&topology()).map_err(|error| differs(error.to_string()))?;
    let mut engine = Engine::new(uuid, Arc::new(policy()), Arc::new(topology));
    let (mapping, mut outputs) = (Mapping::default(), Outputs::default());
    let mut inputs = Vec::new();
    let mut asked_of: BTreeMap<String, VecDeque<Asked>> = BTreeMap::new();
    for asked in asked {
        asked_of.entry(asked.command.scope.clone()).or_default().push_back(asked);
    }
    for record in history {
        let (offset, arrival) = (record.offset, Timestamp(record.timestamp_ms));
        let context = decode::Context { arrival, offset, check_wall: false, mapping: &mapping, default_origin: TOPIC };
        let (mut events, mut rejected) = (Vec::new(), Vec::new());
        match canonical::decode(&record.payload, &context) {
            Ok(event) => {
                let source = format!("{TOPIC}/{}", record.partition);
                let asked = asked_of.entry(event.scope.clone()).or_default();
                while let Some(first) = asked.pop_front_if(|a| a.is_before(&source, record.incarnation, offset)) {
                    inputs.push(Input::Command(first.command));
                }
                events.push(event);
            }
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
    inputs.extend(asked_of.into_values().flatten().map(|asked| Input::Command(asked.command)));
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
    journals: &[Vec<Bytes>],
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
    let mut asked = Vec::new();
    for journal in journals {
        let (commands, again) = commands(journal)?;
        asked.extend(commands);
        *seen.entry("commands that came again").or_default() += again;
    }
    *seen.entry("commands").or_default() += asked.len() as u64;
    let expected = undisturbed(uuid, history, asked)?;
    compare(&said, &expected)?;
    for (name, n) in results(&expected) {
        *seen.entry(name).or_default() += n;
    }
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

/// How commands ended.
fn results(said: &Said) -> [(&'static str, u64); 2] {
    let bodies = said.iter().filter(|((topic, _), _)| *topic == OutputTopic::Commands).flat_map(|(_, bodies)| bodies);
    let mut codes = [("commands done", 0), ("commands refused", 0)];
    for body in bodies.filter_map(|body| v1::CommandOutput::decode(&**body).ok()?.body) {
        if let v1::command_output::Body::Result(result) = body {
            codes[usize::from(result.code != 0)].1 += 1;
        }
    }
    codes
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
