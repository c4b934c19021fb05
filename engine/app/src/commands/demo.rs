//! `quell demo`: a newcomer's first minute.
use crate::demo::{
    play::{Options, play},
    recording::Recording,
    screen::Screen,
};
use std::net::SocketAddr;
use tokio::signal::unix::{SignalKind, signal};

/// A recorded outage of a shop, sent through Kafka's protocol in one process, and what Quell makes of it.
///
/// Nothing has to be installed: Kafka is one in the process, the journal is in a temporary directory that is gone
/// afterwards.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  quell demo                  72 minutes of an outage in one\n  quell demo --speed 20       slower, to read along: 20 recorded seconds a second\n  quell demo --forever        and keeps the feed, the metrics and the HTTP doors open\n  quell demo | cat            plain lines"
)]
pub struct DemoArgs {
    /// Recorded seconds a second; without it so many that it takes a minute.
    #[arg(long, value_name = "TIMES", value_parser = speed)]
    speed: Option<f64>,
    /// Keeps serving after the end, until Ctrl-C.
    #[arg(long)]
    forever: bool,
    /// Where it listens; without it 127.0.0.1:7117, or a free port where that is taken.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

fn speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text.trim_end_matches('x').parse().map_err(|_| "write a number: 20".to_owned())?;
    if speed.is_finite() && (0.1..=1e6).contains(&speed) { Ok(speed) } else { Err("from 0.1 to 1000000".to_owned()) }
}

/// Plays it.
///
/// # Errors
/// Where a part can't start or fails.
pub async fn run(args: DemoArgs) -> anyhow::Result<()> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    // A terminal that is closed ends it too, so that the temporary directory goes.
    let mut hup = signal(SignalKind::hangup())?;
    let stop = async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
            _ = hup.recv() => {}
        }
    };
    let options = Options { speed: args.speed, forever: args.forever, listen: args.listen };
    play(Recording::embedded()?, &options, &mut Screen::stdout(), stop).await.map(drop)
}
