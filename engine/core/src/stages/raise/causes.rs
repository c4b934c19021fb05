//! Ranks what most likely caused an incident: what has an alert among its first members, what could explain those without
//! having one, and changes made shortly before on either.
use super::Evidence;
use crate::{
    domain::{
        episode::{Episode, Member},
        incident::{Cause, Incident, NearbyChange},
        time::{Span, Timestamp},
    },
    scope::Cx,
    shared,
    stages::changes::Change,
};
use odds::{Alerts, Sort, Weighed, confidence, rounded, shares};
use reach::{Way, muted_by};
use std::{cmp::Reverse, sync::Arc};

mod odds;
mod reach;
#[cfg(test)]
mod tests;

const CAUSES_MAX: usize = 3;
const CHANGES_MAX: usize = 10;
/// Members that are looked at for a cause: the first of a storm.
pub(super) const SUSPECTS_MAX: usize = 64;

/// Best first, and the changes nearby, the likeliest first.
pub(super) fn rank(
    incident: &Incident,
    episode: &Episode,
    by: &Evidence<'_>,
    cx: &Cx<'_>,
) -> (Vec<Cause>, Vec<NearbyChange>) {
    let mut members: Vec<&Member> = episode.members.iter().take(SUSPECTS_MAX).collect();
    // Of those of one moment who was heard of first.
    members.sort_by_key(|m| m.opened_at);
    let alerts = Alerts::new(&members, cx.topology, &cx.core.name, cx.policy, cx.tables);
    let mut ranked: Vec<Suspect<'_>> =
        alerts.suspects().into_iter().filter_map(|unit| alerts.weigh(unit)).map(Suspect::Unit).collect();
    sort(&mut ranked, &alerts);
    let best = ranked.first().and_then(|best| entity(best, &alerts));
    let near = nearby(incident, &members, best.as_deref(), &alerts, by, cx);
    let changes = near.iter().take(CHANGES_MAX).map(|(_, change, why)| change.nearby(why.clone())).collect();
    ranked.extend(near.into_iter().map(|(odds, change, reason)| Suspect::Change { odds, change, reason }));
    sort(&mut ranked, &alerts);
    let odds: Vec<f64> = ranked.iter().map(Suspect::odds).collect();
    let told = ranked.into_iter().zip(shares(&odds)).take(CAUSES_MAX);
    let sure = |share| confidence(share, &cx.policy.raise.cause);
    let causes = told.map(|(suspect, share)| cause(suspect, sure(share), &members, &alerts)).collect();
    (causes, changes)
}

/// Who may have been it.
enum Suspect<'a> {
    Unit(Weighed),
    Change { odds: f64, change: &'a Change, reason: String },
}

impl Suspect<'_> {
    const fn odds(&self) -> f64 {
        match self {
            Self::Unit(weighed) => weighed.odds,
            Self::Change { odds, .. } => *odds,
        }
    }
}

/// The likeliest first; of those as likely who began first, then by name. Changes stay in their order.
fn sort(ranked: &mut [Suspect<'_>], alerts: &Alerts<'_>) {
    ranked.sort_by_cached_key(|suspect| {
        let (began, unit) = match suspect {
            Suspect::Unit(Weighed { unit, .. }) => {
                (alerts.lit.get(unit).map(|lit| lit.started_at), Some(alerts.map.order(*unit)))
            }
            Suspect::Change { .. } => (None, None),
        };
        (Reverse(rounded(suspect.odds())), began.unwrap_or(Timestamp::MAX), unit)
    });
}

/// The entity of a suspect: as its alert names it, else as the topology does.
fn entity(suspect: &Suspect<'_>, alerts: &Alerts<'_>) -> Option<Arc<str>> {
    let Suspect::Unit(weighed) = suspect else { return None };
    let known = || shared::text(alerts.map.name(weighed.unit));
    Some(alerts.lit.get(&weighed.unit).map_or_else(known, |lit| lit.first.entity.clone()))
}

fn cause<'a>(suspect: Suspect<'a>, confidence: u32, members: &[&'a Member], alerts: &Alerts<'a>) -> Cause {
    let entity = entity(&suspect, alerts);
    match suspect {
        Suspect::Unit(weighed) => Cause {
            entity: entity.unwrap_or_default(),
            check: alerts.lit.get(&weighed.unit).map_or_else(Arc::default, |lit| lit.first.check.clone()),
            change: None,
            reason: reason(&weighed, members, alerts),
            confidence,
        },
        Suspect::Change { change, reason, .. } => Cause {
            entity: change.entity.clone(),
            check: change.check.clone(),
            change: Some(change.id.clone()),
            reason,
            confidence,
        },
    }
}

/// What speaks for a suspect, for people: `2 of 3 other alerts are on what depends on it, it came first`.
fn reason<'a>(weighed: &Weighed, members: &[&'a Member], alerts: &Alerts<'a>) -> String {
    let lit = alerts.lit.get(&weighed.unit);
    let others = members.len() - lit.map_or(0, |lit| lit.count);
    let other = if lit.is_some() { "other " } else { "" };
    let mut parts = Vec::new();
    for (way, what) in [
        (Way::Depends, "on what depends on it"),
        (Way::Carried, "on what runs on it"),
        (Way::Part, "on what it consists of"),
        (Way::Beside, "on what is of one service with it"),
        (Way::Idle, "on what is called less for it"),
        (Way::Peer, "on the way to it"),
        (Way::Known, "of what its check is known to cause"),
    ] {
        let explained = weighed.explains[way as usize];
        match (explained, parts.is_empty()) {
            (0, _) => {}
            (_, false) => parts.push(format!("{explained} {what}")),
            (_, true) if others == 1 => parts.push(format!("the {other}alert is {what}")),
            (1, true) => parts.push(format!("1 of {others} {other}alerts is {what}")),
            (_, true) => parts.push(format!("{explained} of {others} {other}alerts are {what}")),
        }
    }
    if members.iter().filter_map(|m| muted_by(m, members)).any(|by| alerts.map.unit(by) == Some(weighed.unit)) {
        parts.push("it mutes others".to_owned());
    }
    let first = members.iter().map(|m| m.started_at).min();
    match lit {
        None => parts.push("it has no alert of its own".to_owned()),
        Some(lit) if Some(lit.started_at) == first => parts.push("it came first".to_owned()),
        Some(lit) if parts.is_empty() => parts.push(match lit.count {
            1 => "it has an alert".to_owned(),
            n => format!("it has {n} alerts"),
        }),
        Some(_) => {}
    }
    match weighed.sort {
        Sort::Thing => {}
        Sort::Outside => parts.push("only its callers see it".to_owned()),
        Sort::Intervention | Sort::Configuration => {
            parts.extend(alerts.map.kind(weighed.unit).map(|kind| format!("its type is {kind}")));
        }
    }
    parts.join(", ")
}

