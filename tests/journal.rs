//! What a journal holds, concluded again: by `quell replay --journal`, and by `quell run --drain` before an upgrade.
use anyhow::{Context as _, ensure};
use quell_tests::{
    broker::kafka,
    process::{Quell, Site, binary, get, post, quell, quell_ok},
    stream,
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
    time::{Duration, Instant},
};

const FILES: [&str; 6] =
    ["alerts.jsonl", "assignments.csv", "deadletter.jsonl", "episodes.jsonl", "incidents.jsonl", "summary.json"];

fn site(journal: &str) -> anyhow::Result<Site> {
    Site::new(&stream::topology(), &format!("[journal]\npartitions = 4\nclock = \"events\"\n{journal}"))
}

fn send(quell: &Quell, events: &[stream::StreamEvent]) -> anyhow::Result<()> {
    for lines in events.chunks(500) {
        let lines: Vec<_> = lines.iter().map(|event| event.json.as_str()).collect();
        let (status, answer) = post(quell.address, "/api/v1/events", lines.join("\n").as_bytes())?;
        ensure!(status == 200, "{answer}");
    }
    Ok(())
}

fn ask(site: &Site, words: &[&str]) -> anyhow::Result<Vec<Value>> {
    let told = quell_ok(&[words, &["--json", "--server", &site.server()]].concat())?;
    told.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// What is compared of an incident: what it came to, and of what. How grave an alert is now is not: a replay has it as it was last, the
/// feed as it was when the incident last spoke.
type Told = BTreeMap<String, (u64, Vec<String>, BTreeSet<String>)>;

fn told(incidents: &[Value], revision: &str) -> anyhow::Result<Told> {
    let mut all = Told::new();
    for incident in incidents {
        let word = |field: &str| incident[field].as_str().unwrap_or_default().to_lowercase();
        let words = ["state", "title", "severity"].map(word).to_vec();
        let alerts = incident["alerts"].as_array().map_or(&[][..], Vec::as_slice).iter();
        let alerts = alerts.map(|it| format!("{} {}", it["entity"], it["check"]));
        let revision = incident[revision].as_u64().with_context(|| format!("a {revision}: {incident}"))?;
        all.insert(incident["name"].as_str().context("a name")?.to_owned(), (revision, words, alerts.collect()));
    }
    Ok(all)
}

#[test]
fn a_journal_on_the_disk_is_replayed() -> anyhow::Result<()> {
    let site = site("")?;
    let data = site.text("data");
    replayed(&site, &["--journal", &data])
}

#[test]
fn a_journal_on_kafka_is_replayed() -> anyhow::Result<()> {
    let Some(brokers) = kafka("a_journal_on_kafka_is_replayed") else { return Ok(()) };
    let prefix = format!("replay-{:x}", rand::random::<u64>());
    let site = site(&format!("kind = \"kafka\"\n[kafka]\nbrokers = \"{brokers}\"\nprefix = \"{prefix}\"\n"))?;
    let config = site.text("quell.toml");
    replayed(&site, &["--config", &config, "--journal"])
}

/// Events, people, another topology, a kill: what the feed says is what the journal is concluded to.
fn replayed(site: &Site, journal: &[&str]) -> anyhow::Result<()> {
    let events = stream::generate(7, 3_000);
    let (first, second) = events.split_at(1_500);
    let quell_process = site.run()?;
    send(&quell_process, first)?;
    let since = Instant::now();
    let incident = loop {
        ensure!(since.elapsed() < Duration::from_secs(30), "no incident is acknowledged");
        // It may be resolved in between, as time is the events'.
        let open = ask(site, &["incidents", "--filter", "state = \"NEW\"", "--limit", "1"])?;
        let Some(name) = open.first().and_then(|incident| incident["name"].as_str()) else { continue };
        if ask(site, &["ack", name, "--actor", "ann", "--comment", "on it"]).is_ok() {
            break name.to_owned();
        }
    };
    quell_process.kill()?;

    let quell_process = site.run()?;
    fs::write(site.path("other.json"), json!({"services": [{"id": "web", "entities": ["web-1"]}]}).to_string())?;
    ask(site, &["topology", "apply", &site.text("other.json")])?;
    let letter = post(quell_process.address, "/api/v1/events", b"no event")?;
    ensure!(letter.0 == 400);
    send(&quell_process, second)?;
    quell_ok(&["settle", "--server", &site.server()])?;
    let feed = ask(site, &["feed", "--from", "beginning", "--exit-when-caught-up"])?;
    let last: BTreeMap<_, _> = feed.iter().map(|it| (it["incident"]["name"].to_string(), &it["incident"])).collect();
    let said = told(&last.into_values().cloned().collect::<Vec<_>>(), "revision")?;
    ensure!(said.len() >= 10 && said.contains_key(&incident), "{} incidents prove little", said.len());
    if journal.len() == 2 {
        // It is held by who runs.
        let output = quell(&[&["replay", "--out", &site.text("early")], journal].concat())?;
        let why = String::from_utf8_lossy(&output.stderr);
        ensure!(!output.status.success() && why.contains("is open already"), "{:?} {why}", output.status);
    }
    ensure!(quell_process.terminate()?.0 == Some(0));

    let mut bytes = Vec::new();
    for out in ["once", "again"] {
        quell_ok(&[&["replay", "--out", &site.text(out)], journal].concat())?;
        let read = |name: &str| fs::read_to_string(site.path(out).join(name));
        bytes.push(FILES.into_iter().map(read).collect::<Result<Vec<_>, _>>()?);
    }
    ensure!(bytes[0] == bytes[1], "the same journal, other bytes");
    let lines = bytes[0][4].lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    let replayed = told(&lines, "revisions")?;
    ensure!(said == replayed, "{}", differences(&said, &replayed));
    ensure!(bytes[0][2].lines().count() == 1, "the letter: {}", bytes[0][2]);
    Ok(())
}

fn differences(said: &Told, replayed: &Told) -> String {
    let names: BTreeSet<_> = said.keys().chain(replayed.keys()).collect();
    let differ = names.into_iter().filter(|name| said.get(*name) != replayed.get(*name)).take(5);
    differ.map(|name| format!("{name}\n  {:?}\n  {:?}\n", said.get(name), replayed.get(name))).collect()
}

#[test]
fn a_drain_leaves_nothing_to_fold() -> anyhow::Result<()> {
    let site = site("")?;
    let events = stream::generate(8, 4_000);
    let quell_process = site.run()?;
    send(&quell_process, &events)?;
    quell_process.kill()?;
    let drained = Command::new(binary()).args(["run", "--drain", "--config", &site.text("quell.toml")]).output()?;
    ensure!(drained.status.code() == Some(0), "{drained:?}");
    let recovers = |said: &str| said.contains(" recovering ");
    ensure!(recovers(&String::from_utf8_lossy(&drained.stderr)) || recovers(&String::from_utf8_lossy(&drained.stdout)));
    fs::remove_file(site.path("quell.log"))?;
    let quell_process = site.run()?;
    let said = fs::read_to_string(site.path("quell.log"))?;
    ensure!(!recovers(&said), "{said}");
    quell_process.metric_becomes("quell_events_received_total", events.len() as f64)?;
    ensure!(!ask(&site, &["incidents", "--all"])?.is_empty() && get(quell_process.address, "/ready")?.0 == 200);
    Ok(())
}

#[test]
fn a_configuration_that_was_superseded_says_so_until_it_is_applied() -> anyhow::Result<()> {
    let site = Site::new("", "")?;
    let config = fs::read_to_string(site.path("quell.toml"))?;
    let warns = |speak_at: &str, more: &[&str]| -> anyhow::Result<bool> {
        fs::write(site.path("quell.toml"), format!("{config}[score]\nspeak_at = {speak_at}\n"))?;
        let args = ["run", "--drain", "--config", &site.text("quell.toml")];
        let ran = Command::new(binary()).args(args).args(more).output()?;
        ensure!(ran.status.code() == Some(0), "{ran:?}");
        let said = [ran.stdout, ran.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        Ok(said.contains("it was version 1, and version 2, applied since"))
    };
    ensure!(!warns("0.5", &[])? && !warns("0.6", &[])?);
    ensure!(warns("0.5", &[])?, "it does not hold");
    ensure!(!warns("0.5", &["--apply"])? && !warns("0.5", &[])?, "it does again");
    Ok(())
}
