//! A storm and its branches tell the same of each other, and what was said last is how they stand.
use crate::world::{engine, events, fold, lives, pack, reach, stormy};
use proptest::prelude::*;
use quell_core::{
    domain::{
        incident::{Incident, IncidentId, State},
        policy::Clock,
        time::{Span, Timestamp},
    },
    engine::Input,
    output::Body,
};
use std::collections::BTreeMap;

/// What people are told of it.
fn told(incident: &Incident) -> impl PartialEq + std::fmt::Debug + use<> {
    let Incident { number, state, severity, major, branch_count, .. } = incident;
    let texts = (incident.title.clone(), incident.summary.clone(), incident.services.clone());
    (*number, *state, *severity, *major, *branch_count, incident.branches.clone(), texts)
}

proptest! {
    #[test]
    fn storms_and_branches_agree(
        drafts in lives(60, 0),
        most in prop_oneof![Just(4_usize), Just(1_000)],
        clock in prop_oneof![Just(Clock::Wall), Just(Clock::Events)],
    ) {
        let mut policy = stormy(clock);
        policy.limits.incidents = most;
        policy.raise.revision_interval = Span(0);
        let mut world = engine(&policy);
        let events = events(&drafts);
        let mut said: BTreeMap<IncidentId, Incident> = BTreeMap::new();
        let mut mark = 0;
        for (n, event) in events.into_iter().enumerate() {
            let (to, arrival) = (event.offset + 1, event.arrival);
            let inputs = [pack(0, mark, to, vec![event]), reach(to, arrival), Input::Tick(Timestamp(arrival.0 + 1))];
            mark = to;
            for (_, body) in fold(&mut world, 3 * n as u64, &inputs).said {
                match body {
                    Body::Incident(update) => drop(said.insert(update.incident.id, update.incident)),
                    Body::IncidentGone { id, .. } => drop(said.remove(&id)),
                    _ => {}
                }
            }
        }
        let kept: BTreeMap<IncidentId, Incident> =
            world.views().into_iter().flat_map(|view| view.incidents).map(|i| (i.incident.id, i.incident)).collect();
        prop_assert_eq!(kept.keys().collect::<Vec<_>>(), said.keys().collect::<Vec<_>>());
        for (id, incident) in &kept {
            if !incident.unsaid {
                prop_assert_eq!(told(incident), told(&said[id]));
            }
            let major = incident.major.and_then(|major| kept.get(&major));
            if let Some(major) = major {
                prop_assert!(major.is_major() && major.major.is_none() && major.branches.contains(id));
            }
            if incident.major.is_some() && incident.state.is_open() {
                let state = major.map(|major| major.state);
                prop_assert!(state.is_some_and(State::is_open), "{state:?}");
            }
            if incident.is_major() && incident.state.is_open() {
                let open = |id| kept.get(id).is_some_and(|i| i.state.is_open());
                prop_assert!(incident.branches.iter().any(open), "{incident:?}");
            }
        }
    }
}
