//! A configuration of two TOML texts: the defaults, which are the manual, and the user's, laid over them.
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use std::{fmt, path::Path};
use toml::{Table, Value};
use toml_edit::{Document, Item, TableLike};

/// How the defaults are called in errors.
const DEFAULTS: &str = "default.toml";

/// What is wrong with a configuration: `file:line: key.path: reason`, with the column too where the text is no TOML.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// The file as the user named it.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters; only where the text is no TOML.
    pub column: Option<usize>,
    /// `source[0].format`; empty where it is about no key.
    pub key: String,
    /// In words.
    pub reason: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)?;
        if let Some(column) = self.column {
            write!(f, ":{column}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// The `defaults` with the `user`'s text (and the name of its file) laid over them: tables are merged key by key,
/// everything else, arrays and arrays of tables too, is replaced.
///
/// # Errors
/// The first thing that is wrong: no TOML, an unknown key (where `T` denies them), a wrong type, a value refused.
pub fn load<T: DeserializeOwned>(defaults: &str, user: Option<(&Path, &str)>) -> Result<T, ConfigError> {
    let default_text = Text::new(DEFAULTS.to_owned(), defaults)?;
    let mut merged = default_text.table()?;
    let mut texts = vec![default_text];
    if let Some((path, text)) = user {
        let text = Text::new(path.display().to_string(), text)?;
        merge(&mut merged, text.table()?);
        // What the user wrote is what the error is about, unless it isn't there.
        texts.insert(0, text);
    }
    serde_path_to_error::deserialize(Value::Table(merged)).map_err(|error| explain(&texts, &error))
}

fn merge(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Table(under)), Value::Table(over)) => merge(under, over),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

/// A TOML text that knows where its keys stand.
struct Text<'a> {
    file: String,
    text: &'a str,
    document: Document<&'a str>,
}

impl<'a> Text<'a> {
    fn new(file: String, text: &'a str) -> Result<Self, ConfigError> {
        match Document::parse(text) {
            Ok(document) => Ok(Self { file, text, document }),
            Err(error) => Err(syntax(file, text, error.span().map_or(0, |span| span.start), error.message())),
        }
    }

    fn table(&self) -> Result<Table, ConfigError> {
        let parsed: Result<Table, toml::de::Error> = self.text.parse();
        parsed.map_err(|error| {
            syntax(self.file.clone(), self.text, error.span().map_or(0, |span| span.start), error.message())
        })
    }

    /// The line, from 1, of the deepest part of the path that stands in this text, and how many of its parts do.
    fn find(&self, path: &[Part]) -> (usize, usize) {
        let (mut offset, mut depth) = (0, 0);
        let mut here = Place::Table(self.document.as_table());
        for part in path {
            let Some((start, next)) = here.step(part) else { break };
            offset = start.unwrap_or(offset);
            depth += 1;
            here = next;
        }
        (position(self.text, offset).0, depth)
    }
}

fn syntax(file: String, text: &str, offset: usize, message: &str) -> ConfigError {
    let (line, column) = position(text, offset);
    let reason = message.trim().replace('\n', ", ");
    ConfigError { file, line, column: Some(column), key: String::new(), reason }
}

/// Line and column, from 1, of a byte.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(offset)];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// A step on the way to a key.
#[derive(Clone, Debug, PartialEq)]
enum Part {
    Key(String),
    Index(usize),
}