/// Changes of what the best suspect is, of what it runs on or belongs to, of what any member touches, or of what could explain
/// them. Each is a suspect without an alert on which what it changed lies, and the likelier the fresher it is.
fn nearby<'a>(
    incident: &Incident,
    members: &[&Member],
    best: Option<&str>,
    alerts: &Alerts<'a>,
    by: &Evidence<'a>,
    cx: &'a Cx<'_>,
) -> Vec<(f64, &'a Change, String)> {
    let model = &cx.policy.raise.cause;
    let mut near: Vec<_> = by
        .changes
        .before(incident.started_at, cx)
        .filter_map(|change| {
            let services = change.services.iter().filter_map(|service| alerts.map.service(service));
            let units = services.chain(alerts.map.unit(&change.entity));
            let explained = units.map(|unit| alerts.explained(unit, model.ground)).fold(1.0, f64::max);
            let what = match place(change, members, best, cx) {
                Some(what) => what,
                None if explained > 1.0 => format!("changed {}, on which they may depend", change.entity),
                None => return None,
            };
            let before = incident.started_at - change.at;
            let window = cx.policy.raise.change_window.0.max(1);
            let fresh = (window - before.0.clamp(0, window)) as f64 / window as f64;
            let odds = explained * model.silent * model.intervention * fresh;
            Some((odds, change, format!("{what}, {}", ago(before))))
        })
        .collect();
    near.sort_by_key(|(odds, ..)| Reverse(rounded(*odds)));
    near
}

/// Whether a change is near what an episode's first members are.
pub(super) fn is_suspect(change: &Change, episode: &Episode, cx: &Cx<'_>) -> bool {
    let members: Vec<&Member> = episode.members.iter().take(SUSPECTS_MAX).collect();
    place(change, &members, None, cx).is_some()
}

/// What it changed, for people.
fn place(change: &Change, members: &[&Member], best: Option<&str>, cx: &Cx<'_>) -> Option<String> {
    let entity = &*change.entity;
    if best == Some(entity) {
        return Some(format!("changed {entity}, where it most likely began"));
    }
    if members.iter().any(|m| *m.entity == *entity) {
        return Some(format!("changed {entity}, which has an alert"));
    }
    let scope = &cx.core.name;
    let carries =
        |m: &&Member| cx.topology.entity(scope, &m.entity).is_some_and(|e| e.on.iter().any(|on| **on == *entity));
    if members.iter().any(carries) {
        return Some(format!("changed {entity}, on which they run"));
    }
    let service = change.services.iter().find(|s| members.iter().any(|m| m.services.contains(s)))?;
    Some(format!("changed {entity} of the service {service}"))
}

fn ago(before: Span) -> String {
    match before.0 / 1_000 {
        ..=0 => "as it began".to_owned(),
        seconds @ ..=119 => format!("{seconds} s before it began"),
        seconds => format!("{} min before it began", seconds / 60),
    }
}
