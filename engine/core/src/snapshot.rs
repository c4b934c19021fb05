//! The engine's whole memory as one value, and as bytes.
//!
//! A snapshot names the versions of policy and topology; their content is in `quell.control`, which is never trimmed.

/// Hash maps in the order of their keys, so that equal states are equal bytes.
pub(crate) mod sorted {
    use rustc_hash::FxHashMap;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::{collections::BTreeMap, hash::Hash};

    #[expect(clippy::disallowed_methods, reason = "the entries are sorted")]
    pub fn serialize<K, V, S>(map: &FxHashMap<K, V>, serializer: S) -> Result<S::Ok, S::Error>
    where
        K: Serialize + Ord,
        V: Serialize,
        S: Serializer,
    {
        serializer.collect_map(map.iter().collect::<BTreeMap<_, _>>())
    }

    pub fn deserialize<'de, K, V, D>(deserializer: D) -> Result<FxHashMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Eq + Hash,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        FxHashMap::deserialize(deserializer)
    }
}
