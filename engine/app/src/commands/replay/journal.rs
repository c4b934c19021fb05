//! A replay of what a service has folded: its journal, from the beginning.
use super::{Console, Fold, ReplayArgs, conclusions::Conclusions, letters::Letters};
use crate::{
    app,
    clock::System,
    commands::{BadInput, bad_input},
    config::{Config, JournalKind},
    control::{Contents, Control},
    journal,
};
use anyhow::Context as _;
use quell_connectors::log::{Log, LogError, Topic};
use quell_core::{
    domain::{policy::Policy, topology::Topology},
    engine::{Engine, Input},
    output::DeadLetter,
};
use std::{fs, path::Path, sync::Arc, time::Duration};

const READ_BYTES: usize = 4 * 1024 * 1024;
const WAIT: Duration = Duration::from_millis(100);

/// A journal as it stands.
pub struct Recorded {
    log: Arc<dyn Log>,
    pub contents: Arc<Contents>,
}

impl Recorded {
    /// The journal of `dir`, a data directory, or of the configuration.
    pub async fn open(config: Option<&Path>, dir: Option<&Path>) -> anyhow::Result<Self> {
        let told = config.map_or_else(|| "the default".to_owned(), |file| format!("that of {}", file.display()));
        let mut config = Config::load(config).map_err(bad_input)?;
        if let Some(dir) = dir {
            config.journal.kind = JournalKind::Local;
            config.data_dir = dir.to_owned();
        }
        let looked = || match (dir, config.journal.kind) {
            (Some(dir), _) => format!("--journal {} is looked for as a data directory", dir.display()),
            (None, JournalKind::Local) => format!(
                "without a directory after --journal it is looked for below data_dir = {:?}, {told}",
                config.data_dir
            ),
            (None, JournalKind::Kafka) => format!("the journal is looked for by [kafka] and [journal], {told}"),
        };
        let log = app::find_log(&config).await.with_context(looked).map_err(bad_input)?;
        let control = Control::read(log.clone(), Arc::new(System)).await.map_err(bad_input)?;
        Ok(Self { log, contents: control.latest() })
    }

    /// The first policy and topology, which each partition begins with.
    pub fn first(&self) -> anyhow::Result<(Arc<Policy>, Arc<Topology>)> {
        let first = self.contents.policy(1).zip(self.contents.topology(1));
        first.ok_or_else(|| BadInput("the journal has no policy or no topology yet".to_owned()).into())
    }

    /// Each input of a partition, in order.
    pub async fn each(
        &self,
        partition: u32,
        mut take: impl FnMut(u64, Input) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let end = self.log.extent(Topic::Journal, partition).await?.end;
        let mut reader = self.log.read_from(Topic::Journal, partition, 0).await.map_err(gone)?;
        while reader.position() < end {
            for record in reader.next(READ_BYTES, WAIT).await.map_err(gone)? {
                take(record.position, journal::input(record.bytes, &self.contents)?)?;
            }
        }
        Ok(())
    }
}

/// Folds the journal of `--journal DIR`, a data directory, or of the configuration, partition by partition, without
/// letting time pass at the end: what the service has concluded.
pub fn run(args: &ReplayArgs, dir: Option<&Path>, console: Console<'_>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(replay(args, dir, console))
}

async fn replay(args: &ReplayArgs, dir: Option<&Path>, console: Console<'_>) -> anyhow::Result<()> {
    let recorded = Recorded::open(args.config.as_deref(), dir).await?;
    let written = || format!("{}: can't be written", args.out.display());
    fs::create_dir_all(&args.out).with_context(written)?;
    let mut letters = Letters::create(&args.out, console.stderr).with_context(written)?;
    let mut conclusions = Conclusions::default();
    for partition in 0..recorded.contents.partitions {
        let (policy, topology) = recorded.first()?;
        let mut fold = Fold::of(Engine::new(recorded.contents.uuid, policy, topology), conclusions);
        let mut take =
            |position, input: Input| fold.input(position, &input, &mut |letter: &DeadLetter| letters.write(letter));
        recorded.each(partition, &mut take).await?;
        conclusions = fold.finish();
    }
    letters.finish().with_context(written)?;
    conclusions.write(&args.out).with_context(written)?;
    let table = conclusions.table();
    console.stdout.write_all(table.as_bytes()).and_then(|()| console.stdout.flush()).context("stdout")
}

fn gone(error: LogError) -> anyhow::Error {
    match error {
        LogError::Trimmed { oldest, .. } => BadInput(format!(
            "the journal is kept from position {oldest} on only (journal.history): its beginning can't be replayed"
        ))
        .into(),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_journal_that_is_not_there_is_not_made() -> anyhow::Result<()> {
        let dir = tempfile::TempDir::new()?;
        let (data, file) = (dir.path().join("quell-data"), dir.path().join("q.toml"));
        fs::write(&file, format!("data_dir = {data:?}\n"))?;
        for empty in [false, true] {
            if empty {
                fs::create_dir_all(data.join("journal"))?;
            }
            for (config, told) in [(Some(&*file), None), (None, Some(&*data))] {
                let error = Recorded::open(config, told).await.err().context("there is none")?;
                let (place, error) = (data.join("journal"), format!("{error:#}"));
                assert!(error.contains(&format!("{}: there is no journal here", place.display())), "{error}");
                assert!(error.contains(if told.is_some() { "--journal" } else { "q.toml" }), "{error}");
            }
            assert_eq!(data.exists(), empty);
        }
        assert_eq!(fs::read_dir(data.join("journal"))?.count(), 0);
        Ok(())
    }
}
