//! Where it is told: plain lines for a pipe; on a terminal a log that scrolls above a panel drawn in place.
use super::{
    line::{Kind, Line, Row, Tone},
    text,
};
use crossterm::{
    cursor::{Hide, MoveToColumn, MoveUp, Show},
    queue,
    style::{Attribute, Color, Print, ResetColor, SetAttribute, SetForegroundColor},
    terminal::{self, BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate},
};
use quell_core::domain::time::Timestamp;
use quell_proto::v1::HealthLevel;
use std::{
    env,
    io::{self, IsTerminal as _, Write},
    sync::{Mutex, Once, PoisonError},
};

/// Columns of a terminal that does not say.
const COLUMNS: usize = 80;
/// Of lines in a pipe, where `COLUMNS` does not say, and at least.
const PLAIN_COLUMNS: usize = 100;
const PLAIN_COLUMNS_MIN: usize = 40;
/// Wider lines are hard to follow.
const COLUMNS_MAX: usize = 180;

/// What the panel counts.
#[derive(Clone, Debug, Default)]
pub struct Board {
    pub events: u64,
    /// Of them, measurements.
    pub samples: u64,
    /// That ever opened.
    pub alerts: u64,
    pub alerts_open: usize,
    pub incidents: usize,
    pub incidents_open: usize,
    /// Name, score and level; worst first.
    pub services: Vec<(String, f64, HealthLevel)>,
}

impl Board {
    /// Events that somebody would have been told of: measurements tell nobody anything.
    pub const fn alert_events(&self) -> u64 {
        self.events.saturating_sub(self.samples)
    }

    /// How much less there is to read: one less incidents by alert events, in percent.
    pub fn noise_reduction(&self) -> Option<f64> {
        let events = self.alert_events();
        (events > 0).then(|| 100.0 * (1.0 - self.incidents as f64 / events as f64))
    }

    /// As text.
    pub fn noise_reduction_text(&self) -> String {
        self.noise_reduction().map_or_else(|| "-".to_owned(), |percent| format!("{percent:.1} %"))
    }
}

/// The panel.
#[derive(Clone, Debug)]
pub struct Panel {
    /// The recorded time.
    pub now: Timestamp,
    /// Of the recording, 0 to 1.
    pub share: f64,
    /// Beside the bar.
    pub pace: String,
    /// The last row.
    pub doors: String,
}

/// One of the two.
pub enum Screen {
    Plain(Box<dyn Write + Send>),
    Live(Live),
}

impl Screen {
    /// What suits the standard output.
    pub fn stdout() -> Self {
        let dumb = env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        if dumb || !io::stdout().is_terminal() {
            return Self::Plain(Box::new(io::stdout()));
        }
        Self::Live(Live::new())
    }

    /// Tells lines, and draws the panel.
    ///
    /// # Errors
    /// Where it can't be written.
    pub fn show(&mut self, lines: &[Line], board: &Board, panel: &Panel) -> io::Result<()> {
        match self {
            Self::Plain(out) => {
                for row in lines.iter().flat_map(|line| line.plain(plain_columns())) {
                    writeln!(out, "{row}")?;
                }
                out.flush()
            }
            Self::Live(live) => live.show(lines, board, panel),
        }
    }

    /// Columns of the terminal, if it is one.
    pub fn columns(&self) -> Option<usize> {
        match self {
            Self::Plain(_) => None,
            Self::Live(_) => Some(size().0),
        }
    }

    /// Columns of a line.
    pub fn width(&self) -> usize {
        self.columns().unwrap_or_else(plain_columns)
    }

    /// Writes rows in place of the panel.
    ///
    /// # Errors
    /// Where it can't be written.
    pub fn write(&mut self, rows: &[Row]) -> io::Result<()> {
        match self {
            Self::Plain(out) => {
                for row in rows {
                    let line: String = row.iter().map(|(_, text)| text.as_str()).collect();
                    writeln!(out, "{}", line.trim_end())?;
                }
                out.flush()
            }
            Self::Live(live) => live.frame(rows, &[]),
        }
    }
}

/// A terminal.
pub struct Live {
    colour: bool,
    /// The widths of the panel's rows as they were drawn.
    drawn: Vec<usize>,
    /// The time of the latest line.
    at: Option<Timestamp>,
    before: Option<Kind>,
}

