//! Alerts change their episode: moved, merged, split; by revision or by people.
use super::{Correlator, Lens, await_end};
use crate::{
    domain::{
        alert::{Alert, AlertId, Fingerprint},
        correction::Keys,
        episode::{Episode, EpisodeId, Evidence, Member, Moved, MovedBy, Reason},
        time::Timestamp,
    },
    output::Placed,
    scope::Cx,
    stages::{
        correlate::sighting::{Occurrence, Sighting},
        deduplicate::Deduplicator,
        raise::Raiser,
    },
};
use std::{collections::BTreeSet, sync::Arc};

/// Episodes that are remembered as where alerts went.
const WENT_MAX: usize = 16;

/// What has changed its place: alerts that have to be told, and episodes that raise otherwise now.
#[derive(Debug, Default)]
pub struct Moves {
    pub alerts: Vec<Fingerprint>,
    pub episodes: BTreeSet<EpisodeId>,
    /// What has not, for people to decide.
    pub suggestions: Vec<Suggestion>,
}

/// What the model would do, did nobody look after the incident.
#[derive(Debug)]
pub struct Suggestion {
    pub from: EpisodeId,
    /// `None`: the alert has a cause of its own.
    pub into: Option<EpisodeId>,
    /// The alert that would move; `None`: all, as the two are one.
    pub alert: Option<Fingerprint>,
    /// How much better that would be, in thousandths of a nat.
    pub margin: i64,
}

impl Correlator {
    /// Two episodes are one: all of `from` goes to `into`. What a person joins stays joined.
    pub fn merge(
        &mut self,
        (from, into): (EpisodeId, EpisodeId),
        by_hand: bool,
        deduplicator: &mut Deduplicator,
        raiser: &mut Raiser,
        cx: &mut Cx<'_>,
        moves: &mut Moves,
    ) {
        if from == into || !self.episodes.contains_key(&into) {
            return;
        }
        let Some(episode) = self.episodes.get_mut(&from) else { return };
        let (members, incident) = (std::mem::take(&mut episode.members), episode.incident);
        (episode.open, episode.muted, episode.unsteady, episode.many_due) = (0, 0, 0, None);
        episode.surprise = 0;
        let keys = self.index.unlist(episode);
        self.groups.redirect(episode, into);
        let policy = episode.policy.clone();
        self.merge_profiles(from, into, cx);
        let Some(target) = self.episodes.get_mut(&into) else { return };
        self.index.forget_time(target);
        // It takes alerts for as long as the group that it took in.
        target.policy = target.policy.take().or(policy);
        let moved = by_hand.then(|| Arc::new(Moved { at: cx.core.clock, by: MovedBy::Itself }));
        let known: BTreeSet<AlertId> = target.members.iter().map(|m| m.alert).collect();
        for mut member in members {
            if moved.is_some() {
                (member.reason, member.evidence) = (Reason::ByHand, Evidence::default());
                member.moved.clone_from(&moved);
            }
            raiser.on_left(incident, 0, member.alert);
            moves.alerts.push(member.fingerprint);
            let is_known = known.contains(&member.alert);
            receive((member, is_known), from, target, deduplicator, cx);
        }
        if let Some(profile) = self.profiles.get_mut(&into) {
            profile.relive(target);
            self.index.inherit(&keys, target, &cx.policy.correlate);
        }
        self.index.list_series(target, &cx.policy.correlate);
        await_end(target, cx);
        self.remember(into, &cx.policy.correlate);
        moves.episodes.extend([from, into]);
        if let Some(episode) = self.episodes.get_mut(&from) {
            went(episode, into, 1);
        }
    }

    fn merge_profiles(&mut self, from: EpisodeId, into: EpisodeId, cx: &Cx<'_>) {
        let scope = cx.core.name.clone();
        let lens = Lens::of(&self.learned, &scope, cx);
        if let (Some(from), Some(profile)) = (self.profiles.remove(&from), self.profiles.get_mut(&into)) {
            profile.absorb(*from, &self.learned, &lens);
        }
    }

