//! What is looked at again some time after an alert opened: what came after it counts too.
use super::{
    Correlator, Lens, Score, Second, Sighting,
    corrections::FORBIDDEN,
    index::is_open_at,
    moves::{Moves, Suggestion},
    score::{Subject, millinats},
    sighting::Occurrence,
    unite::{self, Part},
};
use crate::{
    domain::{
        alert::{Alert, AlertId, Fingerprint},
        episode::{Episode, EpisodeId, Evidence, Gain, Moved, MovedBy, Reason},
        policy::Policy,
        time::{Span, Timestamp},
        topology::places::{GroundKind, Ring},
    },
    output::{United, Weighed},
    scope::Cx,
    stages::{deduplicate::Deduplicator, raise::Raiser},
};
use std::sync::Arc;

impl Correlator {
    /// An alert has been open for a while: is it where it belongs, and are episodes one that seemed two?
    pub fn on_revise(
        &mut self,
        key: Fingerprint,
        due: Timestamp,
        deduplicator: &mut Deduplicator,
        raiser: &mut Raiser,
        cx: &mut Cx<'_>,
    ) -> Moves {
        let mut moves = Moves::default();
        let Some((occurrence, rivals)) = self.reconsider(key, due, deduplicator, raiser, cx, &mut moves) else {
            return moves;
        };
        for rival in rivals {
            let Some(own) = deduplicator.get(key).and_then(|a| a.episode) else { break };
            if own != rival
                && let Some(gain) = self.gain_as_one(own, rival, raiser, cx)
            {
                self.unite((own, rival), gain.into(), deduplicator, raiser, cx, &mut moves);
            }
        }
        self.consolidate(key, deduplicator, raiser, cx, &mut moves);
        self.settle(key, occurrence, deduplicator, cx);
        moves
    }

