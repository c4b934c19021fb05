//! Reads a filter, by recursive descent over its text.
use super::{super::errors::invalid, Field, Filtered, Kind, Node, Op, Value};
use tonic::Status;

/// Of a filter, in bytes.
const BYTES_MAX: usize = 4_096;
/// Comparisons of one filter: each is done for each item.
const COMPARISONS_MAX: usize = 100;
/// Parentheses and negations within one another.
const DEPTH_MAX: usize = 32;

/// Reads a filter.
///
/// # Errors
/// `INVALID_ARGUMENT` with the place.
pub(super) fn parse<T: Filtered>(text: &str) -> Result<Node<T>, Status> {
    if text.len() > BYTES_MAX {
        return Err(invalid("filter", format_args!("{} bytes; at most {BYTES_MAX} bytes", text.len())));
    }
    let mut parser = Parser { text, at: 0, comparisons: 0, depth: 0 };
    parser.skip_blanks();
    if parser.rest().is_empty() {
        return Ok(Node::All(Vec::new()));
    }
    let node = parser.expression()?;
    if parser.rest().is_empty() { Ok(node) } else { Err(parser.wrong("AND or OR and a comparison are expected")) }
}

struct Parser<'a> {
    text: &'a str,
    /// In bytes, at the next thing that is no blank.
    at: usize,
    comparisons: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn wrong(&self, what: impl std::fmt::Display) -> Status {
        self.wrong_at(self.at, what)
    }

    fn wrong_at(&self, at: usize, what: impl std::fmt::Display) -> Status {
        invalid("filter", format_args!("at character {}: {what}", self.text[..at].chars().count() + 1))
    }

    /// Takes it if it comes next.
    fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
            self.skip_blanks();
        }
        found
    }

    /// Takes a word of the language: `NOT (`, but not `NOTE`.
    fn take_word(&mut self, word: &str) -> bool {
        let after = self.rest().strip_prefix(word);
        after.is_some_and(|after| !after.starts_with(is_word)) && self.take(word)
    }

    fn expression<T: Filtered>(&mut self) -> Result<Node<T>, Status> {
        self.joined("AND", Node::All, Self::factor)
    }

    fn factor<T: Filtered>(&mut self) -> Result<Node<T>, Status> {
        self.joined("OR", Node::Some, Self::term)
    }

    fn joined<T: Filtered>(
        &mut self,
        word: &str,
        join: fn(Vec<Node<T>>) -> Node<T>,
        one: fn(&mut Self) -> Result<Node<T>, Status>,
    ) -> Result<Node<T>, Status> {
        let first = one(self)?;
        if !self.take_word(word) {
            return Ok(first);
        }
        let mut nodes = vec![first, one(self)?];
        while self.take_word(word) {
            nodes.push(one(self)?);
        }
        Ok(join(nodes))
    }

    fn term<T: Filtered>(&mut self) -> Result<Node<T>, Status> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(
                self.wrong(format_args!("too deep: at most {DEPTH_MAX} parentheses and NOTs within one another"))
            );
        }
        let node = if self.take_word("NOT") || self.take("-") {
            Node::Not(Box::new(self.term()?))
        } else if self.take("(") {
            let node = self.expression()?;
            if !self.take(")") {
                return Err(self.wrong("AND, OR or ) is expected"));
            }
            node
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(node)
    }

    fn comparison<T: Filtered>(&mut self) -> Result<Node<T>, Status> {
        self.comparisons += 1;
        if self.comparisons > COMPARISONS_MAX {
            return Err(self.wrong(format_args!("at most {COMPARISONS_MAX} comparisons")));
        }
        let name: &str = self.while_word();
        let Some(field) = T::FIELDS.iter().find(|field| field.name == name) else {
            let known: Vec<_> = T::FIELDS.iter().map(|field| field.name).collect();
            return Err(self.wrong(format_args!("a field is expected, one of: {}", known.join(", "))));
        };
        self.at += name.len();
        let key = self.key(field)?;
        self.skip_blanks();
        let op_at = self.at;
        let op = self.op()?;
        let value_at = self.at;
        let (raw, quoted) = self.value()?;
        let value = Raw { field, op, raw, quoted }.read(key).map_err(|wrong| match wrong {
            Wrong::Op(what) => self.wrong_at(op_at, what),
            Wrong::Value(what) => self.wrong_at(value_at, what),
        })?;
        Ok(Node::Test(field, op, value))
    }

    fn while_word(&self) -> &'a str {
        let rest = self.rest();
        &rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())]
    }

    /// What stands behind a dot: a label's key, which may have dots.
    fn key<T>(&mut self, field: &Field<T>) -> Result<Option<String>, Status> {
        if !self.rest().starts_with('.') {
            return Ok(None);
        }
        self.at += 1;
        if !matches!(field.kind, Kind::Labels(_)) {
            return Err(self.wrong_at(self.at - 1, format_args!("{} has no parts", field.name)));
        }
        if self.rest().starts_with('"') {
            return Ok(Some(self.quoted()?));
        }
        let rest = self.rest();
        let end = rest.find(|c: char| !(is_word(c) || matches!(c, '.' | '/' | '-'))).unwrap_or(rest.len());
        if end == 0 {
            return Err(self.wrong("a label's key is expected"));
        }
        self.at += end;
        Ok(Some(rest[..end].to_owned()))
    }

    fn op(&mut self) -> Result<Op, Status> {
        for (token, op) in [
            ("!=", Op::Unequal),
            ("<=", Op::LessOrEqual),
            (">=", Op::MoreOrEqual),
            ("=", Op::Equal),
            ("<", Op::Less),
            (">", Op::More),
            (":", Op::Has),
        ] {
            if self.take(token) {
                return Ok(op);
            }
        }
        Err(self.wrong("one of = != < <= > >= : is expected"))
    }

    /// A quoted text, or a word; and whether it was quoted.
    fn value(&mut self) -> Result<(String, bool), Status> {
        if self.rest().starts_with('"') {
            return Ok((self.quoted()?, true));
        }
        let rest = self.rest();
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '"')).unwrap_or(rest.len());
        if end == 0 {
            return Err(self.wrong("a value is expected, like \"NEW\""));
        }
        self.at += end;
        self.skip_blanks();
        Ok((rest[..end].to_owned(), false))
    }

    /// A text in quotes, with `\"` and `\\`.
    fn quoted(&mut self) -> Result<String, Status> {
        let mut value = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += at + 1;
                    self.skip_blanks();
                    return Ok(value);
                }
                '\\' => value.extend(chars.next().map(|(_, c)| c)),
                other => value.push(other),
            }
        }
        Err(self.wrong("a text that has no end: \" is expected"))
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// A comparison as it was written.
struct Raw<T: 'static> {
    field: &'static Field<T>,
    op: Op,
    raw: String,
    quoted: bool,
}

