//! `quell forecast`: what a series will be, and when it reaches a limit.
use super::{
    bad_input,
    rows::{Calendar, Rows, is_needed},
    to_stdout,
};
use anyhow::{bail, ensure};
use quell_core::domain::{
    lead::Lead,
    threshold::Number,
    time::{Span, Timestamp},
};
use quell_models::forecast::{Capacity, Forecast, Forecaster, Full};
use std::{
    io::{self, Write},
    path::PathBuf,
};

/// Farther ahead nothing is learned of a series in time.
const AHEAD_MAX: Span = Span::hours(24);

/// Forecasts a measured series as the service does, each value by what came before it, with an interval that 80 % of what comes lies in.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  quell forecast latency.csv                              (timestamp,value; one line: what comes next)\n  quell forecast --ahead \
                  1h --rows latency.csv > told.csv    (what would have been told at each row)\n  quell forecast --limit 95 disk.csv                      (when it is \
                  full)\n  quell forecast --limit 5 --below free.csv               (when it is used up)\n\nA forecast is adopted where those before it were closer than the \
                  last value and than yesterday's; else\nthe better of these two is told."
)]
pub struct ForecastArgs {
    /// CSV with a header: `timestamp` (RFC 3339, `2026-01-05 09:00:00` in UTC, or Unix seconds), then the value; `-` is stdin
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// So long ahead; of a series whose samples are farther apart, its next
    #[arg(long, value_name = "SPAN", default_value = "30m")]
    pub ahead: Span,
    /// Tells when the series reaches this value, too
    #[arg(long, value_name = "VALUE", allow_negative_numbers = true)]
    pub limit: Option<f64>,
    /// The limit is one from below
    #[arg(long, requires = "limit")]
    pub below: bool,
    /// Writes CSV: what was told at each row, instead of what is told at the end
    #[arg(long)]
    pub rows: bool,
    /// Rows are so far apart, where there is no column `timestamp`
    #[arg(long, value_name = "SPAN")]
    pub every: Option<Span>,
    #[command(flatten)]
    pub calendar: Calendar,
}

/// Writes to stdout.
///
/// # Errors
/// With file, line and what is wrong.
pub fn run(args: &ForecastArgs) -> anyhow::Result<()> {
    to_stdout(|out| forecast(args, out))
}

fn forecast(args: &ForecastArgs, out: &mut (impl Write + ?Sized)) -> anyhow::Result<()> {
    let ahead = (Span::seconds(1)..=AHEAD_MAX).contains(&args.ahead);
    ensure!(ahead, bad_input(anyhow::anyhow!("--ahead: from 1s to {AHEAD_MAX}")));
    let finite = args.limit.is_none_or(f64::is_finite);
    ensure!(finite, bad_input(anyhow::anyhow!("--limit: a finite number")));
    let moment = args.calendar.moments().map_err(bad_input)?;
    let mut rows = Rows::open(&args.file, args.every, Timestamp(0)).map_err(bad_input)?;
    is_needed(args.every, rows.has_time()).map_err(bad_input)?;
    if let series @ (0 | 2..) = rows.series() {
        let error = anyhow::anyhow!("{}: {series} columns of values, where one series is forecast", rows.name());
        bail!(bad_input(error));
    }
    let sign = if args.below { -1.0 } else { 1.0 };
    let (mut forecaster, mut capacity) = (Forecaster::new((args.ahead.0 / 1_000) as u32), Capacity::default());
    if args.rows {
        let time = if rows.has_time() { "timestamp," } else { "" };
        let full = if args.limit.is_some() { ",full_after,full_after_low,full_after_high" } else { "" };
        writeln!(out, "{time}value,forecast_after,forecast,low,high,adopted{full}")?;
    }
    let now = Full { median: 0.0, low: 0.0, high: 0.0 };
    let full = |capacity: &Capacity, last: Option<f64>, limit: f64| {
        let is_there = last.is_some_and(|last| sign * last >= sign * limit);
        if is_there { Some(now) } else { capacity.full(sign * limit) }
    };
    let (mut last, mut count, mut since, mut seen) = (None, 0_u64, None, Span(0));
    while let Some(row) = rows.next().map_err(bad_input)? {
        count += 1;
        let value = row.values.first().copied().flatten();
        if let Some(value) = value {
            last = Some(value);
            let begin: Timestamp = *since.get_or_insert(row.at);
            seen = row.at - begin;
            forecaster.take(moment(row.at), value);
            capacity.take(row.at.0.div_euclid(1_000), sign * value);
        }
        if args.rows {
            if rows.has_time() {
                write!(out, "{},", row.told)?;
            }
            let full = args.limit.map(|limit| full(&capacity, last, limit));
            tell_row(value, forecaster.forecast(), full, out)?;
        }
    }
    if last.is_none() {
        let what = if count == 0 { "it has a header and no rows" } else { "none of its rows has a value" };
        bail!(bad_input(anyhow::anyhow!("{}: {what}: there is nothing to forecast", rows.name())));
    }
    if !args.rows {
        tell(&forecaster, seen, out)?;
        if let Some(limit) = args.limit {
            tell_limit(Number(limit), full(&capacity, last, limit), &capacity, out)?;
        }
    }
    Ok(())
}

