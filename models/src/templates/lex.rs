//! A line as words, marks and what is variable by the way it is written. One pass over its bytes; a table says of what class
//! each is.
use super::{Parts, words};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// Hash of what is variable.
pub const VARIABLE: u64 = 0x9E37_79B9_7F4A_7C15;

/// Dots that lead from a name to its value (`depth......7`), or an omission: they end a word.
const LEADER: &[u8] = b"...";

const SPACE: u16 = 1;
const WORD: u16 = 2;
const DIGIT: u16 = 4;
const LETTER: u16 = 8;
const HEX: u16 = 16;
const DOT: u16 = 32;
const SLASH: u16 = 64;
const AT: u16 = 128;
/// Ends a path or an URL.
const STOP: u16 = 256;

static CLASS: [u16; 256] = classes();

/// Of each byte. Letters beyond ASCII are words up to U+1FFF; of scripts that put no spaces between words, and of signs, each
/// character stands alone.
const fn classes() -> [u16; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        let mut class = 0;
        if b.is_ascii_whitespace() || b == 0x0b {
            class |= SPACE | STOP;
        }
        if b.is_ascii_digit() {
            class |= WORD | DIGIT;
        }
        if b.is_ascii_alphabetic() || (b >= 0x80 && b < 0xE2) {
            class |= WORD | LETTER;
        }
        if b.is_ascii_hexdigit() {
            class |= HEX;
        }
        if matches!(
            b,
            b'_' | b'-'
                | b'.'
                | b'/'
                | b'@'
                | b'$'
                | b'+'
                | b'%'
                | b'*'
                | b'~'
                | b'#'
                | b'\\'
                | b'&'
                | b'!'
                | b'?'
                | b'^'
                | b'|'
        ) {
            class |= WORD;
        }
        match b {
            b'.' => class |= DOT,
            b'/' => class |= SLASH,
            b'@' => class |= AT,
            b'"' | b'\'' | b'<' | b'>' | b'(' | b')' | b',' | b';' | b'[' | b']' | b'{' | b'}' | b'`' => class |= STOP,
            _ => {}
        }
        table[byte] = class;
        byte += 1;
    }
    table
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// By how it is written.
    Variable,
    /// A variable with no value, so far.
    Absent,
    /// Where words vary, as was learned.
    Open,
    Word,
    /// One character that belongs to no word, or what ends a sentence.
    Mark,
    /// The words behind a colon, to the end, where they vary, as was learned.
    Phrase,
}

/// A piece of a line; 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    pub hash: u64,
    /// Where it stands in the line, in bytes; nothing between them where a value is absent.
    pub start: u16,
    pub end: u16,
    pub kind: Kind,
}

impl Token {
    pub const fn variable(start: usize, end: usize) -> Self {
        Self { hash: VARIABLE, start: start as u16, end: end as u16, kind: Kind::Variable }
    }

    /// One with no value.
    pub const fn absent(at: usize) -> Self {
        Self { kind: Kind::Absent, ..Self::variable(at, at) }
    }

    pub fn is_variable(&self) -> bool {
        matches!(self.kind, Kind::Variable | Kind::Absent | Kind::Open | Kind::Phrase)
    }

    /// As it is written.
    pub fn text<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        line.get(usize::from(self.start)..usize::from(self.end)).unwrap_or_default()
    }

    /// Whether it is this mark.
    pub fn is_mark(&self, line: &[u8], mark: u8) -> bool {
        self.kind == Kind::Mark && self.text(line) == [mark]
    }

    /// The mark of one byte that it is, or 0.
    pub fn mark(&self, line: &[u8]) -> u8 {
        match (self.kind, self.text(line)) {
            (Kind::Mark, &[mark]) => mark,
            _ => 0,
        }
    }

    /// A word that begins with a letter or a digit.
    pub fn is_name(&self, line: &[u8]) -> bool {
        self.kind == Kind::Word && self.text(line).first().is_some_and(|b| of(*b) & (LETTER | DIGIT) != 0)
    }
}

fn of(byte: u8) -> u16 {
    CLASS[usize::from(byte)]
}

