//! The process, wired in one straight line: log, control, tasks, views, ingest, doors.
use crate::{
    clock::{Outside, System},
    commands::bad_input,
    config::{self, Config, JournalKind},
    control::{Control, Standing},
    ingest::{self, Ingest, IngestCounts},
    metrics::{self, LogCounts, Metered},
    progress::Progress,
    rules::Rules,
    serve::{
        connections::Connections,
        cursor::Cursor,
        door::Door,
        grpc::Api,
        http::{self, Doors},
        rest,
        subscriptions::{self, Subscriptions},
    },
    stop::{self, Stop, Stopper},
    task,
    views::Views,
};
use anyhow::Context as _;
use quell_connectors::{
    log::{
        Log,
        kafka::{KafkaLog, KafkaLogConfig},
        local::LocalLog,
    },
    source::{
        Source,
        kafka::{KafkaSource, KafkaSourceConfig},
    },
};
use quell_proto::{DESCRIPTORS, v1};
use std::{fs, net::SocketAddr, path::Path, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, mpsc},
    task::JoinSet,
};

/// A stop that takes longer is cut off: what was not durable is folded again.
const STOP_MAX: Duration = Duration::from_secs(8);

/// Records of subscriptions after which they are summed up: a start reads about so many at most.
const SUBSCRIPTION_RECORDS: u64 = 10_000;

/// A process that runs.
pub struct App {
    /// Where it listens.
    pub address: SocketAddr,
    pub api: Api,
    stop: Stopper,
    /// Told when ingest has ended, so that tasks fold what it left.
    tasks_stop: Stopper,
    ingest: JoinSet<()>,
    tasks: JoinSet<anyhow::Result<()>>,
    followers: JoinSet<()>,
    server: JoinSet<()>,
    log: Arc<dyn Log>,
}

/// How the source topics are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// As a member of the journal's consumer group.
    Group,
    /// All partitions, by this process: for a cluster without groups.
    Alone,
    /// Not at all: what is in the journal is concluded.
    Nobody,
}

