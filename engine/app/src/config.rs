//! The configuration: `default.toml` is the manual and the one source of defaults.
use crate::{
    control::Repeat,
    human, ingest,
    serve::{connections, door},
    task, toml_file,
};
use anyhow::Context as _;
use quell_connectors::{
    kafka::{PropertyError, check_properties},
    log::RECORD_BYTES_MAX,
};
use quell_core::domain::{
    check::Checks,
    kpi::IMPORTANCE_MAX,
    maintenance::Maintenance,
    policy::{Absence, Assess, Clock, Correlate, Deduplicate, Flap, Limits, Policy, Raise, Score, Suppress},
    time::Span,
    topology::{Topology, TopologyError, TopologyFile},
};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

mod numbers;
mod source;
pub mod warnings;
pub use source::{SourceEntry, SourceKind};

/// Every option with its default and its reason.
pub const DEFAULTS: &str = include_str!("default.toml");

/// All options.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Said on the command line.
    #[serde(skip)]
    pub repeat: Repeat,
    pub data_dir: PathBuf,
    #[serde(deserialize_with = "path_or_none")]
    pub topology: Option<PathBuf>,
    pub server: Server,
    pub journal: Journal,
    pub kafka: Kafka,
    pub source: Vec<SourceEntry>,
    pub ingest: Ingest,
    pub engine: Engine,
    deduplicate: Deduplicate,
    flap: Flap,
    absence: Vec<Absence>,
    suppress: Suppress,
    maintenance: Vec<Maintenance>,
    score: Score,
    checks: Checks,
    correlate: Correlate,
    assess: Assess,
    raise: Raise,
    limits: Limits,
}

/// The port.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    pub listen: SocketAddr,
    pub allow_public: bool,
    #[serde(with = "human::bytes")]
    body_max: u64,
    #[serde(with = "human::bytes")]
    in_flight_max: u64,
    request_max: Span,
    connections_max: usize,
    head_max: Span,
    pub feeds_max: usize,
    pub subscriptions_max: usize,
    #[serde(with = "human::bytes")]
    pub page_bytes_max: u64,
}

/// Where the journal lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JournalKind {
    Local,
    Kafka,
}

impl JournalKind {
    /// As the configuration says it: `local`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Kafka => "kafka",
        }
    }
}

/// The journal.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Journal {
    pub kind: JournalKind,
    pub partitions: u32,
    pub clock: Clock,
    pub history: Span,
}

/// The cluster.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kafka {
    pub brokers: String,
    pub prefix: String,
    pub properties: BTreeMap<String, Property>,
}

/// A property as TOML has it: `security.protocol = "SSL"` is a table in a table there, and one name to librdkafka, which
/// takes text.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Property {
    Bool(bool),
    Integer(i64),
    Text(String),
    Table(BTreeMap<String, Property>),
}

impl Property {
    fn flatten(&self, name: &str, all: &mut BTreeMap<String, String>) {
        let text = match self {
            Self::Bool(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Text(value) => value.clone(),
            Self::Table(table) => {
                return table.iter().for_each(|(key, value)| value.flatten(&format!("{name}.{key}"), all));
            }
        };
        all.insert(name.to_owned(), text);
    }
}

/// Limits of ingest.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ingest {
    batch_records: usize,
    in_flight: usize,
    commit_interval: Span,
    tail_max: Span,
}

/// Limits of the tasks.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    #[serde(with = "human::bytes")]
    read_bytes: u64,
    outputs_in_flight: usize,
    #[serde(with = "human::bytes")]
    output_record_bytes: u64,
    snapshot_interval: Span,
    snapshot_records: u64,
}

fn path_or_none<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    Ok(Some(String::deserialize(deserializer)?).filter(|path| !path.is_empty()).map(PathBuf::from))
}

fn duration(span: Span) -> Duration {
    Duration::from_millis(span.0.unsigned_abs())
}

