//! Lines of any length in bounded memory.
use std::io::{self, BufRead as _, BufReader, Read};

const CHUNK_BYTES: usize = 1024 * 1024;

/// Reads lines; of one longer than the maximum only the beginning is kept.
pub struct Lines<R> {
    reader: BufReader<R>,
    kept_max: usize,
    line: Vec<u8>,
}

/// A line without its end.
pub struct Line<'a> {
    pub kept: &'a [u8],
    /// How long it is.
    pub bytes: usize,
}

impl<R: Read> Lines<R> {
    /// The lines of a text, of each at most so many bytes.
    pub fn new(input: R, kept_max: usize) -> Self {
        Self { reader: BufReader::with_capacity(CHUNK_BYTES, input), kept_max, line: Vec::new() }
    }

    /// The next line; the last one may lack its end.
    pub fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        // One more for the line's end.
        let most = self.kept_max as u64 + 1;
        self.reader.by_ref().take(most).read_until(b'\n', &mut self.line)?;
        if self.line.is_empty() {
            return Ok(None);
        }
        let mut bytes = self.line.len();
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
            bytes -= 1;
        } else if bytes > self.kept_max {
            bytes += self.skip()?;
            self.line.truncate(self.kept_max);
        }
        Ok(Some(Line { kept: &self.line, bytes }))
    }

    /// Passes over the rest of a line; how long it is without its end.
    fn skip(&mut self) -> io::Result<usize> {
        let mut skipped = 0;
        loop {
            let chunk = match self.reader.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                chunk => chunk?,
            };
            let (length, end) = match chunk.iter().position(|byte| *byte == b'\n') {
                Some(end) => (end, true),
                None => (chunk.len(), chunk.is_empty()),
            };
            skipped += length;
            let consumed = length + usize::from(end && !chunk.is_empty());
            self.reader.consume(consumed);
            if end {
                return Ok(skipped);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, max: usize) -> Vec<(String, usize)> {
        let mut lines = Lines::new(text.as_bytes(), max);
        let mut found = Vec::new();
        while let Some(line) = lines.next().expect("memory can be read") {
            found.push((String::from_utf8_lossy(line.kept).into_owned(), line.bytes));
        }
        found
    }

    #[test]
    fn lines_end_with_a_newline_or_the_text() {
        assert_eq!(lines("", 9), []);
        assert_eq!(lines("a\n\nbc\n", 9), [("a".into(), 1), (String::new(), 0), ("bc".into(), 2)]);
        assert_eq!(lines("a\nbc", 9), [("a".into(), 1), ("bc".into(), 2)]);
    }

    #[test]
    fn long_ones_are_cut_and_measured() {
        assert_eq!(
            lines("abcd\nabcde\nabcdefgh\nx", 4),
            [("abcd".into(), 4), ("abcd".into(), 5), ("abcd".into(), 8), ("x".into(), 1)]
        );
        let long = "y".repeat(3 * CHUNK_BYTES);
        assert_eq!(lines(&long, 2), [("yy".into(), long.len())]);
    }
}
