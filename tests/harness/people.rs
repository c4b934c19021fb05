//! People who follow the incidents and give commands: what they decide is made up of what they hear, from a seed.
use anyhow::{Context as _, Result};
use quell_connectors::wire;
use quell_core::domain::{
    alert::AlertId,
    apart::Subject,
    command::{About, Act, Action, Command, IncidentAct, Relating},
    correction::{CorrectionId, Relation},
    incident::{IncidentId, State, Ticket},
    maintenance::MaintenanceText,
    silence::Silence,
    time::{Span, Timestamp},
};
use quell_proto::v1;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use std::collections::VecDeque;

/// Incidents that they have in mind.
const KNOWN_MAX: usize = 40;
/// Silences and windows that they may end.
const ASKED_MAX: usize = 10;

/// An incident, as it was heard of last.
struct Known {
    scope: String,
    id: IncidentId,
    revision: u64,
    at: Timestamp,
    entity: String,
    alerts: Vec<AlertId>,
}

/// People at work.
pub struct People {
    random: StdRng,
    /// Tells their request ids from others'.
    team: String,
    known: VecDeque<Known>,
    /// What ends a silence or a window of theirs, or takes back what they said, by scope.
    ends: VecDeque<(String, Action)>,
    asked: u64,
}

impl People {
    /// Who have heard of nothing yet.
    pub fn new(seed: u64, team: impl Into<String>) -> Self {
        let random = StdRng::seed_from_u64(seed);
        Self { random, team: team.into(), known: VecDeque::new(), ends: VecDeque::new(), asked: 0 }
    }

    /// They hear of an incident.
    ///
    /// # Errors
    /// Where its name is none.
    pub fn hear(&mut self, incident: &v1::Incident) -> Result<()> {
        let (scope, id) = parts(&incident.name)?;
        self.known.retain(|known| known.id.0 != id);
        self.known.push_back(Known {
            scope: scope.to_owned(),
            id: IncidentId(id),
            revision: incident.revision,
            at: incident.updated_at.as_ref().map(wire::time_back).context("a time")?,
            entity: incident.alerts.first().map_or_else(String::new, |alert| alert.entity.clone()),
            alerts: incident.alerts.iter().map(|a| parts(&a.name).map(|(_, id)| AlertId(id))).collect::<Result<_>>()?,
        });
        let beyond = self.known.len().saturating_sub(KNOWN_MAX);
        self.known.drain(..beyond);
        Ok(())
    }

    /// What comes to their mind, under a request id of its own.
    pub fn command(&mut self) -> Option<Command> {
        // Of what is new more often.
        let n = self
            .random
            .random_range(0..self.known.len().max(1))
            .max(self.random.random_range(0..self.known.len().max(1)));
        let known = self.known.get(n)?;
        let (scope, at) = (known.scope.clone(), known.at);
        self.asked += 1;
        let request_id = format!("{}-{}", self.team, self.asked);
        let action = self.action(n, &request_id)?;
        let actor = ["ann", "bob", "cid"][self.random.random_range(0..3)].to_owned();
        let digest = wire::command::digest(&action);
        Some(Command { request_id, actor, scope, at, action, digest })
    }

    /// Something else under the request id of an earlier command, as a client with a fault would ask.
    pub fn another(&self, command: &Command) -> Command {
        let action = match &command.action {
            Action::Incident(act) => {
                Action::Incident(IncidentAct { act: Act::Assign("nobody of ours".to_owned()), ..act.clone() })
            }
            _ => Action::ExpireSilence("none".to_owned()),
        };
        Command { digest: wire::command::digest(&action), action, ..command.clone() }
    }

