//! Matchers as text: names and values may be quoted, with `\"`, `\\` and `\n`; braces and a last comma may stand.
use super::{Comparison, Field, Matcher, MatcherError, TEXT_MAX};
use std::fmt::{self, Write as _};

/// What a name holds only between quotes.
pub(super) const fn is_special(c: char) -> bool {
    matches!(c, '=' | '!' | '~' | '{' | '}' | ',' | '"' | '\\' | '\n') || c.is_ascii_whitespace()
}

/// Between quotes.
pub(super) fn quote(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

/// One matcher, and nothing after it.
pub(super) fn one(text: &str) -> Result<Matcher, MatcherError> {
    let mut reader = Reader::new(text)?;
    let matcher = reader.matcher()?;
    reader.end()?;
    Ok(matcher)
}

/// A set, in braces or without.
pub(super) fn set(text: &str) -> Result<Vec<Matcher>, MatcherError> {
    let mut reader = Reader::new(text)?;
    let braced = reader.takes("{");
    let mut matchers = Vec::new();
    while !reader.rest.is_empty() && !reader.rest.starts_with('}') {
        matchers.push(reader.matcher()?);
        if !reader.takes(",") {
            break;
        }
    }
    if braced && !reader.takes("}") {
        return Err(reader.error("a `,` or the closing `}`"));
    }
    reader.end()?;
    if matchers.is_empty() {
        return Err(MatcherError("no matcher: write one like check=\"latency\"".to_owned()));
    }
    Ok(matchers)
}

struct Reader<'a> {
    text: &'a str,
    /// Without blanks before it.
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Result<Self, MatcherError> {
        if text.len() > TEXT_MAX {
            return Err(MatcherError(format!("matchers of {} bytes: at most {TEXT_MAX}", text.len())));
        }
        Ok(Self { text, rest: text.trim_start() })
    }

    fn error(&self, expected: &str) -> MatcherError {
        let column = self.text[..self.text.len() - self.rest.len()].chars().count() + 1;
        MatcherError(format!("`{}`: expected {expected} at character {column}", self.text))
    }

    fn takes(&mut self, token: &str) -> bool {
        let after = self.rest.strip_prefix(token);
        self.rest = after.map_or(self.rest, str::trim_start);
        after.is_some()
    }

    fn end(&self) -> Result<(), MatcherError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.error("a `,` or the end")) }
    }

    fn matcher(&mut self) -> Result<Matcher, MatcherError> {
        let name = match self.quoted()? {
            Some(name) => name,
            None => self.bare(self.rest.find(is_special)).to_owned(),
        };
        if name.is_empty() {
            return Err(self.error("a name"));
        }
        let comparison = self.comparison()?;
        let value = match self.quoted()? {
            Some(value) => value,
            None => {
                let value = self.bare(self.rest.find([',', '}', '"']));
                if self.rest.starts_with('"') {
                    return Err(self.error("a value that is quoted as a whole, or has \\\" for a quote in it"));
                }
                value.trim_end().to_owned()
            }
        };
        Matcher::new(Field::of(&name), comparison, &value)
    }

    fn comparison(&mut self) -> Result<Comparison, MatcherError> {
        let all = [Comparison::Matches, Comparison::MatchesNot, Comparison::IsNot, Comparison::Is];
        let found = all.into_iter().find(|c| self.takes(c.sign()));
        found.ok_or_else(|| self.error("=, !=, =~ or !~"))
    }

    fn bare(&mut self, end: Option<usize>) -> &'a str {
        let (text, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest.trim_start();
        text
    }

    /// What stands between quotes, if a quote is next. As in Alertmanager, a backslash before anything else stands for
    /// itself: `\d` needs no second one.
    fn quoted(&mut self) -> Result<Option<String>, MatcherError> {
        let Some(inner) = self.rest.strip_prefix('"') else { return Ok(None) };
        let (mut text, mut chars) = (String::new(), inner.char_indices());
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = inner[at + 1..].trim_start();
                    return Ok(Some(text));
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, c @ ('"' | '\\'))) => text.push(c),
                    Some((_, c)) => text.extend(['\\', c]),
                    None => break,
                },
                c => text.push(c),
            }
        }
        Err(self.error("the quote to be closed, which begins"))
    }
}
