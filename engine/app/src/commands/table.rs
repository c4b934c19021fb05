//! Tables and texts for people: aligned, as wide as the terminal, and nothing in them moves its cursor.
use crate::demo::text::{clean, clip, pad, width, wrap};
use quell_proto::v1::{HealthLevel, Severity, alert, incident};
use std::{
    env,
    io::{self, IsTerminal as _},
};

/// Between columns.
const GAP: &str = "  ";
/// A column is not made narrower, in order to fit.
const NARROW: usize = 6;
/// Of a text that is wrapped, where no terminal says.
const TEXT_COLUMNS: usize = 100;

/// How it may look.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    /// `None` where nothing is cut: in a pipe.
    pub columns: Option<usize>,
    pub colour: bool,
}

/// What a cell says beside its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    #[default]
    Plain,
    Bad,
    Uneasy,
    Good,
    Head,
}

/// A text with its tone.
#[derive(Clone, Debug)]
pub struct Cell(String, Tone);

/// Rows under a head. The last column takes what is left.
#[derive(Clone, Debug)]
pub struct Table {
    rows: Vec<Vec<Cell>>,
}

impl Look {
    /// Of the standard output: colour only on a terminal, and not with `NO_COLOR` (<https://no-color.org>).
    pub fn stdout() -> Self {
        if !io::stdout().is_terminal() {
            return Self::default();
        }
        let columns = crossterm::terminal::size().ok().map(|(columns, _)| usize::from(columns));
        let colourless = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self { columns: columns.filter(|columns| *columns > 0), colour: !colourless }
    }

    /// A text with a tone.
    pub fn paint(self, text: &str, tone: Tone) -> String {
        let code = match tone {
            Tone::Plain => "",
            Tone::Bad => "31",
            Tone::Uneasy => "33",
            Tone::Good => "32",
            Tone::Head => "1",
        };
        if self.colour && !code.is_empty() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// A text from outside in whole lines, each `indent` further in.
    pub fn paragraph(self, text: &str, indent: usize) -> String {
        let columns = self.columns.unwrap_or(TEXT_COLUMNS).saturating_sub(indent).max(20);
        let rows = wrap(&clean(text), columns, usize::MAX);
        rows.iter().map(|row| format!("{}{row}\n", " ".repeat(indent))).collect()
    }
}

impl Table {
    /// With a head.
    pub fn new(head: &[&str]) -> Self {
        Self { rows: vec![head.iter().map(|title| Cell((*title).to_owned(), Tone::Head)).collect()] }
    }

    /// Without.
    pub const fn bare() -> Self {
        Self { rows: Vec::new() }
    }

