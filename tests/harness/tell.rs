//! Conclusions as lines that people can check.
use super::START;
use quell_core::{
    domain::{
        alert::{Alert, AlertId, SuppressedBy},
        apart::{Weighing, signed},
        command::{Code, CommandResult},
        correction::{Correction, Party},
        health::Level,
        incident::{IncidentId, State},
        recurrence::SimilarIncident,
        time::Timestamp,
    },
    engine::Engine,
    ledger::Outcome,
    output::{AlertUpdate, Body, CorrectionUpdate, IncidentUpdate, Output, ProblemUpdate, ServiceUpdate},
    totals::{Regroupings, Suggestions, Totals},
};
use std::{collections::BTreeMap, fmt::Write};

/// What was said last of each thing, to say what is new.
#[derive(Default)]
struct Teller<'a> {
    alerts: BTreeMap<AlertId, &'a Alert>,
    levels: BTreeMap<(&'a str, &'a str), Level>,
    /// Numbers of incidents.
    numbers: BTreeMap<IncidentId, u64>,
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
            Body::Result(result) => teller.result(result),
            Body::Silence(update) if update.silence.hits > 0 => {
                teller.text.push_str(&format!("silence {} hits={}\n", update.silence.id, update.silence.hits));
            }
            Body::Problem(update) => teller.problem(update),
            Body::ProblemGone { scope, .. } => {
                teller.text.push_str(&format!("a problem of {scope} is none any more\n"))
            }
            Body::Correction(update) => teller.correction(update),
            Body::CorrectionGone { .. } => teller.text.push_str("a correction is gone\n"),
            Body::Silence(_)
            | Body::Window(_)
            | Body::DeadLetter(_)
            | Body::IncidentGone { .. }
            | Body::AlertGone { .. }
            | Body::SuppressorGone { .. } => {}
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
        let previous = if i.previous.is_some() && update.change == "opened" { " after an earlier one" } else { "" };
        let by = i.assignee.is_empty().then(String::new).unwrap_or_else(|| format!(" assignee={}", i.assignee));
        let said = i
            .timeline
            .back()
            .filter(|_| update.change == "suggested")
            .map_or(String::new(), |e| format!(": {}", e.text));
        self.numbers.insert(i.id, i.number);
        let major = i.major.and_then(|major| self.numbers.get(&major));
        let major = major.map_or(String::new(), |number| format!(" branch of {number}"));
        let branches = if i.is_major() { format!(" branches={}", i.branch_count) } else { String::new() };
        let what = format!("incident {} {}{major}{branches}{previous}{by}{said}", i.number, update.change);
        if matches!(i.state, State::Resolved | State::Closed) {
            return self.line(at, &update.scope, &format!("{what} {} P{}", i.severity, i.priority.value()));
        }
        let cause = i.causes.first().map_or(String::new(), |c| format!("{}/{}", c.entity, c.check));
        let (alerts, open, severity, priority) =
            (update.alert_count, update.open_alert_count, i.severity, i.priority.value());
        let known = update.alerts.iter().filter(|alert| alert.at_its_hour.is_some()).count();
        let known = if known > 0 { format!(" at its hour={known}") } else { String::new() };
        let what = format!("{what} alerts={alerts} open={open} {severity} P{priority} cause={cause}{known}");
        self.line(at, &update.scope, &what);
    }

    fn alert(&mut self, update: &'a AlertUpdate) {
        let now = &update.alert;
        let before = self.alerts.insert(now.id, now);
        let by = now.suppressed_by.as_ref().filter(|_| now.open).map(|by| self.hidden(by));
        let by_then = by.as_ref().map_or(String::new(), |by| format!(", hidden by {by}"));
        let (at, change) = match before {
            None => {
                let told = now.told_at().map_or(String::new(), |at| format!(", it said {}", clock(at)));
                let hour = now.at_its_hour().map_or(String::new(), |hour| format!(", at its hour: {hour}"));
                (now.occurred_at, format!("opened {}{}{told}{hour}{by_then}", now.severity, said_with(now)))
            }
            Some(before) if now.open && !before.open => {
                let flaps = if now.flapping { ", flaps" } else { "" };
                (now.occurred_at, format!("reopened {}{flaps}{by_then}", now.severity))
            }
            Some(before) if before.open && !now.open => {
                let word = if now.expired { "expired" } else { "cleared" };
                (now.cleared_at.unwrap_or(now.last_fired_at), word.to_owned())
            }
            Some(before) if now.flapping && !before.flapping => (now.said_at, "flaps".to_owned()),
            Some(before) if before.flapping && !now.flapping => (now.calm_since(), "flaps no more".to_owned()),
            Some(before) if now.open && before.suppressed_by != now.suppressed_by => match by {
                Some(by) => (now.said_at, format!("hidden by {by}")),
                None => (now.heard_since(), "heard".to_owned()),
            },
            Some(before) if before.open == now.open && before.episode != now.episode && before.count == now.count => {
                (now.last_fired_at, "moved".to_owned())
            }
            Some(before) if before.severity != now.severity => (now.last_fired_at, format!("is {}", now.severity)),
            Some(_) => (now.last_fired_at, format!("count={}", now.count)),
        };
        self.line(at, &update.scope, &format!("alert {}/{} {change}", now.entity, now.check));
    }

    fn hidden(&self, by: &SuppressedBy) -> String {
        match by {
            SuppressedBy::Silence(id) => format!("silence {id}"),
            SuppressedBy::Maintenance(id) => format!("maintenance {id}"),
            SuppressedBy::Inhibition { rule, by, .. } => {
                let by = self.alerts.get(by).map_or(String::new(), |a| format!("{}/{}", a.entity, a.check));
                format!("{by}, {}", rule.as_deref().unwrap_or("which it runs on"))
            }
        }
    }

    fn service(&mut self, update: &'a ServiceUpdate) {
        let before = self.levels.insert((&update.scope, &update.id), update.level).unwrap_or(Level::Healthy);
        if before != update.level {
            let mut what = format!("service {} {} {}", update.id, update.level, update.score / 100);
            // Where KPIs are, the levels alone would not say why.
            if let Some((_, why)) = update.reason.split_once(": ").filter(|_| !update.kpis.is_empty()) {
                what.push_str(&format!(" ({why})"));
            }
            self.line(update.at, &update.scope, &what);
        }
    }

    fn problem(&mut self, update: &ProblemUpdate) {
        let p = &update.problem;
        let usual = p.usual.as_ref().map_or(String::new(), |usual| format!(", {usual}"));
        let what = format!("problem {} has {} incidents, every {}{usual}: {}", p.number, p.count, p.every(), p.title);
        self.line(p.last_at(), &update.scope, &what);
    }

    /// What was said of which alerts.
    fn correction(&mut self, update: &CorrectionUpdate) {
        let Correction { relation, deed, sides, actor, at, .. } = &update.correction;
        let side = |side: &[Party]| {
            let names: Vec<_> = side.iter().map(|party| format!("{}/{}", party.entity, party.check)).collect();
            names.join(" ")
        };
        let (relation, [one, other]) = (relation.name(), [side(&sides[0]), side(&sides[1])]);
        self.line(*at, &update.scope, &format!("correction {relation} by {actor} ({deed:?}): {one} | {other}"));
    }

    /// Refusals and answers only: what was done is told by what it did.
    fn result(&mut self, result: &CommandResult) {
        if let Some(answer) = &result.answer {
            self.text.push_str(&format!("answer: {}\n", answer.verdict));
            for note in &answer.notes {
                self.text.push_str(&format!("  {}: {}\n", note.kind.name(), note.text));
            }
            for Weighing { title, parts, total, needed, why_needed, .. } in &answer.weighed {
                let (total, needed) = (signed(*total), signed(*needed));
                self.text.push_str(&format!("  {title}: {total}, more than {needed} is needed: {why_needed}\n"));
                for part in parts {
                    self.text.push_str(&format!("    {} {} {}\n", signed(part.millinats), part.name, part.text));
                }
            }
        }
        if result.code != Code::Ok {
            self.text.push_str(&format!("refused {}: {:?}, {}\n", result.request_id, result.code, result.message));
        }
    }

    fn line(&mut self, at: Timestamp, scope: &str, what: &str) {
        let scope = if scope == "default" { String::new() } else { format!("{scope}: ") };
        self.text.push_str(&format!("{} {scope}{what}\n", clock(at)));
    }
}

