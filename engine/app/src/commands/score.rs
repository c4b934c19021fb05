//! `quell score`: how unusual the values of a series are, as the service would find them.
use super::{
    bad_input,
    rows::{Calendar, Row, Rows, is_needed},
    to_stdout,
};
use anyhow::{bail, ensure};
use quell_core::domain::time::{Span, Timestamp};
use quell_models::detectors::{Kpi, Moment, Shape, Together, Verdict};
use std::{
    io::{self, Write},
    path::PathBuf,
};

/// Scores a measured series, or several of one entity, as the service does: each value by what came before it.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  quell score latency.csv                            (timestamp,value)\n  quell score --timezone Europe/Berlin - < latency.csv\n  quell score --table \
                        --learn train.csv --every 1m test.csv     (a column for each series)\n\nTwo numbers from 0 to 1: anomaly_score, that something new has happened, is above 0 once, \
                        and 0.5 is worth a look;\nseverity, how far from usual it is, lasts as long as it is so.\nOf a counter what is usual is its rate: what it grows by in a second."
)]
pub struct ScoreArgs {
    /// CSV with a header: `timestamp` (RFC 3339, `2026-01-05 09:00:00` in UTC, or Unix seconds), then the value; `-` is stdin
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The columns are series of one entity: how far from usual it is in each row
    #[arg(long)]
    pub table: bool,
    /// What came before, of the same columns: it is learned, and not told
    #[arg(long, value_name = "FILE")]
    pub learn: Option<PathBuf>,
    /// Rows are so far apart, where there is no column `timestamp`
    #[arg(long, value_name = "SPAN")]
    pub every: Option<Span>,
    #[command(flatten)]
    pub calendar: Calendar,
    /// Shapes that were never seen are events too, as of the checks in `score.shapes`: slower, and 64 KiB a series
    #[arg(long)]
    pub heavy: bool,
}

/// Writes CSV to stdout.
///
/// # Errors
/// With file, line and what is wrong.
pub fn run(args: &ScoreArgs) -> anyhow::Result<()> {
    to_stdout(|out| score(args, out))
}

fn score(args: &ScoreArgs, out: &mut (impl Write + ?Sized)) -> anyhow::Result<()> {
    let (moment, is_heavy) = (args.calendar.moments().map_err(bad_input)?, args.heavy);
    let mut scored = Scored { columns: Vec::new(), names: Vec::new(), together: Together::default(), moment, is_heavy };
    let (mut next, mut all_timed) = (Timestamp(0), true);
    if let Some(file) = &args.learn {
        let mut rows = Rows::open(file, args.every, next).map_err(bad_input)?;
        scored.begin(&mut rows, args.table).map_err(bad_input)?;
        while let Some(row) = rows.next().map_err(bad_input)? {
            scored.take(&row);
        }
        (next, all_timed) = (rows.expects(), rows.has_time());
    }
    let mut rows = Rows::open(&args.file, args.every, next).map_err(bad_input)?;
    is_needed(args.every, all_timed && rows.has_time()).map_err(bad_input)?;
    scored.begin(&mut rows, args.table).map_err(bad_input)?;
    let time = if rows.has_time() { "timestamp," } else { "" };
    let columns = if args.table { "severity" } else { "value,anomaly_score,severity,usual_low,usual_high,rate" };
    writeln!(out, "{time}{columns}")?;
    while let Some(row) = rows.next().map_err(bad_input)? {
        let severity = scored.take(&row);
        if rows.has_time() {
            write!(out, "{},", row.told)?;
        }
        if args.table {
            writeln!(out, "{severity:.6}")?;
        } else {
            tell(&row, scored.columns.first(), out)?;
        }
    }
    Ok(())
}

fn tell(row: &Row, column: Option<&Column>, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
    let verdict = column.map(|column| column.verdict).unwrap_or_default();
    let text = |number: Option<f64>| number.map(|number| number.to_string()).unwrap_or_default();
    write!(out, "{},{},{},", text(row.values.first().copied().flatten()), verdict.event, verdict.severity)?;
    let usual = verdict.usual;
    // As exact as it is known.
    let known = |number: Option<f64>| number.map(|number| (number as f32).to_string()).unwrap_or_default();
    let (low, high) = (usual.map(|usual| usual.low), usual.map(|usual| usual.high));
    writeln!(out, "{},{},{}", known(low), known(high), known(usual.and_then(|usual| usual.rate)))
}

/// A series, with what was said of its last value.
#[derive(Clone, Debug, Default)]
struct Column {
    detector: Kpi,
    shape: Option<Shape>,
    verdict: Verdict,
}

