//! `quell replay` from its arguments to its files.
use quell::commands::{
    BadInput,
    replay::{Console, ReplayArgs, run_on},
};
use quell_connectors::decode::time::rfc3339;
use serde_json::Value;
use std::{collections::BTreeMap, error::Error, fs, path::PathBuf};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

const FILES: [&str; 6] =
    ["alerts.jsonl", "assignments.csv", "deadletter.jsonl", "episodes.jsonl", "incidents.jsonl", "summary.json"];
const HEADER: &str = "event_id,alert_id,episode_id,incident_id\n";
const TOPOLOGY: &str = r#"{"services":[{"id":"db","entities":["db-1"]},{"id":"shop","depends_on":["db"],
    "entities":["shop-1","shop-2"]}]}"#;

/// A directory, the arguments of a replay in it, and what it printed.
struct Replay {
    dir: tempfile::TempDir,
    args: ReplayArgs,
    stdin: String,
    stdout: String,
    stderr: String,
}

impl Replay {
    fn of(text: &str) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let (events, topology) = (dir.path().join("events.jsonl"), dir.path().join("topology.json"));
        fs::write(&events, text)?;
        fs::write(&topology, TOPOLOGY)?;
        let out = dir.path().join("a/b");
        let (topology, events) = (Some(topology), Some(events));
        let args =
            ReplayArgs { config: None, topology, model: None, until: None, strict: false, events, journal: None, out };
        Ok(Self { dir, args, stdin: String::new(), stdout: String::new(), stderr: String::new() })
    }

    fn run(&mut self) -> anyhow::Result<()> {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let stdin = &mut self.stdin.as_bytes();
        let done = run_on(&self.args, Console { stdin, stdout: &mut stdout, stderr: &mut stderr });
        self.stdout = String::from_utf8(stdout)?;
        self.stderr = String::from_utf8(stderr)?;
        done
    }

    fn text(&self, name: &str) -> Result<String> {
        Ok(fs::read_to_string(self.args.out.join(name))?)
    }

    fn lines(&self, name: &str) -> Result<Vec<Value>> {
        Ok(self.text(name)?.lines().map(serde_json::from_str).collect::<std::result::Result<_, _>>()?)
    }

    fn summary(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.text("summary.json")?)?)
    }

    fn files(&self) -> Result<BTreeMap<&'static str, String>> {
        FILES.into_iter().map(|name| Ok((name, self.text(name)?))).collect()
    }
}

fn event(id: &str, second: usize, entity: &str, check: &str, status: &str) -> String {
    let (minute, second) = (second / 60, second % 60);
    let time = format!("2026-01-02T03:{minute:02}:{second:02}Z");
    format!(
        r#"{{"id":"{id}","time":"{time}","origin":"mon","entity":"{entity}","check":"{check}","status":"{status}","severity":"major"}}"#
    ) + "\n"
}

/// A database fails, two shops follow, each says so five times; all recover after ten minutes: 18 events.
fn outage() -> String {
    let mut text = String::new();
    let broken = [("db-1", "Down"), ("shop-1", "Errors"), ("shop-2", "Errors")];
    for repeat in 0..6 {
        for (n, (entity, check)) in broken.into_iter().enumerate() {
            let (at, status) = if repeat < 5 { (60 * repeat, "firing") } else { (600, "resolved") };
            text += &event(&format!("{n}-{repeat}"), at + n, entity, check, status);
        }
    }
    text
}

#[test]
fn an_outage_is_one_incident() -> Result {
    let mut replay = Replay::of(&outage())?;
    replay.run()?;
    let (alerts, episodes, incidents) =
        (replay.lines("alerts.jsonl")?, replay.lines("episodes.jsonl")?, replay.lines("incidents.jsonl")?);
    assert_eq!((alerts.len(), episodes.len(), incidents.len()), (3, 1, 1), "{}", replay.stdout);
    let (alert, episode, incident) = (&alerts[0], &episodes[0], &incidents[0]);
    assert_eq!((&alert["count"], &alert["state"], &alert["expired"]), (&5.into(), &"cleared".into(), &false.into()));
    assert_eq!(alert["opened_at"], "2026-01-02T03:00:00.000Z");
    assert_eq!(alert["cleared_at"], "2026-01-02T03:10:00.000Z");
    let states = |of: &Value| -> Vec<String> {
        of["transitions"].as_array().into_iter().flatten().map(|t| t["to"].as_str().unwrap_or("?").to_owned()).collect()
    };
    assert_eq!(states(alert), ["open", "cleared"]);
    assert_eq!(states(incident), ["new", "resolved", "closed"]);
    assert_eq!((&incident["merged_into"], &incident["number"]), (&Value::Null, &1.into()));
    assert_eq!(incident["causes"][0]["entity"], "db-1");
    assert_eq!(incident["alerts"].as_array().map(Vec::len), Some(3));
    assert_eq!((&alert["incident"], &episode["incident"]), (&incident["name"], &incident["name"]));
    let text = replay.text("assignments.csv")?;
    let rows: Vec<&str> = text.strip_prefix(HEADER).ok_or("no header")?.lines().collect();
    assert_eq!(rows.len(), 18);
    let expected: Vec<&str> = [alert, episode, incident].iter().filter_map(|of| of["name"].as_str()).collect();
    assert_eq!(rows[0], format!("0-0,{}", expected.join(",")));
    assert!(replay.stdout.lines().all(|line| line.len() <= 80) && replay.stdout.contains("incidents"));
    assert!(replay.stderr.is_empty());
    Ok(())
}