impl Config {
    /// The defaults with a file laid over them.
    ///
    /// # Errors
    /// With file, line and reason where it is not valid.
    pub fn load(path: Option<&Path>) -> anyhow::Result<Self> {
        let text = path
            .map(|path| fs::read_to_string(path).with_context(|| format!("{}: can't be read", path.display())))
            .transpose()?;
        let user = path.zip(text.as_deref());
        let mut config: Self = toml_file::load(DEFAULTS, user)?;
        // Paths are those of the file that names them.
        if let (Some(topology), Some(beside)) = (&mut config.topology, path.and_then(Path::parent)) {
            *topology = beside.join(&*topology);
        }
        if let Err(error) = config.validate() {
            return Err(toml_file::refused(DEFAULTS, user, &format!("{error:#}"))?.into());
        }
        Ok(config)
    }

    /// Whether the options go together.
    ///
    /// # Errors
    /// Which do not, and what to write.
    pub fn validate(&self) -> anyhow::Result<()> {
        anyhow::ensure!((1..=1024).contains(&self.journal.partitions), "journal.partitions: from 1 to 1024");
        let shares = 0.0..=1.0;
        anyhow::ensure!(shares.contains(&self.assess.dependency_share), "assess.dependency_share: from 0 to 1");
        let importances = self.assess.cap_importance <= IMPORTANCE_MAX;
        anyhow::ensure!(importances, "assess.cap_importance: from 0 to {IMPORTANCE_MAX}");
        anyhow::ensure!(self.assess.cap_critical <= 100, "assess.cap_critical: from 0 to 100");
        anyhow::ensure!(self.assess.cap_high <= 100, "assess.cap_high: from 0 to 100");
        anyhow::ensure!(
            self.score.speak_at > 0.0 && self.score.speak_at <= 1.0,
            "score.speak_at: above 0, and at most 1"
        );
        anyhow::ensure!(
            (16..=1_000_000).contains(&self.score.learn_samples),
            "score.learn_samples: from 16 to a million"
        );
        anyhow::ensure!(self.score.forecast.ahead <= Span::hours(24), "score.forecast.ahead: at most 1d");
        let empty = self.score.shapes.iter().position(String::is_empty);
        anyhow::ensure!(empty.is_none(), "score.shapes[{}]: not empty; `*` is any", empty.unwrap_or_default());
        for (n, threshold) in self.score.threshold.iter().enumerate() {
            let checked = threshold.validate();
            checked.map_err(|reason| anyhow::anyhow!("score.threshold[{n}]: {reason}"))?;
        }
        let cohesion = self.score.cohesion.validate();
        cohesion.map_err(|reason| anyhow::anyhow!("score.cohesion.{reason}"))?;
        numbers::validate_correlate(&self.correlate)?;
        anyhow::ensure!((0.0..=1e6).contains(&self.raise.surprise), "raise.surprise: from 0 to a million");
        numbers::validate_cause(&self.raise.cause)?;
        let recurrence = &self.raise.recurrence;
        let similarity = recurrence.similarity > 0.0 && recurrence.similarity <= 1.0;
        anyhow::ensure!(similarity, "raise.recurrence.similarity: above 0, and at most 1");
        anyhow::ensure!(
            recurrence.incidents >= 2,
            "raise.recurrence.incidents: at least 2, the present one among them"
        );
        anyhow::ensure!(self.raise.storm.incidents != 1, "raise.storm.incidents: at least 2, or 0: never");
        // An alert that opens, clears and opens again is no storm; and each alert may keep as many times.
        anyhow::ensure!((3..=100).contains(&self.flap.changes), "flap.changes: from 3 to 100");
        let leaves = (1..=self.flap.changes).contains(&self.flap.leave_below);
        anyhow::ensure!(leaves, "flap.leave_below: from 1 to flap.changes");
        for (n, entry) in self.absence.iter().enumerate() {
            anyhow::ensure!(!entry.check.is_empty(), "absence[{n}].check: not empty; `*` is any");
            anyhow::ensure!(entry.after.0 > 0, "absence[{n}].after: longer than 0s");
        }
        for (name, limit) in [
            ("server.connections_max", self.server.connections_max),
            ("server.feeds_max", self.server.feeds_max),
            ("server.subscriptions_max", self.server.subscriptions_max),
            ("ingest.batch_records", self.ingest.batch_records),
            ("ingest.in_flight", self.ingest.in_flight),
            ("engine.outputs_in_flight", self.engine.outputs_in_flight),
            ("limits.scopes", self.limits.scopes),
            ("limits.ids", self.limits.ids),
            ("limits.alerts", self.limits.alerts),
            ("limits.alerts_per_episode", self.limits.alerts_per_episode),
            ("limits.incidents", self.limits.incidents),
            ("limits.past_incidents", self.limits.past_incidents),
            ("limits.problems", self.limits.problems),
            ("raise.recurrence.keys", self.raise.recurrence.keys),
            ("limits.silences", self.limits.silences),
            ("limits.maintenance_windows", self.limits.maintenance_windows),
            ("limits.series", self.limits.series),
            ("limits.rhythms", self.limits.rhythms),
            ("limits.shapes", self.limits.shapes),
            ("limits.checks", self.limits.checks),
            ("limits.entities", self.limits.entities),
            ("limits.label_values", self.limits.label_values),
            ("limits.corrections", self.limits.corrections),
            ("limits.templates", self.limits.templates),
            ("correlate.candidates_max", self.correlate.candidates_max),
        ] {
            anyhow::ensure!(limit > 0, "{name}: at least 1");
        }
        for (name, span) in [
            ("server.request_max", self.server.request_max),
            ("server.head_max", self.server.head_max),
            ("flap.window", self.flap.window),
            ("ingest.commit_interval", self.ingest.commit_interval),
            ("engine.snapshot_interval", self.engine.snapshot_interval),
            ("score.new_usual", self.score.new_usual),
            ("score.silence_min", self.score.silence_min),
            ("score.keep", self.score.keep),
            ("score.learn_half_life", self.score.learn_half_life),
            ("score.forecast.ahead", self.score.forecast.ahead),
            ("raise.storm.within", self.raise.storm.within),
            ("raise.recurrence.keep", self.raise.recurrence.keep),
            ("raise.recurrence.within", self.raise.recurrence.within),
            ("correlate.corrections.expire", self.correlate.corrections.expire),
        ] {
            anyhow::ensure!(span.0 > 0, "{name}: longer than 0s");
        }
        anyhow::ensure!(
            self.engine.output_record_bytes <= RECORD_BYTES_MAX as u64 / 2,
            "engine.output_record_bytes: at most {} KiB",
            RECORD_BYTES_MAX / 2 / 1024
        );
        let (body, in_flight) = (self.server.body_max, self.server.in_flight_max);
        anyhow::ensure!(
            in_flight >= body && in_flight <= u64::from(u32::MAX),
            "server.in_flight_max: at least server.body_max, or such a body would never be taken; at most 4095 MiB"
        );
        self.validate_suppression()?;
        let public = !self.server.listen.ip().is_loopback();
        anyhow::ensure!(
            !public || self.server.allow_public,
            "server.listen: {} can be reached by others, and there is no authentication yet: listen on 127.0.0.1, or set server.allow_public = true if the network keeps strangers out",
            self.server.listen
        );
        let needs_brokers =
            self.journal.kind == JournalKind::Kafka || self.source.iter().any(|s| s.kind == SourceKind::Kafka);
        anyhow::ensure!(
            !needs_brokers || !self.kafka.brokers.is_empty(),
            "kafka.brokers: needed by the journal or a source; write brokers = \"host:9092\""
        );
        check_properties(&self.kafka_properties()).map_err(|error| match error {
            PropertyError::Protected { name, reason } => {
                anyhow::anyhow!("kafka.properties.{name}: can't be set: {reason}")
            }
            PropertyError::Invalid { name, reason } => anyhow::anyhow!("kafka.properties.{name}: {reason}"),
        })?;
        self.check_sources()
    }

