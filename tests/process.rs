//! The real binary as its users meet it: doors, feed, metrics, API, stop and start. Over the local journal, and the same
//! over a journal on a real Apache Kafka.
use anyhow::{Context as _, ensure};
use quell_connectors::log::local::LocalLog;
use quell_proto::v1::{
    GetAlertRequest, GetIncidentRequest, ListAlertsRequest, ListIncidentsRequest, ListServicesRequest,
    WatchIncidentsRequest, watch_incidents_request::From as Start,
};
use quell_tests::{
    broker::kafka,
    process::{Quell, Site, free_port, get, post, quell, quell_ok},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    env, fs,
    io::Write as _,
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};
use tempfile::TempDir;
use tonic::Code;

/// 2026-01-05T00:00:00Z
const T0: i64 = 1_767_571_200_000;

/// With recorded time, over the local journal or over Kafka.
fn site(brokers: Option<&str>) -> anyhow::Result<Site> {
    let topology = json!({"entities": [{"id": "db-1"}, {"id": "pay-1"}],
        "services": [{"id": "db", "tier": 1, "entities": ["db-1"]},
                     {"id": "payments", "depends_on": ["db"], "entities": ["pay-1"]}]});
    let (kind, brokers) = brokers.map_or(("local", ""), |brokers| ("kafka", brokers));
    let prefix = format!("quell-{:x}", rand::random::<u64>());
    let more = format!(
        "[journal]\nkind = \"{kind}\"\npartitions = 3\nclock = \"events\"\n[kafka]\nbrokers = \"{brokers}\"\nprefix = \"{prefix}\""
    );
    Site::new(&topology.to_string(), &more)
}

fn event(seconds: i64, entity: &str, check: &str, status: &str) -> Value {
    json!({"id": format!("{entity}-{check}-{seconds}-{status}"), "time": T0 + seconds * 1_000, "origin": "test", "entity": entity,
           "check": check, "status": status, "severity": "critical"})
}

