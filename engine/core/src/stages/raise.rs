//! When an episode becomes an incident, and the incident's life.
use crate::{
    domain::{
        alert::Alert,
        episode::{Episode, EpisodeId, Member},
        hash::Framed,
        incident::{Cause, Incident, IncidentId, RaiseReason, ShortAlert, State},
        severity::Severity,
        time::Timestamp,
    },
    output::{Body, IncidentUpdate},
    scope::Cx,
    stages::{correlate::Correlator, deduplicate::first_of},
    timers::TimerKind,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

mod merge;

/// An incident's alerts in short are cut at about this size.
const ALERTS_BYTES_MAX: usize = 800_000;
/// What a short alert takes beside its texts, in bytes; generous.
const SHORT_ALERT_BYTES: usize = 120;
const CAUSES_MAX: usize = 3;
/// Members that are looked at for a cause: the first of a storm.
const SUSPECTS_MAX: usize = 64;
const SERVICES_MAX: usize = 100;
/// A share of this of the incidents goes when there are too many.
const EVICTED_SHARE: usize = 64;

/// The incidents of a scope.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Raiser {
    incidents: BTreeMap<IncidentId, Incident>,
    /// The number of the latest.
    number: u64,
}

impl Raiser {
    /// All incidents.
    pub fn iter(&self) -> impl Iterator<Item = &Incident> {
        self.incidents.values()
    }

    /// Whether an episode may take alerts: what was closed stays closed.
    pub fn takes_alerts(&self, episode: &Episode) -> bool {
        let incident = episode.incident.and_then(|id| self.incidents.get(&id));
        incident.is_none_or(|i| i.state != State::Closed)
    }

    /// An alert joined an episode, cleared in it, or became another severity.
    pub fn decide(&mut self, alert: &Alert, id: EpisodeId, correlator: &mut Correlator, cx: &mut Cx<'_>) {
        let Some(episode) = correlator.get_mut(id) else { return };
        match episode.incident {
            Some(incident) => self.follow(incident, episode, cx),
            None if alert.open => await_raise(alert, episode, cx),
            None => {}
        }
    }

    fn follow(&mut self, id: IncidentId, episode: &Episode, cx: &mut Cx<'_>) {
        let Some(incident) = self.incidents.get_mut(&id) else { return };
        if episode.open == 0 {
            if incident.state == State::New {
                cx.set(TimerKind::Resolve, u128::from(id.0), episode.last_cleared_at + cx.policy.raise.resolve);
            }
        } else if incident.state == State::Resolved {
            incident.state = State::New;
            incident.resolved_at = None;
            incident.reopened += 1;
            return say(incident, episode, "reopened", cx);
        }
        let next = incident.said_at + cx.policy.raise.revision_interval;
        if cx.core.clock >= next {
            say(incident, episode, "updated", cx);
        } else if !incident.unsaid {
            incident.unsaid = true;
            cx.set(TimerKind::SpeakIncident, u128::from(id.0), next);
        }
    }

    /// An alert has fired for the settle time.
    pub fn on_settle(&mut self, alert: &Alert, due: Timestamp, correlator: &mut Correlator, cx: &mut Cx<'_>) {
        let raise = &cx.policy.raise;
        let settled = alert.open && alert.occurred_at + raise.settle <= due && alert.severity >= raise.severity_min;
        let Some(episode) = alert.episode.filter(|_| settled) else { return };
        let (entity, check) = (alert.entity.clone(), alert.check.clone());
        let reason = RaiseReason::Fires { entity, check, seconds: raise.settle.0 / 1_000 };
        self.raise(episode, reason, due, correlator, cx);
    }

    /// Many alerts have stood for the shorter settle time.
    pub fn on_many(&mut self, id: EpisodeId, due: Timestamp, correlator: &mut Correlator, cx: &mut Cx<'_>) {
        let Some(episode) = correlator.get_mut(id) else { return };
        episode.many_due = None;
        if are_many(episode, cx) {
            let reason = RaiseReason::Many { alerts: episode.open, entities: episode.open_entities(usize::MAX) };
            self.raise(id, reason, due, correlator, cx);
        }
    }

