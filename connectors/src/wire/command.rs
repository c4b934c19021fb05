//! Commands and what came of them.
use super::{
    Invalid,
    correction::{correction, relation, relation_back},
    incident::{apart, problem, state, state_back, ticket},
    suppression::{silence, silence_back, window, window_back},
};
use prost::Message as _;
use quell_core::{
    domain::{
        alert::AlertId,
        apart::Subject,
        command::{About, Act, Action, Command, CommandResult, IncidentAct, Relating},
        correction::CorrectionId,
        hash::Framed,
        incident::{IncidentId, Ticket},
        maintenance::Maintenance,
        silence::Silence,
        time::Timestamp,
    },
    output::{CorrectionUpdate, ProblemUpdate, SilenceUpdate, WindowUpdate},
};
use quell_proto::v1::{self, about, command, command_output::Body, incident_act, schedule, why_not};

/// A command of the journal.
pub fn command(asked: &Command) -> v1::Command {
    v1::Command {
        request_id: asked.request_id.clone(),
        actor: asked.actor.clone(),
        scope: asked.scope.clone(),
        at_ms: asked.at.0,
        digest: asked.digest,
        action: Some(action(&asked.action)),
    }
}

fn action(asked: &Action) -> command::Action {
    match asked {
        Action::Incident(act) => command::Action::Incident(incident_act(act)),
        Action::CreateSilence { silence: asked, force } => {
            let silence = Some(silence(&asked.id, asked));
            command::Action::CreateSilence(v1::CreateSilence { silence, force: *force })
        }
        Action::ExpireSilence(id) => command::Action::ExpireSilence(id.clone()),
        Action::CreateWindow(asked) => command::Action::CreateMaintenance(window(&asked.id, asked)),
        Action::ExpireWindow(id) => command::Action::ExpireMaintenance(id.clone()),
        Action::MarkNormal { alert, undo } => {
            command::Action::MarkNormal(v1::MarkNormal { alert: alert.0, undo: *undo })
        }
        Action::Relate(asked) => {
            let [one, other] = asked.of.map(|what| Some(about(what)));
            let (relation, comment) = (relation(asked.relation) as i32, asked.comment.clone());
            command::Action::Relate(v1::Relate { relation, one, other, comment })
        }
        Action::UndoCorrection(id) => command::Action::UndoCorrection(id.0),
        Action::WhyNot(one, other) => {
            command::Action::WhyNot(v1::WhyNot { one: Some(subject(*one)), other: Some(subject(*other)) })
        }
    }
}

const fn subject(of: Subject) -> why_not::Subject {
    let of = match of {
        Subject::Alert(id) => why_not::subject::Of::Alert(id.0),
        Subject::Incident(id) => why_not::subject::Of::Incident(id.0),
    };
    why_not::Subject { of: Some(of) }
}

fn subject_back(of: Option<why_not::Subject>) -> Option<Subject> {
    Some(match of?.of? {
        why_not::subject::Of::Alert(id) => Subject::Alert(AlertId(id)),
        why_not::subject::Of::Incident(id) => Subject::Incident(IncidentId(id)),
    })
}

/// Tells an action from another one under the same request id. Its times are left out: `for two hours` is another moment when it
/// is sent again.
pub fn digest(asked: &Action) -> u64 {
    let mut action = action(asked);
    match &mut action {
        command::Action::CreateSilence(v1::CreateSilence { silence: Some(silence), .. }) => {
            (silence.starts_at, silence.ends_at) = (None, None);
        }
        command::Action::CreateMaintenance(window) => {
            let schedule = window.schedule.as_mut().and_then(|schedule| schedule.kind.as_mut());
            if let Some(schedule::Kind::Once(once)) = schedule {
                *once = schedule::Once::default();
            }
        }
        _ => {}
    }
    let action = v1::Command { action: Some(action), ..Default::default() };
    Framed::default().field(action.encode_to_vec()).hash64()
}

/// A command of the journal, read back.
///
/// # Errors
/// Where its action is not known to this version.
pub fn command_back(asked: v1::Command) -> Result<Command, Invalid> {
    let unknown = || Invalid(format!("command {}: its action is not known", asked.request_id));
    let action = match asked.action {
        None => return Err(unknown()),
        Some(command::Action::Incident(act)) => Action::Incident(incident_act_back(act).ok_or_else(unknown)?),
        Some(command::Action::CreateSilence(asked)) => {
            let silence = asked.silence.ok_or_else(unknown)?;
            Action::CreateSilence { silence: silence_back(silence.name.clone(), silence)?, force: asked.force }
        }
        Some(command::Action::ExpireSilence(id)) => Action::ExpireSilence(id),
        Some(command::Action::CreateMaintenance(window)) => {
            Action::CreateWindow(Box::new(window_back(window.name.clone(), window)?))
        }
        Some(command::Action::ExpireMaintenance(id)) => Action::ExpireWindow(id),
        Some(command::Action::MarkNormal(v1::MarkNormal { alert, undo })) => {
            Action::MarkNormal { alert: AlertId(alert), undo }
        }
        Some(command::Action::Relate(asked)) => Action::Relate(relating_back(asked).ok_or_else(unknown)?),
        Some(command::Action::UndoCorrection(id)) => Action::UndoCorrection(CorrectionId(id)),
        Some(command::Action::WhyNot(v1::WhyNot { one, other })) => {
            let (one, other) = (subject_back(one), subject_back(other));
            Action::WhyNot(one.ok_or_else(unknown)?, other.ok_or_else(unknown)?)
        }
    };
    Ok(Command {
        request_id: asked.request_id,
        actor: asked.actor,
        scope: asked.scope,
        at: Timestamp(asked.at_ms),
        action,
        digest: asked.digest,
    })
}

