//! The fields of a canonical event as they stand in its JSON.
use super::{
    super::{
        draft::Draft,
        field::Field,
        read::{Labels, Scalar, Text, Time},
    },
    Cleaner,
};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use std::fmt;

/// Reads a [`Draft`], and says in `at` which field it was at when it failed.
pub struct Read<'r, 'de> {
    /// Filled in place: it is large, and each hand that it goes through would copy it.
    pub draft: &'r mut Draft<'de>,
    pub at: &'r mut Option<&'static str>,
    pub cleaner: Cleaner,
}

impl<'de> Visitor<'de> for Read<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event, a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let draft = self.draft;
        let mut seen = 0_u32;
        while let Some(key) = map.next_key_seed(Name)? {
            let Some(field) = key else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            *self.at = Some(field.name());
            // What stands twice has two meanings, and another reader may take the other one.
            if seen & (1 << field as u32) != 0 {
                return Err(A::Error::custom("stands twice"));
            }
            seen |= 1 << field as u32;
            match field {
                Field::Id => draft.id = map.next_value_seed(Text)?,
                Field::Time => draft.time = map.next_value_seed(Time { lenient: false })?,
                Field::StartedAt => draft.started_at = map.next_value_seed(Time { lenient: true })?,
                Field::EndedAt => draft.ended_at = map.next_value_seed(Time { lenient: true })?,
                Field::Origin => draft.origin = map.next_value_seed(Text)?,
                Field::Entity => draft.entity = map.next_value_seed(Text)?,
                Field::Check => draft.check = map.next_value_seed(Text)?,
                Field::Status => draft.status = map.next_value_seed(Text)?,
                Field::Severity => draft.severity = map.next_value_seed(Scalar { label: None })?.unwrap_or_default(),
                Field::Summary => draft.summary = map.next_value_seed(Text)?,
                Field::Value => draft.value = map.next_value()?,
                Field::Labels => draft.labels = map.next_value_seed(Labels { cleaner: self.cleaner })?,
                Field::Service => draft.service = map.next_value_seed(Text)?,
                Field::Scope => draft.scope = map.next_value_seed(Text)?,
                Field::Fingerprint => draft.fingerprint = map.next_value_seed(Text)?,
                Field::Identity => draft.identity = map.next_value_seed(Text)?,
                Field::Kind => draft.kind = map.next_value_seed(Text)?,
            }
            *self.at = None;
        }
        Ok(())
    }
}

/// The name of a field; `None` for one that is not known.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<Field>;
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<Field>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }
    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Field::named(key))
    }
}
