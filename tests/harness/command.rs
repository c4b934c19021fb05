//! Commands of a story: on incidents by their numbers, which become ids when it is played.
use anyhow::{Context, Result, bail};
use quell_core::{
    domain::{
        alert::AlertId,
        apart::Subject,
        command::{About, Act, Action, Command, IncidentAct, Relating},
        correction::{CorrectionId, Relation},
        hash::Framed,
        incident::{IncidentId, State, Ticket},
        time::Timestamp,
    },
    engine::{Engine, Input},
};

/// `state 1 acknowledged by=ann`
pub fn read(now: Timestamp, verb: &str, words: &[&str], line: usize) -> Result<Command> {
    let (options, words): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| word.contains('='));
    let (mut request_id, mut actor, mut scope) = (format!("line-{line}"), "ann".to_owned(), "default".to_owned());
    let (mut comment, mut revision) = (String::new(), None);
    for option in options {
        match option.split_once('=').unwrap_or_default() {
            ("by", value) => value.clone_into(&mut actor),
            ("id", value) => value.clone_into(&mut request_id),
            ("scope", value) => value.clone_into(&mut scope),
            ("comment", value) => value.clone_into(&mut comment),
            ("revision", value) => revision = Some(value.parse()?),
            (key, _) => bail!("a command has no `{key}`"),
        }
    }
    let action = match (verb, &words[..]) {
        ("normal", [alert]) => Action::MarkNormal { alert: by_name(alert), undo: false },
        ("why-not", [one, other]) => Action::WhyNot(subject(one), subject(other)),
        ("normal", [alert, "undo"]) => Action::MarkNormal { alert: by_name(alert), undo: true },
        ("move", [alerts @ .., from, into]) => {
            let alerts = alerts.iter().map(|alert| by_name(alert)).collect();
            let act = Act::Move { alerts, into: number(into)? };
            Action::Incident(IncidentAct { incident: number(from)?, revision, comment, act })
        }
        ("same_cause", [one, other]) => relate([one, other], Relation::Together, comment)?,
        ("not_related", [one, other]) => relate([one, other], Relation::Apart, comment)?,
        // By its place among those that are kept, from 1.
        ("undo", [place]) => Action::UndoCorrection(CorrectionId(place.parse()?)),
        _ => Action::Incident(IncidentAct { revision, comment, ..on_incident(verb, &words)? }),
    };
    Ok(Command { request_id, actor, scope, at: now, action, digest: 0 })
}

fn number(word: &str) -> Result<IncidentId> {
    Ok(IncidentId(word.parse().context("an incident's number")?))
}

/// An alert is `entity/check`, an incident a number.
fn relate(of: [&str; 2], relation: Relation, comment: String) -> Result<Action> {
    let about = |word: &str| match word.contains('/') {
        true => Ok(About::Alert(by_name(word))),
        false => number(word).map(About::Incident),
    };
    Ok(Action::Relate(Relating { of: [about(of[0])?, about(of[1])?], relation, comment }))
}

fn on_incident(verb: &str, words: &[&str]) -> Result<IncidentAct> {
    let [incident, what @ ..] = words else { bail!("which incident?") };
    let act = match (verb, what) {
        ("state", [state]) => Act::State(match *state {
            "new" => State::New,
            "acknowledged" => State::Acknowledged,
            "in_progress" => State::InProgress,
            "on_hold" => State::OnHold,
            "resolved" => State::Resolved,
            "closed" => State::Closed,
            other => bail!("`{other}` is no state"),
        }),
        ("ack", []) => Act::Acknowledge,
        ("assign", []) => Act::Assign(String::new()),
        ("assign", [assignee]) => Act::Assign((*assignee).to_owned()),
        ("comment", []) => Act::Comment,
        ("merge", [other]) => Act::Merge(number(other)?),
        ("split", alerts) => Act::Split(alerts.iter().map(|alert| by_name(alert)).collect()),
        ("ticket", [ticket]) => {
            let (system, key) = ticket.split_once('/').context("a ticket is `system/key`")?;
            Act::Ticket(Ticket { system: system.to_owned(), key: key.to_owned(), url: String::new() })
        }
        _ => bail!("`{verb}` takes other words"),
    };
    Ok(IncidentAct { incident: number(incident)?, revision: None, comment: String::new(), act })
}

/// An incident by its number, or an alert by its name.
fn subject(word: &str) -> Subject {
    word.parse().map_or_else(|_| Subject::Alert(by_name(word)), |number| Subject::Incident(IncidentId(number)))
}

/// Stands for an alert by `entity/check` until it is known; an underscore for a blank.
fn by_name(name: &str) -> AlertId {
    AlertId(Framed::default().field(name.replace('_', " ")).hash64())
}

/// The input with its incident's number as id, and its alerts' names as ids.
pub fn resolved(input: &Input, engine: &mut Engine) -> Input {
    let Input::Command(command) = input else { return input.clone() };
    let mut command = command.clone();
    let views = engine.views();
    let incidents: Vec<_> = views.iter().flat_map(|view| &view.incidents).collect();
    let id = |number: IncidentId| {
        let of = incidents.iter().find(|i| *i.scope == *command.scope && i.incident.number == number.0);
        of.map_or(number, |i| i.incident.id)
    };
    let alert = |alert: AlertId| {
        let mut known = views.iter().flat_map(|view| &view.alerts).map(|update| &update.alert);
        let named = known.rfind(|a| by_name(&format!("{}/{}", a.entity, a.check)) == alert);
        named.map_or(alert, |a| a.id)
    };
    match &mut command.action {
        Action::Incident(act) => {
            act.incident = id(act.incident);
            match &mut act.act {
                Act::Merge(other) => *other = id(*other),
                Act::Split(alerts) => alerts.iter_mut().for_each(|one| *one = alert(*one)),
                Act::Move { alerts, into } => {
                    *into = id(*into);
                    alerts.iter_mut().for_each(|one| *one = alert(*one));
                }
                _ => {}
            }
        }
        Action::MarkNormal { alert: marked, .. } => *marked = alert(*marked),
        Action::Relate(relating) => {
            for about in &mut relating.of {
                *about = match *about {
                    About::Alert(named) => About::Alert(alert(named)),
                    About::Incident(number) => About::Incident(id(number)),
                };
            }
        }
        Action::UndoCorrection(place) => {
            let mut kept: Vec<_> = views.iter().flat_map(|view| &view.corrections).map(|c| &c.correction).collect();
            kept.sort_by_key(|correction| (correction.at, correction.relation, correction.id));
            let of = usize::try_from(place.0).ok().and_then(|place| kept.get(place.checked_sub(1)?));
            *place = of.map_or(*place, |correction| correction.id);
        }
        Action::WhyNot(one, other) => {
            for subject in [one, other] {
                match subject {
                    Subject::Alert(named) => *named = alert(*named),
                    Subject::Incident(number) => *number = id(*number),
                }
            }
        }
        _ => {}
    }
    Input::Command(command)
}