    fn raise(
        &mut self,
        episode: EpisodeId,
        raised: RaiseReason,
        at: Timestamp,
        correlator: &mut Correlator,
        cx: &mut Cx<'_>,
    ) {
        if correlator.get(episode).is_none_or(|e| e.incident.is_some() || is_too_small(e)) {
            return;
        }
        self.make_room(correlator, cx);
        let Some(episode) = correlator.get_mut(episode) else { return };
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
        let incident = Incident {
            id,
            number: self.number,
            episode: episode.id,
            revision: 0,
            state: State::New,
            opened_at: at,
            updated_at: at,
            resolved_at: None,
            closed_at: None,
            raised,
            severity: Severity::Info,
            priority: 5,
            title: String::new(),
            causes: Vec::new(),
            services: Vec::new(),
            reopened: 0,
            said_at: Timestamp::MIN,
            members_said: 0,
            removed: Vec::new(),
            merged_into: None,
            unsaid: false,
        };
        let incident = self.incidents.entry(id).or_insert(incident);
        say(incident, episode, "opened", cx);
    }

    /// An incident that grew speaks.
    pub fn on_speak(&mut self, id: IncidentId, correlator: &Correlator, cx: &mut Cx<'_>) {
        let Some(incident) = self.incidents.get_mut(&id).filter(|i| i.unsaid) else { return };
        if let Some(episode) = correlator.get(incident.episode) {
            say(incident, episode, "updated", cx);
        }
    }

    /// All alerts have been clear for the resolve time.
    pub fn on_resolve(&mut self, id: IncidentId, due: Timestamp, correlator: &Correlator, cx: &mut Cx<'_>) {
        let Some(incident) = self.incidents.get_mut(&id).filter(|i| i.state == State::New) else { return };
        let Some(episode) = correlator.get(incident.episode) else { return };
        if episode.open > 0 || episode.last_cleared_at + cx.policy.raise.resolve != due {
            return;
        }
        incident.state = State::Resolved;
        incident.resolved_at = Some(due);
        cx.set(TimerKind::Close, u128::from(id.0), due + cx.policy.raise.close);
        say(incident, episode, "resolved", cx);
    }

    /// Nothing has happened since the resolution.
    pub fn on_close(&mut self, id: IncidentId, due: Timestamp, correlator: &Correlator, cx: &mut Cx<'_>) {
        let close = cx.policy.raise.close;
        let over = |i: &&mut Incident| i.state == State::Resolved && i.resolved_at.is_some_and(|at| at + close == due);
        let Some(incident) = self.incidents.get_mut(&id).filter(over) else { return };
        let Some(episode) = correlator.get(incident.episode) else { return };
        incident.state = State::Closed;
        incident.closed_at = Some(due);
        cx.set(TimerKind::ForgetIncident, u128::from(id.0), due + cx.policy.raise.keep);
        say(incident, episode, "closed", cx);
    }

    /// A closed incident is past its time.
    pub fn on_forget(&mut self, id: IncidentId, correlator: &mut Correlator, cx: &mut Cx<'_>) {
        self.forget(id, correlator, cx);
    }

    /// At the limit, closed ones go, then resolved ones, then new ones; of each the longest unchanged.
    fn make_room(&mut self, correlator: &mut Correlator, cx: &mut Cx<'_>) {
        let max = cx.policy.limits.incidents;
        if self.incidents.len() < max {
            return;
        }
        let all = self.incidents.values().map(|i| (std::cmp::Reverse(i.state), i.updated_at, i.id)).collect();
        for (_, _, id) in first_of(all, max.div_ceil(EVICTED_SHARE)) {
            cx.core.evicted += 1;
            self.forget(id, correlator, cx);
        }
    }

    /// An incident and its episode are no longer kept, and nothing will happen to them.
    fn forget(&mut self, id: IncidentId, correlator: &mut Correlator, cx: &mut Cx<'_>) {
        let Some(incident) = self.incidents.remove(&id) else { return };
        correlator.remove(incident.episode, cx);
        let kinds = [TimerKind::SpeakIncident, TimerKind::Resolve, TimerKind::Close, TimerKind::ForgetIncident];
        for kind in kinds {
            cx.core.timers.cancel(kind, u128::from(id.0));
        }
        cx.out.say(Body::IncidentGone { scope: cx.core.name.clone(), id });
    }

    /// An incident as its next update would say it.
    pub fn update(&self, incident: &Incident, episode: &Episode, scope: &Arc<str>) -> IncidentUpdate {
        update(incident, episode, &episode.members, scope, "")
    }
}

