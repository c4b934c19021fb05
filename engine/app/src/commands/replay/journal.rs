//! A replay of what a service has folded: its journal, from the beginning.
use super::{Console, Fold, ReplayArgs, conclusions::Conclusions, letters::Letters};
use crate::{
    app,
    clock::System,
    commands::{BadInput, bad_input},
    config::{Config, JournalKind},
    control::Control,
    journal,
};
use anyhow::Context as _;
use quell_connectors::log::{LogError, Topic};
use quell_core::engine::Engine;
use std::{fs, path::Path, sync::Arc, time::Duration};

const READ_BYTES: usize = 4 * 1024 * 1024;
const WAIT: Duration = Duration::from_millis(100);

/// Folds the journal of `--journal DIR`, a data directory, or of the configuration, partition by partition, without
/// letting time pass at the end: what the service has concluded.
pub fn run(args: &ReplayArgs, dir: Option<&Path>, console: Console<'_>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(replay(args, dir, console))
}

async fn replay(args: &ReplayArgs, dir: Option<&Path>, console: Console<'_>) -> anyhow::Result<()> {
    let mut config = Config::load(args.config.as_deref()).map_err(bad_input)?;
    if let Some(dir) = dir {
        config.journal.kind = JournalKind::Local;
        config.data_dir = dir.to_owned();
        let found = dir.join("journal").is_dir();
        anyhow::ensure!(found, BadInput(format!("{}: no data directory: it has no `journal`", dir.display())));
    }
    let (log, _) = app::open_log(&config).await.map_err(bad_input)?;
    let control = Control::read(log.clone(), Arc::new(System)).await.map_err(bad_input)?;
    let contents = control.latest();
    let written = || format!("{}: can't be written", args.out.display());
    fs::create_dir_all(&args.out).with_context(written)?;
    let mut letters = Letters::create(&args.out, console.stderr).with_context(written)?;
    let mut conclusions = Conclusions::default();
    for partition in 0..contents.partitions {
        let first = contents.policy(1).zip(contents.topology(1));
        let (policy, topology) =
            first.ok_or_else(|| BadInput("the journal has no policy or no topology yet".to_owned()))?;
        let mut fold = Fold::of(Engine::new(contents.uuid, policy, topology), conclusions);
        let end = log.extent(Topic::Journal, partition).await?.end;
        let mut reader = log.read_from(Topic::Journal, partition, 0).await.map_err(gone)?;
        while reader.position() < end {
            for record in reader.next(READ_BYTES, WAIT).await.map_err(gone)? {
                let input = journal::input(record.bytes, &contents)?;
                fold.input(record.position, &input, &mut |letter| letters.write(letter))?;
            }
        }
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
