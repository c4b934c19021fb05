//! What is learned from history: a model is tried in a replay, adopted by a service through its journal, and taken back.
use anyhow::{Context as _, bail, ensure};
use quell::model::{HeldOut, Learned, Measure, Model, Weighing};
use quell_core::domain::policy::Weights;
use quell_proto::v1::{
    ApplyModelRequest, Incident, ListIncidentsRequest, ListModelsRequest, PublishEventsRequest, RestoreModelRequest,
    quell_client::QuellClient,
};
use quell_tests::process::{Site, quell, quell_ok};
use serde_json::json;
use std::{fs, path::Path};
use tonic::{Code, transport::Channel};

/// 2026-01-05T00:00:00Z
const T0: i64 = 1_767_571_200_000;
const OUTAGES: i64 = 80;

/// A database and three services that need it, on a host each.
fn topology() -> String {
    let service = |id: &str| json!({"id": id, "entities": [format!("{id}-1")], "depends_on": if id == "db" { vec![] } else { vec!["db"] }});
    let services: Vec<_> = ["db", "pay", "shop", "mail"].map(service).into();
    json!({"entities": [], "services": services}).to_string()
}

fn event(n: usize, seconds: i64, entity: &str, check: &str, status: &str) -> String {
    json!({"id": format!("e{n}"), "time": T0 + seconds * 1_000, "origin": "test", "entity": entity, "check": check,
           "status": status, "severity": "major"})
    .to_string()
}

/// Every hour the database and who needs it fail together; a backup is late by itself now and then. With the labels.
fn recorded() -> (String, String) {
    let mut all: Vec<(i64, &str, &str, &str, String)> = Vec::new();
    for outage in 0..OUTAGES {
        let at = outage * 3_600;
        for (n, (entity, check)) in
            [("db-1", "latency"), ("pay-1", "errors"), ("shop-1", "errors"), ("mail-1", "queue")]
                .into_iter()
                .enumerate()
        {
            let from = at + 7 * n as i64 + outage % 5;
            all.push((from, entity, check, "firing", format!("outage {outage}")));
            all.push((from + 600, entity, check, "resolved", format!("outage {outage}")));
        }
        let alone = at + (outage * 97) % 1_800;
        all.push((alone, "backup-1", "late", "firing", "noise".to_owned()));
        all.push((alone + 300, "backup-1", "late", "resolved", "noise".to_owned()));
    }
    all.sort();
    let (mut events, mut labels) = (String::new(), "event_id,label\n".to_owned());
    for (n, (at, entity, check, status, label)) in all.iter().enumerate() {
        events += &(event(n, *at, entity, check, status) + "\n");
        labels += &format!("e{n},{label}\n");
    }
    (events, labels)
}

fn assignments(dir: &Path, out: &str, more: &[&str]) -> anyhow::Result<String> {
    let path = |name: &str| dir.join(name).display().to_string();
    let (topology, events, out) = (path("topology.json"), path("events.jsonl"), path(out));
    let args = ["replay", "--topology", &topology, "--events", &events, "--out", &out];
    quell_ok(&[&args[..], more].concat())?;
    Ok(fs::read_to_string(Path::new(&out).join("assignments.csv"))?)
}

