//! Prometheus Alertmanager's webhook, version 4: one request or record is a group, each of its alerts an event
//! (<https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>). The array that Prometheus itself sends
//! to an Alertmanager (`POST /api/v2/alerts`) is read too.
//!
//! | field | is |
//! |---|---|
//! | `time` | the arrival: a state is told again and again, and that it was is what keeps its alert alive |
//! | `started_at`, `ended_at` | `startsAt` and `endsAt`; year 1 is none, and so is the end of what fires |
//! | `check` | the label `alertname`, or `unnamed` |
//! | `entity` | the first label of [`ENTITY_LABELS`] that is there (`instance` without its port), else the fingerprint |
//! | fingerprint | a hash of all labels but [`IGNORE_LABELS`]: the warning and the critical of one rule are one alert |
//! | `identity` | Alertmanager's own `fingerprint`, else a hash of all labels |
//! | `id` | of the place in the source, so that a repeat is an event; with HTTP new for each request |
//! | `origin` | the group's `externalURL`, else the source's name |
//! | `severity` | the label `severity` |
//! | `summary` | the first of the annotations [`SUMMARIES`] that is there, else the check |
//!
//! `groupKey`, `version`, `receiver` and what later versions add are not looked at.
use super::{
    Context, EVENT_BYTES_MAX, Message, Rejection, Sink, TEXT_BYTES_MAX,
    body::BODY_EVENTS_MAX,
    canonical::text_of,
    draft::{Draft, finish},
    frame::Frame,
    read::explain,
    text::{Cleaner, cut_apart},
};
use quell_core::domain::{
    event::Event,
    time::{Span, Timestamp},
};
use read::{Alert, Group};
use serde::Deserializer as _;
use std::borrow::Cow;

mod read;

/// The largest group, in bytes: a storm's.
pub const GROUP_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Labels that do not tell one condition from another: how bad it is, and which of several replicas said so.
pub const IGNORE_LABELS: [&str; 4] = ["severity", "replica", "prometheus_replica", "__replica__"];
/// Labels that may name the entity, the first one that is there does.
pub const ENTITY_LABELS: [&str; 6] = ["instance", "pod", "node", "host", "service", "job"];
/// Annotations that may be the summary.
pub const SUMMARIES: [&str; 4] = ["summary", "title", "description", "message"];
/// The check of alerts that have no name.
const UNNAMED: &str = "unnamed";
/// Prometheus says of what fires that it ends in minutes, of what does not that it has ended; between the two is room
/// for clocks.
const FIRING_AHEAD: Span = Span::seconds(30);

/// Hands on each alert of a group, in order, with its own text.
///
/// # Errors
/// Where it is no group.
pub fn each(message: &Message<'_>, context: &Context<'_>, sink: &mut Sink<'_>) -> Result<(), Rejection> {
    let text = text_of(message.bytes, GROUP_BYTES_MAX)?;
    let (mut group, mut at) = (Group::default(), None);
    let mut json = serde_json::Deserializer::from_str(text);
    let read = json.deserialize_any(read::ReadGroup { group: &mut group, at: &mut at }).and_then(|()| json.end());
    read.map_err(|error| explain(&error, at))?;
    if group.alerts.is_empty() {
        return Err(Rejection::new("alerts: none"));
    }
    for (index, alert) in group.alerts.iter().enumerate() {
        sink(alert.get().as_bytes(), one(alert.get(), index, &group, message, context));
    }
    if group.more {
        let reason = format_args!("alerts: more than {BODY_EVENTS_MAX}; nothing from here on was read");
        sink(b"", Err(Rejection::new(reason)));
    }
    Ok(())
}

fn one(
    text: &str,
    index: usize,
    group: &Group<'_>,
    message: &Message<'_>,
    context: &Context<'_>,
) -> Result<Event, Rejection> {
    if text.len() > EVENT_BYTES_MAX {
        return Err(Rejection::new(format_args!("{} bytes; an event has at most {EVENT_BYTES_MAX}", text.len())));
    }
    let cleaner = Cleaner::of(text);
    let (mut alert, mut at) = (Alert::default(), None);
    let mut json = serde_json::Deserializer::from_str(text);
    let read = json.deserialize_map(read::ReadAlert { alert: &mut alert, at: &mut at, cleaner });
    read.map_err(|error| explain(&error, at))?;
    if alert.labels.is_empty() {
        return Err(Rejection::new("labels: none; there is nothing to tell the alert by"));
    }
    let mut draft = draft(alert, group, context);
    draft.id = format!("{}:{}.{index}", message.source, context.offset).into();
    context.mapping.fill(&mut draft, text)?;
    // The origin comes from the group, whose text may hold what the alert's does not.
    finish(draft, if group.plain { cleaner } else { Cleaner::careful() }, context)
}

