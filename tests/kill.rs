//! The real binary, killed with SIGKILL by progress while a recorded stream comes from a real Apache Kafka: what the
//! feed says in the end is what an undisturbed replay of the same stream says, and no revision comes twice or is missing.
//! In one of the scopes people give commands meanwhile, again and again until they are answered: each is done once.
use anyhow::{Context as _, ensure};
use quell_proto::v1::{
    AcknowledgeIncidentRequest, CommentIncidentRequest, MergeIncidentsRequest, quell_client::QuellClient,
};
use quell_tests::{
    broker::{Broker, kafka},
    process::{Quell, binary, free_port, quell_ok},
    stream,
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tonic::Code;

const SOURCE_PARTITIONS: i32 = 4;
const KILLS: usize = 20;
const LIFE_MAX: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Journal {
    Local,
    Kafka,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_over_the_local_journal() -> anyhow::Result<()> {
    kill(Journal::Local, "killed_over_the_local_journal").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_over_the_journal_on_kafka() -> anyhow::Result<()> {
    kill(Journal::Kafka, "killed_over_the_journal_on_kafka").await
}

async fn kill(journal: Journal, test: &str) -> anyhow::Result<()> {
    let Some(brokers) = kafka(test) else { return Ok(()) };
    let kills = std::env::var("QUELL_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(KILLS);
    let seed = std::env::var("QUELL_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or_else(rand::random);
    println!("{test}: QUELL_SEED={seed} QUELL_KILLS={kills}");
    let mut random = StdRng::seed_from_u64(seed);

    let directory = TempDir::new()?;
    let events = stream::generate(seed, 6_000.max(kills * 200));
    let path = |name: &str| directory.path().join(name);
    let lines: Vec<&str> = events.iter().map(|event| event.json.as_str()).collect();
    fs::write(path("events.jsonl"), lines.join("\n") + "\n")?;
    fs::write(path("topology.json"), stream::topology())?;

    let (topic, prefix) = (format!("alerts-{seed:x}"), format!("quell-{seed:x}"));
    let broker = Broker::new(&brokers)?;
    broker.create(&topic, SOURCE_PARTITIONS).await?;
    let port = free_port();
    fs::write(path("quell.toml"), config(journal, &brokers, &topic, &prefix, directory.path(), port))?;

    let followed = Followed::default();
    let mut asked: Vec<Asked> = Vec::new();
    let (mut sent, mut folded, mut failures) = (0, 0.0, 0);
    for life in 0..kills {
        let mut quell = Quell::run(&path("quell.toml"), port, &path("quell.log"))?;
        quell.ready().with_context(|| tail(&path("quell.log")))?;
        let feed = followed.follow(quell.address)?;
        // A part of what is left; more of it than this life will see.
        let until = events.len() * (life + 1) / (kills + 1);
        let part: Vec<_> =
            events[sent..until].iter().map(|e| (e.partition(SOURCE_PARTITIONS), e.json.clone())).collect();
        sent = until;
        broker.send(&topic, &part).await?;
        if life == kills / 2 {
            failures += fail_appends(journal, &broker, &prefix, &mut quell, &topic, &events, &mut sent).await?;
        }
        for incident in followed.of_people(&mut random, 4) {
            let request_id = format!("asked-{}", asked.len());
            let what = random.random_range(0..3);
            let other = followed.of_people(&mut random, 1).pop();
            asked.push(Asked { request_id, incident, what, other, answer: None });
        }
        let asking = tokio::spawn(ask(quell.address, asked));
        // By progress: after it folded something of its own, at a random point of the part.
        let goal = folded + random.random_range(1.0..=(part.len() as f64 * 0.9).max(2.0));
        let since = Instant::now();
        loop {
            let now = quell.metric("quell_events_received_total").unwrap_or(folded);
            if now >= goal {
                folded = now;
                break;
            }
            ensure!(
                since.elapsed() < LIFE_MAX,
                "life {life} folds nothing: {now} of {goal}\n{}",
                tail(&path("quell.log"))
            );
            thread::sleep(Duration::from_millis(2));
        }
        // In every other life the answers come first; else whoever asks may never hear.
        if life % 2 == 0 {
            asked = asking.await??;
            quell.kill()?;
        } else {
            quell.kill()?;
            asked = asking.await??;
        }
        feed.end();
    }
    ensure!(failures > 0, "no append failed");

    let mut quell = Quell::run(&path("quell.toml"), port, &path("quell.log"))?;
    quell.ready().with_context(|| tail(&path("quell.log")))?;
    let feed = followed.follow(quell.address)?;
    let part: Vec<_> = events[sent..].iter().map(|e| (e.partition(SOURCE_PARTITIONS), e.json.clone())).collect();
    broker.send(&topic, &part).await?;
    let server = quell.address.to_string();
    let unanswered = asked.iter().filter(|asked| asked.answer.is_none()).count();
    let asked = ask(quell.address, asked).await?;
    quell_ok(&["settle", "--server", &server])?;
    let all = quell_ok(&["feed", "--server", &server, "--from", "beginning", "--json", "--exit-when-caught-up"])?;
    let all = all.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    quell.metric_becomes("quell_events_received_total", events.len() as f64)?;
    let since = Instant::now();
    while followed.len() < all.len() && since.elapsed() < Duration::from_secs(20) {
        thread::sleep(Duration::from_millis(50));
    }
    let skipped = quell.metric("quell_records_skipped_total")? + quell.metric("quell_packs_ignored_total")?;
    let (code, took) = quell.terminate()?;
    feed.end();
    ensure!(code == Some(0) && took < Duration::from_secs(10), "SIGTERM: code {code:?} after {took:?}");

    let out = path("replay");
    let strings = [path("events.jsonl"), path("topology.json"), out.clone()].map(|p| p.display().to_string());
    let config = path("quell.toml").display().to_string();
    quell_ok(&[
        "replay",
        "--config",
        &config,
        "--events",
        &strings[0],
        "--topology",
        &strings[1],
        "--out",
        &strings[2],
    ])?;
    let replayed = read_lines(&out.join("incidents.jsonl"))?;
    let out = path("refolded").display().to_string();
    let mut refold = vec!["replay", "--config", &config, "--out", &out, "--journal"];
    let data_dir = path("data").display().to_string();
    if journal == Journal::Local {
        refold.push(&data_dir);
    }
    quell_ok(&refold)?;
    let refolded = read_lines(&path("refolded").join("incidents.jsonl"))?;

    let live = revisions(&all)?;
    let resumed = revisions(&followed.updates())?;
    ensure!(live == resumed, "a feed that was followed over all lives says otherwise than one from the beginning");
    let said: BTreeMap<String, BTreeSet<String>> =
        all.iter().map(|u| (text(&u["incident"]["name"]).to_owned(), alerts(&u["incident"]))).collect();
    let of = |incidents: &'_ [Value]| -> BTreeMap<String, BTreeSet<String>> {
        incidents.iter().map(|i| (text(&i["name"]).to_owned(), alerts(i))).collect()
    };
    let again = of(&refolded);
    ensure!(said == again, "the feed and a replay of the journal differ:\n{}", difference(&said, &again));
    // The recorded events do not tell what people asked for, and when.
    let undisturbed = |mut all: BTreeMap<String, BTreeSet<String>>| {
        all.retain(|name, _| !name.starts_with(PEOPLES));
        all
    };
    let (said, told) = (undisturbed(said), undisturbed(of(&replayed)));
    ensure!(said == told, "the feed and the replay differ:\n{}", difference(&said, &told));
    let done = done_once(&asked, &all)?;
    ensure!(said.len() >= 20, "only {} incidents: the stream proves little", said.len());
    println!(
        "{test}: {kills} kills, {} events, {} incidents in {} revisions, each once; {failures} failed appends, {skipped} repeats skipped, {done} of {} commands done, {unanswered} answered only in the end",
        events.len(),
        said.len(),
        all.len(),
        asked.len()
    );
    Ok(())
}

/// Incidents of this scope people have a hand in.
const PEOPLES: &str = "scopes/region-5/";

/// A command, and what came of it.
struct Asked {
    request_id: String,
    incident: String,
    what: u32,
    other: Option<String>,
    answer: Option<Code>,
}

/// Asks for all, also once more for what was answered; an answer that was given is given again.
async fn ask(address: SocketAddr, mut all: Vec<Asked>) -> anyhow::Result<Vec<Asked>> {
    let Ok(mut client) = QuellClient::connect(format!("http://{address}")).await else { return Ok(all) };
    for asked in &mut all {
        let (name, request_id, comment) = (asked.incident.clone(), asked.request_id.clone(), asked.request_id.clone());
        let actor = "ann".to_owned();
        let reply = match (asked.what, asked.other.clone().filter(|other| *other != name)) {
            (0, _) => {
                client
                    .acknowledge_incident(AcknowledgeIncidentRequest {
                        name,
                        request_id,
                        actor,
                        comment,
                        ..Default::default()
                    })
                    .await
            }
            (1, Some(other)) => {
                client
                    .merge_incidents(MergeIncidentsRequest {
                        name,
                        request_id,
                        actor,
                        comment,
                        other,
                        ..Default::default()
                    })
                    .await
            }
            _ => client.comment_incident(CommentIncidentRequest { name, request_id, actor, comment }).await,
        };
        let code = reply.map_or_else(|status| status.code(), |_| Code::Ok);
        // Whoever hears nothing asks again.
        if !matches!(code, Code::Ok | Code::FailedPrecondition | Code::NotFound | Code::InvalidArgument) {
            continue;
        }
        let before = asked.answer.replace(code);
        ensure!(before.is_none_or(|before| before == code), "{}: {before:?}, then {code:?}", asked.request_id);
    }
    Ok(all)
}

/// What was said with a command stands once in each timeline in which it stands at all, and in one if it was done; how many
/// were.
fn done_once(asked: &[Asked], all: &[Value]) -> anyhow::Result<usize> {
    let last: BTreeMap<&str, &Value> = all.iter().map(|u| (text(&u["incident"]["name"]), &u["incident"])).collect();
    let mut done = 0;
    for asked in asked {
        let code = asked.answer.with_context(|| format!("{} has no answer", asked.request_id))?;
        let times = last.values().map(|incident| {
            let timeline = incident["timeline"].as_array().map_or(&[][..], Vec::as_slice);
            timeline.iter().filter(|entry| entry["text"] == *asked.request_id).count()
        });
        let times: Vec<usize> = times.filter(|n| *n > 0).collect();
        ensure!(times.iter().all(|n| *n == 1), "{}: said {times:?} times", asked.request_id);
        ensure!(times.is_empty() != (code == Code::Ok), "{}: {code:?}, and said {times:?} times", asked.request_id);
        done += usize::from(code == Code::Ok);
    }
    ensure!(asked.len() < 2 || done > 0, "no command was done");
    Ok(done)
}

fn read_lines(path: &Path) -> anyhow::Result<Vec<Value>> {
    Ok(fs::read_to_string(path)?.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

fn config(journal: Journal, brokers: &str, topic: &str, prefix: &str, directory: &Path, port: u16) -> String {
    let kind = if journal == Journal::Local { "local" } else { "kafka" };
    let data_dir = directory.join("data");
    format!(
        r#"
data_dir = "{}"
topology = "topology.json"
[server]
listen = "127.0.0.1:{port}"
[journal]
kind = "{kind}"
partitions = 4
clock = "events"
[kafka]
brokers = "{brokers}"
prefix = "{prefix}"
[engine]
snapshot_interval = "300ms"
[[source]]
kind = "kafka"
topics = ["{topic}"]
"#,
        data_dir.display()
    )
}

/// An append is made to fail, and then to succeed: on Kafka the journal's topic takes no record for a while; a local
/// journal has no room on its disk: the process, which must not go on after that, ends and is started again.
async fn fail_appends(
    journal: Journal,
    broker: &Broker,
    prefix: &str,
    quell: &mut Quell,
    topic: &str,
    events: &[stream::StreamEvent],
    sent: &mut usize,
) -> anyhow::Result<usize> {
    let next = (*sent + 40).min(events.len());
    let part: Vec<_> = events[*sent..next].iter().map(|e| (e.partition(SOURCE_PARTITIONS), e.json.clone())).collect();
    *sent = next;
    match journal {
        Journal::Kafka => {
            let own = format!("{prefix}.journal");
            broker.set_max_message_bytes(&own, 10).await?;
            broker.send(topic, &part).await?;
            let since = Instant::now();
            while quell.metric("quell_ingest_sessions_failed_total")? == 0.0 {
                ensure!(since.elapsed() < Duration::from_secs(30), "no append fails");
                thread::sleep(Duration::from_millis(20));
            }
            broker.set_max_message_bytes(&own, 1_048_576).await?;
        }
        Journal::Local => {
            let limit = |bytes: &str| {
                let limits = format!("--fsize={bytes}:unlimited");
                Command::new("prlimit").args(["--pid", &quell.pid().to_string(), &limits]).status()
            };
            ensure!(limit("1")?.success(), "prlimit can't fill the disk");
            broker.send(topic, &part).await?;
            quell.ends_by_itself(Duration::from_secs(30))?;
            quell.start_again()?;
            quell.ready()?;
        }
    }
    Ok(1)
}

/// A feed client that goes on from its cursor, life after life.
#[derive(Clone, Default)]
struct Followed(Arc<Mutex<Vec<Value>>>);

struct Feed {
    child: Child,
    reader: JoinHandle<()>,
}

impl Followed {
    fn follow(&self, address: SocketAddr) -> anyhow::Result<Feed> {
        let updates = self.updates();
        let from = updates.last().map_or("beginning", |update| text(&update["cursor"]));
        let mut child = Command::new(binary())
            .args(["feed", "--server", &address.to_string(), "--json", "--from", from])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let lines = BufReader::new(child.stdout.take().context("a pipe")?).lines();
        let all = self.0.clone();
        let reader = thread::spawn(move || {
            // A line that was cut by the kill was not received.
            for update in lines.map_while(Result::ok).map_while(|line| serde_json::from_str(&line).ok()) {
                all.lock().unwrap_or_else(PoisonError::into_inner).push(update);
            }
        });
        Ok(Feed { child, reader })
    }

    fn updates(&self) -> Vec<Value> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Some incidents that people have a hand in, of those heard of.
    fn of_people(&self, random: &mut StdRng, n: usize) -> Vec<String> {
        let updates = self.updates();
        let names = updates.iter().map(|u| text(&u["incident"]["name"])).filter(|name| name.starts_with(PEOPLES));
        let names: Vec<&str> = names.collect::<BTreeSet<_>>().into_iter().collect();
        (0..n).filter_map(|_| names.get(random.random_range(0..names.len().max(1)))).map(|n| (*n).to_owned()).collect()
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Feed {
    fn end(mut self) {
        // It may have ended with its server.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = self.reader.join();
    }
}

/// The revisions of each incident, in the order they came: 1, 2, 3 …
fn revisions(updates: &[Value]) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    for update in updates {
        let name = text(&update["incident"]["name"]).to_owned();
        let revision = update["incident"]["revision"].as_u64().context("a revision")?;
        let before = last.insert(name.clone(), revision).unwrap_or(0);
        ensure!(revision == before + 1, "{name}: revision {revision} after {before}");
    }
    Ok(last)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn alerts(incident: &Value) -> BTreeSet<String> {
    let all = incident["alerts"].as_array().map_or(&[][..], Vec::as_slice);
    all.iter().map(|a| format!("{} {}", text(&a["entity"]), text(&a["check"]))).collect()
}

fn difference(a: &BTreeMap<String, BTreeSet<String>>, b: &BTreeMap<String, BTreeSet<String>>) -> String {
    let names: BTreeSet<_> = a.keys().chain(b.keys()).collect();
    let differ = names.into_iter().filter(|name| a.get(name.as_str()) != b.get(name.as_str()));
    differ
        .take(10)
        .map(|name| format!("{name}\n  feed   {:?}\n  replay {:?}\n", a.get(name.as_str()), b.get(name.as_str())))
        .collect()
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().rev().take(30).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}
