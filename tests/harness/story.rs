//! A story in, conclusions out: a text table whose end says what must come of it.
//!
//! ```text
//! # A database outage drags its callers down.
//! topology db <- payments <- checkout      (services, each on an entity of its name; or JSON as in the file)
//! policy raise.settle = 1m                 (over the defaults; without it one alert raises after two minutes)
//! show incidents                           (how they stand at the end, too)
//! 00:00 firing db latency critical         (minutes and seconds, or hours too)
//! 00:10 firing payments errors major at=00:05 id=7 scope=eu origin=zabbix service=s labels.rack=r fingerprint=f source=a
//! 00:15 firing db latency major identity=replica-2 started=00:12 labels.rack=r7
//! 00:20 resolved db latency ended=00:18
//! 00:30 reach a                            (the source partition `a` is read until now)
//! 05:00 state 1 acknowledged by=ann id=r1 revision=2 comment=mine      (also assign 1 ann, comment 1, merge 1 2,
//!                                          split 1 db/latency, move db/latency 1 2, ticket 1 servicenow/INC7: on
//!                                          incidents by number)
//! 05:00 not_related db/latency 2           (also same_cause; of alerts and incidents)
//! 05:00 undo 1                             (the first correction that is kept)
//! 05:00 why-not 1 db/latency                           (incidents by number, alerts by name)
//! 05:00 normal db/latency_unusual                      (this is normal; with `undo`: it was not)
//! 00:40 topology db <- checkout            (instead of the one before)
//! 00:25 sample db latency_p99 812          (a measurement)
//! 01:00 sample db latency_p99 95,105,100 every=10s times=60    (sixty of them, over and over again)
//! 01:00 sample db latency_p99 95 every=10s times=60 late=5m    (each is of five minutes before)
//! 01:00 sample a,b cpu 1,2;3,4 every=1m times=60               (of two in turn, each with its own)
//! 00:25 silence {check="latency"} for=10m id=s1 from=01:00 scope=eu force
//! 00:25 maintenance w1 entities=db,payments for=10m from=01:00
//! 00:25 maintenance w2 services=db timezone=UTC days=thu times=22:00-04:00   (or matchers={check="latency"})
//! 00:28 expire s1
//! 10:00 tick                               (the wall clock; it ends a story)
//! --- concludes
//! 00:00 alert db/latency opened critical
//! ```
//!
//! A line's time is when it reaches Quell; `at` is the event's own time where that is another. Without a `source` events
//! come by HTTP. The conclusions stand in the order they were said, each with the time it is stamped with.
use anyhow::{Context, Result, bail, ensure};
use quell_core::{
    domain::{
        event::{Event, Kind, Status},
        policy::Policy,
        severity::Severity,
        time::{Span, Timestamp},
        topology::{Dependency, ServiceEntry, Topology, TopologyFile},
    },
    engine::{Engine, Input, Pack, Range},
    output::Outputs,
};
use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

mod asked;
mod command;
mod tell;

/// 2026-01-01T00:00:00Z: when stories begin.
const START: Timestamp = Timestamp(1_767_225_600_000);
const CONCLUDES: &str = "--- concludes";
/// How long one alert has to fire in a story: shorter than by default, which is of no interest to most.
const SETTLE: Span = Span::minutes(2);

/// What happens, before anything is concluded.
#[derive(Debug, Default)]
pub struct Story {
    pub policy: Policy,
    pub topology: TopologyFile,
    pub inputs: Vec<Input>,
    /// How incidents stand at the end is of interest too.
    shows: bool,
    /// How often the topology has changed.
    changes: u64,
    /// The next offset of each source partition.
    offsets: BTreeMap<String, i64>,
}

/// Whether the story at `path` ends as it says. With `BLESS=1` in the environment it is made to.
///
/// # Errors
/// Where it does not, or cannot be read.
pub fn check(path: &Path) -> Result<()> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let (happens, concludes) = text.split_once(CONCLUDES).unwrap_or((&text, ""));
    let found = Story::parse(happens)?.conclusions()?;
    if found.trim() == concludes.trim() {
        return Ok(());
    }
    if std::env::var_os("BLESS").is_some() {
        return Ok(fs::write(path, format!("{}\n{CONCLUDES}\n{found}", happens.trim_end()))?);
    }
    bail!("{}", difference(concludes.trim(), found.trim()))
}