    /// One more row.
    pub fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// As text, each row `indent` in.
    pub fn text(&self, look: Look, indent: usize) -> String {
        let widths = self.widths(look.columns.map(|columns| columns.saturating_sub(indent)));
        let mut text = String::new();
        for row in &self.rows {
            let mut line = " ".repeat(indent);
            for (n, (Cell(content, tone), columns)) in row.iter().zip(&widths).enumerate() {
                let content = clip(content, *columns);
                let filled = if n + 1 < row.len() { pad(&content, *columns) } else { content };
                line.push_str(if n > 0 { GAP } else { "" });
                line.push_str(&look.paint(&filled, *tone));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    /// As wide as the widest cell; where that is too much, the widest columns give.
    fn widths(&self, columns: Option<usize>) -> Vec<usize> {
        let count = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widest = |n: usize| self.rows.iter().filter_map(|row| Some(width(&row.get(n)?.0))).max().unwrap_or(0);
        let mut widths: Vec<usize> = (0..count).map(widest).collect();
        let Some(room) = columns.map(|columns| columns.saturating_sub(GAP.len() * count.saturating_sub(1))) else {
            return widths;
        };
        let mut over = widths.iter().sum::<usize>().saturating_sub(room);
        while over > 0 {
            let Some(widest) = widths.iter_mut().max().filter(|widest| **widest > NARROW) else { break };
            *widest -= 1;
            over -= 1;
        }
        widths
    }
}

impl Cell {
    /// What comes from outside.
    pub fn new(text: &str) -> Self {
        Self::toned(text, Tone::Plain)
    }

    /// With a tone.
    pub fn toned(text: &str, tone: Tone) -> Self {
        Self(clean(text), tone)
    }

    /// `critical`
    pub fn severity(severity: Severity) -> Self {
        let tone = match severity {
            Severity::Critical | Severity::Major => Tone::Bad,
            Severity::Minor | Severity::Warning => Tone::Uneasy,
            _ => Tone::Plain,
        };
        Self::toned(&word(severity.as_str_name()), tone)
    }

    /// `in progress`
    pub fn incident_state(state: incident::State) -> Self {
        let tone = match state {
            incident::State::New => Tone::Bad,
            incident::State::Resolved | incident::State::Closed => Tone::Good,
            _ => Tone::Plain,
        };
        Self::toned(&word(state.as_str_name()), tone)
    }

    /// `open`
    pub fn alert_state(state: alert::State) -> Self {
        Self::toned(&word(state.as_str_name()), if state == alert::State::Cleared { Tone::Good } else { Tone::Plain })
    }

    /// `failing`
    pub fn health(level: HealthLevel) -> Self {
        let tone = match level {
            HealthLevel::Failing | HealthLevel::Impaired => Tone::Bad,
            HealthLevel::Degraded => Tone::Uneasy,
            HealthLevel::Healthy => Tone::Good,
            HealthLevel::Unspecified => Tone::Plain,
        };
        Self::toned(&word(level.as_str_name()), tone)
    }

    /// `P1`
    pub fn priority(priority: u32) -> Self {
        let tone = match priority {
            1 => Tone::Bad,
            2 => Tone::Uneasy,
            _ => Tone::Plain,
        };
        Self::toned(&format!("P{priority}"), tone)
    }

    /// `2026-01-05T00:03:20Z`; empty where it is not given.
    pub fn time(at: Option<&prost_types::Timestamp>) -> Self {
        Self(time(at), Tone::Plain)
    }

    /// The text.
    pub fn into_text(self) -> String {
        self.0
    }
}

/// A name of the proto as a word: `in progress` of `IN_PROGRESS`.
pub fn word(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', " ")
}

/// To the second, in UTC.
pub fn time(at: Option<&prost_types::Timestamp>) -> String {
    let at = at.and_then(|at| jiff::Timestamp::from_second(at.seconds).ok());
    at.map(|at| at.to_string()).unwrap_or_default()
}

/// What comes from outside, on one line, harmless.
pub fn printable(text: &str) -> String {
    clean(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["NUMBER", "SERVICES", "TITLE"]);
        let long = "checkout, payments, recommendation, shipping";
        table.row(vec![
            Cell::new("payments-1042"),
            Cell::new(long),
            Cell::new("median latency of 注文 \u{1b}[2J\r\nbad"),
        ]);
        table.row(vec![Cell::new("a-1"), Cell::toned("db", Tone::Bad), Cell::new("")]);
        table
    }

    #[test]
    fn a_table_fits_whatever_the_terminal() {
        for columns in 30..140 {
            let text = table().text(Look { columns: Some(columns), colour: false }, 2);
            assert!(text.lines().all(|line| width(line) <= columns), "{columns}\n{text}");
            assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
        }
    }

    #[test]
    fn columns_stand_under_each_other_and_colours_take_no_room() {
        let plain = table().text(Look::default(), 0);
        let at = |line: &str| plain.lines().find_map(|l| l.find(line));
        assert_eq!((at("SERVICES"), at("checkout")), (at("db"), at("SERVICES")), "{plain}");
        let painted = table().text(Look { columns: None, colour: true }, 0);
        assert!(painted.contains("\u{1b}[31mdb"), "{painted:?}");
        let unpainted: String = ["\u{1b}[31m", "\u{1b}[1m", "\u{1b}[0m"].iter().fold(painted, |t, c| t.replace(c, ""));
        assert_eq!(unpainted.lines().next().map(str::trim_end), plain.lines().next());
    }
}