#[test]
fn what_was_suppressed_is_a_dash() -> Result {
    let mut replay = Replay::of(&outage())?;
    let config = replay.dir.path().join("quell.toml");
    // It covers all of one shop, and of the database all but the recovery.
    fs::write(
        &config,
        r#"
        [[maintenance]]
        id = "shop"
        entities = ["shop-1"]
        schedule = { start = "2026-01-02T03:00:00Z", end = "2026-01-02T04:00:00Z" }
        [[maintenance]]
        id = "db"
        entities = ["db-1"]
        schedule = { start = "2026-01-02T03:00:00Z", end = "2026-01-02T03:05:00Z" }
        "#,
    )?;
    replay.args.config = Some(config);
    replay.run()?;
    let text = replay.text("assignments.csv")?;
    let episodes_of = |id: &str| -> Vec<&str> {
        let rows = text.lines().filter(|row| row.starts_with(id));
        rows.map(|row| row.split(',').nth(2).unwrap_or("?")).collect()
    };
    assert_eq!(episodes_of("1-"), ["-"; 6]);
    let of_db = episodes_of("0-");
    assert_eq!(of_db[..5], ["-"; 5]);
    assert!(of_db[5].contains("episodes/"), "{of_db:?}");
    assert!(!episodes_of("2-").contains(&"-"));
    let alerts = replay.lines("alerts.jsonl")?;
    let shop = alerts.iter().find(|alert| alert["entity"] == "shop-1").ok_or("an alert")?;
    assert_eq!(
        (&shop["suppressed_by"], &shop["episode"], &shop["count"]),
        (&"scopes/default/maintenanceWindows/shop".into(), &Value::Null, &5.into())
    );
    assert_eq!(replay.summary()?["ledger"]["suppressed"], 10);
    Ok(())
}

#[test]
fn two_replays_are_the_same_bytes() -> Result {
    let mut replay = Replay::of(&(outage() + "nonsense\n" + &event("late", 1, "shop-9", "Disk", "firing")))?;
    replay.run()?;
    let first = replay.files()?;
    replay.run()?;
    assert_eq!(first, replay.files()?, "over the files of before");
    replay.args.out = replay.dir.path().join("other");
    replay.run()?;
    assert_eq!(first, replay.files()?);
    Ok(())
}

