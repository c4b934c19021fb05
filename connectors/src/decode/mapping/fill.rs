//! A mapping's rules and extractions, applied to a draft.
use super::{Mapping, Path, Rule, Target, path::scalar};
use crate::decode::{
    LABEL_VALUE_BYTES_MAX, Rejection,
    draft::Draft,
    field::Field,
    read::{label_key, settle},
    text::{Cleaner, clean, cut_apart, line},
    time::{TimeFault, rfc3339},
};
use quell_core::domain::time::Timestamp;
use serde_json::Value;
use std::{borrow::Cow, fmt};

impl Mapping {
    /// Lets rules and extractions have their say in a draft of `json`.
    ///
    /// # Errors
    /// Where a path leads to something that the field can't be.
    pub fn fill(&self, draft: &mut Draft<'_>, json: &str) -> Result<(), Rejection> {
        if self.fields.0.is_empty() && self.extract.is_empty() && self.labels.is_empty() {
            return Ok(());
        }
        let document: Value = serde_json::from_str(json)
            .map_err(|error| Rejection::new(format_args!("not readable as JSON: {error}")))?;
        for extract in &self.extract {
            let found =
                extract.from.text(&document).map_err(|reason| Rejection::new(format_args!("extract: {reason}")))?;
            for (target, text) in extract.pattern.texts(found.as_deref().unwrap_or_default()) {
                let rule = Rule::default();
                set(draft, &target, &rule, &Value::String(text.to_owned()))?;
            }
        }
        for path in &self.labels {
            copy_labels(draft, path, &document)?;
        }
        for (target, rule) in &self.fields.0 {
            if let Some(constant) = &rule.constant {
                set(draft, target, rule, &Value::String(constant.clone()))?;
            } else if let Some((value, _)) = rule.find(&document) {
                set(draft, target, rule, value)?;
            }
            if let Some(default) = rule.default.as_ref().filter(|_| is_empty(draft, target)) {
                set(draft, target, rule, &Value::String(default.clone()))?;
            }
        }
        settle(&mut draft.labels).map_err(|reason| Rejection::new(format_args!("labels: {reason}")))
    }
}

fn copy_labels(draft: &mut Draft<'_>, path: &Path, document: &Value) -> Result<(), Rejection> {
    let Some(found) = path.get(document) else { return Ok(()) };
    let Value::Object(members) = found else {
        return Err(Rejection::new(format_args!("labels: no object at `{path}`")));
    };
    for (key, value) in members {
        if draft.labels.iter().all(|(known, _)| known != key) {
            set(draft, &Target::Label(key.clone()), &Rule::default(), value)?;
        }
    }
    Ok(())
}

fn is_empty(draft: &mut Draft<'_>, target: &Target) -> bool {
    match target {
        Target::Field(Field::Value) => draft.value.is_none(),
        Target::Field(field) => text_field(draft, *field).is_none_or(|text| text.trim_ascii().is_empty()),
        Target::Label(key) => draft.labels.iter().all(|(known, _)| known != key),
    }
}

/// The texts of a draft; `None` for what is no text.
const fn text_field<'d, 'a>(draft: &'d mut Draft<'a>, field: Field) -> Option<&'d mut Cow<'a, str>> {
    Some(match field {
        Field::Id => &mut draft.id,
        Field::Origin => &mut draft.origin,
        Field::Entity => &mut draft.entity,
        Field::Check => &mut draft.check,
        Field::Status => &mut draft.status,
        Field::Severity => &mut draft.severity,
        Field::Summary => &mut draft.summary,
        Field::Service => &mut draft.service,
        Field::Scope => &mut draft.scope,
        Field::Fingerprint => &mut draft.fingerprint,
        Field::Identity => &mut draft.identity,
        Field::Kind => &mut draft.kind,
        Field::Time | Field::StartedAt | Field::EndedAt | Field::Value | Field::Labels => return None,
    })
}

fn set(draft: &mut Draft<'_>, target: &Target, rule: &Rule, value: &Value) -> Result<(), Rejection> {
    let wrong = |reason: &dyn fmt::Display| Rejection::new(format_args!("{target}: {reason}"));
    let text = || scalar(value).map_err(|what| wrong(&format_args!("{what}, where a text, number or boolean belongs")));
    match target {
        Target::Label(key) => {
            let key = label_key(key.into(), Cleaner::careful()).map_err(|reason| wrong(&reason))?;
            if let Some(text) = text()? {
                draft.labels.push((key, cut_apart(clean(text.into()), LABEL_VALUE_BYTES_MAX)));
            }
        }
        Target::Field(field) => match field {
            Field::Time => draft.time = rule.time(value).map_err(|reason| wrong(&reason))?.or(draft.time),
            Field::StartedAt => draft.started_at = lenient(rule, value).map_err(|reason| wrong(&reason))?,
            Field::EndedAt => draft.ended_at = lenient(rule, value).map_err(|reason| wrong(&reason))?,
            Field::Value => draft.value = number(value).map_err(|reason| wrong(&reason))?,
            _ => {
                if let (Some(text), Some(place)) = (text()?, text_field(draft, *field)) {
                    // A summary's line breaks are still to become spaces.
                    *place = if *field == Field::Summary { text.into() } else { clean(text.into()).into() };
                }
            }
        },
    }
    Ok(())
}

/// A start or an end: one that no clock shows is none.
fn lenient(rule: &Rule, value: &Value) -> Result<Option<Timestamp>, String> {
    match value {
        Value::Number(number) if number.as_f64() == Some(0.0) => Ok(None),
        Value::String(text) if rfc3339(text.trim()) == Err(TimeFault::Years) => Ok(None),
        _ => rule.time(value),
    }
}

fn number(value: &Value) -> Result<Option<f64>, String> {
    let number = match value {
        Value::Null => return Ok(None),
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let finite = number.filter(|number: &f64| number.is_finite());
    finite.map(Some).ok_or_else(|| format!("a number, not {}", line(value.to_string().into(), 64)))
}