/// Where a path has led to.
enum Place<'d> {
    Table(&'d dyn TableLike),
    Item(&'d Item),
    Value(&'d toml_edit::Value),
}

impl<'d> Place<'d> {
    /// One step on, with the byte where what it leads to begins.
    fn step(&self, part: &Part) -> Option<(Option<usize>, Self)> {
        match (part, self) {
            (Part::Key(key), _) => {
                let table = match self {
                    Self::Table(table) => *table,
                    Self::Item(item) => item.as_table_like()?,
                    Self::Value(value) => value.as_inline_table()?,
                };
                let (name, item) = table.get_key_value(key)?;
                // A table made by its children's headers alone has no place of its own.
                let span = name.span().or_else(|| item.span());
                Some((span.map(|span| span.start), Self::Item(item)))
            }
            (Part::Index(index), Self::Item(Item::ArrayOfTables(tables))) => {
                let table = tables.get(*index)?;
                Some((table.span().map(|span| span.start), Self::Table(table)))
            }
            (Part::Index(index), Self::Item(Item::Value(toml_edit::Value::Array(array))))
            | (Part::Index(index), Self::Value(toml_edit::Value::Array(array))) => {
                let value = array.get(*index)?;
                Some((value.span().map(|span| span.start), Self::Value(value)))
            }
            _ => None,
        }
    }
}

fn explain(texts: &[Text<'_>], error: &serde_path_to_error::Error<toml::de::Error>) -> ConfigError {
    let mut path: Vec<Part> = Vec::new();
    for segment in error.path() {
        match segment {
            Segment::Map { key } => path.push(Part::Key(key.clone())),
            Segment::Seq { index } => path.push(Part::Index(*index)),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    let message = error.inner().message().trim();
    let reason = match quoted(message).split_first() {
        Some((unknown, known)) if message.starts_with("unknown field") => {
            let key = Part::Key((*unknown).to_owned());
            if path.last() != Some(&key) {
                path.push(key);
            }
            match nearest(unknown, known) {
                Some(known) => format!("unknown key; did you mean `{known}`?"),
                None if known.is_empty() => "unknown key".to_owned(),
                None => format!("unknown key, one of: {}", known.join(", ")),
            }
        }
        _ => message.replace('\n', ", "),
    };
    let mut best: Option<(&Text<'_>, usize, usize)> = None;
    for text in texts {
        let (line, depth) = text.find(&path);
        if best.is_none_or(|(_, _, deepest)| depth > deepest) {
            best = Some((text, line, depth));
        }
    }
    let (file, line) = best.map_or((DEFAULTS.to_owned(), 1), |(text, line, _)| (text.file.clone(), line));
    ConfigError { file, line, column: None, key: written(&path), reason }
}

/// An error about a value that is well-formed and can't be all the same: `key: reason`, such as
/// `source[0].topics: at least one`.
///
/// # Errors
/// Where the defaults are no TOML.
pub fn refused(defaults: &str, user: Option<(&Path, &str)>, error: &str) -> Result<ConfigError, ConfigError> {
    let (key, reason) = error.split_once(": ").unwrap_or(("", error));
    let mut path = Vec::new();
    for part in key.split('.') {
        let (name, index) = part.strip_suffix(']').and_then(|part| part.split_once('[')).unwrap_or((part, ""));
        path.push(Part::Key(name.to_owned()));
        path.extend(index.parse().ok().map(Part::Index));
    }
    let (path_of_file, text) = user.unwrap_or((Path::new(DEFAULTS), defaults));
    let text = Text::new(path_of_file.display().to_string(), text)?;
    let line = text.find(&path).0;
    Ok(ConfigError { file: text.file, line, column: None, key: key.to_owned(), reason: reason.to_owned() })
}

/// `source[0].format`.
fn written(path: &[Part]) -> String {
    let mut text = String::new();
    for part in path {
        match part {
            Part::Key(key) if text.is_empty() => text += key,
            Part::Key(key) => text += &format!(".{key}"),
            Part::Index(index) => text += &format!("[{index}]"),
        }
    }
    text
}

/// What stands between backticks.
fn quoted(message: &str) -> Vec<&str> {
    message.split('`').skip(1).step_by(2).collect()
}

/// The known key that was most likely meant: at most a third of its letters differ.
fn nearest<'k>(unknown: &str, known: &[&'k str]) -> Option<&'k str> {
    let distances = known.iter().map(|name| (distance(unknown, name), *name));
    distances.min().filter(|(distance, name)| *distance <= name.len().max(3) / 3).map(|(_, name)| name)
}

/// Levenshtein's edit distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::collections::BTreeMap;

    const DEFAULT: &str = "data_dir = \"quell-data\"\n\n[server]\nlisten = \"127.0.0.1:7117\"\n\n[server.limits]\nbody = \
                           16\nwait = \"30s\"\n\n[kafka.properties]\nretries = \"5\"\n\n[[source]]\nkind = \"http\"\n";

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        data_dir: String,
        server: Server,
        kafka: Kafka,
        source: Vec<Source>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Server {
        listen: String,
        limits: Limits,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Limits {
        body: u64,
        wait: quell_core::domain::time::Span,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Kafka {
        properties: BTreeMap<String, String>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Source {
        kind: String,
        #[serde(default)]
        topics: Vec<String>,
    }

    fn from(text: &str) -> Result<Config, ConfigError> {
        load(DEFAULT, Some((Path::new("my.toml"), text)))
    }

    #[test]
    fn tables_are_merged_and_arrays_replaced() {
        let config: Config = load(DEFAULT, None).expect("the defaults alone");
        assert_eq!((config.data_dir.as_str(), config.source.len()), ("quell-data", 1));
        let text = "[server.limits]\nbody = 17\n[kafka.properties]\nacks = \"all\"\n[[source]]\nkind = \"kafka\"\ntopics \
                    = [\"a\", \"b\"]\n";
        let config = from(text).expect("valid");
        assert_eq!((config.server.listen.as_str(), config.server.limits.body), ("127.0.0.1:7117", 17));
        assert_eq!(config.server.limits.wait, quell_core::domain::time::Span::seconds(30));
        assert_eq!(config.kafka.properties.len(), 2);
        assert_eq!((config.source.len(), config.source[0].kind.as_str()), (1, "kafka"));
        assert_eq!(config.source[0].topics, ["a", "b"]);
        assert!(from("source = []").expect("valid").source.is_empty());
    }

    #[test]
    fn what_is_wrong_is_named_by_file_line_and_key() {
        for (text, expected) in [
            ("dat_dir = 1", "my.toml:1: dat_dir: unknown key; did you mean `data_dir`?"),
            ("\n[sevrer]\nlisten = 1", "my.toml:2: sevrer: unknown key; did you mean `server`?"),
            ("[zebra]", "my.toml:1: zebra: unknown key, one of: data_dir, server, kafka, source"),
            ("[server]\nlistne = 1", "my.toml:2: server.listne: unknown key; did you mean `listen`?"),
            ("[server]\n\nlimits.size = 1", "my.toml:3: server.limits.size: unknown key, one of: body, wait"),
            ("server = { listne = 1 }", "my.toml:1: server.listne: unknown key; did you mean `listen`?"),
            ("[server]\nlisten = 7117", "my.toml:2: server.listen: invalid type: integer `7117`, expected a string"),
            ("\nserver = 5", "my.toml:2: server: invalid type: integer `5`, expected struct Server"),
            (
                "[server.limits]\nwait = \"soon\"",
                "my.toml:2: server.limits.wait: `soon` is not a span of time; write it like 30s, 2m, 1h30m or 7d",
            ),
            ("[server.limits]\nbody = -1", "my.toml:2: server.limits.body: invalid value: integer `-1`, expected u64"),
            (
                "[[source]]\nkind = \"http\"\n[[source]]\nkind = \"kafka\"\ntopisc = [\"a\"]",
                "my.toml:5: source[1].topisc: unknown key; did you mean `topics`?",
            ),
            (
                "[[source]]\nkind = \"kafka\"\ntopics = [\n  \"a\",\n  2,\n]",
                "my.toml:5: source[0].topics[1]: invalid type: integer `2`, expected a string",
            ),
            ("[[source]]\nkind = \"http\"\n\n[[source]]\n", "my.toml:4: source[1]: missing field `kind`"),
            ("source = [{ kind = 1 }]", "my.toml:1: source[0].kind: invalid type: integer `1`, expected a string"),
        ] {
            assert_eq!(from(text).expect_err(text).to_string(), expected, "{text}");
        }
    }

    #[test]
    fn a_text_that_is_no_toml_is_named_by_line_and_column() {
        for (text, place) in [
            ("data_dir = \"x\"\n[server\nlisten = 1", "my.toml:2:8: "),
            ("data_dir = \n", "my.toml:1:"),
            ("a = 1\na = 2\n", "my.toml:2:1: duplicate key"),
            ("größe = 'ü' x", "my.toml:1:"),
            ("\"open", "my.toml:1:"),
        ] {
            let error = from(text).expect_err(text);
            assert!(error.to_string().starts_with(place) && error.column.is_some(), "{error}");
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }

    #[test]
    fn an_error_of_the_defaults_is_theirs() {
        let text = DEFAULT.replace("body = 16", "body = true");
        let error = load::<Config>(&text, Some((Path::new("my.toml"), "data_dir = \"x\""))).expect_err("wrong type");
        assert_eq!(error.to_string(), "default.toml:7: server.limits.body: invalid type: boolean `true`, expected u64");
    }
}