#[test]
fn what_is_learned_says_how_well_it_does_and_changes_a_replay() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (events, labels) = recorded();
    fs::write(path("topology.json"), topology())?;
    fs::write(path("events.jsonl"), events)?;
    fs::write(path("labels.csv"), labels)?;
    let (topology, events, labels, out) =
        (path("topology.json"), path("events.jsonl"), path("labels.csv"), path("model.json"));
    let args = ["learn", "--topology", &topology, "--events", &events, "--labels", &labels, "--out", &out];
    let told = quell_ok(&args)?;
    let model = Model::read_file(Path::new(&out))?;
    let Some(Weighing { weights, learned: of, held_out }) = &model.weighing else { bail!("{model:?}") };
    ensure!(of.labelled == of.alerts && of.alerts >= 4 * OUTAGES as usize && of.decisions >= 100, "{of:?}");
    ensure!(*weights != Weights::default(), "{model:?}");
    ensure!(held_out.alerts > 0 && held_out.learned.f1 > 0.5, "{model:?}");
    for what in ["held out: ", "built in", "precision", &format!("{:.4}", held_out.learned.f1)] {
        ensure!(told.contains(what), "{what}: {told}");
    }
    ensure!(model.patterns.iter().any(|p| p.checks == ["errors", "latency", "queue"]), "{:?}", model.patterns);
    ensure!(quell_ok(&args)? == told && Model::read_file(Path::new(&out))? == model, "it is the same each time");

    // By a model for which places say nothing, and backgrounds hardly, the grouping is another one.
    let weighing =
        Weighing { weights: Weights::from([1.0, 1.0, 0.0, 1.0, 0.7]), learned: of.clone(), held_out: held_out.clone() };
    let blind = Model { weighing: Some(weighing), ..model.clone() };
    fs::write(path("blind.json"), blind.json())?;
    let before = assignments(dir.path(), "before", &[])?;
    ensure!(assignments(dir.path(), "blind", &["--model", &path("blind.json")])? != before);
    ensure!(assignments(dir.path(), "after", &[])? == before);
    Ok(())
}

/// Each half an hour a leak at a host, then errors at another that nothing links to it, and a backup that is late by itself.
fn leaks() -> String {
    let mut all: Vec<(i64, &str, &str)> = Vec::new();
    for n in 0..150 {
        let at = 1_800 * n;
        all.push((at, "cache-1", "leak"));
        if n % 4 != 0 {
            all.push((at + 20 + (n * 37) % 60, "cache-1", "errors"));
        }
        all.push((at + (n * 997) % 1_800, "backup-1", "late"));
    }
    all.sort_unstable();
    let line = |(n, (at, entity, check)): (usize, &(i64, &str, &str))| {
        event(2 * n, *at, entity, check, "firing")
            + "\n"
            + &event(2 * n + 1, at + 300, entity, check, "resolved")
            + "\n"
    };
    all.iter().enumerate().map(line).collect()
}

#[test]
fn causes_are_found_told_with_what_chance_gives_and_change_a_replay() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let path = |name: &str| dir.path().join(name).display().to_string();
    fs::write(path("history.jsonl"), leaks())?;
    fs::write(path("topology.json"), topology())?;
    let (history, out, both) = (path("history.jsonl"), path("causes.json"), path("both.json"));
    let args = ["causes", "--events", &history, "--out", &out];
    let told = quell_ok(&args)?;
    ensure!(told.contains("edges: 1; in shuffled times about 0."), "{told}");
    ensure!(told.lines().any(|line| line.starts_with("leak") && line.contains("errors")), "{told}");
    ensure!(told.lines().filter(|line| !line.contains("is written")).all(|line| line.len() <= 80), "{told}");
    let model = Model::read_file(Path::new(&out))?;
    let [edge] = &*model.causality else { bail!("{model:?}") };
    ensure!((&*edge.cause, &*edge.effect) == ("leak", "errors") && model.weighing.is_none(), "{edge:?}");
    ensure!(edge.share > 0.5 && edge.share < 1.0 && edge.within.0 <= 100_000, "{edge:?}");
    ensure!(quell_ok(&args)? == told && Model::read_file(Path::new(&out))? == model, "it is the same each time");
    let json: serde_json::Value = serde_json::from_str(&quell_ok(&["causes", "--events", &history, "--json"])?)?;
    ensure!(json["edges"][0]["cause"] == "leak" && json["timing_carries_it"] == true && json["checks"] == 3, "{json}");

    // Where it is known, two alerts that have little else in common are one episode.
    let later = [
        event(0, 0, "cache-1", "leak", "firing"),
        event(1, 40, "web-7", "errors", "firing"),
        event(2, 45, "backup-1", "late", "firing"),
    ];
    fs::write(path("events.jsonl"), later.join("\n"))?;
    let before = assignments(dir.path(), "before", &[])?;
    let known = assignments(dir.path(), "known", &["--model", &out])?;
    ensure!(known != before, "{known}");

    // Onto weights that are there; what is not written is not there.
    let weights = Weighing {
        weights: Weights::default(),
        learned: Learned { events: 1, alerts: 1, labelled: 1, decisions: 1 },
        held_out: HeldOut {
            since: String::new(),
            alerts: 1,
            built_in: Measure { precision: 0.5, recall: 0.5, f1: 0.5 },
            learned: Measure { precision: 0.5, recall: 0.5, f1: 0.5 },
        },
    };
    fs::write(path("weights.json"), Model::weighs(weights.clone(), Vec::new()).json())?;
    quell_ok(&["causes", "--events", &history, "--onto", &path("weights.json"), "--out", &both])?;
    let joined = Model::read_file(Path::new(&both))?;
    ensure!(joined.weighing == Some(weights) && joined.causality == model.causality, "{joined:?}");
    let none = quell(&["causes", "--events", &path("events.jsonl"), "--out", &path("none.json")])?;
    let said = String::from_utf8_lossy(&none.stderr).into_owned();
    ensure!(none.status.code() == Some(2) && said.contains("there is no edge"), "{said}");
    ensure!(!Path::new(&path("none.json")).exists());
    Ok(())
}

