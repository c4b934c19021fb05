//! Sizes as people write them in a configuration: `16 MiB`; a module for serde's `with`. (Spans of time are the core's.)

/// Numbers with their units, the blanks between them left out: `2m 30s` is (2, "m"), (30, "s").
fn parts(text: &str) -> Option<Vec<(u64, &str)>> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number = rest[..digits].parse().ok()?;
        let after = rest[digits..].trim_start();
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        parts.push((number, &after[..letters]));
        rest = after[letters..].trim_start();
    }
    (!parts.is_empty()).then_some(parts)
}

/// A number of bytes as text with a unit, `16 MiB` or `900 KB` (powers of 1024 and of 1000), or as a plain number.
pub mod bytes {
    use serde::{Deserializer, Serializer, de::Error, de::Visitor};
    use std::fmt;

    /// The binary ones from the largest on, then the decimal ones.
    const UNITS: [(&str, u64); 9] = [
        ("TiB", 1 << 40),
        ("GiB", 1 << 30),
        ("MiB", 1 << 20),
        ("KiB", 1 << 10),
        ("B", 1),
        ("TB", 1_000_000_000_000),
        ("GB", 1_000_000_000),
        ("MB", 1_000_000),
        ("KB", 1_000),
    ];

    /// The bytes that a text says, without regard to the unit's case; `None` where it says none or too many.
    pub fn parse(text: &str) -> Option<u64> {
        let parts = super::parts(text)?;
        let [(number, unit)] = parts.as_slice() else { return None };
        let (_, size) = UNITS.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
        number.checked_mul(size)
    }

    /// As [`parse`] reads it, exactly, in the largest binary unit that divides it: `16 MiB`.
    pub fn format(bytes: u64) -> String {
        let whole = UNITS.into_iter().find(|(_, size)| bytes > 0 && bytes.is_multiple_of(*size));
        let (unit, size) = whole.unwrap_or(("B", 1));
        format!("{} {unit}", bytes / size)
    }

    /// For serde.
    ///
    /// # Errors
    /// Where the serializer fails.
    pub fn serialize<S: Serializer>(bytes: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format(*bytes))
    }

    /// For serde.
    ///
    /// # Errors
    /// Where it is neither such a text nor a whole number that is not negative.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_any(Bytes)
    }

    struct Bytes;

    impl Visitor<'_> for Bytes {
        type Value = u64;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a size such as \"16 MiB\"")
        }
        fn visit_u64<E: Error>(self, bytes: u64) -> Result<u64, E> {
            Ok(bytes)
        }
        fn visit_i64<E: Error>(self, bytes: i64) -> Result<u64, E> {
            u64::try_from(bytes).map_err(|_| E::custom(format_args!("{bytes} is no size: it is negative")))
        }
        fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
            parse(text).ok_or_else(|| E::custom(format_args!("`{text}` is no size; write it as \"16 MiB\"")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes() {
        for (text, size) in [("0 B", 0), ("512B", 512), ("16 MiB", 16 << 20), ("900 KB", 900_000), ("1gib", 1 << 30)] {
            assert_eq!(bytes::parse(text), Some(size), "{text}");
            assert_eq!(bytes::parse(&bytes::format(size)), Some(size));
        }
        for text in ["", "16", "MiB", "16 MiB 1 B", "-1 B", "1.5 MiB", "16 Mb/s", "99999999 TiB"] {
            assert_eq!(bytes::parse(text), None, "{text}");
        }
        assert_eq!(bytes::format(16 << 20), "16 MiB");
        assert_eq!(bytes::format(900_000), "900000 B");
    }
}
