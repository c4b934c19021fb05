//! Ranks what most likely caused an incident: its first members, and changes made shortly before it on what they touch.
use super::Evidence;
use crate::{
    domain::{
        episode::{Episode, Member, Reason},
        incident::{Cause, Incident, NearbyChange},
        time::Span,
    },
    scope::Cx,
    stages::changes::Change,
};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

const CAUSES_MAX: usize = 3;
const CHANGES_MAX: usize = 10;
/// Members that are looked at for a cause: the first of a storm.
pub(super) const SUSPECTS_MAX: usize = 64;

/// Best first, and the changes nearby, latest first.
pub(super) fn rank(
    incident: &Incident,
    episode: &Episode,
    by: &Evidence<'_>,
    cx: &Cx<'_>,
) -> (Vec<Cause>, Vec<NearbyChange>) {
    let mut suspects: Vec<&Member> = episode.members.iter().take(SUSPECTS_MAX).collect();
    // Of those of one moment who was heard of first.
    suspects.sort_by_key(|m| m.opened_at);
    let mut ranked = alerts(&suspects, cx);
    ranked.sort_by(|a, b| b.score.cmp(&a.score).then(a.rank.cmp(&b.rank)));
    let near = nearby(incident, &suspects, ranked.first().map(|best| &**best.entity), by, cx);
    let changes = near.iter().take(CHANGES_MAX).map(|(_, change, why)| change.nearby(why.clone())).collect();
    ranked.extend(near.into_iter().map(|(score, change, reason)| Suspect {
        score,
        rank: usize::MAX,
        entity: &change.entity,
        check: &change.check,
        change: Some(&change.id),
        reason: reason.into(),
    }));
    ranked.sort_by(|a, b| b.score.cmp(&a.score).then(a.rank.cmp(&b.rank)));
    let sum: i64 = ranked.iter().map(|suspect| suspect.score).sum();
    let cause = |suspect: Suspect<'_>| Cause {
        entity: suspect.entity.clone(),
        check: suspect.check.clone(),
        change: suspect.change.cloned(),
        reason: suspect.reason.into_owned(),
        confidence: u32::try_from(1_000 * suspect.score / sum.max(1)).unwrap_or(0),
    };
    let mut causes: Vec<Cause> = ranked.into_iter().take(CAUSES_MAX).map(cause).collect();
    // Collected in place, they lie where all the suspects lay.
    causes.shrink_to_fit();
    (causes, changes)
}

struct Suspect<'a> {
    score: i64,
    rank: usize,
    entity: &'a Arc<str>,
    check: &'a Arc<str>,
    change: Option<&'a Arc<str>>,
    reason: Cow<'static, str>,
}

/// A service on which other suspects depend, an entity that carries others or mutes them, what came first.
fn alerts<'a>(suspects: &[&'a Member], cx: &Cx<'_>) -> Vec<Suspect<'a>> {
    let scope = &cx.core.name;
    let mut weights: BTreeMap<&str, i64> = BTreeMap::new();
    for service in suspects.iter().flat_map(|m| &*m.services) {
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
    let mut mutes: BTreeMap<&str, i64> = BTreeMap::new();
    for member in suspects {
        if let Reason::Inhibited(parent) = &member.reason {
            *mutes.entry(parent).or_default() += 1_000;
        }
    }
    let total = i64::try_from(suspects.len()).unwrap_or(i64::MAX);
    let mut seen = BTreeSet::new();
    let mut ranked = Vec::new();
    for (rank, member) in suspects.iter().enumerate() {
        if !seen.insert(&member.entity) {
            continue;
        }
        let own = member.services.iter().filter_map(|s| explains.get(&**s)).max().copied().unwrap_or(0);
        let carried = carries.get(&*member.entity).copied().unwrap_or(0);
        let muted = mutes.get(&*member.entity).copied().unwrap_or(0);
        let early = 1_000 * (total - i64::try_from(rank).unwrap_or(total)) / total.max(1);
        let grave = 200 * (member.severity as i64);
        let reason = match (own, carried, muted, rank) {
            (1.., ..) => "others in the incident depend on its service",
            (_, 1.., ..) => "others in the incident run on it",
            (_, _, 1.., _) => "it mutes others in the incident",
            (.., 0) => "it came first",
            _ => "it came early",
        };
        ranked.push(Suspect {
            score: own + carried.max(muted) + early + grave,
            rank,
            entity: &member.entity,
            check: &member.check,
            change: None,
            reason: reason.into(),
        });
    }
    ranked
}

/// Changes of what the best suspect is, of what it runs on or belongs to, or of what any suspect touches: nearer and later
/// ones more. The order of evidence is ServiceNow's (change on the origin, on what is related to it, on anything).
fn nearby<'a>(
    incident: &Incident,
    suspects: &[&Member],
    best: Option<&str>,
    by: &Evidence<'a>,
    cx: &Cx<'_>,
) -> Vec<(i64, &'a Change, String)> {
    let changes = by.changes;
    let mut near: Vec<_> = changes
        .before(incident.started_at, cx)
        .filter_map(|change| {
            let (weight, what) = place(change, suspects, best, cx)?;
            let before = incident.started_at - change.at;
            let window = cx.policy.raise.change_window.0.max(1);
            let fresh = 1_000 * (window - before.0.clamp(0, window)) / window;
            Some((weight * fresh / 1_000, change, format!("{what}, {}", ago(before))))
        })
        .collect();
    near.sort_by_key(|(score, ..)| std::cmp::Reverse(*score));
    near
}

/// Whether a change is near what an episode's first members are.
pub(super) fn is_suspect(change: &Change, episode: &Episode, cx: &Cx<'_>) -> bool {
    let suspects: Vec<&Member> = episode.members.iter().take(SUSPECTS_MAX).collect();
    place(change, &suspects, None, cx).is_some()
}

fn place(change: &Change, suspects: &[&Member], best: Option<&str>, cx: &Cx<'_>) -> Option<(i64, String)> {
    let entity = &*change.entity;
    if best == Some(entity) {
        return Some((3_000, format!("changed {entity}, where it most likely began")));
    }
    if suspects.iter().any(|m| *m.entity == *entity) {
        return Some((1_500, format!("changed {entity}, which has an alert")));
    }
    let scope = &cx.core.name;
    let carries =
        |m: &&Member| cx.topology.entity(scope, &m.entity).is_some_and(|e| e.on.iter().any(|on| **on == *entity));
    if suspects.iter().any(carries) {
        return Some((1_500, format!("changed {entity}, on which they run")));
    }
    let service = change.services.iter().find(|s| suspects.iter().any(|m| m.services.contains(s)))?;
    Some((1_200, format!("changed {entity} of the service {service}")))
}

fn ago(before: Span) -> String {
    match before.0 / 1_000 {
        ..=0 => "as it began".to_owned(),
        seconds @ ..=119 => format!("{seconds} s before it began"),
        seconds => format!("{} min before it began", seconds / 60),
    }
}