/// What is logged while a panel is drawn: printed above it.
static LOGGED: Mutex<Option<Vec<u8>>> = Mutex::new(None);
static HOOK: Once = Once::new();

/// Where the log goes: to stderr, or above the panel while there is one.
#[derive(Debug)]
pub struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut *LOGGED.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(kept) => kept.extend_from_slice(bytes),
            None => io::stderr().write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn plain_columns() -> usize {
    let told = env::var("COLUMNS").ok().and_then(|columns| columns.trim().parse().ok());
    told.unwrap_or(PLAIN_COLUMNS).max(PLAIN_COLUMNS_MIN)
}

/// Usable columns and rows. The last column is left free: some terminals wrap there.
fn size() -> (usize, usize) {
    let (columns, rows) = terminal::size().map_or((COLUMNS, 24), |(c, r)| (usize::from(c), usize::from(r)));
    let columns = if columns == 0 { COLUMNS } else { columns };
    (columns.saturating_sub(1).clamp(1, COLUMNS_MAX), if rows == 0 { 24 } else { rows })
}

impl Live {
    fn new() -> Self {
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                if LOGGED.lock().unwrap_or_else(PoisonError::into_inner).take().is_some() {
                    // It is about to end anyway.
                    let _ = crossterm::execute!(io::stdout(), ResetColor, Show, Print("\r\n"));
                }
                before(info);
            }));
        });
        *LOGGED.lock().unwrap_or_else(PoisonError::into_inner) = Some(Vec::new());
        Self {
            colour: env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
            drawn: Vec::new(),
            at: None,
            before: None,
        }
    }

    fn show(&mut self, lines: &[Line], board: &Board, panel: &Panel) -> io::Result<()> {
        let (columns, height) = size();
        let mut rows: Vec<Row> = Vec::new();
        let logged = LOGGED.lock().unwrap_or_else(PoisonError::into_inner).as_mut().map(std::mem::take);
        for line in String::from_utf8_lossy(&logged.unwrap_or_default()).lines() {
            rows.push(vec![(Tone::Quiet, text::clean(line))]);
        }
        for line in lines {
            let begins = line.kind.begins_after(self.before);
            if begins && self.before.is_some() {
                rows.push(Row::new());
            }
            self.before = Some(line.kind);
            let with_time = begins || self.at != Some(line.at);
            rows.extend(line.rows(columns, with_time));
            self.at = Some(line.at);
        }
        let mut below = draw(board, panel, columns);
        below.truncate(height.saturating_sub(2));
        self.frame(&rows, &below)
    }

    /// Takes the panel away, prints rows, draws the panel again; in one write, so that nothing flickers.
    fn frame(&mut self, rows: &[Row], panel: &[Row]) -> io::Result<()> {
        let (columns, _) = size();
        let mut out = Vec::new();
        queue!(out, BeginSynchronizedUpdate, Hide)?;
        // A terminal made narrower has wrapped what was drawn.
        let up: usize = self.drawn.iter().map(|width| width.div_ceil(columns + 1).max(1)).sum();
        if up > 0 {
            queue!(out, MoveToColumn(0))?;
            if up > 1 {
                queue!(out, MoveUp(u16::try_from(up - 1).unwrap_or(u16::MAX)))?;
            }
            queue!(out, Clear(ClearType::FromCursorDown))?;
        }
        for row in rows {
            self.paint(row, columns, &mut out)?;
            queue!(out, Print("\r\n"))?;
        }
        self.drawn.clear();
        for (n, row) in panel.iter().enumerate() {
            if n > 0 {
                queue!(out, Print("\r\n"))?;
            }
            let width = self.paint(row, columns, &mut out)?;
            self.drawn.push(width);
        }
        if panel.is_empty() {
            queue!(out, Show)?;
        }
        queue!(out, EndSynchronizedUpdate)?;
        let mut stdout = io::stdout().lock();
        stdout.write_all(&out)?;
        stdout.flush()
    }

    /// Writes a row, cut to the width; returns how wide it is.
    fn paint(&self, row: &Row, columns: usize, out: &mut Vec<u8>) -> io::Result<usize> {
        let mut used = 0;
        for (tone, part) in row {
            let part = text::clip(part, columns - used);
            used += text::width(&part);
            if !self.colour || *tone == Tone::Plain {
                queue!(out, Print(part))?;
                continue;
            }
            match tone {
                Tone::Strong => queue!(out, SetAttribute(Attribute::Bold))?,
                Tone::Quiet => queue!(out, SetForegroundColor(Color::DarkGrey))?,
                Tone::Good => queue!(out, SetForegroundColor(Color::DarkGreen))?,
                Tone::Fair => queue!(out, SetForegroundColor(Color::DarkYellow))?,
                Tone::Poor => queue!(out, SetForegroundColor(Color::DarkMagenta))?,
                Tone::Bad => queue!(out, SetForegroundColor(Color::Red))?,
                Tone::Plain => {}
            }
            queue!(out, Print(part), SetAttribute(Attribute::Reset))?;
        }
        Ok(used)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // The terminal may be gone.
        let _ = self.frame(&[], &[]);
        let logged = LOGGED.lock().unwrap_or_else(PoisonError::into_inner).take();
        let _ = io::stderr().write_all(&logged.unwrap_or_default());
    }
}

