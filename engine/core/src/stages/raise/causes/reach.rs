//! How far trouble of a suspect shows: from where an alert is, back to all that could show there.
//!
//! A condition of the thing itself shows on what runs on it and on the service that rests on it. A symptom shows on who
//! depends on those too, and a loss of traffic on what the sufferers call. Each step damps it; of several ways the best counts.
use crate::domain::{
    check::CheckKind,
    episode::{Member, Reason},
    policy::CauseModel,
    topology::{
        Topology,
        units::{Unit, View, What},
    },
};
use rustc_hash::FxHashMap;
use std::{collections::BTreeMap, rc::Rc};

/// Grounds of one suspect, over all levels; and services of one entity.
const NEAR_MAX: usize = 64;

/// By which way trouble shows somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// There.
    Itself,
    /// On what runs on it, or rests on it.
    Carried,
    /// On what it consists of.
    Part,
    /// On what is of one service with it.
    Beside,
    /// On what depends on it.
    Depends,
    /// On what those no longer call.
    Idle,
    /// At the other end of a way.
    Peer,
    /// On what its check is known to cause.
    Known,
}

impl Way {
    /// How many there are.
    pub const COUNT: usize = 8;
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
pub type Spread = FxHashMap<Unit, Reached>;

/// Suspects and how they hang together.
#[derive(Debug)]
pub struct Map<'a> {
    view: View<'a>,
    model: &'a CauseModel,
    /// What only alerts name, as an entity or as a service: numbered after what the topology has.
    strangers: Vec<(&'a str, bool)>,
    /// What lies on what by the word of alerts: they name services, or are muted.
    told: BTreeMap<Unit, Vec<Unit>>,
    held: FxHashMap<Unit, Rc<[(Unit, f64)]>>,
}

impl<'a> Map<'a> {
    /// With what the members of an incident tell.
    pub fn new(members: &[&'a Member], topology: &'a Topology, scope: &str, model: &'a CauseModel) -> Self {
        let view = topology.units(scope);
        let mut map = Self { view, model, strangers: Vec::new(), told: BTreeMap::new(), held: FxHashMap::default() };
        for member in members {
            let unit = map.meet(&member.entity);
            let known = view.body(unit).map_or(&[][..], |(_, entity)| &entity.services);
            for service in member.services.iter().filter(|s| !known.contains(s)) {
                let service = view.service(service).unwrap_or_else(|| map.meet_stranger(service, true));
                map.tell(unit, service);
                map.tell(service, unit);
            }
            if let Some(by) = muted_by(member, members) {
                let by = map.meet(by);
                map.tell(unit, by);
            }
        }
        map
    }

    fn tell(&mut self, unit: Unit, ground: Unit) {
        let known = self.told.entry(unit).or_default();
        if unit != ground && !known.contains(&ground) {
            known.push(ground);
        }
    }

    /// The suspect that an entity is, or a service that an alert names as one; from now on also where nothing is known of it.
    pub fn meet(&mut self, id: &'a str) -> Unit {
        self.view.unit(id).unwrap_or_else(|| self.meet_stranger(id, false))
    }

    fn meet_stranger(&mut self, id: &'a str, is_service: bool) -> Unit {
        self.find_stranger(id, is_service).unwrap_or_else(|| {
            self.strangers.push((id, is_service));
            Unit(self.view.end() + (self.strangers.len() - 1) as u32)
        })
    }

    /// The suspect that an entity is, where it is known.
    pub fn unit(&self, id: &str) -> Option<Unit> {
        self.view.unit(id).or_else(|| self.find_stranger(id, false))
    }

    /// The suspect that a service is, where it is known.
    pub fn service(&self, id: &str) -> Option<Unit> {
        self.view.service(id).or_else(|| self.find_stranger(id, true))
    }

    fn find_stranger(&self, id: &str, is_service: bool) -> Option<Unit> {
        let place = self.strangers.iter().position(|known| *known == (id, is_service))?;
        Some(Unit(self.view.end() + place as u32))
    }

    fn stranger(&self, unit: Unit) -> Option<(&'a str, bool)> {
        self.strangers.get(unit.0.checked_sub(self.view.end())? as usize).copied()
    }

    fn is_service(&self, unit: Unit) -> bool {
        self.stranger(unit).map_or_else(|| self.view.is_service(unit), |(_, is_service)| is_service)
    }

    /// Entities before services, by name.
    pub fn order(&self, unit: Unit) -> (bool, &'a str) {
        match self.view.what(unit) {
            Some(What::Service(id, _)) => (true, id),
            Some(What::Entity(id, _) | What::Named(id)) => (false, id),
            None => self.stranger(unit).map_or((false, ""), |(id, is_service)| (is_service, id)),
        }
    }

    /// What it is called: a service with its only entity as that.
    pub fn name(&self, unit: Unit) -> &'a str {
        self.view.body(unit).map_or_else(|| self.order(unit).1, |(id, _)| id)
    }

    /// What it is, as the topology says.
    pub fn kind(&self, unit: Unit) -> Option<&'a str> {
        self.view.body(unit)?.1.kind.as_deref()
    }

    fn told(&self, unit: Unit) -> impl Iterator<Item = Unit> {
        self.told.get(&unit).into_iter().flatten().copied()
    }

    /// The services that are ill if it is: itself, or those that rest on it.
    pub fn services(&self, unit: Unit) -> Vec<Unit> {
        if self.is_service(unit) {
            return vec![unit];
        }
        let known = match self.view.what(unit) {
            Some(What::Entity(_, entity)) => entity.services.len(),
            _ => 0,
        };
        let grounds = self.view.grounds(unit);
        let known = grounds.get(grounds.len().saturating_sub(known)..).unwrap_or_default();
        let told = self.told(unit).filter(|ground| self.is_service(*ground));
        known.iter().copied().chain(told).take(NEAR_MAX).collect()
    }

