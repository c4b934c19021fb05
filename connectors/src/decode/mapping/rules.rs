//! Which field gets what.
use super::{Path, Target};
use crate::decode::{
    LABEL_KEY_BYTES_MAX,
    field::Field,
    time::{TimeFault, epoch, epoch_float, rfc3339},
};
use quell_core::domain::time::Timestamp;
use serde::{
    Deserialize, Serialize,
    de::{
        Deserializer, Error, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer, value::SeqAccessDeserializer,
    },
    ser::{SerializeMap, Serializer},
};
use serde_json::Value;
use std::{collections::BTreeMap, fmt};

/// Rules by field; those of labels are a table in the table: `fields.labels.rack = "location.rack"`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules(pub BTreeMap<Target, Rule>);

/// Where a field's value is found: `"host.name"`, `["host.fqdn", "host.name"]` (the first that is there), or a table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Rule {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<Path>,
    /// The value, whatever the document says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub constant: Option<String>,
    /// The value where neither a path nor the format gives one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// Of a time that is a number, or digits in a text; without it numbers are milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<Unit>,
}

/// The unit of a number that is a time since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    #[serde(rename = "s")]
    Seconds,
    #[serde(rename = "ms")]
    Milliseconds,
    #[serde(rename = "us")]
    Microseconds,
    #[serde(rename = "ns")]
    Nanoseconds,
}

impl Unit {
    fn milliseconds(self, number: f64) -> f64 {
        match self {
            Self::Seconds => (number * 1e3).round(),
            Self::Milliseconds => number.round(),
            Self::Microseconds => (number / 1e3).floor(),
            Self::Nanoseconds => (number / 1e6).floor(),
        }
    }
}

impl Rule {
    /// The first of its paths that leads to something.
    pub fn find<'v>(&self, document: &'v Value) -> Option<(&'v Value, &Path)> {
        self.path.iter().find_map(|path| Some((path.get(document)?, path)))
    }

    /// A time as it stands in a document: RFC 3339, or a number of the rule's unit. What no clock shows is none.
    ///
    /// # Errors
    /// Why it is no time.
    pub fn time(&self, value: &Value) -> Result<Option<Timestamp>, String> {
        let found = match (value, self.unit) {
            (Value::Null, _) => return Ok(None),
            (Value::String(text), _) if text.trim().is_empty() => return Ok(None),
            (Value::Number(number), Some(unit)) => epoch_float(unit.milliseconds(number.as_f64().unwrap_or(f64::MAX))),
            (Value::Number(number), None) => match number.as_i64() {
                Some(ms) => epoch(ms),
                None => epoch_float(number.as_f64().unwrap_or(f64::MAX)),
            },
            (Value::String(text), Some(unit)) if text.trim().parse::<f64>().is_ok_and(f64::is_finite) => {
                epoch_float(unit.milliseconds(text.trim().parse().unwrap_or(f64::MAX)))
            }
            (Value::String(text), _) => rfc3339(text.trim()),
            _ => Err(TimeFault::Shape),
        };
        found.map(Some).map_err(|fault| format!("{fault} ({value})"))
    }
}

impl Serialize for Rules {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let mut labels = BTreeMap::new();
        for (target, rule) in &self.0 {
            match target {
                Target::Field(field) => map.serialize_entry(field.name(), rule)?,
                Target::Label(key) => {
                    labels.insert(key, rule);
                }
            }
        }
        if !labels.is_empty() {
            map.serialize_entry("labels", &labels)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Rules {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ReadRules)
    }
}

struct ReadRules;

impl<'de> Visitor<'de> for ReadRules {
    type Value = Rules;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of fields")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Rules, A::Error> {
        let mut rules = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            match Field::named(&name) {
                Some(Field::Labels) => {
                    for (key, rule) in map.next_value::<BTreeMap<String, Rule>>()? {
                        if key.trim().is_empty() || key.len() > LABEL_KEY_BYTES_MAX {
                            let most = LABEL_KEY_BYTES_MAX;
                            return Err(A::Error::custom(format_args!("a label's name has 1 to {most} bytes")));
                        }
                        rules.insert(Target::Label(key), rule);
                    }
                }
                Some(field) => {
                    rules.insert(Target::Field(field), map.next_value()?);
                }
                None => return Err(A::Error::unknown_field(&name, &Field::NAMES)),
            }
        }
        Ok(Rules(rules))
    }
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ReadRule)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default)]
    path: Paths,
    constant: Option<String>,
    default: Option<String>,
    unit: Option<Unit>,
}

/// One path or several.
#[derive(Default)]
struct Paths(Vec<Path>);

impl<'de> Deserialize<'de> for Paths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Rule::deserialize(deserializer)?.path))
    }
}

struct ReadRule;

impl<'de> Visitor<'de> for ReadRule {
    type Value = Rule;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a path, an array of paths, or a table with path, constant, default, unit")
    }
    fn visit_str<E: Error>(self, path: &str) -> Result<Rule, E> {
        let path = Path::try_from(path.to_owned()).map_err(E::custom)?;
        Ok(Rule { path: vec![path], ..Rule::default() })
    }
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Rule, A::Error> {
        Ok(Rule { path: Vec::deserialize(SeqAccessDeserializer::new(seq))?, ..Rule::default() })
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Rule, A::Error> {
        let Table { path, constant, default, unit } = Table::deserialize(MapAccessDeserializer::new(map))?;
        if path.0.is_empty() && constant.is_none() && default.is_none() {
            return Err(A::Error::custom("needs path, constant or default"));
        }
        if constant.is_some() && (!path.0.is_empty() || default.is_some()) {
            return Err(A::Error::custom("a constant leaves nothing to path or default"));
        }
        Ok(Rule { path: path.0, constant, default, unit })
    }
}
