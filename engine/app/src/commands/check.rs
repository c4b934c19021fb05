//! `quell check`: says what is wrong with a configuration, before it runs.
use super::bad_input;
use crate::config::{Config, warnings};
use std::{collections::BTreeSet, path::PathBuf};

/// Validates configuration and topology.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  quell check --config quell.toml")]
pub struct CheckArgs {
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Prints what it found.
///
/// # Errors
/// With file, line, reason and what to do.
pub fn run(args: &CheckArgs) -> anyhow::Result<()> {
    let config = Config::load(args.config.as_deref()).map_err(bad_input)?;
    let topology = config.read_topology().map_err(bad_input)?;
    for warning in config.warnings().into_iter().chain(warnings::of_topology(&topology)) {
        eprintln!("warning: {warning}");
    }
    let policy = config.policy();
    // An entity that has nothing to be said of stands only in the list of its service.
    let listed = topology.services.iter().flat_map(|service| service.entities.iter().map(|id| (&service.scope, id)));
    let entities: BTreeSet<_> = topology.entities.iter().map(|e| (&e.scope, &e.id)).chain(listed).collect();
    println!(
        "valid: journal {}; source topics {}, HTTP mappings {}; entities {}, services {}; maintenance windows {}, \
         inhibition rules {}, correlation policies {}",
        config.journal.kind.name(),
        config.topics().len(),
        config.http_mappings().len(),
        entities.len(),
        topology.services.len(),
        policy.maintenance.len(),
        policy.suppress.inhibit.len(),
        policy.correlate.policy.len()
    );
    Ok(())
}
