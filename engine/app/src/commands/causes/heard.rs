//! What fired in a history, and which entities are neighbours.
use crate::commands::{
    BadInput, open,
    replay::{Setup, feed::Feed, journal::Recorded},
    unreadable,
};
use anyhow::Context as _;
use quell_core::{
    domain::{
        event::{Event, Kind, Status},
        topology::Topology,
    },
    engine::{Input, Pack},
};
use quell_train::causality;
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
};

/// A scope and an entity of it.
type Place = (String, String);

/// What fired, with checks and entities as numbers.
#[derive(Debug, Default)]
pub struct Heard {
    pub events: Vec<causality::Event>,
    /// Neighbours that both have something in it.
    pub links: Vec<(u32, u32)>,
    /// Lines and records that are no events.
    pub rejected: u64,
    /// Names of the checks, by number.
    checks: Vec<String>,
}

/// What is known of it while it is read.
#[derive(Default)]
struct Reading {
    events: Vec<causality::Event>,
    rejected: u64,
    checks: BTreeMap<String, u32>,
    places: BTreeMap<Place, u32>,
}

/// Of recorded events.
pub fn events(path: &Path, config: Option<&Path>, topology: Option<&Path>) -> anyhow::Result<Heard> {
    let setup = Setup::load(config, topology, None)?;
    let (name, input) = open(path, io::stdin().lock())?;
    let unreadable = |error: io::Error| unreadable(&name, &error);
    let mut feed = Feed::new(&setup, &name, None, input);
    let mut pack = Pack { range: None, events: Vec::new(), rejected: Vec::new() };
    let mut reading = Reading::default();
    while feed.fill(&mut pack).map_err(unreadable)? {
        reading.take(&pack);
        pack.events.clear();
        pack.rejected.clear();
    }
    Ok(reading.heard(&setup.topology))
}

/// Of a journal, with the topology that was in effect last.
pub async fn journal(config: Option<&Path>, dir: Option<&Path>) -> anyhow::Result<Heard> {
    let recorded = Recorded::open(config, dir).await?;
    let mut reading = Reading::default();
    for partition in 0..recorded.contents.partitions {
        let take = |_, input| {
            if let Input::Pack(pack) = input {
                reading.take(&pack);
            }
            Ok(())
        };
        recorded.each(partition, take).await?;
    }
    let latest = recorded.contents.latest().topologies.first().copied().unwrap_or_default();
    let topology = recorded.contents.topology(latest);
    let topology = topology.context(BadInput("the journal has no topology yet".to_owned()))?;
    Ok(reading.heard(&topology))
}

impl Heard {
    /// The name of a check.
    pub fn check(&self, number: u32) -> String {
        self.checks.get(number as usize).cloned().unwrap_or_default()
    }
}

impl Reading {
    fn take(&mut self, pack: &Pack) {
        self.rejected += pack.rejected.len() as u64;
        for event in pack.events.iter().filter(|event| event.kind == Kind::Alert && event.status == Status::Firing) {
            let Event { check, entity, scope, time, .. } = event;
            let kind = number(&mut self.checks, check.clone());
            let place = number(&mut self.places, (scope.clone(), entity.clone()));
            self.events.push(causality::Event { kind, place, at: time.0 });
        }
    }

    /// Numbered by their names, whatever came first.
    fn heard(self, topology: &Topology) -> Heard {
        let (kinds, places) = (ranks(self.checks.values()), ranks(self.places.values()));
        let sorted = |event: &causality::Event| causality::Event {
            kind: kinds[event.kind as usize],
            place: places[event.place as usize],
            ..*event
        };
        let events = self.events.iter().map(sorted).collect();
        let places: BTreeMap<Place, u32> = (0..).zip(self.places).map(|(rank, (place, _))| (place, rank)).collect();
        let links = links(&places, topology);
        Heard { events, links, rejected: self.rejected, checks: self.checks.into_keys().collect() }
    }
}

fn number<K: Ord>(numbers: &mut BTreeMap<K, u32>, key: K) -> u32 {
    let next = numbers.len() as u32;
    *numbers.entry(key).or_insert(next)
}

/// The rank of each number, of numbers in order of their names.
fn ranks<'a>(numbers: impl ExactSizeIterator<Item = &'a u32>) -> Vec<u32> {
    let mut ranks = vec![0; numbers.len()];
    for (rank, number) in (0..).zip(numbers) {
        ranks[*number as usize] = rank;
    }
    ranks
}

/// The neighbours of each place that are places too, each pair once.
fn links(places: &BTreeMap<Place, u32>, topology: &Topology) -> Vec<(u32, u32)> {
    let mut links = BTreeSet::new();
    for ((scope, id), place) in places {
        let near = neighbours(scope, id, topology);
        let known = near.into_iter().filter_map(|other| places.get(&(scope.clone(), other)));
        links.extend(known.filter(|other| *other != place).map(|other| (*place.min(other), *place.max(other))));
    }
    links.into_iter().collect()
}

/// What a name is linked to, runs on, and serves; of a service, its entities; and those of the services that depend on each other.
fn neighbours(scope: &str, id: &str, topology: &Topology) -> BTreeSet<String> {
    let mut near = BTreeSet::new();
    let mut services = Vec::new();
    if let Some(entity) = topology.entity(scope, id) {
        near.extend(entity.linked.iter().chain(&entity.on).chain(&entity.services).map(|name| name.to_string()));
        services.extend(entity.services.iter().map(|service| &**service));
    }
    if let Some(service) = topology.service(scope, id) {
        near.extend(service.entities.iter().map(|entity| entity.to_string()));
        services.push(id);
    }
    for service in services.into_iter().filter_map(|service| topology.service(scope, service)) {
        for other in service.depends_on.keys().chain(&service.dependents) {
            near.insert(other.to_string());
            let entities = topology.service(scope, other).into_iter().flat_map(|service| &service.entities);
            near.extend(entities.map(|entity| entity.to_string()));
        }
    }
    near
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_what_an_outage_passes() {
        let file = serde_json::from_str(
            r#"{"entities": [{"id": "vm-1", "on": ["rack-1"], "linked": ["switch-1"]}, {"id": "vm-2", "on": ["rack-1"]}],
                "services": [{"id": "db", "entities": ["vm-1"]}, {"id": "shop", "entities": ["vm-2", "vm-3"], "depends_on": ["db"]}]}"#,
        );
        let topology = Topology::new(&file.expect("a file")).expect("a topology");
        let names = ["vm-1", "vm-2", "vm-3", "rack-1", "switch-1", "db", "shop", "other"];
        let places: BTreeMap<Place, u32> =
            (0..).zip(names).map(|(n, name)| (("default".to_owned(), name.to_owned()), n)).collect();
        let pairs: BTreeSet<(&str, &str)> =
            links(&places, &topology).into_iter().map(|(a, b)| (names[a as usize], names[b as usize])).collect();
        let expected = [
            ("vm-1", "rack-1"),
            ("vm-1", "switch-1"),
            ("vm-1", "db"),
            ("vm-1", "vm-2"),
            ("vm-1", "vm-3"),
            ("vm-1", "shop"),
            ("vm-2", "rack-1"),
            ("vm-2", "shop"),
            ("vm-2", "db"),
            ("vm-3", "shop"),
            ("vm-3", "db"),
            ("db", "shop"),
        ];
        assert_eq!(pairs, BTreeSet::from(expected));
    }
}
