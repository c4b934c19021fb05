//! Filters of lists, a part of AIP-160 (<https://google.aip.dev/160>): comparisons of fields, joined by `AND`, `OR` (which
//! binds closer, as there), `NOT` or `-`, and parentheses.
//!
//! A value is checked against its field when the filter is read, so that a word that no state has is an error and not an
//! empty list. Times and numbers that are not set compare with nothing but `!=`; an absent label is the empty text.
use std::borrow::Cow;
use tonic::Status;

mod fields;
mod parse;

/// Whether one of an item's texts passes.
type AnyText<T> = fn(&T, &dyn Fn(&str) -> bool) -> bool;

/// How a field's value is found and compared.
pub enum Kind<T> {
    Text(for<'a> fn(&'a T) -> Cow<'a, str>),
    /// Several, of which any may be meant; `!=`: none.
    Texts(AnyText<T>),
    Number(fn(&T) -> f64),
    Flag(fn(&T) -> bool),
    /// In milliseconds, where it is set.
    Time(fn(&T) -> Option<i64>),
    /// Its number, and the word of a number. They are in order: `severity >= MAJOR`.
    Word(fn(&T) -> i32, fn(i32) -> Option<&'static str>),
    List(AnyText<T>),
    /// By key.
    Labels(for<'a> fn(&'a T, &str) -> Option<&'a str>),
}

/// A field that a filter may name.
pub struct Field<T: 'static> {
    pub name: &'static str,
    pub kind: Kind<T>,
}

/// A message that lists are filtered by.
pub trait Filtered: Sized + 'static {
    const FIELDS: &'static [Field<Self>];
}

/// How a value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
    /// `:`
    Has,
}

impl Op {
    fn holds(self, order: Option<std::cmp::Ordering>) -> bool {
        match (self, order) {
            (Self::Unequal, order) => order != Some(std::cmp::Ordering::Equal),
            (_, None) => false,
            (Self::Equal | Self::Has, Some(order)) => order.is_eq(),
            (Self::Less, Some(order)) => order.is_lt(),
            (Self::LessOrEqual, Some(order)) => order.is_le(),
            (Self::More, Some(order)) => order.is_gt(),
            (Self::MoreOrEqual, Some(order)) => order.is_ge(),
        }
    }
}

/// What a field is compared with.
#[derive(Debug)]
enum Value {
    Text(String),
    /// In lower case, to be found within.
    Part(String),
    Number(f64),
    Flag(bool),
    Time(i64),
    Word(i32),
    /// `*`: it is set.
    Any,
    Label(String, Box<Value>),
}

enum Node<T: 'static> {
    All(Vec<Self>),
    Some(Vec<Self>),
    Not(Box<Self>),
    Test(&'static Field<T>, Op, Value),
}

/// A filter that was read.
pub struct Filter<T: 'static>(Node<T>);

impl<T: Filtered> Filter<T> {
    /// Reads a filter; an empty one lets everything pass.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` with the place, and what is expected there.
    pub fn parse(text: &str) -> Result<Self, Status> {
        parse::parse(text).map(Self)
    }

    /// Whether it passes.
    pub fn matches(&self, item: &T) -> bool {
        self.0.matches(item)
    }
}

impl<T> Node<T> {
    fn matches(&self, item: &T) -> bool {
        match self {
            Self::All(nodes) => nodes.iter().all(|node| node.matches(item)),
            Self::Some(nodes) => nodes.iter().any(|node| node.matches(item)),
            Self::Not(node) => !node.matches(item),
            Self::Test(field, op, value) => test(&field.kind, *op, value, item),
        }
    }
}

fn test<T>(kind: &Kind<T>, op: Op, value: &Value, item: &T) -> bool {
    match (kind, value) {
        (Kind::Text(get), value) => text(&get(item), op, value),
        (Kind::Texts(any), value) if op == Op::Unequal => !any(item, &|one| text(one, Op::Equal, value)),
        (Kind::Texts(any), value) => any(item, &|one| text(one, op, value)),
        (Kind::Number(get), Value::Number(value)) => op.holds(get(item).partial_cmp(value)),
        (Kind::Flag(get), Value::Flag(value)) => op.holds(Some(get(item).cmp(value))),
        (Kind::Time(get), Value::Any) => get(item).is_some(),
        (Kind::Time(get), Value::Time(value)) => op.holds(get(item).map(|at| at.cmp(value))),
        (Kind::Word(get, _), Value::Word(value)) => op.holds(Some(get(item).cmp(value))),
        (Kind::List(any), Value::Any) => any(item, &|_| true),
        (Kind::List(any), Value::Text(value)) => any(item, &|one| one == value),
        (Kind::Labels(get), Value::Label(key, value)) => match &**value {
            Value::Any => get(item, key).is_some(),
            value => text(get(item, key).unwrap_or_default(), op, value),
        },
        // The reader gives each kind of field its kind of value.
        _ => false,
    }
}

