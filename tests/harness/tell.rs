//! Conclusions as lines that people can check.
use super::START;
use quell_core::{
    domain::{
        alert::{Alert, AlertId},
        health::Level,
        incident::State,
        time::Timestamp,
    },
    engine::Engine,
    ledger::Outcome,
    output::{AlertUpdate, Body, IncidentUpdate, Output, ServiceUpdate},
};
use std::{collections::BTreeMap, fmt::Write};

/// What was said last of each thing, to say what is new.
#[derive(Default)]
struct Teller<'a> {
    alerts: BTreeMap<AlertId, &'a Alert>,
    levels: BTreeMap<(&'a str, &'a str), Level>,
    text: String,
}

/// Every transition, then where the events went.
pub fn tell(said: &[Output], engine: &Engine) -> String {
    let mut teller = Teller::default();
    for output in said {
        match &output.body {
            Body::Incident(update) => teller.incident(update),
            Body::Alert(update) => teller.alert(update),
            Body::Service(update) => teller.service(update),
            Body::DeadLetter(_) | Body::IncidentGone { .. } | Body::AlertGone { .. } => {}
        }
    }
    teller.text.push_str(&ledger(engine));
    teller.text
}

impl<'a> Teller<'a> {
    fn incident(&mut self, update: &IncidentUpdate) {
        let i = &update.incident;
        let at = match update.change {
            "opened" => i.opened_at,
            "resolved" => i.resolved_at.unwrap_or(i.updated_at),
            "closed" => i.closed_at.unwrap_or(i.updated_at),
            _ => i.updated_at,
        };
        let what = format!("incident {} {}", i.number, update.change);
        if matches!(i.state, State::Resolved | State::Closed) {
            return self.line(at, &update.scope, &what);
        }
        let cause = i.causes.first().map_or(String::new(), |c| format!("{}/{}", c.entity, c.check));
        let (alerts, open, severity, priority) = (update.alert_count, update.open_alert_count, i.severity, i.priority);
        let what = format!("{what} alerts={alerts} open={open} {severity} P{priority} cause={cause}");
        self.line(at, &update.scope, &what);
    }

    fn alert(&mut self, update: &'a AlertUpdate) {
        let now = &update.alert;
        let before = self.alerts.insert(now.id, now);
        let (at, change) = match before {
            None => (now.occurred_at, format!("opened {}", now.severity)),
            Some(before) if now.open && !before.open => (now.occurred_at, format!("reopened {}", now.severity)),
            Some(before) if before.open && !now.open => {
                let word = if now.expired { "expired" } else { "cleared" };
                (now.cleared_at.unwrap_or(now.last_fired_at), word.to_owned())
            }
            Some(before) if before.open == now.open && before.episode != now.episode && before.count == now.count => {
                (now.last_fired_at, "moved".to_owned())
            }
            Some(before) if before.severity != now.severity => (now.last_fired_at, format!("is {}", now.severity)),
            Some(_) => (now.last_fired_at, format!("count={}", now.count)),
        };
        self.line(at, &update.scope, &format!("alert {}/{} {change}", now.entity, now.check));
    }

    fn service(&mut self, update: &'a ServiceUpdate) {
        let before = self.levels.insert((&update.scope, &update.id), update.level).unwrap_or(Level::Healthy);
        if before != update.level {
            let what = format!("service {} {} {}", update.id, update.level, update.score / 100);
            self.line(update.at, &update.scope, &what);
        }
    }

    fn line(&mut self, at: Timestamp, scope: &str, what: &str) {
        let scope = if scope == "default" { String::new() } else { format!("{scope}: ") };
        self.text.push_str(&format!("{} {scope}{what}\n", clock(at)));
    }
}

fn clock(at: Timestamp) -> String {
    let (seconds, millis) = ((at - START).0.div_euclid(1_000), (at - START).0.rem_euclid(1_000));
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let mut text = if hours > 0 { format!("{hours:02}:") } else { String::new() };
    write!(text, "{minutes:02}:{seconds:02}").expect("writing to a string");
    if millis > 0 {
        write!(text, ".{millis:03}").expect("writing to a string");
    }
    text
}

fn ledger(engine: &Engine) -> String {
    let mut counts: BTreeMap<Outcome, u64> = BTreeMap::new();
    for (_, outcome, n) in engine.ledger_counts() {
        *counts.entry(outcome).or_default() += n;
    }
    let counts = counts.into_iter().map(|(outcome, n)| (outcome.name(), n));
    let held = engine.scopes().iter().map(|s| s.ledger().held).sum();
    let reused = engine.scopes().iter().map(|s| s.ledger().id_reused).sum();
    let all = counts.chain([("held", held), ("id_reused", reused)]).filter(|(_, n)| *n > 0);
    format!("ledger{}\n", all.map(|(name, n)| format!(" {name}={n}")).collect::<String>())
}
