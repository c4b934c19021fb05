//! What may be a cause, by number: a service with the one entity that it rests on and that serves no other, or either by
//! itself. Causes are ranked with most alerts of an incident, over hundreds of units: names would be most of the work.
use super::{Entity, Layer, Service, Topology};
use indexmap::IndexSet;
use rustc_hash::FxBuildHasher;
use std::{collections::BTreeMap, sync::Arc};

/// Services up or down the dependencies that are kept: the nearest, then by name.
const NEAR_MAX: usize = 64;

/// A unit of one version of the topology, as a scope sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unit(pub u32);

/// What a unit is.
#[derive(Clone, Copy, Debug)]
pub enum What<'a> {
    Entity(&'a str, &'a Entity),
    Service(&'a str, &'a Service),
    /// Only named as what something runs on.
    Named(&'a str),
}

/// A list for each of many, one after the other.
#[derive(Debug)]
struct Lists<T> {
    ends: Vec<u32>,
    all: Vec<T>,
}

impl<T> Default for Lists<T> {
    fn default() -> Self {
        Self { ends: Vec::new(), all: Vec::new() }
    }
}

impl<T> Lists<T> {
    fn push(&mut self, list: impl IntoIterator<Item = T>) {
        self.all.extend(list);
        self.ends.push(self.all.len() as u32);
    }

    fn get(&self, place: usize) -> &[T] {
        let begin = place.checked_sub(1).map_or(Some(&0), |before| self.ends.get(before));
        let part = begin.zip(self.ends.get(place)).map(|(begin, end)| *begin as usize..*end as usize);
        part.and_then(|part| self.all.get(part)).unwrap_or_default()
    }
}

/// The units of a layer: its entities as they come, its services by name, then what has only a name.
#[derive(Debug, Default)]
pub(super) struct Units {
    /// The number of its first: a scope sees the common ones before its own.
    base: u32,
    of_entities: Vec<Unit>,
    /// What each lies on directly: what it runs on, then the services of an entity, or the entities of a service.
    grounds: Lists<Unit>,
    /// By service, with how many steps.
    upstream: Lists<(Unit, u8)>,
    downstream: Lists<(Unit, u8)>,
    named: IndexSet<Arc<str>, FxBuildHasher>,
}

impl Units {
    /// Of a layer whose services are connected, above the common one or as that.
    pub fn new(layer: &Layer, common: Option<&Layer>) -> Self {
        let base = common.map_or(0, |common| common.units.base + common.unit_count());
        let mut units = Self { base, ..Self::default() };
        for (place, entity) in layer.entities.values().enumerate() {
            let only = match &*entity.services {
                [only] => layer.services.get_full(only).filter(|(.., service)| service.entity_count == 1),
                _ => None,
            };
            let unit = only.map_or(base + place as u32, |(service, ..)| layer.service_unit(base, service).0);
            units.of_entities.push(Unit(unit));
        }
        for (place, entity) in layer.entities.values().enumerate() {
            let own = Unit(base + place as u32);
            if units.of_entities[place] != own {
                units.grounds.push([]);
                continue;
            }
            let on: Vec<Unit> = entity.on.iter().map(|on| units.resolve(on, layer, common)).collect();
            let services = entity.services.iter().filter_map(|id| layer.services.get_index_of(id));
            let services = services.map(|place| layer.service_unit(base, place));
            units.grounds.push(on.into_iter().chain(services).filter(|ground| *ground != own));
        }
        for (place, service) in layer.services.values().enumerate() {
            let own = layer.service_unit(base, place);
            let entities: Vec<usize> =
                service.entities.iter().filter_map(|id| layer.entities.get_index_of(id)).collect();
            let mut grounds = Vec::new();
            for entity in entities {
                let unit = units.of_entities[entity];
                if unit == own {
                    grounds.extend(layer.entities[entity].on.iter().map(|on| units.resolve(on, layer, common)));
                } else if unit.0 == base + entity as u32 {
                    grounds.push(unit);
                }
            }
            units.grounds.push(grounds.into_iter().filter(|ground| *ground != own));
            units.upstream.push(near(&service.upstream, layer, base));
            units.downstream.push(near(&service.downstream, layer, base));
        }
        units
    }

