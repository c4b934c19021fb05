//! Alarms of a network, who is linked to whom, and which alarms cause which.
use anyhow::Context as _;
use quell_train::causality::Event;
use std::{collections::BTreeSet, fs::File, io::Read, path::Path};

/// One network.
pub struct Network {
    pub events: Vec<Event>,
    pub links: Vec<(u32, u32)>,
    pub truth: BTreeSet<(u32, u32)>,
    /// Kinds of alarms.
    pub kinds: usize,
}

impl Network {
    /// The network of a folder; `None` where it is not there.
    pub fn read(dir: &Path) -> anyhow::Result<Option<Self>> {
        if !dir.exists() {
            return Ok(None);
        }
        let alarms = zstd::Decoder::new(File::open(dir.join("alarms.csv.zst"))?)?;
        let alarms: Vec<[i64; 3]> = rows(alarms).context("alarms.csv.zst")?;
        let events: Vec<Event> = alarms
            .into_iter()
            .map(|[kind, place, seconds]| Event { kind: kind as u32, place: place as u32, at: seconds * 1_000 })
            .collect();
        let pairs = |name: &str| -> anyhow::Result<Vec<(u32, u32)>> {
            let path = dir.join(name);
            if !path.exists() {
                return Ok(Vec::new());
            }
            let rows: Vec<[i64; 2]> = rows(File::open(path)?).with_context(|| name.to_owned())?;
            Ok(rows.into_iter().map(|[a, b]| (a as u32, b as u32)).collect())
        };
        let kinds = events.iter().map(|event| event.kind).collect::<BTreeSet<_>>().len();
        let truth = pairs("true_causal_edges.csv")?.into_iter().collect();
        Ok(Some(Self { links: pairs("topology_edges.csv")?, truth, kinds, events }))
    }
}

/// The first columns of each row after the head.
fn rows<const N: usize>(of: impl Read) -> anyhow::Result<Vec<[i64; N]>> {
    let mut rows = Vec::new();
    for record in csv::Reader::from_reader(of).records() {
        let record = record?;
        let mut row = [0; N];
        for (place, cell) in row.iter_mut().enumerate() {
            *cell = record.get(place).context("a row is too short")?.parse()?;
        }
        rows.push(row);
    }
    Ok(rows)
}
