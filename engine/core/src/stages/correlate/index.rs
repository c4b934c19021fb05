//! Which episodes an alert is weighed against: found by the grounds it lies on, and the latest; never all of them.
use super::{Lens, profile::Profile, sighting::Sighting};
use crate::{
    domain::{
        episode::{Episode, EpisodeId},
        hash::hash_of,
        policy::Correlate,
        time::Timestamp,
        topology::places::Ring,
    },
    room::give_back,
};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize, Serializer};
use std::{
    collections::{BTreeSet, hash_map::Entry},
    slice,
};

/// The episodes on a ground, the latest founded last: on most grounds, those of single entities, it is one.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(from = "Vec<EpisodeId>")]
enum Ids {
    One(EpisodeId),
    #[expect(clippy::box_collection, reason = "a place in the table is as large as the one")]
    Many(Box<Vec<EpisodeId>>),
}

impl Ids {
    fn as_slice(&self) -> &[EpisodeId] {
        match self {
            Self::One(id) => slice::from_ref(id),
            Self::Many(ids) => ids,
        }
    }

    fn push(&mut self, id: EpisodeId) {
        match self {
            Self::One(first) => *self = Self::Many(Box::new(vec![*first, id])),
            Self::Many(ids) => ids.push(id),
        }
    }

    /// Whether it was the last.
    fn remove(&mut self, id: EpisodeId) -> bool {
        let Self::Many(ids) = self else { return *self == Self::One(id) };
        ids.retain(|other| *other != id);
        if let [last] = ids[..] {
            *self = Self::One(last);
        }
        false
    }
}

impl From<Vec<EpisodeId>> for Ids {
    fn from(ids: Vec<EpisodeId>) -> Self {
        if let [id] = ids[..] { Self::One(id) } else { Self::Many(Box::new(ids)) }
    }
}

impl Serialize for Ids {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_slice().serialize(serializer)
    }
}

/// Episodes that take alerts.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Index {
    #[serde(with = "crate::snapshot::sorted")]
    by_ground: FxHashMap<u64, Ids>,
    /// By their latest alert.
    by_time: BTreeSet<(Timestamp, EpisodeId)>,
}

impl Index {
    /// An episode is found by what an alert of it touches.
    pub fn list(&mut self, episode: &mut Episode, seen: &Sighting, policy: &Correlate) {
        self.by_time.insert((episode.last_joined_at, episode.id));
        for (facet, known) in seen.facets.iter().zip(&seen.known) {
            if known.shares[facet.ring as usize] < policy.candidates_share {
                self.list_under(episode, facet.ground, policy);
            }
        }
    }

    /// An episode that has taken nothing for long is only found by the entities on which it may go on, and its series.
    pub fn list_lingering(&mut self, episode: &mut Episode, policy: &Correlate) {
        self.unlist(episode);
        let goes_on = episode.members.iter().filter(|m| m.surprise.is_some());
        let entities: BTreeSet<u64> = goes_on.map(|m| hash_of(&m.entity)).collect();
        for entity in entities {
            self.list_under(episode, entity, policy);
        }
        self.list_series(episode, policy);
    }

    /// However long it has taken nothing, an episode is found by the series that open alerts of it are about.
    pub fn list_series(&mut self, episode: &mut Episode, policy: &Correlate) {
        let open = episode.members.iter().filter(|member| member.open);
        let all: BTreeSet<u64> = open.filter_map(|member| Some(member.series?.get())).collect();
        for series in all {
            self.list_under(episode, series, policy);
        }
    }

    /// An episode is found by a ground.
    pub fn list_under(&mut self, episode: &mut Episode, ground: u64, policy: &Correlate) {
        if let Err(place) = episode.keys.binary_search(&ground)
            && episode.keys.len() < policy.bounds.grounds_per_episode
        {
            episode.keys.insert(place, ground);
            match self.by_ground.entry(ground) {
                Entry::Vacant(place) => {
                    place.insert(Ids::One(episode.id));
                }
                Entry::Occupied(mut ids) => ids.get_mut().push(episode.id),
            }
        }
    }