fn await_raise(alert: &Alert, episode: &mut Episode, cx: &mut Cx<'_>) {
    let raise = &cx.policy.raise;
    if alert.severity >= raise.severity_min {
        // Its severity may have become grave enough only later.
        let due = (alert.occurred_at + raise.settle).max(alert.last_fired_at);
        cx.set(TimerKind::Settle, alert.fingerprint.0, due);
    }
    if episode.many_due.is_none() && are_many(episode, cx) {
        let due = alert.occurred_at.max(episode.founded_at + raise.many_settle);
        episode.many_due = Some(due);
        cx.set(TimerKind::Many, u128::from(episode.id.0), due);
    }
}

fn are_many(episode: &Episode, cx: &Cx<'_>) -> bool {
    let raise = &cx.policy.raise;
    if episode.min_alerts > 0 {
        return !is_too_small(episode) && episode.severity() >= Some(raise.severity_min);
    }
    episode.open >= raise.many_alerts
        && episode.open_entities(raise.many_entities) >= raise.many_entities
        && episode.severity() >= Some(raise.severity_min)
}

/// A policy wants more alerts before it raises.
fn is_too_small(episode: &Episode) -> bool {
    episode.members.len() < episode.min_alerts
}

/// A revision.
fn say(incident: &mut Incident, episode: &Episode, change: &'static str, cx: &mut Cx<'_>) {
    if incident.members_said != episode.members.len() {
        // Later ones are no suspects.
        if incident.members_said < SUSPECTS_MAX {
            incident.causes = causes(episode, cx);
        }
        add_services(&mut incident.services, &episode.members[incident.members_said.min(episode.members.len())..]);
    }
    // One whose alerts are all clear stays as grave as it was.
    incident.severity = episode.severity().unwrap_or(incident.severity);
    incident.priority = priority(incident, cx);
    incident.title = title(incident, episode);
    incident.revision += 1;
    incident.updated_at = cx.core.clock;
    incident.said_at = cx.core.clock;
    incident.unsaid = false;
    let shown = if cx.out.brief { &[][..] } else { &episode.members };
    let removed = std::mem::take(&mut incident.removed);
    let mut update = update(incident, episode, shown, &cx.core.name, change);
    update.removed = removed;
    incident.members_said = episode.members.len();
    cx.out.say(Body::Incident(Box::new(update)));
}

/// A revision that shows these of the members.
fn update(
    incident: &Incident,
    episode: &Episode,
    shown: &[Member],
    scope: &Arc<str>,
    change: &'static str,
) -> IncidentUpdate {
    let mut bytes = 0;
    let mut fits = |m: &&Member| {
        bytes += SHORT_ALERT_BYTES + m.entity.len() + m.check.len() + m.summary.len() + scope.len();
        bytes <= ALERTS_BYTES_MAX
    };
    let short = |m: &Member| ShortAlert {
        id: m.alert,
        entity: m.entity.clone(),
        check: m.check.clone(),
        summary: m.summary.clone(),
        severity: m.severity,
        open: m.open,
        reason: m.reason.clone(),
        evidence: m.evidence,
        after: m.after,
        opened_at: m.opened_at,
    };
    let alerts: Vec<_> = shown.iter().take_while(&mut fits).map(short).collect();
    IncidentUpdate {
        scope: scope.clone(),
        incident: incident.clone(),
        alerts_truncated: alerts.len() < shown.len(),
        alerts,
        alert_count: episode.members.len(),
        open_alert_count: episode.open,
        added: episode.members.iter().skip(incident.members_said).map(|m| m.alert).collect(),
        removed: Vec::new(),
        change,
    }
}

/// The first by name, sorted.
fn add_services(services: &mut Vec<Arc<str>>, members: &[Member]) {
    for service in members.iter().flat_map(|m| &m.services) {
        if let Err(place) = services.binary_search(service) {
            services.insert(place, service.clone());
            services.truncate(SERVICES_MAX);
        }
    }
}

