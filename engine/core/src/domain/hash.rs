//! Hashes that are the same after a restart, on every machine (XXH3, <https://xxhash.com>).
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// Fields framed by their length, so that no separator could be in a value.
#[derive(Debug, Default)]
pub struct Framed(Vec<u8>);

impl Framed {
    /// Begins anew; keeps its memory.
    pub fn clear(&mut self) -> &mut Self {
        self.0.clear();
        self
    }

    /// Adds a field.
    pub fn field(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let bytes = bytes.as_ref();
        self.0.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    /// The hash of what was added.
    pub fn hash64(&self) -> u64 {
        xxh3_64(&self.0)
    }

    /// The hash of what was added, where 64 bits are too few to be an identity.
    pub fn hash128(&self) -> u128 {
        xxh3_128(&self.0)
    }
}

/// The hash of a name.
pub fn hash_of(name: &str) -> u64 {
    xxh3_64(name.as_bytes())
}

/// The journal partition of a scope (design rule 1): never changes for a journal.
pub fn partition_of(scope: &str, partitions: u32) -> u32 {
    u32::try_from(xxh3_64(scope.as_bytes()) % u64::from(partitions.max(1))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_keep_fields_apart() {
        let hash = |fields: &[&str]| {
            let mut framed = Framed::default();
            for field in fields {
                framed.field(field);
            }
            framed.hash128()
        };
        assert_ne!(hash(&["ab", "c"]), hash(&["a", "bc"]));
        assert_ne!(hash(&["a"]), hash(&["a", ""]));
    }

    /// Stored journals rest on these numbers.
    #[test]
    fn partitions_are_for_ever() {
        let found: Vec<u32> = ["default", "payments", "eu-1", ""].iter().map(|s| partition_of(s, 16)).collect();
        assert_eq!(found, [10, 13, 7, 2]);
    }
}
