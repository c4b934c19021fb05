//! How far trouble of a suspect shows: from where an alert is, back to all that could show there.
//!
//! A condition of the thing itself shows on what runs on it and on the service that rests on it. A symptom shows on who
//! depends on those too, and a loss of traffic on what the sufferers call. Each step damps it; of several ways the best counts.
use crate::domain::{
    check::CheckKind,
    episode::{Member, Reason},
    policy::CauseModel,
    topology::{Entity, Service, Topology},
};
use rustc_hash::FxHashMap;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    rc::Rc,
};

/// Levels of what runs on what that are followed.
const LEVELS_MAX: u8 = 3;
/// Grounds of one suspect, over all levels; and services of a walk, the nearest.
const NEAR_MAX: usize = 64;

/// What may be a cause: a service with the one entity that it rests on and that serves no other, or either by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit<'a> {
    Entity(&'a str),
    Service(&'a str),
}

/// By which way trouble shows somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// There.
    Itself,
    /// On what runs on it, or rests on it.
    Carried,
    /// On what it consists of.
    Part,
    /// On what depends on it.
    Depends,
    /// On what those no longer call.
    Idle,
    /// At the other end of a way.
    Peer,
}

impl Way {
    /// How many there are.
    pub const COUNT: usize = 6;
}

/// That trouble of a suspect shows somewhere.
#[derive(Clone, Copy, Debug)]
pub struct Reached {
    /// How likely, 0 to 1.
    pub chance: f64,
    pub way: Way,
    /// It makes a suspect of what has no alert itself.
    pub suggests: bool,
}

/// From where an alert is, what could show there.
pub type Spread<'a> = FxHashMap<Unit<'a>, Reached>;

/// Suspects and how they hang together.
#[derive(Debug)]
pub struct Map<'a> {
    topology: &'a Topology,
    scope: &'a str,
    model: &'a CauseModel,
    /// What lies on what by the word of alerts: they name services, or are muted.
    told: BTreeMap<Unit<'a>, BTreeSet<Unit<'a>>>,
    held: FxHashMap<Unit<'a>, Rc<[(Unit<'a>, f64)]>>,
}