    /// People say where some alerts of an episode belong: they go there, and stay.
    pub fn move_by_hand(
        &mut self,
        keys: &[Fingerprint],
        (from, into): (EpisodeId, EpisodeId),
        deduplicator: &mut Deduplicator,
        raiser: &mut Raiser,
        cx: &mut Cx<'_>,
        moves: &mut Moves,
    ) {
        // What a policy made, or has ended, the model does not know.
        let is_known = self.profiles.contains_key(&from);
        for key in keys {
            self.move_alert(*key, into, (Reason::ByHand, Evidence::default()), deduplicator, raiser, cx, moves);
            if let Some(alert) = deduplicator.get(*key).filter(|alert| is_known && alert.episode == Some(into)) {
                let scope = cx.core.name.clone();
                let lens = Lens::of(&self.learned, &scope, cx);
                let seen = Sighting::of(alert, &self.learned, &lens).look(&self.learned, &lens);
                let background = self.learned.ln_background(&seen, &lens);
                self.rejoin(&seen, background, into, cx);
            }
        }
    }

    /// Some alerts of an episode become one of their own, and stay there.
    pub fn split(
        &mut self,
        from: EpisodeId,
        alerts: &[AlertId],
        deduplicator: &mut Deduplicator,
        raiser: &mut Raiser,
        cx: &mut Cx<'_>,
        moves: &mut Moves,
    ) -> Option<EpisodeId> {
        let episode = self.episodes.get(&from)?;
        let leave = |m: &&Member| alerts.contains(&m.alert);
        let keys: Vec<Fingerprint> = episode.members.iter().filter(leave).map(|m| m.fingerprint).collect();
        let first = keys.iter().find_map(|key| deduplicator.get(*key)).cloned()?;
        let into = self.found(&first, cx);
        self.move_by_hand(&keys, (from, into), deduplicator, raiser, cx, moves);
        Some(into)
    }

    /// One alert goes to another episode.
    #[expect(clippy::too_many_arguments, reason = "all of the stages know of a move")]
    pub fn move_alert(
        &mut self,
        key: Fingerprint,
        into: EpisodeId,
        (reason, evidence): (Reason, Evidence),
        deduplicator: &mut Deduplicator,
        raiser: &mut Raiser,
        cx: &mut Cx<'_>,
        moves: &mut Moves,
    ) {
        let Some(alert) = deduplicator.get(key) else { return };
        let Some(from) = alert.episode.filter(|from| *from != into && self.episodes.contains_key(&into)) else {
            return;
        };
        self.leave_profile(alert, from, cx);
        let place = alert.member();
        let Some(episode) = self.episodes.get_mut(&from) else { return };
        if episode.members.get(place).is_none_or(|m| m.alert != alert.id) {
            return;
        }
        let member = episode.members.remove(place);
        if let Some(profile) = self.profiles.get_mut(&from) {
            profile.is_said_of_less(Keys::of(&member));
        }
        episode.open -= usize::from(member.open);
        episode.count_marks();
        went(episode, into, 1);
        raiser.on_left(episode.incident, place, member.alert);
        for (n, behind) in episode.members.iter().enumerate().skip(place) {
            if let Some(other) = deduplicator.get_mut(behind.fingerprint).filter(|a| is_there(a, behind, from)) {
                Arc::make_mut(other).is_member(n);
            }
        }
        await_end(episode, cx);
        if let Some(target) = self.episodes.get_mut(&into) {
            self.index.forget_time(target);
            let is_known = target.members.iter().any(|m| m.alert == member.alert);
            let moved = Some(Arc::new(Moved { at: cx.core.clock, by: MovedBy::Itself }));
            let member = Member { reason, evidence, moved, ..member };
            receive((member, is_known), from, target, deduplicator, cx);
            if let Some(profile) = self.profiles.get_mut(&into) {
                profile.relive(target);
                self.index.inherit(&[], target, &cx.policy.correlate);
            }
            self.index.list_series(target, &cx.policy.correlate);
            await_end(target, cx);
            let last = target.members.len() - 1;
            if !is_known {
                self.remember_one(into, last, &cx.policy.correlate);
            }
        }
        self.relive(from);
        moves.alerts.push(key);
        moves.episodes.extend([from, into]);
    }

