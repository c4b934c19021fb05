//! Commands of people and programs: a record of the journal, answered when the fold's output shows what came of it (design
//! rule 13).
use super::{
    errors::{invalid, not_found, refused, unavailable},
    grpc::{Api, encode_position},
    names,
};
use quell_connectors::{decode::text, log::Topic, wire};
use quell_core::domain::{
    alert::AlertId,
    apart::{Apart, Note, NoteKind, Subject},
    command::{Act, Action, Command, IncidentAct},
    hash::partition_of,
    incident::{IncidentId, Ticket},
};
use quell_proto::v1::{self, journal_record::Record};
use std::collections::BTreeMap;
use tonic::{Code, Status};

/// Of a request id, an actor, an assignee, in characters.
const NAME_MAX: usize = 200;
/// Of a comment, in characters.
pub(super) const COMMENT_MAX: usize = 4_000;
/// Alerts split or moved at once.
const SPLIT_MAX: usize = 10_000;

/// Who asks, and how often it was asked.
#[derive(Debug)]
pub struct Asked {
    pub request_id: String,
    pub actor: String,
}

/// A command was done.
#[derive(Debug)]
pub struct Done {
    /// Of the resource that it made or changed.
    pub name: String,
    /// For `min_position` of reads.
    pub position: String,
    /// Where it was a question.
    pub answer: Option<v1::Apart>,
}

/// What every request of an incident's command has, beside what it asks for.
#[derive(Debug)]
pub struct OnIncident {
    pub name: String,
    pub asked: Asked,
    pub etag: String,
    pub comment: String,
}

impl Api {
    /// Asks a scope's fold for something, once, and waits for what comes of it.
    ///
    /// # Errors
    /// The refusal; `UNAVAILABLE` where the journal does not take it, `DEADLINE_EXCEEDED` where the answer takes too long:
    /// sending it again with the same request id is safe.
    pub async fn ask(&self, scope: &str, asked: Asked, action: Action) -> Result<Done, Status> {
        let Asked { request_id, actor } = asked;
        let request_id =
            if request_id.is_empty() { format!("{:016x}", self.shared.outside.random()) } else { request_id };
        at_most("request_id", &request_id, NAME_MAX)?;
        at_most("actor", &actor, NAME_MAX)?;
        let actor = cleaned(actor);
        let command = Command {
            request_id: request_id.clone(),
            actor,
            scope: scope.to_owned(),
            at: self.shared.outside.now(),
            digest: wire::command::digest(&action),
            action,
        };
        let record = wire::bytes(&wire::journal_record(Record::Command(wire::command::command(&command))));
        let partition = partition_of(scope, self.shared.partitions);
        let position = self.shared.log.append(Topic::Journal, partition, record).await.map_err(unavailable)?;
        let position = encode_position(&BTreeMap::from([(partition, position)]));
        self.await_position(&position).await?;
        let result = self.views.result(scope, &request_id);
        let result = result.ok_or_else(|| Status::internal("the command was folded, and its result was not found"))?;
        if result.digest != command.digest {
            let message = format!("request_id: `{request_id}` was used for another action; take a new one");
            return Err(refused(Code::AlreadyExists, "REQUEST_ID_REUSED", message));
        }
        match Code::from_i32(result.code) {
            Code::Ok => Ok(Done { name: result.name, position, answer: result.answer }),
            code => Err(refused(code, reason(code), result.message)),
        }
    }

    /// A command on an incident; the incident that it led to.
    ///
    /// # Errors
    /// As [`Api::ask`]; `INVALID_ARGUMENT` for what is not well formed.
    pub async fn on_incident(&self, on: OnIncident, act: Act) -> Result<v1::IncidentReply, Status> {
        let (scope, incident) = incident_id("name", &on.name)?;
        at_most("comment", &on.comment, COMMENT_MAX)?;
        let revision = match on.etag.as_str() {
            "" => None,
            etag => Some(etag.parse().map_err(|_| invalid("etag", "use an incident's, as it is"))?),
        };
        let act = IncidentAct { incident, revision, comment: cleaned(on.comment), act };
        let done = self.ask(scope, on.asked, Action::Incident(act)).await?;
        let id = names::parse_id("name", &done.name, "incidents")?.1;
        let incident = self.views.incident(IncidentId(id));
        Ok(v1::IncidentReply { incident, position: done.position })
    }

