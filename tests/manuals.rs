//! What the manuals of events and of the topology say is what the code does: every example of theirs is read by it, and
//! their tables have what it knows.
use anyhow::{Context as _, ensure};
use quell::config::Config;
use quell_connectors::decode::{
    self, Context, Format, LABEL_KEY_BYTES_MAX, LABEL_VALUE_BYTES_MAX, LABELS_BYTES_MAX, LABELS_MAX, Mapping, Message,
    SCOPE_CHARS_MAX, TEXT_BYTES_MAX, manual, words,
};
use quell_core::domain::{
    event::{Event, Kind, Status},
    kpi::{DuringEntry, KpiEntry, KpiLevel, SeriesEntry, ThresholdsEntry},
    severity::Severity,
    time::Timestamp,
    topology::{Dependency, EntityEntry, ServiceEntry, Topology, TopologyFile, VERSIONS_MAX},
};
use serde::de::DeserializeOwned;
use std::{collections::BTreeSet, fs, path::Path};

const TOPOLOGY: &str = include_str!("../deploy/TOPOLOGY.md");
/// 2026-01-05T10:00:05Z
const ARRIVAL: Timestamp = Timestamp(1_767_607_205_000);

/// The text under a heading, up to the next of its level or above.
fn chapter<'d>(document: &'d str, heading: &str) -> anyhow::Result<&'d str> {
    let level = heading.bytes().take_while(|byte| *byte == b'#').count();
    let (_, rest) = document.split_once(&format!("\n{heading}\n")).with_context(|| format!("no {heading}"))?;
    let end = (1..=level).filter_map(|level| rest.find(&format!("\n{} ", "#".repeat(level)))).min();
    Ok(&rest[..end.unwrap_or(rest.len())])
}

/// The blocks of code in a language.
fn blocks<'d>(text: &'d str, language: &str) -> Vec<&'d str> {
    let fence = format!("```{language}\n");
    let closed = |block: &'d str| block.split_once("\n```").map(|(code, _)| code);
    text.split(&*fence).skip(1).filter_map(closed).collect()
}

/// The first cells of the tables whose head begins so, without their backticks.
fn names<'d>(text: &'d str, head: &str) -> Vec<&'d str> {
    // A row may be about several.
    rows(text, head).into_iter().flat_map(|cells| cells[0].split("`, `").collect::<Vec<_>>()).collect()
}

fn rows<'d>(text: &'d str, head: &str) -> Vec<Vec<&'d str>> {
    let lines = text.lines().skip_while(|line| !line.starts_with(&format!("| {head} |"))).skip(2);
    let cells = |line: &'d str| {
        let cells = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ");
        Some(cells.map(|cell| cell.trim_matches('`')).collect())
    };
    lines.map_while(cells).collect()
}

fn decode(format: Format, text: &str, mapping: &Mapping) -> anyhow::Result<Event> {
    let context = Context { arrival: ARRIVAL, offset: 0, check_wall: true, mapping, default_origin: "http" };
    let message = Message { bytes: text.as_bytes(), headers: &[], source: "http/1" };
    let mut told = Vec::new();
    decode::each(format, &message, &context, &mut |_, event| told.push(event));
    ensure!(told.len() == 1, "{} events", told.len());
    told.remove(0).with_context(|| text.to_owned())
}

fn canonical(text: &str) -> anyhow::Result<Event> {
    decode(Format::Canonical, text, &Mapping::default())
}

