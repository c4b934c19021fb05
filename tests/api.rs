//! The gRPC API beyond reads, through a stock client and the real binary: commands, errors with details, subscriptions,
//! services, topology, events.
use anyhow::{Context as _, ensure};
use futures::stream;
use quell_proto::v1::{
    AcknowledgeIncidentRequest, AcknowledgeUpdatesRequest, ApplyTopologyRequest, AssignIncidentRequest,
    CloseIncidentRequest, GetIncidentRequest, GetTopologyRequest, Incident, IncidentReply, LinkTicketRequest,
    ListAlertsRequest, ListIncidentsRequest, ListServicesRequest, PublishEventsRequest, PublishEventsResponse,
    ResolveIncidentRequest, SetIncidentStateRequest, Ticket, Topology, WatchIncidentsRequest, WatchIncidentsResponse,
    WatchServicesRequest, incident::State, quell_client::QuellClient, watch_incidents_request::From as Start,
};
use quell_tests::process::{Quell, free_port, quell, quell_ok};
use serde_json::{Value, json};
use std::{fs, time::Duration};
use tempfile::TempDir;
use tonic::{Code, Status, Streaming, transport::Channel};
use tonic_types::StatusExt as _;

/// 2026-01-05T00:00:00Z
const T0: i64 = 1_767_571_200_000;

struct Site {
    directory: TempDir,
    port: u16,
}

impl Site {
    fn new() -> anyhow::Result<Self> {
        let (directory, port) = (TempDir::new()?, free_port());
        fs::write(directory.path().join("topology.json"), topology(&["db"]))?;
        let config = format!(
            "data_dir = \"{}\"\ntopology = \"topology.json\"\n[server]\nlisten = \"127.0.0.1:{port}\"\n[journal]\npartitions = 3\nclock = \"events\"\n",
            directory.path().join("data").display()
        );
        fs::write(directory.path().join("quell.toml"), config)?;
        Ok(Self { directory, port })
    }

    fn run(&self) -> anyhow::Result<Quell> {
        let log = self.directory.path().join("quell.log");
        let mut quell = Quell::run(&self.directory.path().join("quell.toml"), self.port, &log)?;
        quell.ready().with_context(|| fs::read_to_string(log).unwrap_or_default())?;
        Ok(quell)
    }

