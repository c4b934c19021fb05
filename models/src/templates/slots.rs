//! Skeletons that differ in one place, or in several at once.
//!
//! The hash of a skeleton is `Σ h(tokenᵢ) Bⁱ` modulo 2⁶⁴, so that of the skeleton with another token at `i` costs O(1). A slot is
//! found by the hash with a hole in its place.
use super::lex::Token;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// B, odd.
const BASE: u64 = 0x5851_F42D_4C95_7F2D;
/// Hash of what is left out.
const HOLE: u64 = 0xA076_1D64_78BD_642F;
/// Skeletons of a slot that are remembered: more than any rule asks for, and than all settings should.
pub const MEMBERS_MAX: usize = 32;
/// Patterns of one length that are kept, the oldest go.
const PATTERNS_MAX: usize = 256;

/// Hash of a skeleton before it is stirred.
pub fn sum(tokens: &[Token]) -> u64 {
    tokens.iter().rev().fold(0, |sum: u64, token| sum.wrapping_mul(BASE).wrapping_add(token.hash))
}

/// The id of a skeleton.
pub fn id(tokens: &[Token]) -> u64 {
    stir(sum(tokens).wrapping_add((tokens.len() as u64) << 32))
}

/// Spreads what differs in few bits (the finaliser of SplitMix64).
fn stir(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
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

/// What is known of a place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Slot {
    /// One skeleton, as most.
    One(u64),
    /// Skeletons that differ here.
    Some(Box<[u64]>),
    /// It varies: all are of this template.
    Taken(u64),
}

impl Slot {
    pub fn members(&self) -> &[u64] {
        match self {
            Self::One(id) => std::slice::from_ref(id),
            Self::Some(ids) => ids,
            Self::Taken(_) => &[],
        }
    }

    /// One more.
    pub fn add(&mut self, id: u64) {
        let members = self.members();
        if !matches!(self, Self::Taken(_)) && members.len() < MEMBERS_MAX && !members.contains(&id) {
            *self = Self::Some(members.iter().copied().chain([id]).collect());
        }
    }

    /// Without one; `None` where nobody is left.
    pub fn without(&self, id: u64) -> Option<Self> {
        match self {
            Self::One(one) if *one == id => None,
            Self::Some(ids) => {
                let left: Box<[u64]> = ids.iter().copied().filter(|other| *other != id).collect();
                match *left {
                    [] => None,
                    [one] => Some(Self::One(one)),
                    _ => Some(Self::Some(left)),
                }
            }
            slot => Some(slot.clone()),
        }
    }
}

/// Skeletons that differ in several places.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Together {
    pub places: Box<[u16]>,
    pub members: Vec<u64>,
}

/// Templates that vary in several places: what a skeleton has to hold elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Patterns(BTreeMap<usize, Vec<Pattern>>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Pattern {
    /// Hashes of tokens, `None` where any word may stand.
    tokens: Box<[Option<u64>]>,
    template: u64,
}

impl Patterns {
    pub fn add(&mut self, tokens: Box<[Option<u64>]>, template: u64) {
        let of_length = self.0.entry(tokens.len()).or_default();
        if of_length.len() == PATTERNS_MAX {
            of_length.remove(0);
        }
        of_length.push(Pattern { tokens, template });
    }

    /// The template of a skeleton.
    pub fn find(&self, line: &[u8], tokens: &[Token]) -> Option<u64> {
        let fits = |pattern: &&Pattern| fits(&pattern.tokens, line, tokens);
        self.0.get(&tokens.len())?.iter().find(fits).map(|pattern| pattern.template)
    }

    /// Without the templates that are gone.
    pub fn retain(&mut self, is_kept: impl Fn(u64) -> bool) {
        for of_length in self.0.values_mut() {
            of_length.retain(|pattern| is_kept(pattern.template));
        }
        self.0.retain(|_, of_length| !of_length.is_empty());
    }
}

/// Whether a skeleton is of a pattern.
pub fn fits(pattern: &[Option<u64>], line: &[u8], tokens: &[Token]) -> bool {
    pattern.len() == tokens.len()
        && pattern.iter().zip(tokens).all(|(hash, token)| match hash {
            Some(hash) => *hash == token.hash,
            None => token.is_variable() || super::store::may_vary(token, line),
        })
}