impl App {
    /// Builds everything and starts it. Returns when the port is open; recovery goes on beside it.
    ///
    /// # Errors
    /// Where a part can't start, with a word for a person; [`crate::commands::BadInput`] where the topology is not valid.
    pub async fn start(config: &Config, membership: Membership) -> anyhow::Result<Self> {
        let outside: Arc<dyn Outside> = Arc::new(System);
        let rules = Rules::default();
        // A large one is read while the control log, which has it too, is.
        let topology = tokio::task::spawn_blocking({
            let path = config.topology.clone();
            move || config::topology_at(path.as_deref())
        });
        let listener = TcpListener::bind(config.server.listen)
            .await
            .with_context(|| format!("server.listen: {} can't be listened on", config.server.listen))?;
        let address = listener.local_addr()?;

        let (log, syncs) = open_log(config).await?;
        let log_counts = Arc::new(LogCounts::default());
        let log: Arc<dyn Log> = Metered::new(log, log_counts.clone());
        let control = Control::open(log.clone(), outside.clone(), config.journal.partitions).await?;
        let topology = topology.await?.map_err(bad_input)?;
        if let Standing::Superseded { version, latest } = control.offer_policy(&config.policy(), config.repeat).await? {
            tracing::warn!(
                "configuration: what it says of events is not applied: it was version {version}, and version {latest}, applied \
                 since, goes on to hold; `quell run --apply` with this configuration makes it hold again"
            );
        }
        // Without a file, what was applied over the API goes on to hold.
        if config.topology.is_some() || control.latest().latest().topology() == 0 {
            let standing = control.offer_topology(&topology).await?;
            if let (Some(path), Standing::Superseded { version, latest }) = (&config.topology, standing) {
                let file = path.display();
                tracing::warn!(
                    "topology: {file} is not applied: it was version {version}, and version {latest}, applied since, goes on to \
                     hold; `quell topology apply {file}` makes it hold again, `quell topology get` prints what does"
                );
            }
        }

        let partitions = config.journal.partitions;
        let contents = control.latest();
        let founded = (0..partitions).map(|partition| task::found(&log, &contents, partition));
        futures::future::try_join_all(founded).await?;
        let (stop, stopping) = stop::pair();
        let (tasks_stop, tasks_stopping) = stop::pair();
        let progress = Progress::new(partitions);
        let views = Views::new(partitions);
        let mut followers = JoinSet::new();
        let followed = control.clone();
        followers.spawn(async move { followed.follow().await });

        let topics = match membership {
            Membership::Nobody => None,
            Membership::Group | Membership::Alone => Some(Arc::new(config.topics().into_keys().collect())),
        };
        let mut tasks = JoinSet::new();
        for partition in 0..partitions {
            let shared = task::Shared {
                log: log.clone(),
                control: control.clone(),
                outside: outside.clone(),
                progress: progress.clone(),
                clock: config.journal.clock,
                rules,
                limits: config.task_limits(),
                views: Some(views.clone()),
                topics: topics.clone(),
            };
            tasks.spawn(task::run(shared, partition, tasks_stopping.clone()));
        }

        let counts = Arc::new(IngestCounts::default());
        let shared = ingest::Shared {
            log: log.clone(),
            control: control.clone(),
            outside,
            progress: progress.clone(),
            counts: counts.clone(),
            clock: config.journal.clock,
            partitions,
            rules,
        };
        let (sources, requests) = mpsc::channel(64);
        let mut ingest = JoinSet::new();
        start_ingest(config, membership, &shared, requests, stopping.clone(), &mut ingest).await?;

        let limits = subscriptions::Limits { names: config.server.subscriptions_max, records: SUBSCRIPTION_RECORDS };
        let zero = Cursor::beginning(contents.uuid, partitions);
        let subscriptions = Subscriptions::new(log.clone(), shared.outside.clone(), limits, zero);
        let followed = subscriptions.clone();
        followers.spawn(async move { followed.follow().await });

        let feeds = Arc::new(Semaphore::new(config.server.feeds_max));
        let door = Door::new(config.door_limits());
        let connections = Connections::new(config.connection_limits());
        let api = Api {
            shared,
            views: views.clone(),
            feeds: feeds.clone(),
            subscriptions,
            mappings: Arc::new(config.http_mappings()),
            sources,
            page_bytes_max: config.server.page_bytes_max,
            door: door.clone(),
            stop: stopping.clone(),
        };
        let feeds_max = config.server.feeds_max;
        let (lagging, said) = (api.subscriptions.clone(), progress.clone());
        let gathered = metrics::Sources {
            progress,
            views,
            ingest: counts,
            door,
            feeds,
            feeds_max,
            connections: connections.clone(),
            subscriptions: Arc::new(move || lagging.lags(&said.incident_numbers())),
            log: log_counts,
            syncs,
            origins: metrics::Sources::origins(),
        };
        let router = router(&api, gathered).await?;
        let mut server = JoinSet::new();
        server.spawn(connections.serve(listener, router, stopping));
        Ok(Self { address, api, stop, tasks_stop, ingest, tasks, followers, server, log })
    }

    /// Waits until the process can't go on: the log is closed for good, or the server ended. A partition that stops
    /// alone is told by `/ready`, and the others go on.
    ///
    /// # Errors
    /// Why.
    pub async fn failed(&mut self) -> anyhow::Result<()> {
        tokio::select! {
            why = self.api.shared.progress.failed() => Err(anyhow::anyhow!(why)),
            Some(server) = self.server.join_next() => server.context("the server ended"),
        }
    }

    /// Stops gracefully: no more events in, what is in the journal is folded and said, a last snapshot.
    pub async fn stop(mut self) {
        self.stop.stop();
        let graceful = async {
            while self.ingest.join_next().await.is_some() {}
            self.tasks_stop.stop();
            while self.tasks.join_next().await.is_some() {}
        };
        if tokio::time::timeout(STOP_MAX, graceful).await.is_err() {
            tracing::warn!("the stop took too long and was cut off; the next start folds the rest");
        }
        let closed = async { while self.server.join_next().await.is_some() {} };
        // Clients that hold their connections open are not waited for.
        let _ = tokio::time::timeout(Duration::from_millis(500), closed).await;
        self.server.shutdown().await;
        self.followers.shutdown().await;
        drop(self.log);
    }
}

/// Counts the syncs of a local log.
pub type Syncs = Option<Arc<dyn Fn() -> u64 + Send + Sync>>;

