//! Tables and texts for people: aligned, as wide as the terminal, and nothing in them moves its cursor.
use crate::{
    clock::{Outside as _, System},
    demo::text::{clean, clip, pad, width, wrap},
};
use jiff::{Timestamp, tz::TimeZone};
use quell_proto::v1::{HealthLevel, Severity, alert, incident};
use std::{
    env,
    io::{self, IsTerminal as _},
};

/// Between columns.
const GAP: &str = "  ";
/// A column of names is not made narrower while free text can give.
const NAME_MIN: usize = 12;
/// Free text that would have less room beside the rest stands beneath it.
const TEXT_MIN: usize = 24;
/// A column is not made narrower, in order to fit.
const NARROW: usize = 6;
/// How far in what stands beneath a row begins.
const BENEATH: usize = 4;
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

/// What gives way where a table is too wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Nothing: what people type again, and times.
    Whole,
    /// Names, after all free text.
    Name,
    /// Free text, first.
    Text,
}

/// Rows under a head. Free text at the end of a row, and names before it, stand beneath it where they would have too little
/// room.
#[derive(Clone, Debug)]
pub struct Table {
    rooms: Vec<Room>,
    rows: Vec<Vec<Cell>>,
    /// The first row is a head; without one, free text beneath a row is told whole.
    headed: bool,
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
    pub fn new(head: &[(&str, Room)]) -> Self {
        let titles = head.iter().map(|(title, _)| Cell((*title).to_owned(), Tone::Head)).collect();
        Self { rooms: head.iter().map(|(_, room)| *room).collect(), rows: vec![titles], headed: true }
    }

    /// Without.
    pub fn bare(rooms: &[Room]) -> Self {
        Self { rooms: rooms.to_vec(), rows: Vec::new(), headed: false }
    }

    /// One more row.
    pub fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// As text, each row `indent` in; nothing where there is only a head.
    pub fn text(&self, look: Look, indent: usize) -> String {
        if self.headed && self.rows.len() == 1 {
            return String::new();
        }
        let Some(room) = look.columns.map(|columns| columns.saturating_sub(indent)) else {
            let all: Vec<usize> = (0..self.rooms.len()).collect();
            let widths = self.widths(&all, usize::MAX);
            return self.rows.iter().map(|row| line(row, &all, &widths, look, indent)).collect();
        };
        let (beside, beneath) = self.split(room);
        let below = room.saturating_sub(BENEATH);
        let (widths, widths_beneath) = (self.widths(&beside, room), self.widths(&beneath, below));
        let mut text = String::new();
        for row in &self.rows {
            text.push_str(&line(row, &beside, &widths, look, indent));
            if beneath.iter().all(|n| row[*n].0.is_empty()) {
                continue;
            }
            match &*beneath {
                [only] if !self.headed => {
                    let Cell(content, tone) = &row[*only];
                    for part in wrap(content, below.max(TEXT_MIN), usize::MAX) {
                        text.push_str(&format!("{}{}\n", " ".repeat(indent + BENEATH), look.paint(&part, *tone)));
                    }
                }
                several => text.push_str(&line(row, several, &widths_beneath, look, indent + BENEATH)),
            }
        }
        text
    }

    /// The columns that stand beside each other in so much room, and those beneath: free text at the end, and the names
    /// before it where they would be cut. Columns without a text take none.
    fn split(&self, room: usize) -> (Vec<usize>, Vec<usize>) {
        let under = usize::from(self.headed);
        let is_told = |n: &usize| self.rows.iter().skip(under).any(|row| !row[*n].0.is_empty());
        let told: Vec<usize> = (0..self.rooms.len()).filter(is_told).collect();
        let least = |n: &usize| match self.rooms[*n] {
            // Without a head it is told whole.
            Room::Text if self.headed => self.widest(*n).min(TEXT_MIN),
            _ => self.widest(*n),
        };
        let fits = |at: &usize| told[..*at].iter().map(least).sum::<usize>() + GAP.len() * at.saturating_sub(1) <= room;
        let before =
            |rooms: &[Room]| told.len() - told.iter().rev().take_while(|n| rooms.contains(&self.rooms[**n])).count();
        let ways = [told.len(), before(&[Room::Text]), before(&[Room::Text, Room::Name])];
        let at = ways.into_iter().filter(|at| *at > 0).find(fits).unwrap_or(ways[1]);
        (told[..at].to_vec(), told[at..].to_vec())
    }

    fn widest(&self, n: usize) -> usize {
        self.rows.iter().map(|row| width(&row[n].0)).max().unwrap_or(0)
    }

    /// As wide as the widest cell; where that is too much, free text gives, then names.
    fn widths(&self, columns: &[usize], room: usize) -> Vec<usize> {
        let mut widths: Vec<usize> = columns.iter().map(|n| self.widest(*n)).collect();
        let gaps = GAP.len() * columns.len().saturating_sub(1);
        let mut over = (widths.iter().sum::<usize>() + gaps).saturating_sub(room);
        for (gives, least) in
            [(Room::Text, TEXT_MIN), (Room::Name, NAME_MIN), (Room::Text, NARROW), (Room::Name, NARROW)]
        {
            while over > 0 {
                let giving = widths.iter_mut().zip(columns).filter(|(_, n)| self.rooms[**n] == gives);
                let Some((widest, _)) = giving.max().filter(|(width, _)| **width > least) else { break };
                *widest -= 1;
                over -= 1;
            }
        }
        widths
    }
}