#[test]
fn what_teaches_nothing_is_said() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let path = |name: &str| dir.path().join(name).display().to_string();
    fs::write(path("events.jsonl"), event(0, 0, "db-1", "latency", "firing") + "\n")?;
    fs::write(path("labels.csv"), "event,label\ne0,x\n")?;
    let (events, labels, out) = (path("events.jsonl"), path("labels.csv"), path("model.json"));
    let fails = |more: &[&str], what: &str| {
        let output = quell(&[&["learn", "--events", &events, "--out", &out][..], more].concat())?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.code() == Some(2) && told.contains(what), "{:?} {told}", output.status);
        anyhow::Ok(())
    };
    let few = "events.jsonl: only 0 decisions to learn from, where 100 are needed: ";
    fails(&[], &format!("{few}a longer history is needed"))?;
    fails(&[], "lines: 1; events: 1; alerts: 1\nA decision is an alert")?;
    let other = path("other.csv");
    fs::write(&other, "event_id,label\nnone,x\n")?;
    fails(&["--labels", &other], &format!("{few}no `event_id` of the labels is"))?;
    fails(&["--labels", &other], "alerts: 1; labels of its events: 0 of 1")?;
    for (text, what) in [("", "there is nothing in it"), ("no event\n", "none of its lines is an event")] {
        fs::write(&events, text)?;
        fails(&[], &format!("{few}{what}"))?;
    }
    fs::write(&events, event(0, 0, "db-1", "latency", "firing") + "\n")?;
    fails(&["--labels", &labels], "labels.csv:1: it has no columns `event_id` and `label`")?;
    ensure!(!Path::new(&out).exists());
    fs::write(path("none.jsonl"), event(0, 0, "db-1", "latency", "resolved") + "\nno event\n")?;
    let output = quell(&["causes", "--events", &path("none.jsonl")])?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(2) && told.contains("none.jsonl: nothing in it fires; of what"), "{told}");
    let output = quell(&["model", "apply", &labels])?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(2) && told.contains("labels.csv: this is no model"), "{told}");
    Ok(())
}

async fn publish(client: &mut QuellClient<Channel>, events: Vec<String>) -> anyhow::Result<Vec<Incident>> {
    let published = client.publish_events(futures::stream::iter([PublishEventsRequest { events }])).await?.into_inner();
    ensure!(published.refused_count == 0, "{published:?}");
    let asked = ListIncidentsRequest { min_position: published.position, ..Default::default() };
    Ok(client.list_incidents(asked).await?.into_inner().incidents)
}