    fn validate_suppression(&self) -> anyhow::Result<()> {
        let (rules, windows) = (&self.suppress.inhibit, &self.maintenance);
        let (rules_max, windows_max) = (self.limits.inhibition_rules, self.limits.maintenance_windows);
        anyhow::ensure!(rules.len() <= rules_max, "suppress.inhibit: at most limits.inhibition_rules ({rules_max})");
        anyhow::ensure!(
            windows.len() <= windows_max,
            "maintenance: at most limits.maintenance_windows ({windows_max})"
        );
        for (n, rule) in rules.iter().enumerate() {
            let name = &rule.name;
            anyhow::ensure!(!name.is_empty(), "suppress.inhibit[{n}].name: empty; it is what people are told");
            let twice = rules[..n].iter().any(|other| other.name == *name);
            anyhow::ensure!(!twice, "suppress.inhibit[{n}].name: `{name}` stands twice");
        }
        for (n, window) in windows.iter().enumerate() {
            let twice = windows[..n].iter().any(|other| other.id == window.id);
            anyhow::ensure!(!twice, "maintenance[{n}].id: `{}` stands twice", window.id);
            anyhow::ensure!(!window.schedule.is_empty(), "maintenance[{n}].schedule.end: not after its start");
        }
        Ok(())
    }

