//! What a source's configuration says of its events: which field gets what, scope and identity.
use super::{DEFAULT_SCOPE, Format, Rejection, check_scope, field::Field, frame::Frame};
use quell_core::domain::{
    event::{Event, Status},
    severity::Severity,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

mod extract;
mod field_path;
mod fill;
mod path;
mod rules;

pub use extract::{Extract, Pattern};
pub use field_path::{FieldPath, UnknownField};
pub use path::{NoPath, Path};
pub use rules::{Rule, Rules, Unit};

/// The most rules, extractions, words of a table and names of a list.
const ENTRIES_MAX: usize = 256;

/// How a source's events are read. Stored as JSON, versioned: an offset that is read again is mapped as before, so a
/// field that an older Quell does not know is an error and not a silence.
///
/// Of what a field may be, the first that is there counts: a rule's constant or path, an extraction, what the format
/// says, the rule's default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mapping {
    /// The field that holds the scope of an event that names none itself.
    pub scope: Option<FieldPath>,
    /// The fields that identify a condition, where the event has no fingerprint of its own; empty leaves it to the
    /// format, or to the policy.
    pub fingerprint: Vec<FieldPath>,
    /// Fields by their paths in the document.
    #[serde(skip_serializing_if = "is_default")]
    pub fields: Rules,
    /// Objects whose members become labels, where there is none of that name.
    #[serde(skip_serializing_if = "is_default")]
    pub labels: Vec<Path>,
    /// Fields by parts of a text, in order.
    #[serde(skip_serializing_if = "is_default")]
    pub extract: Vec<Extract>,
    /// Words and numbers for a severity, beside those that are known; case and blanks do not matter.
    #[serde(skip_serializing_if = "is_default")]
    pub severities: BTreeMap<String, Severity>,
    /// The severity of a word that is not known, or none; a warning without it.
    #[serde(skip_serializing_if = "is_default")]
    pub severity_default: Option<Severity>,
    /// Words and numbers for a state, likewise.
    #[serde(skip_serializing_if = "is_default")]
    pub statuses: BTreeMap<String, Status>,
    /// Of Alertmanager: the labels that do not identify a condition.
    #[serde(skip_serializing_if = "is_default")]
    pub ignore_labels: Option<Vec<String>>,
    /// Of Alertmanager: the labels that may name the entity, the first that is there does.
    #[serde(skip_serializing_if = "is_default")]
    pub entity_labels: Option<Vec<String>>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What a rule or an extraction fills.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    Field(Field),
    Label(String),
}

impl Target {
    /// The field of this name, or else a label.
    pub fn named(name: &str) -> Self {
        Field::named(name)
            .filter(|field| *field != Field::Labels)
            .map_or_else(|| Self::Label(name.to_owned()), Self::Field)
    }

    const fn is_time(&self) -> bool {
        matches!(self, Self::Field(Field::Time | Field::StartedAt | Field::EndedAt))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(field) => f.write_str(field.name()),
            Self::Label(key) => write!(f, "labels.{key}"),
        }
    }
}

impl Mapping {
    /// Whether it goes together with a format, and is of a bearable size.
    ///
    /// # Errors
    /// The key that is wrong, and why.
    pub fn check(&self, format: Format) -> Result<(), (String, String)> {
        let refuse = |key: String, reason: String| Err((key, reason));
        for (key, entries) in [
            ("fields", self.fields.0.len()),
            ("labels", self.labels.len()),
            ("extract", self.extract.len()),
            ("severities", self.severities.len()),
            ("statuses", self.statuses.len()),
            ("ignore_labels", self.ignore_labels.as_ref().map_or(0, Vec::len)),
            ("entity_labels", self.entity_labels.as_ref().map_or(0, Vec::len)),
        ] {
            if entries > ENTRIES_MAX {
                return refuse(key.to_owned(), format!("{entries} of them; at most {ENTRIES_MAX}"));
            }
        }
        if self.scope == Some(FieldPath::Template) {
            return refuse("scope".to_owned(), "a template is no scope".to_owned());
        }
        for (target, rule) in &self.fields.0 {
            if rule.unit.is_some() && !target.is_time() {
                return refuse(format!("fields.{target}.unit"), "only times have a unit".to_owned());
            }
            if target.is_time() && (rule.constant.is_some() || rule.default.is_some()) {
                return refuse(format!("fields.{target}"), "a time has a path only".to_owned());
            }
        }
        for (key, given) in [("ignore_labels", &self.ignore_labels), ("entity_labels", &self.entity_labels)] {
            if given.is_some() && format != Format::Alertmanager {
                return refuse(key.to_owned(), "only format \"alertmanager\" has it".to_owned());
            }
        }
        // Any JSON says nothing of an event by itself.
        for field in [Field::Entity, Field::Check] {
            let target = Target::Field(field);
            let found = self.fields.0.contains_key(&target)
                || self.extract.iter().any(|extract| extract.pattern.targets().any(|filled| filled == target));
            if format == Format::Json && !found {
                let name = field.name();
                return refuse(
                    "fields".to_owned(),
                    format!("format \"json\" needs {name}, as in fields.{name} = \"path\""),
                );
            }
        }
        Ok(())
    }

    /// The state that a word has by the table.
    pub fn status(&self, word: &str) -> Option<Status> {
        look_up(&self.statuses, word)
    }

    /// The severity that a word has by the table.
    pub fn severity(&self, word: &str) -> Option<Severity> {
        look_up(&self.severities, word)
    }

    /// Fills the scope and the fingerprint of an event that has none.
    ///
    /// # Errors
    /// Where the event's scope, or what the field for it holds, can be no scope.
    pub fn apply(&self, event: &mut Event) -> Result<(), Rejection> {
        if event.scope.is_empty() {
            let found = self.scope.as_ref().map_or("".into(), |path| path.get(event));
            event.scope = if found.trim().is_empty() { DEFAULT_SCOPE.to_owned() } else { found.into_owned() };
        }
        check_scope(&event.scope)?;
        if event.fingerprint.is_empty() {
            event.fingerprint = self.fingerprint_of(event);
        }
        Ok(())
    }

    /// A hash of the fields that identify; empty where all of them are, since such conditions have nothing in common.
    fn fingerprint_of(&self, event: &Event) -> String {
        let mut frame = Frame::with_capacity(128);
        let mut says_nothing = true;
        for path in &self.fingerprint {
            let found = path.get(event);
            says_nothing &= found.is_empty();
            frame.text(&found);
        }
        if says_nothing { String::new() } else { frame.hex() }
    }
}

fn look_up<T: Copy>(table: &BTreeMap<String, T>, word: &str) -> Option<T> {
    if table.is_empty() {
        return None;
    }
    let word = word.trim();
    table.iter().find(|(known, _)| known.trim().eq_ignore_ascii_case(word)).map(|(_, meaning)| *meaning)
}

#[cfg(test)]
mod tests;
