//! `WhyNot`, over gRPC, over HTTP and by the command: the fold answers, and what `quell explain` prints is what the API says.
use anyhow::{Context as _, ensure};
use quell_proto::v1::{
    IncidentAlert, ListAlertsRequest, ListIncidentsRequest, PublishEventsRequest, WhyNotRequest,
    quell_client::QuellClient,
};
use quell_tests::process::{Quell, Site, post, quell, quell_ok};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tonic::{Code, transport::Channel};

/// 2026-01-05T00:00:00Z
const T0: i64 = 1_767_571_200_000;

fn event(scope: &str, seconds: i64, entity: &str, check: &str) -> String {
    json!({"id": format!("{entity}-{check}-{seconds}"), "time": T0 + seconds * 1_000, "origin": "test", "scope": scope,
           "entity": entity, "check": check, "severity": "critical", "service": entity.split('-').next()})
    .to_string()
}

struct World {
    site: Site,
    quell: Quell,
    client: QuellClient<Channel>,
    /// Names of alerts, by `scope/entity/check`.
    alerts: BTreeMap<String, String>,
    /// Names of incidents, by number.
    incidents: BTreeMap<String, String>,
    shown: Vec<IncidentAlert>,
}

impl World {
    /// A database and what came with it, mail at another time, and a scope beside it.
    async fn new() -> anyhow::Result<Self> {
        let site = Site::new("{}", "[journal]\npartitions = 3\nclock = \"events\"")?;
        let quell = site.run()?;
        let mut client = site.client().await?;
        let events = vec![
            event("default", 0, "db-1", "latency"),
            event("default", 4, "db-1", "errors"),
            event("default", 8, "db-2", "latency"),
            event("default", 900, "mail-1", "queue"),
            event("eu", 900, "mail-1", "queue"),
            event("default", 1_100, "web-1", "load"),
            event("eu", 1_100, "web-1", "load"),
        ];
        let asked = futures::stream::iter([PublishEventsRequest { events }]);
        let min_position = client.publish_events(asked).await?.into_inner().position;
        let asked = ListAlertsRequest { min_position: min_position.clone(), ..Default::default() };
        let alerts = client.list_alerts(asked).await?.into_inner().alerts.into_iter();
        let scope = |name: &str| name.split('/').nth(1).unwrap_or_default().to_owned();
        let alerts = alerts.map(|a| (format!("{}/{}/{}", scope(&a.name), a.entity, a.check), a.name)).collect();
        let asked = ListIncidentsRequest { min_position, ..Default::default() };
        let found = client.list_incidents(asked).await?.into_inner().incidents;
        let shown = found.iter().flat_map(|incident| incident.alerts.clone()).collect();
        let incidents = found.into_iter().map(|incident| (incident.number, incident.name)).collect();
        Ok(Self { site, quell, client, alerts, incidents, shown })
    }

    fn alert(&self, named: &str) -> anyhow::Result<String> {
        self.alerts.get(named).cloned().with_context(|| format!("{named}: {:?}", self.alerts))
    }

    fn incident(&self, number: &str) -> anyhow::Result<String> {
        self.incidents.get(number).cloned().with_context(|| format!("{number}: {:?}", self.incidents))
    }

    async fn ask(&mut self, name: &str, other: &str) -> Result<quell_proto::v1::Apart, Code> {
        let asked = WhyNotRequest { name: name.to_owned(), other: other.to_owned(), ..Default::default() };
        let reply = self.client.why_not(asked).await.map_err(|status| status.code())?;
        reply.into_inner().answer.ok_or(Code::Internal)
    }
}

