//! Places each occurrence of an alert in an episode: alerts that share a cause.
//!
//! An episode is scored, not a pair: `ln rate(t) + ln place + ln what − ln background`, a sum of named parts in fixed
//! point. The best episode above 0 takes the alert, else it founds one; many weak links together count too. Some time
//! after its opening it is looked at again, and episodes that turn out to be one are merged. Explicit policies and
//! people's decisions win over all of this.
//!
//! Time is a self-exciting point process (Hawkes, "Spectra of some self-exciting and mutually exciting point processes",
//! 1971) with a heavy tail and no window; place is in `place.rs`.
use crate::{
    domain::{
        alert::{Alert, SuppressedBy},
        episode::{Episode, EpisodeId, Evidence, Member, Reason},
        hash::Framed,
        policy::Policy,
        time::{Span, Timestamp},
        topology::Topology,
    },
    output::{Considered, Placed, Weighed},
    room::give_back,
    scope::Cx,
    stages::{deduplicate::first_of, raise::Raiser},
    timers::TimerKind,
};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

mod apart;
mod bounded;
mod causality;
mod correcting;
mod corrections;
mod groups;
mod index;
mod learned;
mod moves;
mod nest;
mod pace;
mod place;
mod profile;
mod reason;
mod revise;
mod score;
mod sighting;
pub mod tables;
mod texts;
mod unite;
mod urn;
mod wiring;

pub use apart::{Pair, brief, called, named};
use corrections::Corrections;
use groups::Groups;
use index::{Candidate, Index, is_open_at};
use learned::Learned;
pub use moves::{Moves, Suggestion};
use profile::{Profile, Seed};
use reason::Second;
use score::{Score, Subject, millinats};
use sighting::Sighting;
use tables::Tables;
use wiring::Naming;

/// A share of this of the episodes goes when there are too many.
const EVICTED_SHARE: usize = 64;
/// How often alerts are followed from episode to episode.
const WENT_ON_MAX: usize = 16;

/// What the model looks through: all that does not change while one alert is looked at.
#[derive(Clone, Copy, Debug)]
struct Lens<'a> {
    scope: &'a str,
    policy: &'a Policy,
    topology: &'a Topology,
    tables: &'a Tables,
    /// How many entities there are.
    population: f64,
}

impl<'a> Lens<'a> {
    fn of(learned: &Learned, scope: &'a str, cx: &Cx<'a>) -> Self {
        let lens = Self { scope, policy: cx.policy, topology: cx.topology, tables: cx.tables, population: 1.0 };
        Self { population: learned.population(&lens), ..lens }
    }

    /// How many late successors an alert draws a second, so long after the latest alert: as aftershocks, ever more rarely by
    /// one over the time (Omori, "On the aftershocks of earthquakes", 1894).
    fn late(&self, gap: Span) -> f64 {
        let (time, window) = (&self.policy.correlate.time, self.policy.correlate.window);
        if gap > time.linger || time.linger <= window {
            return 0.0;
        }
        let seconds = |span: Span| span.0.max(1_000) as f64 / 1_000.0;
        time.lingering / (seconds(gap.max(window)) * libm::log(seconds(time.linger) / seconds(window)))
    }
}

/// The episodes of a scope.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Correlator {
    episodes: BTreeMap<EpisodeId, Episode>,
    /// The make-up of those that take alerts by the model.
    #[serde(with = "crate::snapshot::sorted")]
    profiles: FxHashMap<EpisodeId, Box<Profile>>,
    index: Index,
    groups: Groups,
    learned: Learned,
    corrections: Corrections,
    #[serde(skip)]
    framed: Framed,
}

/// Where an alert goes, and why.
struct Choice {
    /// `None`: an episode of its own.
    episode: Option<EpisodeId>,
    reason: Reason,
    evidence: Evidence,
    /// The best of the others, whether it was chosen or not.
    score: Score,
    second: Second,
    /// Log-odds of all of them together, in millinats: many weak links count too.
    together: i64,
}

impl Correlator {
    /// An episode.
    pub fn get(&self, id: EpisodeId) -> Option<&Episode> {
        self.episodes.get(&id)
    }

