//! `[[source]]`: where events come from, and how they are read.
use super::Config;
use crate::ingest;
use quell_connectors::decode::{
    self, FieldPath, Format, Mapping, alertmanager,
    mapping::{Extract, Rule, Rules, Target},
};
use quell_core::domain::{event::Status, severity::Severity};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// What kind of source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    Kafka,
    Http,
}

/// Where events come from.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceEntry {
    pub kind: SourceKind,
    #[serde(default)]
    pub topics: Vec<String>,
    #[serde(default = "canonical")]
    pub format: Format,
    scope: Option<FieldPath>,
    #[serde(default)]
    fingerprint: Vec<FieldPath>,
    origin: Option<String>,
    #[serde(default)]
    fields: Rules,
    #[serde(default)]
    labels: Vec<decode::mapping::Path>,
    #[serde(default)]
    extract: Vec<Extract>,
    #[serde(default)]
    severities: BTreeMap<String, Severity>,
    severity_default: Option<Severity>,
    #[serde(default)]
    statuses: BTreeMap<String, Status>,
    ignore_labels: Option<Vec<String>>,
    entity_labels: Option<Vec<String>>,
}

impl SourceEntry {
    /// A topic of canonical events.
    pub fn of_topic(topic: &str) -> Self {
        Self {
            kind: SourceKind::Kafka,
            topics: vec![topic.to_owned()],
            format: Format::Canonical,
            scope: None,
            fingerprint: Vec::new(),
            origin: None,
            fields: Rules::default(),
            labels: Vec::new(),
            extract: Vec::new(),
            severities: BTreeMap::new(),
            severity_default: None,
            statuses: BTreeMap::new(),
            ignore_labels: None,
            entity_labels: None,
        }
    }

    /// What is recorded of it. Defaults of the format stand in it, so that a later version does not change them for
    /// what was read before.
    fn mapping(&self) -> Mapping {
        let mut fields = self.fields.clone();
        if let Some(origin) = &self.origin {
            let constant = Some(origin.clone());
            fields.0.insert(Target::named("origin"), Rule { constant, ..Rule::default() });
        }
        let default = |names: &[&str]| {
            (self.format == Format::Alertmanager).then(|| names.iter().map(|name| (*name).to_owned()).collect())
        };
        Mapping {
            scope: self.scope.clone(),
            fingerprint: self.fingerprint.clone(),
            fields,
            labels: self.labels.clone(),
            extract: self.extract.clone(),
            severities: self.severities.clone(),
            severity_default: self.severity_default,
            statuses: self.statuses.clone(),
            ignore_labels: self.ignore_labels.clone().or_else(|| default(&alertmanager::IGNORE_LABELS)),
            entity_labels: self.entity_labels.clone().or_else(|| default(&alertmanager::ENTITY_LABELS)),
        }
    }
}

const fn canonical() -> Format {
    Format::Canonical
}

impl Config {
    pub(super) fn check_sources(&self) -> anyhow::Result<()> {
        let (mut topics, mut doors) = (BTreeSet::new(), BTreeSet::new());
        for (n, source) in self.source.iter().enumerate() {
            let checked = source.mapping().check(source.format);
            checked.map_err(|(key, reason)| anyhow::anyhow!("source[{n}].{key}: {reason}"))?;
            anyhow::ensure!(
                source.origin.as_ref().is_none_or(|origin| !origin.trim().is_empty()),
                "source[{n}].origin: empty"
            );
            anyhow::ensure!(
                source.origin.is_none() || !source.fields.0.contains_key(&Target::named("origin")),
                "source[{n}].origin: stands in fields too"
            );
            match source.kind {
                SourceKind::Kafka => anyhow::ensure!(!source.topics.is_empty(), "source[{n}].topics: at least one"),
                SourceKind::Http => {
                    anyhow::ensure!(source.topics.is_empty(), "source[{n}].topics: an http source has none");
                    anyhow::ensure!(
                        doors.insert(source.format),
                        "source[{n}].format: another http source has this format, and the same door"
                    );
                }
            }
            for topic in &source.topics {
                anyhow::ensure!(topics.insert(topic), "source[{n}].topics: `{topic}` stands in two sources");
                anyhow::ensure!(
                    !topic.starts_with(&format!("{}.", self.kafka.prefix)),
                    "source[{n}].topics: `{topic}` is one of Quell's own"
                );
            }
        }
        Ok(())
    }