fn title(incident: &Incident, episode: &Episode) -> String {
    let (entity, check) = match (incident.causes.first(), episode.members.first()) {
        (Some(cause), _) => (&cause.entity, &cause.check),
        (None, Some(first)) => (&first.entity, &first.check),
        (None, None) => return String::new(),
    };
    match episode.members.len() - 1 {
        0 => format!("{check} on {entity}"),
        1 => format!("{check} on {entity}, and one more alert"),
        more => format!("{check} on {entity}, and {more} more alerts"),
    }
}

/// ITIL's matrix: impact (by tier and number of services) and urgency (by severity) from 1 to 3 give P1 to P5.
fn priority(incident: &Incident, cx: &Cx<'_>) -> u8 {
    let urgency = match incident.severity {
        Severity::Critical => 1,
        Severity::Major | Severity::Minor => 2,
        Severity::Warning | Severity::Info => 3,
    };
    let tier_impact = |tier: &str| match tier.trim().to_ascii_lowercase().as_str() {
        "0" | "1" | "tier1" | "tier-1" | "critical" | "high" | "gold" | "platinum" => 1,
        "3" | "4" | "5" | "tier3" | "tier-3" | "low" | "bronze" => 3,
        _ => 2,
    };
    let tier = |id: &Arc<str>| {
        let service = cx.topology.service(&cx.core.name, id);
        service.and_then(|s| s.tier.as_deref()).map_or(2, tier_impact)
    };
    let worst = incident.services.iter().map(tier).min();
    let impact = match (worst, incident.services.len()) {
        (None, _) => 3,
        (Some(_), 3..) => 1,
        (Some(impact), _) => impact,
    };
    impact + urgency - 1
}

/// Ranks the first members: a service on which other suspects depend, an entity that carries others, what came first.
fn causes(episode: &Episode, cx: &Cx<'_>) -> Vec<Cause> {
    let scope = &cx.core.name;
    let mut suspects: Vec<&Member> = episode.members.iter().take(SUSPECTS_MAX).collect();
    suspects.sort_by(|a, b| a.opened_at.cmp(&b.opened_at).then(a.alert.cmp(&b.alert)));
    let mut weights: BTreeMap<&str, i64> = BTreeMap::new();
    for service in suspects.iter().flat_map(|m| &m.services) {
        *weights.entry(service).or_default() += 1;
    }
    // What of the others each service explains: those that depend on it, nearer ones more. In thousandths.
    let explains: BTreeMap<&str, i64> = weights
        .keys()
        .map(|service| {
            let known = cx.topology.service(scope, service);
            let downstream = known.into_iter().flat_map(|s| &s.downstream);
            let sum = downstream
                .filter_map(|(other, steps)| weights.get(&**other).map(|n| (n * 1_000) / i64::from(*steps)))
                .sum();
            (*service, sum)
        })
        .collect();
    let mut carries: BTreeMap<&str, i64> = BTreeMap::new();
    for parent in suspects.iter().filter_map(|m| cx.topology.entity(scope, &m.entity)).flat_map(|e| &e.on) {
        *carries.entry(parent).or_default() += 1_000;
    }
    let total = i64::try_from(suspects.len()).unwrap_or(i64::MAX);
    let mut ranked: Vec<(i64, usize, &Member, String)> = Vec::new();
    for (rank, member) in suspects.iter().enumerate() {
        if ranked.iter().any(|(_, _, m, _)| m.entity == member.entity) {
            continue;
        }
        let own = member.services.iter().filter_map(|s| explains.get(&**s)).max().copied().unwrap_or(0);
        let carried = carries.get(&*member.entity).copied().unwrap_or(0);
        let early = 1_000 * (total - i64::try_from(rank).unwrap_or(total)) / total.max(1);
        let grave = 200 * (member.severity as i64);
        let reason = match (own, carried, rank) {
            (1.., _, _) => "others in the incident depend on its service",
            (_, 1.., _) => "others in the incident run on it",
            (_, _, 0) => "it came first",
            _ => "it came early",
        };
        ranked.push((own + carried + early + grave, rank, member, reason.to_owned()));
    }
    ranked.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let sum: i64 = ranked.iter().map(|(score, ..)| score).sum();
    let cause = |(score, _, member, reason): (i64, usize, &Member, String)| Cause {
        entity: member.entity.clone(),
        check: member.check.clone(),
        reason,
        confidence: u32::try_from(1_000 * score / sum.max(1)).unwrap_or(0),
    };
    ranked.into_iter().take(CAUSES_MAX).map(cause).collect()
}