#[test]
fn bad_lines_are_named_and_kept() -> Result {
    let long = format!(r#"{{"summary":"{}"}}"#, "x".repeat(300_000));
    let mut replay = Replay::of(&format!("not json\n\n{}{{\"entity\":\"e\"}}\n{long}\n", outage()))?;
    replay.run()?;
    let (file, stderr, bytes) =
        (replay.dir.path().join("events.jsonl").display().to_string(), replay.stderr.clone(), long.len());
    let named: Vec<&str> = stderr.lines().collect();
    assert_eq!(named.len(), 3);
    assert!(named[0].starts_with(&format!("{file}:1: not readable as JSON")), "{stderr}");
    assert_eq!(named[1], format!("{file}:21: time: missing"));
    assert_eq!(named[2], format!("{file}:22: {bytes} bytes; an event has at most 262144"));
    let letters = replay.lines("deadletter.jsonl")?;
    assert_eq!((letters.len(), &letters[0]["line"], &letters[0]["text"]), (3, &1.into(), &"not json".into()));
    assert_eq!(letters[2]["text"].as_str().map(str::len), Some(64 * 1024));
    let summary = replay.summary()?;
    assert_eq!((&summary["ledger"]["rejected"], &summary["incidents"]["announced"]), (&3.into(), &1.into()));

    replay.args.strict = true;
    let error = replay.run().expect_err("strict");
    assert!(error.is::<BadInput>() && error.to_string().contains("3 lines are no events"), "{error}");
    assert_eq!(replay.lines("incidents.jsonl")?.len(), 1, "all is written before");
    Ok(())
}

#[test]
fn many_bad_lines_are_counted() -> Result {
    let mut replay = Replay::of(&"x\n".repeat(1_234))?;
    replay.run()?;
    assert_eq!(replay.stderr.lines().count(), 21);
    assert!(replay.stderr.ends_with("and 1214 more bad lines: see deadletter.jsonl\n"), "{}", replay.stderr);
    assert_eq!(replay.lines("deadletter.jsonl")?.len(), 1_234);
    Ok(())
}

#[test]
fn time_stops_at_until() -> Result {
    let mut replay = Replay::of(&outage())?;
    replay.args.until = Some(rfc3339("2026-01-02T03:05:00Z")?);
    replay.run()?;
    let (alerts, incidents) = (replay.lines("alerts.jsonl")?, replay.lines("incidents.jsonl")?);
    assert!(alerts.iter().all(|alert| alert["state"] == "open" && alert["cleared_at"].is_null()), "{alerts:?}");
    assert!(alerts.iter().all(|alert| alert["count"] == 5), "what has not been said yet counts too: {alerts:?}");
    assert_eq!((incidents.len(), &incidents[0]["state"]), (1, &"new".into()));
    let summary = replay.summary()?;
    assert_eq!((&summary["events"]["after_until"], &summary["alerts"]["open"]), (&3.into(), &3.into()));
    // What is due by then happens, and nothing else.
    for (until, incidents) in [("2026-01-02T03:00:29Z", 0), ("2026-01-02T03:00:59Z", 1)] {
        replay.args.until = Some(rfc3339(until)?);
        replay.run()?;
        assert_eq!(replay.lines("incidents.jsonl")?.len(), incidents, "{until}");
    }
    Ok(())
}

#[test]
fn an_origin_and_id_is_one_row() -> Result {
    let twice: String = outage().lines().flat_map(|line| [line, "\n", line, "\n"]).collect();
    let (mut once, mut again) = (Replay::of(&outage())?, Replay::of(&twice)?);
    once.run()?;
    again.run()?;
    for name in ["assignments.csv", "alerts.jsonl", "episodes.jsonl", "incidents.jsonl"] {
        assert_eq!(once.text(name)?, again.text(name)?, "{name}");
    }
    let summary = again.summary()?;
    assert_eq!((&summary["ledger"]["redelivered"], &summary["events"]["distinct"]), (&18.into(), &18.into()));
    Ok(())
}

#[test]
fn ids_are_quoted_where_needed() -> Result {
    let mut replay = Replay::of(&event(r#"a,\"b"#, 0, "e", "c", "resolved"))?;
    replay.run()?;
    assert_eq!(replay.text("assignments.csv")?, format!("{HEADER}\"a,\"\"b\",,,\n"));
    Ok(())
}

#[test]
fn nothing_is_concluded_of_nothing() -> Result {
    let mut replay = Replay::of("")?;
    replay.run()?;
    assert_eq!(replay.text("assignments.csv")?, HEADER);
    assert!(replay.lines("alerts.jsonl")?.is_empty() && replay.stderr.is_empty());
    Ok(())
}

#[test]
fn a_dash_is_stdin() -> Result {
    let mut replay = Replay::of(&outage())?;
    replay.run()?;
    let incidents = replay.text("incidents.jsonl")?;
    (replay.args.events, replay.stdin) = (Some(PathBuf::from("-")), outage() + "?");
    replay.run()?;
    assert_eq!(replay.text("incidents.jsonl")?, incidents);
    assert!(replay.stderr.starts_with("stdin:19: "), "{}", replay.stderr);
    Ok(())
}

#[test]
fn what_can_t_be_read_is_named() -> Result {
    let mut replay = Replay::of("")?;
    fs::write(replay.dir.path().join("bad.json"), "{\n\"entities\": 5}")?;
    let good = replay.args.clone();
    let fails = |replay: &mut Replay, part: &str| {
        let error = replay.run().expect_err(part);
        assert!(error.is::<BadInput>() && error.to_string().contains(part), "{error:#}");
        replay.args = good.clone();
    };
    replay.args.events = Some(replay.dir.path().join("missing.jsonl"));
    fails(&mut replay, "missing.jsonl: can't be read: ");
    replay.args.topology = Some(replay.dir.path().join("missing.json"));
    fails(&mut replay, "missing.json: ");
    replay.args.topology = Some(replay.dir.path().join("bad.json"));
    fails(&mut replay, "bad.json:2: ");
    replay.args.config = Some(PathBuf::from("no-such.toml"));
    fails(&mut replay, "no-such.toml: ");
    Ok(())
}
