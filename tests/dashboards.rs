//! Every query of the dashboards and rules, asked of a real Prometheus that scrapes two real processes: the demo, with its
//! recording over Kafka's protocol, and a service with the wall's clock that events come to over HTTP.
use anyhow::{Context as _, bail, ensure};
use quell_proto::v1::{
    AcknowledgeIncidentRequest, ListIncidentsRequest, WatchIncidentsRequest, quell_client::QuellClient,
};
use quell_tests::{
    process::{Quell, Site, binary, free_port, get, post},
    prometheus::{Prometheus, deploy, documented, metrics_of, program},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tempfile::TempDir;
use tonic::transport::Channel;

/// A service with a KPI.
const TOPOLOGY: &str = r#"{"services": [{"id": "shop", "entities": ["web"], "kpis": [
    {"id": "p99", "unit": "ms", "series": {"check": "latency"}, "thresholds": {"high": 200}}]}]}"#;
/// Until every panel shows something.
const WAIT: Duration = Duration::from_secs(150);

/// A query of a panel.
struct Query {
    place: String,
    expr: String,
}

fn boards() -> anyhow::Result<Vec<(String, Value)>> {
    let mut boards = Vec::new();
    for entry in fs::read_dir(deploy().join("grafana"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let board =
                serde_json::from_str(&fs::read_to_string(&path)?).with_context(|| path.display().to_string())?;
            boards.push((path.file_name().context("a name")?.to_string_lossy().into_owned(), board));
        }
    }
    ensure!(boards.len() == 2, "{} dashboards", boards.len());
    Ok(boards)
}

fn queries() -> anyhow::Result<Vec<Query>> {
    let mut queries = Vec::new();
    for (file, board) in boards()? {
        for panel in board["panels"].as_array().context("panels")?.iter().filter(|panel| panel["type"] != "row") {
            let title = panel["title"].as_str().context("a title")?;
            for target in panel["targets"].as_array().context("targets")? {
                let (expr, name) = (target["expr"].as_str().context("an expr")?, &target["refId"]);
                queries.push(Query { place: format!("{file}: {title} {name}"), expr: expr.to_owned() });
            }
        }
    }
    Ok(queries)
}

/// As Grafana would with everything selected.
fn substituted(expr: &str) -> anyhow::Result<String> {
    let expr = expr.replace("$__rate_interval", "20s").replace("$__range", "15m");
    let expr = expr.replace("$job", ".*").replace("$instance", ".*");
    ensure!(!expr.contains('$'), "a variable that nobody knows: {expr}");
    Ok(expr)
}

#[test]
fn panels_are_whole() -> anyhow::Result<()> {
    let documented = documented()?;
    for query in queries()? {
        for metric in metrics_of(&query.expr) {
            ensure!(documented.contains(&metric), "{}: there is no metric {metric}", query.place);
        }
        substituted(&query.expr).context(query.place)?;
    }
    for (file, board) in boards()? {
        let mut ids = BTreeSet::new();
        for panel in board["panels"].as_array().context("panels")? {
            ensure!(ids.insert(panel["id"].as_u64()), "{file}: two panels with the id {}", panel["id"]);
            let defaults = &panel["fieldConfig"]["defaults"];
            let whole = defaults["unit"].is_string() && defaults["thresholds"]["steps"].is_array();
            ensure!(panel["type"] == "row" || whole, "{file}: {}: unit and thresholds", panel["title"]);
            ensure!(
                panel["type"] == "row" || panel["datasource"]["uid"] == "${datasource}",
                "{file}: {}",
                panel["title"]
            );
        }
        let variables: Vec<_> = board["templating"]["list"].as_array().context("variables")?.iter().collect();
        ensure!(variables.iter().any(|v| v["type"] == "datasource" && v["name"] == "datasource"), "{file}: datasource");
    }
    Ok(())
}

/// The demo, killed when it is dropped.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        // SIGTERM, so that its temporary directory goes.
        let _ = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status();
        let _ = self.0.wait();
    }
}