/// An outage of two an hour after the one before: what the place of the second alert said.
async fn place_of(client: &mut QuellClient<Channel>, hour: i64) -> anyhow::Result<f64> {
    let at = |n: i64, entity: &str, check: &str, status: &str| {
        event((100 * hour + n) as usize, 3_600 * hour + 10 * n, entity, check, status)
    };
    let events = vec![
        at(0, "db-1", "latency", "firing"),
        at(1, "pay-1", "errors", "firing"),
        at(40, "pay-1", "errors", "firing"),
        at(60, "db-1", "latency", "resolved"),
        at(61, "pay-1", "errors", "resolved"),
    ];
    let incidents = publish(client, events).await?;
    let opened =
        incidents.iter().max_by_key(|incident| incident.opened_at.map(|at| at.seconds)).context("an incident")?;
    let parts = opened.alerts.iter().flat_map(|alert| &alert.parts);
    let place = parts.into_iter().find(|part| part.name == "place");
    Ok(place.context("the second was weighed, and is with the first")?.log_odds)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_is_adopted_through_the_journal_and_taken_back() -> anyhow::Result<()> {
    let site = Site::new(&topology(), "[journal]\npartitions = 3\nclock = \"events\"")?;
    let quell = site.run()?;
    let mut client = site.client().await?;
    ensure!(place_of(&mut client, 0).await? != 0.0);

    let blind = site.path("blind.json");
    let measure = Measure { precision: 0.5, recall: 0.5, f1: 0.5 };
    let weighing = Weighing {
        weights: Weights::from([1.0, 1.0, 0.0, 1.0, 1.0]),
        learned: Learned { events: 1, alerts: 1, labelled: 1, decisions: 1 },
        held_out: HeldOut { since: String::new(), alerts: 1, built_in: measure, learned: measure },
    };
    let model = Model::weighs(weighing, Vec::new());
    fs::write(&blind, model.json())?;
    let server = site.server();
    let command = |args: &[&str]| quell_ok(&[args, &["--server", &server]].concat());
    let (blind, listed) = (blind.display().to_string(), command(&["model", "list"])?);
    ensure!(listed.contains("none"), "{listed}");
    let applied = command(&["model", "apply", &blind])?;
    ensure!(applied == "version 1: it holds\n", "{applied}");
    ensure!(place_of(&mut client, 1).await? == 0.0, "places count nothing");

    // It holds over a restart, and what was is in the journal.
    ensure!(quell.terminate()?.0 == Some(0));
    let quell = site.run()?;
    let mut client = site.client().await?;
    ensure!(place_of(&mut client, 2).await? == 0.0);
    let restored = command(&["model", "restore"])?;
    ensure!(restored == "version 2: what is built in and configured holds\n", "{restored}");
    ensure!(place_of(&mut client, 3).await? != 0.0);
    let again = client.restore_model(RestoreModelRequest { version: 1 }).await?.into_inner();
    ensure!(again.version == 3 && Model::read(&again.json)? == model && again.active, "{again:?}");
    let listed = client.list_models(ListModelsRequest {}).await?.into_inner().models;
    ensure!(listed.iter().map(|m| (m.version, m.active)).eq([(1, false), (2, false), (3, true)]), "{listed:?}");
    let shown = command(&["model", "list"])?;
    ensure!(shown.contains("1 1 0 1 1") && shown.contains("built in and configured"), "{shown}");
    let missing = client.restore_model(RestoreModelRequest { version: 9 }).await.err().context("refused")?;
    ensure!(missing.code() == Code::NotFound, "{missing}");
    let bad = client.apply_model(ApplyModelRequest::default()).await.err().context("refused")?;
    ensure!(bad.code() == Code::InvalidArgument, "{bad}");

    // Offline the same is concluded, with each model where it was adopted.
    ensure!(quell.terminate()?.0 == Some(0));
    let (data, out) = (site.path("data").display().to_string(), site.path("out").display().to_string());
    quell_ok(&["replay", "--journal", &data, "--out", &out])?;
    let rows = fs::read_to_string(Path::new(&out).join("assignments.csv"))?;
    ensure!(rows.lines().count() == 1 + 4 * 5, "{rows}");
    // It can be learned from as well, where there is enough of it.
    let learned = quell_tests::process::quell(&["learn", "--journal", &data, "--out", &out])?;
    let told = String::from_utf8_lossy(&learned.stderr).into_owned();
    ensure!(learned.status.code() == Some(2) && told.contains("decisions to learn from"), "{told}");
    Ok(())
}
