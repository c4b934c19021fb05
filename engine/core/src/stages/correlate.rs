//! Places each occurrence of an alert in an episode: by scope, topology neighbourhood and a time gap.
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
    stages::raise::Raiser,
    timers::TimerKind,
};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

/// Neighbours looked at for one occurrence: enough for a host, a bound for a hub.
const PROBES_MAX: usize = 64;
/// Keys under which an episode is found.
const KEYS_MAX: usize = 256;

/// What an episode touches.
#[derive(Clone, Copy)]
enum Key<'a> {
    Entity(&'a str),
    /// Something that runs on it has an alert.
    Under(&'a str),
    Service(&'a str),
}

impl Key<'_> {
    fn hash(self, framed: &mut Framed) -> u64 {
        let (kind, name) = match self {
            Self::Entity(name) => ("e", name),
            Self::Under(name) => ("u", name),
            Self::Service(name) => ("s", name),
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

    /// All episodes.
    pub fn iter(&self) -> impl Iterator<Item = &Episode> {
        self.episodes.values()
    }

    /// Finds a place for an alert that has just opened, or opened again `after` a clear.
    pub fn place(&mut self, alert: &mut Alert, raiser: &Raiser, cx: &mut Cx<'_>) -> EpisodeId {
        let back = self.former(alert, raiser, cx);
        let (id, reason) =
            back.or_else(|| self.nearest(alert, raiser, cx)).unwrap_or_else(|| (self.found(alert, cx), Reason::First));
        self.join(id, alert, reason, cx);
        id
    }

    /// The episode that it has left only just now.
    fn former(&self, alert: &Alert, raiser: &Raiser, cx: &Cx<'_>) -> Option<(EpisodeId, Reason)> {
        let cleared = alert.cleared_at?;
        let episode = self.episodes.get(&alert.episode?)?;
        (alert.occurred_at - cleared <= cx.policy.correlate.gap && raiser.takes_alerts(episode))
            .then_some((episode.id, Reason::Returned))
    }

    /// Of the episodes in the neighbourhood that are active, the nearest; of those, the latest.
    fn nearest(&mut self, alert: &Alert, raiser: &Raiser, cx: &Cx<'_>) -> Option<(EpisodeId, Reason)> {
        let policy = cx.policy;
        let active = |episode: &Episode| {
            alert.occurred_at - episode.last_joined_at <= policy.correlate.gap
                && episode.founded_at - alert.occurred_at <= policy.correlate.gap
                && episode.members.len() < policy.limits.alerts_per_episode
                && raiser.takes_alerts(episode)
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
            last_cleared_at: Timestamp::MIN,
            incident: None,
            many_due: None,
            keys: Vec::new(),
        };
        self.episodes.insert(id, episode);
        cx.set(TimerKind::EndEpisode, u128::from(id.0), alert.occurred_at + cx.policy.correlate.gap);
        id
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
        let same = |m: &&mut Member| m.alert == alert.id;
        if alert.episode == Some(id)
            && let Some(member) = episode.members.get_mut(alert.member).filter(same)
        {
            member.open = true;
            member.severity = alert.severity;
        } else {
            alert.member = episode.members.len();
            episode.members.push(Member::of(alert, reason, after));
        }
        alert.episode = Some(id);
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
        for key in keys {
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
    pub fn clear(&mut self, alert: &Alert) -> Option<EpisodeId> {
        let episode = self.episodes.get_mut(&alert.episode?)?;
        let member = episode.members.get_mut(alert.member).filter(|m| m.alert == alert.id && m.open)?;
        member.open = false;
        episode.open -= 1;
        episode.last_cleared_at = episode.last_cleared_at.max(alert.cleared_at.unwrap_or(Timestamp::MIN));
        Some(episode.id)
    }

    /// Severity or summary of an alert changed.
    pub fn update(&mut self, alert: &Alert) -> Option<EpisodeId> {
        let episode = self.episodes.get_mut(&alert.episode?)?;
        let member = episode.members.get_mut(alert.member).filter(|m| m.alert == alert.id)?;
        member.severity = alert.severity;
        member.summary = alert.summary.clone();
        Some(episode.id)
    }

    /// It takes no more alerts; one that raised nothing and is clear is not kept.
    pub fn on_end(&mut self, id: EpisodeId, due: Timestamp, cx: &mut Cx<'_>) {
        let gap = cx.policy.correlate.gap;
        let Some(episode) = self.episodes.get(&id) else { return };
        // One of its own may come back as long after its clear.
        let last =
            if episode.open > 0 { episode.last_joined_at } else { episode.last_joined_at.max(episode.last_cleared_at) };
        if last + gap > due {
            cx.set(TimerKind::EndEpisode, u128::from(id.0), last + gap);
            return;
        }
        let done = episode.open == 0 && episode.incident.is_none();
        self.unlist(id);
        if done {
            self.episodes.remove(&id);
        }
    }

    /// Its incident is gone.
    pub fn remove(&mut self, id: EpisodeId) {
        self.unlist(id);
        self.episodes.remove(&id);
    }
}

/// Where to look, nearest first, and what it would mean to find an episode there.
fn neighbourhood(alert: &Alert, cx: &Cx<'_>, framed: &mut Framed) -> Vec<(u64, Reason)> {
    let scope = &cx.core.name;
    let mut probes = vec![(Key::Entity(&alert.entity).hash(framed), Reason::SameEntity)];
    if let Some(entity) = cx.topology.entity(scope, &alert.entity) {
        let parents = entity.on.iter().map(|p| (Key::Entity(p), Reason::RunsOn(p.clone())));
        let linked = entity.linked.iter().map(|l| (Key::Entity(l), Reason::LinkedTo(l.clone())));
        probes.extend(parents.chain(linked).map(|(key, reason)| (key.hash(framed), reason)));
    }
    probes.push((Key::Under(&alert.entity).hash(framed), Reason::Carries));
    let service_key = |s: &Arc<str>, framed: &mut Framed| Key::Service(s).hash(framed);
    for service in &alert.services {
        probes.push((service_key(service, framed), Reason::SameService(service.clone())));
    }
    for service in alert.services.iter().filter_map(|s| cx.topology.service(scope, s)) {
        for other in &service.depends_on {
            probes.push((service_key(other, framed), Reason::DependsOn(other.clone())));
        }
        for other in &service.dependents {
            probes.push((service_key(other, framed), Reason::Serves(other.clone())));
        }
    }
    probes.truncate(PROBES_MAX);
    probes
}
