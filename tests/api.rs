//! The gRPC API beyond reads, through a stock client and the real binary: commands, errors with details, subscriptions,
//! services, topology, events.
use anyhow::{Context as _, ensure};
use futures::stream;
use quell_proto::v1::{
    AcknowledgeIncidentRequest, AcknowledgeUpdatesRequest, ApplyTopologyRequest, AssignIncidentRequest,
    CloseIncidentRequest, CreateMaintenanceWindowRequest, CreateSilenceRequest, ExpireMaintenanceWindowRequest,
    ExpireSilenceRequest, GetIncidentRequest, GetMaintenanceWindowRequest, GetSilenceRequest, GetTopologyRequest,
    Incident, IncidentReply, LinkTicketRequest, ListAlertsRequest, ListIncidentsRequest, ListMaintenanceWindowsRequest,
    ListProblemsRequest, ListServicesRequest, ListSilencesRequest, MaintenanceWindow, MarkAlertNormalRequest,
    MergeIncidentsRequest, PublishEventsRequest, PublishEventsResponse, ResolveIncidentRequest, Schedule,
    SetIncidentStateRequest, Silence, Ticket, Topology, WatchAlertsRequest, WatchAlertsResponse, WatchIncidentsRequest,
    WatchIncidentsResponse, WatchServicesRequest, alert, incident::State, quell_client::QuellClient, schedule, silence,
    watch_incidents_request::From as Start,
};
use quell_tests::process::{self, Site, post, quell, quell_ok};
use serde_json::{Value, json};
use std::time::Duration;
use tonic::{Code, Status, Streaming, transport::Channel};
use tonic_types::StatusExt as _;

/// 2026-01-05T00:00:00Z
const T0: i64 = 1_767_571_200_000;

fn site() -> anyhow::Result<Site> {
    site_with("clock = \"events\"")
}

