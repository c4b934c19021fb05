//! Where a reader of the feed is: one sequence number per partition, and where in the log the next one is found.
use super::errors::invalid;
use crate::snapshots::Mark;
use std::fmt::Write as _;
use tonic::Status;

/// By partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    journal: [u8; 16],
    pub marks: Vec<Mark>,
}

impl Cursor {
    /// Before everything.
    pub fn beginning(journal: [u8; 16], partitions: u32) -> Self {
        Self { journal, marks: vec![Mark::default(); partitions as usize] }
    }

    /// At these marks.
    pub const fn at(journal: [u8; 16], marks: Vec<Mark>) -> Self {
        Self { journal, marks }
    }

    /// As text: opaque to clients. Partitions of which nothing was read take no room.
    pub fn encode(&self) -> String {
        let mut text = String::from("1.");
        for byte in &self.journal[..8] {
            // Writing to a string can't fail.
            let _ = write!(text, "{byte:02x}");
        }
        for (partition, mark) in self.marks.iter().enumerate().filter(|(_, mark)| **mark != Mark::default()) {
            let _ = write!(text, ".{partition:x}-{:x}-{:x}", mark.number, mark.next);
        }
        text
    }

    /// Reads what [`Cursor::encode`] wrote.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` where it is malformed or of another journal.
    pub fn decode(text: &str, journal: [u8; 16], partitions: u32) -> Result<Self, Status> {
        let malformed = || invalid("cursor", "malformed; use one that the feed gave, as it is");
        let mut cursor = Self::beginning(journal, partitions);
        let mut parts = text.split('.');
        if parts.next() != Some("1") {
            return Err(malformed());
        }
        let of = cursor.encode();
        if parts.next() != of.split('.').nth(1) {
            return Err(invalid("cursor", "it is of another journal"));
        }
        for part in parts {
            let mut numbers = part.split('-').map(|n| u64::from_str_radix(n, 16).map_err(|_| malformed()));
            let mut number = || numbers.next().unwrap_or_else(|| Err(malformed()));
            let (partition, mark) = (number()?, Mark { number: number()?, next: number()? });
            let partition = usize::try_from(partition).map_err(|_| malformed())?;
            *cursor.marks.get_mut(partition).ok_or_else(malformed)? = mark;
        }
        Ok(cursor)
    }

    /// Another cursor of the same journal; `None` where the text is none.
    pub fn read(&self, text: &str) -> Option<Self> {
        Self::decode(text, self.journal, u32::try_from(self.marks.len()).ok()?).ok()
    }

    /// Moves each partition on to where the other is, where that is further.
    pub fn merge(&mut self, other: &Self) {
        for (ours, theirs) in self.marks.iter_mut().zip(&other.marks) {
            if theirs.number > ours.number {
                *ours = *theirs;
            }
        }
    }

    /// Whether it is nowhere behind the other.
    pub fn covers(&self, other: &Self) -> bool {
        self.marks.iter().zip(&other.marks).all(|(ours, theirs)| ours.number >= theirs.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_and_refuses_the_rest() {
        let mut cursor = Cursor::beginning([7; 16], 4);
        cursor.marks[2] = Mark { number: 300, next: 401 };
        // In the middle of the first record, in which several stand.
        cursor.marks[3] = Mark { number: 2, next: 0 };
        let text = cursor.encode();
        assert_eq!(Cursor::decode(&text, [7; 16], 4).ok(), Some(cursor));
        assert!(Cursor::decode(&text, [8; 16], 4).is_err());
        for bad in ["", "1", "2.0707", "1.0707070707070707.9-1-1", "1.0707070707070707.1-x-1", "1.0707070707070707.1"] {
            assert!(Cursor::decode(bad, [7; 16], 4).is_err(), "{bad}");
        }
    }
}
