//! Skeletons that differ in one place, or in several at once.
//!
//! The hash of a skeleton is `Σ h(tokenᵢ) Bⁱ` modulo 2⁶⁴, so that of the skeleton with another token at `i` costs O(1). A slot is
//! found by the hash with a hole in its place.
use super::{
    lex::{Kind, Token, VARIABLE},
    mask::joins,
    phrase,
    store::may_vary,
};
use crate::stir::stir;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// B, odd.
const BASE: u64 = 0x5851_F42D_4C95_7F2D;
/// Hash of what is left out.
const HOLE: u64 = 0xA076_1D64_78BD_642F;
/// Skeletons of a slot that are remembered: more than any rule asks for, and than all settings should.
pub const MEMBERS_MAX: usize = 32;
/// Templates of one first token in which words vary, that a new skeleton is held against; the oldest go, and come again
/// with the next merger.
const PATTERNS_MAX: usize = 1_024;

/// Hash of a skeleton before it is stirred.
pub fn sum(tokens: &[Token]) -> u64 {
    tokens.iter().rev().fold(0, |sum: u64, token| sum.wrapping_mul(BASE).wrapping_add(token.hash))
}

/// The id of a skeleton.
pub fn id(tokens: &[Token]) -> u64 {
    stir(sum(tokens).wrapping_add((tokens.len() as u64) << 32))
}

/// Keys of slots of a skeleton.
#[derive(Debug)]
pub struct Keys<'a> {
    tokens: &'a [Token],
    sum: u64,
    powers: Vec<u64>,
}

impl<'a> Keys<'a> {
    pub fn new(tokens: &'a [Token]) -> Self {
        let powers = std::iter::successors(Some(1_u64), |power| Some(power.wrapping_mul(BASE)));
        Self { tokens, sum: sum(tokens), powers: powers.take(tokens.len()).collect() }
    }

    /// With these places left out.
    pub fn without(&self, places: &[usize]) -> u64 {
        let change = |sum: u64, at: &usize| {
            let (Some(token), Some(power)) = (self.tokens.get(*at), self.powers.get(*at)) else { return sum };
            sum.wrapping_add(HOLE.wrapping_sub(token.hash).wrapping_mul(*power))
        };
        stir(places.iter().fold(self.sum, change).wrapping_add((self.tokens.len() as u64) << 32))
    }
}

/// Skeletons that differ in one place; mostly it is one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Slot {
    One(u64),
    Some(Box<[u64]>),
}

impl Slot {
    pub fn members(&self) -> &[u64] {
        match self {
            Self::One(id) => std::slice::from_ref(id),
            Self::Some(ids) => ids,
        }
    }

    /// One more.
    pub fn add(&mut self, id: u64) {
        let members = self.members();
        if members.len() < MEMBERS_MAX && !members.contains(&id) {
            *self = Self::Some(members.iter().copied().chain([id]).collect());
        }
    }

    /// Without one; `None` where nobody is left.
    pub fn without(&self, id: u64) -> Option<Self> {
        let left: Box<[u64]> = self.members().iter().copied().filter(|other| *other != id).collect();
        match *left {
            [] => None,
            [one] => Some(Self::One(one)),
            _ => Some(Self::Some(left)),
        }
    }
}

/// Skeletons that differ in several places.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Together {
    pub places: Box<[u16]>,
    pub members: Vec<u64>,
}

/// Templates in which words vary, by their first token.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Patterns(BTreeMap<u64, Vec<u64>>);

impl Patterns {
    /// One more; where there are too many, it takes the place of the oldest.
    pub fn add(&mut self, id: u64, tokens: &[Token]) {
        if !tokens.iter().any(|token| matches!(token.kind, Kind::Open | Kind::Phrase)) {
            return;
        }
        let of_first = self.0.entry(first(tokens)).or_default();
        if of_first.len() == PATTERNS_MAX {
            of_first.remove(0);
        }
        of_first.push(id);
    }

    pub fn remove(&mut self, id: u64, tokens: &[Token]) {
        if let Some(of_first) = self.0.get_mut(&first(tokens)) {
            of_first.retain(|other| *other != id);
            if of_first.is_empty() {
                self.0.remove(&first(tokens));
            }
        }
    }

    /// Those that may fit a skeleton, the oldest first.
    pub fn candidates(&self, tokens: &[Token]) -> impl Iterator<Item = u64> {
        let begins = tokens.first().map(|token| token.hash).filter(|hash| *hash != VARIABLE);
        let lists = begins.into_iter().chain([VARIABLE]).filter_map(|hash| self.0.get(&hash));
        lists.flatten().copied()
    }
}

fn first(tokens: &[Token]) -> u64 {
    tokens.first().map_or(VARIABLE, |token| token.hash)
}

/// Whether a skeleton is of a template. Where words vary stands one word, or variables, or both side by side.
pub fn fits(template: &[Token], line: &[u8], tokens: &[Token]) -> bool {
    let mut rest = tokens;
    for (at, wanted) in template.iter().enumerate() {
        if wanted.kind == Kind::Phrase {
            return phrase::is_one(rest, line);
        }
        if wanted.kind == Kind::Open {
            let next = template.get(at + 1).map(|token| token.hash);
            let Some(taken) = span(line, rest, next) else { return false };
            rest = &rest[taken..];
        } else {
            match rest {
                [token, behind @ ..] if token.hash == wanted.hash => rest = behind,
                _ => return false,
            }
        }
    }
    rest.is_empty()
}

/// How many tokens stand where words vary, before the token with the hash `next`.
fn span(line: &[u8], tokens: &[Token], next: Option<u64>) -> Option<usize> {
    let (mut taken, mut has_word) = (0, false);
    let mut fits_here = |token: &Token| {
        let is_word = !has_word && may_vary(token, line);
        has_word |= is_word;
        is_word || token.is_variable()
    };
    while let Some(token) = tokens.get(taken) {
        if taken > 0 && Some(token.hash) == next {
            break;
        }
        if fits_here(token) {
            taken += 1;
        } else if taken > 0 && joins(token, line) && tokens.get(taken + 1).is_some_and(&mut fits_here) {
            taken += 2;
        } else {
            break;
        }
    }
    (taken > 0).then_some(taken)
}