    fn leave_profile(&mut self, alert: &Alert, from: EpisodeId, cx: &Cx<'_>) {
        let scope = cx.core.name.clone();
        let lens = Lens::of(&self.learned, &scope, cx);
        let mut seen = Occurrence::of(alert);
        // It counts since it joined.
        if let Some(member) = self.episodes.get(&from).and_then(|e| e.members.get(alert.member())) {
            // What came here without being weighed never counted.
            if member.reason.is_given() {
                return;
            }
            seen.at = member.opened_at;
        }
        if let Some(profile) = self.profiles.get_mut(&from) {
            profile.remove(seen, &self.learned, &lens);
        }
    }

    fn relive(&mut self, id: EpisodeId) {
        if let (Some(profile), Some(episode)) = (self.profiles.get_mut(&id), self.episodes.get(&id)) {
            profile.relive(episode);
        }
    }
}

/// An alert comes from another episode; it may have been here before.
fn receive(
    (member, is_known): (Member, bool),
    from: EpisodeId,
    to: &mut Episode,
    deduplicator: &mut Deduplicator,
    cx: &mut Cx<'_>,
) {
    let alert = deduplicator.get_mut(member.fingerprint).filter(|a| is_there(a, &member, from));
    if let Some(trace) = &mut cx.out.trace {
        let (scope, at, before) = (cx.core.name.clone(), cx.core.clock, trace.verdicts.len());
        let reason = member.reason.to_string();
        let (alert, from) = (member.alert, Some(from));
        trace.placed.push(Placed { scope, alert, from, episode: to.id, at, reason, before });
    }
    to.founded_at = to.founded_at.min(member.opened_at);
    to.last_joined_at = to.last_joined_at.max(member.opened_at);
    to.last_cleared_at = to.last_cleared_at.max(member.cleared_at);
    to.open += usize::from(member.open);
    let place = match is_known.then(|| to.members.iter().position(|m| m.alert == member.alert)).flatten() {
        Some(place) => {
            let known = &mut to.members[place];
            // It is open in one of the two at most.
            known.open |= member.open;
            known.expired = if known.cleared_at < member.cleared_at { member.expired } else { known.expired };
            known.cleared_at = known.cleared_at.max(member.cleared_at);
            known.opened_at = known.opened_at.min(member.opened_at);
            known.started_at = known.started_at.min(member.started_at);
            known.occurrences += member.occurrences;
            (known.flapping, known.muted) = (known.flapping || member.flapping, known.muted || member.muted);
            known.surprise = known.surprise.or(member.surprise);
            place
        }
        None => {
            to.add(member);
            to.members.len() - 1
        }
    };
    to.count_marks();
    if let Some(alert) = alert.map(Arc::make_mut) {
        alert.episode = Some(to.id);
        alert.is_member(place);
    }
}

/// Its present place is the one it is about to leave: it may have found another since.
fn is_there(alert: &Alert, member: &Member, episode: EpisodeId) -> bool {
    alert.id == member.alert && alert.episode == Some(episode)
}

/// Of many the least goes, ties by id.
fn went(episode: &mut Episode, to: EpisodeId, alerts: u32) {
    match episode.went.binary_search_by_key(&to, |w| w.0) {
        Ok(place) => episode.went[place].1 += alerts,
        Err(place) => episode.went.insert(place, (to, alerts)),
    }
    if episode.went.len() > WENT_MAX {
        let least = (0..episode.went.len()).min_by_key(|n| (episode.went[*n].1, episode.went[*n].0));
        episode.went.remove(least.unwrap_or(0));
    }
}

impl Episode {
    /// Of no alerts yet.
    pub fn new(id: EpisodeId, at: Timestamp) -> Self {
        Self {
            id,
            founded_at: at,
            last_joined_at: at,
            members: Vec::new(),
            open: 0,
            muted: 0,
            unsteady: 0,
            surprise: 0,
            last_cleared_at: Timestamp::MIN,
            incident: None,
            previous: None,
            many_due: None,
            policy: None,
            min_alerts: 0,
            went: Vec::new(),
            keys: Vec::new(),
        }
    }

    /// Where most of those that left went.
    pub fn went_mostly(&self) -> Option<EpisodeId> {
        self.went.iter().max_by_key(|(id, alerts)| (*alerts, std::cmp::Reverse(*id))).map(|(id, _)| *id)
    }
}