    /// Moves the alert if another episode is clearly better. The best others are its own episode's rivals.
    fn reconsider(
        &mut self,
        key: Fingerprint,
        due: Timestamp,
        deduplicator: &mut Deduplicator,
        raiser: &mut Raiser,
        cx: &mut Cx<'_>,
        moves: &mut Moves,
    ) -> Option<(Occurrence, Vec<EpisodeId>)> {
        let revise = cx.policy.correlate.revise;
        let alert = deduplicator.get(key).filter(|a| a.flapping || a.occurred_at + revise.after == due)?;
        let own = alert.episode?;
        let (episode, profile) = (self.episodes.get(&own)?, self.profiles.get(&own)?);
        let member = episode.members.get(alert.member()).filter(|m| m.alert == alert.id)?;
        let fixed = member.reason.is_decided()
            || member.reason.is_given()
            || member.occurrences > 1 && !alert.flapping
            || cx.core.clock > member.opened_at + revise.until;
        let occurrence = Occurrence::of(alert);
        // In the midst of a storm there is nothing to reconsider for each alert: once in a while will do.
        let is_sure = i64::from(member.evidence.margin) >= millinats(revise.sure) && !alert.flapping;
        if is_sure && cx.core.clock - profile.revised_at < revise.sure_within {
            return Some((occurrence, Vec::new()));
        }
        let scope = cx.core.name.clone();
        let lens = Lens::of(&self.learned, &scope, cx);
        let seen = Sighting::of(alert, &self.learned, &lens).look(&self.learned, &lens);
        let (said, background) = (self.said(&seen, &lens), self.learned.ln_background(&seen, &lens));
        let mut subject = Subject::new((&seen, said), background, &self.learned, &lens);
        let others = self.rivals(&mut subject, own, raiser, &lens);
        let alone = profile.alerts == 1;
        let stays = if alone { 0 } else { subject.of_own(profile, &self.learned, &lens).total };
        let clock = cx.core.clock;
        let hysteresis = millinats(revise.hysteresis);
        let better = others.first().filter(|(score, _)| score.total > stays.max(0) + hysteresis).copied();
        let attended = raiser.is_attended(episode);
        let next = others.get(1).map_or(Second::default(), |(score, id)| Second::default().or(score.total, *id));
        let next = if alone { next } else { next.or(stays, own) };
        let reason = better.map(|best| (self.reason_or_said(alert, &seen, best, &lens), best.0.with_margin(next)));
        let (background, id) = (subject.background, alert.id);
        if let (Some((score, into)), Some(why), false) = (better, reason, fixed) {
            let margin = score.total - stays.max(0);
            let needed = stays.max(0) + hysteresis;
            let numbers = (score.total, millinats(libm::log(score.odds)), needed, next.total);
            if alone {
                // The whole episode goes, so that it is for the incidents which of the two remains.
                let united = self.unite((own, into), Because { margin, gain: None }, deduplicator, raiser, cx, moves);
                if let Some(united) = united {
                    trace_move((id, united), numbers, &why, cx);
                    self.explain(key, united, why, deduplicator);
                }
            } else if attended {
                moves.suggestions.push(Suggestion { from: own, into: Some(into), alert: Some(key), margin });
            } else {
                cx.core.revisions += 1;
                cx.core.regroupings.moved.model += u64::from(episode.incident.is_some());
                trace_move((id, into), numbers, &why, cx);
                self.move_alert(key, into, why, deduplicator, raiser, cx, moves);
                self.rejoin(&seen, background, into, cx);
            }
        } else if !fixed && !alone && stays < -hysteresis && attended {
            moves.suggestions.push(Suggestion { from: own, into: None, alert: Some(key), margin: -stays });
        } else if !fixed && !alone && stays < -hysteresis {
            cx.core.revisions += 1;
            cx.core.regroupings.split.model += u64::from(episode.incident.is_some());
            let alert = alert.clone();
            let into = self.found(&alert, cx);
            let best = others.first().filter(|(score, _)| score.total > stays);
            let next = best.map_or((stays, own), |(score, id)| (score.total, *id));
            let why = (Reason::First, Evidence::founding(Second { total: next.0, episode: Some(next.1) }));
            trace_move((id, into), (stays, stays, -hysteresis, next.0), &why, cx);
            self.move_alert(key, into, why, deduplicator, raiser, cx, moves);
            self.rejoin(&seen, background, into, cx);
        }
        if let Some(profile) = self.profiles.get_mut(&own) {
            profile.revised_at = clock;
            if alone && seen.flaps > 0.0 {
                // It would have come anyway, and is no reason for others to.
                profile.seed.background = background;
            }
        }
        let near = others.iter().take(cx.policy.correlate.bounds.rivals);
        let near = near.filter(|(score, _)| score.total >= millinats(revise.rival_min));
        let near = near.map(|(_, id)| *id).collect();
        Some((occurrence, near))
    }

    /// An alert that was alone has become one with another episode: it says why.
    fn explain(&mut self, key: Fingerprint, into: EpisodeId, why: (Reason, Evidence), deduplicator: &Deduplicator) {
        let place = deduplicator.get(key).map(Alert::member);
        let member = self.episodes.get_mut(&into).zip(place).and_then(|(e, place)| e.members.get_mut(place));
        if let Some(member) = member.filter(|member| member.fingerprint == key) {
            (member.reason, member.evidence) = why;
        }
    }

    /// An alert that was moved counts in the make-up of its episode.
    pub(super) fn rejoin(&mut self, seen: &Sighting, background: f64, into: EpisodeId, cx: &Cx<'_>) {
        let scope = cx.core.name.clone();
        let lens = Lens::of(&self.learned, &scope, cx);
        let is_new = !self.profiles.contains_key(&into);
        self.profile(into, seen, background, &lens);
        if is_new {
            self.remember(into, &cx.policy.correlate);
        }
    }

