//! When an episode becomes an incident, and the incident's life.
use crate::{
    domain::{
        alert::Alert,
        episode::{Episode, EpisodeId},
        hash::Framed,
        incident::{Incident, IncidentId, RaiseReason, State},
        policy::Policy,
        severity::Severity,
        time::{Span, Timestamp},
    },
    output::{Body, IncidentUpdate},
    scope::Cx,
    stages::{
        assess::HealthBoard,
        changes::{Change as Suspect, Changes},
        correlate::Correlator,
        deduplicate::{Change, first_of},
    },
    timers::TimerKind,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

mod causes;
mod correct;
mod held;
mod history;
mod merge;
mod people;
mod priority;
mod say;
mod storm;
mod times;
use causes::SUSPECTS_MAX;
pub use held::Held;
pub use history::History;
pub use people::has_alerts;
use say::{emit, revise, say};
use storm::Storms;
pub use times::{BUCKET_SECONDS, Histogram, Times};

/// A share of this of the incidents goes when there are too many.
const EVICTED_SHARE: usize = 64;

/// A revision shows all alerts of its incident: one that only grows speaks at most once an interval for each so many of
/// them. Of thousands that came each second nobody could read it, and it would be most of what is written.
const REVISION_ALERTS: usize = 25;

/// What an incident is judged by.
#[derive(Debug)]
pub struct Evidence<'a> {
    pub correlator: &'a mut Correlator,
    pub health: &'a HealthBoard,
    pub changes: &'a Changes,
}

/// The incidents of a scope.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Raiser {
    incidents: BTreeMap<IncidentId, Incident>,
    /// The number of the latest.
    number: u64,
    times: Times,
    storms: Storms,
}

impl Raiser {
    /// All incidents.
    pub fn iter(&self) -> impl Iterator<Item = &Incident> {
        self.incidents.values()
    }

    /// An incident.
    pub fn get(&self, id: IncidentId) -> Option<&Incident> {
        self.incidents.get(&id)
    }

    /// How many there ever were.
    pub const fn announced(&self) -> u64 {
        self.number
    }

    /// How long detection, acknowledgement and resolution took.
    pub const fn times(&self) -> &Times {
        &self.times
    }

    /// Whether an episode may take alerts: what was closed stays closed, and what was resolved for long too.
    pub fn takes_alerts(&self, episode: &Episode, at: Timestamp, policy: &Policy) -> bool {
        let Some(incident) = episode.incident.and_then(|id| self.incidents.get(&id)) else { return true };
        match (incident.state, incident.resolved_at) {
            (State::Closed, _) => false,
            (State::Resolved, Some(resolved_at)) => at - resolved_at <= policy.raise.reopen_window,
            _ => true,
        }
    }

    /// Whether an alert is of an incident that is not closed.
    pub fn may_reopen(&self, alert: &Alert, correlator: &Correlator) -> bool {
        let episode = alert.place().and_then(|id| correlator.get(id));
        let incident = episode.and_then(|episode| self.incidents.get(&episode.incident?));
        incident.is_some_and(|incident| incident.state != State::Closed)
    }

    /// Whether an alert that fires on in an incident which is over for good `rose`, or is graver than what people knew when
    /// they decided: they have to hear of it elsewhere.
    pub fn is_outgrown(&self, alert: &Alert, rose: bool, correlator: &Correlator, cx: &Cx<'_>) -> bool {
        let Some(episode) = alert.place().and_then(|id| correlator.get(id)).filter(|_| alert.open) else {
            return false;
        };
        let known = episode.incident.and_then(|id| self.incidents.get(&id)).map(|incident| incident.severity);
        alert.suppressed_by.is_none()
            && (rose || known.is_some_and(|known| alert.severity > known))
            && !self.takes_alerts(episode, cx.core.clock, cx.policy)
    }