/// How incidents stand at the end: what people gave to them, and where they went.
pub fn stand(engine: &mut Engine) -> String {
    let views = engine.views();
    let mut incidents: Vec<_> = views.iter().flat_map(|view| &view.incidents).collect();
    incidents.sort_by_key(|i| (&i.scope, i.incident.number));
    let number = |id| incidents.iter().find(|i| i.incident.id == id).map_or(0, |i| i.incident.number);
    let mut text = String::new();
    for IncidentUpdate { incident: i, .. } in &incidents {
        let by = i.acknowledged.as_ref().map(|by| format!(" acknowledged by {} at {}", by.actor, clock(by.at)));
        let tickets: String = i.tickets.iter().map(|t| format!(" {}/{}", t.system, t.key)).collect();
        let comments = i.timeline.iter().filter(|e| &*e.kind == "comment");
        let comments: String = comments.map(|e| format!(" {}: {};", e.actor, e.text)).collect();
        let assignee = (!i.assignee.is_empty()).then(|| format!(" of {}", i.assignee));
        let major = i.major.map(|id| format!(" branch of {}", number(id)));
        let into = i.merged_into.map(|id| format!(" merged into {}", number(id)));
        let previous = i.previous.map(|id| format!(" after {}", number(id)));
        let more = [by, assignee, into, major, previous].into_iter().flatten().collect::<String>();
        let problem = i.problem.as_ref().map(|p| format!(" of problem {} ({})", p.number, p.count));
        let tickets = tickets + &problem.unwrap_or_default();
        let (state, began) = (i.state.name(), clock(i.started_at));
        writeln!(text, "= incident {} {state} since={began}{more}{tickets}{comments}", i.number)
            .expect("writing to a string");
        for SimilarIncident { similarity, past } in &i.similar {
            let by = past.resolved_by.as_ref().map_or(String::new(), |by| format!(" by {by}"));
            let tickets: String = past.tickets.iter().map(|t| format!(" {}/{}", t.system, t.key)).collect();
            let said = Some(&past.resolution).filter(|said| !said.is_empty()).map(|said| format!(": {said}"));
            let (percent, at, said) = (similarity / 10, clock(past.resolved_at), said.unwrap_or_default());
            writeln!(text, "  like {} by {percent} %, resolved at {at}{by}{tickets}{said}", past.number)
                .expect("writing to a string");
        }
    }
    text + &regrouped(engine)
}

