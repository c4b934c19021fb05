//! What is told: lines of time, kind, text and reason, and rows of coloured text made of them.
use super::text;
use quell_core::domain::time::Timestamp;
use quell_proto::v1;

/// How a text looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Quiet,
    Strong,
    Good,
    Fair,
    Poor,
    Bad,
}

impl Tone {
    /// Of a severity.
    pub const fn of_severity(severity: v1::Severity) -> Self {
        match severity {
            v1::Severity::Critical => Self::Bad,
            v1::Severity::Major => Self::Poor,
            v1::Severity::Minor | v1::Severity::Warning => Self::Fair,
            v1::Severity::Info | v1::Severity::Unspecified => Self::Quiet,
        }
    }

    /// Of a level of health.
    pub const fn of_level(level: v1::HealthLevel) -> Self {
        match level {
            v1::HealthLevel::Failing => Self::Bad,
            v1::HealthLevel::Impaired => Self::Poor,
            v1::HealthLevel::Degraded => Self::Fair,
            v1::HealthLevel::Healthy | v1::HealthLevel::Unspecified => Self::Good,
        }
    }
}

/// A row of the terminal.
pub type Row = Vec<(Tone, String)>;

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Opened,
    Cause,
    Raised,
    Alert(v1::Severity),
    /// More alerts of the same incident.
    More,
    Grown,
    Reopened,
    Resolved,
    Health,
}

impl Kind {
    /// In a pipe: a word to search for.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Cause => "cause",
            Self::Raised => "because",
            Self::Alert(_) => "alert",
            Self::More => "alerts",
            Self::Grown => "grown",
            Self::Reopened => "reopened",
            Self::Resolved => "resolved",
            Self::Health => "health",
        }
    }

    /// On a terminal an alert is called by its severity.
    fn label(self) -> String {
        match self {
            Self::Alert(severity) => severity_name(severity),
            Self::More => String::new(),
            Self::Opened => "INCIDENT".to_owned(),
            other => other.name().to_owned(),
        }
    }

    /// Whether it is about an incident as a whole.
    const fn is_heading(self) -> bool {
        matches!(self, Self::Opened | Self::Grown | Self::Reopened | Self::Resolved)
    }

    /// Whether it begins something new for the eye.
    pub fn begins_after(self, before: Option<Self>) -> bool {
        match self {
            Self::Health | Self::Resolved => before != Some(self),
            _ => self.is_heading(),
        }
    }
}

/// In lower case.
pub fn severity_name(severity: v1::Severity) -> String {
    severity.as_str_name().to_ascii_lowercase()
}

/// In lower case.
pub fn level_name(level: v1::HealthLevel) -> String {
    level.as_str_name().to_ascii_lowercase()
}

/// One thing that is told.
#[derive(Clone, Debug)]
pub struct Line {
    pub at: Timestamp,
    pub kind: Kind,
    pub tone: Tone,
    /// The incident's number; empty where it is about none.
    pub incident: String,
    pub text: String,
    /// Why; may be empty.
    pub reason: String,
}

/// Time, kind, and the blanks after them.
const LEAD: usize = 8 + 2 + 8 + 2;
/// Rows that a text may take.
const TEXT_ROWS: usize = 2;

impl Line {
    /// For a pipe: one line, and what does not fit beneath it.
    pub fn plain(&self, columns: usize) -> Vec<String> {
        let mut line = String::new();
        for part in [&*self.incident, &*self.severity(), &*self.text] {
            let colon = if part == self.text || part.is_empty() { "" } else { ": " };
            line += part;
            line += colon;
        }
        if !self.reason.is_empty() {
            line += " (";
            line += &self.reason;
            line += ")";
        }
        let mut lead = format!("{}  {:<8}  ", text::clock(self.at), self.kind.name());
        let mut rows = Vec::new();
        for row in text::wrap(&line, columns.saturating_sub(LEAD), usize::MAX) {
            rows.push(format!("{lead}{row}"));
            lead = " ".repeat(LEAD);
        }
        rows
    }

    fn severity(&self) -> String {
        match self.kind {
            Kind::Alert(severity) => severity_name(severity),
            _ => String::new(),
        }
    }

    /// Rows for a terminal of a width: the reason beside the text where it fits, else beneath it. The time is left out
    /// where it is that of the row before.
    pub fn rows(&self, columns: usize, with_time: bool) -> Vec<Row> {
        let room = columns.saturating_sub(LEAD).max(10);
        let time = if with_time { text::clock(self.at) } else { String::new() };
        let lead = |time: &str, kind: &str| {
            vec![(Tone::Quiet, text::pad(time, 10)), (self.tone, text::pad(kind, 8)), (Tone::Plain, "  ".to_owned())]
        };
        let mut body = self.text.clone();
        if self.kind.is_heading() {
            body = format!("{} {body}", self.incident);
        }
        let tone = match self.kind {
            Kind::Opened | Kind::Cause => Tone::Strong,
            Kind::Health | Kind::Resolved => self.tone,
            _ => Tone::Plain,
        };
        let mut texts = text::wrap(&body, room, TEXT_ROWS);
        let mut rows: Vec<Row> = Vec::new();
        let reason = if self.reason.is_empty() { String::new() } else { format!("({})", self.reason) };
        let last = texts.last().map_or(0, |last| text::width(last));
        let beside = !reason.is_empty() && last + 1 + text::width(&reason) <= room;
        // A service's alerts are told of with their incident.
        let beneath = !reason.is_empty() && !beside && self.kind != Kind::Health;
        let count = texts.len();
        for (n, part) in texts.drain(..).enumerate() {
            let mut row = if n == 0 { lead(&time, &self.kind.label()) } else { lead("", "") };
            row.push((tone, part));
            if beside && n + 1 == count {
                row.push((Tone::Quiet, format!(" {reason}")));
            }
            rows.push(row);
        }
        if beneath {
            let mut row = lead("", "");
            row.push((Tone::Quiet, text::clip(&reason, room)));
            rows.push(row);
        }
        rows
    }
}