    /// An alert joined an episode, cleared in it, or became another severity.
    pub fn decide(&mut self, alert: &Alert, change: Change, id: EpisodeId, by: &mut Evidence<'_>, cx: &mut Cx<'_>) {
        let endless = by.correlator.is_endless(alert, cx.policy);
        let Some(episode) = by.correlator.get_mut(id) else { return };
        let hidden = alert.open && alert.suppressed_by.is_some();
        match episode.incident {
            // What people do not hear of can wait: several alerts that are muted at once are one revision.
            Some(incident) => self.follow((incident, id), change, hidden, by, cx),
            None if alert.open && !hidden => await_raise((alert, endless), episode, cx),
            None => {}
        }
    }

    fn follow(
        &mut self,
        (id, episode): (IncidentId, EpisodeId),
        change: Change,
        can_wait: bool,
        by: &Evidence<'_>,
        cx: &mut Cx<'_>,
    ) {
        let (Some(incident), Some(episode)) = (self.incidents.get_mut(&id), by.correlator.get(episode)) else { return };
        match incident.state {
            State::Closed => return,
            // A person may have resolved it while alerts fired: that they go on is no news, a new one is.
            State::Resolved => {
                let rose = matches!(change, Change::Severity { rose: true }) && !can_wait;
                let worse = rose || episode.severity() > Some(incident.severity);
                if matches!(change, Change::Opened | Change::Reopened) || worse {
                    let why = if worse { "its severity rose" } else { "an alert fires again" };
                    reopen(incident, why, cx.core.clock, "");
                    cx.core.timers.cancel(TimerKind::Close, u128::from(id.0));
                    say(incident, episode, "reopened", by, cx);
                }
                return;
            }
            _ => {}
        }
        let was_muted = std::mem::replace(&mut incident.muted, episode.is_muted());
        match (was_muted, incident.muted) {
            (false, true) => {
                incident.note(cx.core.clock, "", "muted", "all its open alerts are suppressed");
                return say(incident, episode, "muted", by, cx);
            }
            (true, true) => return,
            // What ends by a recovery ends as ever.
            (true, false) if episode.open > 0 => {
                incident.note(cx.core.clock, "", "heard again", "an open alert is not suppressed any more");
                return say(incident, episode, "heard again", by, cx);
            }
            _ => {}
        }
        if episode.open == 0 {
            cx.set(TimerKind::Resolve, u128::from(id.0), episode.last_cleared_at + cx.policy.raise.resolve);
        }
        let since = if can_wait { cx.core.clock } else { incident.said_at };
        let parts = i64::try_from(episode.members.len() / REVISION_ALERTS).unwrap_or(i64::MAX).max(1);
        let next = since + Span(cx.policy.raise.revision_interval.0.saturating_mul(parts));
        let is_graver = !can_wait && episode.severity() > Some(incident.severity);
        if is_graver || cx.core.clock >= next {
            say(incident, episode, "updated", by, cx);
        } else if !incident.unsaid {
            incident.unsaid = true;
            cx.set(TimerKind::SpeakIncident, u128::from(id.0), next);
        }
    }

    /// An alert speaks of other services: its incident touches those as well.
    pub fn on_enriched(&mut self, alert: &Alert, by: &Evidence<'_>, cx: &mut Cx<'_>) {
        let episode = alert.place().and_then(|id| by.correlator.get(id));
        let Some((episode, id)) = episode.and_then(|episode| Some((episode, episode.incident?))) else { return };
        let Some(incident) = self.incidents.get_mut(&id).filter(|i| i.state.is_open()) else { return };
        // What is not said yet is said with all it touches.
        let told = episode.members.iter().take(incident.members_said);
        for member in told.filter(|m| m.alert == alert.id) {
            cx.core.held.hold(id, &episode.members, std::slice::from_ref(member));
            say::add_services(&mut incident.services, std::slice::from_ref(member));
        }
        incident.rank_again |= alert.member() < SUSPECTS_MAX;
        let episode = episode.id;
        self.follow((id, episode), Change::Count, false, by, cx);
    }