/// What became of incidents that people were told of, and of what was suggested; nothing where nothing did.
fn regrouped(engine: &Engine) -> String {
    let mut totals = Totals::default();
    engine.scopes().iter().for_each(|scope| totals.add(&scope.totals()));
    let Regroupings { merged, split, moved } = totals.regroupings;
    let kinds = [("merged", merged), ("split", split), ("moved", moved)];
    let by =
        kinds.map(|(kind, by)| [(format!("{kind} by the model"), by.model), (format!("{kind} by hand"), by.operator)]);
    let Suggestions { made, taken, refused } = totals.suggestions;
    let suggested = [("suggested", made), ("taken", taken), ("refused", refused)];
    let suggested = suggested.map(|(outcome, count)| (outcome.to_owned(), count));
    let all = by.into_iter().flatten().chain(suggested).filter(|(_, count)| *count > 0);
    let all: Vec<_> = all.map(|(what, count)| format!("{what}: {count}")).collect();
    if all.is_empty() { String::new() } else { format!("= {}\n", all.join(", ")) }
}

/// Where it began before it was told, and what is known of it.
fn said_with(alert: &Alert) -> String {
    let mut text = String::new();
    if alert.opened_at != alert.occurred_at {
        write!(text, " since={}", clock(alert.opened_at)).expect("writing to a string");
    }
    for (key, value) in &*alert.labels {
        write!(text, " {key}={value}").expect("writing to a string");
    }
    text
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
