//! Revisions of an incident, and the texts that people read in them.
use super::{
    Evidence,
    causes::{self, SUSPECTS_MAX},
    history,
    priority::priority,
};
use crate::{
    domain::{
        alert::AlertId,
        episode::{Episode, EpisodeId, Member, Moved},
        incident::{Incident, NextBest, Place, ShortAlert},
    },
    output::{Body, IncidentUpdate},
    scope::Cx,
    stages::correlate::Correlator,
    timers::TimerKind,
};
use std::{fmt::Write as _, sync::Arc};

/// An update is cut at this size, whatever tools and people write: it has to fit into a record. `connectors/tests/sizes.rs`
/// holds these against what stands in one.
const UPDATE_BYTES_MAX: usize = 800_000;
/// Of it names of alerts that joined or left take at most so many.
const NAMES_BYTES_MAX: usize = 200_000;
/// The most that a short alert takes beside its texts and its scope: the words of its name and its reason, and the parts of that,
const ALERT_BYTES: usize = 320;
/// the best other place beside its scope,
const NEXT_BYTES: usize = 70;
/// a name beside its scope,
const NAME_BYTES: usize = 40;
/// another part beside its texts,
const PART_BYTES: usize = 120;
/// resources that are named once: it, its number, its episode, others that it is linked to,
const RELATED_MAX: usize = 7;
/// and what else is there once.
const FIXED_BYTES: usize = 1_000 + MERGES_MAX * 200;
/// Merges of one incident that are told,
const MERGES_MAX: usize = 16;
pub(super) const SERVICES_MAX: usize = 100;
/// Of so many alerts causes are ranked with each that comes.
const RANKED_EACH: usize = 8;
/// Services named in a title or a summary.
const NAMED_MAX: usize = 3;

/// A revision.
pub(super) fn say(
    incident: &mut Incident,
    episode: &Episode,
    change: &'static str,
    by: &Evidence<'_>,
    cx: &mut Cx<'_>,
) {
    revise(incident, episode, by, cx);
    emit(incident, episode, change, by, cx);
}

/// The next revision, which is yet to be emitted.
pub(super) fn revise(incident: &mut Incident, episode: &Episode, by: &Evidence<'_>, cx: &mut Cx<'_>) {
    let joined = episode.members.get(incident.members_said..).unwrap_or_default();
    if incident.state.is_open() {
        cx.core.held.hold(incident.id, &episode.members, joined);
    } else {
        cx.core.held.release(incident.id);
    }
    if incident.members_said != episode.members.len() {
        let began = joined.iter().map(|m| m.started_at).min();
        incident.started_at = began.map_or(incident.started_at, |began| began.min(incident.started_at));
        incident.rank_again |= is_more_to_rank(incident.ranked, episode.members.len());
        add_services(&mut incident.services, joined);
    }
    if !incident.removed.is_empty() {
        // What only those touched that have left it touches no more.
        incident.services.clear();
        add_services(&mut incident.services, &episode.members);
    }
    let ranks = std::mem::take(&mut incident.rank_again);
    if ranks {
        incident.ranked = episode.members.len().min(SUSPECTS_MAX);
        (incident.causes, incident.changes) = causes::rank(incident, episode, by, cx);
    }
    // One whose alerts are all clear stays as grave as it was.
    let severity = episode.severity().unwrap_or(incident.severity);
    // One that rises and falls is told of once.
    if incident.revision > 0 && severity > incident.worst_severity {
        incident.note(cx.core.clock, "", "severity", format!("rose from {} to {severity}", incident.severity));
    }
    incident.severity = severity;
    incident.worst_severity = incident.worst_severity.max(severity);
    // One that is muted, or whose alerts are all clear, keeps its priority: nothing has become less urgent.
    if episode.open > 0 && !incident.muted {
        incident.prioritise(priority(incident, episode, by, cx));
    }
    if !incident.state.is_open() {
        incident.sum_up();
    }
    // One that was merged away has no alerts any more, and may still be commented: it is called what it was called.
    let has_alerts = !episode.members.is_empty();
    if has_alerts {
        incident.title = title(incident, episode);
    }
    if ranks && has_alerts {
        history::recall(incident, episode, cx);
    }
    history::note(incident, episode, cx);
    incident.revision += 1;
    incident.updated_at = cx.core.clock;
    incident.said_at = cx.core.clock;
    incident.unsaid = false;
    if has_alerts && !cx.out.brief {
        incident.summary = summary(incident, episode, by);
        incident.summary.shrink_to_fit();
    }
}

/// The revision that has been made is an output.
pub(super) fn emit(
    incident: &mut Incident,
    episode: &Episode,
    change: &'static str,
    by: &Evidence<'_>,
    cx: &mut Cx<'_>,
) {
    let shown = if cx.out.brief { &[][..] } else { &episode.members };
    let removed = std::mem::take(&mut incident.removed);
    let update = update(incident, episode, (shown, removed), by.correlator, &cx.core.name, change);
    incident.members_said = episode.members.len();
    if incident.major.is_some() {
        cx.set(TimerKind::Branch, u128::from(incident.id.0), cx.core.clock);
    }
    cx.out.say(Body::Incident(Box::new(update)));
}

