//! What people do with incidents: `quell ack`, `assign`, `comment`, `state`, `resolve`, `close`, `merge`, `split`, `ticket`.
use super::{
    bad_input,
    client::{self, Acting, Connection, explain},
    incidents::flags,
    table::{Cell, Look, Room, Table, id, printable},
};
use anyhow::anyhow;
use quell_proto::v1::{self, Incident, IncidentReply};

/// Commands on an incident.
#[derive(Debug, clap::Subcommand)]
pub enum Act {
    /// Somebody looks after it.
    #[command(after_help = "Example:\n  quell ack payments-1042 --comment 'looking at the database'")]
    Ack(Plain),
    /// It is somebody's.
    #[command(after_help = "Examples:\n  quell assign payments-1042 bob\n  quell assign payments-1042 --nobody")]
    Assign {
        #[command(flatten)]
        on: Plain,
        #[arg(required_unless_present = "nobody", conflicts_with = "nobody")]
        assignee: Option<String>,
        /// It is nobody's any more.
        #[arg(long)]
        nobody: bool,
    },
    /// A remark for its timeline.
    #[command(after_help = "Example:\n  quell comment payments-1042 'failover done, watching'")]
    Comment {
        #[command(flatten)]
        on: Bare,
        text: String,
    },
    /// Moves it to a state; new reopens it.
    #[command(after_help = "Example:\n  quell state payments-1042 on-hold --comment 'waits for the vendor'")]
    State {
        #[command(flatten)]
        on: Plain,
        state: State,
    },
    /// It is over: repeats of the same alerts do not undo it.
    #[command(after_help = "Example:\n  quell resolve payments-1042 --comment 'index rebuilt'")]
    Resolve(Plain),
    /// For good: what comes later is another incident.
    #[command(after_help = "Example:\n  quell close payments-1042")]
    Close(Plain),
    /// Both have one cause: the older goes on, the younger points to it.
    #[command(after_help = "Example:\n  quell merge payments-1042 payments-1044")]
    Merge {
        #[command(flatten)]
        on: Plain,
        /// Of the same scope.
        other: String,
    },
    /// Some of its alerts have another cause: they become an incident of their own.
    #[command(after_help = "Example:\n  quell split payments-1042 disk-3/full disk-4/full")]
    Split {
        #[command(flatten)]
        on: Plain,
        /// Alerts of it: entity/check, id or resource name.
        #[arg(required = true, value_name = "ALERT")]
        alerts: Vec<String>,
    },
    /// It stands in another system too.
    #[command(
        after_help = "Example:\n  quell ticket payments-1042 servicenow INC0012345 --url https://example.com/INC0012345"
    )]
    Ticket {
        #[command(flatten)]
        on: Bare,
        /// `servicenow`
        system: String,
        /// `INC0012345`
        key: String,
        /// http or https.
        #[arg(long, default_value = "", hide_default_value = true)]
        url: String,
    },
}

/// Which incident, and who asks.
#[derive(Clone, Debug, clap::Args)]
pub struct Bare {
    /// payments-1042, 1042 in the scope `default`, or a resource name.
    #[arg(value_name = "INCIDENT")]
    incident: String,
    #[command(flatten)]
    acting: Acting,
    #[command(flatten)]
    connection: Connection,
}

/// The same, with a remark.
#[derive(Clone, Debug, clap::Args)]
pub struct Plain {
    #[command(flatten)]
    on: Bare,
    /// For its timeline.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    comment: String,
    /// Refused where the incident is no longer the one that was read.
    #[arg(long, default_value = "", hide_default_value = true)]
    etag: String,
}

/// States that people set.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum State {
    New,
    Acknowledged,
    InProgress,
    OnHold,
    Resolved,
    Closed,
}

impl From<State> for v1::incident::State {
    fn from(state: State) -> Self {
        match state {
            State::New => Self::New,
            State::Acknowledged => Self::Acknowledged,
            State::InProgress => Self::InProgress,
            State::OnHold => Self::OnHold,
            State::Resolved => Self::Resolved,
            State::Closed => Self::Closed,
        }
    }
}