impl<'a> Map<'a> {
    /// With what the members of an incident tell.
    pub fn new(members: &[&'a Member], topology: &'a Topology, scope: &'a str, model: &'a CauseModel) -> Self {
        let mut map = Self { topology, scope, model, told: BTreeMap::new(), held: FxHashMap::default() };
        for member in members {
            let unit = map.unit(&member.entity);
            let known = map.entity(unit).map_or(&[][..], |e| &e.services);
            for service in member.services.iter().filter(|s| !known.contains(s)) {
                map.tell(unit, Unit::Service(service));
                map.tell(Unit::Service(service), unit);
            }
            if let Some(by) = muted_by(member, members) {
                map.tell(unit, map.unit(by));
            }
        }
        map
    }

    fn tell(&mut self, unit: Unit<'a>, ground: Unit<'a>) {
        if unit != ground {
            self.told.entry(unit).or_default().insert(ground);
        }
    }

    /// The suspect that an entity is, or a service that an alert names as one.
    pub fn unit(&self, id: &'a str) -> Unit<'a> {
        let Some(entity) = self.topology.entity(self.scope, id) else {
            return if self.service(id).is_some() { Unit::Service(id) } else { Unit::Entity(id) };
        };
        match &*entity.services {
            [only] if self.service(only).is_some_and(|s| s.entity_count == 1) => Unit::Service(only),
            _ => Unit::Entity(id),
        }
    }

    fn service(&self, id: &str) -> Option<&'a Service> {
        self.topology.service(self.scope, id)
    }

    /// The entity that a suspect is, alone or with its service.
    pub fn body(&self, unit: Unit<'a>) -> Option<&'a str> {
        match unit {
            Unit::Entity(id) => Some(id),
            Unit::Service(id) => {
                let only = self.service(id).filter(|s| s.entity_count == 1)?.entities.first()?;
                (self.unit(only) == unit).then_some(&**only)
            }
        }
    }

    fn entity(&self, unit: Unit<'a>) -> Option<&'a Entity> {
        self.topology.entity(self.scope, self.body(unit)?)
    }

    /// What it is, as the topology says.
    pub fn kind(&self, unit: Unit<'a>) -> Option<&'a str> {
        self.entity(unit)?.kind.as_deref()
    }

    /// The services that are ill if it is: itself, or those that rest on it.
    pub fn services(&self, unit: Unit<'a>) -> Vec<&'a str> {
        let Unit::Entity(_) = unit else {
            let Unit::Service(id) = unit else { return Vec::new() };
            return vec![id];
        };
        let known = self.entity(unit).map_or(&[][..], |e| &*e.services).iter().map(|s| &**s);
        let told = self.told.get(&unit).into_iter().flatten().filter_map(|ground| match ground {
            Unit::Service(id) => Some(*id),
            Unit::Entity(_) => None,
        });
        known.chain(told).take(NEAR_MAX).collect()
    }

    /// What it lies on, one level: what it runs on, the services of an entity (trouble of one's code shows on each), the
    /// entities of a service.
    pub fn grounds(&self, unit: Unit<'a>) -> Vec<Unit<'a>> {
        let mut found = Vec::new();
        if let Some(entity) = self.entity(unit) {
            found.extend(entity.on.iter().map(|on| self.unit(on)));
        }
        match unit {
            Unit::Entity(_) => found.extend(self.services(unit).into_iter().map(Unit::Service)),
            Unit::Service(id) => {
                let all = self.service(id).into_iter().flat_map(|s| &s.entities).map(|e| self.unit(e));
                found.extend(all.filter(|entity| matches!(entity, Unit::Entity(_))));
            }
        }
        found.extend(self.told.get(&unit).into_iter().flatten());
        found.retain(|ground| *ground != unit);
        found
    }

    /// What a service depends on directly.
    pub fn depends_on(&self, id: &str) -> impl Iterator<Item = Unit<'a>> {
        self.service(id).into_iter().flat_map(|s| s.depends_on.keys()).map(|on| Unit::Service(on))
    }

    /// How many lie on it, and how many depend on it directly.
    pub fn sufferers(&self, unit: Unit<'a>) -> (usize, usize) {
        let entity = self.entity(unit);
        let carried = entity.map_or(0, |e| e.carried as usize);
        match unit {
            Unit::Entity(_) => (carried + entity.map_or(0, |e| e.services.len()), 0),
            Unit::Service(id) => {
                let service = self.service(id);
                let parts = service.map_or(0, |s| s.entity_count as usize) - usize::from(self.body(unit).is_some());
                (carried + parts, service.map_or(0, |s| s.dependents.len()))
            }
        }
    }

    /// What it lies on over all levels, and how likely trouble of that shows on it. Itself is the first.
    fn held(&mut self, unit: Unit<'a>) -> Rc<[(Unit<'a>, f64)]> {
        if let Some(known) = self.held.get(&unit) {
            return known.clone();
        }
        let mut found = vec![(unit, 1.0)];
        let mut queue = VecDeque::from([(unit, 1.0, 0)]);
        while let Some((at, chance, level)) = queue.pop_front() {
            if level == LEVELS_MAX {
                break;
            }
            let chance = chance * self.model.ground;
            for ground in self.grounds(at) {
                if found.len() < NEAR_MAX && found.iter().all(|(known, _)| *known != ground) {
                    found.push((ground, chance));
                    queue.push_back((ground, chance, level + 1));
                }
            }
        }
        let found: Rc<[_]> = found.into();
        self.held.insert(unit, found.clone());
        found
    }

    /// All that could show as an alert of this kind on this suspect.
    pub fn spread(&mut self, unit: Unit<'a>, kind: CheckKind) -> Spread<'a> {
        let mut spread = Spread::default();
        self.add(&mut spread, unit, (1.0, Way::Carried, true));
        if kind == CheckKind::Own {
            return label(spread, unit);
        }
        let share = if matches!(unit, Unit::Service(_)) { 1.0 } else { self.model.ground };
        for home in self.services(unit) {
            for (other, steps) in self.walk(home, |s| &s.upstream) {
                let chance = share * self.damped(steps);
                self.add(&mut spread, Unit::Service(other), (chance, Way::Depends, true));
            }
            if kind == CheckKind::Traffic {
                self.add_idle(&mut spread, home, share);
            }
        }
        label(spread, unit)
    }

    /// Who calls a service may have fallen silent, by itself or by what it depends on.
    fn add_idle(&mut self, spread: &mut Spread<'a>, home: &str, share: f64) {
        let mut sick: Vec<(&'a str, f64, bool)> = Vec::new();
        let mut places: FxHashMap<&'a str, usize> = FxHashMap::default();
        for (caller, steps) in self.walk(home, |s| &s.downstream) {
            let chance = share * self.damped(steps);
            let mut put = |id, chance: f64, calls| {
                let place = *places.entry(id).or_insert(sick.len());
                match sick.get_mut(place) {
                    None => sick.push((id, chance, calls)),
                    Some(known) => (known.1, known.2) = (known.1.max(chance), known.2 || calls),
                }
            };
            put(caller, chance, true);
            for (other, more) in self.walk(caller, |s| &s.upstream) {
                put(other, chance * self.damped(more), false);
            }
        }
        for (id, chance, calls) in sick {
            self.add(spread, Unit::Service(id), (chance, Way::Idle, calls));
        }
    }

    fn add(&mut self, spread: &mut Spread<'a>, unit: Unit<'a>, (share, way, suggests): (f64, Way, bool)) {
        for (ground, chance) in &*self.held(unit) {
            let chance = share * chance;
            let known = spread.entry(*ground).or_insert(Reached { chance: 0.0, way, suggests });
            known.suggests |= suggests;
            if chance > known.chance {
                (known.chance, known.way) = (chance, way);
            }
        }
    }

    /// A walk from a service, the nearest by name.
    fn walk(&self, id: &str, along: fn(&Service) -> &BTreeMap<std::sync::Arc<str>, u8>) -> Vec<(&'a str, u8)> {
        let Some(service) = self.service(id) else { return Vec::new() };
        let mut all: Vec<(&str, u8)> = along(service).iter().map(|(id, steps)| (&**id, *steps)).collect();
        all.sort_by_key(|(_, steps)| *steps);
        all.truncate(NEAR_MAX);
        all
    }

    fn damped(&self, steps: u8) -> f64 {
        (0..steps).fold(1.0, |chance, _| chance * self.model.dependency)
    }
}

/// The entity whose alert mutes it, or did.
pub fn muted_by<'a>(member: &'a Member, members: &[&'a Member]) -> Option<&'a str> {
    if let Reason::Inhibited(by) = &member.reason {
        return Some(by);
    }
    let by = member.muted_by?;
    members.iter().find(|other| other.alert == by).map(|other| &*other.entity)
}

/// What shows on itself, and on what it consists of.
#[expect(clippy::disallowed_methods, reason = "each is looked at by itself")]
fn label<'a>(mut spread: Spread<'a>, unit: Unit<'a>) -> Spread<'a> {
    for (suspect, reached) in spread.iter_mut() {
        if *suspect == unit {
            reached.way = Way::Itself;
        } else if reached.way == Way::Carried && matches!((suspect, unit), (Unit::Service(_), Unit::Entity(_))) {
            reached.way = Way::Part;
        }
    }
    spread
}
