//! What a source's configuration says of its events: which field gets what, scope and identity.
use super::{
    DEFAULT_SCOPE, Format, Rejection, TEXT_BYTES_MAX,
    draft::Draft,
    field::Field,
    frame::Frame,
    read::{label_key, settle},
    text::{Cleaner, clean, cut_apart, line},
    time::{TimeFault, rfc3339},
};
use crate::decode::LABEL_VALUE_BYTES_MAX;
use quell_core::domain::{
    event::{Event, Status},
    severity::Severity,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{borrow::Cow, collections::BTreeMap, fmt, str::FromStr};

mod extract;
mod path;
mod rules;

pub use extract::{Extract, Pattern};
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

    /// Lets rules and extractions have their say in a draft of `json`.
    ///
    /// # Errors
    /// Where a path leads to something that the field can't be.
    pub fn fill(&self, draft: &mut Draft<'_>, json: &str) -> Result<(), Rejection> {
        if self.fields.0.is_empty() && self.extract.is_empty() && self.labels.is_empty() {
            return Ok(());
        }
        let document: Value = serde_json::from_str(json)
            .map_err(|error| Rejection::new(format_args!("not readable as JSON: {error}")))?;
        for extract in &self.extract {
            let found =
                extract.from.text(&document).map_err(|reason| Rejection::new(format_args!("extract: {reason}")))?;
            for (target, text) in extract.pattern.texts(found.as_deref().unwrap_or_default()) {
                let rule = Rule::default();
                set(draft, &target, &rule, &Value::String(text.to_owned()))?;
            }
        }
        for path in &self.labels {
            copy_labels(draft, path, &document)?;
        }
        for (target, rule) in &self.fields.0 {
            if let Some(constant) = &rule.constant {
                set(draft, target, rule, &Value::String(constant.clone()))?;
            } else if let Some((value, _)) = rule.find(&document) {
                set(draft, target, rule, value)?;
            }
            if let Some(default) = rule.default.as_ref().filter(|_| is_empty(draft, target)) {
                set(draft, target, rule, &Value::String(default.clone()))?;
            }
        }
        settle(&mut draft.labels).map_err(|reason| Rejection::new(format_args!("labels: {reason}")))
    }

    /// Fills the scope and the fingerprint of an event that has none.
    ///
    /// # Errors
    /// Where the field for the scope is longer than a scope may be.
    pub fn apply(&self, event: &mut Event) -> Result<(), Rejection> {
        if event.scope.is_empty() {
            let found = self.scope.as_ref().map_or("", |path| path.get(event));
            let scope = if found.trim().is_empty() { DEFAULT_SCOPE } else { found };
            if scope.len() > TEXT_BYTES_MAX {
                return Err(Rejection::new(format_args!("scope: longer than {TEXT_BYTES_MAX} bytes")));
            }
            event.scope = scope.to_owned();
        }
        if event.fingerprint.is_empty() {
            event.fingerprint = self.fingerprint_of(event);
        }
        Ok(())
    }

    /// A hash of the fields that identify; empty where all of them are, since such conditions have nothing in common.
    fn fingerprint_of(&self, event: &Event) -> String {
        if self.fingerprint.iter().all(|path| path.get(event).is_empty()) {
            return String::new();
        }
        let mut frame = Frame::with_capacity(128);
        for path in &self.fingerprint {
            frame.text(path.get(event));
        }
        frame.hex()
    }
}

fn look_up<T: Copy>(table: &BTreeMap<String, T>, word: &str) -> Option<T> {
    if table.is_empty() {
        return None;
    }
    let word = word.trim();
    table.iter().find(|(known, _)| known.trim().eq_ignore_ascii_case(word)).map(|(_, meaning)| *meaning)
}

fn copy_labels(draft: &mut Draft<'_>, path: &Path, document: &Value) -> Result<(), Rejection> {
    let Some(found) = path.get(document) else { return Ok(()) };
    let Value::Object(members) = found else {
        return Err(Rejection::new(format_args!("labels: no object at `{path}`")));
    };
    for (key, value) in members {
        if draft.labels.iter().all(|(known, _)| known != key) {
            set(draft, &Target::Label(key.clone()), &Rule::default(), value)?;
        }
    }
    Ok(())
}

fn is_empty(draft: &mut Draft<'_>, target: &Target) -> bool {
    match target {
        Target::Field(Field::Value) => draft.value.is_none(),
        Target::Field(field) => text_field(draft, *field).is_none_or(|text| text.trim_ascii().is_empty()),
        Target::Label(key) => draft.labels.iter().all(|(known, _)| known != key),
    }
}