    /// A change was told: it may be a suspect of incidents that are open.
    pub fn on_change(&mut self, change: &Suspect, by: &Evidence<'_>, cx: &mut Cx<'_>) {
        let raise = &cx.policy.raise;
        let near = |i: &Incident| {
            (i.started_at - raise.change_window..=i.started_at + raise.change_slack).contains(&change.at)
        };
        let carries = cx.topology.entity(&cx.core.name, &change.entity).is_none_or(|entity| entity.carries());
        // The hashes of what an incident is about say at once which it may concern; what may run on the entity they do not say.
        let may_be =
            |i: &Incident| near(i) && (carries || cx.core.held.is_about(i.id, &change.entity, &change.services));
        let is = |i: &&Incident| {
            i.state.is_open()
                && may_be(i)
                && by.correlator.get(i.episode).is_some_and(|e| causes::is_suspect(change, e, cx))
        };
        let suspected: Vec<_> = self.incidents.values().filter(is).map(|i| (i.id, i.episode)).collect();
        for (id, episode) in suspected {
            if let Some(incident) = self.incidents.get_mut(&id) {
                incident.rank_again = true;
                self.follow((id, episode), Change::Count, false, by, cx);
            }
        }
    }

    /// An alert has fired for the settle time.
    pub fn on_settle(&mut self, alert: &Alert, due: Timestamp, by: &mut Evidence<'_>, cx: &mut Cx<'_>) {
        let Some(episode) = alert.place().and_then(|id| by.correlator.get(id)) else { return };
        let endless = by.correlator.is_endless(alert, cx.policy);
        let (episode, (settle, severity_min)) = (episode.id, one_raises(episode, Some(alert), endless, cx));
        let fires = alert.firing && !alert.flapping && alert.suppressed_by.is_none();
        if !fires || alert.heard_since() + settle > due || alert.severity < severity_min {
            return;
        }
        let (entity, check) = (alert.entity.clone(), alert.check.clone());
        let reason = RaiseReason::Fires { entity, check, seconds: settle.0 / 1_000 };
        self.raise(episode, reason, due, by, cx);
    }

    /// Many alerts have stood for the shorter settle time.
    pub fn on_many(&mut self, id: EpisodeId, due: Timestamp, by: &mut Evidence<'_>, cx: &mut Cx<'_>) {
        let Some(episode) = by.correlator.get_mut(id) else { return };
        episode.many_due = None;
        let reason = if are_many(episode, cx) {
            RaiseReason::Many { alerts: episode.steady(), entities: episode.steady_entities(usize::MAX) }
        } else if are_unexpected(episode, cx) {
            RaiseReason::Unexpected { alerts: episode.members.len(), nats: episode.surprise / 1_000 }
        } else {
            return;
        };
        self.raise(id, reason, due, by, cx);
    }

    fn raise(
        &mut self,
        episode: EpisodeId,
        raised: RaiseReason,
        at: Timestamp,
        by: &mut Evidence<'_>,
        cx: &mut Cx<'_>,
    ) -> Option<IncidentId> {
        if by.correlator.get(episode).is_none_or(|e| e.incident.is_some() || is_too_small(e)) {
            return None;
        }
        let shelter = self.shelter(&raised, at, by, cx);
        self.make_room(by.correlator, cx);
        let episode = by.correlator.get_mut(episode)?;
        self.number += 1;
        let ordinal = cx.core.next_ordinal();
        let founder = episode.members.first().map_or(0, |m| m.fingerprint.0);
        let hash = Framed::default()
            .field(cx.core.name.as_bytes())
            .field(founder.to_le_bytes())
            .field(at.0.to_le_bytes())
            .field(ordinal.to_le_bytes())
            .field("incident")
            .hash64();
        let id = IncidentId(hash);
        episode.incident = Some(id);
        let mut incident = Incident::new(id, self.number, episode.id, raised, at);
        incident.previous = episode.previous;
        if let RaiseReason::Split { from, .. } = incident.raised {
            incident.split_from = Some(from);
        }
        incident.note(at, "", "opened", incident.raised.to_string());
        self.incidents.insert(id, incident);
        let found = self.enter(id, shelter, cx);
        let incident = self.incidents.get_mut(&id)?;
        let episode = by.correlator.get(incident.episode)?;
        revise(incident, episode, by, cx);
        if let Some(found) = found {
            self.say_storm(found, by, cx);
        }
        let incident = self.incidents.get_mut(&id)?;
        emit(incident, episode, "opened", by, cx);
        self.times.detect.observe(at - incident.started_at);
        Some(id)
    }

