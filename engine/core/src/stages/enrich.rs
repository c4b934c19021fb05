//! Adds what the topology knows.
use crate::domain::{event::Event, topology::Topology};
use std::sync::Arc;

/// The services that an event speaks of: its own first, then those that rest on its entity.
pub fn services(topology: &Topology, event: &Event) -> Vec<Arc<str>> {
    let mut services: Vec<Arc<str>> = Vec::new();
    if !event.service.is_empty() {
        services.push(event.service.as_str().into());
    }
    for service in topology.entity(&event.scope, &event.entity).into_iter().flat_map(|e| &e.services) {
        if !services.contains(service) {
            services.push(service.clone());
        }
    }
    services
}