/// With these lines after those of the journal.
fn site_with(more: &str) -> anyhow::Result<Site> {
    Site::new(&topology(&["db"]), &format!("[journal]\npartitions = 3\n{more}"))
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
    let site = site()?;
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
    // Under a used id, something else: refused, and nothing is done.
    let reused = ResolveIncidentRequest { name: name.clone(), request_id: "ack-1".into(), ..Default::default() };
    let reused = refusal(client.resolve_incident(reused).await)?;
    ensure!(reused == (Code::AlreadyExists, "REQUEST_ID_REUSED".to_owned()), "{reused:?}");
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
    let merge = |other: &str| MergeIncidentsRequest { name: name.clone(), other: other.into(), ..Default::default() };
    let elsewhere = nowhere.replace("default", "eu");
    ensure!(
        refusal(client.merge_incidents(merge(&elsewhere)).await)?
            == (Code::FailedPrecondition, "SCOPES_DIFFER".to_owned())
    );
    ensure!(refusal(client.merge_incidents(merge(&name)).await)? == (Code::InvalidArgument, "other".to_owned()));
    let position = GetIncidentRequest { name: name.clone(), min_position: "9".into() };
    ensure!(refusal(client.get_incident(position).await)? == (Code::InvalidArgument, "min_position".to_owned()));
    ensure!(
        client.list_alerts(list("labels.region = eu AND severity >= MAJOR", "")).await?.into_inner().alerts.len() == 1
    );
    drop(quell);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_back_is_told_with_how_it_was_resolved() -> anyhow::Result<()> {
    let site = site()?;
    let quell = site.run()?;
    let mut client = site.client().await?;
    let first = raise(&mut client).await?;
    ensure!(first.similar.is_empty() && first.problem.is_none(), "{first:?}");
    let resolve = ResolveIncidentRequest {
        name: first.name.clone(),
        actor: "anna".into(),
        comment: "restarted the pool".into(),
        ..Default::default()
    };
    client.resolve_incident(resolve).await?;
    let mut position = String::new();
    for day in [0, 86_400_i64] {
        let at = |seconds, status| event(day + seconds, "db-1", "latency", status);
        let again = vec![at(600, "resolved"), at(86_400, "firing"), at(86_700, "firing")];
        position = publish(&mut client, vec![again]).await?.position;
    }

    let filter = "problem = \"default-P1\" AND number = \"default-3\"".to_owned();
    let asked = ListIncidentsRequest { filter, min_position: position.clone(), ..Default::default() };
    let incidents = client.list_incidents(asked).await?.into_inner().incidents;
    let incident = incidents.first().context("the third, which is of a problem")?;
    let similar: Vec<_> = incident.similar.iter().map(|past| (&*past.number, past.similarity)).collect();
    ensure!(similar == [("default-2", 1.0), ("default-1", 1.0)], "{similar:?}");
    let past = &incident.similar[1];
    ensure!((&*past.name, &*past.resolved_by) == (&*first.name, "anna"), "{past:?}");
    ensure!(past.resolution == "restarted the pool" && past.cause == "latency on db-1", "{past:?}");

    let asked = ListProblemsRequest { filter: "incident_count >= 3".into(), ..Default::default() };
    let problems = client.list_problems(asked).await?.into_inner().problems;
    ensure!(Some(&problems[..]) == incident.problem.as_ref().map(std::slice::from_ref), "{problems:?}");
    let problem = &problems[0];
    ensure!((problem.incident_count, problem.mean_interval_seconds) == (3, 86_400), "{problem:?}");
    ensure!(problem.incidents == ["default-3", "default-2", "default-1"], "{problem:?}");

    let server = site.server();
    let told = quell_ok(&["explain", "3", "--server", &server])?;
    for part in ["resolved by anna after ", "restarted the pool", "default-P1: 3 incidents", "every 24 h on average"] {
        ensure!(told.contains(part), "{part}: {told}");
    }
    let listed = quell_ok(&["problems", "--server", &server])?;
    ensure!(listed.contains("default-P1") && listed.contains("latency on db-1"), "{listed}");
    let json = quell_ok(&["problems", "--json", "--server", &server])?;
    ensure!(serde_json::from_str::<Value>(&json)?["number"] == "default-P1", "{json}");

    quell.metric_becomes("quell_problems", 1.0)?;
    quell.metric_becomes("quell_past_incidents", 2.0)?;
    // It outlives a restart.
    drop(quell);
    let _quell = site.run()?;
    let asked = ListProblemsRequest { min_position: position, ..Default::default() };
    ensure!(site.client().await?.list_problems(asked).await?.into_inner().problems == problems);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_over_grpc() -> anyhow::Result<()> {
    let site = site()?;
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
    // Those that were refused are accounted for too, in the ledger and at the door.
    quell.metric_becomes("quell_events_received_total", 5.0)?;
    quell.metric_becomes("quell_grpc_events_taken_total", 2.0)?;
    quell.metric_becomes("quell_grpc_events_refused_total", 3.0)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topology_applied_over_the_api_holds_over_a_restart() -> anyhow::Result<()> {
    let site = site()?;
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

/// What an incident leaves out of its alerts can be read from theirs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incident_beyond_a_record_is_read_by_its_alerts() -> anyhow::Result<()> {
    let site = site_with("[[correlate.policy]]\nname = \"all\"\naction = \"group\"\nwindow = \"30m\"")?;
    let quell = site.run()?;
    let mut client = site.client().await?;
    let long = |n: usize| {
        let summary = "x".repeat(3_000);
        json!({"id": n.to_string(), "time": T0 + n as i64, "origin": "test", "entity": format!("host-{n}"), "check": "disk",
               "severity": "critical", "summary": summary})
        .to_string()
    };
    let later = vec![event(300, "host-0", "disk", "firing")];
    let published = publish(&mut client, vec![(0..400).map(long).collect(), later]).await?;
    let asked = ListIncidentsRequest { min_position: published.position, ..Default::default() };
    let mut incidents = client.list_incidents(asked).await?.into_inner().incidents;
    ensure!(incidents.len() == 1, "{} incidents", incidents.len());
    let incident = incidents.remove(0);
    let shown = incident.alerts.len();
    ensure!(incident.alerts_truncated && incident.alert_count == 400 && (200..400).contains(&shown), "{shown}");
    let got = GetIncidentRequest { name: incident.name.clone(), ..Default::default() };
    ensure!(client.get_incident(got).await?.into_inner() == incident);
    let (mut names, mut page_token) = (std::collections::BTreeSet::new(), String::new());
    loop {
        let filter = format!("incident = \"{}\"", incident.name);
        let page =
            client.list_alerts(ListAlertsRequest { filter, page_token, ..Default::default() }).await?.into_inner();
        names.extend(page.alerts.into_iter().map(|alert| alert.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    ensure!(names.len() == 400, "{}", names.len());
    ensure!(incident.alerts.iter().all(|alert| names.contains(&alert.name)));
    drop(quell);
    Ok(())
}

async fn alerts(watch: &mut Streaming<WatchAlertsResponse>, n: usize) -> anyhow::Result<Vec<WatchAlertsResponse>> {
    let mut told = Vec::new();
    while told.len() < n {
        let next = tokio::time::timeout(Duration::from_secs(10), watch.message()).await;
        told.push(next.with_context(|| format!("after {told:?}"))??.context("it goes on")?);
    }
    Ok(told)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_are_watched() -> anyhow::Result<()> {
    let site = site()?;
    let quell = site.run()?;
    let mut client = site.client().await?;
    let of = |filter: &str, parent: &str| WatchAlertsRequest { filter: filter.into(), parent: parent.into() };
    let events = ["a", "b"].map(|check| event(0, "db-1", check, "firing")).to_vec();
    let published = publish(&mut client, vec![events]).await?;
    let shown = ListAlertsRequest { min_position: published.position, ..Default::default() };
    ensure!(client.list_alerts(shown).await?.into_inner().alerts.len() == 2);

    let mut watch = client.watch_alerts(of("state = OPEN", "scopes/default")).await?.into_inner();
    let mut other = client.watch_alerts(of("", "scopes/elsewhere")).await?.into_inner();
    let first = alerts(&mut watch, 2).await?;
    ensure!(first.iter().all(|it| it.snapshot && !it.gone && it.alert.is_some()), "{first:?}");
    // One clears, and passes no more; the other is in an incident now.
    publish(&mut client, vec![vec![event(60, "db-1", "a", "resolved"), event(200, "db-1", "b", "firing")]]).await?;
    let (mut gone, mut raised) = (None, None);
    while gone.is_none() || raised.is_none() {
        let it = alerts(&mut watch, 1).await?.remove(0);
        ensure!(!it.snapshot, "{it:?}");
        let alert = it.alert.clone().context("an alert")?;
        gone = gone.or_else(|| it.gone.then(|| alert.name.clone()));
        raised = raised.or_else(|| (!alert.incident.is_empty()).then_some(alert));
    }
    let raised = raised.context("an alert")?;
    ensure!(raised.check == "b" && raised.services == ["db"] && gone.as_ref() != Some(&raised.name), "{raised:?}");
    let filter = format!("incident = \"{}\" AND service = db AND NOT suppressed_by:*", raised.incident);
    let listed = client.list_alerts(ListAlertsRequest { filter, ..Default::default() }).await?.into_inner().alerts;
    ensure!(listed.contains(&raised), "{listed:?}");
    // Nothing of it is of the other scope.
    ensure!(tokio::time::timeout(Duration::from_millis(200), other.message()).await.is_err());
    let bad = client.watch_alerts(of("colour = 1", "")).await;
    ensure!(refusal(bad)? == (Code::InvalidArgument, "filter".to_owned()));
    ensure!(refusal(client.watch_alerts(of("", "eu")).await)? == (Code::InvalidArgument, "parent".to_owned()));
    drop(quell);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_is_of_one_scope_and_of_what_passes() -> anyhow::Result<()> {
    let site = site()?;
    let quell = site.run()?;
    let mut client = site.client().await?;
    let of = |seconds: i64, scope: &str, severity: &str| {
        json!({"id": format!("{scope}-{seconds}"), "time": T0 + seconds * 1_000, "origin": "test", "entity": "e", "check": "c",
               "scope": scope, "severity": severity})
        .to_string()
    };
    let events = |seconds: i64| vec![of(seconds, "eu", "critical"), of(seconds, "us", "minor")];
    publish(&mut client, vec![events(0), events(300)]).await?;
    let feed = |parent: &str, filter: &str| WatchIncidentsRequest {
        from: Some(Start::Beginning(true)),
        until_caught_up: true,
        parent: parent.into(),
        filter: filter.into(),
        ..Default::default()
    };
    for (parent, filter, number) in
        [("scopes/us", "", "us-1"), ("", "severity = CRITICAL", "eu-1"), ("scopes/-", "number = us-1", "us-1")]
    {
        let mut stream = client.watch_incidents(feed(parent, filter)).await?.into_inner();
        let mut numbers = Vec::new();
        while let Some(update) = stream.message().await? {
            numbers.push(update.incident.context("an incident")?.number);
        }
        ensure!(!numbers.is_empty() && numbers.iter().all(|it| it == number), "{parent} {filter}: {numbers:?}");
    }
    // What was told is followed, whether it passes or not.
    let request = WatchIncidentsRequest {
        until_caught_up: false,
        from: Some(Start::Now(true)),
        ..feed("", "state = NEW AND severity = CRITICAL")
    };
    let mut stream = client.watch_incidents(request).await?.into_inner();
    let first = stream.message().await?.and_then(|it| it.incident).context("an incident")?;
    ensure!(first.number == "eu-1", "{first:?}");
    client.resolve_incident(ResolveIncidentRequest { name: first.name.clone(), ..Default::default() }).await?;
    let next = tokio::time::timeout(Duration::from_secs(10), stream.message()).await??;
    let next = next.and_then(|it| it.incident).context("an incident")?;
    ensure!(next.name == first.name && next.state() == State::Resolved, "{next:?}");
    ensure!(
        refusal(client.watch_incidents(feed("", "colour = 1")).await)? == (Code::InvalidArgument, "filter".to_owned())
    );
    drop(quell);
    Ok(())
}

fn seconds_from_now(seconds: i64) -> Option<prost_types::Timestamp> {
    let at = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
    Some(prost_types::Timestamp { seconds: at.as_second(), nanos: 0 })
}

/// Alertmanager's group told again, as after an answer that was lost, and once more without one of its alerts: one incident, no
/// revision more, both alerts open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_told_again_changes_nothing() -> anyhow::Result<()> {
    let site = site_with("clock = \"events\"\n[raise]\nsettle = \"0s\"\nmany_alerts = 2\nmany_settle = \"0s\"")?;
    let quell = site.run()?;
    let mut client = site.client().await?;
    let alert = |instance: &str| {
        json!({"status": "firing", "labels": {"alertname": "HighLatency", "instance": instance, "severity": "critical"},
            "annotations": {}, "startsAt": "2026-01-05T00:00:00Z", "endsAt": "0001-01-01T00:00:00Z", "fingerprint": instance})
    };
    let group = |alerts: Vec<Value>| {
        json!({"version": "4", "groupKey": "g", "status": "firing", "receiver": "quell", "groupLabels": {},
            "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://am", "alerts": alerts})
        .to_string()
    };
    let both = group(vec![alert("db-1:9100"), alert("db-2:9100")]);
    let mut position = String::new();
    for body in [&both, &both, &group(vec![alert("db-1:9100")])] {
        let (status, answer) = post(quell.address, "/api/v1/alertmanager", body.as_bytes())?;
        ensure!(status == 200, "{answer}");
        position = serde_json::from_str::<Value>(&answer)?["position"].as_str().context("a position")?.to_owned();
    }
    let incidents = ListIncidentsRequest { min_position: position, ..Default::default() };
    let incidents = client.list_incidents(incidents).await?.into_inner().incidents;
    let alerts = client.list_alerts(ListAlertsRequest::default()).await?.into_inner().alerts;
    let mut states: Vec<_> = alerts.iter().map(|a| (a.entity.as_str(), a.state())).collect();
    states.sort_unstable_by_key(|(entity, _)| *entity);
    ensure!(states == [("db-1", alert::State::Open), ("db-2", alert::State::Open)], "{states:?}");
    quell.metric_becomes("quell_events_received_total", 5.0)?;
    // Once when it was raised, and once when its second alert came, a second later at the soonest.
    ensure!(incidents.len() == 1 && incidents[0].revision <= 2, "{incidents:?}");
    drop(quell);
    Ok(())
}

/// What a series does now is normal, and is so no more: over gRPC, over REST and by the command.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_normal_is_said_and_undone() -> anyhow::Result<()> {
    let site = site()?;
    let quell = site.run()?;
    let mut client = site.client().await?;
    let sample = |n: i64, value: i64| {
        json!({"time": T0 + n * 10_000, "kind": "sample", "entity": "db-1", "check": "latency", "value": value})
            .to_string()
    };
    let usual = (0..60).map(|n| sample(n, 100 + n % 5));
    let published =
        publish(&mut client, vec![usual.chain([sample(60, 900), event(601, "web-1", "errors", "firing")]).collect()])
            .await?;
    let min_position = published.position;
    let all = ListAlertsRequest {
        min_position,
        filter: "check:\"unusual\" OR check = \"errors\"".into(),
        ..Default::default()
    };
    let alerts = client.list_alerts(all).await?.into_inner().alerts;
    let of = |check: &str| alerts.iter().find(|a| a.check == check).map(|a| a.name.clone()).context("an alert");
    let (unusual, errors) = (of("latency unusual")?, of("errors")?);
    let mark = |name: &str, undo| MarkAlertNormalRequest { name: name.into(), undo, ..Default::default() };
    ensure!(refusal(client.mark_alert_normal(mark(&errors, false)).await)?.0 == Code::FailedPrecondition);
    ensure!(refusal(client.mark_alert_normal(mark(&unusual, true)).await)?.0 == Code::NotFound);
    let marked = client.mark_alert_normal(mark(&unusual, false)).await?.into_inner().alert.context("an alert")?;
    ensure!(marked.state() == alert::State::Cleared, "{marked:?}");

    let server = site.server();
    let normal =
        |more: &[&str]| quell_ok(&[&["normal", &unusual, "--actor", "ann", "--server", &server], more].concat());
    normal(&["--undo"])?;
    publish(&mut client, vec![vec![sample(61, 900)]]).await?;
    ensure!(normal(&[])?.contains("cleared"), "it was unusual again");
    // Hours later the alert is not kept any more, and its name still undoes it.
    publish(&mut client, vec![vec![event(40_000, "web-1", "errors", "firing")]]).await?;
    let named = ["normal", "web-1/latency unusual", "--undo", "--actor", "ann", "--server", &server];
    let refused = String::from_utf8(process::quell(&named)?.stderr)?;
    ensure!(refused.contains("there is no alert") && refused.contains("known by its id alone"), "{refused}");
    let told = normal(&["--undo", "--request-id", "u1"])?;
    ensure!(told.contains(&unusual) && told.contains("no longer kept"), "{told:?}");
    let again = br#"{"undo": true, "requestId": "u1"}"#;
    let undone = post(quell.address, &format!("/api/v1/{unusual}:markNormal"), again)?.1;
    let undone: Value = serde_json::from_str(&undone)?;
    ensure!(undone["position"].is_string() && undone["alert"].is_null(), "{undone}");
    drop(quell);
    Ok(())
}

/// Silences and maintenance windows, on the wall's clock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silences_and_windows_are_made_listed_and_ended() -> anyhow::Result<()> {
    let site = site_with(
        "[[maintenance]]\nid = \"always\"\nservices = [\"web\"]\nschedule = { timezone = \"UTC\", times = [\"00:00-24:00\"] }",
    )?;
    let quell = site.run()?;
    let mut client = site.client().await?;
    let now = jiff::Timestamp::now().as_millisecond();
    let firing = |entity: &str, service: &str| {
        json!({"id": entity, "time": now, "entity": entity, "check": "c", "severity": "critical", "service": service})
            .to_string()
    };
    let events = vec![firing("db-1", "db"), firing("db-2", "db"), firing("web-1", "web")];
    publish(&mut client, vec![events]).await?;

    let silence = Silence {
        matchers: vec!["entity=~\"db-.*\"".into()],
        ends_at: seconds_from_now(3_600),
        comment: "index".into(),
        ..Default::default()
    };
    let create = CreateSilenceRequest {
        parent: "scopes/default".into(),
        silence: Some(silence.clone()),
        request_id: "s".into(),
        actor: "ada".into(),
        force: false,
    };
    let reply = client.create_silence(create.clone()).await?.into_inner();
    let made = reply.silence.clone().context("a silence")?;
    ensure!((made.state(), made.open_alert_count, &*made.creator) == (silence::State::Active, 2, "ada"), "{made:?}");
    ensure!(client.create_silence(create.clone()).await?.into_inner().silence == reply.silence, "sent again");
    let got = GetSilenceRequest { name: made.name.clone(), ..Default::default() };
    ensure!(client.get_silence(got.clone()).await?.into_inner() == made);
    let filter = |filter: &str| ListSilencesRequest { filter: filter.into(), ..Default::default() };
    for (text, found) in [
        ("state = ACTIVE AND creator = ada AND matchers:\"entity=~\\\"db-.*\\\"\"", 1),
        ("comment:\"INDEX\" AND ends_at > \"2026-01-01T00:00:00Z\"", 1),
        ("state = PENDING", 0),
    ] {
        let listed = client.list_silences(filter(text)).await?.into_inner().silences;
        ensure!(listed.len() == found, "{text}: {listed:?}");
    }
    let hidden = |by: &str| ListAlertsRequest { filter: format!("suppressed_by = \"{by}\""), ..Default::default() };
    ensure!(client.list_alerts(hidden(&made.name)).await?.into_inner().alerts.len() == 2);
    let all = Silence { matchers: vec!["x=~\".*\"".into()], ..silence.clone() };
    let all = CreateSilenceRequest { silence: Some(all), request_id: String::new(), ..create.clone() };
    ensure!(refusal(client.create_silence(all).await)?.0 == Code::InvalidArgument);
    let endless = Silence { ends_at: None, ..silence };
    let endless = CreateSilenceRequest { silence: Some(endless), request_id: String::new(), ..create };
    ensure!(refusal(client.create_silence(endless).await)? == (Code::InvalidArgument, "silence.ends_at".to_owned()));
    let expire = ExpireSilenceRequest { name: made.name.clone(), ..Default::default() };
    let over = client.expire_silence(expire.clone()).await?.into_inner().silence.context("a silence")?;
    ensure!((over.state(), over.open_alert_count) == (silence::State::Expired, 2), "{over:?}");
    ensure!(client.list_alerts(hidden(&made.name)).await?.into_inner().alerts.is_empty());
    ensure!(refusal(client.expire_silence(expire).await)? == (Code::FailedPrecondition, "ENDED_ALREADY".to_owned()));

    windows(&mut client).await?;
    // What it hit stands over a restart, and so does who asked.
    ensure!(quell.terminate()?.0 == Some(0));
    let quell = site.run()?;
    let mut client = site.client().await?;
    ensure!(client.get_silence(got).await?.into_inner().open_alert_count == 2);
    let listed = client.list_maintenance_windows(ListMaintenanceWindowsRequest::default()).await?.into_inner();
    ensure!(listed.maintenance_windows.iter().any(|window| window.creator == "grace"), "{listed:?}");
    drop(quell);
    Ok(())
}

/// A silence over one alert and a window that opens every day over the other: neither is heard until they are ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_hidden_speaks_after_the_end() -> anyhow::Result<()> {
    let site = site_with("[raise]\nsettle = \"1s\"")?;
    let quell = site.run()?;
    let mut client = site.client().await?;
    let silence =
        Silence { matchers: vec!["entity=\"db-1\"".into()], ends_at: seconds_from_now(3_600), ..Default::default() };
    let parent = "scopes/default".to_owned();
    let create = CreateSilenceRequest { parent: parent.clone(), silence: Some(silence), ..Default::default() };
    let silence = client.create_silence(create).await?.into_inner().silence.context("a silence")?;
    ensure!(silence.open_alert_count == 0, "{silence:?}");
    let daily = schedule::Recurring {
        time_zone: "Pacific/Apia".into(),
        times: vec!["00:00-24:00".into()],
        ..Default::default()
    };
    let window = MaintenanceWindow {
        services: vec!["web".into()],
        schedule: Some(Schedule { kind: Some(schedule::Kind::Recurring(daily.clone())) }),
        ..Default::default()
    };
    let create = CreateMaintenanceWindowRequest { parent, maintenance_window: Some(window), ..Default::default() };
    let window = client.create_maintenance_window(create).await?.into_inner().maintenance_window;
    let window = window.context("a window")?;
    // One day touches the next: it never closes.
    ensure!(window.active && !window.ended && window.next_change_at.is_none(), "{window:?}");
    let Some(schedule::Kind::Recurring(told)) = window.schedule.and_then(|schedule| schedule.kind) else {
        anyhow::bail!("it recurs");
    };
    ensure!(told == daily, "{told:?}");

    let now = jiff::Timestamp::now().as_millisecond();
    let firing = |entity: &str, service: &str| {
        json!({"id": entity, "time": now, "entity": entity, "check": service, "severity": "critical", "service": service})
            .to_string()
    };
    let published = publish(&mut client, vec![vec![firing("db-1", "db"), firing("web-1", "web")]]).await?;
    let told = async |client: &mut QuellClient<Channel>, filter: &str| {
        let min_position = published.position.clone();
        let asked = ListAlertsRequest { filter: filter.into(), min_position, ..Default::default() };
        let alerts = client.list_alerts(asked).await?.into_inner().alerts;
        anyhow::Ok(alerts.into_iter().map(|alert| (alert.entity, alert.suppressed_by)).collect::<Vec<_>>())
    };
    let mut hidden = told(&mut client, "suppressed = true").await?;
    hidden.sort();
    let by = [("db-1".to_owned(), silence.name.clone()), ("web-1".to_owned(), window.name.clone())];
    ensure!(hidden == by, "{hidden:?}");
    // It would have been raised twice over.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let incidents = async |client: &mut QuellClient<Channel>| {
        anyhow::Ok(client.list_incidents(ListIncidentsRequest::default()).await?.into_inner().incidents)
    };
    let early = incidents(&mut client).await?;
    ensure!(early.is_empty(), "{early:?}");

    client.expire_silence(ExpireSilenceRequest { name: silence.name, ..Default::default() }).await?;
    client
        .expire_maintenance_window(ExpireMaintenanceWindowRequest { name: window.name, ..Default::default() })
        .await?;
    ensure!(told(&mut client, "suppressed = true").await?.is_empty());
    let heard = async {
        loop {
            let alerts = told(&mut client, "incident:*").await?;
            if alerts.len() == 2 {
                return anyhow::Ok(alerts);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let heard = tokio::time::timeout(Duration::from_secs(10), heard).await??;
    ensure!(heard.iter().all(|(_, by)| by.is_empty()), "{heard:?}");
    ensure!(!incidents(&mut client).await?.is_empty());
    drop(quell);
    Ok(())
}

async fn windows(client: &mut QuellClient<Channel>) -> anyhow::Result<()> {
    // What hides an alert can be asked for, where it is of the configuration too.
    let alerts = ListAlertsRequest { filter: "entity = web-1".into(), ..Default::default() };
    let by = client.list_alerts(alerts).await?.into_inner().alerts.remove(0).suppressed_by;
    ensure!(by == "scopes/default/maintenanceWindows/always", "{by}");
    let get = |name: &str| GetMaintenanceWindowRequest { name: name.into(), ..Default::default() };
    let always = client.get_maintenance_window(get(&by)).await?.into_inner();
    ensure!(always.name == by && always.active && always.services == ["web"], "{always:?}");
    let list = |parent: &str, filter: &str| ListMaintenanceWindowsRequest {
        parent: parent.into(),
        filter: filter.into(),
        ..Default::default()
    };
    let everywhere = client.list_maintenance_windows(list("", "")).await?.into_inner().maintenance_windows;
    let name = "scopes/-/maintenanceWindows/always";
    ensure!(everywhere.len() == 1 && everywhere[0].name == name, "{everywhere:?}");
    ensure!(client.get_maintenance_window(get(name)).await?.into_inner().active);
    let end = |name: &str| ExpireMaintenanceWindowRequest { name: name.into(), ..Default::default() };
    ensure!(refusal(client.expire_maintenance_window(end(&by)).await)?.0 == Code::FailedPrecondition);

    let once = schedule::Once { starts_at: seconds_from_now(600), ends_at: seconds_from_now(3_600) };
    let window = MaintenanceWindow {
        title: "move".into(),
        entities: vec!["db-1".into()],
        schedule: Some(Schedule { kind: Some(schedule::Kind::Once(once)) }),
        ..Default::default()
    };
    let create = CreateMaintenanceWindowRequest {
        parent: "scopes/default".into(),
        maintenance_window: Some(window.clone()),
        request_id: "w".into(),
        actor: "grace".into(),
    };
    let made = client.create_maintenance_window(create.clone()).await?.into_inner().maintenance_window;
    let made = made.context("a window")?;
    ensure!(made.creator == "grace" && !made.active && !made.ended && made.entities == ["db-1"], "{made:?}");
    ensure!(client.get_maintenance_window(get(&made.name)).await?.into_inner() == made);
    for (parent, filter, found) in [
        ("scopes/default", "", 2),
        ("scopes/default", "creator = grace AND title = move AND active = false", 1),
        ("scopes/default", "entities:db-1 AND ended = true", 0),
        ("scopes/eu", "", 1),
    ] {
        let listed = client.list_maintenance_windows(list(parent, filter)).await?.into_inner().maintenance_windows;
        ensure!(listed.len() == found, "{parent} {filter}: {listed:?}");
    }
    // Ended before it began: it never opens.
    let over = client.expire_maintenance_window(end(&made.name)).await?.into_inner().maintenance_window;
    let over = over.context("a window")?;
    ensure!(over.ended && !over.active && over.next_change_at.is_none(), "{over:?}");
    let again = refusal(client.expire_maintenance_window(end(&made.name)).await)?;
    ensure!(again == (Code::FailedPrecondition, "ENDED_ALREADY".to_owned()), "{again:?}");
    let nothing = MaintenanceWindow { entities: Vec::new(), ..window };
    let nothing =
        CreateMaintenanceWindowRequest { maintenance_window: Some(nothing), request_id: String::new(), ..create };
    ensure!(refusal(client.create_maintenance_window(nothing).await)?.0 == Code::InvalidArgument);
    Ok(())
}

async fn watch(client: &mut QuellClient<Channel>, name: &str) -> anyhow::Result<Streaming<WatchIncidentsResponse>> {
    let from = Some(Start::Beginning(true));
    let request = WatchIncidentsRequest { from, subscription: name.into(), ..Default::default() };
    Ok(client.watch_incidents(request).await?.into_inner())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_goes_on_where_it_acknowledged() -> anyhow::Result<()> {
    let site = site()?;
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
