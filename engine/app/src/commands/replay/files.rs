//! Conclusions as files: the same conclusions are the same bytes.
use super::conclusions::{AlertRecord, Conclusions, EpisodeRecord, IncidentRecord};
use quell_core::domain::time::Timestamp;
use serde::{Serialize, Serializer};
use std::{
    fmt::Display,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::Path,
};
use xxhash_rust::xxh3::Xxh3;

const BUFFER_BYTES: usize = 256 * 1024;

/// RFC 3339 in UTC, with milliseconds.
pub struct Time(Timestamp);

impl Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What lies beyond the years that can be written is their end.
        let end = if self.0.0 < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
        write!(f, "{:.3}", jiff::Timestamp::from_millisecond(self.0.0).unwrap_or(end))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What is written as text.
#[derive(Serialize)]
#[serde(transparent)]
struct Text<T: Display>(#[serde(serialize_with = "text")] T);

fn text<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

#[derive(Serialize)]
struct AlertLine<'a> {
    name: &'a str,
    fingerprint: Text<&'a quell_core::domain::alert::Fingerprint>,
    scope: &'a str,
    origin: &'a str,
    entity: &'a str,
    check: &'a str,
    services: &'a [std::sync::Arc<str>],
    summary: &'a str,
    state: &'static str,
    severity: &'static str,
    count: u64,
    opened_at: Time,
    last_fired_at: Time,
    /// What that firing said of its time, where it was ahead of the clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    told_at: Option<Time>,
    /// On how many days it came at this hour, where it opened at its hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    at_its_hour: Option<&'a str>,
    cleared_at: Option<Time>,
    expired: bool,
    reopened: u32,
    /// What hides it, or hid it until it cleared.
    suppressed_by: Option<String>,
    episode: Option<&'a str>,
    incident: Option<&'a str>,
    transitions: Vec<Transition>,
}

#[derive(Serialize)]
struct Transition {
    at: Time,
    to: &'static str,
    severity: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<u8>,
}

#[derive(Serialize)]
struct EpisodeLine<'a> {
    name: &'a str,
    scope: &'a str,
    founded_at: Time,
    alerts: Vec<JoinedAlert<'a>>,
    incident: Option<&'a str>,
}

#[derive(Serialize)]
struct JoinedAlert<'a> {
    name: &'a str,
    joined_at: Time,
    reason: &'a str,
}

#[derive(Serialize)]
struct IncidentLine<'a> {
    name: &'a str,
    number: u64,
    scope: &'a str,
    state: &'static str,
    title: &'a str,
    severity: &'static str,
    priority: u8,
    opened_at: Time,
    resolved_at: Option<Time>,
    closed_at: Option<Time>,
    merged_into: Option<&'a str>,
    /// The storm that it is a branch of.
    #[serde(skip_serializing_if = "Option::is_none")]
    major: Option<&'a str>,
    /// Of a storm, the first 1,000.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    branches: Vec<&'a str>,
    episode: Option<&'a str>,
    services: &'a [std::sync::Arc<str>],
    raised: Text<&'a quell_core::domain::incident::RaiseReason>,
    causes: Vec<CauseLine<'a>>,
    alerts: Vec<ShortAlertLine<'a>>,
    revisions: u64,
    reopened: u32,
    muted: bool,
    transitions: Vec<Transition>,
}

#[derive(Serialize)]
struct CauseLine<'a> {
    entity: &'a str,
    check: &'a str,
    change: Option<&'a str>,
    confidence: f64,
    reason: &'a str,
}

#[derive(Serialize)]
struct ShortAlertLine<'a> {
    name: &'a str,
    entity: &'a str,
    check: &'a str,
    severity: &'static str,
    state: &'static str,
    reason: &'a str,
}

const fn state(open: bool) -> &'static str {
    if open { "open" } else { "cleared" }
}

/// A writer that hashes what it writes.
struct Hashed<'a, W> {
    to: W,
    hash: &'a mut Xxh3,
}

impl<W: Write> Write for Hashed<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl Conclusions {
    /// A hash of everything concluded: equal conclusions have equal ones.
    pub fn digest(&self) -> u64 {
        let mut hash = Xxh3::new();
        // A sink takes everything.
        let _ = self.each_file(|_, write| write(&mut Hashed { to: io::sink(), hash: &mut hash }));
        hash.digest()
    }

    /// Writes every file into a directory that is there.
    ///
    /// # Errors
    /// Where a file can't be written.
    pub fn write(&self, dir: &Path) -> io::Result<()> {
        let mut hash = Xxh3::new();
        self.each_file(|name, write| {
            let to = BufWriter::with_capacity(BUFFER_BYTES, File::create(dir.join(name))?);
            let mut hashed = Hashed { to, hash: &mut hash };
            write(&mut hashed)?;
            hashed.flush()
        })?;
        let mut summary = serde_json::to_vec_pretty(&self.summary(hash.digest()))?;
        summary.push(b'\n');
        fs::write(dir.join("summary.json"), summary)
    }

    fn each_file(
        &self,
        mut file: impl FnMut(&str, &dyn Fn(&mut dyn Write) -> io::Result<()>) -> io::Result<()>,
    ) -> io::Result<()> {
        file("alerts.jsonl", &|to| lines(to, self.alerts.iter().map(|record| self.alert_line(record))))?;
        file("episodes.jsonl", &|to| lines(to, self.kept_episodes().map(|record| self.episode_line(record))))?;
        file("incidents.jsonl", &|to| lines(to, self.incidents.iter().map(|record| self.incident_line(record))))?;
        file("assignments.csv", &|to| self.assignments(to))
    }