impl Column {
    fn take(&mut self, moment: Moment, value: f64) {
        let new = self.shape.as_mut().map(|shape| shape.take(value)).unwrap_or_default();
        self.verdict = self.detector.take(moment, value, true).with_shape(new);
    }
}

/// The series of a file.
struct Scored<M> {
    columns: Vec<Column>,
    /// What the columns are called.
    names: Vec<String>,
    together: Together,
    moment: M,
    is_heavy: bool,
}

impl<M: Fn(Timestamp) -> Moment> Scored<M> {
    fn begin(&mut self, rows: &mut Rows, is_table: bool) -> anyhow::Result<()> {
        let series = rows.series();
        ensure!(series > 0, "{}: no column has values", rows.name());
        if !is_table && series > 1 {
            bail!("{}: {series} columns of values; --table takes them as series of one entity", rows.name());
        }
        if self.columns.is_empty() {
            let shape = self.is_heavy.then(Shape::default);
            self.columns = vec![Column { shape, ..Column::default() }; series];
            self.names = rows.names()?;
        }
        let known = self.columns.len();
        ensure!(series == known, "{}: {series} columns of values, where what was learned has {known}", rows.name());
        let mut names = rows.names()?.into_iter().zip(&self.names);
        if let Some((name, known)) = names.find(|(name, known)| is_table && name != *known) {
            bail!("{}: a column `{name}`, where what was learned has `{known}`", rows.name());
        }
        Ok(())
    }