    /// What led to one episode leads to another.
    pub fn inherit(&mut self, from: &[u64], to: &mut Episode, policy: &Correlate) {
        self.by_time.insert((to.last_joined_at, to.id));
        for ground in from {
            self.list_under(to, *ground, policy);
        }
    }

    /// Its latest alert is about to be another.
    pub fn forget_time(&mut self, episode: &Episode) {
        self.by_time.remove(&(episode.last_joined_at, episode.id));
    }

    /// It is no longer found.
    pub fn unlist(&mut self, episode: &mut Episode) -> Vec<u64> {
        self.forget_time(episode);
        let keys = std::mem::take(&mut episode.keys);
        for key in &keys {
            if self.by_ground.get_mut(key).is_some_and(|ids| ids.remove(episode.id)) {
                self.by_ground.remove(key);
            }
        }
        give_back(&mut self.by_ground);
        keys
    }

    /// The latest episodes first, a bounded number.
    pub fn latest(&self) -> impl Iterator<Item = EpisodeId> {
        self.by_time.iter().rev().map(|(_, id)| *id)
    }

    /// Those on a ground, the latest founded first.
    pub fn on(&self, ground: u64) -> impl Iterator<Item = EpisodeId> {
        self.by_ground.get(&ground).into_iter().flat_map(|ids| ids.as_slice().iter().rev().copied())
    }

    /// Up to `candidates_max` episodes: those on the grounds that lead to fewest first, then the latest.
    pub fn candidates(&self, seen: &Sighting, policy: &Correlate) -> impl Iterator<Item = Candidate> + use<> {
        let (max, common) = (policy.candidates_max, policy.candidates_share);
        let mut grounds: Vec<(usize, u64, f64, &[EpisodeId])> = Vec::with_capacity(seen.facets.len());
        for (facet, known) in seen.facets.iter().zip(&seen.known) {
            let (ring, own) = (known.shares[facet.ring as usize], known.shares[Ring::Own as usize]);
            if ring.max(own) < common
                && let Some(ids) = self.by_ground.get(&{ facet.ground }).map(Ids::as_slice)
            {
                grounds.push((ids.len(), facet.ground, 1.0 / ring, ids));
            }
        }
        grounds.sort_unstable_by_key(|(most, ground, ..)| (*most, *ground));
        let mut found: Vec<Candidate> = Vec::with_capacity(2 * max);
        for (.., likeliest, ids) in grounds {
            found.extend(
                ids.iter().rev().take(policy.bounds.episodes_per_ground).map(|id| Candidate { id: *id, likeliest }),
            );
            if found.len() >= 2 * max {
                break;
            }
        }
        found.sort_unstable_by(|a, b| a.id.cmp(&b.id).then(b.likeliest.total_cmp(&a.likeliest)));
        found.dedup_by_key(|candidate| candidate.id);
        found.sort_unstable_by(|a, b| b.likeliest.total_cmp(&a.likeliest).then(a.id.cmp(&b.id)));
        found.truncate(max);
        let near = found.len();
        for id in self.latest().take(max) {
            if found.len() >= max {
                break;
            }
            if found[..near].iter().all(|candidate| candidate.id != id) {
                found.push(Candidate { id, likeliest: 1.0 / common });
            }
        }
        found.into_iter()
    }
}

/// An episode that an alert is weighed against.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    pub id: EpisodeId,
    /// How much likelier than anywhere the alert is there, at most: by the rarest ground that led to it.
    pub likeliest: f64,
}

/// Whether an episode may take an alert of that time, and of that entity.
pub fn is_open_at(profile: &Profile, at: Timestamp, entity: Option<u64>, cx: &Lens<'_>) -> bool {
    let window = cx.policy.correlate.window;
    let lingers = || entity.is_some_and(|entity| profile.endless_of(entity) > 0);
    let gap = at - profile.latest;
    (gap <= window || gap <= cx.policy.correlate.time.linger && lingers())
        && profile.seed.at - at <= window
        && profile.lives().len() < cx.policy.limits.alerts_per_episode
}
