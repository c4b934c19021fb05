//! Quell's topics: made where they are missing, refused where they stand with settings that break a promise.
use super::{KafkaLogConfig, KafkaLogError, admin, blocking, read::Consumers};
use crate::{
    kafka::ASK,
    log::{RECORD_BYTES_MAX, Topic},
};
use rdkafka::{
    admin::{AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication},
    consumer::Consumer,
    error::RDKafkaErrorCode,
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// How long the cluster may take to make a topic known.
const MADE: Duration = Duration::from_secs(30);

/// What the largest record needs around it.
const ENVELOPE: usize = 1_000;

/// What the metadata says of a topic.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Shape {
    partitions: usize,
    /// Of the partition that has the fewest.
    replicas: usize,
    /// Every partition has a leader.
    led: bool,
}

struct Cluster {
    brokers: usize,
    topics: BTreeMap<String, Shape>,
}

impl Cluster {
    async fn ask(config: &KafkaLogConfig, consumers: &Consumers) -> Result<Self, KafkaLogError> {
        let consumer = consumers.any();
        let names = Topic::ALL.map(|topic| config.topic(topic));
        let ask = move || {
            let metadata = consumer.fetch_metadata(None, ASK)?;
            let ours = metadata.topics().iter().filter(|topic| names.iter().any(|name| name == topic.name()));
            let shape = |topic: &rdkafka::metadata::MetadataTopic| Shape {
                partitions: topic.partitions().len(),
                replicas: topic.partitions().iter().map(|partition| partition.replicas().len()).min().unwrap_or(0),
                led: topic.error().is_none() && topic.partitions().iter().all(|partition| partition.leader() >= 0),
            };
            let topics = ours.map(|topic| (topic.name().to_owned(), shape(topic)));
            let topics = topics.filter(|(_, shape)| shape.partitions > 0).collect();
            Ok(Self { brokers: metadata.brokers().len(), topics })
        };
        blocking(ask).await.map_err(|reason| config.refused(reason))
    }
}

/// Makes what is missing, unless it only `reads`, and looks at all the rest.
pub(super) async fn prepare(config: &KafkaLogConfig, consumers: &Consumers, reads: bool) -> Result<(), KafkaLogError> {
    let mut cluster = Cluster::ask(config, consumers).await?;
    let missing: Vec<_> =
        Topic::ALL.into_iter().filter(|topic| !cluster.topics.contains_key(&config.topic(*topic))).collect();
    if let Some(topic) = missing.first().filter(|_| reads) {
        return Err(config.refused(format!("there is no journal: it has no topic {}", config.topic(*topic))));
    }
    let admin = admin(config).map_err(|error| config.refused(error))?;
    let result = async {
        if !missing.is_empty() {
            make(config, &admin, &missing, cluster.brokers).await?;
            cluster = appeared(config, consumers).await?;
        }
        verify(config, &admin, &cluster).await
    };
    let result = result.await;
    // Its end waits for a thread.
    tokio::task::spawn_blocking(move || drop(admin));
    result
}

type Admin = rdkafka::admin::AdminClient<crate::kafka::Voice>;

async fn make(config: &KafkaLogConfig, admin: &Admin, topics: &[Topic], brokers: usize) -> Result<(), KafkaLogError> {
    let (replicas, in_sync) = if brokers >= 3 { (3, "2") } else { (1, "1") };
    let names: Vec<_> = topics.iter().map(|topic| config.topic(*topic)).collect();
    let new: Vec<_> = names
        .iter()
        .zip(topics)
        .map(|(name, topic)| {
            let partitions = i32::try_from(config.partitions(*topic)).unwrap_or(i32::MAX);
            NewTopic::new(name, partitions, TopicReplication::Fixed(replicas))
                .set("cleanup.policy", "delete")
                .set("retention.ms", "-1")
                .set("retention.bytes", "-1")
                .set("max.message.bytes", "1048576")
                .set("min.insync.replicas", in_sync)
                .set("unclean.leader.election.enable", "false")
                .set("message.timestamp.type", "CreateTime")
        })
        .collect();
    let options = AdminOptions::new().request_timeout(Some(MADE)).operation_timeout(Some(MADE));
    let made = admin.create_topics(&new, &options).await.map_err(|error| config.refused(error))?;
    for result in made {
        match result {
            // Another instance was faster.
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, error)) => return Err(config.refused(format!("topic {name} can't be made: {error}"))),
        }
    }
    Ok(())
}