/// A cell for each number, empty where there is none.
fn tell_row(
    value: Option<f64>,
    forecast: Option<Forecast>,
    full: Option<Option<Full>>,
    out: &mut (impl Write + ?Sized),
) -> io::Result<()> {
    write!(out, "{},", value.map(|value| value.to_string()).unwrap_or_default())?;
    match forecast {
        Some(told) => write!(out, "{},{},{},{},{}", told.after, told.value, told.low, told.high, told.is_adopted)?,
        None => write!(out, ",,,,")?,
    }
    match full {
        Some(Some(full)) => write!(out, ",{:.0},{:.0},{:.0}", full.median, full.low, full.high)?,
        Some(None) => write!(out, ",,,")?,
        None => {}
    }
    writeln!(out)
}

/// For people, by samples of so long.
fn tell(forecaster: &Forecaster, seen: Span, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
    if let Some(Forecast { after, value, low, high, is_adopted, is_seasonal }) = forecaster.forecast() {
        let by = match (is_adopted, is_seasonal) {
            (true, _) => "",
            (false, true) => " (as it was a day before: no forecast has been better)",
            (false, false) => " (as it was: no forecast has been better)",
        };
        let [value, low, high] = [value, low, high].map(Number);
        let after = Span::seconds(i64::from(after));
        return writeln!(out, "in {after}: {value}, 80 %: {low} to {high}{by}");
    }
    let outcomes = Forecaster::OUTCOMES_MIN;
    write!(out, "no forecast yet: {outcomes} of them have to have come about first, ")?;
    match forecaster.warms_up_in() {
        Some(needed) => {
            let needed = Span::seconds(i64::from(needed));
            writeln!(out, "with samples as far apart as these about {needed}; there are samples of {seen}")
        }
        None => writeln!(out, "and there is one sample"),
    }
}