    /// An episode, or the one that most of its alerts went to since it was emptied.
    pub fn now(&self, mut id: EpisodeId) -> Option<&Episode> {
        for _ in 0..WENT_ON_MAX {
            let episode = self.episodes.get(&id)?;
            match episode.went_mostly().filter(|_| episode.members.is_empty()) {
                Some(next) => id = next,
                None => return Some(episode),
            }
        }
        None
    }

    /// Whether the silence of an alert's origin says nothing, as far as is known.
    pub fn is_endless(&self, alert: &Alert, policy: &Policy) -> bool {
        self.learned.is_endless(alert, policy)
    }

    /// An episode.
    pub fn get_mut(&mut self, id: EpisodeId) -> Option<&mut Episode> {
        self.episodes.get_mut(&id)
    }

    /// How many are kept.
    pub fn kept(&self) -> usize {
        self.episodes.len()
    }

    /// All episodes.
    pub fn iter(&self) -> impl Iterator<Item = &Episode> {
        self.episodes.values()
    }

    /// Finds a place for an alert that has just opened, or opened again `after` a clear.
    pub fn place(&mut self, alert: &mut Alert, raiser: &Raiser, cx: &mut Cx<'_>) -> EpisodeId {
        self.learned.hear(alert, cx.policy.limits.origins);
        let scope = cx.core.name.clone();
        alert.checked = self.learned.check_of(alert, &Lens::of(&self.learned, &scope, cx));
        cx.core.evicted.templates += self.learned.texts.take_forgotten();
        if let Some(id) = self.former(alert, raiser, cx) {
            self.join(id, alert, Reason::Returned, Evidence::default(), cx);
            return id;
        }
        if let Some(id) = self.place_by_policy(alert, raiser, cx) {
            return id;
        }
        if let Some(id) = self.of_series(alert, raiser, cx) {
            self.join(id, alert, Reason::SameSeries, Evidence::default(), cx);
            return id;
        }
        let lens = Lens::of(&self.learned, &scope, cx);
        let seen = Sighting::of(alert, &self.learned, &lens);
        let wired = self.learned.open(&seen, &alert.entity, &alert.origin, &lens);
        let lens = Lens::of(&self.learned, &scope, cx);
        self.connect(&wired, &lens);
        let seen = seen.look(&self.learned, &lens);
        let background = self.learned.ln_background(&seen, &lens);
        if let Some(considered) = cx.out.trace.as_mut().and_then(|trace| trace.considered.as_mut()) {
            considered.extend(self.consider(alert, &seen, background, &lens));
        }
        let choice = self.choose(alert, &seen, background, raiser, &lens);
        let id = choice.episode.unwrap_or_else(|| self.found(alert, cx));
        if let Some(trace) = &mut cx.out.trace {
            let Choice { score, second, evidence, together, .. } = choice;
            trace.weighed.push(Weighed {
                scope: cx.core.name.clone(),
                alert: alert.id,
                episode: id,
                moves: false,
                founds: choice.episode.is_none(),
                total: score.total,
                needed: 0,
                second: second.total,
                odds: millinats(libm::log(score.odds)),
                together,
                evidence,
            });
        }
        self.join(id, alert, choice.reason, choice.evidence, cx);
        self.profile(id, &seen, background, &lens);
        if self.episodes.get(&id).and_then(|e| e.members.get(alert.member())).is_some_and(|m| m.occurrences == 1) {
            self.remember_one(id, alert.member(), &cx.policy.correlate);
        }
        let due = alert.occurred_at + cx.policy.correlate.revise.after;
        cx.set(TimerKind::Revise, alert.fingerprint.0, due);
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
    fn former(&self, alert: &Alert, raiser: &Raiser, cx: &Cx<'_>) -> Option<EpisodeId> {
        let cleared = alert.cleared_at?;
        let episode = self.episodes.get(&alert.episode?)?;
        (alert.occurred_at - cleared <= cx.policy.correlate.reopen
            && raiser.takes_alerts(episode, alert.occurred_at, cx.policy))
        .then_some(episode.id)
    }

    /// The episode of another alert of its series that is open, or was until just now: what the engine finds of a series is one trouble, however long it
    /// lasts. (It is unusual, then over its threshold, then off its peers.)
    fn of_series(&self, alert: &Alert, raiser: &Raiser, cx: &Cx<'_>) -> Option<EpisodeId> {
        let (series, policy) = (alert.series()?, cx.policy);
        let goes_on = |member: &Member| member.open || alert.occurred_at - member.cleared_at <= policy.correlate.reopen;
        let takes = |episode: &&Episode| {
            let mut of_series = episode.members.iter().filter(|m| m.series == Some(series) && goes_on(m));
            of_series.any(|member| !self.is_put_apart(alert, member, policy))
                && episode.members.len() < policy.limits.alerts_per_episode
                && raiser.takes_alerts(episode, alert.occurred_at, policy)
        };
        let found = self.index.on(series.get()).filter_map(|id| self.episodes.get(&id)).find(takes);
        found.map(|episode| episode.id)
    }

    /// The best episode, if it is better than one of its own.
    fn choose(&self, alert: &Alert, seen: &Sighting, background: f64, raiser: &Raiser, lens: &Lens<'_>) -> Choice {
        let mut best: Option<(Score, EpisodeId)> = None;
        let mut second = Second::default();
        let mut odds = 0.0;
        let mut subject = Subject::new((seen, self.said(seen, lens)), background, &self.learned, lens);
        for candidate in self.candidates(seen, &subject.said, &lens.policy.correlate) {
            let id = candidate.id;
            let Some(profile) = self.profiles.get(&id) else { continue };
            if !is_open_at(profile, seen.at, Some(seen.entity), lens) {
                continue;
            }
            let Some(score) = subject.at_opening((profile, candidate.likeliest), &self.learned, lens) else { continue };
            if score.is_forbidden() || !self.takes_alerts(id, seen.at, raiser, lens) {
                continue;
            }
            odds += score.odds;
            if best.as_ref().is_none_or(|(b, other)| (score.total, *other) > (b.total, id)) {
                second = best.map_or(second, |(b, id)| second.or(b.total, id));
                best = Some((score, id));
            } else {
                second = second.or(score.total, id);
            }
        }
        let together = millinats(libm::log(odds.max(1e-30)));
        let nucleates = together > millinats(lens.policy.correlate.revise.nucleation);
        match best {
            Some((score, id)) if score.total > 0 || nucleates => {
                let reason = self.reason_or_said(alert, seen, (score, id), lens);
                Choice { episode: Some(id), reason, evidence: score.with_margin(second), score, second, together }
            }
            best => {
                let next = best.map_or(Second::default(), |(b, id)| Second { total: b.total, episode: Some(id) });
                let score = best.map_or(Score::default(), |(score, _)| score);
                let evidence = Evidence::founding(next);
                Choice { episode: None, reason: Reason::First, evidence, score, second: next, together }
            }
        }
    }

    /// What it is weighed against, for who learns from it.
    fn consider(&self, alert: &Alert, seen: &Sighting, background: f64, lens: &Lens<'_>) -> Vec<Considered> {
        let mut subject = Subject::new((seen, self.said(seen, lens)), background, &self.learned, lens);
        let candidates = self.candidates(seen, &subject.said, &lens.policy.correlate);
        let weigh = |Candidate { id, likeliest }| {
            let profile = self.profiles.get(&id).filter(|p| is_open_at(p, seen.at, Some(seen.entity), lens))?;
            let score = subject.at_opening((profile, likeliest), &self.learned, lens)?;
            Some(Considered { alert: alert.id, episode: id, evidence: score.parts })
        };
        candidates.into_iter().filter_map(weigh).collect()
    }

    fn takes_alerts(&self, id: EpisodeId, at: Timestamp, raiser: &Raiser, lens: &Lens<'_>) -> bool {
        self.episodes.get(&id).is_some_and(|episode| raiser.takes_alerts(episode, at, lens.policy))
    }

    /// Tells the episodes who depends on whom, as it is learned.
    fn connect(&mut self, wired: &[Naming], lens: &Lens<'_>) {
        for naming in wired {
            let ids: Vec<EpisodeId> = self.index.on(naming.from).collect();
            for id in ids {
                if let (Some(profile), Some(episode)) = (self.profiles.get_mut(&id), self.episodes.get_mut(&id))
                    && profile.connect(naming, &self.learned, lens)
                {
                    self.index.list_under(episode, naming.to, &lens.policy.correlate);
                }
            }
        }
    }

    /// Counts an alert in the make-up of its episode.
    fn profile(&mut self, id: EpisodeId, seen: &Sighting, background: f64, lens: &Lens<'_>) {
        let Some(episode) = self.episodes.get_mut(&id) else { return };
        let seed = Seed { at: seen.at, check: seen.check, background };
        let profile = self.profiles.entry(id).or_insert_with(|| Box::new(Profile::new(seed)));
        profile.add(seen, &self.learned, lens);
        if profile.lives().len() != episode.members.len() {
            profile.relive(episode);
        }
        self.index.list(episode, seen, &lens.policy.correlate);
    }

    fn found(&mut self, alert: &Alert, cx: &mut Cx<'_>) -> EpisodeId {
        self.make_room(cx);
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
        self.episodes.insert(id, Episode::new(id, alert.occurred_at));
        cx.core.episodes_founded += 1;
        id
    }

    /// An episode without alerts, which takes none: of an incident that stands for others.
    pub fn found_empty(&mut self, at: Timestamp, cx: &mut Cx<'_>) -> EpisodeId {
        let ordinal = cx.core.next_ordinal();
        let hash = self
            .framed
            .clear()
            .field(cx.core.name.as_bytes())
            .field(at.0.to_le_bytes())
            .field(ordinal.to_le_bytes())
            .field("empty episode")
            .hash64();
        let id = EpisodeId(hash);
        self.episodes.insert(id, Episode::new(id, at));
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

    fn join(&mut self, id: EpisodeId, alert: &mut Alert, reason: Reason, evidence: Evidence, cx: &mut Cx<'_>) {
        let Some(episode) = self.episodes.get_mut(&id) else { return };
        if let Some(trace) = &mut cx.out.trace {
            let (scope, reason, before) = (cx.core.name.clone(), reason.to_string(), trace.verdicts.len());
            let (alert, at) = (alert.id, alert.occurred_at);
            trace.placed.push(Placed { scope, alert, from: None, episode: id, at, reason, before });
        }
        let after = (alert.occurred_at - episode.last_joined_at).0 / 1_000;
        self.index.forget_time(episode);
        episode.last_joined_at = episode.last_joined_at.max(alert.occurred_at);
        episode.founded_at = episode.founded_at.min(alert.occurred_at);
        if self.profiles.contains_key(&id) {
            self.index.inherit(&[], episode, &cx.policy.correlate);
        }
        episode.open += 1;
        let former = match alert.episode {
            None => None,
            Some(former) if former == id => Some(alert.member()),
            Some(_) => episode.members.iter().position(|m| m.alert == alert.id),
        };
        if let Some(member) = former.and_then(|n| episode.members.get_mut(n)) {
            member.occurrences += 1;
            member.severity = alert.severity;
        } else {
            let surprise = self.learned.surprise(alert, cx.policy);
            cx.core.endless += u64::from(surprise.is_some());
            episode.add(Member { surprise, ..Member::of(alert, reason, evidence, after) });
        }
        alert.is_member(former.unwrap_or(episode.members.len() - 1));
        if let Some(series) = alert.series() {
            self.index.list_under(episode, series.get(), &cx.policy.correlate);
        }
        episode.mark(alert.member(), true, alert.flapping, false);
        alert.episode = Some(id);
        if let Some(profile) = self.profiles.get_mut(&id) {
            profile.live(episode, alert.member());
        }
        await_end(episode, cx);
    }

    /// The occurrence of an alert ended.
    pub fn clear(&mut self, alert: &Alert, cx: &mut Cx<'_>) -> Option<EpisodeId> {
        let episode = self.episodes.get_mut(&alert.place()?)?;
        let member = episode.members.get_mut(alert.member()).filter(|m| m.alert == alert.id && m.open)?;
        member.expired = alert.expired;
        member.cleared_at = alert.cleared_at.unwrap_or(Timestamp::MIN);
        episode.mark(alert.member(), false, false, false);
        if !alert.expired {
            self.learned.end(alert);
        }
        if let Some(profile) = self.profiles.get_mut(&episode.id) {
            profile.live(episode, alert.member());
        }
        episode.open -= 1;
        episode.last_cleared_at = episode.last_cleared_at.max(alert.cleared_at.unwrap_or(Timestamp::MIN));
        if episode.open == 0 {
            await_end(episode, cx);
        }
        Some(episode.id)
    }

    /// An open alert leaves its episode, which remembers it.
    pub fn leave(&mut self, alert: &Alert, cx: &mut Cx<'_>) {
        let Some(episode) = alert.place().and_then(|id| self.episodes.get_mut(&id)) else { return };
        let Some(member) = episode.members.get_mut(alert.member()).filter(|m| m.alert == alert.id && m.open) else {
            return;
        };
        member.cleared_at = cx.core.clock;
        episode.mark(alert.member(), false, false, false);
        episode.open -= 1;
        episode.last_cleared_at = episode.last_cleared_at.max(cx.core.clock);
        if let Some(profile) = self.profiles.get_mut(&episode.id) {
            profile.live(episode, alert.member());
        }
        await_end(episode, cx);
    }

    /// An alert is suppressed, or heard again.
    pub fn mute(&mut self, alert: &Alert) -> Option<EpisodeId> {
        let episode = self.episodes.get_mut(&alert.place()?)?;
        let member = episode.members.get_mut(alert.member()).filter(|m| m.alert == alert.id && m.open)?;
        if let Some(SuppressedBy::Inhibition { by, .. }) = alert.suppressed_by.as_deref() {
            member.muted_by = Some(*by);
        }
        episode.mark(alert.member(), true, alert.flapping, alert.suppressed_by.is_some());
        Some(episode.id)
    }

    /// Severity, summary or services of an alert changed, or whether it flaps.
    pub fn update(&mut self, alert: &Alert) -> Option<EpisodeId> {
        let episode = self.episodes.get_mut(&alert.place()?)?;
        let member = episode.members.get_mut(alert.member()).filter(|m| m.alert == alert.id)?;
        member.severity = alert.severity;
        member.summary = alert.summary.clone();
        member.services = alert.services.clone();
        member.at_its_hour = alert.at_its_hour().map(Into::into);
        let (open, flapping, muted) = (member.open, alert.flapping && member.open, member.muted);
        episode.mark(alert.member(), open, flapping, muted);
        Some(episode.id)
    }

    /// It takes no more alerts; one that raised nothing and is clear is not kept.
    pub fn on_end(&mut self, id: EpisodeId, due: Timestamp, cx: &mut Cx<'_>) {
        let Some(episode) = self.episodes.get_mut(&id) else { return };
        if ends_at(episode, cx) > due {
            return await_end(episode, cx);
        }
        let lingers_until = episode.last_joined_at + cx.policy.correlate.time.linger;
        if lingers_until > due && self.profiles.get(&id).is_some_and(|profile| profile.has_endless()) {
            self.index.list_lingering(episode, &cx.policy.correlate);
            return cx.set(TimerKind::EndEpisode, u128::from(id.0), lingers_until);
        }
        let done = episode.open == 0 && episode.incident.is_none();
        self.index.unlist(episode);
        self.index.list_series(episode, &cx.policy.correlate);
        self.profiles.remove(&id);
        give_back(&mut self.profiles);
        self.groups.forget(episode);
        if done {
            self.remove(id, cx);
        }
    }

    /// It is no longer kept.
    pub fn remove(&mut self, id: EpisodeId, cx: &mut Cx<'_>) {
        if let Some(mut episode) = self.episodes.remove(&id) {
            self.index.unlist(&mut episode);
            self.groups.forget(&episode);
        }
        self.profiles.remove(&id);
        for kind in [TimerKind::Many, TimerKind::EndEpisode] {
            cx.core.timers.cancel(kind, u128::from(id.0));
        }
    }
}

/// When an episode takes no more alerts, and none of its own comes back to it.
fn ends_at(episode: &Episode, cx: &Cx<'_>) -> Timestamp {
    let policy = &cx.policy.correlate;
    let cleared_at = if episode.open == 0 { episode.last_cleared_at } else { Timestamp::MIN };
    let window = episode.policy.as_deref().and_then(|name| policy.grouping(name));
    let window = window.map_or(policy.window, |p| p.window);
    (episode.last_joined_at + window).max(cleared_at + policy.reopen)
}

fn await_end(episode: &Episode, cx: &mut Cx<'_>) {
    cx.set(TimerKind::EndEpisode, u128::from(episode.id.0), ends_at(episode, cx));
}
