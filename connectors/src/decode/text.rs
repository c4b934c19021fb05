//! Text that is safe to keep: no control characters, and bounded.
use std::borrow::Cow;
use xxhash_rust::xxh3::xxh3_64;

/// What stands at the end of a text that was cut.
pub const CUT: char = '…';

/// `text` with every control character (Unicode's category Cc: C0, DEL and C1) replaced by U+FFFD, so that it can break
/// no terminal, log line or CSV; the length stays visible.
pub fn clean(text: Cow<'_, str>) -> String {
    if suspicious(&text) {
        text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
    } else {
        text.into_owned()
    }
}

/// As [`clean`], with tabs and line breaks as spaces, cut to `bytes_max` bytes.
pub fn line(text: Cow<'_, str>, bytes_max: usize) -> String {
    let text = if suspicious(&text) {
        text.chars().map(|c| if matches!(c, '\t' | '\n' | '\r') { ' ' } else { c }).collect::<String>().into()
    } else {
        text
    };
    cut(clean(text), bytes_max)
}

/// At most `bytes_max` bytes (no fewer than the mark has), cut between characters and marked with [`CUT`].
pub fn cut(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max.saturating_sub(CUT.len_utf8())));
        text.push(CUT);
        // The rest may be a megabyte, and what is kept lives long.
        text.shrink_to_fit();
    }
    text
}

/// As [`cut`], with a hash of all of it behind the mark: of texts that identify, two that begin alike stay two.
pub fn cut_apart(text: String, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text;
    }
    let hash = xxh3_64(text.as_bytes());
    let mut text = cut(text, bytes_max.saturating_sub(16));
    text.push_str(&format!("{hash:016x}"));
    text
}

/// Whether `text` may hold control characters: C1 is 0xC2 and another byte in UTF-8. Without a way out of the loop,
/// so that the compiler makes vectors of it.
fn suspicious(text: &str) -> bool {
    text.bytes().fold(false, |found, byte| found | (byte < 0x20) | (byte == 0x7f) | (byte == 0xc2))
}

/// Cleans the texts of one JSON document, having looked at all of it once: many short looks cost more.
#[derive(Clone, Copy, Debug)]
pub struct Cleaner {
    /// No text of the document can hold control characters.
    plain: bool,
}

impl Cleaner {
    /// For the texts of this document. In JSON, C0 stands in a string only behind a backslash (RFC 8259, section 7).
    pub fn of(json: &str) -> Self {
        Self { plain: !json.bytes().fold(false, |found, byte| found | matches!(byte, b'\\' | 0x7f | 0xc2)) }
    }

    /// For texts of which nothing is known.
    pub const fn careful() -> Self {
        Self { plain: false }
    }

    /// As [`clean`].
    pub fn clean(self, text: Cow<'_, str>) -> String {
        if self.plain { text.into_owned() } else { clean(text) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_a_terminal() {
        assert_eq!(clean("\u{1b}[31mred\0\u{7f}\u{9b}1m".into()), "\u{fffd}[31mred\u{fffd}\u{fffd}\u{fffd}1m");
        assert_eq!(clean("größe £ \u{202e}".into()), "größe £ \u{202e}");
        assert_eq!(line("one\ttwo\r\nthree\u{7}".into(), 100), "one two  three\u{fffd}");
    }

    #[test]
    fn a_document_is_looked_at_once() {
        assert!(Cleaner::of("{\n\t\"a\": \"grün\"}").plain);
        for json in [r#"{"a": "\u0007"}"#, "{\"a\": \"\u{7f}\"}", "{\"a\": \"\u{9b}\"}"] {
            assert!(!Cleaner::of(json).plain, "{json}");
        }
    }

    #[test]
    fn a_cut_is_marked_and_lies_between_characters() {
        assert_eq!(cut("abcdef".into(), 6), "abcdef");
        assert_eq!(cut("abcdefg".into(), 6), "abc…");
        assert_eq!(cut("äöüß".into(), 6), "ä…");
        assert_eq!(cut("abcd".into(), 3), "…");
        let long = |last: char| cut_apart(format!("{}{last}", "x".repeat(100)), 30);
        assert!(long('a').starts_with("xxxxxxxxxxx…") && long('a').len() == 30);
        assert_ne!(long('a'), long('b'));
    }
}
