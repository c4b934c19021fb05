//! Measured series as public sets write them.
use anyhow::Context as _;
use jiff::civil::DateTime;
use std::{fs, path::Path};

/// `timestamp,value` with a header: Unix seconds and values.
///
/// # Errors
/// Where it can't be read.
pub fn series(path: &Path) -> anyhow::Result<Vec<(i64, f64)>> {
    let text = text_of(path)?;
    let mut csv = csv::Reader::from_reader(text.as_bytes());
    let row = |record: csv::StringRecord| Ok((seconds(&record[0])?, record[1].trim().parse()?));
    csv.records().map(|record| row(record?)).collect()
}

/// A series a column, with a header: by row.
///
/// # Errors
/// Where it can't be read.
pub fn table(path: &Path) -> anyhow::Result<Vec<Vec<f64>>> {
    let text = text_of(path)?;
    let mut csv = csv::Reader::from_reader(text.as_bytes());
    let row = |record: csv::StringRecord| record.iter().map(|text| Ok(text.parse()?)).collect();
    csv.records().map(|record| row(record?)).collect()
}

/// Of a file as it is, or compressed beside it.
fn text_of(path: &Path) -> anyhow::Result<String> {
    if path.exists() {
        return Ok(fs::read_to_string(path)?);
    }
    let mut packed = path.as_os_str().to_owned();
    packed.push(".zst");
    super::unpacked(Path::new(&packed))
}

/// `2014-04-10 00:04:00`, in UTC.
///
/// # Errors
/// Where it is no time.
pub fn seconds(text: &str) -> anyhow::Result<i64> {
    let civil: DateTime = text.trim().parse().with_context(|| text.to_owned())?;
    Ok(civil.to_zoned(jiff::tz::TimeZone::UTC)?.timestamp().as_second())
}
