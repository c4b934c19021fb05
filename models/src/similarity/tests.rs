use super::*;
use crate::stir::stir;
use proptest::{collection::vec, prelude::*};
use std::collections::BTreeSet;

/// Hashes that no other `family` has.
fn tokens(family: u64, numbers: std::ops::Range<u64>) -> impl Iterator<Item = u64> {
    numbers.map(move |n| stir(family << 32 ^ n).wrapping_add(1))
}

/// Two sets of `size` tokens with the first `shared` in common, and their Jaccard index.
fn pair(family: u64, size: u64, shared: u64) -> (Signature, Signature, f64) {
    let other = tokens(2 * family, 0..shared).chain(tokens(2 * family + 1, shared..size));
    (Signature::of(tokens(2 * family, 0..size)), Signature::of(other), shared as f64 / (2 * size - shared) as f64)
}

#[test]
fn the_estimate_is_unbiased_and_errs_as_stated() {
    for (size, shared) in [(1, 1), (4, 3), (8, 4), (10, 9), (40, 20), (100, 80), (400, 100), (2_000, 1_800)] {
        let (mut bias, mut squared, pairs) = (0.0, 0.0, 400);
        let mut index = 0.0;
        for family in 0..pairs {
            let (a, b, jaccard) = pair(family, size, shared);
            let error = a.similarity(&b) - jaccard;
            (bias, squared, index) = (bias + error, squared + error * error, jaccard);
            assert!(
                error.abs() <= 5.0 * (index * (1.0 - index) / LENGTH as f64).sqrt() + 1e-9,
                "{size} {shared}: {error}"
            );
        }
        let (bias, variance) = (bias / pairs as f64, squared / pairs as f64);
        let stated = index * (1.0 - index) / LENGTH as f64;
        // Three standard errors of a mean of 400; the variance of a variance is a little more than that of a normal one.
        assert!(bias.abs() <= 3.0 * (stated / pairs as f64).sqrt() + 1e-9, "{size} {shared}: bias {bias}");
        assert!(variance <= 1.25 * stated + 1e-9, "{size} {shared}: {variance} of {stated}");
        // What is better than k permutations: sets that are small beside the signature.
        if (2..=10).contains(&size) {
            assert!(variance < 0.75 * stated, "{size} {shared}: {variance} of {stated}");
        }
    }
}

#[test]
fn nothing_in_common_is_not_alike_and_the_empty_set_is_like_itself_alone() {
    let (a, b, _) = pair(7, 50, 0);
    assert!(a.similarity(&b) < 0.05);
    let empty = Signature::of([]);
    assert_eq!((empty.similarity(&empty), empty.similarity(&a)), (1.0, 0.0));
}

/// What is kept rests on these numbers.
#[test]
fn signatures_are_for_ever() {
    let of = Signature::of(tokens(1, 0..9));
    let key = of.bands(LENGTH).next();
    assert_eq!(key, Some(2_563_155_102_903_238_212));
}

#[test]
fn the_index_finds_by_the_curve_of_its_bands() {
    let index = |floor| Index::new(floor, 10);
    assert!(index(0.5).chance(0.5) >= 0.95 && index(0.9).chance(0.9) >= 0.95);
    assert!(index(0.9).chance(0.5) < 0.1, "bands are as long as the floor allows");
    for (size, shared) in [(100, 20), (100, 40), (100, 50), (90, 60)] {
        let (mut found, pairs) = (0, 500);
        let mut jaccard = 0.0;
        for family in 0..pairs {
            let (a, b, similarity) = pair(family, size, shared);
            jaccard = similarity;
            let rows = Index::new(0.6, 10).rows;
            found += usize::from(a.bands(rows).zip(b.bands(rows)).any(|(a, b)| a == b));
        }
        let (share, chance) = (found as f64 / pairs as f64, Index::new(0.6, 10).chance(jaccard));
        let error = 4.0 * (chance * (1.0 - chance) / pairs as f64).sqrt() + 0.02;
        assert!((share - chance).abs() <= error, "J {jaccard}: {share} of {chance}");
    }
}

#[test]
fn the_most_similar_comes_first_and_of_equals_the_highest_id() {
    let mut index = Index::new(0.3, 10);
    for (id, end) in [(1, 100), (2, 70), (3, 100), (4, 10)] {
        index.insert(id, Signature::of(tokens(1, 0..end)));
    }
    index.insert(5, Signature::of(tokens(2, 0..100)));
    let near = index.near(&Signature::of(tokens(1, 0..100)), 9);
    assert_eq!(near.iter().map(|near| near.id).collect::<Vec<_>>(), [3, 1, 2]);
    assert_eq!(near[0].similarity, 1.0);
    assert!((near[2].similarity - 0.7).abs() < 0.2);
    assert_eq!(index.near(&Signature::of(tokens(1, 0..100)), 1).len(), 1);
}