    /// An incident that grew speaks.
    pub fn on_speak(&mut self, id: IncidentId, by: &Evidence<'_>, cx: &mut Cx<'_>) {
        let Some(incident) = self.incidents.get_mut(&id).filter(|i| i.unsaid) else { return };
        if incident.is_major() {
            return self.speak_of_storm(id, by, cx);
        }
        if let Some(episode) = by.correlator.get(incident.episode) {
            say(incident, episode, "updated", by, cx);
        }
    }

    /// All alerts have been clear for the resolve time.
    pub fn on_resolve(&mut self, id: IncidentId, due: Timestamp, by: &Evidence<'_>, cx: &mut Cx<'_>) {
        let Some(incident) = self.incidents.get_mut(&id).filter(|i| i.state.is_open()) else { return };
        let Some(episode) = by.correlator.get(incident.episode) else { return };
        if episode.open > 0 || episode.last_cleared_at + cx.policy.raise.resolve != due {
            return;
        }
        incident.note(due, "", "resolved", "all its alerts are clear");
        incident.state = State::Resolved;
        incident.resolved_at = Some(due);
        cx.set(TimerKind::Close, u128::from(id.0), due + cx.policy.raise.close);
        say(incident, episode, "resolved", by, cx);
        if let Some(ended_at) = episode.ended_at() {
            self.times.resolve.observe(ended_at - incident.started_at);
        }
    }

    /// Nothing has happened since the resolution.
    pub fn on_close(&mut self, id: IncidentId, due: Timestamp, by: &Evidence<'_>, cx: &mut Cx<'_>) {
        let close = cx.policy.raise.close;
        let over = |i: &&mut Incident| i.state == State::Resolved && i.resolved_at.is_some_and(|at| at + close == due);
        let Some(incident) = self.incidents.get_mut(&id).filter(over) else { return };
        let Some(episode) = by.correlator.get(incident.episode) else { return };
        incident.note(due, "", "closed", "nothing has come back");
        incident.state = State::Closed;
        incident.closed_at = Some(due);
        cx.core.suggestions.refused += incident.answer(|_| true);
        cx.set(TimerKind::ForgetIncident, u128::from(id.0), due + cx.policy.raise.keep);
        say(incident, episode, "closed", by, cx);
    }

    /// A closed incident is past its time.
    pub fn on_forget(&mut self, id: IncidentId, correlator: &mut Correlator, cx: &mut Cx<'_>) {
        self.forget(id, correlator, cx);
    }

    /// At the limit, closed ones go, then resolved ones, then open ones; of each the longest unchanged.
    fn make_room(&mut self, correlator: &mut Correlator, cx: &mut Cx<'_>) {
        let max = cx.policy.limits.incidents;
        if self.incidents.len() < max {
            return;
        }
        let all = self.incidents.values().map(|i| (std::cmp::Reverse(i.state), i.updated_at, i.id)).collect();
        for (_, _, id) in first_of(all, max.div_ceil(EVICTED_SHARE)) {
            cx.core.evicted.incidents += 1;
            self.forget(id, correlator, cx);
        }
    }

