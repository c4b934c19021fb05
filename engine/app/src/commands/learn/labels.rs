//! Which events belong together, as somebody has written down.
use anyhow::{Context as _, ensure};
use rustc_hash::FxHashMap;
use std::{collections::BTreeMap, path::Path};

/// What belongs to nothing.
const NOISE: [&str; 3] = ["", "-", "noise"];

/// By the id of an event the number of its label; `None`: it belongs to nothing.
#[derive(Debug, Default)]
pub struct Labels(FxHashMap<String, Option<u64>>);

impl Labels {
    /// From a CSV file with the columns `event_id` and `label`.
    ///
    /// # Errors
    /// With the file, and the line where there is one.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let file = path.display();
        let mut reader = csv::Reader::from_path(path).with_context(|| format!("{file}: can't be read"))?;
        let head = reader.headers().with_context(|| format!("{file}:1"))?.clone();
        let column = |name: &str| head.iter().position(|column| column.trim() == name);
        let columns = column("event_id").zip(column("label"));
        let (id, label) = columns.with_context(|| format!("{file}:1: it has no columns `event_id` and `label`"))?;
        let (mut names, mut all) = (BTreeMap::new(), FxHashMap::default());
        for row in reader.records() {
            let row = row.with_context(|| file.to_string())?;
            let line = row.position().map_or(0, csv::Position::line);
            let (id, name) = (row.get(id).unwrap_or_default().trim(), row.get(label).unwrap_or_default().trim());
            ensure!(!id.is_empty(), "{file}:{line}: event_id is empty");
            let next = names.len() as u64;
            let number = (!NOISE.contains(&name)).then(|| *names.entry(name.to_owned()).or_insert(next));
            all.insert(id.to_owned(), number);
        }
        ensure!(!all.is_empty(), "{file}: it has no rows");
        Ok(Self(all))
    }

    /// Events that it names.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// What is known of an event.
    pub fn of(&self, event: &str) -> Option<Option<u64>> {
        self.0.get(event).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn labels_are_read_and_what_is_wrong_is_named() -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("labels.csv");
        let read = |text: &str| {
            fs::write(&path, text)?;
            Labels::read(&path)
        };
        let labels = read("label,event_id,more\nI1,a,x\nnoise,b,x\nI2,c,x\nI1,d,x\n")?;
        assert_eq!(
            ["a", "b", "c", "d", "e"].map(|id| labels.of(id)),
            [Some(Some(0)), Some(None), Some(Some(1)), Some(Some(0)), None]
        );
        for (text, what) in [
            ("event,label\na,b\n", "labels.csv:1: it has no columns"),
            ("event_id,label\na,b\n,c\n", "labels.csv:3: event_id is empty"),
            ("event_id,label\na\n", "labels.csv"),
            ("event_id,label\n", "no rows"),
        ] {
            let error = format!("{:#}", read(text).expect_err(what));
            assert!(error.contains(what), "{error}");
        }
        Ok(())
    }
}