/// Whether so many more alerts came since causes were ranked that it has to be done anew: with each of the first, then with
/// each quarter more: it takes as long as there are alerts, and a storm brings one after the other. Those after the first suspects say
/// no more.
fn is_more_to_rank(ranked: usize, members: usize) -> bool {
    let suspects = members.min(SUSPECTS_MAX);
    let is_due = suspects <= RANKED_EACH || 4 * suspects > 5 * ranked || suspects == SUSPECTS_MAX;
    is_due && suspects > ranked
}

/// A revision that shows these of the members, and which have left. What does not fit is left out.
pub(super) fn update(
    incident: &Incident,
    episode: &Episode,
    (shown, mut removed): (&[Member], Vec<AlertId>),
    correlator: &Correlator,
    scope: &Arc<str>,
    change: &'static str,
) -> IncidentUpdate {
    let name_bytes = NAME_BYTES + scope.len();
    let names = NAMES_BYTES_MAX / name_bytes;
    let joined = episode.members.get(incident.members_said..).unwrap_or_default();
    let added: Vec<_> = joined.iter().take(names).map(|m| m.alert).collect();
    let left_out = joined.len() + removed.len() > names;
    removed.truncate(names - added.len());
    let rest = if shown.is_empty() { 0 } else { rest(incident, scope) };
    let mut bytes = rest + (added.len() + removed.len()) * name_bytes;
    let mut fits = |m: &&Member| {
        let texts = m.entity.len() + m.check.len() + m.summary.len() + m.reason.about().len();
        let next = if m.evidence.next.is_some() { NEXT_BYTES + scope.len() } else { 0 };
        let hour = m.at_its_hour.as_deref().map_or(0, str::len);
        bytes += ALERT_BYTES + texts + scope.len() + next + hour;
        bytes <= UPDATE_BYTES_MAX
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
        next_best: next_best(m, episode.id, correlator),
        moved_at: m.moved.as_ref().map(|moved| moved.at),
        at_its_hour: m.at_its_hour.clone(),
    };
    let alerts: Vec<_> = shown.iter().take_while(&mut fits).map(short).collect();
    IncidentUpdate {
        scope: scope.clone(),
        incident: incident.clone(),
        alerts_truncated: left_out || alerts.len() < shown.len(),
        alerts,
        alert_count: episode.members.len(),
        open_alert_count: episode.open,
        added,
        removed,
        merges: merges(shown),
        change,
    }
}

/// The best other place that was considered for a member of an episode.
fn next_best(member: &Member, own: EpisodeId, correlator: &Correlator) -> Option<NextBest> {
    let Member { evidence, .. } = member;
    if !evidence.is_weighed() && evidence.next.is_none() {
        return None;
    }
    let place = match evidence.next.map(|rival| correlator.now(rival.id())) {
        None => Place::Own,
        Some(None) => Place::Gone,
        Some(Some(episode)) if episode.id == own => Place::Here,
        Some(Some(episode)) => episode.incident.map_or(Place::Alerts, Place::Incident),
    };
    Some(NextBest { place, total: evidence.total() - i64::from(evidence.margin) })
}

/// What brought whole episodes, with how many of the members came so: the latest, oldest first.
fn merges(members: &[Member]) -> Vec<(Moved, usize)> {
    let mut found: Vec<(Moved, usize)> = Vec::new();
    for moved in members.iter().filter_map(|m| m.moved.as_deref()).filter(|moved| moved.gain().is_some()) {
        match found.iter_mut().find(|(known, _)| known == moved) {
            Some((_, alerts)) => *alerts += 1,
            None => found.push((*moved, 1)),
        }
        if found.len() > MERGES_MAX {
            let first = (0..found.len()).min_by_key(|n| found[*n].0.at).unwrap_or(0);
            found.remove(first);
        }
    }
    found.sort_by_key(|(moved, _)| moved.at);
    found
}

/// What an update takes beside its alerts and those that came and went, in bytes; generous.
fn rest(incident: &Incident, scope: &str) -> usize {
    let part = |texts: usize| PART_BYTES + texts;
    let who =
        [incident.acknowledged.as_ref().map(|by| &by.actor), incident.resolved_by.as_ref(), Some(&incident.assignee)];
    let told = [&incident.title, &incident.summary, &incident.priority.reason, &incident.raised.to_string()];
    FIXED_BYTES
        + (RELATED_MAX + incident.duplicates.len() + incident.branches.len()) * part(scope.len())
        + who.into_iter().flatten().map(|name| part(name.len())).sum::<usize>()
        + told.into_iter().map(|text| part(text.len())).sum::<usize>()
        + incident.services.iter().map(|s| part(s.len())).sum::<usize>()
        + incident.timeline.iter().map(|e| part(e.bytes())).sum::<usize>()
        + incident.tickets.iter().map(|t| part(t.system.len() + t.key.len() + t.url.len())).sum::<usize>()
        + incident.causes.iter().map(|c| part(c.bytes())).sum::<usize>()
        + incident.changes.iter().map(|c| part(c.bytes())).sum::<usize>()
        + incident.similar.iter().map(|s| 4 * part(scope.len()) + part(s.past.bytes())).sum::<usize>()
        + incident.problem.as_ref().map_or(0, |p| 12 * part(scope.len()) + part(p.title.len()))
}

