//! `quell.control`: the authority for policy, topology, mappings and incarnations (design rule 9).
//!
//! A document is appended in chunks under the next version of its kind and name. Of several writers of one version, the
//! one whose last chunk comes first wins, for every reader. It is never trimmed, so a journal names a version only.
use crate::{clock::Outside, commands::bad_input, model::Model};
use anyhow::{Context as _, bail};
use prost::Message as _;
use quell_connectors::{
    decode::{Format, Mapping},
    log::{Log, Reader, Topic},
    wire,
};
use quell_core::{
    domain::{
        policy::Policy,
        topology::{Topology, TopologyFile},
    },
    engine::Versions,
};
use quell_proto::v1::{self, ControlKind, control_record};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};
use tokio::sync::{Mutex, watch};
use xxhash_rust::xxh3::xxh3_64;

const CHUNK_BYTES: usize = 512 * 1024;
const READ_BYTES: usize = 4 * 1024 * 1024;
const POLL: Duration = Duration::from_secs(1);

/// How a source partition's records are mapped, from an offset on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MappingVersion {
    pub format: Format,
    pub mapping: Mapping,
    pub incarnation: u32,
    /// The offset at which it takes effect.
    pub from: i64,
}

/// All that control says.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    pub uuid: [u8; 16],
    pub partitions: u32,
    /// That of the configuration with the model set over it, a version for each change of either.
    policies: Vec<Arc<Policy>>,
    configured: Option<Arc<Policy>>,
    /// As JSON; empty: none.
    models: Vec<Arc<str>>,
    topologies: Vec<Arc<Topology>>,
    /// The latest topology as JSON.
    topology_json: Arc<str>,
    /// By kind and name: the hash of each version.
    hashes: BTreeMap<(i32, String), Vec<u64>>,
    /// By source partition.
    mappings: BTreeMap<String, Vec<Arc<MappingVersion>>>,
    /// By source topic: the id of each incarnation.
    incarnations: BTreeMap<String, Vec<String>>,
}

impl Contents {
    /// The latest versions.
    pub fn latest(&self) -> Versions {
        Versions { policy: self.policies.len() as u64, topologies: vec![self.topologies.len() as u64] }
    }

    /// A version of the policy, from 1.
    pub fn policy(&self, version: u64) -> Option<Arc<Policy>> {
        self.policies.get(usize::try_from(version).ok()?.checked_sub(1)?).cloned()
    }

    /// A version of the topology, from 1.
    pub fn topology(&self, version: u64) -> Option<Arc<Topology>> {
        self.topologies.get(usize::try_from(version).ok()?.checked_sub(1)?).cloned()
    }

    /// The latest topology as JSON; empty before the first.
    pub fn topology_json(&self) -> &str {
        &self.topology_json
    }

    /// The versions of the model, the oldest first; empty: nothing is set over the configuration.
    pub fn models(&self) -> &[Arc<str>] {
        &self.models
    }

    /// The mapping of a record.
    pub fn mapping(&self, partition: &str, incarnation: u32, offset: i64) -> Option<&Arc<MappingVersion>> {
        let applies = |m: &&Arc<MappingVersion>| (m.incarnation, m.from) <= (incarnation, offset);
        self.mappings.get(partition)?.iter().rev().find(applies)
    }

    /// The latest mapping of a source partition.
    pub fn latest_mapping(&self, partition: &str) -> Option<&Arc<MappingVersion>> {
        self.mappings.get(partition)?.last()
    }

    /// The latest incarnation of a topic, and its id.
    pub fn incarnation(&self, topic: &str) -> Option<(u32, &str)> {
        let ids = self.incarnations.get(topic)?;
        Some((u32::try_from(ids.len()).ok()?.checked_sub(1)?, ids.last()?))
    }

    /// Which incarnation of a topic has this id.
    pub fn incarnation_of(&self, topic: &str, id: &str) -> Option<u32> {
        let place = self.incarnations.get(topic)?.iter().position(|known| known == id)?;
        u32::try_from(place).ok()
    }
}

/// Chunks of a document that is not whole yet.
#[derive(Debug, Default)]
struct Partial {
    chunks: BTreeMap<u32, Vec<u8>>,
}