/// The texts of a draft; `None` for what is no text.
const fn text_field<'d, 'a>(draft: &'d mut Draft<'a>, field: Field) -> Option<&'d mut Cow<'a, str>> {
    Some(match field {
        Field::Id => &mut draft.id,
        Field::Origin => &mut draft.origin,
        Field::Entity => &mut draft.entity,
        Field::Check => &mut draft.check,
        Field::Status => &mut draft.status,
        Field::Severity => &mut draft.severity,
        Field::Summary => &mut draft.summary,
        Field::Service => &mut draft.service,
        Field::Scope => &mut draft.scope,
        Field::Fingerprint => &mut draft.fingerprint,
        Field::Identity => &mut draft.identity,
        Field::Kind => &mut draft.kind,
        Field::Time | Field::StartedAt | Field::EndedAt | Field::Value | Field::Labels => return None,
    })
}

fn set(draft: &mut Draft<'_>, target: &Target, rule: &Rule, value: &Value) -> Result<(), Rejection> {
    let wrong = |reason: &dyn fmt::Display| Rejection::new(format_args!("{target}: {reason}"));
    let text =
        || path::scalar(value).map_err(|what| wrong(&format_args!("{what}, where a text, number or boolean belongs")));
    match target {
        Target::Label(key) => {
            let key = label_key(key.into(), Cleaner::careful()).map_err(|reason| wrong(&reason))?;
            if let Some(text) = text()? {
                draft.labels.push((key, cut_apart(clean(text.into()), LABEL_VALUE_BYTES_MAX)));
            }
        }
        Target::Field(field) => match field {
            Field::Time => draft.time = rule.time(value).map_err(|reason| wrong(&reason))?.or(draft.time),
            Field::StartedAt => draft.started_at = lenient(rule, value).map_err(|reason| wrong(&reason))?,
            Field::EndedAt => draft.ended_at = lenient(rule, value).map_err(|reason| wrong(&reason))?,
            Field::Value => draft.value = number(value).map_err(|reason| wrong(&reason))?,
            _ => {
                if let (Some(text), Some(place)) = (text()?, text_field(draft, *field)) {
                    // A summary's line breaks are still to become spaces.
                    *place = if *field == Field::Summary { text.into() } else { clean(text.into()).into() };
                }
            }
        },
    }
    Ok(())
}

/// A start or an end: one that no clock shows is none.
fn lenient(rule: &Rule, value: &Value) -> Result<Option<Timestamp>, String> {
    match value {
        Value::Number(number) if number.as_f64() == Some(0.0) => Ok(None),
        Value::String(text) if rfc3339(text.trim()) == Err(TimeFault::Years) => Ok(None),
        _ => rule.time(value),
    }
}

fn number(value: &Value) -> Result<Option<f64>, String> {
    let number = match value {
        Value::Null => return Ok(None),
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let finite = number.filter(|number: &f64| number.is_finite());
    finite.map(Some).ok_or_else(|| format!("no number ({})", line(value.to_string().into(), 64)))
}

/// A field of the event, written `entity`, `check`, `origin`, `service` or `labels.NAME`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum FieldPath {
    Entity,
    Check,
    Origin,
    Service,
    /// The label of this name, which may hold dots.
    Label(String),
}

impl FieldPath {
    /// Its value; empty where the event has none.
    pub fn get<'e>(&self, event: &'e Event) -> &'e str {
        match self {
            Self::Entity => &event.entity,
            Self::Check => &event.check,
            Self::Origin => &event.origin,
            Self::Service => &event.service,
            Self::Label(name) => {
                let found = event.labels.binary_search_by(|(key, _)| key.as_str().cmp(name));
                found.map_or("", |index| &event.labels[index].1)
            }
        }
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entity => f.write_str("entity"),
            Self::Check => f.write_str("check"),
            Self::Origin => f.write_str("origin"),
            Self::Service => f.write_str("service"),
            Self::Label(name) => write!(f, "labels.{name}"),
        }
    }
}

impl From<FieldPath> for String {
    fn from(path: FieldPath) -> Self {
        path.to_string()
    }
}

/// A path that names no field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no field of an event, one of: entity, check, origin, service, labels.NAME")]
pub struct UnknownField(pub String);