fn draft<'a>(alert: Alert<'a>, group: &Group<'a>, context: &Context<'_>) -> Draft<'a> {
    let label = |name: &str| {
        let found = alert.labels.binary_search_by(|(key, _)| key.as_str().cmp(name)).ok()?;
        Some(alert.labels[found].1.as_str()).filter(|value| !value.trim_ascii().is_empty())
    };
    let condition = condition(&alert.labels, context);
    let check = cut_apart(label("alertname").unwrap_or(UNNAMED).to_owned(), TEXT_BYTES_MAX);
    let named = match &context.mapping.entity_labels {
        Some(names) => names.iter().find_map(|name| Some((name.as_str(), label(name)?))),
        None => ENTITY_LABELS.iter().find_map(|name| Some((*name, label(name)?))),
    };
    let entity = named.map_or_else(
        || condition.clone(),
        |(name, value)| {
            let value = if name == "instance" { without_port(value) } else { value };
            cut_apart(value.to_owned(), TEXT_BYTES_MAX)
        },
    );
    let identity = match alert.fingerprint.trim_ascii() {
        "" => hash(alert.labels.iter()).into(),
        _ => alert.fingerprint,
    };
    let firing = match alert.status.trim_ascii() {
        "" => fires(alert.ends_at, context.arrival),
        word => !matches!(super::words::status(word), Some(quell_core::domain::event::Status::Resolved)),
    };
    let status = if alert.status.trim_ascii().is_empty() {
        Cow::Borrowed(if firing { "firing" } else { "resolved" })
    } else {
        alert.status
    };
    Draft {
        time: Some(context.arrival),
        started_at: alert.starts_at,
        ended_at: alert.ends_at.filter(|_| !firing),
        origin: group.external_url.trim_end_matches('/').to_owned().into(),
        severity: label("severity").map_or(Cow::Borrowed(""), |word| word.to_owned().into()),
        summary: alert.summary.unwrap_or_else(|| check.clone().into()),
        entity: entity.into(),
        check: check.into(),
        status,
        identity,
        labels: alert.labels,
        condition,
        ..Draft::default()
    }
}

/// Whether what has this end still fires.
fn fires(ends_at: Option<Timestamp>, now: Timestamp) -> bool {
    ends_at.is_none_or(|end| end > now + FIRING_AHEAD)
}

/// Tells conditions apart, not how bad they are. Where there is nothing but what is ignored, that is what tells.
fn condition(labels: &[(String, String)], context: &Context<'_>) -> String {
    let ignored = |key: &str| match &context.mapping.ignore_labels {
        Some(names) => names.iter().any(|name| name == key),
        None => IGNORE_LABELS.contains(&key),
    };
    if labels.iter().all(|(key, _)| ignored(key)) {
        return hash(labels.iter());
    }
    hash(labels.iter().filter(|(key, _)| !ignored(key)))
}

/// An empty value is an absent label to Prometheus.
fn hash<'l>(labels: impl Iterator<Item = &'l (String, String)>) -> String {
    let mut frame = Frame::with_capacity(256);
    for (key, value) in labels.filter(|(_, value)| !value.is_empty()) {
        frame.text(key).text(value);
    }
    frame.hex()
}

/// `db-07:9100` and `[2001:db8::7]:9100` without their ports; what is no host with a port as it is.
fn without_port(instance: &str) -> &str {
    let Some((host, port)) = instance.rsplit_once(':') else { return instance };
    if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return instance;
    }
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(host) if !host.is_empty() => host,
        Some(_) => instance,
        None if host.is_empty() || host.contains([':', '/']) => instance,
        None => host,
    }
}

#[cfg(test)]
mod tests;
