//! Which alerts are meant: conditions in Alertmanager's syntax, `check="latency"`, `severity=~"critical|major"`.
use super::{alert::Alert, severity::Severity};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, str::FromStr, sync::Arc};

/// What of an alert is looked at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    Entity,
    Check,
    Origin,
    /// Any of its services.
    Service,
    Severity,
    Summary,
    Label(Arc<str>),
}

impl Field {
    /// The field of a name: `entity`, `check` …, else a label's. `labels.entity` is the label of that name.
    pub fn of(name: &str) -> Self {
        match name {
            "entity" => Self::Entity,
            "check" => Self::Check,
            "origin" => Self::Origin,
            "service" => Self::Service,
            "severity" => Self::Severity,
            "summary" => Self::Summary,
            label => Self::Label(label.strip_prefix("labels.").unwrap_or(label).into()),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Entity => "entity".to_owned(),
            Self::Check => "check".to_owned(),
            Self::Origin => "origin".to_owned(),
            Self::Service => "service".to_owned(),
            Self::Severity => "severity".to_owned(),
            Self::Summary => "summary".to_owned(),
            Self::Label(label) => format!("labels.{label}"),
        }
    }
}

impl Serialize for Field {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name())
    }
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::of(&String::deserialize(deserializer)?))
    }
}

/// What matchers see of an alert.
#[derive(Clone, Copy, Debug)]
pub struct AlertView<'a> {
    pub entity: &'a str,
    pub check: &'a str,
    pub origin: &'a str,
    pub services: &'a [Arc<str>],
    pub severity: Severity,
    pub summary: &'a str,
    /// Sorted by key.
    pub labels: &'a [(Arc<str>, Arc<str>)],
}

impl<'a> From<&'a Alert> for AlertView<'a> {
    fn from(alert: &'a Alert) -> Self {
        Self {
            entity: &alert.entity,
            check: &alert.check,
            origin: &alert.origin,
            services: &alert.services,
            severity: alert.severity,
            summary: &alert.summary,
            labels: &alert.labels,
        }
    }
}

impl<'a> AlertView<'a> {
    /// A value; of several services the first. Empty where there is none.
    pub fn value(&self, field: &Field) -> &'a str {
        match field {
            Field::Entity => self.entity,
            Field::Check => self.check,
            Field::Origin => self.origin,
            Field::Service => self.services.first().map_or("", |s| s),
            Field::Severity => self.severity.name(),
            Field::Summary => self.summary,
            Field::Label(label) => {
                let place = self.labels.binary_search_by(|(key, _)| (**key).cmp(label));
                place.map_or("", |n| &self.labels[n].1)
            }
        }
    }
}

/// One condition. A pattern is a list of alternatives, `*` in it stands for anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matcher {
    field: Field,
    negated: bool,
    /// One of these; a pattern where it is compared with `=~` or `!~`.
    values: Vec<String>,
    pattern: bool,
}

/// Why a text is no matcher.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MatcherError(String);

impl Matcher {
    /// Whether an alert meets the condition. Of several services one has to, and with `!=` and `!~` all.
    pub fn matches(&self, alert: &AlertView<'_>) -> bool {
        let is = |value: &str| self.values.iter().any(|v| if self.pattern { glob(v, value) } else { v == value });
        let found = match &self.field {
            Field::Service if !alert.services.is_empty() => alert.services.iter().any(|s| is(s)),
            field => is(alert.value(field)),
        };
        found != self.negated
    }
}

/// `.*` stands for anything.
fn glob(pattern: &str, value: &str) -> bool {
    let mut parts = pattern.split(".*");
    let Some(mut rest) = parts.next().and_then(|first| value.strip_prefix(first)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

impl FromStr for Matcher {
    type Err = MatcherError;

    fn from_str(text: &str) -> Result<Self, MatcherError> {
        let error = || MatcherError(format!("`{text}` is no condition; write it like check=\"latency\""));
        let at = text.find(['=', '!']).ok_or_else(error)?;
        let (name, rest) = text.split_at(at);
        let signs = [("=~", false, true), ("!~", true, true), ("!=", true, false), ("=", false, false)];
        let (sign, negated, pattern) = signs.into_iter().find(|(s, ..)| rest.starts_with(s)).ok_or_else(error)?;
        let value = rest[sign.len()..].trim();
        let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).ok_or_else(error)?;
        if name.trim().is_empty() {
            return Err(error());
        }
        if pattern && value.replace(".*", "").contains(['(', ')', '[', ']', '+', '?', '*', '^', '$', '\\', '{', '}']) {
            return Err(MatcherError(format!("`{text}`: of regular expressions only `|` and `.*` are understood")));
        }
        let values = if pattern { value.split('|').map(str::to_owned).collect() } else { vec![value.to_owned()] };
        Ok(Self { field: Field::of(name.trim()), negated, values, pattern })
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match (self.negated, self.pattern) {
            (false, false) => "=",
            (true, false) => "!=",
            (false, true) => "=~",
            (true, true) => "!~",
        };
        write!(f, "{}{sign}\"{}\"", self.field.name(), self.values.join("|"))
    }
}

impl Serialize for Matcher {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Matcher {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