/// The log of the configuration.
///
/// # Errors
/// Where it can't be opened, with a word for a person.
pub async fn open_log(config: &Config) -> anyhow::Result<(Arc<dyn Log>, Syncs)> {
    Ok(match config.journal.kind {
        JournalKind::Local => {
            let directory = config.data_dir.join("journal");
            let log = Arc::new(tokio::task::spawn_blocking(move || LocalLog::open(&directory)).await??);
            let counted = log.clone();
            (log, Some(Arc::new(move || counted.syncs())))
        }
        JournalKind::Kafka => (Arc::new(KafkaLog::open(kafka_log(config)).await?), None),
    })
}

/// Opens one that is there, to read it: nothing is made.
///
/// # Errors
/// With the place where none is.
pub async fn find_log(config: &Config) -> anyhow::Result<Arc<dyn Log>> {
    match config.journal.kind {
        JournalKind::Local => {
            let directory = std::path::absolute(config.data_dir.join("journal"))?;
            anyhow::ensure!(directory.join("records").is_dir(), "{}: there is no journal here", directory.display());
            Ok(open_log(config).await?.0)
        }
        JournalKind::Kafka => Ok(Arc::new(KafkaLog::find(kafka_log(config)).await?)),
    }
}

fn kafka_log(config: &Config) -> KafkaLogConfig {
    KafkaLogConfig {
        brokers: config.kafka.brokers.clone(),
        prefix: config.kafka.prefix.clone(),
        partitions: config.journal.partitions,
        properties: config.kafka_properties(),
    }
}

async fn start_ingest(
    config: &Config,
    membership: Membership,
    shared: &ingest::Shared,
    mut requests: mpsc::Receiver<ingest::CaughtUp>,
    stopping: Stop,
    ingest: &mut JoinSet<()>,
) -> anyhow::Result<()> {
    let topics = config.topics();
    if topics.is_empty() || membership == Membership::Nobody {
        // Everything that stands in no source is in the journal.
        ingest.spawn(async move {
            let mut stopping = stopping;
            let answer = async {
                while let Some(tell) = requests.recv().await {
                    // Who asked may have left.
                    let _ = tell.send(());
                }
            };
            tokio::select! {
                () = answer => {}
                () = stopping.requested() => {}
            }
        });
        return Ok(());
    }
    let uuid: String = shared.control.latest().uuid.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut source = KafkaSource::open(KafkaSourceConfig {
        brokers: config.kafka.brokers.clone(),
        topics: topics.keys().cloned().collect(),
        group: format!("quell-{uuid}"),
        instance: instance(&config.data_dir, &*shared.outside)?,
        properties: config.kafka_properties(),
        assign: membership == Membership::Alone,
    })
    .await?;
    let reading = Ingest::new(shared.clone(), config.ingest_limits(), topics);
    ingest.spawn(async move {
        let source: &mut dyn Source = &mut source;
        reading.run(source, requests, stopping).await;
    });
    Ok(())
}

/// The name of this instance in a consumer group: made once for a data directory.
fn instance(data_dir: &Path, outside: &dyn Outside) -> anyhow::Result<String> {
    let path = data_dir.join("instance");
    if let Ok(name) = fs::read_to_string(&path) {
        return Ok(name.trim().to_owned());
    }
    let name = format!("{:016x}", outside.random());
    fs::create_dir_all(data_dir)
        .and_then(|()| fs::write(&path, &name))
        .with_context(|| format!("{}: can't be written", path.display()))?;
    Ok(name)
}

async fn router(api: &Api, gathered: metrics::Sources) -> anyhow::Result<axum::Router> {
    let body_max = api.door.limits.body_max;
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<v1::quell_server::QuellServer<Api>>().await;
    reporter.set_serving::<v1::admin_server::AdminServer<Api>>().await;
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let quell = v1::quell_server::QuellServer::new(api.clone()).max_decoding_message_size(body_max);
    let grpc = tonic::service::Routes::new(quell)
        .add_service(v1::admin_server::AdminServer::new(api.clone()))
        .add_service(health)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?);
    let doors = Doors {
        api: api.clone(),
        mappings: api.mappings.clone(),
        metrics: Arc::new(move || metrics::page(&gathered).map_err(|error| error.to_string())),
    };
    // What no door and no service answers is REST's.
    let rest = rest::router(grpc.clone(), body_max)?;
    Ok(http::router(doors).merge(grpc.into_axum_router().reset_fallback()).merge(rest))
}