/// Waits until all topics are known and led.
async fn appeared(config: &KafkaLogConfig, consumers: &Consumers) -> Result<Cluster, KafkaLogError> {
    let since = Instant::now();
    loop {
        let cluster = Cluster::ask(config, consumers).await?;
        let ready = |topic| cluster.topics.get(&config.topic(topic)).is_some_and(|shape| shape.led);
        match Topic::ALL.into_iter().find(|topic| !ready(*topic)) {
            None => return Ok(cluster),
            Some(topic) if since.elapsed() > MADE => {
                return Err(config.refused(format!("topic {} was made but has no leader", config.topic(topic))));
            }
            Some(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn verify(config: &KafkaLogConfig, admin: &Admin, cluster: &Cluster) -> Result<(), KafkaLogError> {
    let names = Topic::ALL.map(|topic| config.topic(topic));
    let asked: Vec<_> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
    let options = AdminOptions::new().request_timeout(Some(ASK));
    let told = admin.describe_configs(&asked, &options).await.map_err(|error| config.refused(error))?;
    for topic in Topic::ALL {
        let name = config.topic(topic);
        let resource = told.iter().flatten().find(|resource| {
            matches!(&resource.specifier, rdkafka::admin::OwnedResourceSpecifier::Topic(told) if *told == name)
        });
        let shape = cluster.topics.get(&name).copied();
        let (Some(resource), Some(shape)) = (resource, shape) else {
            return Err(config.refused(format!("it does not tell about topic {name}")));
        };
        let look = Look { name: &name, resource, shape };
        look.all(topic, config.partitions(topic) as usize, cluster.brokers >= 3)?;
    }
    Ok(())
}

/// One topic under examination.
struct Look<'a> {
    name: &'a str,
    resource: &'a ConfigResource,
    shape: Shape,
}

impl Look<'_> {
    fn all(&self, topic: Topic, partitions: usize, safe: bool) -> Result<(), KafkaLogError> {
        let is = |wanted: &'static str| move |found: &str| found == wanted;
        let count = self.shape.partitions;
        self.need(count == partitions, "partitions", count.to_string(), partitions.to_string())?;
        self.setting("cleanup.policy", "delete", is("delete"))?;
        self.setting("unclean.leader.election.enable", "false", is("false"))?;
        if matches!(topic, Topic::Journal | Topic::Control | Topic::Subscriptions) {
            self.setting("retention.ms", "-1", is("-1"))?;
            self.setting("retention.bytes", "-1", is("-1"))?;
        }
        let size = RECORD_BYTES_MAX + ENVELOPE;
        let large = |found: &str| found.parse().is_ok_and(|found: usize| found >= size);
        self.setting("max.message.bytes", &format!("at least {size}"), large)?;
        let replicas = self.shape.replicas;
        let (least, needed) = if safe { (2, format!("2 to {replicas}")) } else { (1, format!("at most {replicas}")) };
        self.need(!safe || replicas >= 3, "replication factor", replicas.to_string(), "at least 3".to_owned())?;
        let in_sync = |found: &str| found.parse().is_ok_and(|found: usize| (least..=replicas).contains(&found));
        self.setting("min.insync.replicas", &needed, in_sync)
    }

    fn setting(&self, setting: &'static str, needed: &str, good: impl Fn(&str) -> bool) -> Result<(), KafkaLogError> {
        let found = self.resource.get(setting).and_then(|entry| entry.value.as_deref());
        let said = found.unwrap_or("a value that the cluster does not tell").to_owned();
        self.need(found.is_some_and(good), setting, said, needed.to_owned())
    }

    fn need(&self, good: bool, setting: &'static str, found: String, needed: String) -> Result<(), KafkaLogError> {
        if good {
            return Ok(());
        }
        Err(KafkaLogError::Setting { topic: self.name.to_owned(), setting, found, needed })
    }
}