    pub(super) async fn set_state(&self, request: v1::SetIncidentStateRequest) -> Result<v1::IncidentReply, Status> {
        let state = wire::incident_state_back(request.state());
        let state = state.ok_or_else(|| invalid("state", "a state is expected, like ACKNOWLEDGED"))?;
        let asked = Asked { request_id: request.request_id, actor: request.actor };
        let on = OnIncident { name: request.name, asked, etag: request.etag, comment: request.comment };
        self.on_incident(on, Act::State(state)).await
    }

    pub(super) async fn assign(&self, request: v1::AssignIncidentRequest) -> Result<v1::IncidentReply, Status> {
        at_most("assignee", &request.assignee, NAME_MAX)?;
        let asked = Asked { request_id: request.request_id, actor: request.actor };
        let on = OnIncident { name: request.name, asked, etag: request.etag, comment: request.comment };
        self.on_incident(on, Act::Assign(cleaned(request.assignee))).await
    }

    pub(super) async fn comment(&self, request: v1::CommentIncidentRequest) -> Result<v1::IncidentReply, Status> {
        if request.comment.trim().is_empty() {
            return Err(invalid("comment", "it is empty"));
        }
        let asked = Asked { request_id: request.request_id, actor: request.actor };
        let on = OnIncident { name: request.name, asked, etag: String::new(), comment: request.comment };
        self.on_incident(on, Act::Comment).await
    }

    pub(super) async fn merge(&self, request: v1::MergeIncidentsRequest) -> Result<v1::IncidentReply, Status> {
        let (scope, _) = incident_id("name", &request.name)?;
        let (other_scope, other) = incident_id("other", &request.other)?;
        if scope != other_scope {
            let message = "other: incidents of two scopes are never merged";
            return Err(refused(Code::FailedPrecondition, "SCOPES_DIFFER", message));
        }
        if request.name == request.other {
            return Err(invalid("other", "it is the same incident"));
        }
        let asked = Asked { request_id: request.request_id, actor: request.actor };
        let on = OnIncident { name: request.name, asked, etag: request.etag, comment: request.comment };
        self.on_incident(on, Act::Merge(other)).await
    }

    pub(super) async fn split(&self, request: v1::SplitIncidentRequest) -> Result<v1::IncidentReply, Status> {
        let (scope, _) = incident_id("name", &request.name)?;
        let alerts = alert_ids(scope, &request.alerts)?;
        let asked = Asked { request_id: request.request_id, actor: request.actor };
        let on = OnIncident { name: request.name, asked, etag: request.etag, comment: request.comment };
        self.on_incident(on, Act::Split(alerts)).await
    }

    pub(super) async fn move_alerts(&self, request: v1::MoveAlertsRequest) -> Result<v1::IncidentReply, Status> {
        let (scope, _) = incident_id("name", &request.name)?;
        let (into_scope, into) = incident_id("into", &request.into)?;
        if scope != into_scope {
            let message = "into: alerts never leave their scope";
            return Err(refused(Code::FailedPrecondition, "SCOPES_DIFFER", message));
        }
        let alerts = alert_ids(scope, &request.alerts)?;
        let asked = Asked { request_id: request.request_id, actor: request.actor };
        let on = OnIncident { name: request.name, asked, etag: request.etag, comment: request.comment };
        self.on_incident(on, Act::Move { alerts, into }).await
    }

    pub(super) async fn mark_normal(&self, request: v1::MarkAlertNormalRequest) -> Result<v1::AlertReply, Status> {
        let (scope, id) = names::parse_id("name", &request.name, "alerts")?;
        let asked = Asked { request_id: request.request_id, actor: request.actor };
        let action = Action::MarkNormal { alert: AlertId(id), undo: request.undo };
        let done = self.ask(scope, asked, action).await?;
        let alert = self.views.alert(AlertId(id)).map(|alert| alert.message());
        Ok(v1::AlertReply { alert, position: done.position })
    }

    /// Why two are not together: of one scope its fold tells.
    pub(super) async fn why_not_together(&self, request: v1::WhyNotRequest) -> Result<v1::WhyNotResponse, Status> {
        let v1::WhyNotRequest { name, other, request_id, actor } = request;
        let ((scope, one), (other_scope, two)) = (subject("name", &name)?, subject("other", &other)?);
        if scope != other_scope {
            for (name, subject) in [(&name, one), (&other, two)] {
                self.is_there(name, subject)?;
            }
            return Ok(v1::WhyNotResponse { answer: Some(of_two_scopes(scope, other_scope)), position: String::new() });
        }
        let done = self.ask(scope, Asked { request_id, actor }, Action::WhyNot(one, two)).await?;
        let answer = done.answer.ok_or_else(|| {
            let message = "request_id: it was answered before, and answers are not kept; take a new one";
            refused(Code::AlreadyExists, "REQUEST_ID_REUSED", message)
        })?;
        Ok(v1::WhyNotResponse { answer: Some(answer), position: done.position })
    }

