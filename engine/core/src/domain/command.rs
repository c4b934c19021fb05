//! What people and programs ask for: folded like every other input (design rule 13).
use super::{
    alert::AlertId,
    apart::{Apart, Subject},
    correction::{CorrectionId, Relation},
    incident::{IncidentId, State, Ticket},
    maintenance::Maintenance,
    silence::Silence,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A command of one scope.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// Folded once.
    pub request_id: String,
    /// Who asks; for people.
    pub actor: String,
    pub scope: String,
    /// The wall's time at the door.
    pub at: Timestamp,
    pub action: Action,
    /// Of the action as its door saw it: tells it from another under the same request id.
    pub digest: u64,
}

impl Command {
    /// Its result, with the name of what it made or changed.
    pub fn result(&self, done: Result<String, Refusal>) -> CommandResult {
        let (code, message, name) = match done {
            Ok(name) => (Code::Ok, String::new(), name),
            Err(Refusal { code, message }) => (code, message, String::new()),
        };
        let (scope, request_id) = (self.scope.as_str().into(), self.request_id.as_str().into());
        CommandResult { scope, request_id, code, message, name, digest: self.digest, answer: None }
    }
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    Incident(IncidentAct),
    /// One that would match an alert without any of the values it names needs `force`.
    CreateSilence {
        silence: Silence,
        force: bool,
    },
    /// By id.
    ExpireSilence(String),
    CreateWindow(Box<Maintenance>),
    /// By id.
    ExpireWindow(String),
    /// What the alert of a measured series tells of is normal, or is so no more.
    MarkNormal {
        alert: AlertId,
        undo: bool,
    },
    Relate(Relating),
    /// What people said holds no more; what they did stays.
    UndoCorrection(CorrectionId),
    /// Why two are not together: a question, which changes nothing.
    WhyNot(Subject, Subject),
}

/// A person says that two have the same cause, or that they are not related. Nothing is moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relating {
    pub of: [About; 2],
    pub relation: Relation,
    /// Empty where nothing is said.
    pub comment: String,
}

/// What is spoken of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    Alert(AlertId),
    /// All its alerts.
    Incident(IncidentId),
}

/// A decision about an incident.
#[derive(Clone, Debug, PartialEq)]
pub struct IncidentAct {
    pub incident: IncidentId,
    /// The revision that it was decided on; `None`: whichever.
    pub revision: Option<u64>,
    /// Empty where nothing is said.
    pub comment: String,
    pub act: Act,
}

/// What is to become of an incident.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    State(State),
    /// Somebody looks after it; one that is further along stays so.
    Acknowledge,
    /// Empty: nobody.
    Assign(String),
    Comment,
    /// With this one; the older goes on.
    Merge(IncidentId),
    /// These alerts become an incident of their own.
    Split(Vec<AlertId>),
    /// These alerts belong to that incident.
    Move {
        alerts: Vec<AlertId>,
        into: IncidentId,
    },
    Ticket(Ticket),
}

/// How a command ended: the canonical codes that gRPC uses (<https://grpc.io/docs/guides/status-codes/>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Code {
    Ok = 0,
    InvalidArgument = 3,
    NotFound = 5,
    AlreadyExists = 6,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
}

/// Why a command was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: Code,
    pub message: String,
}

impl Refusal {
    /// Refused with this code, for this reason.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandResult {
    pub scope: Arc<str>,
    pub request_id: Arc<str>,
    pub code: Code,
    /// Why it was refused.
    pub message: String,
    /// The resource that it made or changed.
    pub name: String,
    /// Of the command that it is of.
    pub digest: u64,
    /// Where it was a question. It is not kept.
    #[serde(skip)]
    pub answer: Option<Arc<Apart>>,
}
