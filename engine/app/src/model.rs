//! What was learned from history and is set over the configuration: the file that `quell learn` and `quell causes` write, and
//! `quell.control` keeps every version of.
use anyhow::{Context as _, bail, ensure};
use quell_core::domain::policy::{CausalEdge, Correlate, Policy, Weights, wrong_edge};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fs, path::Path};

/// The one format there is.
const FORMAT: u32 = 1;
/// A file is no larger.
pub const BYTES_MAX: usize = 1024 * 1024;

/// What is said of what is something else.
const NO_MODEL: &str = "this is no model: one is the JSON that `quell learn` and `quell causes` write with --out";

/// What was learned: what each part of the log-odds counts, or which checks cause which, or both.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    pub weighing: Option<Weighing>,
    /// Beside `correlate.causality`, which goes before it.
    pub causality: Vec<CausalEdge>,
    /// What keeps coming together, the most frequent first; for people.
    pub patterns: Vec<Pattern>,
}

/// What each part counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Weighing {
    /// Instead of `correlate.weights`.
    pub weights: Weights,
    pub learned: Learned,
    pub held_out: HeldOut,
}

/// As it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    format: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    weights: Option<Weights>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    learned: Option<Learned>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    held_out: Option<HeldOut>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    causality: Vec<CausalEdge>,
    #[serde(default)]
    patterns: Vec<Pattern>,
}

/// From what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Learned {
    pub events: u64,
    pub alerts: usize,
    /// Alerts of which it is known with what they belong.
    pub labelled: usize,
    /// Times an alert was weighed against a group of which it is known too.
    pub decisions: usize,
}

/// How well it groups the latest fifth of the alerts, of which it learned nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldOut {
    /// The first of them, RFC 3339.
    pub since: String,
    pub alerts: usize,
    pub built_in: Measure,
    pub learned: Measure,
}

/// Of all pairs of alerts: those put together that belong together, by those put together, and by those that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    pub precision: f64,
    pub recall: f64,
    /// Their harmonic mean.
    pub f1: f64,
}

/// Checks that keep coming together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pattern {
    pub checks: Vec<String>,
    /// How often they did.
    pub times: usize,
}

impl Model {
    /// What `quell learn` has found.
    pub const fn weighs(weighing: Weighing, patterns: Vec<Pattern>) -> Self {
        Self { weighing: Some(weighing), causality: Vec::new(), patterns }
    }

    /// With these edges, instead of those it has of the same checks.
    #[must_use]
    pub fn with_causality(mut self, edges: Vec<CausalEdge>) -> Self {
        let new: BTreeSet<_> = edges.iter().map(pair).collect();
        self.causality.retain(|edge| !new.contains(&pair(edge)));
        self.causality.extend(edges);
        self
    }

    /// From JSON, validated.
    ///
    /// # Errors
    /// With the place that is wrong.
    pub fn read(json: &str) -> anyhow::Result<Self> {
        ensure!(json.len() <= BYTES_MAX, "{} bytes; a model has at most {BYTES_MAX}", json.len());
        let mut reader = serde_json::Deserializer::from_str(json);
        let written = serde_path_to_error::deserialize(&mut reader).map_err(anyhow::Error::from);
        let written: Written = written.and_then(|written| Ok(reader.end().map(|()| written)?)).map_err(|error| {
            let told = serde_json::from_str::<serde_json::Value>(json);
            if told.is_ok_and(|told| told.get("format").is_some()) { error } else { error.context(NO_MODEL) }
        })?;
        let Written { format, weights, learned, held_out, causality, patterns } = written;
        ensure!(format == FORMAT, "format: {format} is not known; this version reads {FORMAT}");
        let weighing = match (weights, learned, held_out) {
            (Some(weights), Some(learned), Some(held_out)) => Some(Weighing { weights, learned, held_out }),
            (None, None, None) => None,
            _ => bail!("weights, learned, held_out: one does not go without the others"),
        };
        ensure!(weighing.is_some() || !causality.is_empty(), "neither weights nor causality: there is nothing in it");
        if let Some((name, weight)) = weighing.as_ref().and_then(|weighing| weighing.weights.beyond()) {
            bail!("weights.{name}: {weight} is not from 0 to {}", Weights::MAX);
        }
        if let Some(wrong) = wrong_edge(&causality) {
            bail!("causality{wrong}");
        }
        Ok(Self { weighing, causality, patterns })
    }

    /// From a file.
    ///
    /// # Errors
    /// With the file and what is wrong.
    pub fn read_file(path: &Path) -> anyhow::Result<Self> {
        let of = || path.display().to_string();
        Self::read(&String::from_utf8_lossy(&fs::read(path).with_context(of)?)).with_context(of)
    }