/// At this offset, or 0 beyond the end.
fn at(line: &[u8], offset: usize) -> u8 {
    line.get(offset).copied().unwrap_or_default()
}

/// The first offset from `from` on whose class has none of these bits (`wanted`: has any).
fn run(line: &[u8], from: usize, class: u16, wanted: bool) -> usize {
    let rest = line.get(from..).unwrap_or_default();
    from + rest.iter().position(|b| (of(*b) & class != 0) != wanted).unwrap_or(rest.len())
}

/// The pieces of a line of at most 65,535 bytes, at most `max` of them.
pub fn lex(line: &[u8], parts: &Parts, max: usize, tokens: &mut Vec<Token>) {
    tokens.clear();
    let mut offset = 0;
    while offset < line.len() && tokens.len() < max {
        let class = of(line[offset]);
        offset = if class & SPACE != 0 {
            offset + 1
        } else if class & WORD == 0 {
            let end = (offset + width(line[offset])).min(line.len());
            tokens.push(mark(line, offset, end));
            end
        } else {
            word(line, offset, parts, tokens)
        };
    }
}

/// Bytes of the character that begins so.
const fn width(first: u8) -> usize {
    match first {
        0..0xE0 => 1,
        0xE0..0xF0 => 3,
        _ => 4,
    }
}

fn mark(line: &[u8], start: usize, end: usize) -> Token {
    let text = &line[start..end];
    let hash = match text {
        &[byte] => (u64::from(byte) + 1).wrapping_mul(0xD6E8_FEB8_6659_FD93).rotate_left(29),
        _ => xxh3_64(text),
    };
    Token { hash, start: start as u16, end: end as u16, kind: Kind::Mark }
}

/// What begins with a byte of a word: where it ends.
fn word(line: &[u8], start: usize, parts: &Parts, tokens: &mut Vec<Token>) -> usize {
    if line[start..].starts_with(LEADER) {
        let end = start + line[start..].iter().position(|b| *b != b'.').unwrap_or(line.len() - start);
        ending(line, start, end, tokens);
        return end;
    }
    if parts.hex
        && of(line[start]) & HEX != 0
        && let Some(end) = groups(line, start)
    {
        tokens.push(Token::variable(start, end));
        return end;
    }
    if parts.path
        && let Some(end) = path(line, start)
    {
        return variable(line, start, end, tokens);
    }
    let (mut end, mut seen) = (start, 0);
    while end < line.len() && of(line[end]) & WORD != 0 && !(line[end] == b'.' && line[end..].starts_with(LEADER)) {
        seen |= of(line[end]);
        end += 1;
    }
    if parts.url && at(line, end) == b':' && line[end..].starts_with(b"://") && is_scheme(&line[start..end]) {
        let end = run(line, end, STOP, false);
        return variable(line, start, end, tokens);
    }
    let stop = sentence(line, start, end);
    if start < stop {
        tokens.push(classified(line, start, stop, seen, parts));
    }
    ending(line, stop, end, tokens);
    end
}

/// What is variable up to what ends a sentence.
fn variable(line: &[u8], start: usize, end: usize, tokens: &mut Vec<Token>) -> usize {
    let stop = sentence(line, start, end);
    tokens.push(Token::variable(start, stop));
    ending(line, stop, end, tokens);
    end
}

/// Where the full stops, exclamation and question marks at the end of a word begin.
fn sentence(line: &[u8], start: usize, end: usize) -> usize {
    start + line[start..end].iter().rposition(|b| !matches!(b, b'.' | b'!' | b'?')).map_or(0, |last| last + 1)
}

/// Four and more are as three.
fn ending(line: &[u8], start: usize, end: usize, tokens: &mut Vec<Token>) {
    match end - start {
        0 => {}
        1..4 => tokens.push(mark(line, start, end)),
        _ => tokens.push(Token { hash: xxh3_64(LEADER), start: start as u16, end: end as u16, kind: Kind::Mark }),
    }
}

fn is_scheme(text: &[u8]) -> bool {
    text.first().is_some_and(u8::is_ascii_alphabetic)
        && text.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'.' | b'-'))
}

