//! Ways into a JSON document.
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// The most names of one path: what is looked at grows with them.
const NAMES_MAX: usize = 16;
/// The longest path, in bytes.
const BYTES_MAX: usize = 512;

/// Names joined by dots, such as `host.name`; in an array a number from 0, such as `alerts.0.name`. A name that holds
/// dots itself is found too: `labels.service.name` is `{"labels": {"service.name": …}}` where there is such a member.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Path(String);

impl Path {
    /// What stands there; `None` for nothing and for `null`.
    pub fn get<'v>(&self, document: &'v Value) -> Option<&'v Value> {
        step(document, &self.0)
    }

    /// The text, number or boolean that stands there, as text; `None` for nothing, `null` and a blank text.
    ///
    /// # Errors
    /// Where it is an object or an array: what of it was meant can't be told.
    pub fn text(&self, document: &Value) -> Result<Option<String>, String> {
        self.get(document).map_or(Ok(None), |value| scalar(value).map_err(|what| format!("{what} at `{self}`")))
    }
}

/// A scalar as text.
///
/// # Errors
/// What it is instead.
pub fn scalar(value: &Value) -> Result<Option<String>, &'static str> {
    match value {
        Value::Null => Ok(None),
        Value::Bool(flag) => Ok(Some(flag.to_string())),
        Value::Number(number) => Ok(Some(number.to_string())),
        Value::String(text) => Ok(Some(text.clone()).filter(|text| !text.trim().is_empty())),
        Value::Array(_) => Err("an array"),
        Value::Object(_) => Err("an object"),
    }
}

fn step<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    let next = |name: &str| match value {
        Value::Object(members) => members.get(name),
        Value::Array(items) => items.get(name.parse::<usize>().ok()?),
        _ => None,
    };
    if let Some(found) = next(path) {
        return Some(found).filter(|found| !found.is_null());
    }
    path.match_indices('.').find_map(|(dot, _)| step(next(&path[..dot])?, &path[dot + 1..]))
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Path> for String {
    fn from(path: Path) -> Self {
        path.0
    }
}

/// A path that can lead nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no path: names joined by single dots, at most {NAMES_MAX} of them and {BYTES_MAX} bytes")]
pub struct NoPath(String);

impl TryFrom<String> for Path {
    type Error = NoPath;
    fn try_from(text: String) -> Result<Self, NoPath> {
        let names = text.split('.');
        let good =
            text.len() <= BYTES_MAX && names.clone().count() <= NAMES_MAX && names.clone().all(|n| !n.is_empty());
        if good { Ok(Self(text)) } else { Err(NoPath(super::super::text::line(text.into(), 64))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn path(text: &str) -> Path {
        text.to_owned().try_into().expect(text)
    }

    #[test]
    fn paths_lead_through_objects_arrays_and_names_with_dots() {
        let document = json!({"host": {"name": "db-07", "up": false, "gone": null}, "a.b": {"c": 1}, "a": {"b": 2},
            "list": [{"x": 1.5}], "blank": " "});
        for (at, expected) in [
            ("host.name", Some("db-07")),
            ("host.up", Some("false")),
            ("host.gone", None),
            ("host.other", None),
            ("a.b", None),
            ("a.b.c", Some("1")),
            ("list.0.x", Some("1.5")),
            ("list.1.x", None),
            ("blank", None),
        ] {
            if at != "a.b" {
                assert_eq!(path(at).text(&document).expect(at).as_deref(), expected, "{at}");
            }
        }
        assert_eq!(path("a.b").text(&document), Err("an object at `a.b`".to_owned()));
        assert_eq!(path("list").text(&document), Err("an array at `list`".to_owned()));
    }

    #[test]
    fn what_can_lead_nowhere_is_refused() {
        for text in ["", ".", "a.", "a..b", &"a.".repeat(40), &"a".repeat(600)] {
            assert!(Path::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