    /// How the records of each Kafka topic are read.
    pub fn topics(&self) -> BTreeMap<String, ingest::TopicMapping> {
        let kafka = self.source.iter().filter(|s| s.kind == SourceKind::Kafka);
        let one = |s: &SourceEntry, topic: &String| {
            (topic.clone(), ingest::TopicMapping { format: s.format, mapping: s.mapping() })
        };
        kafka.flat_map(|s| s.topics.iter().map(move |topic| one(s, topic))).collect()
    }

    /// How events at the HTTP doors are read, by format.
    pub fn http_mappings(&self) -> BTreeMap<Format, Mapping> {
        let http = self.source.iter().filter(|s| s.kind == SourceKind::Http);
        http.map(|s| (s.format, s.mapping())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn load(text: &str) -> anyhow::Result<Config> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("q.toml");
        fs::write(&path, text)?;
        Config::load(Some(&path))
    }

    #[test]
    fn a_source_says_how_it_is_read() -> anyhow::Result<()> {
        let text = r#"
            [kafka]
            brokers = "localhost:9092"
            [[source]]
            kind = "kafka"
            topics = ["nagios"]
            format = "json"
            origin = "nagios-eu"
            fields.entity = "host.name"
            fields.check = ["svc", "plugin"]
            fields.time = { path = "ts", unit = "s" }
            fields.labels.rack = "location.rack"
            extract = [{ from = "output", pattern = '^(?<code>\d+)' }]
            severities = { "2" = "critical" }
            statuses = { "0" = "resolved" }
            [[source]]
            kind = "http"
            format = "alertmanager"
            ignore_labels = ["severity"]
        "#;
        let config = load(text)?;
        let topics = config.topics();
        let mapping = &topics["nagios"].mapping;
        assert_eq!((topics["nagios"].format, mapping.fields.0.len()), (Format::Json, 5));
        assert_eq!(mapping.severity(" 2"), Some(Severity::Critical));
        // The format's defaults stand in what is recorded.
        let http = config.http_mappings();
        let mapping = &http[&Format::Alertmanager];
        assert_eq!(mapping.ignore_labels, Some(vec!["severity".to_owned()]));
        assert_eq!(mapping.entity_labels.as_ref().map(Vec::len), Some(alertmanager::ENTITY_LABELS.len()));
        Ok(())
    }

    #[test]
    fn what_is_wrong_with_a_source_is_named_by_line() {
        for (text, expected) in [
            ("format = \"xml\"", "5: source[0].format: unknown variant `xml`"),
            ("\nfields.entiti = \"a\"", "6: source[0].fields.entiti: unknown key; did you mean `entity`?"),
            ("fields.entity = \"a..b\"", "5: source[0].fields.entity: `a..b` is no path"),
            (
                "fields.entity = { path = \"a\", unti = 1 }",
                "5: source[0].fields.entity.unti: unknown key, one of: path, constant",
            ),
            ("fields.entity = { unit = \"s\" }", "5: source[0].fields.entity: needs path, constant or default"),
            (
                "fields.entity = { path = \"a\", unit = \"s\" }",
                "5: source[0].fields.entity.unit: only times have a unit",
            ),
            ("format = \"json\"\nfields.entity = \"a\"", "6: source[0].fields: format \"json\" needs check"),
            ("format = \"json\"", "3: source[0].fields: format \"json\" needs entity"),
            (
                "extract = [\n{ from = \"a\", pattern = \"(?<b>[\" }]",
                "6: source[0].extract[0].pattern: a pattern: unclosed",
            ),
            ("severities = { \"2\" = \"bad\" }", "5: source[0].severities.2: unknown variant `bad`"),
            ("ignore_labels = []", "5: source[0].ignore_labels: only format \"alertmanager\" has it"),
            ("origin = \" \"", "5: source[0].origin: empty"),
            ("[[source]]\nkind = \"http\"", "5: source[1].format: another http source has this format"),
        ] {
            let text = format!("# A file.\n\n[[source]]\nkind = \"http\"\n{text}\n");
            let error = load(&text).map(|_| ()).expect_err(&text).to_string();
            let found = error.rsplit_once("q.toml:").map_or("", |(_, place)| place);
            assert!(found.starts_with(expected), "{error}\n  instead of {expected}");
        }
    }
}