    /// Of a row, how far from usual all are together.
    fn take(&mut self, row: &Row) -> f64 {
        let moment = (self.moment)(row.at);
        for (column, value) in self.columns.iter_mut().zip(&row.values) {
            match value {
                Some(value) => column.take(moment, *value),
                None => column.verdict = Verdict::default(),
            }
        }
        self.together.take(self.columns.iter().map(|column| column.verdict.severity))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quell_core::domain::zone::Zone;
    use std::fs;

    fn scored(text: &str, edit: impl FnOnce(&mut ScoreArgs)) -> anyhow::Result<String> {
        let directory = tempfile::TempDir::new()?;
        let file = directory.path().join("series.csv");
        fs::write(&file, text)?;
        let mut args = ScoreArgs {
            file,
            table: false,
            learn: None,
            every: None,
            calendar: Calendar { timezone: Zone::utc(), holiday: Vec::new() },
            heavy: false,
        };
        edit(&mut args);
        let mut out = Vec::new();
        score(&args, &mut out)?;
        Ok(String::from_utf8(out)?)
    }

    fn minutes(n: usize, value: impl Fn(usize) -> f64) -> String {
        let row = |n: usize| format!("2026-01-05 {:02}:{:02}:00,{}\n", n / 60, n % 60, value(n));
        "timestamp,value\n".to_owned() + &(0..n).map(row).collect::<String>()
    }

    #[test]
    fn a_jump_is_scored_once_and_is_severe_while_it_lasts() -> anyhow::Result<()> {
        let told = scored(&minutes(420, |n| if n < 400 { 100.0 + (n % 7) as f64 } else { 400.0 }), |_| {})?;
        let lines: Vec<&str> = told.lines().collect();
        ensure!(lines[0] == "timestamp,value,anomaly_score,severity,usual_low,usual_high,rate" && lines.len() == 421);
        let part = |line: &str, n: usize| line.split(',').nth(n).and_then(|text| text.parse::<f64>().ok());
        let events: Vec<usize> = (1..421).filter(|n| part(lines[*n], 2) >= Some(0.5)).collect();
        ensure!(events == [401], "{events:?}");
        ensure!(lines[401].starts_with("2026-01-05 06:40:00,400,"), "{}", lines[401]);
        ensure!((401..405).all(|n| part(lines[n], 3) >= Some(0.2)), "{:?}", &lines[401..405]);
        Ok(())
    }

    /// Where rows are missing, too: what it grew by is spread over the time that it took.
    #[test]
    fn a_counter_is_told_with_the_rate_that_it_was_judged_by() -> anyhow::Result<()> {
        let text = minutes(420, |n| 6_000.0 + 60.0 * (5 * n + n % 3) as f64);
        let text: String =
            text.lines().filter(|line| !line.contains(" 06:30:")).map(|line| format!("{line}\n")).collect();
        let told = scored(&text, |_| {})?;
        let cells = |line: &str| line.split(',').map(|cell| cell.parse().unwrap_or(f64::NAN)).collect::<Vec<f64>>();
        for line in told.lines().skip(400) {
            let [.., low, high, rate] = cells(line)[..] else { anyhow::bail!("{line}") };
            ensure!(low <= rate && rate <= high && (3.0..=7.0).contains(&rate), "{line}");
        }
        ensure!(scored(&minutes(60, |n| (n % 7) as f64), |_| {})?.lines().skip(1).all(|line| line.ends_with(',')));
        Ok(())
    }

    #[test]
    fn a_table_of_other_columns_is_refused() -> anyhow::Result<()> {
        let directory = tempfile::TempDir::new()?;
        let learn = directory.path().join("before.csv");
        fs::write(&learn, "a,b\n1,2\n")?;
        let edit = |args: &mut ScoreArgs| {
            (args.table, args.learn, args.every) = (true, Some(learn.clone()), Some(Span::minutes(1)));
        };
        let error = scored("b,a\n1,2\n", edit).expect_err("their order differs").to_string();
        ensure!(error.ends_with("series.csv: a column `b`, where what was learned has `a`"), "{error}");
        Ok(())
    }

    #[test]
    fn a_table_has_one_state_a_row_and_goes_on_from_what_was_learned() -> anyhow::Result<()> {
        let row = |n: usize, off: f64| format!("{},{},{}\n", n % 5, 10.0 + (n % 3) as f64 + off, 7.5);
        let before = "a,b,c\n".to_owned() + &(0..300).map(|n| row(n, 0.0)).collect::<String>();
        let after = "a,b,c\n".to_owned() + &row(300, 0.0) + &row(301, 500.0);
        let directory = tempfile::TempDir::new()?;
        let learn = directory.path().join("before.csv");
        fs::write(&learn, before)?;
        let told = scored(&after, |args| {
            (args.table, args.learn, args.every) = (true, Some(learn), Some(Span::minutes(1)));
        })?;
        let lines: Vec<&str> = told.lines().collect();
        ensure!(lines[0] == "severity" && lines.len() == 3, "{told}");
        ensure!(lines[1].parse::<f64>()? < 0.01 && lines[2].parse::<f64>()? > 0.1, "{told}");
        Ok(())
    }

    #[test]
    fn what_is_wrong_is_named() {
        let wrong = |text: &str| format!("{:#}", scored(text, |_| {}).expect_err(text));
        assert!(
            wrong("timestamp,a,b\n1,2,3\n").contains("2 columns of values; --table"),
            "{}",
            wrong("timestamp,a,b\n")
        );
        assert!(wrong("timestamp,value\nyesterday,2\n").contains("series.csv:2: `yesterday` is no time"));
        assert!(wrong("timestamp,value\n5,many\n").contains("series.csv:2: `many` is no number"));
        assert!(wrong("timestamp,value\n9,1\n5,1\n").contains("series.csv:3: older than the row before"));
        assert!(wrong("value\n1\n").contains("--every"));
        let every = |args: &mut ScoreArgs| args.every = Some(Span::minutes(1));
        let error = scored("timestamp,value\n1,2\n", every).expect_err("it has times").to_string();
        assert!(error.starts_with("--every: each sample tells its time already"), "{error}");
        assert!(wrong("timestamp\n1\n").contains("no column has values"));
        assert!(wrong("").contains("no header"));
        assert!(wrong("timestamp,value\n1,2,3\n").contains("line: 2"));
    }

    #[test]
    fn a_beat_that_does_not_come_is_an_event_where_shapes_are_looked_at() -> anyhow::Result<()> {
        let beat = |n: usize| if n % 30 < 3 && n / 30 != 230 { 70 } else { 20 };
        let row = |n: usize| format!("{},{}.{}\n", 60 * n, beat(n), n.wrapping_mul(2_654_435_761) / 128 % 10);
        let text: String = (0..7_200).map(row).collect();
        let events = |heavy: bool| -> anyhow::Result<Vec<usize>> {
            let out = scored(&format!("timestamp,value\n{text}"), |args| args.heavy = heavy)?;
            let score = |line: &str| line.split(',').nth(2).and_then(|score| score.parse().ok()).unwrap_or(0.0);
            Ok(out
                .lines()
                .skip(6_101)
                .enumerate()
                .filter(|(_, line)| score(line) >= 0.5)
                .map(|(n, _)| n + 6_100)
                .collect())
        };
        assert!(events(false)?.is_empty());
        assert!(matches!(events(true)?[..], [at] if (6_900..6_930).contains(&at)), "{:?}", events(true)?);
        Ok(())
    }
}