fn tell_limit(
    limit: Number,
    full: Option<Full>,
    capacity: &Capacity,
    out: &mut (impl Write + ?Sized),
) -> io::Result<()> {
    let ((seconds_min, samples_min), (seconds, samples)) = (Capacity::NEEDS, capacity.seen());
    match full {
        Some(full) if full.median <= 0.0 => writeln!(out, "at {limit} now"),
        Some(full) => writeln!(out, "at {limit} in {}", Lead(full)),
        None if seconds < seconds_min || samples < samples_min => {
            let [needed, seen] = [seconds_min, seconds].map(Span::seconds);
            let there = if samples == 1 { "is 1 sample".to_owned() } else { format!("are {samples} samples") };
            writeln!(
                out,
                "at {limit}: no trend can be told yet: it takes {samples_min} samples over {needed}; there {there} over {seen}"
            )
        }
        None => writeln!(out, "at {limit}: no trend that would lead there within eight times as long as was seen"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quell_core::domain::zone::Zone;
    use std::fs;

    fn told(text: &str, edit: impl FnOnce(&mut ForecastArgs)) -> anyhow::Result<String> {
        let directory = tempfile::TempDir::new()?;
        let file = directory.path().join("series.csv");
        fs::write(&file, text)?;
        let calendar = Calendar { timezone: Zone::utc(), holiday: Vec::new() };
        let mut args = ForecastArgs {
            file,
            ahead: Span::minutes(30),
            limit: None,
            below: false,
            rows: false,
            every: Some(Span::minutes(5)),
            calendar,
        };
        edit(&mut args);
        let mut out = Vec::new();
        forecast(&args, &mut out)?;
        Ok(String::from_utf8(out)?)
    }

    /// Four days, five minutes apart.
    fn days(value: impl Fn(f64) -> f64) -> String {
        "value\n".to_owned() + &(0..1_152).map(|n| format!("{}\n", value(f64::from(n) / 288.0))).collect::<String>()
    }

    #[test]
    fn a_disk_is_told_when_it_is_full_and_what_it_is_in_half_an_hour() -> anyhow::Result<()> {
        let told = told(&days(|day| 20.0 + 10.0 * day + (day * 97.0).fract()), |args| args.limit = Some(90.0))?;
        let lines: Vec<&str> = told.lines().collect();
        ensure!(lines.len() == 2 && lines[0].starts_with("in 30m: 60."), "{told}");
        ensure!(lines[1].starts_with("at 90 in 3 days, 80 %: 3 to 3"), "{told}");
        Ok(())
    }

    #[test]
    fn what_is_used_up_is_a_limit_from_below() -> anyhow::Result<()> {
        let below = |args: &mut ForecastArgs| (args.limit, args.below) = (Some(10.0), true);
        let told = told(&days(|day| 80.0 - 10.0 * day - (day * 97.0).fract()), below)?;
        ensure!(told.contains("at 10 in 3 days"), "{told}");
        Ok(())
    }

    #[test]
    fn what_goes_nowhere_is_said_to() -> anyhow::Result<()> {
        let told = told(&days(|_| 7.0), |args| args.limit = Some(90.0))?;
        ensure!(told.starts_with("in 30m: 7, 80 %: 7 to 7 (as it was"), "{told}");
        ensure!(told.contains("at 90: no trend"), "{told}");
        Ok(())
    }

    #[test]
    fn what_is_too_little_is_said_to_be_and_how_much_there_is() -> anyhow::Result<()> {
        let grows = |hours: i32| -> String {
            let rows = (0..hours * 12).map(|n| format!("{}\n", 20.0 * 1.2_f64.powf(f64::from(n) / 288.0)));
            "value\n".to_owned() + &rows.collect::<String>()
        };
        let limit = |args: &mut ForecastArgs| args.limit = Some(95.0);
        let text = told(&grows(47), limit)?;
        ensure!(
            text.contains(
                "at 95: no trend can be told yet: it takes 30 samples over 2d; there are 564 samples over 1d22h55m"
            ),
            "{text}"
        );
        let text = told(&grows(49), limit)?;
        ensure!(!text.contains("can be told yet"), "{text}");
        let text =
            told("timestamp,value\n0,1\n86400,2\n172800,3\n", |args| (args.limit, args.every) = (Some(95.0), None))?;
        ensure!(text.contains("there are 3 samples over 2d"), "{text}");
        let text = told(&grows(1), |_| {})?;
        ensure!(text.contains("with samples as far apart as these about 2h25m; there are samples of 55m"), "{text}");
        let text = told("value\n1\n", |_| {})?;
        ensure!(text.contains("and there is one sample"), "{text}");
        for (file, what) in [("value\n", "a header and no rows"), ("value\nnan\n", "none of its rows has a value")] {
            for rows in [false, true] {
                let error = told(file, |args| args.rows = rows).expect_err(what).to_string();
                ensure!(error.contains(what), "{error}");
            }
        }
        Ok(())
    }

    #[test]
    fn yesterdays_value_is_called_so() -> anyhow::Result<()> {
        let text = told(&days(|day| if day.fract() < 0.5 { 10.0 } else { (day.fract() * 100.0).floor() }), |_| {})?;
        ensure!(text.contains("(as it was a day before: no forecast has been better)"), "{text}");
        Ok(())
    }

    #[test]
    fn a_limit_that_is_passed_is_said_to_be() -> anyhow::Result<()> {
        let flat = days(|_| 97.0);
        ensure!(told(&flat, |args| args.limit = Some(95.0))?.contains("at 95 now"));
        let below = |args: &mut ForecastArgs| (args.limit, args.below) = (Some(98.0), true);
        ensure!(told(&flat, below)?.contains("at 98 now"));
        let rows = told(&flat, |args| (args.rows, args.limit) = (true, Some(95.0)))?;
        ensure!(rows.lines().skip(1).all(|row| row.ends_with(",0,0,0")), "{rows}");
        Ok(())
    }

    #[test]
    fn each_row_is_told_by_those_before_it() -> anyhow::Result<()> {
        let text = days(|day| 20.0 + 10.0 * day + (day * 97.0).fract());
        let rows = |args: &mut ForecastArgs| (args.rows, args.limit) = (true, Some(90.0));
        let all = told(&text, rows)?;
        let part: String = text.lines().take(865).map(|line| format!("{line}\n")).collect();
        let first = told(&part, rows)?;
        ensure!(all.lines().count() == 1_153 && all.starts_with(&first), "{first}");
        ensure!(first.lines().nth(1).is_some_and(|line| line.ends_with(",,,,,,,,")), "{first}");
        ensure!(first.lines().last().is_some_and(|line| line.split(',').all(|cell| !cell.is_empty())), "{first}");
        Ok(())
    }

    #[test]
    fn what_is_wrong_is_named() {
        let wrong = |text: &str, edit: fn(&mut ForecastArgs)| format!("{:#}", told(text, edit).expect_err(text));
        assert!(wrong("value\n1\n", |args| args.ahead = Span(0)).contains("--ahead: from 1s to 1d"));
        assert!(wrong("value\n1\n", |args| args.limit = Some(f64::NAN)).contains("--limit"));
        assert!(wrong("a,b\n1,2\n", |_| {}).contains("2 columns of values"));
        assert!(wrong("timestamp,a\n1,2\n", |_| {}).contains("--every"));
        assert!(wrong("value\n1\n", |args| args.every = Some(Span(0))).contains("--every: more than 0s"));
        let semicolons = wrong("timestamp;value\n0;1\n", |args| args.every = None);
        assert!(semicolons.contains("series.csv: its columns are separated by `;`"), "{semicolons}");
        assert!(wrong("timestamp\tvalue\n0\t1\n", |_| {}).contains("separated by tabs"));
        assert!(wrong("a\nx\n", |_| {}).contains("series.csv:2: `x` is no number"));
    }
}