fn about(what: About) -> v1::About {
    let what = match what {
        About::Alert(id) => about::What::Alert(id.0),
        About::Incident(id) => about::What::Incident(id.0),
    };
    v1::About { what: Some(what) }
}

fn about_back(about: Option<v1::About>) -> Option<About> {
    Some(match about?.what? {
        about::What::Alert(id) => About::Alert(AlertId(id)),
        about::What::Incident(id) => About::Incident(IncidentId(id)),
    })
}

fn relating_back(asked: v1::Relate) -> Option<Relating> {
    let relation = relation_back(asked.relation())?;
    Some(Relating { of: [about_back(asked.one)?, about_back(asked.other)?], relation, comment: asked.comment })
}

fn incident_act(act: &IncidentAct) -> v1::IncidentAct {
    let what = match &act.act {
        Act::State(to) => incident_act::Act::State(state(*to) as i32),
        Act::Acknowledge => incident_act::Act::Acknowledged(true),
        Act::Assign(assignee) => incident_act::Act::Assignee(assignee.clone()),
        Act::Comment => incident_act::Act::Commented(true),
        Act::Merge(other) => incident_act::Act::MergeWith(other.0),
        Act::Split(alerts) => {
            incident_act::Act::Split(incident_act::Alerts { ids: alerts.iter().map(|id| id.0).collect() })
        }
        Act::Move { alerts, into } => {
            let alerts = alerts.iter().map(|id| id.0).collect();
            incident_act::Act::Move(incident_act::Move { alerts, into: into.0 })
        }
        Act::Ticket(linked) => incident_act::Act::Ticket(ticket(linked)),
    };
    v1::IncidentAct {
        incident: act.incident.0,
        revision: act.revision.unwrap_or(0),
        comment: act.comment.clone(),
        act: Some(what),
    }
}

fn incident_act_back(act: v1::IncidentAct) -> Option<IncidentAct> {
    let what = match act.act? {
        incident_act::Act::State(to) => Act::State(state_back(v1::incident::State::try_from(to).ok()?)?),
        incident_act::Act::Acknowledged(_) => Act::Acknowledge,
        incident_act::Act::Assignee(assignee) => Act::Assign(assignee),
        incident_act::Act::Commented(_) => Act::Comment,
        incident_act::Act::MergeWith(other) => Act::Merge(IncidentId(other)),
        incident_act::Act::Split(alerts) => Act::Split(alerts.ids.into_iter().map(AlertId).collect()),
        incident_act::Act::Move(incident_act::Move { alerts, into }) => {
            Act::Move { alerts: alerts.into_iter().map(AlertId).collect(), into: IncidentId(into) }
        }
        incident_act::Act::Ticket(t) => Act::Ticket(Ticket { system: t.system, key: t.key, url: t.url }),
    };
    Some(IncidentAct {
        incident: IncidentId(act.incident),
        revision: Some(act.revision).filter(|revision| *revision > 0),
        comment: act.comment,
        act: what,
    })
}

/// What came of a command.
pub fn result(result: &CommandResult) -> Body {
    Body::Result(v1::CommandResult {
        scope: result.scope.to_string(),
        request_id: result.request_id.to_string(),
        code: result.code as i32,
        message: result.message.clone(),
        name: result.name.clone(),
        digest: result.digest,
        answer: result.answer.as_deref().map(|answer| apart(&result.scope, answer)),
    })
}

/// A silence as it is now.
pub fn silence_update(update: &SilenceUpdate) -> Body {
    let name = Silence::name(&update.scope, &update.silence.id);
    Body::Silence(silence(&name, &update.silence))
}

/// A maintenance window as it is now.
pub fn window_update(update: &WindowUpdate) -> Body {
    let name = Maintenance::name(&update.scope, &update.window.id);
    Body::MaintenanceWindow(window(&name, &update.window))
}

/// A problem as it is now.
pub fn problem_update(update: &ProblemUpdate) -> Body {
    Body::Problem(problem(&update.scope, &update.problem))
}

/// What people said of which alerts belong together.
pub fn correction_update(update: &CorrectionUpdate) -> Body {
    Body::Correction(correction(update))
}

/// As it stands in the topic of commands.
pub const fn output(body: Body) -> v1::CommandOutput {
    v1::CommandOutput { body: Some(body) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_tells_actions_apart_but_not_moments() {
        let silence = |matchers: &str, at: i64| {
            let silence = Silence {
                id: "s".into(),
                matchers: matchers.parse().expect("matchers"),
                starts_at: Timestamp(at),
                ends_at: Timestamp(at + 1),
                creator: "ann".into(),
                comment: "".into(),
                hits: 0,
            };
            digest(&Action::CreateSilence { silence, force: false })
        };
        assert_eq!(silence("entity=a", 1), silence("entity=a", 2));
        assert_ne!(silence("entity=a", 1), silence("entity=b", 1));
        let act = |act| {
            Action::Incident(IncidentAct { incident: IncidentId(1), revision: None, comment: String::new(), act })
        };
        assert_ne!(digest(&act(Act::Acknowledge)), digest(&act(Act::Comment)));
    }
}
