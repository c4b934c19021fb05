//! What is concluded of an event does not depend on what came later than five minutes of clock after it
//! (`correlate.revise.until`): of a recording that is cut off, whatever was settled by then stands as in the whole.
use quell::commands::replay::{Console, ReplayArgs, run_on};
use quell_tests::stream;
use serde_json::Value;
use std::{collections::BTreeMap, fs, io, path::Path};

const EVENTS: &str = include_str!("../engine/app/src/demo/recording/events.jsonl");
const TOPOLOGY: &str = include_str!("../engine/app/src/demo/recording/topology.json");
/// `correlate.revise.until` and `deduplicate.lateness`: until then an event in time may still come.
const SETTLED_MS: i64 = (5 + 2) * 60_000;
const CUTS: usize = 60;

/// By event, the alert and the episode that it is of.
type Placed = BTreeMap<String, (String, String)>;

fn replay(dir: &Path, lines: &[&str]) -> anyhow::Result<Placed> {
    let file = |name: &str, text: &str| fs::write(dir.join(name), text).map(|()| dir.join(name));
    let args = ReplayArgs {
        model: None,
        config: None,
        topology: Some(dir.join("topology.json")),
        until: None,
        strict: false,
        events: Some(file("events.jsonl", &lines.join("\n"))?),
        journal: None,
        out: dir.join("out"),
    };
    let console = Console { stdin: &mut io::empty(), stdout: &mut io::sink(), stderr: &mut io::sink() };
    run_on(&args, console)?;
    let mut placed = BTreeMap::new();
    for line in fs::read_to_string(dir.join("out/assignments.csv"))?.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        placed.insert(fields[0].to_owned(), (fields[1].to_owned(), fields[2].to_owned()));
    }
    Ok(placed)
}

/// How many events were compared, and how many of them stand elsewhere in the whole recording.
fn compare(lines: &[&str], topology: &str, settled_ms: i64) -> anyhow::Result<(usize, usize)> {
    let dir = tempfile::tempdir()?;
    fs::write(dir.path().join("topology.json"), topology)?;
    let told = |line: &&str| -> anyhow::Result<(String, i64)> {
        let event: Value = serde_json::from_str(line)?;
        let time = event["time"].as_i64().map_or_else(
            || event["time"].as_str().unwrap_or_default().parse::<jiff::Timestamp>().map(|at| at.as_millisecond()),
            Ok,
        )?;
        Ok((event["id"].as_str().unwrap_or_default().to_owned(), time))
    };
    let events: Vec<(String, i64)> = lines.iter().map(told).collect::<anyhow::Result<_>>()?;
    let whole = replay(dir.path(), lines)?;
    let (mut compared, mut elsewhere) = (0, 0);
    for cut in (1..CUTS).map(|n| n * lines.len() / CUTS) {
        let part = replay(dir.path(), &lines[..cut])?;
        let clock = events[..cut].iter().map(|(_, at)| *at).max().unwrap_or_default();
        for (id, _) in events[..cut].iter().filter(|(_, at)| at + settled_ms < clock) {
            compared += usize::from(whole.contains_key(id));
            elsewhere += usize::from(whole.get(id) != part.get(id));
        }
    }
    Ok((compared, elsewhere))
}

#[test]
fn what_came_later_changes_nothing() -> anyhow::Result<()> {
    let stream = stream::generate(3, 3_000);
    let stream: Vec<&str> = stream.iter().map(|event| &*event.json).collect();
    let demo: Vec<&str> = EVENTS.lines().collect();
    let crowded = stream::crowded(3);
    let crowded: Vec<&str> = crowded.iter().map(|event| &**event).collect();
    for (lines, topology) in [(&demo, TOPOLOGY.to_owned()), (&stream, stream::topology()), (&crowded, "{}".to_owned())]
    {
        let (compared, elsewhere) = compare(lines, &topology, SETTLED_MS)?;
        assert!(compared > 1_000, "{compared} events are compared");
        assert_eq!(elsewhere, 0, "of {compared} events");
    }
    Ok(())
}

/// The comparison can fail: at the end of a part alerts stand where they do not stay.
#[test]
fn what_is_not_settled_may_change() -> anyhow::Result<()> {
    let crowded = stream::crowded(3);
    let crowded: Vec<&str> = crowded.iter().map(|event| &**event).collect();
    let (compared, elsewhere) = compare(&crowded, "{}", 0)?;
    assert!(elsewhere > 0, "of {compared} events");
    Ok(())
}