    /// The other episodes that an alert might belong to, the best first.
    fn rivals(
        &self,
        subject: &mut Subject<'_>,
        own: EpisodeId,
        raiser: &Raiser,
        cx: &Lens<'_>,
    ) -> Vec<(Score, EpisodeId)> {
        let seen = subject.seen;
        let mut found: Vec<(Score, EpisodeId)> = Vec::new();
        for candidate in self.candidates(seen, &subject.said, &cx.policy.correlate).into_iter().filter(|c| c.id != own)
        {
            let Some(profile) =
                self.profiles.get(&candidate.id).filter(|p| is_open_at(p, seen.at, Some(seen.entity), cx))
            else {
                continue;
            };
            let score = subject.looking_back((profile, candidate.likeliest), &self.learned, cx);
            let may = |score: &Score| !score.is_forbidden() && self.takes_alerts(candidate.id, seen.at, raiser, cx);
            if let Some(score) = score.filter(may) {
                found.push((score, candidate.id));
            }
        }
        found.sort_unstable_by_key(|(score, id)| (std::cmp::Reverse(score.total), *id));
        found
    }

    pub(super) fn part(&self, id: EpisodeId) -> Option<Part<'_>> {
        Some((id, self.profiles.get(&id)?))
    }

    /// How much likelier two episodes are as one, where they are and may be.
    fn gain_as_one(&self, a: EpisodeId, b: EpisodeId, raiser: &Raiser, cx: &Cx<'_>) -> Option<Gain> {
        let (first, second) = (self.part(a)?, self.part(b)?);
        self.survivor(a, b, raiser, cx)?;
        let scope = cx.core.name.clone();
        let lens = Lens::of(&self.learned, &scope, cx);
        let said = self.corrections.between(first.1.said_of(), second.1.said_of(), cx.policy) as f64 / 1_000.0;
        unite::gain_of_pair(first, second, said, &self.learned, &lens).filter(|gain| gain.total() > 0)
    }

    fn survivor(&self, a: EpisodeId, b: EpisodeId, raiser: &Raiser, cx: &Cx<'_>) -> Option<(EpisodeId, EpisodeId)> {
        let both = survivor(self.episodes.get(&a)?, self.episodes.get(&b)?, raiser, cx)?;
        (!self.are_apart(a, b, cx)).then_some(both)
    }

    /// Whether people put alerts of the two apart.
    pub(super) fn are_apart(&self, a: EpisodeId, b: EpisodeId, cx: &Cx<'_>) -> bool {
        let (Some(a), Some(b)) = (self.profiles.get(&a), self.profiles.get(&b)) else { return false };
        self.corrections.between(a.said_of(), b.said_of(), cx.policy) <= FORBIDDEN
    }

    /// What people said for several to be one, in nats: of each two of them.
    fn said_of_all(&self, parts: &[Part<'_>], policy: &Policy) -> f64 {
        let pairs = parts.iter().enumerate().flat_map(|(n, a)| parts[n + 1..].iter().map(move |b| (a.1, b.1)));
        let said = pairs.map(|(a, b)| self.corrections.between(a.said_of(), b.said_of(), policy));
        said.sum::<i64>() as f64 / 1_000.0
    }

    /// Merges two episodes, of which the first may be an alert that is alone; where somebody looks after the incident that would end by it, that is only suggested.
    fn unite(
        &mut self,
        (a, b): (EpisodeId, EpisodeId),
        why: Because,
        deduplicator: &mut Deduplicator,
        raiser: &mut Raiser,
        cx: &mut Cx<'_>,
        moves: &mut Moves,
    ) -> Option<EpisodeId> {
        let (from, into) = self.survivor(a, b, raiser, cx)?;
        let Because { margin, gain } = why;
        let episode = self.episodes.get_mut(&from)?;
        if raiser.is_attended(episode) {
            moves.suggestions.push(Suggestion { from, into: Some(into), alert: None, margin });
            return None;
        }
        cx.core.revisions += 1;
        let by = match gain {
            Some(gain) => MovedBy::Merge(gain),
            None if from == a => MovedBy::Itself,
            None => MovedBy::Another,
        };
        let moved = Arc::new(Moved { at: cx.core.clock, by });
        episode.members.iter_mut().for_each(|member| member.moved = Some(moved.clone()));
        if let Some(trace) = &mut cx.out.trace {
            let (scope, at, total) = (cx.core.name.clone(), cx.core.clock, margin);
            trace.united.push(United { scope, from, into, at, total, gain });
        }
        self.merge((from, into), false, deduplicator, raiser, cx, moves);
        Some(into)
    }

    /// Tests an episode jointly with all that share a ground with it, and with all that began with it.
    fn consolidate(
        &mut self,
        key: Fingerprint,
        deduplicator: &mut Deduplicator,
        raiser: &mut Raiser,
        cx: &mut Cx<'_>,
        moves: &mut Moves,
    ) {
        let Some(own) = deduplicator.get(key).and_then(|a| a.episode) else { return };
        let (clock, interval) = (cx.core.clock, cx.policy.correlate.revise.ground_interval);
        let Some(profile) = self.profiles.get_mut(&own) else { return };
        if profile.entities() < 2 || clock - profile.joint_at < interval {
            return;
        }
        profile.joint_at = clock;
        let Some((gain, set)) = self.best_set(own, raiser, cx) else { return };
        let mut into = own;
        for other in set {
            into = self.unite((into, other), gain.into(), deduplicator, raiser, cx, moves).unwrap_or(into);
        }
    }

    /// The others that it is most surely one with, and how much likelier all are so.
    fn best_set(&self, own: EpisodeId, raiser: &Raiser, cx: &Cx<'_>) -> Option<(Gain, Vec<EpisodeId>)> {
        let scope = cx.core.name.clone();
        let lens = Lens::of(&self.learned, &scope, cx);
        let mut best: Option<(Gain, Vec<EpisodeId>)> = None;
        for ground in self.joint_grounds(own, &lens)?.into_iter().map(Some).chain([None]) {
            let others = self.sharing(own, ground, raiser, &lens, cx);
            if others.len() < 2 {
                continue;
            }
            let parts: Vec<Part<'_>> = [own].iter().chain(&others).filter_map(|id| self.part(*id)).collect();
            let said = self.said_of_all(&parts, cx.policy);
            let gain = unite::gain_of_many(&parts, said, &self.learned, &lens);
            if gain.total() > best.as_ref().map_or(0, |(gain, _)| gain.total()) {
                best = Some((gain, others));
            }
        }
        best
    }

    /// Grounds on which nearly all of an episode lies, the rarest first.
    fn joint_grounds(&self, own: EpisodeId, lens: &Lens<'_>) -> Option<Vec<u64>> {
        let profile = self.profiles.get(&own)?;
        let mut grounds: Vec<(i64, u64)> = Vec::new();
        for ground in profile.leaders() {
            let known = self.learned.ground(*ground, lens);
            let share = known.shares[Ring::Own as usize] + known.shares[Ring::Near as usize];
            let is_common = share >= lens.policy.correlate.place.common;
            if mostly_on(profile, *ground, lens) && known.kind != GroundKind::Entity && !is_common {
                grounds.push((millinats(share * 1_000.0), *ground));
            }
        }
        grounds.sort_unstable();
        Some(grounds.into_iter().take(lens.policy.correlate.bounds.joint_grounds).map(|(_, ground)| ground).collect())
    }

    /// Episodes that share a ground with one, or only the time.
    fn sharing(
        &self,
        own: EpisodeId,
        ground: Option<u64>,
        raiser: &Raiser,
        lens: &Lens<'_>,
        cx: &Cx<'_>,
    ) -> Vec<EpisodeId> {
        let Some(profile) = self.profiles.get(&own) else { return Vec::new() };
        let max = 2 * lens.policy.correlate.candidates_max;
        let mut ids: Vec<EpisodeId> = ground.into_iter().flat_map(|ground| self.index.on(ground).take(max)).collect();
        ids.extend(self.index.latest().take(max));
        let revise = &lens.policy.correlate.revise;
        let fits = |id: &EpisodeId| {
            let made = self.profiles.get(id).filter(|made| is_open_at(made, profile.latest, None, lens));
            let Some(made) = made.filter(|_| *id != own) else { return false };
            let apart = Span((made.seed.at - profile.seed.at).0.saturating_abs());
            let shares = match ground {
                Some(ground) => made.alerts > 1 && apart < revise.ground_onset && mostly_on(made, ground, lens),
                None => made.is_company(lens) && apart < revise.root_onset,
            };
            shares && self.survivor(own, *id, raiser, cx).is_some()
        };
        ids.sort_unstable();
        ids.dedup();
        ids.retain(fits);
        ids.truncate(lens.policy.correlate.bounds.joint.saturating_sub(1));
        ids
    }

    /// What the alert teaches, now that its company is known.
    fn settle(&mut self, key: Fingerprint, seen: Occurrence, deduplicator: &Deduplicator, cx: &Cx<'_>) {
        let Some(own) = deduplicator.get(key).and_then(|a| a.episode) else { return };
        if let Some(profile) = self.profiles.get(&own) {
            self.learned.settle(
                seen,
                &profile.checks,
                profile.around(seen.at, cx.policy.correlate.background.around),
                cx.policy,
            );
        }
    }
}