impl Story {
    /// # Errors
    /// Names the line that cannot be read.
    pub fn parse(text: &str) -> Result<Self> {
        let mut story = Self::default();
        story.policy.raise.settle = SETTLE;
        for (n, line) in text.lines().enumerate() {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                story.read(line).with_context(|| format!("line {}: {line}", n + 1))?;
            }
        }
        Ok(story)
    }

    /// What is concluded, a line each.
    ///
    /// # Errors
    /// Where the topology is not valid, or the ledger does not balance.
    pub fn conclusions(&self) -> Result<String> {
        let mut engine = Engine::new([0; 16], Arc::new(self.policy.clone()), Arc::new(Topology::new(&self.topology)?));
        let mut out = Outputs::default();
        for (position, input) in self.inputs.iter().enumerate() {
            let input = &command::resolved(input, &mut engine);
            engine.step(position as u64, input, &mut out)?;
            ensure!(engine.ledger_balances(), "the ledger does not balance after {input:?}");
        }
        let stand = if self.shows { tell::stand(&mut engine) } else { String::new() };
        Ok(tell::tell(&out.items, &engine) + &stand)
    }

    fn read(&mut self, line: &str) -> Result<()> {
        let (first, rest) = line.split_once(' ').context("a line has at least two words")?;
        match first {
            "topology" => read_topology(&mut self.topology, rest),
            "policy" => self.read_policy(rest),
            "show" if rest == "incidents" => {
                self.shows = true;
                Ok(())
            }
            time => self.read_input(moment(time)?, rest),
        }
    }

    fn read_policy(&mut self, text: &str) -> Result<()> {
        let (key, value) = text.split_once('=').context("a policy is `key = value`")?;
        let mut policy = serde_json::to_value(&self.policy)?;
        let pointer = format!("/{}", key.trim().replace('.', "/"));
        let place = policy.pointer_mut(&pointer).context("no such key")?;
        *place = serde_json::from_str(value).unwrap_or_else(|_| value.trim().into());
        self.policy = serde_json::from_value(policy)?;
        Ok(())
    }

    fn read_input(&mut self, now: Timestamp, rest: &str) -> Result<()> {
        if let Some(command) = asked::read(now, rest, self.inputs.len())? {
            self.inputs.push(Input::Command(command));
            return Ok(());
        }
        let words: Vec<&str> = rest.split_whitespace().collect();
        let input = match words[..] {
            ["sample", entity, check, values, ref rest @ ..] => {
                return self.samples(now, [entity, check], values, rest);
            }
            ["tick"] => Input::Tick(now),
            ["settle"] => Input::Settle,
            ["topology", ..] => {
                let mut file = TopologyFile::default();
                read_topology(&mut file, rest.trim_start_matches("topology").trim())?;
                self.changes += 1;
                Input::Topology { version: 1 + self.changes, topology: Arc::new(Topology::new(&file)?) }
            }
            ["reach", source] => {
                let to = self.offsets.get(source).copied().unwrap_or(0);
                Input::Reaches(vec![range(source, to, to, Some(now))])
            }
            ["firing", entity, check, ref rest @ ..] => self.event(now, Status::Firing, [entity, check], rest)?,
            ["resolved", entity, check, ref rest @ ..] => self.event(now, Status::Resolved, [entity, check], rest)?,
            [
                "state" | "ack" | "assign" | "comment" | "merge" | "split" | "move" | "ticket" | "normal" | "why-not"
                | "same_cause" | "not_related" | "undo",
                ref rest @ ..,
            ] => Input::Command(command::read(now, words[0], rest, self.inputs.len())?),
            ["change", entity, check, ref rest @ ..] => {
                let mut input = self.event(now, Status::Firing, [entity, check], rest)?;
                if let Input::Pack(pack) = &mut input {
                    pack.events.iter_mut().for_each(|event| event.kind = Kind::Change);
                }
                input
            }
            _ => bail!("neither an event nor a command, a tick, a reach, a settle"),
        };
        self.inputs.push(input);
        Ok(())
    }

    fn samples(&mut self, now: Timestamp, what: [&str; 2], values: &str, rest: &[&str]) -> Result<()> {
        let [entities, check] = what;
        let read = |list: &str| list.split(',').map(str::parse).collect::<Result<Vec<f64>, _>>().context("no number");
        let lists = values.split(';').map(read).collect::<Result<Vec<_>>>()?;
        ensure!(lists.len() == entities.split(',').count(), "as many lists of values as entities");
        let (mut every, mut late, mut times, mut words) = (Span(0), Span(0), lists[0].len(), Vec::new());
        for word in rest {
            match word.split_once('=') {
                Some(("every", value)) => every = value.parse().map_err(anyhow::Error::msg)?,
                Some(("late", value)) => late = value.parse().map_err(anyhow::Error::msg)?,
                Some(("times", value)) => times = value.parse()?,
                _ => words.push(*word),
            }
        }
        for n in 0..times {
            for (entity, values) in entities.split(',').zip(&lists) {
                let at = now + Span(every.0 * n as i64);
                let mut input = self.event(at, Status::Firing, [entity, check], &words)?;
                if let Input::Pack(pack) = &mut input {
                    for event in &mut pack.events {
                        (event.kind, event.value) = (Kind::Sample, Some(values[n % values.len()]));
                        event.time = event.time - late;
                    }
                }
                self.inputs.push(input);
            }
        }
        Ok(())
    }

    fn event(&mut self, now: Timestamp, status: Status, what: [&str; 2], rest: &[&str]) -> Result<Input> {
        let [entity, check] = what.map(str::to_owned);
        let mut event = Event {
            id: format!("line-{}", self.inputs.len()),
            time: now,
            started_at: None,
            ended_at: None,
            origin: "monitor".to_owned(),
            entity,
            check,
            status,
            severity: Severity::Warning,
            summary: String::new(),
            value: None,
            labels: Vec::new(),
            service: String::new(),
            scope: "default".to_owned(),
            fingerprint: String::new(),
            identity: String::new(),
            part: 0,
            kind: Kind::Alert,
            arrival: now,
            offset: 0,
        };
        let mut source = None;
        for word in rest {
            match word.split_once('=') {
                None => event.severity = serde_json::from_value((*word).into())?,
                Some(("at", value)) => event.time = moment(value)?,
                Some(("id", value)) => value.clone_into(&mut event.id),
                Some(("scope", value)) => value.clone_into(&mut event.scope),
                Some(("origin", value)) => value.clone_into(&mut event.origin),
                Some(("service", value)) => value.clone_into(&mut event.service),
                Some(("identity", value)) => value.clone_into(&mut event.identity),
                Some(("started", value)) => event.started_at = Some(moment(value)?),
                Some(("ended", value)) => event.ended_at = Some(moment(value)?),
                Some(("fingerprint", value)) => value.clone_into(&mut event.fingerprint),
                Some(("summary", value)) => event.summary = value.replace('_', " "),
                Some(("source", value)) => source = Some(value),
                Some((key, value)) => {
                    let label = key.strip_prefix("labels.").with_context(|| format!("an event has no `{key}`"))?;
                    event.labels.push((label.to_owned(), value.to_owned()));
                }
            }
        }
        event.labels.sort();
        let range = source.map(|source| {
            let next = self.offsets.entry(source.to_owned()).or_default();
            event.offset = *next;
            *next += 1;
            range(source, event.offset, *next, None)
        });
        Ok(Input::Pack(Pack { range, events: vec![event], rejected: Vec::new() }))
    }
}