fn text(found: &str, op: Op, value: &Value) -> bool {
    match value {
        Value::Text(value) => op.holds(Some(found.cmp(value))),
        Value::Part(part) => found.to_lowercase().contains(part.as_str()),
        Value::Any => !found.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::{ShownAlert, Views, tests};
    use quell_core::{
        domain::{alert::SuppressedBy, severity::Severity},
        output::AlertUpdate,
    };
    use std::sync::Arc;

    fn alert() -> ShownAlert {
        let mut alert = tests::alert("db-07", "Disk Full", Severity::Major);
        alert.count = 12;
        alert.labels = Arc::new([("region".into(), "eu".into())]);
        alert.services = vec!["db".into(), "payments".into()].into();
        alert.suppressed_by = Some(Box::new(SuppressedBy::Silence("s1".into())));
        ShownAlert { update: AlertUpdate { scope: "default".into(), alert: Arc::new(alert) }, views: Views::new(1) }
    }

    fn passes(filter: &str) -> bool {
        Filter::<ShownAlert>::parse(filter)
            .unwrap_or_else(|error| panic!("{filter}: {}", error.message()))
            .matches(&alert())
    }

    #[test]
    fn what_passes() {
        for filter in [
            "",
            "state = \"OPEN\"",
            "state=OPEN AND severity >= MAJOR AND severity < CRITICAL",
            "state = open AND severity = \"Major\" AND severity != critical",
            "entity = \"db-07\" AND count > 11 AND count <= 12.0",
            "entity = db-08 OR entity = db-07",
            // OR binds closer than AND.
            "state = CLEARED OR state = OPEN AND entity = \"db-07\"",
            "(state = CLEARED AND entity = \"x\") OR count = 12",
            "NOT state = CLEARED",
            "-state = CLEARED AND NOT (entity = x OR entity = y)",
            "check:\"disk\"",
            "check:*",
            "labels.region = \"eu\" AND labels:region AND labels.region:*",
            "labels.\"region\" != us",
            "labels.missing = \"\" AND NOT labels:missing",
            "opened_at > \"2026-01-04T23:59:59Z\" AND opened_at = 2026-01-05T01:00:00+01:00",
            "cleared_at != \"2026-01-05T00:00:00Z\"",
            "expired = false AND NOT expired = true",
            "NOT cleared_at:*",
            "service = payments AND service = db AND service != web AND service:\"PAY\" AND service:*",
            "suppressed_by = \"scopes/default/silences/s1\" AND suppressed = true AND switch = false",
            "incident = \"\" AND NOT incident:*",
            "  ( ( entity = \"db-07\" ) )  ",
        ] {
            assert!(passes(filter), "{filter}");
        }
    }

    #[test]
    fn what_does_not() {
        for filter in [
            "state = CLEARED",
            "severity > MAJOR",
            "entity = \"DB-07\"",
            "check:\"memory\"",
            "cleared_at < \"2030-01-01T00:00:00Z\"",
            "cleared_at >= \"1970-01-01T00:00:00Z\"",
            "labels.region = us",
            "state = OPEN AND entity = x OR entity = y",
            "service = web",
            "service != db",
            "service = \"\"",
            "labels.missing:*",
        ] {
            assert!(!passes(filter), "{filter}");
        }
    }

    #[test]
    fn errors_say_where_and_what() {
        let deep = format!("{}count = 1{}", "(".repeat(200), ")".repeat(200));
        let many = vec!["count = 1"; 200].join(" AND ");
        let long = format!("entity = \"{}\"", "x".repeat(10_000));
        let negations = "NOT ".repeat(5_000);
        for (filter, at, what) in [
            ("colour = 1", 1, "a field is expected"),
            ("state", 6, "expected"),
            ("state = ", 9, "a value is expected"),
            ("state = A", 9, "OPEN"),
            ("state = OPEN entity = b", 14, "AND"),
            ("state = OPEN AND ", 18, "a field is expected"),
            ("state = OPEN AND", 17, "a field is expected"),
            ("state = \"OPEN", 9, "no end"),
            ("entity = \"é\" colour", 14, "AND"),
            ("count = many", 9, "a number"),
            ("count = NaN", 9, "a number"),
            ("opened_at > yesterday", 13, "2026-01-05T00:00:00Z"),
            ("expired = maybe", 11, "true or false"),
            ("expired > true", 9, "="),
            ("labels = eu", 8, "labels.region"),
            ("labels. = eu", 8, "key"),
            ("(count = 1", 11, ")"),
            ("count = 1)", 10, "AND"),
            ("entity.name = x", 7, "no parts"),
            (&deep, 0, "deep"),
            (&many, 0, "comparisons"),
            (&long, 0, "4096 bytes"),
            (&negations, 0, ""),
        ] {
            let error = Filter::<ShownAlert>::parse(filter).err().unwrap_or_else(|| panic!("{filter} is read"));
            let message = error.message();
            assert!(at == 0 || message.contains(&format!("at character {at}:")), "{filter}: {message}");
            assert!(message.contains(what) && error.code() == tonic::Code::InvalidArgument, "{filter}: {message}");
        }
    }
}