impl FromStr for FieldPath {
    type Err = UnknownField;
    fn from_str(text: &str) -> Result<Self, UnknownField> {
        match text {
            "entity" => Ok(Self::Entity),
            "check" => Ok(Self::Check),
            "origin" => Ok(Self::Origin),
            "service" => Ok(Self::Service),
            _ => match text.strip_prefix("labels.") {
                Some(name) if !name.is_empty() => Ok(Self::Label(name.to_owned())),
                _ => Err(UnknownField(text.to_owned())),
            },
        }
    }
}

impl TryFrom<String> for FieldPath {
    type Error = UnknownField;
    fn try_from(text: String) -> Result<Self, UnknownField> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{Context, Message, json};

    #[test]
    fn paths_are_their_text() {
        for text in ["entity", "check", "origin", "service", "labels.region", "labels.k8s.io/name"] {
            assert_eq!(text.parse::<FieldPath>().map(|path| path.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "labels", "labels.", "Entity", "summary", "label.region"] {
            let error = text.parse::<FieldPath>().expect_err(text).to_string();
            assert!(error.starts_with(&format!("`{text}` is no field")), "{error}");
        }
    }

    #[test]
    fn it_is_stored_as_json() {
        let mapping: Mapping = serde_json::from_str(r#"{"scope": "labels.region"}"#).expect("valid");
        assert_eq!(mapping, Mapping { scope: Some(FieldPath::Label("region".into())), ..Mapping::default() });
        let text = serde_json::to_string(&mapping).expect("serializes");
        assert_eq!(text, r#"{"scope":"labels.region","fingerprint":[]}"#);
        assert_eq!(serde_json::from_str::<Mapping>(&text).expect("valid"), mapping);
        assert!(serde_json::from_str::<Mapping>(r#"{"scope": "region"}"#).is_err());
        assert!(serde_json::from_str::<Mapping>(r#"{"tenant": "entity"}"#).is_err());
    }

    /// A document read as `format = "json"` by a mapping.
    fn read(mapping: &str, document: &str) -> Result<Event, Rejection> {
        let mapping: Mapping = serde_json::from_str(mapping).expect(mapping);
        mapping.check(Format::Json).expect("it goes together");
        let arrival = Timestamp(1_760_000_014_556);
        let context = Context { arrival, offset: 42, check_wall: true, mapping: &mapping, default_origin: "topic" };
        let message = Message { bytes: document.as_bytes(), headers: &[], source: "topic/0#0" };
        json::decode(&message, &context)
    }

    #[test]
    fn fields_have_paths_constants_and_defaults() {
        let mapping = r#"{"fields": {"entity": ["host.fqdn", "host.name"], "check": "svc", "time": {"path": "ts", "unit": "s"},
            "origin": {"constant": "nagios-eu"}, "summary": {"path": "text", "default": "nothing said"}, "value": "perf",
            "severity": "state", "status": "state", "labels": {"rack": "location.rack", "site": {"constant": "eu"}}},
            "labels": ["tags"], "severities": {"2": "critical", "Bad ": "minor"}, "statuses": {"2": "firing", "0": "resolved"},
            "scope": "labels.site"}"#;
        let document = r#"{"host": {"name": "db-07"}, "svc": "DiskFull", "ts": 1760000014, "state": 2, "perf": "0.97",
            "location": {"rack": "r4"}, "tags": {"team": "core", "rack": "other", "n": 7, "no": null}}"#;
        let event = read(mapping, document).expect("valid");
        assert_eq!(
            (event.entity.as_str(), event.check.as_str(), event.origin.as_str()),
            ("db-07", "DiskFull", "nagios-eu")
        );
        assert_eq!(
            (event.time, event.value, event.summary.as_str()),
            (Timestamp(1_760_000_014_000), Some(0.97), "nothing said")
        );
        assert_eq!((event.severity, event.status, event.scope.as_str()), (Severity::Critical, Status::Firing, "eu"));
        let labels: Vec<_> = event.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        // A rule says more than an object that is copied; a word of the table is kept.
        assert_eq!(labels, ["n=7", "rack=r4", "severity=2", "site=eu", "team=core"]);
        let recovery = read(mapping, &document.replace("\"state\": 2", "\"state\": \" 0\"")).expect("valid");
        assert_eq!((recovery.status, recovery.severity), (Status::Resolved, Severity::Warning));
        for (from, to, reason) in [
            ("\"DiskFull\"", "[1]", "check: an array, where a text, number or boolean belongs"),
            ("\"DiskFull\"", "null", "check: missing"),
            ("1760000014", "1760000014556", "time: looks like microseconds"),
            ("\"0.97\"", "\"a lot\"", "value: no number (\"a lot\")"),
            ("\"state\": 2", "\"state\": 7", "status: unknown `7`"),
            ("{\"team\"", "[{\"team\"", "not readable as JSON"),
        ] {
            let rejection = read(mapping, &document.replace(from, to)).expect_err(to);
            assert!(rejection.reason.starts_with(reason), "{rejection}\n  instead of {reason}");
        }
    }

    #[test]
    fn texts_are_taken_apart_and_rules_say_more() {
        let mapping = r#"{"extract": [{"from": "line", "pattern": "^(?<severity>\\w+): (?<check>\\w+) on (?<entity>\\S+) \\((?<rack>\\w+)\\)"}],
            "fields": {"summary": "line", "severity": {"default": "info"}}}"#;
        let event = read(mapping, r#"{"line": "CRIT: DiskFull on db-07 (r4)\n"}"#).expect("valid");
        assert_eq!(
            (event.entity.as_str(), event.check.as_str(), event.severity),
            ("db-07", "DiskFull", Severity::Critical)
        );
        assert_eq!(event.labels, [("rack".to_owned(), "r4".to_owned())]);
        // No time is looked for: it is the arrival, and what is told again is another event.
        assert_eq!((event.time, event.id.as_str()), (event.arrival, "topic/0#0:42"));
        assert_eq!(read(mapping, r#"{"line": "nothing of it"}"#).expect_err("no match").reason, "entity: missing");
    }

    #[test]
    fn a_constant_can_steer_nothing() {
        let mapping = r#"{"fields": {"entity": {"constant": "a\u001b[2J"}, "check": {"constant": "c"}, "labels": {"a": {"constant": "\u0000"}}}}"#;
        let event = read(mapping, "{}").expect("valid");
        assert_eq!((event.entity.as_str(), event.labels[0].1.as_str()), ("a\u{fffd}[2J", "\u{fffd}"));
    }

    #[test]
    fn what_does_not_go_together_is_named() {
        for (format, mapping, key, reason) in [
            (Format::Json, "{}", "fields", "format \"json\" needs entity, as in fields.entity = \"path\""),
            (Format::Json, r#"{"fields": {"entity": "a"}}"#, "fields", "format \"json\" needs check"),
            (
                Format::Canonical,
                r#"{"fields": {"entity": {"path": "a", "unit": "s"}}}"#,
                "fields.entity.unit",
                "only times",
            ),
            (Format::Canonical, r#"{"fields": {"time": {"constant": "a"}}}"#, "fields.time", "a time has a path only"),
            (Format::Canonical, r#"{"ignore_labels": []}"#, "ignore_labels", "only format \"alertmanager\" has it"),
        ] {
            let mapping: Mapping = serde_json::from_str(mapping).expect(mapping);
            let (at, why) = mapping.check(format).expect_err(key);
            assert!(at == key && why.starts_with(reason), "{at}: {why}");
        }
        for mapping in [
            r#"{"fields": {"entiti": "a"}}"#,
            r#"{"fields": {"entity": {}}}"#,
            r#"{"fields": {"entity": {"constant": "a", "default": "b"}}}"#,
            r#"{"fields": {"entity": "a..b"}}"#,
            r#"{"fields": {"entity": {"path": "a", "unit": "years"}}}"#,
            r#"{"fields": {"labels": {"": "a"}}}"#,
            r#"{"severities": {"2": "bad"}}"#,
        ] {
            assert!(serde_json::from_str::<Mapping>(mapping).is_err(), "{mapping}");
        }
    }

    #[test]
    fn all_of_it_is_stored_as_json() {
        let text = r#"{"scope":null,"fingerprint":[],"fields":{"time":{"path":["ts"],"unit":"s"},"entity":{"path":["a","b.c"],"default":"x"},"labels":{"rack":{"constant":"r4"}}},"labels":["tags"],"extract":[{"from":"line","pattern":"(?<check>\\w+)"}],"severities":{"2":"critical"},"severity_default":"minor","statuses":{"0":"resolved"},"ignore_labels":["severity"],"entity_labels":["pod"]}"#;
        let mapping: Mapping = serde_json::from_str(text).expect("valid");
        assert_eq!(serde_json::to_string(&mapping).expect("serializes"), text);
        assert_eq!(serde_json::from_str::<Mapping>(&text.replace("pod", "node")).expect("valid") == mapping, false);
    }
}