fn send(quell: &Quell, body: &str) -> anyhow::Result<(u16, Value)> {
    let (status, answer) = post(quell.address, "/api/v1/events", body.as_bytes())?;
    Ok((status, serde_json::from_str(&answer)?))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_the_local_journal() -> anyhow::Result<()> {
    suite(&site(None)?).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_the_journal_on_kafka() -> anyhow::Result<()> {
    let Some(brokers) = kafka("over_the_journal_on_kafka") else { return Ok(()) };
    suite(&site(Some(&brokers))?).await
}

/// From the door to the feed, over a stop and a kill.
async fn suite(site: &Site) -> anyhow::Result<()> {
    let server = site.server();
    let quell = site.run()?;
    ensure!(get(quell.address, "/live")?.0 == 200);

    // One, an array, NDJSON; a bad one among good ones.
    let (status, answer) = send(&quell, &event(0, "db-1", "latency", "firing").to_string())?;
    ensure!((status, &answer["accepted"]) == (200, &json!(1)), "{answer}");
    let array =
        json!([event(20, "pay-1", "errors", "firing"), {"entity": "x"}, event(25, "pay-1", "latency", "firing")]);
    let (status, answer) = send(&quell, &array.to_string())?;
    ensure!(status == 207 && answer["rejected"][0]["index"] == 1, "{status} {answer}");
    let again = |seconds| event(seconds, "pay-1", "errors", "firing");
    let lines = format!("{}\n\nnot json\n{}\n", again(200), again(201));
    let (status, answer) = send(&quell, &lines)?;
    ensure!(status == 207 && answer["accepted"] == 2 && answer["rejected"][0]["index"] == 1, "{status} {answer}");
    ensure!(send(&quell, "[]")?.0 == 200 && send(&quell, "{}")?.0 == 400 && send(&quell, "")?.0 == 400);
    let position = answer["position"].as_str().context("a position")?.to_owned();

    // Reads that are no older than the answer.
    let mut client = site.client().await?;
    let asked = ListIncidentsRequest { min_position: position.clone(), ..Default::default() };
    let listed = client.list_incidents(asked.clone()).await?.into_inner();
    ensure!(listed.incidents.len() == 1, "{listed:?}");
    let incident = &listed.incidents[0];
    ensure!(incident.alert_count == 3 && incident.number == "default-1" && incident.priority == 1, "{incident:?}");
    ensure!(incident.causes[0].entity == "db-1", "{:?}", incident.causes);
    let got = client.get_incident(GetIncidentRequest { name: incident.name.clone(), ..Default::default() }).await?;
    ensure!(got.into_inner() == *incident);
    let alerts = client.list_alerts(ListAlertsRequest { page_size: 2, ..Default::default() }).await?.into_inner();
    ensure!(alerts.alerts.len() == 2 && !alerts.next_page_token.is_empty());
    ensure!(alerts.alerts.iter().all(|alert| alert.incident == incident.name), "{alerts:?}");
    let token = alerts.next_page_token.clone();
    let rest = ListAlertsRequest { page_size: 2, page_token: token.clone(), ..Default::default() };
    let rest = client.list_alerts(rest).await?.into_inner();
    ensure!(rest.alerts.len() == 1 && rest.next_page_token.is_empty(), "{rest:?}");
    let services = client.list_services(ListServicesRequest::default()).await?.into_inner().services;
    let scores: Vec<_> = services.iter().map(|s| (s.display_name.as_str(), s.health_score())).collect();
    ensure!(matches!(scores[..], [("db", db), ("payments", payments)] if db < 30.0 && payments < 30.0), "{scores:?}");

    // Standard codes.
    let code = |result: Result<_, tonic::Status>| result.err().map(|status: tonic::Status| status.code());
    let name = |name: &str| GetAlertRequest { name: name.to_owned(), ..Default::default() };
    ensure!(code(client.get_alert(name("alerts/1")).await.map(|_| ())) == Some(Code::InvalidArgument));
    ensure!(code(client.get_alert(name("scopes/default/alerts/1")).await.map(|_| ())) == Some(Code::InvalidArgument));
    ensure!(
        code(client.get_alert(name("scopes/default/alerts/0000000000000001")).await.map(|_| ()))
            == Some(Code::NotFound)
    );
    let foreign = ListIncidentsRequest { page_token: token, ..Default::default() };
    ensure!(code(client.list_incidents(foreign).await.map(|_| ())) != Some(Code::Internal));
    for (filter, well) in [("state = \"NEW\"", true), ("state = \"CLOSED\"", true), ("colour = 1", false)] {
        let listed =
            client.list_incidents(ListIncidentsRequest { filter: filter.to_owned(), ..Default::default() }).await;
        ensure!(listed.is_ok() == well, "{filter}");
    }
    let watch = |from| WatchIncidentsRequest { from: Some(from), until_caught_up: false, ..Default::default() };
    let malformed = client.watch_incidents(watch(Start::Cursor("x".to_owned()))).await;
    ensure!(code(malformed.map(|_| ())) == Some(Code::InvalidArgument));

    // From now: what is open, as a snapshot.
    let mut now = client.watch_incidents(watch(Start::Now(true))).await?.into_inner();
    let first = now.message().await?.context("a snapshot")?;
    ensure!(first.snapshot && first.incident.as_ref() == Some(incident));

    // A graceful stop, then a kill: the feed goes on where it was.
    let before = feed(&server, "beginning")?;
    ensure!(!before.is_empty());
    let (code, took) = quell.terminate()?;
    ensure!(code == Some(0) && took < Duration::from_secs(10), "{code:?} {took:?}");
    let quell = site.run()?;
    ensure!(feed(&server, "beginning")? == before, "the feed after a stop");
    quell.kill()?;
    let quell = site.run()?;
    ensure!(feed(&server, "beginning")? == before, "the feed after a kill");
    // Five taken; four refused, which are in the journal as dead letters.
    quell.metric_becomes("quell_events_received_total", 9.0)?;

    // It resolves, and closes when time passes.
    let recovered = json!([
        event(300, "db-1", "latency", "resolved"),
        event(300, "pay-1", "errors", "resolved"),
        event(301, "pay-1", "latency", "resolved")
    ]);
    ensure!(send(&quell, &recovered.to_string())?.0 == 200);
    quell_ok(&["settle", "--server", &server])?;
    let cursor = before.last().and_then(|update| update["cursor"].as_str()).context("a cursor")?;
    let after = feed(&server, cursor)?;
    let states: Vec<_> = after.iter().map(|update| update["incident"]["state"].as_str().unwrap_or_default()).collect();
    ensure!(states.ends_with(&["RESOLVED", "CLOSED"]), "{states:?}");
    let whole = feed(&server, "beginning")?;
    ensure!(whole.len() == before.len() + after.len());

    metrics(&quell)?;
    python(&server, &site.path(""), whole.len())?;
    ensure!(quell.terminate()?.0 == Some(0));
    Ok(())
}

fn feed(server: &str, from: &str) -> anyhow::Result<Vec<Value>> {
    let lines = quell_ok(&["feed", "--server", server, "--from", from, "--json", "--exit-when-caught-up"])?;
    lines.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// Clean under `promtool check metrics`, where there is one.
fn metrics(quell: &Quell) -> anyhow::Result<()> {
    let (status, page) = get(quell.address, "/metrics")?;
    ensure!(status == 200);
    for name in ["quell_events_received_total", "quell_alerts", "quell_incidents", "quell_service_health_score"] {
        ensure!(
            page.contains(&format!("\n# TYPE {name} ")) || page.starts_with(&format!("# HELP {name} ")),
            "{name} is missing"
        );
    }
    let Ok(promtool) = env::var("QUELL_PROMTOOL") else {
        eprintln!("\n!!! SKIPPED promtool check metrics: QUELL_PROMTOOL names none\n");
        return Ok(());
    };
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child.stdin.take().context("a pipe")?.write_all(page.as_bytes())?;
    let output = child.wait_with_output()?;
    let said = [output.stdout, output.stderr].concat();
    ensure!(output.status.success() && said.is_empty(), "promtool: {}", String::from_utf8_lossy(&said));
    Ok(())
}

/// The client of `deploy/examples` shows every update, and goes on from its cursor.
fn python(server: &str, directory: &Path, updates: usize) -> anyhow::Result<()> {
    let Ok(python) = env::var("QUELL_PYTHON") else {
        eprintln!(
            "\n!!! SKIPPED deploy/examples/feed.py: QUELL_PYTHON names no Python with grpcio and grpcio-reflection\n"
        );
        return Ok(());
    };
    let cursor = directory.join("cursor");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples/feed.py");
    let follow = || -> anyhow::Result<usize> {
        let mut command = Command::new("timeout");
        command.args(["--signal=INT", "5", &python]).arg(&script).arg(server).arg(&cursor);
        let output = command.output()?;
        Ok(String::from_utf8_lossy(&output.stdout).lines().count())
    };
    let (first, second) = (follow()?, follow()?);
    ensure!((first, second) == (updates, 0), "feed.py shows {first} updates, then {second}; there are {updates}");
    Ok(())
}

#[test]
fn bad_input_is_named_and_ends_with_2() -> anyhow::Result<()> {
    let directory = TempDir::new()?;
    let config = directory.path().join("quell.toml");
    let topology = directory.path().join("topology.json");
    fs::write(&topology, "{\"services\": [\n {\"id\": \"a\", \"depends_on\": [\"b\"]}]}")?;
    for (text, expected) in [
        ("[server]\nlisten = 5\n", ":2:"),
        ("[server]\nlissten = \"x\"\n", "lissten"),
        ("data_dir = \n", ":1:"),
        ("[journal]\nkind = \"kafka\"\n", "kafka.brokers"),
        ("[server]\nlisten = \"0.0.0.0:7117\"\n", "quell.toml:2: server.listen: "),
        ("[kafka.properties]\nacks = \"1\"\n", "quell.toml:2: kafka.properties.acks: can't be set"),
        ("topology = \"topology.json\"\n", "topology.json:2: service `a` depends on `b`"),
        ("[[source]]\nkind = \"kafka\"\ntopics = []\n[kafka]\nbrokers = \"b:1\"\n", "quell.toml:3: source[0].topics: "),
        ("topology = \"nowhere.json\"\n", "nowhere.json"),
    ] {
        fs::write(&config, text)?;
        let output = quell(&["check", "--config", &config.display().to_string()])?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(2) && said.contains(expected), "{text}: {:?}: {said}", output.status);
    }
    fs::write(&config, "")?;
    let check = ["check", "--config", &config.display().to_string()];
    let fine = quell(&check)?;
    ensure!(fine.status.success() && fine.stderr.is_empty(), "{fine:?}");
    let rule = "[[suppress.inhibit]]\nname = \"imported\"\nsource = 'check=\"A\"'\ntarget = 'check=\"B\"'\nequal = [\"rack\"]\nabsent_equal = true\n";
    fs::write(&config, rule)?;
    let warned = quell(&check)?;
    let said = String::from_utf8_lossy(&warned.stderr);
    ensure!(
        warned.status.success() && said.starts_with("warning: suppress.inhibit `imported`: absent_equal"),
        "{said}"
    );
    ensure!(quell(&["feed", "--no-such-flag"])?.status.code() == Some(2));
    Ok(())
}

#[test]
fn a_check_counts_what_it_found() -> anyhow::Result<()> {
    let directory = TempDir::new()?;
    let config = directory.path().join("quell.toml");
    fs::write(
        directory.path().join("topology.json"),
        r#"{"entities": [{"id": "a"}], "services": [{"id": "s", "entities": ["a", "b"]}, {"id": "t"}]}"#,
    )?;
    let more = r#"
        topology = "topology.json"
        [kafka]
        brokers = "b:1"
        [[source]]
        kind = "kafka"
        topics = ["alerts", "more"]
        [[source]]
        kind = "http"
        format = "cloudevents"
        [[maintenance]]
        id = "w"
        entities = ["a"]
        schedule = { start = "2026-03-01T22:00:00Z", end = "2026-03-02T04:00:00Z" }
        [[suppress.inhibit]]
        name = "n"
        source = "a=b"
        target = "c=d"
        [[correlate.policy]]
        name = "p"
        [[correlate.policy]]
        name = "q""#;
    fs::write(&config, more)?;
    let said = quell_ok(&["check", "--config", &config.display().to_string()])?;
    ensure!(
        said.trim_end()
            == "valid: journal local; source topics 2, HTTP mappings 1; entities 2, services 2; maintenance windows 1, \
                inhibition rules 1, correlation policies 2",
        "{said}"
    );
    Ok(())
}

/// Scripts compare numbers: the difference to REST stands where they look.
#[test]
fn the_help_says_how_json_differs_from_rest() -> anyhow::Result<()> {
    for command in ["incidents", "feed"] {
        let help = quell_ok(&[command, "--help"])?;
        let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
        ensure!(words.contains("as over REST, but 64-bit integers are numbers, which are texts there"), "{help}");
    }
    Ok(())
}

/// What a start tells, in a line each: that it is ready, what it folds again, and that the topology's file does not hold.
#[test]
fn a_start_says_what_matters_once() -> anyhow::Result<()> {
    let site = Site::new(r#"{"services": [{"id": "of-the-file"}]}"#, "[journal]\npartitions = 4\nclock = \"events\"")?;
    let log = || fs::read_to_string(site.path("quell.log"));
    let ready = |starts: usize| -> anyhow::Result<String> {
        // `/ready` may be asked before the line is written.
        for _ in 0..100 {
            if log()?.matches("ready partitions=4").count() == starts {
                return Ok(log()?);
            }
            thread::sleep(Duration::from_millis(50));
        }
        anyhow::bail!("{}", log()?)
    };
    let quell = site.run()?;
    let said = ready(1)?;
    ensure!(!said.contains("recovering") && !said.contains("WARN"), "{said}");
    fs::write(site.path("other.json"), r#"{"services": [{"id": "of-the-api"}]}"#)?;
    quell_ok(&["topology", "apply", &site.text("other.json"), "--server", &site.server()])?;
    quell.kill()?;
    let quell = site.run()?;
    let said = ready(2)?;
    ensure!(said.contains("recovering partition="), "the versions of the topology are folded again: {said}");
    let warned = said.lines().filter(|line| line.contains("WARN")).collect::<Vec<_>>();
    let [warned] = warned[..] else { anyhow::bail!("{said}") };
    for part in ["topology.json is not applied", "was version 1, and version 2", "quell topology apply"] {
        ensure!(warned.contains(part), "{warned}");
    }
    // It does what it says.
    quell_ok(&["topology", "apply", &site.text("topology.json"), "--server", &site.server()])?;
    ensure!(quell.terminate()?.0 == Some(0));
    let _quell = site.run()?;
    ensure!(ready(3)?.matches("WARN").count() == 1, "{}", log()?);
    Ok(())
}

/// The first thing that anybody sees of Quell.
#[test]
fn the_demo_ends_well_and_in_peace() -> anyhow::Result<()> {
    let demo = quell(&["demo", "--speed", "1000", "--listen", &format!("127.0.0.1:{}", free_port())])?;
    let (said, complained) = (String::from_utf8_lossy(&demo.stdout), String::from_utf8_lossy(&demo.stderr));
    ensure!(demo.status.success() && complained.is_empty(), "{}: {complained}", demo.status);
    ensure!(said.contains("The outage in short") && said.contains("online-boutique-1"), "{said}");
    Ok(())
}

/// Tests run beside each other, and each has servers.
#[test]
fn a_free_port_stays_so() -> anyhow::Result<()> {
    let ports: BTreeSet<u16> = (0..400).map(|_| free_port()).collect();
    ensure!(ports.len() == 400, "{} of 400 are different ones", ports.len());
    // Nor is it one that others have who ask for any.
    let others = (0..400).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<Vec<_>, _>>()?;
    for other in &others {
        ensure!(!ports.contains(&other.local_addr()?.port()));
    }
    for port in ports {
        TcpListener::bind(("127.0.0.1", port)).with_context(|| format!("{port} can't be listened on"))?;
    }
    Ok(())
}

/// A supervisor starts it again after 1, and not after 2.
#[test]
fn what_may_start_later_ends_with_1() -> anyhow::Result<()> {
    let directory = TempDir::new()?;
    let path = |name: &str| directory.path().join(name);
    let (config, open) = (path("quell.toml"), path("open"));
    fs::write(directory.path().join("topology.json"), "{\"services\": 5}")?;
    let (held, free) = (TcpListener::bind("127.0.0.1:0")?, free_port());
    let listen = |port| format!("[server]\nlisten = \"127.0.0.1:{port}\"\n");
    let _journal = LocalLog::open(&open.join("journal"))?;
    let at = |data: &Path| format!("data_dir = \"{}\"\n", data.display());
    let fresh = at(&path("data"));
    for (text, code, expected) in [
        (fresh.clone() + &listen(held.local_addr()?.port()), 1, "can't be listened on"),
        (at(&open) + &listen(free), 1, "is open already"),
        (
            fresh + &listen(free) + "[journal]\nkind = \"kafka\"\n[kafka]\nbrokers = \"127.0.0.1:1\"\n",
            1,
            "kafka at 127.0.0.1:1",
        ),
        ("topology = \"topology.json\"\n".to_owned() + &listen(free), 2, "topology.json"),
        ("[server]\nlisten = 5\n".to_owned(), 2, "quell.toml:2:"),
    ] {
        fs::write(&config, &text)?;
        let output = quell(&["run", "--config", &config.display().to_string()])?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(code) && said.contains(expected), "{text}: {:?}: {said}", output.status);
    }
    Ok(())
}
