//! One file per subcommand; exit code 0 on success, 2 on bad usage or bad input.
pub mod act;
pub mod alerts;
pub mod causes;
pub mod check;
pub mod client;
pub mod completion;
pub mod corrections;
pub mod demo;
pub mod explain;
pub mod feed;
pub mod incidents;
pub mod json;
pub mod learn;
pub mod maintenance;
pub mod model;
pub mod normal;
pub mod preview;
pub mod problems;
pub mod replay;
pub mod run;
pub mod score;
pub mod services;
pub mod settle;
pub mod silence;
pub mod table;
pub mod templates;
pub mod topology;
pub mod why_not;

use std::io::{self, IsTerminal as _};

/// Says on a terminal what a long run does now.
fn progress(what: &str) {
    if io::stderr().is_terminal() {
        eprintln!("{what} …");
    }
}

/// A failure that is the user's to mend: exit code 2. What may succeed when it is tried again is none.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadInput(pub String);

/// Marks an error as the user's to mend.
pub fn bad_input(error: impl Into<anyhow::Error>) -> anyhow::Error {
    BadInput(format!("{:#}", error.into())).into()
}