    fn alert_line<'a>(&'a self, record: &'a AlertRecord) -> AlertLine<'a> {
        let alert = &record.alert;
        let episode = alert.place().and_then(|id| self.episode(id));
        let transition = |t: &super::conclusions::AlertTransition| Transition {
            at: Time(t.at),
            to: t.to,
            severity: t.severity.name(),
            priority: None,
        };
        AlertLine {
            name: &record.name,
            fingerprint: Text(&alert.fingerprint),
            scope: &record.scope,
            origin: &alert.origin,
            entity: &alert.entity,
            check: &alert.check,
            services: &alert.services,
            summary: &alert.summary,
            state: state(alert.open),
            severity: alert.severity.name(),
            count: alert.count,
            opened_at: Time(alert.opened_at),
            last_fired_at: Time(alert.last_fired_at),
            told_at: alert.told_at.as_deref().copied().map(Time),
            at_its_hour: alert.at_its_hour.as_deref(),
            cleared_at: alert.cleared_at.filter(|_| !alert.open).map(Time),
            expired: alert.expired,
            reopened: alert.reopened,
            suppressed_by: alert.suppressed_by.as_ref().map(|by| by.describe(&record.scope)),
            episode: episode.map(|episode| episode.name.as_str()),
            incident: episode.and_then(|episode| self.incident_name(episode)),
            transitions: record.transitions.iter().map(transition).collect(),
        }
    }

    fn incident_name(&self, episode: &EpisodeRecord) -> Option<&str> {
        episode.incident.map(|place| self.incidents[place].name.as_str())
    }

    fn episode_line<'a>(&'a self, record: &'a EpisodeRecord) -> EpisodeLine<'a> {
        let alerts = record.alerts.iter().map(|(alert, at, reason)| JoinedAlert {
            name: &self.alerts[*alert].name,
            joined_at: Time(*at),
            reason,
        });
        EpisodeLine {
            name: &record.name,
            scope: &record.scope,
            founded_at: Time(record.founded_at),
            alerts: alerts.collect(),
            incident: self.incident_name(record),
        }
    }

    fn incident_line<'a>(&'a self, record: &'a IncidentRecord) -> IncidentLine<'a> {
        let (update, incident) = (&record.update, &record.update.incident);
        let named = |id| self.incident(id).map(|record| record.name.as_str());
        let causes = incident.causes.iter().map(|cause| CauseLine {
            entity: &cause.entity,
            check: &cause.check,
            change: cause.change.as_deref(),
            confidence: f64::from(cause.confidence) / 1_000.0,
            reason: &cause.reason,
        });
        let episode = self.episode(incident.episode);
        let alerts = episode.into_iter().flat_map(|episode| &episode.alerts).map(|(alert, _, reason)| {
            let record = &self.alerts[*alert];
            let place = record.places.iter().find(|place| place.episode == incident.episode);
            ShortAlertLine {
                name: &record.name,
                entity: &record.alert.entity,
                check: &record.alert.check,
                severity: place.map_or(record.alert.severity, |place| place.severity).name(),
                state: state(place.is_some_and(|place| place.open)),
                reason,
            }
        });
        let alerts: Vec<_> = alerts.collect();
        let transitions = record.transitions.iter().map(|t| Transition {
            at: Time(t.at),
            to: t.to,
            severity: t.severity.name(),
            priority: Some(t.priority),
        });
        IncidentLine {
            name: &record.name,
            number: incident.number,
            scope: &update.scope,
            state: incident.state.name(),
            title: &incident.title,
            severity: incident.severity.name(),
            priority: incident.priority.value(),
            opened_at: Time(incident.opened_at),
            resolved_at: incident.resolved_at.map(Time),
            closed_at: incident.closed_at.map(Time),
            merged_into: incident.merged_into.and_then(named),
            major: incident.major.and_then(named),
            branches: incident.branches.iter().copied().filter_map(named).collect(),
            episode: episode.map(|episode| episode.name.as_str()),
            services: &incident.services,
            raised: Text(&incident.raised),
            causes: causes.collect(),
            alerts,
            revisions: incident.revision,
            reopened: incident.reopened,
            muted: incident.muted,
            transitions: transitions.collect(),
        }
    }

    fn assignments(&self, to: &mut dyn Write) -> io::Result<()> {
        let mut csv = csv::WriterBuilder::new().buffer_capacity(BUFFER_BYTES).from_writer(to);
        csv.write_record(["event_id", "alert_id", "episode_id", "incident_id"])?;
        let mut start = 0;
        for row in &self.rows {
            let alert = row.alert.map_or("", |place| &self.alerts[place].name);
            let episode = row.placement.map(|n| self.placed(n));
            let incident = episode.and_then(|episode| self.incident_name(episode)).unwrap_or_default();
            let nowhere = if row.suppressed { "-" } else { "" };
            let episode = episode.map_or(nowhere, |episode| &episode.name);
            csv.write_record([&self.ids[start..row.id_end], alert, episode, incident])?;
            start = row.id_end;
        }
        csv.flush()
    }
}

fn lines(to: &mut dyn Write, records: impl Iterator<Item = impl Serialize>) -> io::Result<()> {
    let mut line = Vec::new();
    for record in records {
        line.clear();
        serde_json::to_writer(&mut line, &record)?;
        line.push(b'\n');
        to.write_all(&line)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_milliseconds() {
        assert_eq!(Time(Timestamp(1_760_000_033_000)).to_string(), "2025-10-09T08:53:53.000Z");
        assert_eq!(Time(Timestamp(1_760_000_033_007)).to_string(), "2025-10-09T08:53:53.007Z");
        assert!(Time(Timestamp::MAX).to_string().starts_with("9999-12-30"));
    }
}
