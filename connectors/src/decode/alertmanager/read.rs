//! A group and its alerts as they stand in their JSON.
use super::{
    super::read::{Labels, Scalar, Text, Time},
    BODY_EVENTS_MAX, Cleaner, SUMMARIES,
};
use quell_core::domain::time::Timestamp;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt};

/// A group; its alerts are read each for itself, so that one with an error inside never takes its neighbours with it.
#[derive(Debug, Default)]
pub struct Group<'a> {
    pub alerts: Vec<&'a RawValue>,
    /// There were more than are read.
    pub more: bool,
    pub external_url: Cow<'a, str>,
    /// The address holds no control characters.
    pub plain: bool,
}

/// Reads a group, or the array that Prometheus sends.
pub struct ReadGroup<'r, 'de> {
    pub group: &'r mut Group<'de>,
    pub at: &'r mut Option<&'static str>,
}

impl<'de> Visitor<'de> for ReadGroup<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a group of Alertmanager's webhook, a JSON object, or an array of alerts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (mut alerts, mut url) = (false, false);
        while let Some(key) = map.next_key_seed(Text)? {
            let seen = match &*key {
                "alerts" => {
                    *self.at = Some("alerts");
                    map.next_value_seed(Alerts(self.group))?;
                    std::mem::replace(&mut alerts, true)
                }
                "externalURL" => {
                    *self.at = Some("externalURL");
                    self.group.external_url = map.next_value_seed(Text)?;
                    std::mem::replace(&mut url, true)
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    false
                }
            };
            if seen {
                return Err(A::Error::custom("stands twice"));
            }
            *self.at = None;
        }
        if !alerts {
            return Err(A::Error::custom("alerts: missing"));
        }
        self.group.plain = !self.group.external_url.chars().any(char::is_control);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        self.group.plain = true;
        Alerts(self.group).visit_seq(seq)
    }
}

struct Alerts<'r, 'de>(&'r mut Group<'de>);

impl<'de> DeserializeSeed<'de> for Alerts<'_, 'de> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Alerts<'_, 'de> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of alerts")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(alert) = seq.next_element::<&'de RawValue>()? {
            if self.0.alerts.len() < BODY_EVENTS_MAX {
                self.0.alerts.push(alert);
            } else {
                self.0.more = true;
            }
        }
        Ok(())
    }
}

/// As sent. Labels are settled.
#[derive(Debug, Default)]
pub struct Alert<'a> {
    pub status: Cow<'a, str>,
    pub labels: Vec<(String, String)>,
    pub summary: Option<Cow<'a, str>>,
    pub starts_at: Option<Timestamp>,
    pub ends_at: Option<Timestamp>,
    pub fingerprint: Cow<'a, str>,
}

/// Reads an [`Alert`], and says in `at` which field it was at when it failed.
pub struct ReadAlert<'r, 'de> {
    pub alert: &'r mut Alert<'de>,
    pub at: &'r mut Option<&'static str>,
    pub cleaner: Cleaner,
}

const FIELDS: [&str; 6] = ["status", "labels", "annotations", "startsAt", "endsAt", "fingerprint"];

impl<'de> Visitor<'de> for ReadAlert<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an alert, a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (alert, mut seen) = (self.alert, 0_u8);
        while let Some(key) = map.next_key_seed(Text)? {
            let Some(field) = FIELDS.iter().position(|name| **name == *key) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            *self.at = Some(FIELDS[field]);
            if seen & (1 << field) != 0 {
                return Err(A::Error::custom("stands twice"));
            }
            seen |= 1 << field;
            match field {
                0 => alert.status = map.next_value_seed(Text)?,
                1 => alert.labels = map.next_value_seed(Labels { cleaner: self.cleaner })?,
                2 => alert.summary = map.next_value_seed(Annotations)?,
                3 => alert.starts_at = map.next_value_seed(Time { lenient: true })?,
                4 => alert.ends_at = map.next_value_seed(Time { lenient: true })?,
                _ => alert.fingerprint = map.next_value_seed(Text)?,
            }
            *self.at = None;
        }
        Ok(())
    }
}

/// The annotation that is the summary.
struct Annotations;

impl<'de> DeserializeSeed<'de> for Annotations {
    type Value = Option<Cow<'de, str>>;
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Annotations {
    type Value = Option<Cow<'de, str>>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of texts")
    }
    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut best: Option<(usize, Cow<'de, str>)> = None;
        while let Some(key) = map.next_key_seed(Text)? {
            let Some(rank) = SUMMARIES.iter().position(|name| **name == *key) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if let Some(text) = map.next_value_seed(Scalar { label: Some(&key) })?
                && !text.trim_ascii().is_empty()
                && best.as_ref().is_none_or(|(known, _)| rank <= *known)
            {
                best = Some((rank, text));
            }
        }
        Ok(best.map(|(_, text)| text))
    }
}