    /// An incident and its episode are no longer kept, and nothing will happen to them.
    fn forget(&mut self, id: IncidentId, correlator: &mut Correlator, cx: &mut Cx<'_>) {
        let Some(mut incident) = self.incidents.remove(&id) else { return };
        cx.core.suggestions.refused += incident.answer(|_| true);
        correlator.remove(incident.episode, cx);
        cx.core.held.release(id);
        self.forget_in_storms(&incident, cx);
        let kinds = [
            TimerKind::Branch,
            TimerKind::SpeakIncident,
            TimerKind::Resolve,
            TimerKind::Close,
            TimerKind::ForgetIncident,
        ];
        for kind in kinds {
            cx.core.timers.cancel(kind, u128::from(id.0));
        }
        cx.out.say(Body::IncidentGone { scope: cx.core.name.clone(), id });
    }

    /// An incident as its next update would say it.
    pub fn update(&self, incident: &Incident, correlator: &Correlator, scope: &Arc<str>) -> Option<IncidentUpdate> {
        let episode = correlator.get(incident.episode)?;
        Some(say::update(incident, episode, (&episode.members, Vec::new()), correlator, scope, ""))
    }
}

/// What was resolved is new again: whoever looked after it has to hear of it.
fn reopen(incident: &mut Incident, why: &str, at: Timestamp, actor: &str) {
    incident.state = State::New;
    incident.resolved_at = None;
    incident.resolved_by = None;
    incident.acknowledged = None;
    incident.reopened += 1;
    incident.note(at, actor, "reopened", why);
}

fn await_raise((alert, endless): (&Alert, bool), episode: &mut Episode, cx: &mut Cx<'_>) {
    let raise = &cx.policy.raise;
    let (settle, severity_min) = one_raises(episode, Some(alert), endless, cx);
    if alert.severity >= severity_min {
        // Its severity may have become grave enough only later, or it has flapped until now.
        let due = (alert.heard_since() + settle).max(alert.last_fired_at).max(alert.calm_since());
        cx.set(TimerKind::Settle, alert.fingerprint.0, due);
    }
    if episode.many_due.is_none() && (are_many(episode, cx) || are_unexpected(episode, cx)) {
        let due = alert.heard_since().max(episode.founded_at + raise.many_settle);
        episode.many_due = Some(due);
        cx.set(TimerKind::Many, u128::from(episode.id.0), due);
    }
}

/// How long one alert has to fire, and how grave it has to be: as the episode's policy says, or as is usual, and longer where it comes at its hour. Of what only is
/// told and never ends it is not known that it fires.
fn one_raises(episode: &Episode, alert: Option<&Alert>, endless: bool, cx: &Cx<'_>) -> (Span, Severity) {
    let raise = &cx.policy.raise;
    let usual = if endless { raise.severity_min.max(raise.endless_severity_min) } else { raise.severity_min };
    let grouping = episode.policy.as_deref().and_then(|name| cx.policy.correlate.grouping(name));
    let (settle, severity_min) = grouping.map_or((None, None), |own| (own.settle, own.severity_min));
    let is_known = alert.is_some_and(|alert| alert.at_its_hour.is_some());
    let patience = if is_known { raise.settle.max(raise.settle_at_its_hour) } else { raise.settle };
    (settle.unwrap_or(patience), severity_min.unwrap_or(usual))
}

fn are_many(episode: &Episode, cx: &Cx<'_>) -> bool {
    let raise = &cx.policy.raise;
    let are_enough = if episode.min_alerts > 0 {
        !is_too_small(episode)
    } else {
        episode.steady() >= raise.many_alerts && episode.steady_entities(raise.many_entities) >= raise.many_entities
    };
    are_enough && episode.severity() >= Some(one_raises(episode, None, false, cx).1)
}

/// Alerts that may long be over are a surprise together.
fn are_unexpected(episode: &Episode, cx: &Cx<'_>) -> bool {
    f64::from(episode.surprise) >= cx.policy.raise.surprise * 1_000.0
        && episode.severity() >= Some(one_raises(episode, None, false, cx).1)
}

/// A policy wants more alerts before it raises.
fn is_too_small(episode: &Episode) -> bool {
    episode.members.len() < episode.min_alerts
}