    /// What the journal is told.
    pub fn policy(&self) -> Policy {
        Policy {
            clock: self.journal.clock,
            deduplicate: self.deduplicate.clone(),
            flap: self.flap.clone(),
            absence: self.absence.clone(),
            suppress: self.suppress.clone(),
            maintenance: self.maintenance.clone(),
            score: self.score.clone(),
            checks: self.checks.clone(),
            correlate: self.correlate.clone(),
            assess: self.assess.clone(),
            raise: self.raise.clone(),
            limits: self.limits.clone(),
        }
    }

    /// The topology file, validated; an empty one where none is configured.
    ///
    /// # Errors
    /// With file, line and reason where it is not valid.
    pub fn read_topology(&self) -> anyhow::Result<TopologyFile> {
        topology_at(self.topology.as_deref())
    }

    /// For librdkafka.
    pub fn kafka_properties(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        self.kafka.properties.iter().for_each(|(name, property)| property.flatten(name, &mut all));
        all
    }

    /// Of the doors.
    pub fn door_limits(&self) -> door::Limits {
        let Server { body_max, in_flight_max, request_max, .. } = self.server;
        door::Limits {
            body_max: usize::try_from(body_max).unwrap_or(usize::MAX),
            in_flight_max: u32::try_from(in_flight_max).unwrap_or(u32::MAX),
            request_max: duration(request_max),
            tail_max: duration(self.ingest.tail_max),
        }
    }

    /// Of the port.
    pub fn connection_limits(&self) -> connections::Limits {
        connections::Limits { connections_max: self.server.connections_max, head_max: duration(self.server.head_max) }
    }

    /// Of ingest.
    pub fn ingest_limits(&self) -> ingest::Limits {
        ingest::Limits {
            batch_records: self.ingest.batch_records,
            in_flight: self.ingest.in_flight,
            commit_interval: duration(self.ingest.commit_interval),
            tail_max: duration(self.ingest.tail_max),
        }
    }

    /// Of the tasks.
    pub fn task_limits(&self) -> task::Limits {
        task::Limits {
            read_bytes: usize::try_from(self.engine.read_bytes).unwrap_or(usize::MAX),
            outputs_in_flight: self.engine.outputs_in_flight,
            output_record_bytes: usize::try_from(self.engine.output_record_bytes).unwrap_or(usize::MAX),
            snapshot_interval: duration(self.engine.snapshot_interval),
            snapshot_records: self.engine.snapshot_records,
            history: self.journal.history,
        }
    }
}

/// A topology file, validated; an empty one where there is no path.
///
/// # Errors
/// With file, line and reason where it is not valid.
pub fn topology_at(path: Option<&Path>) -> anyhow::Result<TopologyFile> {
    path.map_or_else(|| Ok(TopologyFile::default()), read_topology)
}

