//! What the scorer finds, as events.
use super::{Finding, series::Series};
use crate::domain::{
    alert::Fingerprint,
    episode::{KPI, MEASURED_BY, PREDICTION, SCORE},
    event::{Event, Kind, ORIGIN, Status},
    hash::Framed,
    severity::Severity,
    time::{Span, Timestamp},
};

/// Who is further off is off as far.
const OFF_MAX: f64 = 100.0;

/// What is derived of a series.
pub(super) struct Said<'a> {
    /// Tells the alerts of one series apart.
    pub of: &'a str,
    /// Behind the series' own check, for people.
    pub word: &'static str,
    pub status: Status,
    pub severity: Severity,
    pub summary: String,
    /// Instead of the one that the samples name.
    pub service: Option<&'a str>,
    pub kpi: Option<&'a str>,
    /// How many spreads it is off the usual, where that is known.
    pub off: Option<f64>,
    /// It is a prediction for so far ahead.
    pub ahead: Option<Span>,
}

impl<'a> Said<'a> {
    /// It holds.
    pub const fn firing(of: &'a str, word: &'static str, severity: Severity, summary: String) -> Self {
        Self { of, word, status: Status::Firing, severity, summary, service: None, kpi: None, off: None, ahead: None }
    }

    /// It holds no more.
    pub fn resolved(of: &'a str, word: &'static str) -> Self {
        Self { status: Status::Resolved, ..Self::firing(of, word, Severity::Info, String::new()) }
    }

    /// As an event of the series' entity.
    pub fn about(self, series: &Series, key: Fingerprint, at: Timestamp) -> Finding {
        let mut labels = vec![(MEASURED_BY.to_owned(), series.origin.to_string())];
        if let Some(kpi) = self.kpi {
            labels.insert(0, (KPI.to_owned(), kpi.to_owned()));
        }
        if let Some(ahead) = self.ahead {
            labels.push((PREDICTION.to_owned(), ahead.to_string()));
        }
        if let Some(off) = self.off {
            labels.push((SCORE.to_owned(), format!("{:.1}", off.min(OFF_MAX))));
        }
        Finding::Event(Box::new(Event {
            fingerprint: format!("{key}/{}", self.of),
            entity: series.entity.to_string(),
            check: format!("{} {}", series.check, self.word),
            service: self.service.unwrap_or(&series.service).to_owned(),
            labels,
            ..blank(at, self.status, self.severity, self.summary)
        }))
    }
}

/// An event of the engine's own; who and what it is about is the caller's to add.
pub(super) fn blank(at: Timestamp, status: Status, severity: Severity, summary: String) -> Event {
    Event {
        id: format!("found-{}", at.0),
        time: at,
        started_at: None,
        ended_at: None,
        origin: ORIGIN.to_owned(),
        entity: String::new(),
        check: String::new(),
        status,
        severity,
        summary,
        value: None,
        labels: Vec::new(),
        service: String::new(),
        scope: String::new(),
        fingerprint: String::new(),
        identity: String::new(),
        kind: Kind::Alert,
        arrival: at,
        offset: 0,
        part: 0,
    }
}

/// The fingerprint of the alert that says it of a series: as that of its event will be.
pub(super) fn fingerprint(key: Fingerprint, of: &str) -> Fingerprint {
    Fingerprint(Framed::default().field(ORIGIN).field(format!("{key}/{of}")).hash128())
}

/// In whole seconds where it has any, for people.
pub(super) const fn rounded(span: Span) -> Span {
    if span.0 < 1_000 { span } else { Span(span.0.saturating_add(500) / 1_000 * 1_000) }
}