/// Each is to be found, and leads somewhere.
#[test]
fn links_between_documents_lead_somewhere() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut linked = BTreeSet::new();
    for document in ["README.md", "connectors/EVENTS.md", "deploy/TOPOLOGY.md"] {
        let text = fs::read_to_string(root.join(document))?;
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains("://")) {
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let beside = root.join(document).parent().context("a folder")?.join(path);
            let target = if path.is_empty() { root.join(document) } else { beside };
            ensure!(target.exists(), "{document}: {link}");
            let anchor = |line: &str| line.trim_start_matches(['#', ' ']).to_lowercase().replace(' ', "-");
            let headings = || fs::read_to_string(&target).unwrap_or_default();
            let found =
                heading.is_empty() || headings().lines().any(|line| line.starts_with('#') && anchor(line) == heading);
            ensure!(found, "{document}: {link}");
            linked.insert((document, link.to_owned()));
        }
    }
    for manual in ["connectors/EVENTS.md", "deploy/TOPOLOGY.md", "connectors/BAD_INPUTS.md"] {
        ensure!(linked.contains(&("README.md", manual.to_owned())), "README.md does not lead to {manual}");
    }
    Ok(())
}

#[test]
fn examples_of_events_are_what_they_are_called() -> anyhow::Result<()> {
    for (heading, kind, status) in [
        ("### An alert", Kind::Alert, Status::Firing),
        ("### Its recovery", Kind::Alert, Status::Resolved),
        ("### A sample", Kind::Sample, Status::Firing),
        ("### A change", Kind::Change, Status::Firing),
    ] {
        let [example] = blocks(chapter(manual::TEXT, heading)?, "json")[..] else { anyhow::bail!("{heading}") };
        let event = canonical(example)?;
        ensure!((event.kind, event.status) == (kind, status), "{heading}: {event:?}");
        ensure!(!example.contains("severity") || event.severity == Severity::Critical, "{heading}: {event:?}");
    }
    let told = |heading| canonical(blocks(chapter(manual::TEXT, heading)?, "json")[0]);
    let identity = |event: &Event| (event.origin.clone(), event.entity.clone(), event.check.clone());
    let (alert, recovery) = (told("### An alert")?, told("### Its recovery")?);
    ensure!(identity(&alert) == identity(&recovery) && recovery.ended_at.is_some());
    Ok(())
}

/// What a chapter says becomes of its example. An id or a fingerprint that it does not name is the format's own.
fn becomes(heading: &str, format: Format, mapping: &Mapping) -> anyhow::Result<()> {
    let [input, expected] = blocks(chapter(manual::TEXT, heading)?, "json")[..] else { anyhow::bail!("{heading}") };
    let (found, mut wanted) = (decode(format, input, mapping)?, canonical(expected)?);
    if !expected.contains("\"id\"") {
        wanted.id.clone_from(&found.id);
    }
    wanted.fingerprint.clone_from(&found.fingerprint);
    ensure!(found == wanted, "{heading}: {found:#?}\n  instead of {wanted:#?}");
    Ok(())
}

#[test]
fn other_formats_become_what_is_said() -> anyhow::Result<()> {
    becomes("## Alertmanager", Format::Alertmanager, &Mapping::default())?;
    becomes("## CloudEvents", Format::CloudEvents, &Mapping::default())?;
    let [source] = blocks(chapter(manual::TEXT, "## Any JSON")?, "toml")[..] else { anyhow::bail!("a source") };
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("quell.toml");
    fs::write(&path, source)?;
    let mappings = Config::load(Some(&path))?.http_mappings();
    becomes("## Any JSON", Format::Json, &mappings[&Format::Json])
}

#[test]
fn words_and_limits_are_the_decoders() -> anyhow::Result<()> {
    let table = |head| rows(manual::TEXT, head);
    let severities = table("severity");
    ensure!(severities.len() == 5, "{severities:?}");
    for row in &severities {
        let well = |word: &str| words::severity(word).is_some_and(|severity| severity.name() == row[0]);
        ensure!(row[1].split(", ").all(well), "{row:?}");
    }
    for (row, status) in table("status").iter().zip([Status::Firing, Status::Resolved]) {
        ensure!(row[1].split(", ").all(|word| words::status(word) == Some(status)), "{row:?}");
    }
    for limit in [
        format!("{TEXT_BYTES_MAX} bytes of\n  UTF-8"),
        format!("at most {LABELS_MAX} labels"),
        format!("a key of at most {LABEL_KEY_BYTES_MAX} bytes"),
        format!("a value cut at {LABEL_VALUE_BYTES_MAX} bytes"),
        format!("{LABELS_BYTES_MAX} bytes in all"),
        format!("At most {SCOPE_CHARS_MAX} characters"),
    ] {
        ensure!(manual::TEXT.contains(&limit), "{limit}");
    }
    Ok(())
}