#[test]
fn a_thousand_that_are_all_alike_cost_no_more() {
    let mut index = Index::new(0.5, 1_000);
    for id in 0..1_000 {
        index.insert(id, Signature::of(tokens(1, 0..20)));
    }
    let near = index.near(&Signature::of(tokens(1, 0..20)), usize::MAX);
    assert_eq!((near.len(), near[0].id), (64, 999));
}

#[test]
fn the_longest_not_inserted_goes() {
    let mut index = Index::new(0.5, 3);
    let of = |n: u64| Signature::of(tokens(n, 0..9));
    for id in [7, 3, 5] {
        assert_eq!(index.insert(id, of(id)), None);
    }
    assert_eq!(index.insert(7, of(7)), None, "it is known");
    assert_eq!(index.insert(1, of(1)), Some(3));
    assert_eq!(index.iter().map(|(id, _)| id).collect::<Vec<_>>(), [1, 5, 7]);
    assert_eq!(index.near(&of(3), 1), []);
}

#[test]
fn strange_floors_and_limits_do_no_harm() {
    for floor in [f64::NAN, f64::INFINITY, -1.0, 0.0, 1.0, 2.0] {
        let mut index = Index::new(floor, 0);
        index.insert(1, Signature::of([1]));
        index.insert(2, Signature::of([2]));
        assert_eq!(index.len(), 1, "{floor}");
        assert!(index.near(&Signature::of([2]), 9).len() <= 1);
    }
}

#[derive(Clone, Debug)]
enum Act {
    Insert(u64, Vec<u64>),
    Remove(u64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let set = vec(0_u64..12, 0..8);
    let act = prop_oneof![
        3 => (0_u64..20, set).prop_map(|(id, set)| Act::Insert(id, set)),
        1 => (0_u64..20).prop_map(Act::Remove),
    ];
    vec(act, 0..60)
}

proptest! {
    #[test]
    fn a_signature_is_of_a_set(mut all in vec(any::<u64>(), 0..300), twice in any::<proptest::sample::Index>()) {
        let before = Signature::of(all.iter().copied());
        all.reverse();
        if !all.is_empty() {
            all.push(*twice.get(&all));
        }
        prop_assert_eq!(Signature::of(all), before);
    }

    /// Off by six standard errors of a sketch, and by places of 16 bits that agree by chance: of 128 places of sets with
    /// nothing in common one does in 500 pairs, two in half a million; more than two in 1e9.
    #[test]
    fn more_in_common_is_never_far_off(own in vec(any::<u64>(), 0..60), shared in vec(any::<u64>(), 0..60), other in vec(any::<u64>(), 0..60)) {
        let set = |part: &[u64]| part.iter().chain(&shared).map(|token| stir(*token)).collect::<BTreeSet<u64>>();
        let (a, b) = (set(&own), set(&other));
        let either = a.union(&b).count();
        let jaccard = if either == 0 { 1.0 } else { a.intersection(&b).count() as f64 / either as f64 };
        let estimate = Signature::of(a).similarity(&Signature::of(b));
        let (of_sketch, by_chance) = (6.0 * (jaccard * (1.0 - jaccard) / LENGTH as f64).sqrt(), 2.0 / LENGTH as f64);
        prop_assert!((estimate - jaccard).abs() <= of_sketch + by_chance + 0.001, "{estimate} of {jaccard}");
    }

    #[test]
    fn it_is_bounded_whole_and_the_same_when_it_is_restored(acts in acts(), max in 1_usize..12) {
        let mut index = Index::new(0.4, max);
        let mut known = BTreeSet::new();
        for act in acts {
            match act {
                Act::Insert(id, set) => {
                    let gone = index.insert(id, Signature::of(set.into_iter().map(stir)));
                    if let Some(gone) = gone {
                        prop_assert!(known.remove(&gone));
                    }
                    known.insert(id);
                }
                Act::Remove(id) => prop_assert_eq!(index.remove(id), known.remove(&id)),
            }
            prop_assert!(index.len() <= max);
            prop_assert_eq!(index.iter().map(|(id, _)| id).collect::<BTreeSet<_>>(), known.clone());
        }
        for (id, signature) in index.iter() {
            prop_assert!(index.near(signature, usize::MAX).iter().any(|near| near.id == id && near.similarity == 1.0));
        }
        let text = serde_json::to_string(&index).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let restored: Index = serde_json::from_str(&text).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(&restored, &index);
        for id in known {
            index.remove(id);
        }
        prop_assert!(index.is_empty() && index.bands_are_empty());
    }
}

#[test]
fn a_floor_that_is_no_number_finds_what_is_the_same() {
    let of = |numbers: std::ops::Range<u64>| Signature::of(numbers.map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
    for floor in [f64::NAN, 7.0, f64::INFINITY] {
        let mut index = Index::new(floor, 2);
        (0..4).for_each(|id| {
            index.insert(id, of(0..100 + id));
        });
        let found: Vec<u64> = index.near(&of(0..103), 9).iter().map(|near| near.id).collect();
        assert!(index.len() == 2 && found == [3], "{floor}: {found:?}");
    }
    assert_eq!(Index::new(-1.0, 2).chance(0.5), Index::new(0.0, 2).chance(0.5));
}
