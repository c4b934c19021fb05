//! Fields of an event, by name.
use quell_core::domain::event::Event;
use quell_models::templates::Skeleton;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, fmt, str::FromStr};

/// A field of the event, written `entity`, `check`, `origin`, `service`, `labels.NAME` or `template`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum FieldPath {
    Entity,
    Check,
    Origin,
    Service,
    /// The label of this name, which may hold dots.
    Label(String),
    /// Of the summary: the id of what it says without what varies in it, which is the same on every node.
    Template,
}

impl FieldPath {
    /// Its value; empty where the event has none.
    pub fn get<'e>(&self, event: &'e Event) -> Cow<'e, str> {
        let found: &str = match self {
            Self::Entity => &event.entity,
            Self::Check => &event.check,
            Self::Origin => &event.origin,
            Self::Service => &event.service,
            Self::Label(name) => {
                let found = event.labels.binary_search_by(|(key, _)| key.as_str().cmp(name));
                found.map_or("", |index| &event.labels[index].1)
            }
            Self::Template if event.summary.is_empty() => "",
            Self::Template => return format!("{:016x}", Skeleton::of(&event.summary).id()).into(),
        };
        found.into()
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
            Self::Template => f.write_str("template"),
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
#[error("`{0}` is no field of an event, one of: entity, check, origin, service, labels.NAME, template")]
pub struct UnknownField(pub String);

impl FromStr for FieldPath {
    type Err = UnknownField;
    fn from_str(text: &str) -> Result<Self, UnknownField> {
        match text {
            "entity" => Ok(Self::Entity),
            "check" => Ok(Self::Check),
            "origin" => Ok(Self::Origin),
            "service" => Ok(Self::Service),
            "template" => Ok(Self::Template),
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
