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
pub mod forecast;
pub mod incidents;
pub mod json;
pub mod learn;
pub mod maintenance;
pub mod model;
pub mod normal;
mod past;
pub mod preview;
pub mod problems;
pub mod replay;
mod rows;
pub mod run;
pub mod score;
pub mod services;
pub mod settle;
pub mod silence;
pub mod table;
pub mod templates;
pub mod topology;
pub mod why_not;

use std::{
    fs::File,
    io::{self, BufWriter, IsTerminal as _, Read, Write},
    path::Path,
};

/// Says on a terminal what a long run does now.
fn progress(what: &str) {
    if io::stderr().is_terminal() {
        eprintln!("{what} …");
    }
}

/// Some editors, and PowerShell, begin a file so.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A file, or `stdin` where it is `-`, without a byte order mark, and what messages call it.
///
/// # Errors
/// [`BadInput`] where there is no such file, or it can't be read.
fn open<'a>(path: &Path, stdin: impl Read + 'a) -> Result<(String, Box<dyn Read + 'a>), BadInput> {
    let is_stdin = path.as_os_str() == "-";
    let name = if is_stdin { "stdin".to_owned() } else { path.display().to_string() };
    let opened = if is_stdin { without_mark(stdin) } else { File::open(path).and_then(without_mark) };
    opened.map_err(|error| unreadable(&name, &error)).map(|input| (name, input))
}

fn without_mark<'a>(mut input: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut first = Vec::new();
    input.by_ref().take(BYTE_ORDER_MARK.len() as u64).read_to_end(&mut first)?;
    if first == BYTE_ORDER_MARK {
        first.clear();
    }
    Ok(Box::new(io::Cursor::new(first).chain(input)))
}

fn unreadable(name: &str, error: &io::Error) -> BadInput {
    BadInput(format!("{name}: can't be read: {error}"))
}

/// Writes to stdout. That who reads it has seen enough is no failure.
///
/// # Errors
/// Those of `write`, and where it can't be written.
fn to_stdout(write: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush().map_err(Into::into)) {
        Err(error) if is_left(&error) => Ok(()),
        done => done,
    }
}

/// Whether it is that nobody reads what is written any more.
pub(crate) fn is_left(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// A failure that is the user's to mend: exit code 2. What may succeed when it is tried again is none.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadInput(pub String);

/// Marks an error as the user's to mend.
pub fn bad_input(error: impl Into<anyhow::Error>) -> anyhow::Error {
    BadInput(format!("{:#}", error.into())).into()
}
