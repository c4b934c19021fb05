//! Values of JSON as events need them: texts that borrow from the document, times, labels.
use super::{
    LABEL_KEY_BYTES_MAX, LABEL_VALUE_BYTES_MAX, LABELS_BYTES_MAX, LABELS_MAX, Rejection,
    text::{Cleaner, cut_apart},
    time::{TimeFault, epoch, epoch_float, rfc3339},
};
use quell_core::domain::time::Timestamp;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use std::{borrow::Cow, fmt};

/// What serde says of a document, with the name of the field it was at.
pub fn explain(error: &serde_json::Error, at: Option<&str>) -> Rejection {
    let words = error.to_string();
    let field = at.map_or(String::new(), |field: &str| format!("{field}: "));
    Rejection::new(match error.classify() {
        // The field says it better than line and column of what is mostly one long line.
        Category::Data => {
            let reason = words.rsplit_once(" at line ").map_or(words.as_str(), |(reason, _)| reason);
            format!("{field}{}", of_type(reason))
        }
        _ => format!("not readable as JSON: {field}{words}"),
    })
}

/// serde's `invalid type: string "NaN", expected f64` as `a number, not "NaN"`; other reasons are our own words.
fn of_type(reason: &str) -> Cow<'_, str> {
    // The last, since what was found may quote anything.
    let parts = reason.strip_prefix("invalid type: ").and_then(|rest| rest.rsplit_once(", expected "));
    let Some((found, expected)) = parts else { return reason.into() };
    let found = match found {
        "map" => "an object",
        "sequence" => "an array",
        "null" => "null",
        _ => found.trim_start_matches(|c: char| c.is_ascii_lowercase() || c == ' ').trim_matches('`'),
    };
    // What it reads by itself goes by its own name.
    let expected = if expected == "f64" { "a number" } else { expected };
    format!("{expected}, not {found}").into()
}

/// A text, borrowed where it has no escapes; `null` is the empty one.
pub struct Text;

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
pub struct Time {
    pub lenient: bool,
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
pub struct Scalar<'k> {
    /// The label's name, for errors.
    pub label: Option<&'k str>,
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
pub struct Labels {
    pub cleaner: Cleaner,
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
                Some(value) => labels.push((key, cut_apart(self.cleaner.clean(value), LABEL_VALUE_BYTES_MAX))),
                // The last one said counts, and it says that there is none.
                None => labels.retain(|(earlier, _)| *earlier != key),
            }
        }
        settle(&mut labels).map_err(A::Error::custom)?;
        Ok(labels)
    }
}

/// Sorts labels by key and keeps the last of those with the same key.
///
/// # Errors
/// Where they are too many or too large.
pub fn settle(labels: &mut Vec<(String, String)>) -> Result<(), String> {
    if !labels.is_sorted_by(|(a, _), (b, _)| a < b) {
        // Stable, so that of equal keys the last one said is the last; `dedup_by` keeps the first, hence the swap.
        labels.sort_by(|(a, _), (b, _)| a.cmp(b));
        labels.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                std::mem::swap(later, kept);
            }
            same
        });
    }
    if labels.len() > LABELS_MAX {
        return Err(format!("{} of them; at most {LABELS_MAX}", labels.len()));
    }
    let bytes: usize = labels.iter().map(|(key, value)| key.len() + value.len()).sum();
    if bytes > LABELS_BYTES_MAX { Err(format!("{bytes} bytes; at most {LABELS_BYTES_MAX}")) } else { Ok(()) }
}

/// # Errors
/// Where it is empty or too long: keys are never cut, since two could become one.
pub fn label_key(key: Cow<'_, str>, cleaner: Cleaner) -> Result<String, String> {
    if key.trim_ascii().is_empty() {
        return Err("a label without a name".to_owned());
    }
    let key = cleaner.clean(key);
    if key.len() > LABEL_KEY_BYTES_MAX {
        return Err(format!("a name of {} bytes; at most {LABEL_KEY_BYTES_MAX}", key.len()));
    }
    Ok(key)
}
