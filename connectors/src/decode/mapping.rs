//! What a source's configuration says of scope and identity.
use super::{DEFAULT_SCOPE, Rejection, check_scope, frame::Frame};
use quell_core::domain::event::Event;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// How a source's events get their scope and fingerprint. Stored as JSON, versioned: an offset that is read again is
/// mapped as before, so a field that an older Quell does not know is an error and not a silence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mapping {
    /// The field that holds the scope of an event that names none itself.
    pub scope: Option<FieldPath>,
    /// The fields that identify a condition, where the event has no fingerprint of its own; empty leaves it to the
    /// policy.
    pub fingerprint: Vec<FieldPath>,
}

impl Mapping {
    /// Fills the scope and the fingerprint of an event that has none.
    ///
    /// # Errors
    /// Where the event's scope, or what the field for it holds, can be no scope.
    pub fn apply(&self, event: &mut Event) -> Result<(), Rejection> {
        if event.scope.is_empty() {
            let found = self.scope.as_ref().map_or("", |path| path.get(event));
            let scope = if found.trim().is_empty() { DEFAULT_SCOPE } else { found };
            event.scope = scope.to_owned();
        }
        check_scope(&event.scope)?;
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
        assert_eq!(mapping, Mapping { scope: Some(FieldPath::Label("region".into())), fingerprint: vec![] });
        let text = serde_json::to_string(&mapping).expect("serializes");
        assert_eq!(text, r#"{"scope":"labels.region","fingerprint":[]}"#);
        assert_eq!(serde_json::from_str::<Mapping>(&text).expect("valid"), mapping);
        assert!(serde_json::from_str::<Mapping>(r#"{"scope": "region"}"#).is_err());
        assert!(serde_json::from_str::<Mapping>(r#"{"tenant": "entity"}"#).is_err());
    }
}
