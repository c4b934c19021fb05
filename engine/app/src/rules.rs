//! The clauses that tests switch off to show that each is needed. Always all on outside tests: no configuration and no
//! flag reaches them.

/// Clauses of design rules 2, 4, 13 and 15.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The engine folds only what lies beyond its mark, from packs that follow on it.
    pub marks: bool,
    /// It folds a command once, by its request id.
    pub requests: bool,
    /// Source offsets are committed when every pack up to them is durable in every journal partition.
    pub commit_after_durable: bool,
    /// Readers take the next number and skip what is older.
    pub readers_skip: bool,
    /// A snapshot is written when every output before it is durable.
    pub snapshot_after_outputs: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            marks: true,
            requests: true,
            commit_after_durable: true,
            readers_skip: true,
            snapshot_after_outputs: true,
        }
    }
}

impl From<Rules> for quell_core::engine::Rules {
    fn from(rules: Rules) -> Self {
        Self { marks: rules.marks, requests: rules.requests }
    }
}