    fn server(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    async fn client(&self) -> anyhow::Result<QuellClient<Channel>> {
        Ok(QuellClient::connect(format!("http://{}", self.server())).await?)
    }
}

/// Services, each on an entity of its own: `db` on `db-1`.
fn topology(services: &[&str]) -> String {
    let services = services.iter().map(|id| json!({"id": id, "tier": "1", "entities": [format!("{id}-1")]}));
    json!({"entities": [], "services": services.collect::<Vec<_>>()}).to_string()
}

fn event(seconds: i64, entity: &str, check: &str, status: &str) -> String {
    json!({"id": format!("{entity}-{check}-{seconds}-{status}"), "time": T0 + seconds * 1_000, "origin": "test",
           "entity": entity, "check": check, "status": status, "severity": "critical", "labels": {"region": "eu"}})
    .to_string()
}

async fn publish(
    client: &mut QuellClient<Channel>,
    messages: Vec<Vec<String>>,
) -> anyhow::Result<PublishEventsResponse> {
    let messages: Vec<_> = messages.into_iter().map(|events| PublishEventsRequest { events }).collect();
    Ok(client.publish_events(stream::iter(messages)).await?.into_inner())
}

/// One incident, on `db`.
async fn raise(client: &mut QuellClient<Channel>) -> anyhow::Result<Incident> {
    let (events, later) = (vec![event(0, "db-1", "latency", "firing")], vec![event(300, "db-1", "latency", "firing")]);
    let published = publish(client, vec![events, later]).await?;
    ensure!(published.accepted == 2 && published.refused_count == 0, "{published:?}");
    let asked = ListIncidentsRequest { min_position: published.position, ..Default::default() };
    let mut incidents = client.list_incidents(asked).await?.into_inner().incidents;
    ensure!(incidents.len() == 1, "{incidents:?}");
    Ok(incidents.remove(0))
}

fn refusal<T>(result: Result<T, Status>) -> anyhow::Result<(Code, String)> {
    let status = result.err().context("it is refused")?;
    let reason = status.get_details_error_info().map(|info| info.reason);
    let field = status.get_details_bad_request().and_then(|bad| bad.field_violations.into_iter().next());
    Ok((status.code(), reason.or(field.map(|violation| violation.field)).unwrap_or_default()))
}

fn state(reply: &IncidentReply) -> Option<State> {
    reply.incident.as_ref().map(Incident::state)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_and_what_refuses_them() -> anyhow::Result<()> {
    let site = Site::new()?;
    let quell = site.run()?;
    let mut client = site.client().await?;
    let incident = raise(&mut client).await?;
    let name = incident.name.clone();
    let got = |position: &str| GetIncidentRequest { name: name.clone(), min_position: position.to_owned() };

    let acknowledge = AcknowledgeIncidentRequest {
        name: name.clone(),
        request_id: "ack-1".into(),
        actor: "ada".into(),
        etag: incident.etag.clone(),
        comment: "on it".into(),
    };
    let first = client.acknowledge_incident(acknowledge.clone()).await?.into_inner();
    ensure!(state(&first) == Some(State::Acknowledged), "{first:?}");
    // Sent again, it is the same: nothing happens twice, not even the comment.
    let again = client.acknowledge_incident(acknowledge.clone()).await?.into_inner();
    let read = client.get_incident(got(&again.position)).await?.into_inner();
    ensure!(Some(&read) == first.incident.as_ref() && read.acknowledged_by == "ada", "{read:?}");
    ensure!(read.timeline.iter().filter(|entry| entry.kind == "comment").count() == 1, "{:?}", read.timeline);

    // On what it was before: refused, with a reason that stays.
    let stale = AcknowledgeIncidentRequest { request_id: "ack-2".into(), ..acknowledge.clone() };
    ensure!(refusal(client.acknowledge_incident(stale).await)? == (Code::Aborted, "ETAG_MISMATCH".to_owned()));
    let assign = AssignIncidentRequest { name: name.clone(), assignee: "grace".into(), ..Default::default() };
    let assigned = client.assign_incident(assign).await?.into_inner();
    ensure!(assigned.incident.as_ref().is_some_and(|incident| incident.assignee == "grace"), "{assigned:?}");
    let filter = "assignee = grace AND services:\"db\" AND opened_at >= \"2026-01-05T00:00:00Z\" AND priority <= 5";
    let mine = ListIncidentsRequest { filter: filter.into(), min_position: assigned.position, ..Default::default() };
    ensure!(client.list_incidents(mine).await?.into_inner().incidents.len() == 1);

    let resolve = ResolveIncidentRequest { name: name.clone(), actor: "ada".into(), ..Default::default() };
    let resolved = client.resolve_incident(resolve).await?.into_inner();
    ensure!(state(&resolved) == Some(State::Resolved), "{resolved:?}");
    let late = AcknowledgeIncidentRequest { name: name.clone(), ..Default::default() };
    ensure!(
        refusal(client.acknowledge_incident(late).await)? == (Code::FailedPrecondition, "STATE_FORBIDS".to_owned())
    );
    let close = CloseIncidentRequest { name: name.clone(), ..Default::default() };
    let closed = client.close_incident(close).await?.into_inner();
    ensure!(state(&closed) == Some(State::Closed), "{closed:?}");
    let reopen = SetIncidentStateRequest { name: name.clone(), state: State::New as i32, ..Default::default() };
    ensure!(refusal(client.set_incident_state(reopen).await)?.0 == Code::FailedPrecondition);

    // What is not well formed names its field; what is not there, says so.
    let ticket = Ticket { system: "jira".into(), key: "A-1".into(), url: "javascript:alert(1)".into() };
    let link = LinkTicketRequest { name: name.clone(), ticket: Some(ticket), ..Default::default() };
    ensure!(refusal(client.link_ticket(link).await)? == (Code::InvalidArgument, "ticket.url".to_owned()));
    let close = |name: &str| CloseIncidentRequest { name: name.into(), ..Default::default() };
    let nowhere = "scopes/default/incidents/00000000000000ff";
    ensure!(refusal(client.close_incident(close(nowhere)).await)? == (Code::NotFound, "NOT_FOUND".to_owned()));
    ensure!(refusal(client.close_incident(close("incidents/1")).await)? == (Code::InvalidArgument, "name".to_owned()));
    let list = |filter: &str, token: &str| ListAlertsRequest {
        filter: filter.into(),
        page_token: token.into(),
        ..Default::default()
    };
    ensure!(
        refusal(client.list_alerts(list("state = NEW", "")).await)? == (Code::InvalidArgument, "filter".to_owned())
    );
    ensure!(refusal(client.list_alerts(list("", "x")).await)? == (Code::InvalidArgument, "page_token".to_owned()));
    let position = GetIncidentRequest { name: name.clone(), min_position: "9".into() };
    ensure!(refusal(client.get_incident(position).await)? == (Code::InvalidArgument, "min_position".to_owned()));
    ensure!(
        client.list_alerts(list("labels.region = eu AND severity >= MAJOR", "")).await?.into_inner().alerts.len() == 1
    );
    drop(quell);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_over_grpc() -> anyhow::Result<()> {
    let site = Site::new()?;
    let quell = site.run()?;
    let mut client = site.client().await?;
    let messages = vec![
        vec![event(0, "db-1", "a", "firing"), "not json".into()],
        vec![],
        vec![event(1, "db-1", "b", "firing"), json!({"entity": "x"}).to_string()],
        vec![json!({"time": T0, "entity": "e", "check": "c", "scope": "a/b"}).to_string()],
    ];
    let published = publish(&mut client, messages).await?;
    ensure!((published.accepted, published.refused_count) == (2, 3), "{published:?}");
    ensure!(published.refused.iter().map(|refused| refused.index).eq([1, 3, 4]), "{published:?}");
    ensure!(published.refused[2].reason.starts_with("scope: "), "{published:?}");
    let listed = ListAlertsRequest { page_size: 1, min_position: published.position, ..Default::default() };
    let page = client.list_alerts(listed.clone()).await?.into_inner();
    ensure!(page.alerts.len() == 1 && !page.next_page_token.is_empty(), "{page:?}");
    let other = ListAlertsRequest { page_token: page.next_page_token, filter: "check = a".into(), ..listed };
    let (code, reason) = refusal(client.list_alerts(other).await)?;
    ensure!((code, &*reason) == (Code::FailedPrecondition, "PAGE_TOKEN_OF_ANOTHER_FILTER"), "{code} {reason}");
    // Those that were refused are accounted for too.
    ensure!(quell.metric("quell_events_received_total")? == 5.0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topology_applied_over_the_api_holds_over_a_restart() -> anyhow::Result<()> {
    let site = Site::new()?;
    let quell = site.run()?;
    let mut client = site.client().await?;
    let apply = |services: &[&str], version| ApplyTopologyRequest {
        topology: Some(Topology { json: topology(services), version }),
    };
    let mut watch = client.watch_services(WatchServicesRequest::default()).await?.into_inner();
    ensure!(client.apply_topology(apply(&["db", "web"], 0)).await?.into_inner().version == 2);
    ensure!(client.apply_topology(apply(&["db", "web"], 0)).await?.into_inner().version == 2, "nothing has changed");
    // It holds for what comes: the entity is of a service that the file does not know.
    let published = publish(&mut client, vec![vec![event(0, "web-1", "latency", "firing")]]).await?;
    let asked = ListServicesRequest {
        filter: "level > HEALTHY".into(),
        min_position: published.position,
        ..Default::default()
    };
    let services = client.list_services(asked).await?.into_inner().services;
    ensure!(services.iter().map(|service| &*service.display_name).eq(["web"]), "{services:?}");
    // Who watched is told, in the end of how it is now.
    let told = async {
        while watch.message().await?.context("a change")?.service.as_ref() != services.first() {}
        anyhow::Ok(())
    };
    tokio::time::timeout(Duration::from_secs(10), told).await??;
    let mut watch = client.watch_services(WatchServicesRequest { parent: "scopes/default".into() }).await?.into_inner();
    let (db, web) = (watch.message().await?.context("a snapshot")?, watch.message().await?.context("a snapshot")?);
    ensure!(db.snapshot && web.snapshot && web.service.as_ref() == services.first(), "{db:?} {web:?}");

    // The file is the same as before, and is not applied again.
    ensure!(quell.terminate()?.0 == Some(0));
    let quell = site.run()?;
    let mut client = site.client().await?;
    let stands = client.get_topology(GetTopologyRequest {}).await?.into_inner();
    ensure!(stands.version == 2 && stands.json.contains("web-1"), "{stands:?}");
    // Of an older version: refused. What was superseded, applied again: it holds.
    ensure!(refusal(client.apply_topology(apply(&["db"], 1)).await)? == (Code::Aborted, "VERSION_MISMATCH".to_owned()));
    ensure!(client.apply_topology(apply(&["db"], 2)).await?.into_inner().version == 3);
    ensure!(!client.get_topology(GetTopologyRequest {}).await?.into_inner().json.contains("web-1"));
    let bad = ApplyTopologyRequest { topology: Some(Topology { json: "{\"services\": 5}".into(), version: 0 }) };
    ensure!(refusal(client.apply_topology(bad).await)? == (Code::InvalidArgument, "topology.json".to_owned()));
    drop(quell);
    Ok(())
}

async fn watch(client: &mut QuellClient<Channel>, name: &str) -> anyhow::Result<Streaming<WatchIncidentsResponse>> {
    let from = Some(Start::Beginning(true));
    let request = WatchIncidentsRequest { from, subscription: name.into(), ..Default::default() };
    Ok(client.watch_incidents(request).await?.into_inner())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_goes_on_where_it_acknowledged() -> anyhow::Result<()> {
    let site = Site::new()?;
    let quell_process = site.run()?;
    let mut client = site.client().await?;
    let incident = raise(&mut client).await?;

    // Not acknowledged, it comes again; a later stream ends the earlier one.
    let mut first = watch(&mut client, "bridge").await?;
    let update = first.message().await?.context("an update")?;
    ensure!(update.incident.as_ref().is_some_and(|it| it.name == incident.name) && !update.stream.is_empty());
    let mut second = watch(&mut client, "bridge").await?;
    let again = second.message().await?.context("an update")?;
    ensure!(again.incident == update.incident && again.stream != update.stream, "{again:?}");
    let ended = loop {
        match first.message().await {
            Ok(Some(_)) => {}
            ended => break ended,
        }
    };
    ensure!(refusal(ended)? == (Code::Aborted, "SUBSCRIPTION_TAKEN_OVER".to_owned()));
    let acknowledge = |update: &WatchIncidentsResponse| AcknowledgeUpdatesRequest {
        subscription: "bridge".into(),
        stream: update.stream.clone(),
        cursor: update.cursor.clone(),
    };
    ensure!(refusal(client.acknowledge_updates(acknowledge(&update)).await)?.0 == Code::Aborted);
    let beyond = AcknowledgeUpdatesRequest { cursor: format!("{}.2-ffff-ffff", again.cursor), ..acknowledge(&again) };
    ensure!(refusal(client.acknowledge_updates(beyond).await)? == (Code::InvalidArgument, "cursor".to_owned()));
    client.acknowledge_updates(acknowledge(&again)).await?;
    let bad = client.watch_incidents(WatchIncidentsRequest { subscription: "a b".into(), ..Default::default() });
    ensure!(refusal(bad.await)? == (Code::InvalidArgument, "subscription".to_owned()));
    drop((first, second));

    // The command acknowledges what it printed, and goes on after it, over a kill of the server too.
    let server = site.server();
    let args = |name| {
        ["feed", "--server", &server, "--subscription", name, "--from", "beginning", "--json", "--exit-when-caught-up"]
            .map(str::to_owned)
    };
    let feed = |name: &'static str| -> anyhow::Result<Vec<Value>> {
        let args = args(name);
        let lines = quell_ok(&args.each_ref().map(String::as_str))?;
        lines.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    };
    ensure!(feed("bridge")?.iter().all(|line| line["incident"]["revision"].as_u64() > Some(incident_revision(&again))));
    let whole = feed("other")?;
    ensure!(!whole.is_empty() && feed("other")?.is_empty(), "{whole:?}");
    let comment = AssignIncidentRequest { name: incident.name.clone(), assignee: "ada".into(), ..Default::default() };
    client.assign_incident(comment).await?;
    quell_process.kill()?;
    let quell_process = site.run()?;
    let rest = feed("other")?;
    ensure!(rest.len() == 1 && rest[0]["incident"]["assignee"] == "ada", "{rest:?}");
    ensure!(feed("other")?.is_empty());
    ensure!(quell(&["feed", "--server", &server, "--subscription", "a/b"])?.status.code() == Some(2));
    drop(quell_process);
    Ok(())
}

fn incident_revision(update: &WatchIncidentsResponse) -> u64 {
    update.incident.as_ref().map_or(0, |incident| incident.revision)
}
