//! Lines that are no events: named on stderr, and kept in `deadletter.jsonl`.
use quell_core::output::DeadLetter;
use serde::Serialize;
use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

/// Lines named on stderr; the rest is counted.
const NAMED_MAX: u64 = 20;

/// Where dead letters go.
pub struct Letters<'a> {
    file: BufWriter<File>,
    stderr: &'a mut dyn Write,
    count: u64,
    /// The first thing that went wrong.
    result: io::Result<()>,
}

#[derive(Serialize)]
struct Letter<'a> {
    file: &'a str,
    line: i64,
    reason: &'a str,
    text: &'a str,
}

impl<'a> Letters<'a> {
    /// Makes `deadletter.jsonl`, empty at first.
    pub fn create(dir: &Path, stderr: &'a mut dyn Write) -> io::Result<Self> {
        let file = BufWriter::new(File::create(dir.join("deadletter.jsonl"))?);
        Ok(Self { file, stderr, count: 0, result: Ok(()) })
    }

    /// Writes one.
    pub fn write(&mut self, letter: &DeadLetter) {
        self.count += 1;
        if self.result.is_ok() {
            self.result = self.try_write(letter);
        }
    }

    fn try_write(&mut self, letter: &DeadLetter) -> io::Result<()> {
        let (file, line, reason) = (&*letter.source, letter.offset + 1, letter.reason.as_str());
        if self.count <= NAMED_MAX {
            writeln!(self.stderr, "{file}:{line}: {reason}")?;
        }
        let text = String::from_utf8_lossy(&letter.payload);
        serde_json::to_writer(&mut self.file, &Letter { file, line, reason, text: &text })?;
        self.file.write_all(b"\n")
    }

    /// How many there were.
    pub fn finish(mut self) -> io::Result<u64> {
        self.result?;
        if self.count > NAMED_MAX {
            writeln!(self.stderr, "and {} more bad lines: see deadletter.jsonl", self.count - NAMED_MAX)?;
        }
        self.file.flush()?;
        Ok(self.count)
    }
}
