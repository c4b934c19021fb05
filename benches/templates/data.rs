//! Lines whose templates are known: a folder for each system, `truth.csv` in it as Loghub-2k has it, plain or `.zst`.
use anyhow::Context as _;
use std::{
    fs::{self, File},
    io::Read,
    path::Path,
};

/// Lines of one system.
#[derive(Debug)]
pub struct System {
    pub name: String,
    /// What is behind the header of each line.
    pub lines: Vec<String>,
    pub original: Truth,
    /// As Khan et al. corrected it ("Guidelines for assessing the accuracy of log message template identification techniques",
    /// ICSE 2022); as the original where there is nothing to correct.
    pub corrected: Truth,
}

/// What each line is, by hand.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    pub groups: Vec<String>,
    pub texts: Vec<String>,
}

/// The systems of a set, sorted by name.
///
/// # Errors
/// Where a file can't be read.
pub fn systems(set: &Path) -> anyhow::Result<Vec<System>> {
    let mut dirs: Vec<_> = fs::read_dir(set)?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
    dirs.sort();
    dirs.iter().filter(|dir| dir.is_dir()).map(|dir| system(dir)).collect()
}

fn system(dir: &Path) -> anyhow::Result<System> {
    let plain = dir.join("truth.csv");
    let packed = dir.join("truth.csv.zst");
    let path = if plain.exists() { &plain } else { &packed };
    let mut reader: Box<dyn Read> = Box::new(File::open(path).with_context(|| path.display().to_string())?);
    if path == &packed {
        reader = Box::new(zstd::Decoder::new(reader)?);
    }
    let mut reader = csv::Reader::from_reader(reader);
    let heads = reader.headers()?.clone();
    let column = |name: &str| {
        heads.iter().position(|head| head == name).with_context(|| format!("{}: no column {name}", path.display()))
    };
    let columns = ["Content", "EventId", "EventTemplate", "EventIdCorrected", "EventTemplateCorrected"];
    let columns = columns.map(column).into_iter().collect::<Result<Vec<_>, _>>()?;
    let name = dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut system = System { name, lines: Vec::new(), original: Truth::default(), corrected: Truth::default() };
    for record in reader.records() {
        let record = record.with_context(|| path.display().to_string())?;
        let cell = |at: usize| record.get(columns[at]).unwrap_or_default().to_owned();
        system.lines.push(cell(0));
        system.original.groups.push(cell(1));
        system.original.texts.push(cell(2));
        system.corrected.groups.push(cell(3));
        system.corrected.texts.push(cell(4));
    }
    Ok(system)
}