    fn action(&mut self, n: usize, request_id: &str) -> Option<Action> {
        let Known { scope, id, revision, at, entity, alerts } = self.known.get(n)?;
        let (random, at) = (&mut self.random, *at);
        let act = match random.random_range(0..22) {
            0..3 => Act::Acknowledge,
            3..5 => Act::Comment,
            5 => Act::Assign("ann".to_owned()),
            6 => Act::State(State::InProgress),
            7 => Act::State(State::Resolved),
            8 => Act::State(State::Closed),
            9 => Act::Ticket(Ticket { system: "desk".to_owned(), key: request_id.to_owned(), url: String::new() }),
            10..13 => {
                let others = self.known.iter().filter(|other| other.scope == *scope && other.id != *id);
                let others: Vec<_> = others.map(|other| other.id).collect();
                Act::Merge(*others.get(random.random_range(0..others.len().max(1)))?)
            }
            13 if alerts.len() > 1 => Act::Split(alerts[..random.random_range(1..alerts.len())].to_vec()),
            13 => Act::Comment,
            18 if alerts.len() > 1 => {
                let others = self.known.iter().filter(|other| other.scope == *scope && other.id != *id);
                let others: Vec<_> = others.map(|other| other.id).collect();
                let into = *others.get(random.random_range(0..others.len().max(1)))?;
                Act::Move { alerts: alerts[..random.random_range(1..alerts.len())].to_vec(), into }
            }
            18 => Act::Comment,
            19..21 => {
                let one = About::Alert(*alerts.get(random.random_range(0..alerts.len().max(1)))?);
                let others = self.known.iter().filter(|other| other.scope == *scope && other.id != *id);
                let others: Vec<_> = others.map(|other| other.id).collect();
                let other = About::Incident(*others.get(random.random_range(0..others.len().max(1)))?);
                let relation = if random.random_bool(0.5) { Relation::Together } else { Relation::Apart };
                let id = CorrectionId::new(scope, request_id, relation);
                self.ends.push_back((scope.clone(), Action::UndoCorrection(id)));
                return Some(Action::Relate(Relating { of: [one, other], relation, comment: String::new() }));
            }
            14..16 => {
                let alert = *alerts.get(random.random_range(0..alerts.len().max(1)))?;
                return Some(Action::MarkNormal { alert, undo: random.random_bool(0.3) });
            }
            16 => {
                if random.random_bool(0.4) {
                    let place = self.ends.iter().position(|(of, _)| of == scope)?;
                    return self.ends.remove(place).map(|(_, action)| action);
                }
                let (from, lasts) = (at + Span::seconds(random.random_range(-60..60)), Span::minutes(5));
                self.ends.push_back((scope.clone(), Action::ExpireSilence(request_id.to_owned())));
                self.ends.drain(..self.ends.len().saturating_sub(ASKED_MAX));
                let silence = Silence {
                    id: request_id.into(),
                    matchers: format!("entity={entity}").parse().ok()?,
                    starts_at: from,
                    ends_at: from + lasts,
                    creator: "ann".into(),
                    comment: "we know".into(),
                    hits: 0,
                };
                return Some(Action::CreateSilence { silence, force: random.random_bool(0.5) });
            }
            17 => {
                let alert = *alerts.get(random.random_range(0..alerts.len().max(1)))?;
                let others: Vec<_> = self.known.iter().filter(|other| other.scope == *scope).collect();
                let other = others.get(random.random_range(0..others.len().max(1)))?.id;
                return Some(Action::WhyNot(Subject::Alert(alert), Subject::Incident(other)));
            }
            _ => {
                let mut text = MaintenanceText { id: request_id.into(), title: "work".into(), ..Default::default() };
                text.entities.insert(entity.as_str().into());
                let time = |at: Timestamp| jiff::Timestamp::from_millisecond(at.0).ok().map(|at| at.to_string());
                (text.schedule.start, text.schedule.end) = (time(at), time(at + Span::minutes(10)));
                self.ends.push_back((scope.clone(), Action::ExpireWindow(request_id.to_owned())));
                self.ends.drain(..self.ends.len().saturating_sub(ASKED_MAX));
                return text.try_into().ok().map(|window| Action::CreateWindow(Box::new(window)));
            }
        };
        let revision = random.random_bool(0.2).then_some(*revision);
        let comment = if act == Act::Comment || random.random_bool(0.2) { "as we thought" } else { "" };
        Some(Action::Incident(IncidentAct { incident: *id, revision, comment: comment.to_owned(), act }))
    }
}

/// The scope and the id of `scopes/{scope}/{collection}/{id}`.
fn parts(name: &str) -> Result<(&str, u64)> {
    let mut parts = name.strip_prefix("scopes/").context("a name")?.split('/');
    let (scope, id) = (parts.next().context("a scope")?, parts.nth(1).context("an id")?);
    Ok((scope, u64::from_str_radix(id, 16)?))
}