/// Where a path that begins here ends: `/a`, `./a`, `../a`, `~/a`, `C:\a`, `\a`.
fn path(line: &[u8], start: usize) -> Option<usize> {
    let is_slash = |b| b == b'/' || b == b'\\';
    let root = match line[start] {
        b'/' | b'\\' => start,
        b'.' if at(line, start + 1) == b'.' => start + 2,
        b'.' | b'~' => start + 1,
        b if b.is_ascii_alphabetic() && at(line, start + 1) == b':' => start + 2,
        _ => return None,
    };
    if !is_slash(at(line, root)) {
        return None;
    }
    let mut end = root;
    let mut has_name = false;
    while end < line.len() && of(line[end]) & STOP == 0 && line[end] != b':' {
        has_name |= of(line[end]) & (LETTER | DIGIT) != 0 || matches!(line[end], b'_' | b'*');
        end += 1;
    }
    has_name.then_some(end)
}

/// Where groups of up to four hexadecimal digits with colons between end: three colons, or two side by side (an address whose
/// zeros are left out).
fn groups(line: &[u8], start: usize) -> Option<usize> {
    let (mut offset, mut colons, mut doubled) = (start, 0, false);
    loop {
        let end = run(line, offset, HEX, true);
        if end - offset > 4 {
            return None;
        }
        // After one colon a group has to follow, after two it may.
        if end == offset && !(doubled && at(line, offset - 1) == b':' && at(line, offset - 2) == b':') {
            return None;
        }
        offset = end;
        if at(line, offset) != b':' || (at(line, offset + 1) != b':' && of(at(line, offset + 1)) & HEX == 0) {
            break;
        }
        colons += 1;
        offset += 1;
        if at(line, offset) == b':' {
            if doubled {
                return None;
            }
            doubled = true;
            offset += 1;
        }
    }
    let is_border = of(at(line, offset)) & WORD == 0 || matches!(at(line, offset), b'/' | b'.');
    (is_border && (colons >= 3 || doubled)).then_some(offset)
}

/// A word, or what is variable by how it is written; `seen` are the classes of its bytes.
fn classified(line: &[u8], start: usize, end: usize, seen: u16, parts: &Parts) -> Token {
    let text = &line[start..end];
    if text.len() == 1 && of(text[0]) & (LETTER | DIGIT) == 0 {
        return mark(line, start, end);
    }
    let varies = (seen & DIGIT != 0 && (parts.digit || text.iter().all(u8::is_ascii_digit)))
        || (seen & AT != 0 && text[1..text.len().saturating_sub(1).max(1)].contains(&b'@'))
        || (parts.path && seen & SLASH != 0 && is_path(text))
        || (parts.dotted && seen & DOT != 0 && is_dotted(text))
        || (parts.null && words::is_null(text))
        || (parts.hex && text.len() >= 8 && text.iter().all(u8::is_ascii_hexdigit));
    if varies {
        return Token::variable(start, end);
    }
    Token { hash: xxh3_64(text), start: start as u16, end: end as u16, kind: Kind::Word }
}

/// Two slashes, or one behind a dot: `and/or` is none.
fn is_path(text: &[u8]) -> bool {
    let mut slashes = text.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| at);
    let Some(first) = slashes.next() else { return false };
    (first == 0 && text.len() > 1) || slashes.next().is_some() || text[..first].contains(&b'.')
}

/// Names with two dots: hosts, classes, packages. A last part all in capitals is the name of a constant.
fn is_dotted(text: &[u8]) -> bool {
    let mut dots = 0;
    let mut last = 0;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'.' if at == last => return false,
            b'.' => {
                dots += 1;
                last = at + 1;
            }
            b'_' | b'-' | b'$' => {}
            byte if of(*byte) & (LETTER | DIGIT) != 0 => {}
            _ => return false,
        }
    }
    let tail = &text[last..];
    let is_constant =
        tail.iter().any(u8::is_ascii_uppercase) && !tail.iter().any(|b| b.is_ascii_lowercase() || *b >= 0x80);
    dots >= 2 && !tail.is_empty() && !is_constant && !matches!(text[0], b'-' | b'$')
}