/// The panel's rows.
fn draw(board: &Board, panel: &Panel, columns: usize) -> Vec<Row> {
    let rule = vec![(Tone::Quiet, "─".repeat(columns))];
    let percent = format!("{:>3.0} %", panel.share * 100.0);
    let around = 10 + 2 + percent.len() + 3 + text::width(&panel.pace);
    let bar = columns.saturating_sub(around);
    let done = (bar as f64 * panel.share.clamp(0.0, 1.0)).round() as usize;
    let progress = vec![
        (Tone::Strong, text::pad(&text::clock(panel.now), 10)),
        (Tone::Good, "━".repeat(done)),
        (Tone::Quiet, "─".repeat(bar.saturating_sub(done))),
        (Tone::Plain, format!("  {percent}   ")),
        (Tone::Quiet, panel.pace.clone()),
    ];
    let open = |n: usize| if n > 0 { format!(" ({n} open)") } else { String::new() };
    let (gap, samples) = match columns {
        100.. => ("     ", format!(" ({} samples)", board.samples)),
        _ => ("  ", String::new()),
    };
    let mut counts = Row::new();
    for (name, value, more) in [
        ("events", board.events.to_string(), samples),
        ("alerts", board.alerts.to_string(), open(board.alerts_open)),
        ("incidents", board.incidents.to_string(), open(board.incidents_open)),
        ("noise reduction", board.noise_reduction_text(), String::new()),
    ] {
        if !counts.is_empty() {
            counts.push((Tone::Quiet, gap.to_owned()));
        }
        counts.push((Tone::Quiet, format!("{name} ")));
        counts.push((Tone::Strong, value));
        counts.push((Tone::Quiet, more));
    }
    vec![rule, progress, counts, services(board, columns), vec![(Tone::Quiet, panel.doors.clone())]]
}

/// Those that are not all well, worst first, as many as fit; the rest is counted.
fn services(board: &Board, columns: usize) -> Row {
    let mut row = Row::new();
    let mut used = 0;
    let ill = board.services.iter().filter(|(_, score, _)| *score < 100.0).count();
    let well = board.services.len() - ill;
    let rest = |ill: usize| match (ill, well) {
        (0, 0) => "no service heard of yet".to_owned(),
        (0, well) => format!("{} well", text::count(well, "service")),
        (ill, well) => format!("{ill} more, {} well", text::count(well, "service")),
    };
    for (n, (name, score, level)) in board.services.iter().take(ill).enumerate() {
        let part = format!("{name} {}", score.floor());
        let left = ill - n;
        if used + text::width(&part) + 2 + rest(left - 1).len() > columns {
            row.push((Tone::Quiet, rest(left)));
            return row;
        }
        used += text::width(&part) + 2;
        row.push((Tone::of_level(*level), part));
        row.push((Tone::Plain, "  ".to_owned()));
    }
    let tone = if ill == 0 && well > 0 { Tone::Good } else { Tone::Quiet };
    row.push((tone, rest(0)));
    row
}