enum Wrong {
    Op(String),
    Value(String),
}

impl<T> Raw<T> {
    /// The value as its field has it.
    fn read(self, key: Option<String>) -> Result<Value, Wrong> {
        let name = self.field.name;
        let set = self.op == Op::Has && self.raw == "*" && !self.quoted;
        let value = |what: &str| Wrong::Value(format!("{what} is expected for {name}"));
        match &self.field.kind {
            Kind::Labels(_) => match key {
                Some(key) => Ok(Value::Label(key, Box::new(self.text(set)))),
                None if self.op == Op::Has => Ok(Value::Label(self.raw, Box::new(Value::Any))),
                None => Err(Wrong::Op("labels.region = \"eu\" or labels:region is expected".to_owned())),
            },
            Kind::Text(_) | Kind::Texts(_) => Ok(self.text(set)),
            Kind::List(_) if self.op != Op::Has => Err(Wrong::Op(format!("{name} is a list: use {name}:\"one\""))),
            Kind::List(_) if set => Ok(Value::Any),
            Kind::List(_) => Ok(Value::Text(self.raw)),
            Kind::Time(_) if set => Ok(Value::Any),
            _ if self.op == Op::Has => Err(Wrong::Op(format!("{name} is one value: use ="))),
            Kind::Number(_) => {
                let number = self.raw.parse().ok().filter(|number: &f64| number.is_finite());
                number.map(Value::Number).ok_or_else(|| value("a number"))
            }
            Kind::Flag(_) if !matches!(self.op, Op::Equal | Op::Unequal) => {
                Err(Wrong::Op(format!("= or != is expected for {name}")))
            }
            Kind::Flag(_) => self.raw.parse().map(Value::Flag).map_err(|_| value("true or false")),
            Kind::Time(_) => {
                let time: Result<jiff::Timestamp, _> = self.raw.parse();
                let time = time.map(|time| Value::Time(time.as_millisecond()));
                time.map_err(|_| value("a time with an offset, like \"2026-01-05T00:00:00Z\","))
            }
            Kind::Word(_, word) => {
                // `critical` and `in progress`, as people are shown them.
                let raw = self.raw.to_ascii_uppercase().replace([' ', '-'], "_");
                let found = (1..WORDS_END).find(|number| word(*number) == Some(&raw));
                let known = || (1..WORDS_END).filter_map(word).collect::<Vec<_>>().join(", ");
                found.map(Value::Word).ok_or_else(|| value(&format!("one of {}", known())))
            }
        }
    }

    fn text(self, set: bool) -> Value {
        match self.op {
            _ if set => Value::Any,
            Op::Has => Value::Part(self.raw.to_lowercase()),
            _ => Value::Text(self.raw),
        }
    }
}

/// The numbers of an enumeration's words are below it, from 1 on: 0 is none of them.
const WORDS_END: i32 = 32;
