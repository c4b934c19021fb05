//! Places each occurrence of an alert in an episode: by scope, topology neighbourhood and a time gap.
//!
//! Dependencies are counted from the service it began with, everything else from any member.
//!
//! Candidates come from an index of what episodes touch (entities, what those run on, services), never from a walk over
//! all episodes.
use crate::{
    domain::{
        alert::Alert,
        episode::{Episode, EpisodeId, Member, Reason},
        hash::Framed,
        time::Timestamp,
    },
    output::Joined,
    scope::Cx,
    stages::{deduplicate::first_of, raise::Raiser},
    timers::TimerKind,
};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

/// Neighbours looked at for one occurrence: enough for a host, a bound for a hub.
const PROBES_MAX: usize = 64;
/// A share of this of the episodes goes when there are too many.
const EVICTED_SHARE: usize = 64;
/// How many steps of dependency lie between the service where an episode began and one of its alerts.
const FOUNDER_STEPS_MAX: u8 = 2;
/// Keys under which an episode is found.
const KEYS_MAX: usize = 256;

/// What an episode touches.
#[derive(Clone, Copy)]
enum Key<'a> {
    Entity(&'a str),
    /// Something that runs on it has an alert.
    Under(&'a str),
    /// An alert of this service belongs to it.
    Service(&'a str),
    /// It began with an alert of this service.
    Founder(&'a str),
}

impl Key<'_> {
    fn hash(self, framed: &mut Framed) -> u64 {
        let (kind, name) = match self {
            Self::Entity(name) => ("e", name),
            Self::Under(name) => ("u", name),
            Self::Service(name) => ("s", name),
            Self::Founder(name) => ("f", name),
        };
        framed.clear().field(kind).field(name).hash64()
    }
}

/// The episodes of a scope.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Correlator {
    episodes: BTreeMap<EpisodeId, Episode>,
    /// Episodes that take alerts, by what they touch.
    #[serde(with = "crate::snapshot::sorted")]
    index: FxHashMap<u64, Vec<EpisodeId>>,
    #[serde(skip)]
    framed: Framed,
}

impl Correlator {
    /// An episode.
    pub fn get(&self, id: EpisodeId) -> Option<&Episode> {
        self.episodes.get(&id)
    }

    /// An episode.
    pub fn get_mut(&mut self, id: EpisodeId) -> Option<&mut Episode> {
        self.episodes.get_mut(&id)
    }

    /// How many are kept.
    pub fn kept(&self) -> usize {
        self.episodes.len()
    }

    /// Finds a place for an alert that has just opened, or opened again `after` a clear.
    pub fn place(&mut self, alert: &mut Alert, raiser: &Raiser, cx: &mut Cx<'_>) -> EpisodeId {
        let back = self.former(alert, raiser, cx);
        let (id, reason) =
            back.or_else(|| self.nearest(alert, raiser, cx)).unwrap_or_else(|| (self.found(alert, cx), Reason::First));
        self.join(id, alert, reason, cx);
        id
    }

    /// An alert that was of one episode has come back in another: what that one's people did is worth knowing.
    pub fn link(&mut self, former: Option<EpisodeId>, now: EpisodeId) {
        let Some(former) = former.filter(|former| *former != now) else { return };
        let previous = self.episodes.get(&former).and_then(|episode| episode.incident);
        if let (Some(previous), Some(episode)) = (previous, self.episodes.get_mut(&now)) {
            episode.previous = Some(previous);
        }
    }

    /// The episode that it has left only just now.
    fn former(&self, alert: &Alert, raiser: &Raiser, cx: &Cx<'_>) -> Option<(EpisodeId, Reason)> {
        let cleared = alert.cleared_at?;
        let episode = self.episodes.get(&alert.episode?)?;
        (alert.occurred_at - cleared <= cx.policy.correlate.gap && raiser.takes_alerts(episode, cx))
            .then_some((episode.id, Reason::Returned))
    }

    /// Of the episodes in the neighbourhood that are active, the nearest; of those, the latest.
    fn nearest(&mut self, alert: &Alert, raiser: &Raiser, cx: &Cx<'_>) -> Option<(EpisodeId, Reason)> {
        let policy = cx.policy;
        let active = |episode: &Episode| {
            alert.occurred_at - episode.last_joined_at <= policy.correlate.gap
                && episode.founded_at - alert.occurred_at <= policy.correlate.gap
                && episode.members.len() < policy.limits.alerts_per_episode
                && raiser.takes_alerts(episode, cx)
        };
        let mut best: Option<(u8, Timestamp, EpisodeId, Reason)> = None;
        for (key, reason) in neighbourhood(alert, cx, &mut self.framed) {
            let distance = reason.distance();
            if distance > policy.correlate.distance_max || best.as_ref().is_some_and(|b| b.0 < distance) {
                continue;
            }
            for episode in self.index.get(&key).into_iter().flatten().filter_map(|id| self.episodes.get(id)) {
                let better = best
                    .as_ref()
                    .is_none_or(|(d, at, id, _)| (distance, *at, *id) < (*d, episode.last_joined_at, episode.id));
                if better && active(episode) {
                    best = Some((distance, episode.last_joined_at, episode.id, reason.clone()));
                }
            }
        }
        best.map(|(_, _, id, reason)| (id, reason))
    }

    fn found(&mut self, alert: &Alert, cx: &mut Cx<'_>) -> EpisodeId {
        self.make_room(cx);
        cx.core.episodes_founded += 1;
        let ordinal = cx.core.next_ordinal();
        let hash = self
            .framed
            .clear()
            .field(cx.core.name.as_bytes())
            .field(alert.fingerprint.0.to_le_bytes())
            .field(alert.occurred_at.0.to_le_bytes())
            .field(ordinal.to_le_bytes())
            .field("episode")
            .hash64();
        let id = EpisodeId(hash);
        let episode = Episode {
            id,
            founded_at: alert.occurred_at,
            last_joined_at: alert.occurred_at,
            members: Vec::new(),
            open: 0,
            muted: 0,
            unsteady: 0,
            last_cleared_at: Timestamp::MIN,
            incident: None,
            previous: None,
            many_due: None,
            keys: Vec::new(),
        };
        self.episodes.insert(id, episode);
        id
    }

    /// There are as many episodes as alerts and incidents may give reason for: beyond that, those that have ended in
    /// all but name make room, the longest unheard of first.
    fn make_room(&mut self, cx: &mut Cx<'_>) {
        let max = cx.policy.limits.alerts.saturating_add(cx.policy.limits.incidents);
        if self.episodes.len() < max {
            return;
        }
        let idle = self.episodes.values().filter(|e| e.open == 0 && e.incident.is_none());
        let idle = idle.map(|e| (e.last_cleared_at, e.id)).collect();
        for (_, id) in first_of(idle, max.div_ceil(EVICTED_SHARE)) {
            cx.core.evicted.episodes += 1;
            self.remove(id, cx);
        }
    }

    fn join(&mut self, id: EpisodeId, alert: &mut Alert, reason: Reason, cx: &mut Cx<'_>) {
        let Some(episode) = self.episodes.get_mut(&id) else { return };
        if let Some(trace) = &mut cx.out.trace {
            let (scope, reason) = (cx.core.name.clone(), reason.to_string());
            trace.joined.push(Joined { scope, episode: id, alert: alert.id, at: alert.occurred_at, reason });
        }
        let after = (alert.occurred_at - episode.last_joined_at).0 / 1_000;
        episode.last_joined_at = episode.last_joined_at.max(alert.occurred_at);
        episode.founded_at = episode.founded_at.min(alert.occurred_at);
        episode.open += 1;
        let former = match alert.episode {
            None => None,
            Some(former) if former == id => Some(alert.member),
            Some(_) => episode.members.iter().position(|m| m.alert == alert.id),
        };
        if let Some(member) = former.and_then(|n| episode.members.get_mut(n)) {
            member.open = true;
            member.severity = alert.severity;
        } else {
            episode.members.push(Member::of(alert, reason, after));
        }
        alert.member = former.unwrap_or(episode.members.len() - 1);
        episode.mark(alert.member, alert.flapping, false);
        alert.episode = Some(id);
        await_end(episode, cx);
        self.list(id, alert, cx);
    }

    /// Makes an episode findable by what an alert touches.
    fn list(&mut self, id: EpisodeId, alert: &Alert, cx: &Cx<'_>) {
        let Some(episode) = self.episodes.get_mut(&id) else { return };
        let on = cx.topology.entity(&cx.core.name, &alert.entity).map_or(&[][..], |e| &e.on);
        let keys = [Key::Entity(&alert.entity)]
            .into_iter()
            .chain(on.iter().map(|parent| Key::Under(parent)))
            .chain(alert.services.iter().map(|service| Key::Service(service)));
        // Dependencies are counted from where it began: from any member, one step at a time, an episode would wander
        // through the whole graph.
        let is_founder = episode.members.len() == 1;
        let founders = alert.services.iter().filter(|_| is_founder).map(|service| Key::Founder(service));
        for key in keys.chain(founders) {
            let hash = key.hash(&mut self.framed);
            if let Err(place) = episode.keys.binary_search(&hash)
                && episode.keys.len() < KEYS_MAX
            {
                episode.keys.insert(place, hash);
                self.index.entry(hash).or_default().push(id);
            }
        }
    }

    fn unlist(&mut self, id: EpisodeId) {
        let Some(episode) = self.episodes.get_mut(&id) else { return };
        for key in std::mem::take(&mut episode.keys) {
            if let Some(ids) = self.index.get_mut(&key) {
                ids.retain(|other| *other != id);
                if ids.is_empty() {
                    self.index.remove(&key);
                }
            }
        }
    }

    /// The occurrence of an alert ended.
    pub fn clear(&mut self, alert: &Alert, cx: &mut Cx<'_>) -> Option<EpisodeId> {
        let episode = self.episodes.get_mut(&alert.episode?)?;
        let member = episode.members.get_mut(alert.member).filter(|m| m.alert == alert.id && m.open)?;
        member.open = false;
        episode.open -= 1;
        episode.mark(alert.member, false, false);
        episode.last_cleared_at = episode.last_cleared_at.max(alert.cleared_at.unwrap_or(Timestamp::MIN));
        if episode.open == 0 {
            await_end(episode, cx);
        }
        Some(episode.id)
    }

    /// An alert is suppressed, or heard again.
    pub fn mute(&mut self, alert: &Alert) -> Option<EpisodeId> {
        let episode = self.episodes.get_mut(&alert.place()?)?;
        episode.members.get(alert.member).filter(|m| m.alert == alert.id && m.open)?;
        episode.mark(alert.member, alert.flapping, alert.suppressed_by.is_some());
        Some(episode.id)
    }

    /// Severity or summary of an alert changed.
    pub fn update(&mut self, alert: &Alert) -> Option<EpisodeId> {
        let episode = self.episodes.get_mut(&alert.place()?)?;
        let member = episode.members.get_mut(alert.member).filter(|m| m.alert == alert.id)?;
        member.severity = alert.severity;
        member.summary = alert.summary.clone();
        let (flapping, muted) = (alert.flapping && member.open, member.muted);
        episode.mark(alert.member, flapping, muted);
        Some(episode.id)
    }

    /// It takes no more alerts; one that raised nothing and is clear is not kept.
    pub fn on_end(&mut self, id: EpisodeId, due: Timestamp, cx: &mut Cx<'_>) {
        let Some(episode) = self.episodes.get(&id) else { return };
        if ends_at(episode, cx) > due {
            return await_end(episode, cx);
        }
        let done = episode.open == 0 && episode.incident.is_none();
        self.unlist(id);
        if done {
            self.remove(id, cx);
        }
    }

    /// It is no longer kept.
    pub fn remove(&mut self, id: EpisodeId, cx: &mut Cx<'_>) {
        self.unlist(id);
        self.episodes.remove(&id);
        for kind in [TimerKind::Many, TimerKind::EndEpisode] {
            cx.core.timers.cancel(kind, u128::from(id.0));
        }
    }
}

/// When an episode takes no more alerts: one of its own may come back as long after its clear.
fn ends_at(episode: &Episode, cx: &Cx<'_>) -> Timestamp {
    let cleared_at = if episode.open == 0 { episode.last_cleared_at } else { Timestamp::MIN };
    episode.last_joined_at.max(cleared_at) + cx.policy.correlate.gap
}

fn await_end(episode: &Episode, cx: &mut Cx<'_>) {
    cx.set(TimerKind::EndEpisode, u128::from(episode.id.0), ends_at(episode, cx));
}

/// Where to look, nearest first, and what it would mean to find an episode there.
fn neighbourhood<'a>(alert: &Alert, cx: &Cx<'a>, framed: &mut Framed) -> Vec<(u64, Reason)> {
    let scope = &cx.core.name;
    let mut probes = vec![(Key::Entity(&alert.entity).hash(framed), Reason::SameEntity)];
    if let Some(entity) = cx.topology.entity(scope, &alert.entity) {
        let parents = entity.on.iter().map(|p| (Key::Entity(p), Reason::RunsOn(p.clone())));
        let linked = entity.linked.iter().map(|l| (Key::Entity(l), Reason::LinkedTo(l.clone())));
        probes.extend(parents.chain(linked).map(|(key, reason)| (key.hash(framed), reason)));
    }
    probes.push((Key::Under(&alert.entity).hash(framed), Reason::Carries));
    for service in &alert.services {
        probes.push((Key::Service(service).hash(framed), Reason::SameService(service.clone())));
    }
    for service in alert.services.iter().filter_map(|s| cx.topology.service(scope, s)) {
        let near = |others: &'a BTreeMap<Arc<str>, u8>| others.iter().filter(|(_, steps)| **steps <= FOUNDER_STEPS_MAX);
        for (other, _) in near(&service.upstream) {
            probes.push((Key::Founder(other).hash(framed), Reason::DependsOn(other.clone())));
        }
        for (other, _) in near(&service.downstream) {
            probes.push((Key::Founder(other).hash(framed), Reason::Serves(other.clone())));
        }
    }
    probes.truncate(PROBES_MAX);
    probes
}