/// The cells of some columns of a row, on one line.
fn line(row: &[Cell], columns: &[usize], widths: &[usize], look: Look, indent: usize) -> String {
    let mut line = " ".repeat(indent);
    for (n, (column, columns_wide)) in columns.iter().zip(widths).enumerate() {
        let Cell(content, tone) = &row[*column];
        let content = clip(content, *columns_wide);
        let filled = if n + 1 < columns.len() { pad(&content, *columns_wide) } else { content };
        line.push_str(if n > 0 { GAP } else { "" });
        line.push_str(&look.paint(&filled, *tone));
    }
    format!("{}\n", line.trim_end())
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

    /// `00:03:20Z` today; `01-05 00:03Z`, or with its year where that is another; empty where it is not given.
    pub fn when(at: Option<&prost_types::Timestamp>) -> Self {
        Self(when(at), Tone::Plain)
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
    let at = at.and_then(|at| Timestamp::from_second(at.seconds).ok());
    at.map(|at| at.to_string()).unwrap_or_default()
}

/// As short as it can be told apart from other times, in UTC: `00:03:20Z`, `01-05 00:03Z`, `2025-01-05 00:03Z`.
pub fn when(at: Option<&prost_types::Timestamp>) -> String {
    let now = Timestamp::from_millisecond(System.now().0).unwrap_or_default();
    let at = at.and_then(|at| Timestamp::from_second(at.seconds).ok());
    at.map(|at| short(at, now)).unwrap_or_default()
}

fn short(at: Timestamp, now: Timestamp) -> String {
    let (at, now) = (at.to_zoned(TimeZone::UTC), now.to_zoned(TimeZone::UTC));
    let form = match (at.date() == now.date(), at.year() == now.year()) {
        (true, _) => "%H:%M:%SZ",
        (false, true) => "%m-%d %H:%MZ",
        (false, false) => "%Y-%m-%d %H:%MZ",
    };
    at.strftime(form).to_string()
}

/// The id of a resource's name as commands take it: alone in the scope `default`, `payments/00f1a2b3c4d5e6f7` of another.
pub fn id(name: &str) -> String {
    let parts = name.strip_prefix("scopes/").and_then(|rest| rest.split_once('/'));
    match parts.and_then(|(scope, rest)| Some((scope, rest.split_once('/')?.1))) {
        // What the configuration has is of every scope.
        Some(("default" | "-", id)) => id.to_owned(),
        Some((scope, id)) => format!("{scope}/{id}"),
        None => name.to_owned(),
    }
}

/// What comes from outside, on one line, harmless.
pub fn printable(text: &str) -> String {
    clean(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&[
            ("NUMBER", Room::Whole),
            ("FLAGS", Room::Whole),
            ("SERVICES", Room::Name),
            ("TITLE", Room::Text),
        ]);
        let long = "checkout, payments, recommendation, shipping";
        table.row(vec![
            Cell::new("payments-1042"),
            Cell::new(""),
            Cell::new(long),
            Cell::new("median latency of 注文 \u{1b}[2J\r\nbad"),
        ]);
        table.row(vec![Cell::new("a-1"), Cell::new(""), Cell::toned("db", Tone::Bad), Cell::new("")]);
        table
    }

    #[test]
    fn a_table_fits_whatever_the_terminal() {
        for columns in 30..140 {
            let text = table().text(Look { columns: Some(columns), colour: false }, 2);
            assert!(text.lines().all(|line| width(line) <= columns), "{columns}\n{text}");
            assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
            assert!(text.contains("payments-1042") && !text.contains("FLAGS"), "{columns}\n{text}");
        }
    }

    #[test]
    fn free_text_gives_before_names_and_stands_beneath_rather_than_be_nothing() {
        let at = |columns| table().text(Look { columns: Some(columns), colour: false }, 0);
        assert!(at(120).contains("shipping  median latency of 注文"), "{}", at(120));
        // Names go with it where they would be cut.
        let narrow = at(40);
        assert!(narrow.starts_with("NUMBER\n    SERVICES"), "{narrow}");
        let narrow = at(64);
        assert!(narrow.contains("recommendation, shipping\n    median latency of 注文"), "{narrow}");
        // What has no text takes no line.
        assert_eq!(narrow.lines().count(), 5, "{narrow}");
        let text = "many words of why it is as it is, to the last";
        let mut bare = Table::bare(&[Room::Whole, Room::Text]);
        bare.row(vec![Cell::new("2026-01-05T00:03:20Z"), Cell::new(text)]);
        let told = bare.text(Look { columns: Some(36), colour: false }, 2);
        assert_eq!(told.split_whitespace().skip(1).collect::<Vec<_>>().join(" "), text, "{told}");
    }

    #[test]
    fn times_are_short_and_ids_are_what_commands_take() {
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        let now = at("2026-11-26T08:00:00Z");
        for (time, told) in [
            ("2026-11-26T07:59:01Z", "07:59:01Z"),
            ("2026-11-25T22:10:05Z", "11-25 22:10Z"),
            ("2025-11-26T22:10:05Z", "2025-11-26 22:10Z"),
        ] {
            assert_eq!(short(at(time), now), told);
        }
        for (name, told) in [
            ("scopes/default/alerts/00000000000000ff", "00000000000000ff"),
            ("scopes/payments/silences/00000000000000ff", "payments/00000000000000ff"),
            ("scopes/-/maintenanceWindows/patch-night", "patch-night"),
            ("scopes/default/services/a/b", "a/b"),
        ] {
            assert_eq!(id(name), told);
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