fn read_topology(topology: &mut TopologyFile, text: &str) -> Result<()> {
    if text.starts_with('{') {
        let mut more: TopologyFile = serde_json::from_str(text)?;
        topology.entities.append(&mut more.entities);
        topology.services.append(&mut more.services);
        return Ok(());
    }
    let mut callee: Option<Arc<str>> = None;
    for id in text.split("<-").map(|id| Arc::<str>::from(id.trim())) {
        let services = &mut topology.services;
        let known = services.iter().position(|s| s.id == id).unwrap_or_else(|| {
            services.push(ServiceEntry { id: id.clone(), entities: vec![id.clone()], ..ServiceEntry::default() });
            services.len() - 1
        });
        services[known].depends_on.extend(callee.replace(id).map(Dependency::from));
    }
    Ok(())
}

fn range(source: &str, after: i64, to: i64, reach: Option<Timestamp>) -> Range {
    Range { source: source.into(), incarnation: 0, session: 0, after, part: 0, to, reach }
}

/// `minutes:seconds` or `hours:minutes:seconds` after the start.
fn moment(text: &str) -> Result<Timestamp> {
    let parts = text.split(':').map(str::parse).collect::<Result<Vec<i64>, _>>();
    match parts.with_context(|| format!("`{text}` is no time"))?[..] {
        [minutes, seconds] => Ok(START + Span::seconds(60 * minutes + seconds)),
        [hours, minutes, seconds] => Ok(START + Span::seconds(3_600 * hours + 60 * minutes + seconds)),
        _ => bail!("`{text}` is no time"),
    }
}

/// What was expected and did not come, and what came instead.
fn difference(expected: &str, found: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (expected.lines().collect(), found.lines().collect());
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let after = |lines: &[&str], mark: &str| lines[same..].iter().map(|l| format!("{mark} {l}\n")).collect::<String>();
    format!("concludes otherwise, after {same} lines:\n{}{}", after(&old, "-"), after(&new, "+"))
}
