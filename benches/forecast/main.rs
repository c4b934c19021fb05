//! How well series are forecast half an hour ahead (or to the next sample where they are farther apart), each origin by what came before it, against
//! the naive and the seasonal naive forecast, and how often what comes lies in the 80 % interval; and how well is told when made-up disks are full.
//!
//! `QUELL_FORECAST=DIR cargo bench -p quell-benches --bench forecast`, where `DIR/nab` and `DIR/smd-asd` are as for `--bench anomaly`, `DIR/petshop` and `DIR/nezha` as for `--bench causes`. Without it only what is
//! made up is measured.
use std::{env, path::PathBuf};

mod disks;
mod sets;
mod warnings;

fn main() -> anyhow::Result<()> {
    disks::told();
    disks::false_alarms();
    let Some(root) = env::var_os("QUELL_FORECAST").map(PathBuf::from) else {
        println!("QUELL_FORECAST=DIR: the public sets are left out");
        return Ok(());
    };
    sets::told(&root)
}