struct Following {
    reader: Box<dyn Reader>,
    contents: Contents,
    partial: HashMap<(i32, String, u64, u64), Partial>,
}

/// `quell.control`, followed.
pub struct Control {
    log: Arc<dyn Log>,
    outside: Arc<dyn Outside>,
    following: Mutex<Following>,
    latest: watch::Sender<Arc<Contents>>,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").finish_non_exhaustive()
    }
}

impl Control {
    /// Opens it, and makes it a journal of `partitions` if it is new.
    ///
    /// # Errors
    /// Where the journal has another number of partitions, or the log can't be read.
    pub async fn open(log: Arc<dyn Log>, outside: Arc<dyn Outside>, partitions: u32) -> anyhow::Result<Arc<Self>> {
        let control = Self::read(log, outside).await?;
        while control.latest().partitions == 0 {
            let uuid = [control.outside.random().to_le_bytes(), control.outside.random().to_le_bytes()].concat();
            let genesis = control_record::Record::Genesis(v1::Genesis { uuid, partitions });
            control.append(genesis).await;
            control.refresh().await?;
        }
        let found = control.latest().partitions;
        if found != partitions {
            return Err(bad_input(anyhow::anyhow!(
                "the journal has {found} partitions, and the configuration says {partitions}: set journal.partitions = {found} (the number is fixed when a journal is made)"
            )));
        }
        Ok(Arc::new(control))
    }

    /// Reads it as it stands; nothing in it says that there is no journal yet.
    ///
    /// # Errors
    /// Where the log can't be read.
    pub async fn read(log: Arc<dyn Log>, outside: Arc<dyn Outside>) -> anyhow::Result<Self> {
        let reader = log.read_from(Topic::Control, 0, 0).await?;
        let following = Following { reader, contents: Contents::default(), partial: HashMap::new() };
        let (latest, _) = watch::channel(Arc::new(Contents::default()));
        let control = Self { log, outside, following: Mutex::new(following), latest };
        control.refresh().await?;
        Ok(control)
    }

    /// What it says now.
    pub fn latest(&self) -> Arc<Contents> {
        self.latest.borrow().clone()
    }

    /// Tells when it says something new.
    pub fn changes(&self) -> watch::Receiver<Arc<Contents>> {
        self.latest.subscribe()
    }

