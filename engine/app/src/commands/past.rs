//! What there is to learn from.
use std::path::{Path, PathBuf};

/// Events that were recorded, or the journal of a service.
#[derive(Clone, Debug, clap::Args)]
pub struct Past {
    /// The configuration
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The topology, instead of the configuration's
    #[arg(long, value_name = "FILE")]
    pub topology: Option<PathBuf>,
    /// Canonical events as JSON, one a line, in the order they arrived; `-` is stdin
    #[arg(long, value_name = "FILE", required_unless_present = "journal")]
    pub events: Option<PathBuf>,
    /// What a service has folded, instead of events: its data directory; without one the journal of --config
    #[arg(long, value_name = "DIR", num_args = 0..=1, conflicts_with_all = ["events", "topology"])]
    pub journal: Option<Option<PathBuf>>,
}

impl Past {
    /// The directory of the journal, where one is told.
    pub fn journal(&self) -> Option<&Path> {
        self.journal.as_ref().and_then(Option::as_deref)
    }
}