    fn is_there(&self, name: &str, subject: Subject) -> Result<(), Status> {
        match subject {
            Subject::Alert(id) => self.views.alert(id).map(drop).ok_or_else(|| not_found("alert", name)),
            Subject::Incident(id) => self.views.incident(id).map(drop).ok_or_else(|| not_found("incident", name)),
        }
    }

    pub(super) async fn link_ticket(&self, request: v1::LinkTicketRequest) -> Result<v1::IncidentReply, Status> {
        let ticket = request.ticket.unwrap_or_default();
        for (field, text) in [("ticket.system", &ticket.system), ("ticket.key", &ticket.key)] {
            at_most(field, text, NAME_MAX)?;
            if text.trim().is_empty() {
                return Err(invalid(field, format_args!("it is empty")));
            }
        }
        at_most("ticket.url", &ticket.url, COMMENT_MAX)?;
        // Whoever shows it makes a link of it: a script is none.
        if !ticket.url.is_empty() && !ticket.url.starts_with("https://") && !ticket.url.starts_with("http://") {
            return Err(invalid("ticket.url", "http:// or https:// is expected"));
        }
        let asked = Asked { request_id: request.request_id, actor: request.actor };
        let on = OnIncident { name: request.name, asked, etag: String::new(), comment: String::new() };
        let ticket = Ticket { system: cleaned(ticket.system), key: cleaned(ticket.key), url: cleaned(ticket.url) };
        self.on_incident(on, Act::Ticket(ticket)).await
    }
}

pub(super) fn at_most(field: &str, text: &str, max: usize) -> Result<(), Status> {
    if text.chars().count() <= max {
        return Ok(());
    }
    Err(invalid(field, format_args!("at most {max} characters")))
}

/// As the texts of events are kept: on one line, without control characters.
pub(super) fn cleaned(text: String) -> String {
    text::line(text.into(), usize::MAX)
}

/// The scope of an alert or an incident, and which it is.
fn subject<'a>(field: &str, name: &'a str) -> Result<(&'a str, Subject), Status> {
    if name.split('/').nth(2) == Some("incidents") {
        return incident_id(field, name).map(|(scope, id)| (scope, Subject::Incident(id)));
    }
    names::parse_id(field, name, "alerts").map(|(scope, id)| (scope, Subject::Alert(AlertId(id))))
}

/// Nothing crosses a scope: there is nothing to weigh.
fn of_two_scopes(one: &str, other: &str) -> v1::Apart {
    let text = format!("one is of the scope {one}, the other of {other}: alerts of two scopes are never together");
    let verdict = format!("{text}.");
    wire::apart(one, &Apart { verdict, notes: vec![Note { kind: NoteKind::Scope, text }], ..Apart::default() })
}

fn incident_id<'a>(field: &str, name: &'a str) -> Result<(&'a str, IncidentId), Status> {
    names::parse_id(field, name, "incidents").map(|(scope, id)| (scope, IncidentId(id)))
}

/// Alerts of a scope.
fn alert_ids(scope: &str, named: &[String]) -> Result<Vec<AlertId>, Status> {
    if named.is_empty() || named.len() > SPLIT_MAX {
        return Err(invalid("alerts", format_args!("from 1 to {SPLIT_MAX} names")));
    }
    let mut alerts = Vec::with_capacity(named.len());
    for name in named {
        let (of, id) = names::parse_id("alerts", name, "alerts")?;
        if of != scope {
            return Err(invalid("alerts", format_args!("{name} is of another scope")));
        }
        alerts.push(AlertId(id));
    }
    Ok(alerts)
}

/// The reason of a refusal, for programs.
fn reason(code: Code) -> &'static str {
    match code {
        Code::NotFound => "NOT_FOUND",
        Code::Aborted => "ETAG_MISMATCH",
        Code::ResourceExhausted => "LIMIT_REACHED",
        Code::FailedPrecondition => "STATE_FORBIDS",
        _ => "COMMAND_REFUSED",
    }
}
