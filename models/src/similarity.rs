//! Which sets are alike, without comparing each with each: signatures of sets, and an index of near neighbours.
//!
//! ```
//! use quell_models::similarity::{Index, Signature};
//!
//! let of = |numbers: std::ops::Range<u64>| Signature::of(numbers.map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
//! let mut index = Index::new(0.6, 1_000);
//! index.insert(1, of(0..100));
//! index.insert(2, of(500..600));
//! let near = index.near(&of(5..100), 3);
//! assert_eq!(near.first().map(|near| near.id), Some(1));
//! assert_eq!(near.len(), 1);
//! ```
//!
//! **Signatures** are minwise hashes (Broder, "On the resemblance and containment of documents", 1997): the share of places in which
//! two agree estimates the Jaccard index J = |A ∩ B| / |A ∪ B| of their sets without bias. They are made by SuperMinHash (Ertl, 2017,
//! arXiv:1706.05698): m numbers (here in O(n m), a few ns a token), with a variance of at most J (1 − J) / m and up to half of it for sets that are not
//! larger than m. With m = [`LENGTH`] = 128 the standard error is at most 1 / (2 √m) = .044. 16 bits of each number are kept (b-bit
//! minwise hashing, Li and König, 2010), which adds at most 2⁻¹⁶ to the estimate. Only integers: the same on every machine.
//!
//! **The index** cuts a signature into b bands of r places, and finds what agrees in all places of one (locality-sensitive hashing,
//! Indyk and Motwani, 1998; Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", section 3.4): what is as similar as s is
//! found with a chance of 1 − (1 − sʳ)ᵇ, and what is found is held against its whole signature.
mod index;
mod signature;

pub use index::{Index, Near};
pub use signature::{LENGTH, Signature};

#[cfg(test)]
mod tests;