    fn resolve(&mut self, id: &Arc<str>, layer: &Layer, common: Option<&Layer>) -> Unit {
        let own = layer.entities.get_index_of(id).map(|place| self.of_entities[place]);
        let known = own.or_else(|| common?.entity_unit(id));
        let known = known.or_else(|| Some(layer.service_unit(self.base, layer.services.get_index_of(id)?)));
        known.or_else(|| common?.service_or_name(id)).unwrap_or_else(|| {
            let place = self.named.insert_full(id.clone()).0;
            Unit(self.base + (layer.entities.len() + layer.services.len() + place) as u32)
        })
    }
}

fn near(found: &BTreeMap<Arc<str>, u8>, layer: &Layer, base: u32) -> Vec<(Unit, u8)> {
    let unit = |id| Some(layer.service_unit(base, layer.services.get_index_of(id)?));
    let mut near: Vec<_> = found.iter().filter_map(|(id, steps)| Some((unit(id)?, *steps))).collect();
    // Their numbers are sorted by name.
    near.sort_by_key(|(_, steps)| *steps);
    near.truncate(NEAR_MAX);
    near
}

impl Layer {
    fn unit_count(&self) -> u32 {
        (self.entities.len() + self.services.len() + self.units.named.len()) as u32
    }

    fn service_unit(&self, base: u32, place: usize) -> Unit {
        Unit(base + (self.entities.len() + place) as u32)
    }

    fn entity_unit(&self, id: &str) -> Option<Unit> {
        self.units.of_entities.get(self.entities.get_index_of(id)?).copied()
    }

    fn service_or_name(&self, id: &str) -> Option<Unit> {
        let service = self.services.get_index_of(id).map(|place| self.service_unit(self.units.base, place));
        service.or_else(|| {
            let place = self.entities.len() + self.services.len() + self.units.named.get_index_of(id)?;
            Some(Unit(self.units.base + place as u32))
        })
    }
}

/// The units that a scope sees: the common ones, then its own. What of the common layer names something means that of the
/// common layer.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    common: &'a Layer,
    own: Option<&'a Layer>,
}

impl Topology {
    /// The units that `scope` sees.
    pub fn units(&self, scope: &str) -> View<'_> {
        View { common: &self.common, own: self.scoped.get(scope) }
    }
}

impl<'a> View<'a> {
    /// The number after the last.
    pub fn end(&self) -> u32 {
        let last = self.own.unwrap_or(self.common);
        last.units.base + last.unit_count()
    }

