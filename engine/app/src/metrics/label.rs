//! Label values come from outside: they are cut, made harmless, and there is an end to how many there are.
use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

/// A value is cut to so many characters: enough for a topic's or a service's name.
const CHARACTERS_MAX: usize = 120;
/// Where values beyond the limit go.
const OTHER: &str = "(other)";

/// One line without control characters, which break the terminal of who looks at the page; the encoder escapes the rest.
pub(super) fn clean(value: &str) -> String {
    let mut kept = value.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c });
    let mut text: String = kept.by_ref().take(CHARACTERS_MAX).collect();
    if kept.next().is_some() {
        text.pop();
        text.push('…');
    }
    text
}

/// The values of a label that are told apart: the first so many, for as long as the process lives, so that a series goes
/// on once it has begun.
#[derive(Debug)]
pub struct Known {
    max: usize,
    values: Mutex<BTreeSet<String>>,
}

impl Known {
    /// Of so many values.
    pub const fn new(max: usize) -> Self {
        Self { max, values: Mutex::new(BTreeSet::new()) }
    }

    /// The value as it stands in the page.
    pub fn name(&self, value: &str) -> String {
        let value = clean(value);
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        if values.contains(&value) {
            return value;
        }
        if values.len() >= self.max {
            return OTHER.to_owned();
        }
        values.insert(value.clone());
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_one_harmless_line() {
        assert_eq!(clean("payments/eu-1"), "payments/eu-1");
        assert_eq!(clean("a\nb\x1b[31m\0\u{9b}"), "a\u{fffd}b\u{fffd}[31m\u{fffd}\u{fffd}");
        let long = clean(&"é".repeat(1_000_000));
        assert_eq!((long.chars().count(), long.ends_with("é…")), (CHARACTERS_MAX, true));
        assert_eq!(clean(&"x".repeat(CHARACTERS_MAX)).len(), CHARACTERS_MAX);
    }

    #[test]
    fn a_value_that_was_told_apart_still_is() {
        let known = Known::new(2);
        let names: Vec<_> = ["a", "b", "c", "a", "d"].into_iter().map(|value| known.name(value)).collect();
        assert_eq!(names, ["a", "b", OTHER, "a", OTHER]);
    }
}