    /// Follows what others write, until the future is dropped.
    pub async fn follow(&self) {
        loop {
            if let Err(error) = self.refresh().await {
                tracing::warn!(%error, "control can't be read; trying again");
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// A failed append may have happened: the caller looks.
    async fn append(&self, record: control_record::Record) {
        let record = v1::ControlRecord { record: Some(record) };
        if let Err(error) = self.log.append(Topic::Control, 0, wire::bytes(&record)).await {
            tracing::warn!(%error, "append to control failed; trying again");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Reads to the end.
    async fn refresh(&self) -> anyhow::Result<()> {
        let mut following = self.following.lock().await;
        let end = self.log.extent(Topic::Control, 0).await?.end;
        while following.reader.position() < end {
            let mut changed = false;
            for record in following.reader.next(READ_BYTES, POLL).await? {
                let read = v1::ControlRecord::decode(record.bytes).context("control")?;
                changed |= following.fold(read)?;
            }
            // At once: what is read is not read again, even where the next read fails.
            if changed {
                self.latest.send_replace(Arc::new(following.contents.clone()));
            }
        }
        Ok(())
    }

    /// Writes a document, unless it is the latest version; one that was superseded is not written again by a restart
    /// that still holds the old file.
    ///
    /// # Errors
    /// Where the log can't be read.
    async fn publish(
        &self,
        kind: ControlKind,
        name: &str,
        content: Vec<u8>,
        repeat: Repeat,
    ) -> anyhow::Result<Standing> {
        let hash = xxh3_64(&content);
        loop {
            let key = (kind as i32, name.to_owned());
            let contents = self.latest();
            let versions = contents.hashes.get(&key).map_or(&[][..], Vec::as_slice);
            if versions.last() == Some(&hash) {
                return Ok(Standing::Latest);
            }
            let superseded = versions.iter().rposition(|version| *version == hash);
            if let (Repeat::OnceOnly, Some(place)) = (repeat, superseded) {
                return Ok(Standing::Superseded { version: place as u64 + 1, latest: versions.len() as u64 });
            }
            self.offer_version(kind, name, versions.len() as u64 + 1, &content).await?;
        }
    }

    /// Writes a document as this version, and reads on; another writer's may have come first.
    async fn offer_version(&self, kind: ControlKind, name: &str, version: u64, content: &[u8]) -> anyhow::Result<()> {
        let (writer, hash) = (self.outside.random(), xxh3_64(content));
        let chunks: Vec<&[u8]> = if content.is_empty() { vec![&[]] } else { content.chunks(CHUNK_BYTES).collect() };
        for (index, chunk) in chunks.iter().enumerate() {
            self.append(control_record::Record::Chunk(v1::ControlChunk {
                kind: kind as i32,
                name: name.to_owned(),
                version,
                writer,
                index: index as u32,
                chunks: chunks.len() as u32,
                hash,
                content: chunk.to_vec(),
            }))
            .await;
        }
        self.refresh().await
    }

    /// Offers the policy of the configuration; whether it holds.
    ///
    /// # Errors
    /// Where the log can't be read.
    pub async fn offer_policy(&self, policy: &Policy, repeat: Repeat) -> anyhow::Result<Standing> {
        self.publish(ControlKind::Policy, "", serde_json::to_vec(policy)?, repeat).await
    }

    /// Offers the topology of the configuration; whether it holds.
    ///
    /// # Errors
    /// Where the log can't be read.
    pub async fn offer_topology(&self, topology: &TopologyFile) -> anyhow::Result<Standing> {
        self.publish(ControlKind::Topology, "", serde_json::to_vec(topology)?, Repeat::OnceOnly).await
    }

    /// Applies a topology because somebody asks for it: one that was superseded holds again. The version that then
    /// holds; `None` where `expected` is given and is not the latest.
    ///
    /// # Errors
    /// Where the log can't be read.
    pub async fn apply_topology(&self, topology: &TopologyFile, expected: Option<u64>) -> anyhow::Result<Option<u64>> {
        self.apply(ControlKind::Topology, &serde_json::to_vec(topology)?, expected).await
    }

    /// Sets a model over the configuration, or none; its version, and that of the policy that comes of it.
    ///
    /// # Errors
    /// Where the log can't be read.
    pub async fn apply_model(&self, model: Option<&Model>) -> anyhow::Result<(u64, u64)> {
        let json = model.map(Model::json).unwrap_or_default();
        let version = self.apply(ControlKind::Model, json.as_bytes(), None).await?;
        Ok((version.unwrap_or_default(), self.latest().latest().policy))
    }

    /// Writes a document because somebody asks for it, whether it was superseded or not. The version that then holds; `None`
    /// where `expected` is given and is not the latest.
    async fn apply(&self, kind: ControlKind, content: &[u8], expected: Option<u64>) -> anyhow::Result<Option<u64>> {
        let (hash, key) = (xxh3_64(content), (kind as i32, String::new()));
        self.refresh().await?;
        loop {
            let contents = self.latest();
            let versions = contents.hashes.get(&key).map_or(&[][..], Vec::as_slice);
            let latest = versions.len() as u64;
            if expected.is_some_and(|expected| expected != latest) {
                return Ok(None);
            }
            if versions.last() == Some(&hash) {
                return Ok(Some(latest));
            }
            let next = versions.len();
            self.offer_version(kind, "", latest + 1, content).await?;
            // Another writer may have come first, with another content; or after us, as a later version.
            if self.latest().hashes.get(&key).and_then(|versions| versions.get(next)) == Some(&hash) {
                return Ok(Some(latest + 1));
            }
        }
    }

    /// Records a mapping before it takes effect.
    ///
    /// # Errors
    /// Where the log can't be read.
    pub async fn record_mapping(&self, partition: &str, mapping: &MappingVersion) -> anyhow::Result<()> {
        self.publish(ControlKind::Mapping, partition, serde_json::to_vec(mapping)?, Repeat::IfNotLatest).await?;
        Ok(())
    }

    /// Records that a topic has been made anew. An id stands once: who slept through the news and still holds an older
    /// one must not make it the latest again.
    ///
    /// # Errors
    /// Where the log can't be read.
    pub async fn record_incarnation(&self, topic: &str, id: &str) -> anyhow::Result<()> {
        self.publish(ControlKind::Incarnation, topic, id.as_bytes().to_vec(), Repeat::OnceOnly).await?;
        Ok(())
    }
}

/// Where a document that was offered stands among the versions of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is the latest, and holds.
    Latest,
    /// It was this version once, and others have come since.
    Superseded { version: u64, latest: u64 },
}

/// Whether a document that others have superseded is offered once more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Repeat {
    #[default]
    OnceOnly,
    IfNotLatest,
}

impl Following {
    /// Whether it says something new.
    fn fold(&mut self, record: v1::ControlRecord) -> anyhow::Result<bool> {
        let chunk = match record.record {
            Some(control_record::Record::Genesis(genesis)) => {
                if self.contents.partitions > 0 {
                    return Ok(false);
                }
                let uuid = genesis.uuid.try_into();
                self.contents.uuid =
                    uuid.map_err(|_| anyhow::anyhow!("control: the journal's uuid is not 16 bytes"))?;
                self.contents.partitions = genesis.partitions.max(1);
                return Ok(true);
            }
            Some(control_record::Record::Chunk(chunk)) => chunk,
            None => return Ok(false),
        };
        let name = (chunk.kind, chunk.name.clone());
        let next = self.contents.hashes.get(&name).map_or(0, Vec::len) as u64 + 1;
        if chunk.version != next {
            return Ok(false);
        }
        let key = (chunk.kind, chunk.name.clone(), chunk.version, chunk.writer);
        let partial = self.partial.entry(key).or_default();
        partial.chunks.insert(chunk.index, chunk.content.clone());
        if partial.chunks.len() < chunk.chunks as usize {
            return Ok(false);
        }
        let content: Vec<u8> = partial.chunks.values().flatten().copied().collect();
        if xxh3_64(&content) != chunk.hash {
            bail!("control: version {} of {:?} `{}` is damaged", chunk.version, chunk.kind(), chunk.name);
        }
        self.partial.retain(|(kind, of, version, _), _| (*kind, of, *version) != (chunk.kind, &chunk.name, next));
        self.contents.accept(chunk.kind(), &chunk.name, &content)?;
        self.contents.hashes.entry(name).or_default().push(chunk.hash);
        Ok(true)
    }
}

impl Contents {
    fn accept(&mut self, kind: ControlKind, name: &str, content: &[u8]) -> anyhow::Result<()> {
        match kind {
            ControlKind::Policy => {
                let policy = serde_json::from_slice(content).context("control: policy")?;
                self.configured = Some(Arc::new(policy));
                self.set_policy()?;
            }
            ControlKind::Model => {
                self.models.push(std::str::from_utf8(content).context("control: model")?.into());
                self.set_policy()?;
            }
            ControlKind::Topology => {
                let file: TopologyFile = serde_json::from_slice(content).context("control: topology")?;
                self.topologies.push(Arc::new(Topology::new(&file)?));
                self.topology_json = std::str::from_utf8(content).context("control: topology")?.into();
            }
            ControlKind::Mapping => {
                let mapping = serde_json::from_slice(content).context("control: mapping")?;
                self.mappings.entry(name.to_owned()).or_default().push(Arc::new(mapping));
            }
            ControlKind::Incarnation => {
                let id = String::from_utf8_lossy(content).into_owned();
                self.incarnations.entry(name.to_owned()).or_default().push(id);
            }
            ControlKind::Unspecified => bail!("control: a document of an unknown kind: run the newer version"),
        }
        Ok(())
    }

    /// The policy is another version: that of the configuration, with the latest model set over it.
    fn set_policy(&mut self) -> anyhow::Result<()> {
        let Some(configured) = &self.configured else { return Ok(()) };
        let policy = match self.models.last().filter(|json| !json.is_empty()) {
            Some(json) => Model::read(json).context("control: model")?.over(configured).into(),
            None => configured.clone(),
        };
        self.policies.push(policy);
        Ok(())
    }
}
