//! Parts of a text, by a regular expression with named groups.
use super::{Path, Target};
use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

/// The longest pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 2 * 1024;
/// What a compiled pattern may take, in bytes. Matching takes time in proportion to pattern and text, whatever they are
/// (the `regex` crate has no backtracking), so its size is all that has to be bounded.
const COMPILED_BYTES_MAX: usize = 512 * 1024;
/// How deep groups may nest.
const NEST_MAX: u32 = 32;

/// Takes a text apart: each named group that matched fills the field of its name, or else a label of that name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extract {
    pub from: Path,
    pub pattern: Pattern,
}

/// A regular expression in the syntax of the `regex` crate.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(Regex);

impl Pattern {
    /// What its named groups fill.
    pub fn targets(&self) -> impl Iterator<Item = Target> {
        self.0.capture_names().flatten().map(Target::named)
    }

    /// The texts of the named groups in the first match.
    pub fn texts<'t>(&self, text: &'t str) -> Vec<(Target, &'t str)> {
        let Some(found) = self.0.captures(text) else { return Vec::new() };
        let named = |name| Some((Target::named(name), found.name(name)?.as_str()));
        self.0.capture_names().flatten().filter_map(named).collect()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.0.as_str().to_owned()
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(format!("a pattern of {} bytes; at most {PATTERN_BYTES_MAX}", text.len()));
        }
        let regex = RegexBuilder::new(&text)
            .size_limit(COMPILED_BYTES_MAX)
            .dfa_size_limit(COMPILED_BYTES_MAX)
            .nest_limit(NEST_MAX)
            .build()
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => {
                    format!("a pattern that takes more than {COMPILED_BYTES_MAX} bytes; repeat less in it")
                }
                // Of the drawing that points at the place, what is said below it.
                other => other.to_string().lines().last().unwrap_or_default().replace("error: ", "a pattern: "),
            })?;
        if regex.capture_names().flatten().next().is_none() {
            return Err("a pattern without a named group, such as (?<entity>\\S+), extracts nothing".to_owned());
        }
        Ok(Self(regex))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Result<Pattern, String> {
        text.to_owned().try_into()
    }

    #[test]
    fn groups_fill_fields_and_labels() {
        let found = pattern(r"^(?<check>\w+) on (?<entity>\S+)( at (?<rack>\w+))?").expect("valid");
        let texts = found.texts("DiskFull on db-07 at r4");
        assert_eq!(texts.iter().map(|(_, text)| *text).collect::<Vec<_>>(), ["DiskFull", "db-07", "r4"]);
        assert!(texts[2].0 == Target::Label("rack".to_owned()));
        assert_eq!(found.texts("DiskFull on db-07").len(), 2);
        assert_eq!(found.texts("nothing").len(), 0);
    }

    #[test]
    fn patterns_that_explode_are_refused() {
        for (text, reason) in [
            ("(?<entity>[", "a pattern: unclosed character class"),
            (r"\w+", "a pattern without a named group"),
            (r"(?<entity>(\w{1000}){1000})", "a pattern that takes more than"),
            (
                &format!("(?<entity>{}a{})", "(".repeat(60), ")".repeat(60)),
                "a pattern: exceed the maximum number of nested",
            ),
            (&format!("(?<entity>{})", "a".repeat(3_000)), "a pattern of 3011 bytes"),
            (r"(?<entity>a)\1", "a pattern: backreferences are not supported"),
        ] {
            let error = pattern(text).expect_err(text);
            assert!(error.starts_with(reason), "{error}\n  instead of {reason}");
        }
        // Where another engine would take an hour.
        let slow = pattern("^(?<entity>(a*)*)*b$").expect("valid");
        assert!(slow.texts(&"a".repeat(100_000)).is_empty());
    }
}