/// What decides that episodes become one.
#[derive(Clone, Copy, Debug)]
struct Because {
    /// In millinats.
    margin: i64,
    /// Part by part; `None`: an alert that is alone is better off there.
    gain: Option<Gain>,
}

impl From<Gain> for Because {
    fn from(gain: Gain) -> Self {
        Self { margin: gain.total(), gain: Some(gain) }
    }
}

/// An alert that had a place before has another: `total` had to be more than `needed`, or no more where it founds.
fn trace_move(
    (alert, episode): (AlertId, EpisodeId),
    (total, odds, needed, second): (i64, i64, i64, i64),
    why: &(Reason, Evidence),
    cx: &mut Cx<'_>,
) {
    if let Some(trace) = &mut cx.out.trace {
        let (scope, evidence, founds) = (cx.core.name.clone(), why.1, why.0 == Reason::First);
        let (moves, together) = (true, odds);
        trace.weighed.push(Weighed {
            scope,
            alert,
            episode,
            moves,
            founds,
            total,
            needed,
            second,
            odds,
            together,
            evidence,
        });
    }
}

fn mostly_on(profile: &super::Profile, ground: u64, lens: &Lens<'_>) -> bool {
    let share = lens.policy.correlate.revise.ground_share;
    f64::from(profile.tally(ground).total()) >= share * f64::from(profile.entities())
}

/// Which of two would go, and into which.
pub(super) fn by_rank<'a>(a: &'a Episode, b: &'a Episode, raiser: &Raiser) -> (&'a Episode, &'a Episode) {
    let rank = |e: &Episode| (e.incident.is_none(), raiser.opened_at(e), e.founded_at, e.id);
    if rank(a) <= rank(b) { (b, a) } else { (a, b) }
}

/// Which of two goes into which: an announced one survives one that is not, the older incident the younger, else the older
/// episode. `None` where that would move what is settled by time or by people.
fn survivor(a: &Episode, b: &Episode, raiser: &Raiser, cx: &Cx<'_>) -> Option<(EpisodeId, EpisodeId)> {
    let (from, into) = by_rank(a, b, raiser);
    let settled = cx.core.clock > from.founded_at + cx.policy.correlate.revise.until;
    let decided = from.members.iter().chain(&into.members).any(|m| m.reason.is_decided());
    let room = from.members.len() + into.members.len() <= cx.policy.limits.alerts_per_episode;
    let takes = |episode| raiser.takes_alerts(episode, cx.core.clock, cx.policy);
    (!settled && !decided && room && takes(into) && takes(from)).then_some((from.id, into.id))
}
