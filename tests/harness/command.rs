//! Commands of a story: on incidents by their numbers, which become ids when it is played.
use anyhow::{Context, Result, bail};
use quell_core::{
    domain::{
        alert::AlertId,
        command::{Act, Action, Command, IncidentAct},
        hash::Framed,
        incident::{IncidentId, State, Ticket},
        time::Timestamp,
    },
    engine::{Engine, Input},
};

/// `state 1 acknowledged by=ann`
pub fn read(now: Timestamp, verb: &str, words: &[&str], line: usize) -> Result<Command> {
    let (options, words): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| word.contains('='));
    let [incident, what @ ..] = &words[..] else { bail!("which incident?") };
    let number = |word: &str| Ok::<_, anyhow::Error>(IncidentId(word.parse().context("an incident's number")?));
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
    let mut act = IncidentAct { incident: number(incident)?, revision: None, comment: String::new(), act };
    let (mut request_id, mut actor, mut scope) = (format!("line-{line}"), "ann".to_owned(), "default".to_owned());
    for option in options {
        match option.split_once('=').unwrap_or_default() {
            ("by", value) => value.clone_into(&mut actor),
            ("id", value) => value.clone_into(&mut request_id),
            ("scope", value) => value.clone_into(&mut scope),
            ("comment", value) => value.clone_into(&mut act.comment),
            ("revision", value) => act.revision = Some(value.parse()?),
            (key, _) => bail!("a command has no `{key}`"),
        }
    }
    Ok(Command { request_id, actor, scope, at: now, action: Action::Incident(act), digest: 0 })
}

/// Stands for an alert by `entity/check` until it is known.
fn by_name(name: &str) -> AlertId {
    AlertId(Framed::default().field(name).hash64())
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
    let Action::Incident(act) = &mut command.action else { return input.clone() };
    act.incident = id(act.incident);
    match &mut act.act {
        Act::Merge(other) => *other = id(*other),
        Act::Split(alerts) => {
            for alert in alerts {
                let mut known = views.iter().flat_map(|view| &view.alerts).map(|update| &update.alert);
                let named = known.rfind(|a| by_name(&format!("{}/{}", a.entity, a.check)) == *alert);
                *alert = named.map_or(*alert, |a| a.id);
            }
        }
        _ => {}
    }
    Input::Command(command)
}
