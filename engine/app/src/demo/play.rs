//! Plays a recording: Kafka in the process, the service beside it, and what is told of it.
use super::{
    closing::{self, Closing},
    follow::Follower,
    recording::{self, Broker, Pace, Recording, TOPIC},
    screen::{Panel, Screen},
    text::lasted,
};
use crate::{
    app::{App, Membership},
    commands::{bad_input, is_left},
    config::{Config, JournalKind, SourceEntry},
    serve::grpc::Api,
};
use anyhow::Context as _;
use futures::FutureExt as _;
use quell_connectors::{log::Topic, wire};
use quell_core::domain::{
    incident::State,
    policy::Clock,
    time::{Span, Timestamp},
};
use quell_proto::v1::{self, journal_record::Record};
use std::{fs, net::SocketAddr, path::Path, time::Duration};
use tokio::{net::TcpListener, time::MissedTickBehavior};

/// Without a speed it is over after so many seconds.
const TAKES: f64 = 58.0;
/// The journal's.
const PARTITIONS: u32 = 4;
/// After the recording time passes by so much at once, later by a part of what has passed,
const PASSES_MIN: Span = Span::seconds(60);
const PASSES_PART: i64 = 10;
/// and by so much at most: alerts are cleared after a day without a word.
const PASSES_MAX: Span = Span::hours(48);
const FRAME: Duration = Duration::from_millis(100);

/// How it is played.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Recorded seconds a second.
    pub speed: Option<f64>,
    /// Serves on after the end.
    pub forever: bool,
    /// Where it listens; without it the default, or a free port where that is taken.
    pub listen: Option<SocketAddr>,
}

/// What it came to.
#[derive(Debug)]
pub struct Played {
    pub events: u64,
    pub alerts: u64,
    /// In the order they were opened, as they were at the end.
    pub incidents: Vec<v1::Incident>,
    /// From the start until the first incident was told.
    pub first_incident: Option<Duration>,
    pub took: Duration,
}

/// Plays it. `None` where `stop` came before the end.
///
/// # Errors
/// Where a part can't start or fails.
pub async fn play(
    recording: Recording,
    options: &Options,
    screen: &mut Screen,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<Option<Played>> {
    let directory = tempfile::tempdir().context("a temporary directory")?;
    let broker = Broker::start()?;
    let config = config(directory.path(), &recording, &broker, options).await?;
    let mut app = App::start(&config, Membership::Alone).await?;
    let played = tokio::select! {
        played = watch(&mut app, &broker, recording, options, screen) => played.map(Some),
        () = stop => Ok(None),
    };
    app.stop().await;
    match played {
        Err(error) if is_left(&error) => Ok(None),
        played => played,
    }
}

/// Lets time pass until what is open has ended, as it would have; no further, as what has ended is forgotten in time.
async fn let_pass(api: &Api, from: Timestamp) -> anyhow::Result<()> {
    let mut now = from;
    while now < from + PASSES_MAX && api.views.incidents.iter().any(|entry| entry.incident.state == State::New) {
        now = now + PASSES_MIN.max(Span((now - from).0 / PASSES_PART));
        let tick = wire::bytes(&wire::journal_record(Record::Tick(v1::Tick { wall_ms: now.0 })));
        for partition in 0..PARTITIONS {
            api.shared.log.append(Topic::Journal, partition, tick.clone()).await?;
        }
        api.caught_up().await?;
    }
    Ok(())
}

/// The defaults, but for where things are.
async fn config(directory: &Path, recording: &Recording, broker: &Broker, options: &Options) -> anyhow::Result<Config> {
    let topology = directory.join("topology.json");
    fs::write(&topology, &recording.topology).context("the temporary directory")?;
    let mut config = Config::load(None)?;
    config.data_dir = directory.join("data");
    config.topology = Some(topology);
    config.journal.kind = JournalKind::Local;
    config.journal.partitions = PARTITIONS;
    config.journal.clock = Clock::Events;
    config.kafka.brokers = broker.address();
    config.source = vec![SourceEntry::of_topic(TOPIC)];
    match options.listen {
        Some(listen) => config.server.listen = listen,
        None if TcpListener::bind(config.server.listen).await.is_err() => config.server.listen.set_port(0),
        None => {}
    }
    config.validate().map_err(bad_input)?;
    Ok(config)
}

async fn watch(
    app: &mut App,
    broker: &Broker,
    recording: Recording,
    options: &Options,
    screen: &mut Screen,
) -> anyhow::Result<Played> {
    let (address, api) = (app.address, app.api.clone());
    api.until_ready().await?;
    let mut follower = Follower::new(api.clone(), screen.columns()).await?;
    let extent = recording.extent();
    let recorded = Duration::from_millis((extent.1 - extent.0).0.unsigned_abs());
    let speed = options.speed.unwrap_or_else(|| (recorded.as_secs_f64() / TAKES).max(1.0));
    follower.goes_at(speed);
    let minutes = recorded.as_secs() / 60;
    let usual = Config::load(None)?.server.listen;
    let taken = options.listen.is_none() && address != usual;
    screen.write(&closing::opening(address, minutes, speed, taken))?;
    let producer = broker.producer()?;
    let sent = recording.events.len() as u64;
    let pace = Pace::new(extent, speed);
    let concluded = async {
        recording::send(producer, recording.events, pace).await?;
        api.caught_up().await?;
        let_pass(&api, extent.1).await
    };
    let mut concluded = std::pin::pin!(concluded.fuse());
    let mut frames = tokio::time::interval(FRAME);
    frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let doors = format!("feed, metrics, events: http://{address}   Ctrl-C ends");
    let (mut ending, mut first_incident) = (false, None);
    let played = loop {
        tokio::select! {
            done = &mut concluded, if !ending => {
                done?;
                ending = true;
            }
            _ = frames.tick() => {}
            failed = app.failed() => {
                failed?;
                anyhow::bail!("the service ended");
            }
        }
        let lines = follower.poll(ending)?;
        let board = follower.board();
        if board.incidents > 0 && first_incident.is_none() {
            first_incident = Some(pace.passed());
        }
        let left = pace.left().as_secs() as i64;
        let pace_text = if left > 0 { format!("{speed:.0}x, {} left", lasted(left)) } else { "concluding".to_owned() };
        let panel = Panel { now: pace.now(), share: pace.share(), pace: pace_text, doors: doors.clone() };
        screen.show(&lines, &board, &panel)?;
        // What was folded is counted a moment later.
        if ending && follower.is_current() && board.events >= sent {
            let incidents = follower.incidents().into_iter().cloned().collect();
            break Played {
                events: board.events,
                alerts: board.alerts,
                incidents,
                first_incident,
                took: pace.passed(),
            };
        }
    };
    let board = follower.board();
    let (took, forever) = (played.took, options.forever);
    // A free port is another one the next time.
    let address = if forever || !taken { address } else { usual };
    let closing = Closing { board: &board, recorded, took, address, ends: extent.1, forever };
    screen.write(&closing.rows(&follower, screen.width()))?;
    if !forever {
        return Ok(played);
    }
    follower.goes_at(1.0);
    loop {
        tokio::select! {
            _ = frames.tick() => {}
            failed = app.failed() => {
                failed?;
                anyhow::bail!("the service ended");
            }
        }
        let panel = Panel { now: extent.1, share: 1.0, pace: "serving".to_owned(), doors: doors.clone() };
        screen.show(&follower.poll(false)?, &follower.board(), &panel)?;
    }
}
