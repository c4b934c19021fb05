//! Values of several words: what an error says, behind a colon at the end of a line (`perror(3)` writes so, and what is made of
//! `"…: %s"`, `{err}` and `%w`).
//!
//! A *head* is a line up to its last colon, a *tail* the words behind it. A tail that stands behind heads that have little in common is a phrase that is passed on; a
//! head that is followed by several tails, most of them such phrases (or what varies by how it is written), is a template whose tail varies.
use super::{
    lex::{Kind, Token},
    slots, words,
};
use crate::stir::stir;

/// Words of a tail.
const WORDS_MAX: usize = 12;
/// Words of a head: less is what names a component, and what stands behind it are its statements.
const HEAD_MIN: usize = 2;
/// Keys of heads and of tails are no keys of slots.
const HEAD: u64 = 0x8CB9_2BA7_2F3D_8DD7;
const TAIL: u64 = 0xD1B5_4A32_D192_ED03;

/// A line as head and tail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Where the tail begins.
    pub at: usize,
    /// By these are found those of the same head, and of the same tail.
    pub head: u64,
    /// `None` where it varies by how it is written.
    pub tail: Option<u64>,
}

impl Cut {
    /// Both keys, of those that there are.
    pub fn keys(&self) -> impl Iterator<Item = u64> + use<> {
        [Some(self.head), self.tail].into_iter().flatten()
    }
}

/// Where a line is cut, if it is of this kind.
pub fn cut(tokens: &[Token], line: &[u8]) -> Option<Cut> {
    let at = tokens.iter().rposition(|token| token.is_mark(line, b':'))? + 1;
    let (head, tail) = tokens.split_at(at);
    if head.iter().filter(|token| token.is_name(line)).count() < HEAD_MIN {
        return None;
    }
    let head = stir(slots::id(head) ^ HEAD);
    match tail {
        [token] if token.is_variable() => Some(Cut { at, head, tail: None }),
        _ => is_one(tail, line).then(|| Cut { at, head, tail: Some(stir(slots::id(tail) ^ TAIL)) }),
    }
}

/// Whether these are words of which a phrase may be.
pub fn is_one(tail: &[Token], line: &[u8]) -> bool {
    let is_part = |token: &Token| match token.kind {
        Kind::Word => true,
        Kind::Mark => matches!(token.mark(line), b'\'' | b',' | b'-') || token.text(line).first() == Some(&b'.'),
        _ => false,
    };
    match tail {
        [] => false,
        [word] => word.is_name(line) && !words::is_state(word.text(line)) && !words::is_closed(word.text(line)),
        _ => tail.len() <= WORDS_MAX && tail.iter().all(is_part) && tail[0].is_name(line),
    }
}

/// Whether two heads differ in more than one place: in what a statement says, not in a name.
pub fn are_apart(one: &[Token], other: &[Token]) -> bool {
    let differ = || one.iter().zip(other).filter(|(one, other)| one.hash != other.hash).count();
    one.len() != other.len() || differ() > 1
}
