//! Series beside their peers: those of one KPI at one origin, or what a rule of the policy says.
use super::{
    Finding,
    said::{Said, fingerprint},
    series::Series,
};
use crate::{
    domain::{alert::Fingerprint, hash::Framed, policy::Peers, threshold::Number, time::Timestamp, topology::Topology},
    scope::Cx,
};
use quell_models::{
    cohesion::{Beside, Cohesion, Distance, Given, Standing, Turn},
    detectors::Verdict,
};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

const APART: &str = "apart";

/// A member that has left the others.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Apart {
    since: Timestamp,
    /// When it last fired.
    said_at: Option<Timestamp>,
    /// Its series told of it itself, with its last sample.
    spoke: bool,
}

/// How a member that does what its peers do learns: as most of them do, or it would be off them afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lead {
    /// As it would without them.
    None,
    /// What it does is told of it alone, and done by all.
    Learns,
    /// Most of them are told of: what they do is not learned.
    Waits,
    /// It waited, and what they do is their new usual.
    Accepts,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Group {
    peers: Cohesion,
    apart: BTreeMap<Fingerprint, Apart>,
    /// Members of which something is told.
    told: BTreeSet<Fingerprint>,
    /// When what one of them did became usual last.
    accepted_at: Option<Timestamp>,
    /// What people are shown are deviations, as what is measured only grows.
    grows: bool,
}

/// The groups of a scope, by a hash of what makes them one. Each series is in one at most.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Groups {
    #[serde(with = "crate::snapshot::sorted")]
    groups: FxHashMap<u64, Group>,
}

/// The group that a series belongs to.
pub fn group_of(series: &Series, cx: &Cx<'_>) -> Option<u64> {
    let (policy, topology, scope) = (&cx.policy.score.cohesion, cx.topology, &cx.core.name);
    let [origin, entity, check] = [&*series.origin, &*series.entity, &*series.check];
    let mut key = Framed::default();
    if let Some(rule) = policy.rule_of(origin, entity, check) {
        let Peers { origin: origins, entity: entities, check: checks, same_service } = rule;
        key.field("rule").field(origins).field(entities).field(checks);
        if *same_service {
            let known = topology.entity(scope, entity).into_iter().flat_map(|entity| &entity.services);
            key.field(&**narrowest(known, topology, scope)?);
        }
    } else {
        let kpis = topology.kpis_of(scope, [origin, entity, check, &series.service]);
        // A KPI of importance 0 is shown, and says nothing; one of a single entity has no peers.
        let spoken = kpis.filter(|(_, kpi)| policy.kpis && kpi.importance > 0 && kpi.series.entity.is_none());
        let spoken: Vec<_> = spoken.collect();
        let service = narrowest(spoken.iter().map(|(service, _)| *service), topology, scope)?;
        let kpi = spoken.iter().find(|(of, _)| *of == service).map_or("", |(_, kpi)| &kpi.id);
        key.field("kpi").field(&**service).field(kpi);
    }
    Some(key.field(origin).field(check).hash64())
}

/// Of several services the one of fewest entities: they are the most alike.
fn narrowest<'a>(
    services: impl Iterator<Item = &'a Arc<str>>,
    topology: &Topology,
    scope: &str,
) -> Option<&'a Arc<str>> {
    services.min_by_key(|id| (topology.service(scope, id).map_or(u32::MAX, |service| service.entity_count), *id))
}

impl Groups {
    /// How a sample of a member is about to be learned.
    pub fn lead(&self, key: Fingerprint, series: &Series, cx: &Cx<'_>) -> Lead {
        let group = series.peers().and_then(|id| self.groups.get(&id)).filter(|_| !series.is_apart);
        let Some(group) = group.filter(|group| !group.told.is_empty() || group.accepted_at.is_some()) else {
            return Lead::None;
        };
        let near = |beside: &Beside| beside.distance.0 < Distance::of(cx.policy.score.cohesion.leaves_at).0 / 2;
        let Some(beside) = group.peers.beside(key.0).filter(near) else { return Lead::None };
        let is_told = group.told.contains(&key);
        match series.waits_since() {
            _ if 2 * group.told.len() > beside.peers + 1 => Lead::Waits,
            Some(since) if group.accepted_at.is_some_and(|at| at >= since) => Lead::Accepts,
            _ if is_told => Lead::Learns,
            _ => Lead::None,
        }
    }

    /// Whether something is told of a member now, and whether that has become its new usual.
    pub fn note(&mut self, key: Fingerprint, series: &Series, accepted: Option<Timestamp>) {
        let Some(group) = series.peers().and_then(|id| self.groups.get_mut(&id)) else { return };
        if series.speaks() || series.is_apart {
            group.told.insert(key);
        } else {
            group.told.remove(&key);
        }
        group.accepted_at = accepted.or(group.accepted_at);
    }

