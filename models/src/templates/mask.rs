//! From the pieces of a line to its skeleton: values of keys, what is quoted and what stands in brackets vary, and variables
//! side by side are one. Each rule looks at a few neighbours; all run in one pass.
use super::{
    Parts,
    lex::{Kind, Token},
    words,
};

/// A quoted value ends within so many pieces.
const QUOTED_MAX: usize = 12;

/// The skeleton of these pieces.
pub fn mask(line: &[u8], pieces: &[Token], parts: &Parts, out: &mut Vec<Token>) {
    out.clear();
    let mut skeleton = Skeleton { line, parts, out };
    let mut i = 0;
    while let Some(piece) = pieces.get(i) {
        i += match skeleton.value(&pieces[i..]).or_else(|| skeleton.quoted(&pieces[i..])) {
            Some(taken) => taken,
            None => {
                skeleton.next(*piece);
                1
            }
        };
    }
    skeleton.finish();
}

/// Variables that have come to stand side by side become one.
pub fn collapse(line: &[u8], tokens: &[Token], parts: &Parts, out: &mut Vec<Token>) {
    out.clear();
    let mut skeleton = Skeleton { line, parts, out };
    tokens.iter().for_each(|token| skeleton.push(*token));
    skeleton.sign();
}

/// What may stand between two variables that are one.
pub fn joins(token: &Token, line: &[u8]) -> bool {
    match token.kind {
        Kind::Mark => {
            matches!(token.mark(line), b',' | b':' | b'-' | b'/' | b'|' | b'#' | b';' | b'+' | b'.' | b'*')
        }
        Kind::Word => matches!(token.text(line), b"##" | b"x"),
        Kind::Variable | Kind::Absent | Kind::Open | Kind::Phrase => false,
    }
}

/// Behind which an item of a list stands.
fn is_list(before: &Token, line: &[u8]) -> bool {
    matches!(before.mark(line), b'[' | b'(' | b'{' | b',')
}

struct Skeleton<'a> {
    line: &'a [u8],
    parts: &'a Parts,
    out: &'a mut Vec<Token>,
}