fn kinds(apart: &quell_proto::v1::Apart) -> Vec<&str> {
    apart.notes.iter().filter(|note| note.decides).map(|note| &*note.kind).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fold_answers_why_two_are_not_together() -> anyhow::Result<()> {
    let mut world = World::new().await?;
    let (db, errors) = (world.alert("default/db-1/latency")?, world.alert("default/db-1/errors")?);
    let (mail, elsewhere) = (world.alert("default/mail-1/queue")?, world.alert("eu/mail-1/queue")?);
    let (first, second) = (world.incident("default-1")?, world.incident("default-2")?);

    let together = world.ask(&db, &errors).await.map_err(|code| anyhow::anyhow!("{code:?}"))?;
    ensure!(together.together && together.verdict.contains("default-1"), "{together:?}");
    let apart = world.ask(&mail, &db).await.map_err(|code| anyhow::anyhow!("{code:?}"))?;
    ensure!(!apart.together && kinds(&apart).contains(&"window"), "{apart:?}");
    for (one, other) in [(&mail, &first), (&first, &mail), (&first, &second)] {
        let apart = world.ask(one, other).await.map_err(|code| anyhow::anyhow!("{code:?}"))?;
        ensure!(!apart.together && !apart.verdict.is_empty() && !apart.notes.is_empty(), "{apart:?}");
    }
    let scopes = world.ask(&mail, &elsewhere).await.map_err(|code| anyhow::anyhow!("{code:?}"))?;
    ensure!(kinds(&scopes) == ["scope"] && scopes.weighed.is_empty(), "{scopes:?}");

    let no_alert = "scopes/default/alerts/00000000000000ff";
    ensure!(world.ask(&mail, no_alert).await == Err(Code::NotFound));
    ensure!(world.ask("scopes/eu/alerts/00000000000000ff", &mail).await == Err(Code::NotFound));
    ensure!(
        world.ask("scopes/none/alerts/00000000000000ff", "scopes/none/alerts/0000000000000001").await
            == Err(Code::NotFound)
    );
    ensure!(world.ask(&mail, &mail).await == Err(Code::InvalidArgument));
    ensure!(world.ask(&mail, "mail-1").await == Err(Code::InvalidArgument));

    // The same over HTTP, from an alert and from an incident.
    for name in [&mail, &second] {
        let body = json!({"other": first}).to_string();
        let (status, answer) = post(world.quell.address, &format!("/api/v1/{name}:whyNot"), body.as_bytes())?;
        let answer: Value = serde_json::from_str(&answer)?;
        ensure!(status == 200 && answer["answer"]["verdict"].is_string(), "{status} {answer}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_print_what_the_api_says() -> anyhow::Result<()> {
    let world = World::new().await?;
    let server = world.site.server();
    let ask = |words: &[&str]| quell_ok(&[words, &["--server", &server]].concat());

    let told = ask(&["explain", "1"])?;
    let of_first = world.shown.iter().filter(|alert| alert.entity.starts_with("db"));
    let mut weighed = 0;
    for alert in of_first.filter(|alert| !alert.parts.is_empty()) {
        let numbers = alert.parts.iter().map(|part| format!("{:+.1}", part.log_odds).replace("-0.0", "+0.0"));
        let numbers: Vec<_> = numbers.collect();
        let line = told.lines().find(|line| numbers.iter().all(|number| line.contains(&**number)));
        let total: f64 = alert.parts.iter().map(|part| part.log_odds).sum();
        ensure!(line.is_some_and(|line| line.trim().starts_with(&format!("{total:+.1} ="))), "{numbers:?}\n{told}");
        ensure!(told.contains(&format!("{:.1} behind", alert.margin)), "{told}");
        weighed += 1;
    }
    ensure!(weighed == 2, "{told}");
    ensure!(told.contains("next best: an incident of its own"), "{told}");

    let told = ask(&["why-not", "mail-1/queue", "default-1"]);
    ensure!(told.is_err(), "it is of two scopes: it has to be named by its id");
    let mail = world.alert("default/mail-1/queue")?;
    let id = mail.rsplit('/').next().context("an id")?;
    let told = ask(&["why-not", id, "1"])?;
    ensure!(told.contains("What keeps them apart") && told.contains("correlate.window"), "{told}");
    ensure!(ask(&["why-not", &mail, "default-1", "--json"])?.contains("\"verdict\""));
    ensure!(ask(&["why-not", "db-1/latency", "1"])?.contains("together in default-1"));
    let refused = quell(&["why-not", "default-1", "default-77", "--server", &server])?;
    ensure!(refused.status.code() == Some(2), "{refused:?}");
    Ok(())
}
