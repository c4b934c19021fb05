//! What is said at the end: the outage in short, where things are, what to try next.
use super::{
    follow::Follower,
    line::{Row, Tone},
    screen::Board,
    text::{clean, clip, clock, lasted, pad, width},
};
use quell_connectors::wire;
use quell_core::domain::time::Timestamp;
use quell_proto::v1;
use std::{net::SocketAddr, time::Duration};

/// Columns that the services of an incident need beside it.
const SERVICES_MIN: usize = 20;

/// What the closing is about.
#[derive(Debug)]
pub struct Closing<'a> {
    pub board: &'a Board,
    /// From the first event to the last.
    pub recorded: Duration,
    pub took: Duration,
    pub address: SocketAddr,
    /// The recording's end: an example's events come after it.
    pub ends: Timestamp,
    pub forever: bool,
}

fn plain(text: impl Into<String>) -> Row {
    vec![(Tone::Plain, text.into())]
}

fn heading(text: &str) -> Row {
    vec![(Tone::Strong, text.to_owned())]
}

/// What is said first.
pub fn opening(address: SocketAddr, minutes: u64, speed: f64, taken: bool) -> Vec<Row> {
    let other = if taken { " (the usual port is taken)" } else { "" };
    vec![
        heading("A web shop's outage, as it was recorded"),
        quiet(format!("{minutes} minutes, ten services, faults injected one after another; {speed:.0} times as fast")),
        quiet("(Online Boutique on Kubernetes; data: Nezha, ESEC/FSE 2023, MIT licence)"),
        quiet("events come through Kafka's protocol; the journal is in a temporary directory"),
        quiet(format!("feed, metrics, events: http://{address}{other}")),
        Row::new(),
    ]
}

fn quiet(text: impl Into<String>) -> Row {
    vec![(Tone::Quiet, text.into())]
}

impl Closing<'_> {
    /// For so many columns.
    pub fn rows(&self, follower: &Follower, columns: usize) -> Vec<Row> {
        let mut rows = vec![Row::new(), heading("The outage in short"), Row::new()];
        let recorded = format!("{} min", self.recorded.as_secs() / 60);
        let board = self.board;
        let listed: u32 = follower.incidents().iter().map(|incident| incident.alert_count).sum();
        for (name, value, more) in [
            ("events", board.events.to_string(), format!("{recorded} as recorded, {} s here", self.took.as_secs())),
            (
                "alert events",
                board.alert_events().to_string(),
                format!("the other {} are samples of metrics", board.samples),
            ),
            ("alerts", board.alerts.to_string(), "conditions on entities, their events folded".to_owned()),
            (
                "incidents",
                board.incidents.to_string(),
                format!("with {listed} alerts: one that comes back counts in each"),
            ),
            ("noise reduction", board.noise_reduction_text(), "1 - incidents / alert events".to_owned()),
        ] {
            rows.push(vec![
                (Tone::Plain, format!("  {name:<16}")),
                (Tone::Strong, format!("{value:>7}")),
                (Tone::Quiet, format!("   {more}")),
            ]);
        }
        rows.push(Row::new());
        rows.extend(incidents(follower, columns));
        rows.push(Row::new());
        rows.extend(self.doors(follower));
        rows
    }

    fn doors(&self, follower: &Follower) -> Vec<Row> {
        let at = self.address;
        let (from, to) = (minute(self.ends, 1), minute(self.ends, 4));
        let mut rows = vec![heading(if self.forever { "The doors are open" } else { "Where things are" })];
        if !self.forever {
            rows.push(plain(format!("  quell demo --forever keeps the doors open, at {at}:")));
        }
        rows.push(plain("  the feed, from the first incident on"));
        rows.push(plain(format!("    quell feed --server {at} --from beginning")));
        rows.push(plain("  the incidents, and why each is what it is"));
        rows.push(plain(format!("    quell incidents --all --server {at}")));
        if let Some(first) = follower.incidents().first() {
            rows.push(plain(format!("    quell explain {} --server {at}", clean(&first.number))));
        }
        rows.push(plain("  metrics, and whether it is ready"));
        rows.push(plain(format!("    curl http://{at}/metrics")));
        rows.push(plain(format!("    curl http://{at}/ready")));
        rows.push(plain("  events in: an alert that fires for three minutes becomes an incident"));
        rows.push(plain(format!("    curl http://{at}/api/v1/events -d '[")));
        rows.push(plain(format!("      {{\"entity\":\"db-07\",\"check\":\"DiskFull\",\"time\":\"{from}\"}},")));
        rows.push(plain(format!("      {{\"entity\":\"db-07\",\"check\":\"DiskFull\",\"time\":\"{to}\"}}]'")));
        rows.push(Row::new());
        rows.push(heading("What to try next"));
        rows.push(plain("  quell demo --speed 20      slower, to read along"));
        rows.push(plain("  quell run                  the service: a journal of its own, the same doors"));
        rows.push(plain("  quell run --config FILE    with your topics and your topology"));
        rows
    }
}

/// A full minute, some minutes after the recording, as an event writes it.
fn minute(at: Timestamp, after: i64) -> String {
    let at = (at.0 / 60_000 + after) * 60_000;
    jiff::Timestamp::from_millisecond(at).unwrap_or_default().to_string()
}

/// The table of incidents.
fn incidents(follower: &Follower, columns: usize) -> Vec<Row> {
    let seconds = |at: &Option<prost_types::Timestamp>| at.as_ref().map_or(0, |at| wire::time_back(at).0 / 1_000);
    let mut table = vec![["incident", "opened", "lasted", "alerts", "first cause", "services"].map(str::to_owned)];
    for incident in follower.incidents() {
        let open = incident.state() == v1::incident::State::New;
        let (from, to) = (seconds(&incident.opened_at), seconds(&incident.resolved_at));
        let cause = follower
            .cause(incident)
            .map(|(service, check)| if check.is_empty() { service } else { format!("{service}, {check}") });
        table.push([
            clean(&incident.number),
            clock(Timestamp(from * 1_000)),
            if open { "open".to_owned() } else { lasted(to - from) },
            incident.alert_count.to_string(),
            cause.unwrap_or_default(),
            clean(&incident.services.join(", ")),
        ]);
    }
    let widest = |n: usize| table.iter().map(|cells| width(&cells[n])).max().unwrap_or(0);
    let widths: Vec<usize> = (0..5).map(widest).collect();
    let mut rows = Vec::new();
    for (n, cells) in table.iter().enumerate() {
        let mut line = String::from("  ");
        for (cell, to) in cells.iter().zip(&widths) {
            line += &pad(cell, to + 2);
        }
        // The services stand beneath where there is no room for them.
        let beside = columns.saturating_sub(width(&line)) >= SERVICES_MIN;
        if beside {
            line += &clip(&cells[5], columns - width(&line));
        }
        rows.push(vec![(if n == 0 { Tone::Quiet } else { Tone::Plain }, line.trim_end().to_owned())]);
        if !beside && !cells[5].is_empty() {
            rows.push(quiet(format!("    {}", clip(&cells[5], columns.saturating_sub(4)))));
        }
    }
    rows
}