/// Asks for it, and prints the incident that it led to.
///
/// # Errors
/// Where the server can't be reached or refuses.
pub async fn run(act: Act) -> anyhow::Result<()> {
    let on = act.on().clone();
    let actor = on.acting.actor()?;
    let acknowledges = matches!(act, Act::Ack(_)).then(|| actor.clone());
    let mut client = on.connection.client().await?;
    let incident = client::incident(&mut client, &on.incident).await?;
    let (name, request_id) = (incident.name.clone(), on.acting.request_id);
    let reply = match act {
        Act::Ack(Plain { comment, etag, .. }) => {
            client.acknowledge_incident(v1::AcknowledgeIncidentRequest { name, request_id, actor, etag, comment }).await
        }
        Act::Assign { on: Plain { comment, etag, .. }, assignee, .. } => {
            let assignee = assignee.unwrap_or_default();
            client.assign_incident(v1::AssignIncidentRequest { name, request_id, actor, etag, comment, assignee }).await
        }
        Act::Comment { text: comment, .. } => {
            client.comment_incident(v1::CommentIncidentRequest { name, request_id, actor, comment }).await
        }
        Act::State { on: Plain { comment, etag, .. }, state } => {
            let state = v1::incident::State::from(state) as i32;
            client
                .set_incident_state(v1::SetIncidentStateRequest { name, request_id, actor, etag, comment, state })
                .await
        }
        Act::Resolve(Plain { comment, etag, .. }) => {
            client.resolve_incident(v1::ResolveIncidentRequest { name, request_id, actor, etag, comment }).await
        }
        Act::Close(Plain { comment, etag, .. }) => {
            client.close_incident(v1::CloseIncidentRequest { name, request_id, actor, etag, comment }).await
        }
        Act::Merge { on: Plain { comment, etag, .. }, other } => {
            let other = client::incident(&mut client, &other).await?.name;
            client.merge_incidents(v1::MergeIncidentsRequest { name, request_id, actor, etag, comment, other }).await
        }
        Act::Split { on: Plain { comment, etag, .. }, alerts } => {
            let alerts = alerts.iter().map(|means| alert(&incident, means)).collect::<anyhow::Result<_>>()?;
            client.split_incident(v1::SplitIncidentRequest { name, request_id, actor, etag, comment, alerts }).await
        }
        Act::Ticket { system, key, url, .. } => {
            let ticket = Some(v1::Ticket { system, key, url });
            client.link_ticket(v1::LinkTicketRequest { name, request_id, actor, ticket }).await
        }
    };
    let reply = reply.map_err(explain)?.into_inner();
    on.connection.show("IncidentReply", &reply, told)?;
    if let Some(remark) = acknowledges.and_then(|actor| taken(&incident, &actor)) {
        on.connection.remark(&remark);
    }
    Ok(())
}

/// Who else had an incident before somebody acknowledged it.
fn taken(before: &Incident, actor: &str) -> Option<String> {
    let Incident { acknowledged_by, assignee, .. } = before;
    let other = |name: &String| !name.is_empty() && name != actor;
    match (other(acknowledged_by), other(assignee)) {
        (true, true) => Some(format!("{acknowledged_by} has acknowledged it before, and it is assigned to {assignee}")),
        (true, false) => Some(format!("{acknowledged_by} has acknowledged it before")),
        (false, true) => Some(format!("it is assigned to {assignee}")),
        (false, false) => None,
    }
}

impl Act {
    const fn on(&self) -> &Bare {
        match self {
            Self::Ack(on) | Self::Resolve(on) | Self::Close(on) => &on.on,
            Self::Assign { on, .. } | Self::State { on, .. } | Self::Merge { on, .. } | Self::Split { on, .. } => {
                &on.on
            }
            Self::Comment { on, .. } | Self::Ticket { on, .. } => on,
        }
    }
}

/// The resource name of an alert of an incident: given so, by its id, or as `entity/check`.
fn alert(incident: &Incident, means: &str) -> anyhow::Result<String> {
    if means.starts_with("scopes/") {
        return Ok(means.to_owned());
    }
    let last = |name: &str| name.rsplit('/').next() == Some(means);
    if let Some(alert) = incident.alerts.iter().find(|alert| last(&alert.name) || id(&alert.name) == means) {
        return Ok(alert.name.clone());
    }
    let found: Vec<_> =
        incident.alerts.iter().filter(|alert| format!("{}/{}", alert.entity, alert.check) == means).collect();
    match &*found {
        [alert] => Ok(alert.name.clone()),
        [] => Err(bad_input(anyhow!("{} has no alert {}", incident.number, printable(means)))),
        several => {
            let ids: Vec<_> = several.iter().map(|alert| printable(&id(&alert.name))).collect();
            let (number, means) = (&incident.number, printable(means));
            Err(bad_input(anyhow!("{number} has several alerts {means}: {}; name one by its id", ids.join(", "))))
        }
    }
}

pub(super) fn told(reply: &IncidentReply, look: Look) -> String {
    let Some(incident) = &reply.incident else { return String::new() };
    let mut table = Table::bare(&[Room::Whole, Room::Whole, Room::Whole, Room::Whole, Room::Name, Room::Text]);
    let assignee = if incident.assignee.is_empty() { String::new() } else { format!("@{}", incident.assignee) };
    table.row(vec![
        Cell::new(&incident.number),
        Cell::priority(incident.priority),
        Cell::incident_state(incident.state()),
        Cell::new(flags(incident)),
        Cell::new(&assignee),
        Cell::new(&incident.title),
    ]);
    table.text(look, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use v1::IncidentAlert;

    #[test]
    fn alerts_are_meant_by_entity_and_check() -> anyhow::Result<()> {
        let one = |name: &str, entity: &str, check: &str| IncidentAlert {
            name: format!("scopes/default/alerts/{name}"),
            entity: entity.to_owned(),
            check: check.to_owned(),
            ..Default::default()
        };
        let alerts =
            vec![one("1", "db-1", "latency"), one("2", "a/b", "errors"), one("3", "x", "y"), one("4", "x", "y")];
        let incident = Incident { alerts, ..Default::default() };
        assert_eq!(alert(&incident, "db-1/latency")?, "scopes/default/alerts/1");
        assert_eq!(alert(&incident, "a/b/errors")?, "scopes/default/alerts/2");
        assert_eq!(alert(&incident, "scopes/default/alerts/9")?, "scopes/default/alerts/9");
        assert_eq!(alert(&incident, "3")?, "scopes/default/alerts/3");
        assert!(alert(&incident, "x/y").is_err_and(|error| error.to_string().contains("3, 4")));
        for means in ["x/y", "db-1", "nowhere/latency"] {
            assert!(alert(&incident, means).is_err_and(|error| error.is::<super::super::BadInput>()), "{means}");
        }
        Ok(())
    }
}