    /// As it is written.
    pub fn json(&self) -> String {
        let Self { weighing, causality, patterns } = self.clone();
        let (weights, learned, held_out) = match weighing {
            Some(Weighing { weights, learned, held_out }) => (Some(weights), Some(learned), Some(held_out)),
            None => (None, None, None),
        };
        let written = Written { format: FORMAT, weights, learned, held_out, causality, patterns };
        // Texts and finite numbers.
        serde_json::to_string_pretty(&written).unwrap_or_default() + "\n"
    }

    /// Set over a policy.
    pub fn over(&self, policy: &Policy) -> Policy {
        let mut policy = policy.clone();
        let Correlate { weights, causality, .. } = &mut policy.correlate;
        if let Some(weighing) = &self.weighing {
            *weights = weighing.weights;
        }
        let known: BTreeSet<_> = causality.iter().map(pair).collect();
        let more: Vec<_> = self.causality.iter().filter(|edge| !known.contains(&pair(edge))).cloned().collect();
        causality.extend(more);
        policy
    }
}

fn pair(edge: &CausalEdge) -> (String, String) {
    (edge.cause.clone(), edge.effect.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use quell_core::domain::time::Span;

    fn model() -> Model {
        let measure = Measure { precision: 0.9, recall: 0.8, f1: 0.847 };
        let held_out =
            HeldOut { since: "2026-01-01T00:00:00Z".to_owned(), alerts: 5, built_in: measure, learned: measure };
        let learned = Learned { events: 90, alerts: 30, labelled: 25, decisions: 70 };
        let patterns = vec![Pattern { checks: vec!["cpu".to_owned(), "disk".to_owned()], times: 3 }];
        Model::weighs(Weighing { weights: Weights::from([0.5, 1.0, 1.25, 0.0, 2.0]), learned, held_out }, patterns)
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        assert_eq!(Model::read(&model().json()).expect("a model"), model());
        let over = model().over(&Policy::default());
        assert_eq!(over.correlate.weights.all(), [0.5, 1.0, 1.25, 0.0, 2.0]);
        assert_eq!(Policy { correlate: Policy::default().correlate, ..over }, Policy::default(), "and nothing else");
    }

    #[test]
    fn what_causes_what_is_set_beside_what_the_configuration_says() {
        let edge = |cause: &str, share| CausalEdge {
            cause: cause.to_owned(),
            effect: "errors".to_owned(),
            share,
            within: Span::seconds(30),
        };
        let learned = Model { causality: vec![edge("disk", 0.2), edge("cpu", 0.3)], ..model() };
        assert_eq!(Model::read(&learned.json()).expect("a model"), learned);
        let mut policy = Policy::default();
        policy.correlate.causality = vec![edge("disk", 0.9)];
        assert_eq!(learned.over(&policy).correlate.causality, [edge("disk", 0.9), edge("cpu", 0.3)]);
        let causes = Model { weighing: None, ..learned.clone() };
        assert_eq!(Model::read(&causes.json()).expect("a model"), causes);
        assert!(!causes.json().contains("weights"), "{}", causes.json());
        assert_eq!(causes.over(&policy).correlate.weights, policy.correlate.weights, "as they are configured");
        let both = learned.with_causality(vec![edge("cpu", 0.7), edge("net", 0.1)]);
        assert_eq!(both.causality, [edge("disk", 0.2), edge("cpu", 0.7), edge("net", 0.1)]);
        assert!(both.weighing.is_some());
        let twice = Model { causality: vec![edge("disk", 0.2), edge("disk", 0.3)], ..model() };
        let error = format!("{:#}", Model::read(&twice.json()).expect_err("twice"));
        assert!(error.contains("causality[1]: the pair stands twice"), "{error}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let json = model().json();
        for (from, to, what) in [
            ("\"format\": 1", "\"format\": 2", "format: 2 is not known"),
            ("\"place\": 1.25", "\"place\": 7.5", "weights.place: 7.5"),
            ("\"place\": 1.25", "\"place\": \"x\"", "weights.place"),
            ("\"recall\": 0.8", "\"recal\": 0.8", "recal"),
            ("\"learned\": {", "\"patterns\": [], \"causality\": [], \"learnt\": {", "learnt"),
        ] {
            let error = format!("{:#}", Model::read(&json.replace(from, to)).expect_err(what));
            assert!(error.contains(what), "{error}");
        }
        for (json, what) in [
            (r#"{"format": 1}"#, "neither weights nor causality"),
            (
                r#"{"format": 1, "weights": {"time": 1, "lifetimes": 1, "place": 1, "what": 1, "background": 1}}"#,
                "without",
            ),
        ] {
            let error = format!("{:#}", Model::read(json).expect_err(what));
            assert!(error.contains(what), "{error}");
        }
        for json in ["timestamp,value\n1,2\n", "", "{}", r#"{"alerts": []}"#, "\u{fffd}PNG"] {
            let error = format!("{:#}", Model::read(json).expect_err(json));
            assert!(error.starts_with("this is no model: one is the JSON that `quell learn`"), "{error}");
        }
        assert!(Model::read("{").is_err() && Model::read(&" ".repeat(BYTES_MAX + 1)).is_err());
    }
}
