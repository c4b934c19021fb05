//! Adds what the topology of an event's moment knows.
use crate::{
    domain::{event::Event, topology::Topology},
    shared::{self, Labels},
};
use std::sync::Arc;

/// The services that an event speaks of: its own first, then those that rest on its entity.
pub fn services(topology: &Topology, event: &Event) -> Arc<[Arc<str>]> {
    let mut services: Vec<Arc<str>> = Vec::new();
    if !event.service.is_empty() {
        services.push(shared::text(&event.service));
    }
    for service in topology.entity(&event.scope, &event.entity).into_iter().flat_map(|e| &e.services) {
        if !services.contains(service) {
            services.push(service.clone());
        }
    }
    shared::list(services)
}

/// An event's labels, and those of its entity that it lacks: what the event says is nearer to the moment. By key.
pub fn labels(topology: &Topology, event: &Event) -> Labels {
    let own = event.labels.iter().map(|(key, value)| (shared::text(key), shared::text(value)));
    let known = topology.entity(&event.scope, &event.entity).map(|e| &e.labels).filter(|labels| !labels.is_empty());
    let Some(known) = known else { return shared::labels(own.collect()) };
    let lacks = |key: &str| event.labels.binary_search_by(|(own, _)| own.as_str().cmp(key)).is_err();
    let more = known.iter().filter(|(key, _)| lacks(key)).map(|(key, value)| (key.clone(), value.clone()));
    let mut all: Vec<(Arc<str>, Arc<str>)> = own.chain(more).collect();
    all.sort_unstable();
    shared::labels(all)
}