/// The names that the reader of an object takes, as it says them itself.
fn known<T: DeserializeOwned>() -> anyhow::Result<BTreeSet<String>> {
    let error = serde_json::from_str::<T>(r#"{"?": 0}"#).err().context("it takes any name")?.to_string();
    let (_, expected) = error.split_once("expected ").with_context(|| error.clone())?;
    Ok(expected.split('`').skip(1).step_by(2).map(str::to_owned).collect())
}

#[test]
fn tables_of_the_topology_have_its_fields() -> anyhow::Result<()> {
    for (head, fields) in [
        ("entity", known::<EntityEntry>()?),
        ("service", known::<ServiceEntry>()?),
        ("dependency", known::<Dependency>()?),
        ("kpi", known::<KpiEntry>()?),
        ("series", known::<SeriesEntry>()?),
        ("thresholds", known::<ThresholdsEntry>()?),
        ("during", known::<DuringEntry>()?),
    ] {
        let described = names(TOPOLOGY, head);
        let all: BTreeSet<String> = described.iter().map(|name| (*name).to_owned()).collect();
        ensure!(all == fields && all.len() == described.len(), "{head}: {described:?}\n  instead of {fields:?}");
    }
    Ok(())
}

#[test]
fn examples_of_topologies_are_valid() -> anyhow::Result<()> {
    let examples = blocks(TOPOLOGY, "json");
    ensure!(examples.len() == 2, "{} examples", examples.len());
    for example in examples {
        let file: TopologyFile = serde_json::from_str(example).with_context(|| example.to_owned())?;
        Topology::new(&file)?;
    }
    Ok(())
}

#[test]
fn levels_map_as_the_topology_says() -> anyhow::Result<()> {
    let told: BTreeSet<Vec<String>> = rows(TOPOLOGY, "level")
        .into_iter()
        .map(|row| row[..3].iter().map(|cell| (*cell).to_owned()).collect())
        .collect();
    let none = || "none".to_owned();
    let of = |level: KpiLevel| {
        let (score, severity) = (level.score(), level.severity());
        let score = score.map_or_else(none, |score| score.to_string());
        vec![level.name().to_owned(), score, severity.map_or_else(none, |severity| severity.name().to_owned())]
    };
    ensure!(told == KpiLevel::ALL.into_iter().map(of).collect(), "{told:?}");
    ensure!(TOPOLOGY.contains(&format!("the latest {VERSIONS_MAX} are kept")));
    Ok(())
}

/// What a scope sees of what names none, and the trap that the manual warns of.
#[test]
fn scopes_see_what_the_topology_says() -> anyhow::Result<()> {
    let parse = |text: &str| -> anyhow::Result<Topology> { Ok(Topology::new(&serde_json::from_str(text)?)?) };
    let trap = parse(
        r#"{"entities": [{"id": "h", "on": ["rack"]}, {"id": "other", "on": ["rack"]}],
            "services": [{"id": "s", "scope": "eu", "entities": ["h"]}]}"#,
    )?;
    let on = |scope: &str, id: &str| trap.entity(scope, id).map(|entity| entity.on.len());
    ensure!((on("eu", "h"), on("us", "h"), on("eu", "other")) == (Some(0), Some(1), Some(1)));
    let across = r#"{"services": [{"id": "a", "scope": "eu", "depends_on": ["b"]}, {"id": "b"}]}"#;
    ensure!(parse(across).is_err());
    Ok(())
}