    /// What it lies on, one level: what it runs on, the services of an entity (trouble of one's code shows on each), the
    /// entities of a service.
    pub fn grounds(&self, unit: Unit) -> impl Iterator<Item = Unit> {
        self.view.grounds(unit).iter().copied().chain(self.told(unit))
    }

    /// What a service depends on directly.
    pub fn depends_on(&self, service: Unit) -> impl Iterator<Item = Unit> {
        self.view.upstream(service).iter().take_while(|(_, steps)| *steps == 1).map(|(unit, _)| *unit)
    }

    /// How many lie on it, and how many depend on it directly.
    pub fn sufferers(&self, unit: Unit) -> (usize, usize) {
        let body = self.view.body(unit);
        let carried = body.map_or(0, |(_, entity)| entity.carried as usize);
        match self.view.what(unit) {
            Some(What::Service(_, service)) => {
                let parts = service.entity_count as usize - usize::from(body.is_some());
                (carried + parts, service.dependents.len())
            }
            _ => (carried + body.map_or(0, |(_, entity)| entity.services.len()), 0),
        }
    }

    /// What it lies on over all levels, and how likely trouble of that shows on it. Itself is the first.
    fn held(&mut self, unit: Unit) -> Rc<[(Unit, f64)]> {
        if let Some(known) = self.held.get(&unit) {
            return known.clone();
        }
        let mut found = Vec::with_capacity(NEAR_MAX);
        found.push((unit, 1.0));
        let (mut next, mut chance) = (0, 1.0);
        for _ in 0..self.model.levels {
            chance *= self.model.ground;
            let level = found.len();
            while next < level {
                for ground in self.grounds(found[next].0) {
                    if found.len() < NEAR_MAX && found.iter().all(|(known, _)| *known != ground) {
                        found.push((ground, chance));
                    }
                }
                next += 1;
            }
        }
        let found: Rc<[_]> = found.into();
        self.held.insert(unit, found.clone());
        found
    }

    /// All that could show as an alert of this kind on this suspect.
    pub fn spread(&mut self, unit: Unit, kind: CheckKind) -> Spread {
        let mut spread = Spread::default();
        self.add(&mut spread, unit, (1.0, Way::Carried, true));
        if kind == CheckKind::Own {
            return self.label(spread, unit);
        }
        let share = if self.is_service(unit) { 1.0 } else { self.model.ground };
        for home in self.services(unit) {
            for (other, steps) in self.view.upstream(home) {
                let chance = share * self.damped(*steps);
                self.add(&mut spread, *other, (chance, Way::Depends, true));
            }
            if kind == CheckKind::Traffic {
                self.add_idle(&mut spread, home, share);
            }
        }
        self.label(spread, unit)
    }

    /// Who calls a service may have fallen silent, by itself or by what it depends on.
    fn add_idle(&mut self, spread: &mut Spread, home: Unit, share: f64) {
        let mut sick: Vec<(Unit, f64, bool)> = Vec::new();
        let mut places: FxHashMap<Unit, usize> = FxHashMap::default();
        for (caller, steps) in self.view.downstream(home) {
            let chance = share * self.damped(*steps);
            let mut put = |unit, chance: f64, calls| {
                let place = *places.entry(unit).or_insert(sick.len());
                match sick.get_mut(place) {
                    None => sick.push((unit, chance, calls)),
                    Some(known) => (known.1, known.2) = (known.1.max(chance), known.2 || calls),
                }
            };
            put(*caller, chance, true);
            for (other, more) in self.view.upstream(*caller) {
                put(*other, chance * self.damped(*more), false);
            }
        }
        for (unit, chance, calls) in sick {
            self.add(spread, unit, (chance, Way::Idle, calls));
        }
    }

    fn add(&mut self, spread: &mut Spread, unit: Unit, (share, way, suggests): (f64, Way, bool)) {
        for (ground, chance) in &*self.held(unit) {
            let chance = share * chance;
            let known = spread.entry(*ground).or_insert(Reached { chance: 0.0, way, suggests });
            known.suggests |= suggests;
            if chance > known.chance {
                (known.chance, known.way) = (chance, way);
            }
        }
    }

    fn damped(&self, steps: u8) -> f64 {
        (0..steps).fold(1.0, |chance, _| chance * self.model.dependency)
    }

    /// What shows on itself, on what it consists of, and on what shares a service with it.
    #[expect(clippy::disallowed_methods, reason = "each is looked at by itself")]
    fn label(&self, mut spread: Spread, unit: Unit) -> Spread {
        let is_entity = !self.is_service(unit);
        let below = if is_entity { self.below(unit) } else { Vec::new() };
        for (suspect, reached) in spread.iter_mut() {
            if *suspect == unit {
                reached.way = Way::Itself;
            } else if reached.way == Way::Carried && is_entity && self.is_service(*suspect) {
                reached.way = Way::Part;
            } else if reached.way == Way::Carried && is_entity && !below.contains(suspect) {
                reached.way = Way::Beside;
            }
        }
        spread
    }

    /// What an entity runs on, over all levels.
    fn below(&self, unit: Unit) -> Vec<Unit> {
        let (mut found, mut next) = (vec![unit], 0);
        for _ in 0..self.model.levels {
            let level = found.len();
            while next < level {
                let grounds = self.grounds(found[next]).filter(|ground| !self.is_service(*ground));
                let room = NEAR_MAX - found.len();
                found.extend(grounds.take(room).collect::<Vec<_>>());
                next += 1;
            }
        }
        found
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