impl Skeleton<'_> {
    /// `=` and the value behind it, if there is a key: how many pieces are taken.
    fn value(&mut self, pieces: &[Token]) -> Option<usize> {
        let line = self.line;
        let (equals, value) = (pieces[0], pieces.get(1)?);
        let key = self.out.last()?;
        if !self.parts.key_value || !equals.is_mark(line, b'=') || !(key.is_variable() || key.is_name(line)) {
            return None;
        }
        self.next(equals);
        let behind = usize::from(equals.end);
        let mark = value.mark(line);
        if matches!(mark, b'"' | b'\'' | b'`') {
            let close = pieces.iter().take(QUOTED_MAX + 1).skip(2).position(|piece| piece.is_mark(line, mark));
            if let Some(close) = close {
                self.next(Token::variable(usize::from(value.start), usize::from(pieces[close + 2].end)));
                return Some(close + 3);
            }
        }
        let is_key = pieces.get(2).is_some_and(|piece| piece.is_mark(line, b'='));
        if self.parts.empty && (matches!(mark, b',' | b';' | b')' | b']' | b'}') || is_key) {
            self.next(Token::absent(behind));
            return Some(1);
        }
        let text = value.text(line);
        let is_word = value.kind == Kind::Word && text.first().is_some_and(|b| b.is_ascii_alphabetic() || *b >= 0x80);
        if is_word && !words::is_state(text) {
            self.next(Token::variable(usize::from(value.start), usize::from(value.end)));
            return Some(2);
        }
        Some(1)
    }

    /// One piece in quotes. What is longer may be a sentence.
    fn quoted(&mut self, pieces: &[Token]) -> Option<usize> {
        let &[open, word, close, ..] = pieces else { return None };
        let mark = open.mark(self.line);
        if !self.parts.quoted || !matches!(mark, b'"' | b'\'' | b'`') || !close.is_mark(self.line, mark) {
            return None;
        }
        if word.kind == Kind::Mark {
            return None;
        }
        let in_list = self.out.last().is_some_and(|before| is_list(before, self.line));
        let (from, to) = if in_list { (open.start, close.end) } else { (word.start, word.end) };
        self.next(Token::variable(usize::from(from), usize::from(to)));
        Some(3)
    }

    /// An empty bracket has an absent value.
    fn next(&mut self, mut token: Token) {
        let line = self.line;
        let mark = token.mark(line);
        if self.parts.empty && matches!(mark, b')' | b']') {
            let open = if mark == b')' { b'(' } else { b'[' };
            if self.out.last().is_some_and(|last| last.is_mark(line, open)) {
                let between = usize::from(token.start);
                self.push(Token::absent(between));
            }
        }
        // In a sentence it is printed; behind a mark it may be a setting.
        let is_printed = matches!(token.text(line), b"true" | b"false")
            && self.out.last().is_some_and(|last| last.kind != Kind::Mark);
        if self.parts.null && is_printed {
            token = Token::variable(usize::from(token.start), usize::from(token.end));
        }
        self.push(token);
    }

    fn push(&mut self, mut token: Token) {
        if !self.parts.collapse {
            self.out.push(token);
            return;
        }
        let line = self.line;
        let in_row = self.out.last().is_some_and(Token::is_variable);
        if token.is_variable() {
            self.calendar(&mut token);
            if self.in_row(&token) {
                return;
            }
            // `<5` is as `5`.
            if let [before @ .., last] = self.out.as_slice() {
                let is_sign = matches!(last.mark(line), b'<' | b'>' | b'~');
                if self.parts.unit && is_sign && !before.last().is_some_and(|token| token.is_name(line)) {
                    self.out.pop();
                }
            }
        } else if in_row && (self.unit(&token) || self.enclosed(&token) || self.braced(&token)) {
            return;
        }
        self.out.push(token);
    }

    /// The name of a month or day before a number is a part of it.
    fn calendar(&mut self, token: &mut Token) {
        if !self.parts.date || token.kind == Kind::Absent {
            return;
        }
        while let Some(last) = self.out.last() {
            let is_comma = last.is_mark(self.line, b',');
            let Some(name) = self.out.iter().rev().nth(usize::from(is_comma)) else { return };
            let text = name.text(self.line);
            if name.kind != Kind::Word || !(words::is_weekday(text) || (!is_comma && words::is_calendar(text))) {
                return;
            }
            token.start = name.start;
            self.out.truncate(self.out.len() - 1 - usize::from(is_comma));
        }
    }

    /// `V V` is `V`, and so is `V, V`.
    fn in_row(&mut self, token: &Token) -> bool {
        let between = match self.out.as_slice() {
            [.., last] if last.is_variable() => 0,
            [.., first, last] if first.is_variable() && joins(last, self.line) => 1,
            _ => return false,
        };
        self.out.truncate(self.out.len() - between);
        if let Some(last) = self.out.last_mut() {
            last.end = last.end.max(token.end);
            last.kind = if [last.kind, token.kind].contains(&Kind::Open) { Kind::Open } else { Kind::Variable };
        }
        true
    }

    /// `5 KB` is as `5`: the unit is left out.
    fn unit(&self, token: &Token) -> bool {
        self.parts.unit && token.kind == Kind::Word && words::is_unit(token.text(self.line))
    }

    /// `'V'` and `[V]` are as `V`: how a value is enclosed depends on what it is.
    fn enclosed(&mut self, token: &Token) -> bool {
        let line = self.line;
        let open = match token.mark(line) {
            b']' => b'[',
            mark @ (b'\'' | b'"' | b'`') => mark,
            _ => return false,
        };
        let &[.., before, value] = self.out.as_slice() else { return false };
        if !self.parts.quoted || !before.is_mark(line, open) {
            return false;
        }
        self.out.truncate(self.out.len() - 2);
        self.push(value);
        true
    }

    /// A value that is a record: `= Name { V }` is `= V`.
    fn braced(&mut self, token: &Token) -> bool {
        let line = self.line;
        let &[.., before, name, open, _] = self.out.as_slice() else { return false };
        let is_value = name.is_variable() || (name.is_name(line) && before.is_mark(line, b'='));
        if !self.parts.brace || !token.is_mark(line, b'}') || !open.is_mark(line, b'{') || !is_value {
            return false;
        }
        self.out.truncate(self.out.len() - 3);
        self.out.push(Token::variable(usize::from(name.start), usize::from(token.end)));
        true
    }

    fn finish(&mut self) {
        if let Some(last) = self.out.last()
            && self.parts.empty
            && last.is_mark(self.line, b'=')
        {
            let behind = usize::from(last.end);
            self.push(Token::absent(behind));
        }
        self.sign();
    }

    /// A sign before the first number is left out.
    fn sign(&mut self) {
        if let [sign, number, ..] = self.out.as_slice()
            && self.parts.collapse
            && matches!(sign.mark(self.line), b'+' | b'-')
            && number.is_variable()
        {
            self.out.remove(0);
        }
    }
}
