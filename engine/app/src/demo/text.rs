//! Text for a terminal: nothing in it moves the cursor, and it is as wide as it says.
use jiff::tz::TimeZone;
use quell_core::domain::time::Timestamp;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// What comes from outside, as one harmless line: what a terminal would act on (controls, changes of the direction of
/// writing) becomes a blank.
pub fn clean(text: &str) -> String {
    let harmless = |c: char| {
        let acts = c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        if acts { ' ' } else { c }
    };
    text.chars().map(harmless).collect()
}

/// In columns.
pub fn width(text: &str) -> usize {
    text.width()
}

/// The beginning of a text, at most so many columns wide.
fn head(text: &str, max: usize) -> &str {
    let mut used = 0;
    let end = text.char_indices().find(|(_, c)| {
        used += c.width().unwrap_or(0);
        used > max
    });
    end.map_or(text, |(at, _)| &text[..at])
}

/// Cut at its end, with an ellipsis.
pub fn clip(text: &str, max: usize) -> String {
    if width(text) <= max {
        return text.to_owned();
    }
    format!("{}{}", head(text, max.saturating_sub(1)).trim_end(), if max > 0 { "…" } else { "" })
}

/// Broken at blanks into at most so many rows; what is more is cut from the last.
pub fn wrap(text: &str, columns: usize, rows: usize) -> Vec<String> {
    let mut done = Vec::new();
    let mut rest = text.trim();
    while done.len() + 1 < rows && width(rest) > columns {
        let fits = head(rest, columns);
        // A break in the first half would waste the row.
        let at = if rest[fits.len()..].starts_with(' ') { fits.len() } else { fits.rfind(' ').unwrap_or(0) };
        let at = if width(&fits[..at]) * 2 < columns { fits.len() } else { at };
        if at == 0 {
            break;
        }
        done.push(rest[..at].trim_end().to_owned());
        rest = rest[at..].trim_start();
    }
    done.push(clip(rest, columns));
    done
}

/// Filled with blanks up to a width.
pub fn pad(text: &str, to: usize) -> String {
    format!("{text}{}", " ".repeat(to.saturating_sub(width(text))))
}

/// `07:10:50`, in UTC.
pub fn clock(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default().to_zoned(TimeZone::UTC);
    format!("{:02}:{:02}:{:02}", at.hour(), at.minute(), at.second())
}

/// `45 s`, `8 min 30 s`, `2 h 5 min`.
pub fn lasted(seconds: i64) -> String {
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, 0) => format!("{m} min"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, 0, _) => format!("{h} h"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

/// `1 alert`, `7 alerts`.
pub fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_as_wide_as_it_says_and_moves_no_cursor() {
        let hostile = "disk \u{1b}[2J\u{1b}]0;x\u{7} full\r\non \u{202e}db-07\u{9b}31m";
        assert!(clean(hostile).chars().all(|c| !c.is_control()));
        let long = "median latency of 注文 calling shippingservice, seen by it 106x its usual (375 ms, usually 4 ms)";
        for max in 0..120 {
            assert!(width(&clip(long, max)) <= max, "{max}");
            assert!(wrap(long, max, 3).iter().all(|row| width(row) <= max), "{max}");
        }
        assert_eq!(wrap("one two three four", 9, 2), ["one two", "three fo…"]);
        assert_eq!(wrap("注文注文注文", 5, 3), ["注文", "注文", "注文"]);
        assert_eq!((lasted(45), lasted(510), lasted(7_500)), ("45 s".into(), "8 min 30 s".into(), "2 h 5 min".into()));
    }
}
