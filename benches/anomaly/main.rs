//! How well anomalies in measured series are found, by the published scorers, with one setting for all: the Numenta Anomaly Benchmark
//! (as it is, and with its start dropped or every second row taken), SMD and ASD (Su et al., "Robust anomaly detection for multivariate time series", 2019; Li et al.,
//! "InterFusion", 2021), how quiet what has no news is, and what is found how late in made-up cases, beside an exponentially weighted mean.
//!
//! `QUELL_ANOMALY=DIR cargo bench -p quell-benches --bench anomaly`, where `DIR/nab` has `windows.json` and `data/**.csv`, and `DIR/smd-asd` a folder
//! for each entity; files may be compressed (`.zst`). `QUELL_CASES=folder` only writes the made-up cases, for other detectors. `QUELL_ONLY=cohesion` leaves out all but peers, `rhythm` all but alerts at their hour. `QUELL_BESIDE='program'` runs on each NAB file too: it prints CSV with `anomaly_score`.
use std::{
    env,
    path::{Path, PathBuf},
};

mod cases;
mod cohesion;
mod files;
mod nab;
mod ranges;
mod rhythm;
mod shapes;

fn main() -> anyhow::Result<()> {
    if let Some(directory) = env::var_os("QUELL_CASES") {
        return cases::write(Path::new(&directory));
    }
    let only = env::var("QUELL_ONLY").unwrap_or_default();
    if only.is_empty() {
        cases::quiet();
        cases::found();
        cases::weekday();
        cases::lasting();
        shapes::quiet();
        shapes::found();
    }
    rhythm::quiet();
    rhythm::found();
    if only == "rhythm" {
        return Ok(());
    }
    cohesion::quiet();
    cohesion::found();
    let Some(root) = env::var_os("QUELL_ANOMALY").map(PathBuf::from) else {
        println!("QUELL_ANOMALY=DIR: NAB and SMD/ASD are left out");
        return Ok(());
    };
    cohesion::services(&root.join("smd-asd"))?;
    if only == "cohesion" {
        return Ok(());
    }
    files::nab(&root.join("nab"), env::var("QUELL_BESIDE").ok().as_deref())?;
    files::entities(&root.join("smd-asd"))
}