    /// A sample of a member, as its detector sees it. One of another series may end a round, and so tell of any.
    pub fn take(
        &mut self,
        (key, value, at): (Fingerprint, f64, Timestamp),
        (verdict, teaches): (&Verdict, bool),
        all: &mut FxHashMap<Fingerprint, Box<Series>>,
        cx: &Cx<'_>,
        found: &mut Vec<Finding>,
    ) {
        let (Some(id), Some(usual)) = (all.get(&key).and_then(|series| series.peers()), verdict.usual) else { return };
        let group = self.groups.entry(id).or_default();
        group.grows = usual.rate.is_some();
        let deviation = verdict.plain;
        let shown = if group.grows { deviation } else { value };
        let given = Given { seconds: at.0.div_euclid(1_000), deviation, shown, teaches };
        for Turn { key, apart } in group.peers.take(key.0, given, Distance::of(cx.policy.score.cohesion.leaves_at)) {
            let key = Fingerprint(key);
            let Some(series) = all.get_mut(&key) else { continue };
            if apart {
                group.apart.insert(key, Apart { since: at, said_at: None, spoke: false });
                series.is_apart = true;
                group.tell(key, series, at, cx, found);
            } else {
                group.is_back(key, series, at, found);
            }
        }
        if let Some(series) = all.get_mut(&key) {
            group.tell(key, series, at, cx, found);
        }
    }

    /// Where a member stands now is usual.
    pub fn accept(&mut self, key: Fingerprint, series: &mut Series, at: Timestamp, found: &mut Vec<Finding>) {
        if let Some(group) = series.peers().and_then(|id| self.groups.get_mut(&id)) {
            group.peers.accept(key.0);
            group.is_back(key, series, at, found);
        }
    }

    /// Where a member stands as a rule, and in which group.
    pub fn standing(&self, key: Fingerprint, series: &Series) -> Option<(u64, Standing)> {
        let id = series.peers()?;
        Some((id, self.groups.get(&id)?.peers.standing(key.0)?))
    }

    /// Where one stood is usual again, if it is still a member.
    pub fn restore(&mut self, key: Fingerprint, id: u64, standing: Standing) {
        if let Some(group) = self.groups.get_mut(&id) {
            group.peers.restore(key.0, standing);
        }
    }

    /// That it is worked on makes nothing usual: what lasts, lasts from here on.
    pub fn put_off(&mut self, key: Fingerprint, series: &Series, at: Timestamp) {
        if let Some(apart) = series.peers().and_then(|id| self.groups.get_mut(&id)?.apart.get_mut(&key)) {
            apart.since = at;
        }
    }

    /// A series is no member of a group any more.
    pub fn leave(&mut self, id: u64, key: Fingerprint, series: &mut Series, at: Timestamp, found: &mut Vec<Finding>) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        group.peers.leave(key.0);
        group.told.remove(&key);
        group.is_back(key, series, at, found);
        if group.peers.is_empty() {
            self.groups.remove(&id);
        }
    }
}

impl Group {
    /// Of one that has left, if it is time. What its series itself has said, and holds, is not told once more.
    fn tell(&mut self, key: Fingerprint, series: &mut Series, at: Timestamp, cx: &Cx<'_>, found: &mut Vec<Finding>) {
        let Some(state) = self.apart.get_mut(&key) else { return };
        if at - state.since >= cx.policy.score.new_usual {
            // What stays is the new usual.
            self.peers.accept(key.0);
            return self.is_back(key, series, at, found);
        }
        let due = match state.said_at {
            Some(said) => at - said >= cx.policy.deduplicate.count_interval,
            // What its series said may be over with this sample, and it back beside them with this round.
            None => !std::mem::replace(&mut state.spoke, series.speaks()) && !state.spoke,
        };
        let Some(beside) = self.peers.beside(key.0).filter(|_| due) else { return };
        let is_near = beside.now.0 < Distance::of(cx.policy.score.cohesion.leaves_at).0 / 2;
        if state.said_at.is_none() && is_near {
            return;
        }
        state.said_at = Some(at);
        let [own, low, high] = [beside.own, beside.theirs.0, beside.theirs.1].map(Number);
        let (check, entity, peers) = (&series.check, &series.entity, beside.peers);
        let of = if self.grows { ", in deviations from how it usually grows" } else { "" };
        let summary = format!("{check} of {entity} leaves its {peers} peers: {own}, theirs {low} to {high}{of}");
        let said = Said::firing(APART, APART, cx.policy.score.severity, summary);
        found.push(Said { off: Some(beside.distance.spreads()), ..said }.about(series, key, at));
    }

    fn is_back(&mut self, key: Fingerprint, series: &mut Series, at: Timestamp, found: &mut Vec<Finding>) {
        series.is_apart = false;
        if self.apart.remove(&key).is_some_and(|state| state.said_at.is_some()) {
            found.push(Said::resolved(APART, APART).about(series, key, at));
        }
    }
}

/// Whether an alert tells that the series has left its peers.
pub fn is_told_by(key: Fingerprint, alert: Fingerprint) -> bool {
    alert == fingerprint(key, APART)
}
