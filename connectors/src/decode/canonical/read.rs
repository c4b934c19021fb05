//! The fields of a canonical event as they stand in its JSON.
use super::{
    super::time::{TimeFault, epoch, epoch_float, rfc3339},
    Cleaner, LABEL_VALUE_BYTES_MAX, cut, label_key, settle,
};
use quell_core::domain::time::Timestamp;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::{borrow::Cow, fmt};

/// As sent; what is absent, `null` or empty is empty here. Labels are settled.
#[derive(Default)]
pub struct Fields<'a> {
    pub id: Cow<'a, str>,
    pub time: Option<Timestamp>,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub origin: Cow<'a, str>,
    pub entity: Cow<'a, str>,
    pub check: Cow<'a, str>,
    pub status: Cow<'a, str>,
    pub severity: Cow<'a, str>,
    pub summary: Cow<'a, str>,
    pub value: Option<f64>,
    pub labels: Vec<(String, String)>,
    pub service: Cow<'a, str>,
    pub scope: Cow<'a, str>,
    pub fingerprint: Cow<'a, str>,
    pub identity: Cow<'a, str>,
    pub kind: Cow<'a, str>,
}

#[derive(Clone, Copy)]
enum Field {
    Id,
    Time,
    StartedAt,
    EndedAt,
    Origin,
    Entity,
    Check,
    Status,
    Severity,
    Summary,
    Value,
    Labels,
    Service,
    Scope,
    Fingerprint,
    Identity,
    Kind,
}

impl Field {
    /// The field of this name, and the name. A match, since the compiler makes it one comparison for most names.
    fn named(name: &str) -> Option<(&'static str, Self)> {
        Some(match name {
            "id" => ("id", Field::Id),
            "time" => ("time", Field::Time),
            "origin" => ("origin", Field::Origin),
            "entity" => ("entity", Field::Entity),
            "check" => ("check", Field::Check),
            "status" => ("status", Field::Status),
            "severity" => ("severity", Field::Severity),
            "summary" => ("summary", Field::Summary),
            "labels" => ("labels", Field::Labels),
            "value" => ("value", Field::Value),
            "service" => ("service", Field::Service),
            "scope" => ("scope", Field::Scope),
            "fingerprint" => ("fingerprint", Field::Fingerprint),
            "identity" => ("identity", Field::Identity),
            "kind" => ("kind", Field::Kind),
            "started_at" => ("started_at", Field::StartedAt),
            "ended_at" => ("ended_at", Field::EndedAt),
            _ => return None,
        })
    }
}

/// Reads [`Fields`], and says in `at` which field it was at when it failed.
pub struct Read<'r, 'de> {
    /// Filled in place: it is large, and each hand that it goes through would copy it.
    pub fields: &'r mut Fields<'de>,
    pub at: &'r mut Option<&'static str>,
    pub cleaner: Cleaner,
}

impl<'de> Visitor<'de> for Read<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event, a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let fields = self.fields;
        let mut seen = 0_u32;
        while let Some(key) = map.next_key_seed(Name)? {
            let Some((name, field)) = key else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            *self.at = Some(name);
            // What stands twice has two meanings, and another reader may take the other one.
            if seen & (1 << field as u32) != 0 {
                return Err(A::Error::custom("stands twice"));
            }
            seen |= 1 << field as u32;
            match field {
                Field::Id => fields.id = map.next_value_seed(Text)?,
                Field::Time => fields.time = map.next_value_seed(Time { lenient: false })?,
                Field::StartedAt => fields.started_at = map.next_value_seed(Time { lenient: true })?,
                Field::EndedAt => fields.ended_at = map.next_value_seed(Time { lenient: true })?,
                Field::Origin => fields.origin = map.next_value_seed(Text)?,
                Field::Entity => fields.entity = map.next_value_seed(Text)?,
                Field::Check => fields.check = map.next_value_seed(Text)?,
                Field::Status => fields.status = map.next_value_seed(Text)?,
                Field::Severity => fields.severity = map.next_value_seed(Scalar { label: None })?.unwrap_or_default(),
                Field::Summary => fields.summary = map.next_value_seed(Text)?,
                Field::Value => fields.value = map.next_value()?,
                Field::Labels => fields.labels = map.next_value_seed(Labels { cleaner: self.cleaner })?,
                Field::Service => fields.service = map.next_value_seed(Text)?,
                Field::Scope => fields.scope = map.next_value_seed(Text)?,
                Field::Fingerprint => fields.fingerprint = map.next_value_seed(Text)?,
                Field::Identity => fields.identity = map.next_value_seed(Text)?,
                Field::Kind => fields.kind = map.next_value_seed(Text)?,
            }
            *self.at = None;
        }
        Ok(())
    }
}

