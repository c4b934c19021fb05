//! Which alerts are meant: Alertmanager's matchers (<https://prometheus.io/docs/alerting/latest/configuration/#matcher>).
//!
//! A regular expression has to match the whole value, alternatives included; an alert without the label has the empty
//! value. What is made from text is valid, so nothing inside can fail on it.
use super::{alert::Alert, severity::Severity};
use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, str::FromStr, sync::Arc};

mod parse;

/// Of a set's text, in bytes, and of its matchers: what bounds a silence.
const TEXT_MAX: usize = 4_096;
/// Of a compiled expression, in bytes, and of the cache it searches with.
const REGEX_BYTES_MAX: usize = 256 * 1024;
const REGEX_CACHE_BYTES: usize = 64 * 1024;

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

    /// As it is written.
    pub fn name(&self) -> String {
        match self {
            Self::Entity => "entity".to_owned(),
            Self::Check => "check".to_owned(),
            Self::Origin => "origin".to_owned(),
            Self::Service => "service".to_owned(),
            Self::Severity => "severity".to_owned(),
            Self::Summary => "summary".to_owned(),
            Self::Label(label) if Self::of(label) == *self => label.to_string(),
            Self::Label(label) => format!("labels.{label}"),
        }
    }
}

/// As text: `check`, `labels.severity`.
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

    fn any(&self, field: &Field, is: impl Fn(&str) -> bool) -> bool {
        match field {
            Field::Service if !self.services.is_empty() => self.services.iter().any(|s| is(s)),
            field => is(self.value(field)),
        }
    }
}

/// How a value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Is,
    IsNot,
    Matches,
    MatchesNot,
}

impl Comparison {
    const fn sign(self) -> &'static str {
        match self {
            Self::Is => "=",
            Self::IsNot => "!=",
            Self::Matches => "=~",
            Self::MatchesNot => "!~",
        }
    }
}

/// Why a text is no matcher.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MatcherError(String);

/// One condition: `check="latency"`, `env=~"prod|staging"`.
#[derive(Clone, Debug)]
pub struct Matcher {
    field: Field,
    comparison: Comparison,
    value: Arc<str>,
    /// The compiled value.
    regex: Option<Regex>,
}

impl Matcher {
    /// A matcher of its parts.
    ///
    /// # Errors
    /// Where the value is to be a regular expression and is none, or too large a one.
    pub fn new(field: Field, comparison: Comparison, value: &str) -> Result<Self, MatcherError> {
        let is_regex = matches!(comparison, Comparison::Matches | Comparison::MatchesNot);
        let regex = if is_regex { Some(anchored(value)?) } else { None };
        Ok(Self { field, comparison, value: value.into(), regex })
    }

    /// Whether an alert meets the condition. Of several services one has to, and with `!=` and `!~` all.
    pub fn matches(&self, alert: &AlertView<'_>) -> bool {
        let found = alert.any(&self.field, |value| self.is(value));
        found != matches!(self.comparison, Comparison::IsNot | Comparison::MatchesNot)
    }

    fn is(&self, value: &str) -> bool {
        self.regex.as_ref().map_or(*self.value == *value, |regex| regex.is_match(value))
    }

    /// The value that an alert must have, where there is one.
    pub fn required(&self) -> Option<(&Field, &str)> {
        (self.comparison == Comparison::Is && !self.value.is_empty()).then_some((&self.field, &*self.value))
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.field, self.comparison, &self.value) == (&other.field, other.comparison, &other.value)
    }
}

/// By itself first: `a)|(b` is no expression, and would be one between the brackets.
fn anchored(pattern: &str) -> Result<Regex, MatcherError> {
    let compile = |pattern: &str| {
        let mut builder = RegexBuilder::new(pattern);
        builder.size_limit(REGEX_BYTES_MAX).dfa_size_limit(REGEX_CACHE_BYTES).build()
    };
    let compiled = compile(pattern).and_then(|_| compile(&format!("^(?:{pattern})$")));
    compiled.map_err(|error| {
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
        MatcherError(format!("`{pattern}` is no regular expression: {reason}"))
    })
}

/// A set of conditions, of which an alert must meet all; never empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Matchers(Vec<Matcher>);

/// What checks are called that say that a thing is not there,
const DOWN: &str = r"(?i).*(down|unreachable|node ?not ?ready).*";
/// and what sounds like it.
const NOT_DOWN: &str = r"(?i).*(slow|count|cool|break|draw)[ _-]?down.*";

impl Matchers {
    /// Checks that say that an entity is down, by their usual names.
    pub fn down() -> Self {
        let conditions = [(Comparison::Matches, DOWN), (Comparison::MatchesNot, NOT_DOWN)];
        Self(conditions.into_iter().flat_map(|(c, pattern)| Matcher::new(Field::Check, c, pattern)).collect())
    }

    /// Whether an alert meets all of them.
    pub fn matches(&self, alert: &AlertView<'_>) -> bool {
        self.0.iter().all(|matcher| matcher.matches(alert))
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Matcher> {
        self.0.iter()
    }

    /// Whether an alert meets them that has none of the values they name: then they mean next to everything.
    pub fn match_nothing_named(&self) -> bool {
        let is_empty = |m: &Matcher| m.is("") != matches!(m.comparison, Comparison::IsNot | Comparison::MatchesNot);
        self.0.iter().all(is_empty)
    }
}

impl FromStr for Matcher {
    type Err = MatcherError;
    fn from_str(text: &str) -> Result<Self, MatcherError> {
        parse::one(text)
    }
}

impl FromStr for Matchers {
    type Err = MatcherError;
    fn from_str(text: &str) -> Result<Self, MatcherError> {
        parse::set(text).map(Self)
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.field.name();
        if name.is_empty() || name.contains(parse::is_special) {
            parse::quote(f, &name)?;
        } else {
            f.write_str(&name)?;
        }
        f.write_str(self.comparison.sign())?;
        parse::quote(f, &self.value)
    }
}

impl fmt::Display for Matchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, matcher) in self.0.iter().enumerate() {
            write!(f, "{}{matcher}", if n == 0 { "{" } else { "," })?;
        }
        f.write_str("}")
    }
}

/// As text: `{check="latency",env=~"prod|staging"}`.
impl Serialize for Matchers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Matchers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
