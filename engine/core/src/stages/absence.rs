//! Dead man's switches: an alert that says that all is well, always (Prometheus' community calls it `Watchdog`). It opens
//! no incident; its silence does, as an alert that the engine itself finds.
//!
//! The rhythm at which it is heard is not ours to know: Alertmanager may repeat every five minutes or every four hours. So
//! nothing is judged before it was heard twice, and two of its last gap are waited for.
use crate::{
    domain::glob,
    domain::{
        alert::Alert,
        event::{Event, Kind, ORIGIN, Status},
        policy::{Absence, Policy},
        time::{Span, Timestamp},
    },
    scope::Cx,
    timers::TimerKind,
};

/// What makes an alert a dead man's switch.
pub fn entry<'a>(policy: &'a Policy, origin: &str, check: &str) -> Option<&'a Absence> {
    let is = |a: &&Absence| glob::matches(&a.check, check) && glob::matches(&a.origin, origin);
    policy.absence.iter().find(is).filter(|_| origin != ORIGIN)
}

/// It was heard of: if that was missed, it has come back.
pub fn on_heard(alert: &mut Alert, cx: &mut Cx<'_>) -> Option<Event> {
    let at = alert.last_fired_at;
    let entry = entry(cx.policy, &alert.origin, &alert.check)?;
    let switch = alert.switch.as_mut()?;
    if at > switch.heard_at {
        switch.gap = at - switch.heard_at;
        switch.heard_at = at;
    }
    if switch.gap > Span(0) && !switch.waits {
        switch.waits = true;
        let due = at + patience(entry, switch.gap);
        cx.set(TimerKind::Absence, alert.fingerprint.0, due);
    }
    let back = std::mem::take(&mut switch.silent);
    back.then(|| event(alert, entry, Status::Resolved, at, String::new(), cx))
}

/// Nothing was heard of it until `due`, unless it was since the timer was set.
pub fn on_timer(alert: &mut Alert, due: Timestamp, cx: &mut Cx<'_>) -> Option<Event> {
    let entry = entry(cx.policy, &alert.origin, &alert.check)?;
    let switch = alert.switch.as_mut()?;
    let patience = patience(entry, switch.gap);
    let silent_at = switch.heard_at + patience;
    switch.waits = silent_at > due;
    if switch.waits {
        cx.set(TimerKind::Absence, alert.fingerprint.0, silent_at);
        return None;
    }
    if std::mem::replace(&mut switch.silent, true) {
        return None;
    }
    let summary = format!("{} has not been heard of for {patience}", alert.check);
    Some(event(alert, entry, Status::Firing, due, summary, cx))
}

/// It says itself that not all is well.
pub fn on_resolved(alert: &mut Alert, cx: &mut Cx<'_>) -> Option<Event> {
    let entry = entry(cx.policy, &alert.origin, &alert.check)?;
    let switch = alert.switch.as_mut()?;
    if std::mem::replace(&mut switch.silent, true) {
        return None;
    }
    let summary = format!("{} was resolved, and it is one that always fires", alert.check);
    Some(event(alert, entry, Status::Firing, alert.quiet_until, summary, cx))
}

fn patience(entry: &Absence, gap: Span) -> Span {
    entry.after.max(Span(gap.0.saturating_mul(2)))
}

fn event(alert: &Alert, entry: &Absence, status: Status, at: Timestamp, summary: String, cx: &Cx<'_>) -> Event {
    let text = |(key, value): &(std::sync::Arc<str>, std::sync::Arc<str>)| (key.to_string(), value.to_string());
    Event {
        id: format!("{}/{}", alert.fingerprint, at.0),
        time: at,
        started_at: None,
        ended_at: None,
        origin: ORIGIN.to_owned(),
        entity: alert.entity.to_string(),
        check: format!("{} is silent", alert.check),
        status,
        severity: entry.severity,
        summary,
        value: None,
        labels: alert.labels.iter().map(text).collect(),
        service: alert.services.first().map(ToString::to_string).unwrap_or_default(),
        scope: cx.core.name.to_string(),
        // Of several switches on one entity each has its own silence.
        fingerprint: alert.fingerprint.to_string(),
        identity: String::new(),
        kind: Kind::Alert,
        arrival: at,
        offset: 0,
        part: 0,
    }
}
