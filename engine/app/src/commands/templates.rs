//! `quell templates`: which lines of a log were written by the same statement of a program, and what varies in them.
use super::{
    BadInput,
    json::escaped,
    open,
    replay::lines::Lines,
    table::{Cell, Look, Room, Table},
    to_stdout, unreadable,
};
use anyhow::Context as _;
use quell_models::templates::{Miner, Settings};
use serde::Deserialize;
use serde_json::json;
use std::{
    borrow::Cow,
    fmt::Write as _,
    fs::File,
    io::{self, BufReader, BufWriter, Read, Seek as _, Write},
    path::PathBuf,
};

/// Bytes of an event that are read.
const EVENT_MAX: usize = 1024 * 1024;

/// Which lines of a log were written by the same statement of a program: its templates, the most frequent first, each with the
/// first line of it. Lines are read as they come; memory is bounded.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cut -d' ' -f6- messages.log | quell templates\n  quell templates --events events.jsonl --json\n  \
                  quell templates --input messages.log > templates.csv\n\nCut what stands before the message (time, host, level) \
                  first: it is the same for all of them."
)]
pub struct TemplatesArgs {
    /// Messages, one a line, or with --events canonical events as JSON; `-` is stdin
    #[arg(value_name = "FILE", default_value = "-", hide_default_value = true)]
    file: PathBuf,
    /// Lines are canonical events: the summary of each is taken
    #[arg(long)]
    events: bool,
    /// One template a line, as JSON: id, template, count, example, and the ids that were merged into it
    #[arg(long)]
    json: bool,
    /// Which line is of which template: CSV `line,template_id,template`, a row a line in their order, after the last line
    #[arg(long, value_name = "FILE", conflicts_with_all = ["file", "json"])]
    input: Option<PathBuf>,
}

/// What is taken of an event.
#[derive(Deserialize)]
struct Summary<'a> {
    #[serde(borrow, default)]
    summary: Cow<'a, str>,
}

/// Mines, on the program's own streams.
///
/// # Errors
/// [`BadInput`] where the input can't be read; others where the templates can't be written.
pub fn run(args: &TemplatesArgs) -> anyhow::Result<()> {
    to_stdout(|out| run_on(args, &mut io::stdin().lock(), out, Look::stdout()))
}

fn run_on(args: &TemplatesArgs, stdin: &mut dyn Read, out: &mut dyn Write, look: Look) -> anyhow::Result<()> {
    let path = args.input.as_ref().unwrap_or(&args.file);
    let (name, mut input) = open(path, stdin)?;
    let mut miner = Miner::new(Settings::default());
    if args.input.is_some() {
        // What a line is of is known after the last: until then its id is kept on disk.
        let mut spool = BufWriter::new(tempfile::tempfile().context("a temporary file can't be made")?);
        mine(args, &name, &mut input, |line| Ok(spool.write_all(&miner.learn(line).template.to_le_bytes())?))?;
        let mut spool = spool.into_inner().context("the temporary file can't be written")?;
        spool.rewind()?;
        return rows(&miner, spool, out);
    }
    let mut lines = 0_u64;
    mine(args, &name, &mut input, |line| {
        lines += 1;
        miner.learn(line);
        Ok(())
    })?;
    let text = if args.json { json_lines(&miner) } else { table(&miner, lines, look) };
    Ok(out.write_all(text.as_bytes())?)
}

/// Each message of the input.
fn mine(
    args: &TemplatesArgs,
    name: &str,
    input: &mut dyn Read,
    mut learn: impl FnMut(&str) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let kept_max = if args.events { EVENT_MAX } else { Settings::default().line_max };
    let mut lines = Lines::new(input, kept_max);
    let mut number = 0_u64;
    while let Some(line) = lines.next().map_err(|error| unreadable(name, &error))? {
        number += 1;
        if !args.events {
            learn(&String::from_utf8_lossy(line.kept))?;
            continue;
        }
        let event: Summary<'_> = serde_json::from_slice(line.kept).map_err(|error| {
            BadInput(format!("{name}:{number}: no canonical event: {error}; without --events a line is a message"))
        })?;
        learn(&event.summary)?;
    }
    Ok(())
}

fn table(miner: &Miner, lines: u64, look: Look) -> String {
    let mut table = Table::new(&[("LINES", Room::Whole), ("TEMPLATE", Room::Text), ("EXAMPLE", Room::Text)]);
    let templates = miner.templates();
    for template in &templates {
        let count = template.count.to_string();
        let cells = [count.as_str(), template.text.as_str(), template.example];
        table.row(cells.into_iter().map(Cell::new).collect());
    }
    let mut text = table.text(look, 0);
    let kept: u64 = templates.iter().map(|template| template.count).sum();
    let _ = writeln!(text, "{lines} lines, {} templates", templates.len());
    if kept < lines {
        let _ =
            writeln!(text, "{} lines were of templates that were unseen for longest and are not kept", lines - kept);
    }
    text
}

