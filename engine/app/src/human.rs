//! Spans of time and sizes as people write them in a configuration: `2m30s`, `16 MiB`. Each a module for serde's
//! `with`.

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

/// A [`Span`](quell_core::domain::time::Span) as text: whole numbers with `ms`, `s`, `m`, `h`, `d` or `w`, the larger
/// units first, as in `24h` or `2m30s`. Never negative.
pub mod duration {
    use quell_core::domain::time::Span;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// In milliseconds, from the largest on.
    const UNITS: [(&str, i64); 6] =
        [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

    /// The span that a text says; `None` where it is none, or longer than 290 million years.
    pub fn parse(text: &str) -> Option<Span> {
        let (mut total, mut above) = (0_i64, i64::MAX);
        for (number, unit) in super::parts(text)? {
            let (_, ms) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
            if ms >= above {
                return None;
            }
            above = ms;
            total = total.checked_add(i64::try_from(number).ok()?.checked_mul(ms)?)?;
        }
        Some(Span(total))
    }

    /// As [`parse`] reads it, in units up to days: `2m30s`. A negative span, which no configuration has, is `0s`.
    pub fn format(span: Span) -> String {
        let mut rest = span.0;
        let mut text = String::new();
        for (unit, ms) in &UNITS[1..] {
            if rest >= *ms {
                text += &format!("{}{unit}", rest / ms);
                rest %= ms;
            }
        }
        if text.is_empty() { "0s".to_owned() } else { text }
    }

    /// For serde.
    ///
    /// # Errors
    /// Where the serializer fails.
    pub fn serialize<S: Serializer>(span: &Span, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format(*span))
    }

    /// For serde.
    ///
    /// # Errors
    /// Where it is no such text; a number without a unit is none.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text)
            .ok_or_else(|| D::Error::custom(format_args!("`{text}` is no duration; write it as \"30s\" or \"2m30s\"")))
    }
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
    use super::*;
    use quell_core::domain::time::Span;
    use serde::{Deserialize, Serialize};

    #[test]
    fn durations() {
        for (text, ms) in [
            ("0s", 0),
            ("250ms", 250),
            ("30s", 30_000),
            ("2m", 120_000),
            ("2m30s", 150_000),
            ("24h", 86_400_000),
            ("7d", 604_800_000),
            (" 1w 1d ", 691_200_000),
        ] {
            let span = duration::parse(text);
            assert_eq!(span, Some(Span(ms)), "{text}");
            assert_eq!(duration::parse(&duration::format(Span(ms))), span);
        }
        for text in [
            "",
            " ",
            "5",
            "5 minutes",
            "m",
            "-5s",
            "1.5h",
            "30s2m",
            "1m1m",
            "99999999999999999999s",
            "9999999999999999w",
        ] {
            assert_eq!(duration::parse(text), None, "{text}");
        }
        assert_eq!(duration::format(Span(86_400_000 + 150_250)), "1d2m30s250ms");
        assert_eq!(duration::format(Span(-1)), "0s");
    }

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

    #[test]
    fn in_a_file() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Table {
            #[serde(with = "duration")]
            wait: Span,
            #[serde(with = "bytes")]
            room: u64,
        }
        let table: Table = toml::from_str("wait = \"2m30s\"\nroom = 1024").expect("valid");
        assert_eq!(table, Table { wait: Span(150_000), room: 1024 });
        assert_eq!(toml::to_string(&table).expect("serializes"), "wait = \"2m30s\"\nroom = \"1 KiB\"\n");
        let error = toml::from_str::<Table>("wait = \"soon\"\nroom = 1").expect_err("no duration").to_string();
        assert!(error.contains("`soon` is no duration"), "{error}");
        assert!(toml::from_str::<Table>("wait = 5\nroom = 1").is_err());
        assert!(toml::from_str::<Table>("wait = \"5s\"\nroom = -1").is_err());
    }
}
