//! A hash of several fields, each framed by its length, so that no separator can be forged within a value.
use xxhash_rust::xxh3::xxh3_128;

/// Collects fields. Its hashes are journaled as ids and fingerprints: the framing must never change.
#[derive(Debug)]
pub struct Frame(Vec<u8>);

impl Frame {
    /// Empty, with room for `bytes`.
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// A text: its length in bytes (64 bits, little endian), then its bytes.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.number(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    /// A number of 64 bits, little endian.
    pub fn number(&mut self, number: u64) -> &mut Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    /// XXH3's 128 bits in 32 lower-case hexadecimal digits.
    pub fn hex(&self) -> String {
        format!("{:032x}", xxh3_128(&self.0))
    }
}