/// A topology file, validated.
///
/// # Errors
/// With file, line and reason where it is not valid.
pub fn read_topology(path: &Path) -> anyhow::Result<TopologyFile> {
    let name = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("{name}: can't be read"))?;
    let file: TopologyFile =
        serde_json::from_str(&text).map_err(|error| anyhow::anyhow!("{name}:{}: {error}", error.line()))?;
    Topology::new(&file).map_err(|error| anyhow::anyhow!("{name}:{}: {error}", line_of(&text, &error)))?;
    Ok(file)
}

/// Where the text says what is wrong, from 1: JSON does not keep places, so the last line that names the id is taken.
fn line_of(text: &str, error: &TopologyError) -> usize {
    let names = |line: &str, id: &str| line.contains(&format!("\"{id}\""));
    let last = |id: &str| text.lines().enumerate().filter(|(_, line)| names(line, id)).last().map(|(n, _)| n + 1);
    let found = match error {
        TopologyError::Twice { id, .. } => last(id),
        TopologyError::NoId { .. } => last(""),
        TopologyError::Unknown { other, .. } => last(other),
        TopologyError::Kpi { kpi, .. } => last(kpi),
    };
    found.unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cores_defaults_are_the_manuals() -> anyhow::Result<()> {
        assert_eq!(Config::load(None)?.policy(), Policy::default());
        Ok(())
    }

    fn from(user: &str) -> anyhow::Result<Config> {
        let config: Config = toml_file::load(DEFAULTS, Some((Path::new("q.toml"), user)))?;
        config.validate().map(|()| config)
    }

    #[test]
    fn numbers_of_the_model_are_checked() {
        for (table, key) in [
            ("", "candidates_share = 1.0"),
            (".time", "faded = 0.0"),
            (".resolution", "gap_max = \"2h\""),
            (".resolution", "gaps_max = 10"),
            (".place", "services = 1.0"),
            (".place", "share_min = 0.0"),
            (".place", "word_min = 0"),
            (".what", "unheard = 0.0"),
            (".what", "checks_min = 0"),
            (".background", "again = \"0s\""),
            (".revise", "sure = 1e9"),
            (".bounds", "hypotheses = 0"),
            (".bounds", "words = 1001"),
        ] {
            let said = from(&format!("[correlate{table}]\n{key}")).unwrap_err().to_string();
            let name = format!("correlate{table}.{}", key.split(' ').next().unwrap_or_default());
            assert!(said.contains(&name), "{name}: {said}");
        }
        let edge =
            |more: &str| from(&format!("[[correlate.causality]]\ncause = \"a\"\neffect = \"b\"\nshare = 0.5\n{more}"));
        assert!(edge("within = \"30s\"").is_ok());
        for (more, said) in [
            ("within = \"0s\"", "correlate.causality[0].within: from 1s to 30m"),
            (
                "within = \"30s\"\n[[correlate.causality]]\ncause = \"a\"\neffect = \"b\"\nshare = 1\nwithin = \"9s\"",
                "correlate.causality[1]: the pair stands twice",
            ),
            (
                "within = \"30s\"\n[[correlate.causality]]\ncause = \"c\"\neffect = \"c\"\nshare = 1\nwithin = \"9s\"",
                "correlate.causality[1].cause, .effect",
            ),
        ] {
            let error = edge(more).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn numbers_of_causes_are_checked() {
        let wrong = |more: &str| from(&format!("[raise.cause]\n{more}")).unwrap_err().to_string();
        for key in [
            "dependency = 1.0",
            "ground = -0.1",
            "silent = 0",
            "confidence = 1e9",
            "confidence_power = 0",
            "levels = 9",
            "late_after = \"0s\"",
            "silent_max = 5000",
        ] {
            let name = key.split(' ').next().unwrap_or_default();
            assert!(wrong(key).contains(&format!("raise.cause.{name}")), "{}", wrong(key));
        }
    }

    #[test]
    fn one_incident_is_no_storm() {
        let wrong = |more: &str| from(&format!("[raise.storm]\n{more}")).unwrap_err().to_string();
        assert!(wrong("incidents = 1").contains("raise.storm.incidents"));
        assert!(wrong("within = \"0s\"").contains("raise.storm.within"));
        assert!(from("[raise.storm]\nincidents = 0").is_ok());
    }

    #[test]
    fn a_policy_of_correlation_is_written_as_the_manual_says() -> anyhow::Result<()> {
        let with = |more: &str| from(&format!("[[correlate.policy]]\nname = \"mainframe\"\n{more}"));
        let policy = &with("settle = \"0s\"\nseverity_min = \"critical\"\nbreak.event = 'check=\"deployed\"'")?
            .correlate
            .policy[0];
        assert_eq!(
            (policy.settle, policy.severity_min),
            (Some(Span(0)), Some(quell_core::domain::severity::Severity::Critical))
        );
        assert!(policy.breaks.event.is_some());
        for never in ["min_alerts = 3\nbreak.max_alerts = 2", "min_alerts = 2\naction = \"never\""] {
            assert!(with(never).is_err_and(|e| e.to_string().contains("a group never has so many")), "{never}");
        }
        Ok(())
    }

    #[test]
    fn suppression_is_written_as_the_manual_says() -> anyhow::Result<()> {
        let user = r#"
            [[maintenance]]
            id = "patch-night"
            services = ["payments"]
            schedule = { timezone = "Europe/Berlin", days = ["sat", "2nd tue"], times = ["22:00-04:00"] }
            [[maintenance]]
            id = "move"
            matchers = 'env="prod",check=~"Disk.*"'
            schedule = { start = "2026-03-01T22:00:00+01:00", end = "2026-03-02T04:00:00+01:00" }
            [[suppress.inhibit]]
            name = "node-down"
            source = 'check="NodeDown"'
            target = 'severity=~"warning|minor"'
            equal = ["node"]"#;
        let policy = from(user)?.policy();
        assert_eq!((policy.maintenance.len(), policy.suppress.inhibit.len()), (2, 1));
        // As it goes through the journal.
        let journaled: Policy = serde_json::from_slice(&serde_json::to_vec(&policy)?)?;
        assert_eq!(journaled, policy);
        Ok(())
    }

    #[test]
    fn what_is_wrong_with_suppression_is_said() {
        let window = "[[maintenance]]\nid = \"w\"\nentities = [\"a\"]\nschedule = { start = \"2026-03-01T22:00:00Z\", end = \
                      \"2026-03-02T04:00:00Z\" }\n";
        let rule = "[[suppress.inhibit]]\nname = \"n\"\nsource = \"a=b\"\ntarget = \"c=d\"\n";
        for (user, reason) in [
            (window.repeat(2), "maintenance[1].id: `w` stands twice"),
            (rule.repeat(2), "suppress.inhibit[1].name: `n` stands twice"),
            (rule.replace("a=b", "a=~("), "q.toml:3: suppress.inhibit[0].source: `(` is no regular expression"),
            (window.replace("2026-03-02", "2026-03-00"), "q.toml:"),
            (window.replace("entities = [\"a\"]", ""), "one of matchers, entities and services"),
            ("[suppress]\ntopology_down = \"\"".to_owned(), "q.toml:2: suppress.topology_down: no matcher"),
        ] {
            let error = from(&user).expect_err(&user).to_string();
            assert!(error.contains(reason), "{user}: {error}");
        }
    }

    #[test]
    fn properties_are_named_as_librdkafka_names_them() -> anyhow::Result<()> {
        let user = "[kafka.properties]\nsecurity.protocol = \"plaintext\"\n\"fetch.wait.max.ms\" = 50\n";
        let config: Config = toml_file::load(DEFAULTS, Some((Path::new("q.toml"), user)))?;
        let properties: Vec<_> = config.kafka_properties().into_iter().collect();
        let expected = [("fetch.wait.max.ms", "50"), ("security.protocol", "plaintext")];
        assert_eq!(properties, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
        Ok(())
    }
}