/// The first by name, sorted.
pub(super) fn add_services(services: &mut Vec<Arc<str>>, members: &[Member]) {
    for service in members.iter().flat_map(|m| &*m.services) {
        if let Err(place) = services.binary_search(service) {
            services.insert(place, service.clone());
            services.truncate(SERVICES_MAX);
        }
    }
}

/// What happened where, and whom it touches: `latency on db, affecting checkout and payments`.
fn title(incident: &Incident, episode: &Episode) -> String {
    let cause = incident.causes.iter().find(|cause| cause.change.is_none() && !cause.is_silent());
    let (entity, check) = match (cause, episode.members.first()) {
        (Some(cause), _) => (&cause.entity, &cause.check),
        (None, Some(first)) => (&first.entity, &first.check),
        (None, None) => return String::new(),
    };
    let mut title = format!("{check} on {entity}");
    let own = episode.members.iter().take(SUSPECTS_MAX).find(|m| m.entity == *entity).map(|m| &m.services);
    let others: Vec<_> = incident.services.iter().filter(|s| own.is_none_or(|own| !own.contains(s))).collect();
    // Writing to a string can't fail.
    let _ = match (others.len(), episode.members.len().saturating_sub(1)) {
        (0, 0) => Ok(()),
        (0, 1) => write!(title, ", and one more alert"),
        (0, more) => write!(title, ", and {more} more alerts"),
        _ => write!(title, ", affecting {}", listed(&others)),
    };
    title
}

/// `a`, `a and b`, `a, b, c and 4 more`.
pub(super) fn listed(names: &[&Arc<str>]) -> String {
    let named: Vec<&str> = names.iter().take(NAMED_MAX).map(|name| &***name).collect();
    match (named.split_last(), names.len()) {
        (None, _) => String::new(),
        (Some((last, [])), _) => (*last).to_owned(),
        (Some((last, before)), n) if n <= NAMED_MAX => format!("{} and {last}", before.join(", ")),
        (Some(_), n) => format!("{} and {} more", named.join(", "), n - NAMED_MAX),
    }
}

/// How much, what likely or possibly caused it, and how its services do.
fn summary(incident: &Incident, episode: &Episode, by: &Evidence<'_>) -> String {
    let (all, open) = (episode.members.len(), episode.open);
    let mut text = match (all, open) {
        (1, 1) => format!("One {} alert is open.", incident.severity),
        (1, 0) => "Its alert is clear.".to_owned(),
        (_, 0) => format!("All of {all} alerts are clear."),
        _ => format!("{open} of {all} alerts are open, the worst {}.", incident.severity),
    };
    if let Some(cause) = incident.causes.first().filter(|_| all > 1 || !incident.changes.is_empty()) {
        let what = match &cause.change {
            Some(id) => {
                // An id that its origin did not give is a hash, which tells nobody anything.
                let known = incident.changes.iter().find(|change| change.id == *id && !change.summary.is_empty());
                let told = known.map_or(String::new(), |change| format!(" ({})", change.summary));
                format!("the change {} of {}{told}", cause.check, cause.entity)
            }
            None if cause.is_silent() => cause.entity.to_string(),
            None => format!("{} on {}", cause.check, cause.entity),
        };
        let sure = if cause.is_likely() { "Likely" } else { "Possibly" };
        let _ = write!(text, " {sure} caused by {what}: {}.", cause.reason);
    }
    let suffering: Vec<_> = incident
        .services
        .iter()
        .filter_map(|id| Some((by.health.level(id)?, by.health.score(id)?, id)))
        .filter(|(level, ..)| *level > crate::domain::health::Level::Healthy)
        .collect();
    if !suffering.is_empty() {
        let mut worst = suffering.clone();
        worst.sort_by(|a, b| a.1.cmp(&b.1).then_with(|| a.2.cmp(b.2)));
        let named: Vec<_> = worst
            .iter()
            .take(NAMED_MAX)
            .map(|(level, score, id)| format!("{id} is {level} ({})", score / 100))
            .collect();
        let _ = write!(text, " {}", named.join(", "));
        let more = worst.len().saturating_sub(NAMED_MAX);
        let _ = match more {
            0 => write!(text, "."),
            1 => write!(text, " and one more service suffers."),
            _ => write!(text, " and {more} more services suffer."),
        };
    }
    text
}
