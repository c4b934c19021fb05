//! A line without what varies by how it is written. It needs no memory: of one line it is the same on every node, whatever came before
//! and whatever names are known.
use super::{
    Settings,
    lex::{Kind, Token, lex},
    mask::mask,
    slots,
};

/// The skeleton of a line.
#[derive(Clone, Debug)]
pub struct Skeleton<'a> {
    line: &'a str,
    tokens: Vec<Token>,
}

impl<'a> Skeleton<'a> {
    /// As a [`Miner`](super::Miner) with default settings reads it.
    pub fn of(line: &'a str) -> Self {
        let (mut pieces, mut tokens) = (Vec::new(), Vec::new());
        Self { line: read(line, &Settings::default(), &mut pieces, &mut tokens), tokens }
    }

    /// The id of the template that a line of it founds.
    pub fn id(&self) -> u64 {
        slots::id(&self.tokens)
    }

    /// Words that do not vary, as they are written; the name of a value (`host=h1`) is none.
    pub fn words(&self) -> impl Iterator<Item = &'a str> {
        let line = self.line.as_bytes();
        let is_key = |at: usize| self.tokens.get(at + 1).is_some_and(|next| next.is_mark(line, b'='));
        let words = self.tokens.iter().enumerate().filter(move |(at, token)| token.kind == Kind::Word && !is_key(*at));
        words.filter_map(|(_, token)| self.line.get(usize::from(token.start)..usize::from(token.end)))
    }
}

/// Puts the skeleton of a line into `skeleton`; what is read of the line.
pub fn read<'a>(line: &'a str, settings: &Settings, pieces: &mut Vec<Token>, skeleton: &mut Vec<Token>) -> &'a str {
    let line = line.trim_ascii_end();
    let mut end = line.len().min(settings.line_max).min(usize::from(u16::MAX));
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    let line = &line[..end];
    lex(line.as_bytes(), &settings.parts, settings.tokens_max, pieces);
    mask(line.as_bytes(), pieces, &settings.parts, skeleton);
    line
}