/// The name of a field; `None` for one that is not known.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<(&'static str, Field)>;
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<(&'static str, Field)>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }
    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Field::named(key))
    }
}

/// A text, borrowed where it has no escapes; `null` is the empty one.
struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Cow<'de, str>;
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Cow<'de, str>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }
    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(""))
    }
}

/// A time. Where `lenient`, one that no clock shows (year 1, 0) is none, as tools write for "not yet".
struct Time {
    lenient: bool,
}

impl Time {
    fn or_none<E: Error>(
        &self,
        time: Result<Timestamp, TimeFault>,
        given: impl fmt::Display,
    ) -> Result<Option<Timestamp>, E> {
        match time {
            Ok(time) => Ok(Some(time)),
            Err(TimeFault::Years) if self.lenient => Ok(None),
            // Last, since it may be long, and a reason is cut.
            Err(fault) => Err(E::custom(format_args!("{fault} ({given})"))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Time {
    type Value = Option<Timestamp>;
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl Visitor<'_> for Time {
    type Value = Option<Timestamp>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time, as RFC 3339 or in milliseconds since 1970")
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        if text.trim_ascii().is_empty() { Ok(None) } else { self.or_none(rfc3339(text), text) }
    }
    fn visit_i64<E: Error>(self, ms: i64) -> Result<Self::Value, E> {
        if ms == 0 && self.lenient { Ok(None) } else { self.or_none(epoch(ms), ms) }
    }
    fn visit_u64<E: Error>(self, ms: u64) -> Result<Self::Value, E> {
        self.visit_i64(i64::try_from(ms).unwrap_or(i64::MAX))
    }
    fn visit_f64<E: Error>(self, ms: f64) -> Result<Self::Value, E> {
        if ms == 0.0 && self.lenient { Ok(None) } else { self.or_none(epoch_float(ms), ms) }
    }
    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// A text, number or boolean as text; `null` is none. Numbers have the digits of the nearest double.
struct Scalar<'k> {
    /// The label's name, for errors.
    label: Option<&'k str>,
}

impl Scalar<'_> {
    fn nested<E: Error>(&self, what: &str) -> E {
        match self.label {
            Some(label) => E::custom(format_args!("{what}, where a text, number or boolean belongs (`{label}`)")),
            None => E::custom(format_args!("{what}, where a text belongs")),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Scalar<'_> {
    type Value = Option<Cow<'de, str>>;
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Scalar<'_> {
    type Value = Option<Cow<'de, str>>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, number or boolean")
    }
    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Borrowed(text)))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(text.to_owned())))
    }
    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Some(Cow::Borrowed(if value { "true" } else { "false" })))
    }
    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(number.to_string())))
    }
    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(number.to_string())))
    }
    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        // `Debug`, which writes 1e300 as such and not as 301 digits.
        Ok(Some(Cow::Owned(format!("{number:?}"))))
    }
    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        Err(self.nested("an object"))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        Err(self.nested("an array"))
    }
}

/// The labels, settled. Owned at once: a second list of borrowed ones would cost as much as the texts.
struct Labels {
    cleaner: Cleaner,
}

impl<'de> DeserializeSeed<'de> for Labels {
    type Value = Vec<(String, String)>;
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Labels {
    type Value = Vec<(String, String)>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of texts")
    }
    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut labels = Vec::with_capacity(8);
        while let Some(key) = map.next_key_seed(Text)? {
            let key = label_key(key, self.cleaner).map_err(A::Error::custom)?;
            match map.next_value_seed(Scalar { label: Some(&key) })? {
                Some(value) => labels.push((key, cut(self.cleaner.clean(value), LABEL_VALUE_BYTES_MAX))),
                // The last one said counts, and it says that there is none.
                None => labels.retain(|(earlier, _)| *earlier != key),
            }
        }
        settle(&mut labels).map_err(A::Error::custom)?;
        Ok(labels)
    }
}