    fn layers(&self) -> impl Iterator<Item = &'a Layer> {
        self.own.into_iter().chain([self.common])
    }

    /// The unit that an entity is, or a service that is named as one.
    pub fn unit(&self, id: &str) -> Option<Unit> {
        let entity = self.layers().find_map(|layer| layer.entity_unit(id));
        entity.or_else(|| self.layers().find_map(|layer| layer.service_or_name(id)))
    }

    /// The unit that a service is.
    pub fn service(&self, id: &str) -> Option<Unit> {
        let of = |layer: &Layer| Some(layer.service_unit(layer.units.base, layer.services.get_index_of(id)?));
        self.layers().find_map(of)
    }

    fn place(&self, unit: Unit) -> Option<(&'a Layer, usize)> {
        let layer = self.layers().find(|layer| layer.units.base <= unit.0)?;
        Some((layer, (unit.0 - layer.units.base) as usize))
    }

    /// What it is; `None` of a number that is none.
    pub fn what(&self, unit: Unit) -> Option<What<'a>> {
        let (layer, place) = self.place(unit)?;
        if let Some((id, entity)) = layer.entities.get_index(place) {
            return Some(What::Entity(id, entity));
        }
        let place = place - layer.entities.len();
        if let Some((id, service)) = layer.services.get_index(place) {
            return Some(What::Service(id, service));
        }
        layer.units.named.get_index(place - layer.services.len()).map(|id| What::Named(id))
    }

    /// The entity that it is, alone or with its service.
    pub fn body(&self, unit: Unit) -> Option<(&'a str, &'a Entity)> {
        let (layer, _) = self.place(unit)?;
        match self.what(unit)? {
            What::Entity(id, entity) => Some((id, entity)),
            What::Service(_, service) if service.entity_count == 1 => {
                let (place, id, entity) = layer.entities.get_full(service.entities.first()?)?;
                (layer.units.of_entities.get(place) == Some(&unit)).then_some((&**id, entity))
            }
            What::Service(..) | What::Named(_) => None,
        }
    }

    /// Whether it is a service.
    pub fn is_service(&self, unit: Unit) -> bool {
        self.place(unit).is_some_and(|(layer, place)| {
            (layer.entities.len()..layer.entities.len() + layer.services.len()).contains(&place)
        })
    }

    /// What it lies on directly.
    pub fn grounds(&self, unit: Unit) -> &'a [Unit] {
        self.place(unit).map_or(&[][..], |(layer, place)| layer.units.grounds.get(place))
    }

    /// What a service depends on, over how many steps; the nearest first.
    pub fn upstream(&self, unit: Unit) -> &'a [(Unit, u8)] {
        self.near(unit, |units| &units.upstream)
    }

    /// What depends on a service.
    pub fn downstream(&self, unit: Unit) -> &'a [(Unit, u8)] {
        self.near(unit, |units| &units.downstream)
    }

    fn near(&self, unit: Unit, along: fn(&Units) -> &Lists<(Unit, u8)>) -> &'a [(Unit, u8)] {
        let Some((layer, place)) = self.place(unit) else { return &[] };
        place.checked_sub(layer.entities.len()).map_or(&[][..], |place| along(&layer.units).get(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"{"entities":[{"id":"db-1","on":["host"]},{"id":"host","on":["rack"]},{"id":"p1","on":["host"]},{"id":"p2"},
            {"id":"eu-1","scope":"eu","on":["host","rack","row"]}],
        "services":[{"id":"db","entities":["db-1"]},{"id":"pay","entities":["p1","p2"],"depends_on":["db"]},
            {"id":"shop","depends_on":["pay"]},{"id":"eu-shop","scope":"eu","entities":["eu-1"]}]}"#;

    fn names(view: &View<'_>, units: &[Unit]) -> Vec<String> {
        let name = |unit: &Unit| match view.what(*unit).expect("known") {
            What::Entity(id, _) | What::Named(id) => id.to_owned(),
            What::Service(id, _) => format!("the {id}"),
        };
        units.iter().map(name).collect()
    }

    #[test]
    fn a_service_and_its_only_entity_are_one() {
        let topology = Topology::new(&serde_json::from_str(FILE).expect("a file")).expect("valid");
        let view = topology.units("any");
        let unit = |id| view.unit(id).expect("known");
        assert_eq!((unit("db-1"), view.body(unit("db")).map(|(id, _)| id)), (unit("db"), Some("db-1")));
        assert!(view.is_service(unit("db-1")) && !view.is_service(unit("host")) && view.body(unit("pay")).is_none());
        assert_eq!(names(&view, view.grounds(unit("db"))), ["host"]);
        assert_eq!(names(&view, view.grounds(unit("p1"))), ["host", "the pay"]);
        assert_eq!(names(&view, view.grounds(unit("pay"))), ["p1", "p2"]);
        assert_eq!(names(&view, view.grounds(unit("host"))), ["rack"]);
        assert!(view.grounds(unit("rack")).is_empty() && view.upstream(unit("host")).is_empty());
        let steps = |near: &[(Unit, u8)]| near.iter().map(|(_, steps)| *steps).collect::<Vec<_>>();
        let near: Vec<Unit> = view.upstream(unit("shop")).iter().map(|(unit, _)| *unit).collect();
        assert_eq!(
            (names(&view, &near), steps(view.downstream(unit("db")))),
            (vec!["the pay".into(), "the db".into()], vec![1, 2])
        );
        assert!(view.unit("eu-1").is_none() && view.what(Unit(view.end())).is_none());
    }

    #[test]
    fn a_scope_sees_its_own_and_the_common_ones() {
        let topology = Topology::new(&serde_json::from_str(FILE).expect("a file")).expect("valid");
        let (view, common) = (topology.units("eu"), topology.units("us"));
        let unit = |id| view.unit(id).expect("known");
        assert_eq!(names(&view, view.grounds(unit("eu-shop"))), ["host", "rack", "row"]);
        assert_eq!(
            view.grounds(unit("eu-1"))[..2],
            [common.unit("host").expect("known"), common.unit("rack").expect("known")]
        );
        assert_eq!(view.end() - common.end(), 3, "an entity, a service, and a name");
        assert_eq!(names(&view, &[unit("row")]), ["row"]);
    }
}