fn json_lines(miner: &Miner) -> String {
    let id = |id: &u64| format!("{id:016x}");
    let line = |of: &quell_models::templates::Template<'_>| {
        let merged: Vec<String> = of.merged.iter().map(id).collect();
        let line =
            json!({"id": id(&of.id), "template": of.text, "count": of.count, "example": of.example, "merged": merged});
        format!("{}\n", escaped(&line.to_string()))
    };
    miner.templates().iter().map(line).collect()
}

/// A row for each id of the spool.
fn rows(miner: &Miner, spool: File, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut spool = BufReader::new(spool);
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(["line", "template_id", "template"])?;
    let mut id = [0; 8];
    for line in 1_u64.. {
        match spool.read_exact(&mut id) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            read => read.context("the temporary file can't be read")?,
        }
        let founding = u64::from_le_bytes(id);
        // Of a template that is not kept only the id is known.
        let (id, text) = miner.template(founding).map_or_else(|| (founding, String::new()), |of| (of.id, of.text));
        csv.write_record([line.to_string(), format!("{id:016x}"), text])?;
    }
    Ok(csv.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(args: &[&str], stdin: &str) -> anyhow::Result<String> {
        #[derive(clap::Parser)]
        struct Cli {
            #[command(flatten)]
            args: TemplatesArgs,
        }
        let cli = <Cli as clap::Parser>::try_parse_from(["templates"].iter().chain(args))?;
        let mut out = Vec::new();
        run_on(&cli.args, &mut stdin.as_bytes(), &mut out, Look { columns: Some(80), colour: false })?;
        Ok(String::from_utf8(out)?)
    }

    const LINES: &str =
        "disk sda1 is full\nlogin from ann\n\ndisk sdb2 is full\nlogin from bob\nlogin from cyd\ndisk sdc3 is full\n";

    #[test]
    fn the_most_frequent_come_first_within_80_columns() {
        let long = format!("{LINES}{}\n", "a sentence with many words ".repeat(9));
        let text = said(&[], &long).expect("they are lines");
        let rows: Vec<&str> = text.lines().collect();
        for (template, example) in [("login from <*>", "login from ann"), ("disk <*> is full", "disk sda1 is full")] {
            let is_row = |row: &&str| row.starts_with('3') && row.contains(template) && row.ends_with(example);
            assert!(rows[1..3].iter().any(is_row), "{text}");
        }
        assert!(text.ends_with("8 lines, 4 templates\n"), "{text}");
        assert!(rows.iter().all(|row| row.chars().count() <= 80), "{text}");
    }

    #[test]
    fn a_row_a_line_tells_the_template_that_it_is_of_in_the_end() {
        let file = tempfile::NamedTempFile::new().expect("there is a temporary folder");
        std::fs::write(file.path(), LINES).expect("it can be written");
        let path = file.path().to_string_lossy();
        let text = said(&["--input", &path], "").expect("they are lines");
        let rows: Vec<Vec<&str>> = text.lines().map(|row| row.split(',').collect()).collect();
        assert_eq!(rows.len(), 8);
        assert_eq!(rows[0], ["line", "template_id", "template"]);
        assert_eq!((rows[2][0], rows[2][2]), ("2", "login from <*>"));
        assert_eq!(rows[3][2], "");
        assert_eq!(rows[2][1], rows[6][1]);
        assert_eq!(rows[1][1..], rows[7][1..]);
    }

    #[test]
    fn of_events_the_summary_is_taken() {
        let events = "{\"id\":\"1\",\"summary\":\"disk sda1 is full\"}\n{\"id\":\"2\",\"summary\":\"disk sdb2 is \\\"full\\\"\"}\n";
        let text = said(&["--events", "--json"], events).expect("they are events");
        let rows: Vec<serde_json::Value> = text.lines().filter_map(|row| serde_json::from_str(row).ok()).collect();
        assert_eq!(rows.len(), 2, "{text}");
        assert_eq!(rows[0]["count"], 1);
        let error = said(&["--events"], "{}\n\nx\n").expect_err("an empty line is no event").to_string();
        assert!(error.starts_with("stdin:2: no canonical event"), "{error}");
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_line() {
        let text = said(&["--json"], "\u{feff}login from ann\nlogin from bob\n").expect("they are lines");
        assert!(text.contains("\"example\":\"login from ann\""), "{text}");
        let text = said(&["--events", "--json"], "\u{feff}{\"summary\":\"a\"}\n").expect("it is an event");
        assert!(text.contains("\"template\":\"a\""), "{text}");
        assert_eq!(said(&["--json"], "a").expect("it is shorter than a mark").lines().count(), 1);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let error = said(&["nowhere.log"], "").expect_err("there is no such file");
        assert!(error.is::<BadInput>() && error.to_string().starts_with("nowhere.log: can't be read"), "{error}");
    }
}