fn demo(address: SocketAddr, log: &Path) -> anyhow::Result<Demo> {
    let out = fs::File::create(log)?;
    let mut command = Command::new(binary());
    command.args(["demo", "--speed", "200", "--forever", "--listen", &address.to_string()]);
    Ok(Demo(command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out).spawn()?))
}

/// In which everything happens within seconds.
const HASTE: &str = "[journal]\npartitions = 2\n[engine]\nsnapshot_interval = \"2s\"\n[deduplicate]\nlateness = \"1s\"\n\
    [raise]\nsettle = \"1s\"\nmany_settle = \"1s\"\nresolve = \"1s\"";

/// Each round another host fails, and the one before is well again.
async fn happen(quell: &Quell, client: &mut QuellClient<Channel>, round: usize) -> anyhow::Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as u64;
    let event = |host: usize, status: &str| {
        json!({"id": format!("{host}-{status}-{now}"), "time": now, "origin": "test", "entity": format!("host-{host}"),
            "check": "up", "status": status, "severity": "critical"})
    };
    let sample = json!({"id": format!("latency-{now}"), "time": now, "origin": "test", "entity": "web", "check": "latency",
        "kind": "sample", "value": 250});
    let mut events = vec![event(round, "firing"), json!({"entity": "bad"}), sample];
    events.extend(round.checked_sub(2).map(|before| event(before, "resolved")));
    let (status, answer) = post(quell.address, "/api/v1/events", json!(events).to_string().as_bytes())?;
    ensure!(status == 207, "{status} {answer}");
    let new = ListIncidentsRequest { filter: "state = \"NEW\"".to_owned(), ..Default::default() };
    for incident in client.list_incidents(new).await?.into_inner().incidents {
        let request =
            AcknowledgeIncidentRequest { name: incident.name, actor: "on-call".to_owned(), ..Default::default() };
        // It may have been resolved in between.
        let _ = client.acknowledge_incident(request).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_query_of_a_dashboard_or_a_rule_shows_something() -> anyhow::Result<()> {
    let Some(program) = program("QUELL_PROMETHEUS", "the queries of deploy/grafana") else { return Ok(()) };
    let directory = TempDir::new()?;
    let site = Site::new(TOPOLOGY, HASTE)?;
    let quell = site.run()?;
    let at: SocketAddr = ([127, 0, 0, 1], free_port()).into();
    // Before anything happens: an increase is seen only by who was there before it.
    let prometheus = Prometheus::start(&program, directory.path(), &[at, quell.address])?;
    let _demo = demo(at, &directory.path().join("demo.log"))?;
    let mut client = site.client().await?;
    // Nobody acknowledges what it sends.
    let subscription = WatchIncidentsRequest { subscription: "tickets".to_owned(), ..Default::default() };
    let _feed = client.watch_incidents(subscription).await?;

    let queries = queries()?;
    let (since, mut round) = (Instant::now(), 0);
    loop {
        happen(&quell, &mut client, round).await?;
        round += 1;
        let mut empty = Vec::new();
        for query in &queries {
            let samples = prometheus.query(&substituted(&query.expr)?);
            let samples = samples.with_context(|| format!("{}: {}", query.place, query.expr))?;
            if samples == 0 {
                empty.push(format!("{}: {}", query.place, query.expr));
            }
        }
        if empty.is_empty() && get(at, "/ready").is_ok_and(|(status, _)| status == 200) {
            break;
        }
        if since.elapsed() > WAIT {
            bail!("nothing after {} s:\n{}", WAIT.as_secs(), empty.join("\n"));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let rules = prometheus.rules()?;
    ensure!(rules.len() >= 13, "{} rules", rules.len());
    for (rule, trouble) in rules {
        ensure!(trouble.is_empty(), "{rule}: {trouble}");
    }
    // What the variables of the dashboards list.
    ensure!(prometheus.query("quell_build_info")? == 2, "both processes are scraped");
    Ok(())
}
