//! What the kernels found, as one graph.
use super::{Edge, Mode, SCALES};
use std::collections::{BTreeMap, BTreeSet};

/// What one kernel says of a cause and an effect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Vote {
    /// It is worth it, and not on one occasion alone.
    pub is_found: bool,
    /// The effect comes after the cause more than before it.
    pub is_ordered: bool,
    /// It is worth it on enough occasions.
    pub is_repeated: bool,
    /// The gain in log-likelihood, and by the least that is worth it.
    pub gain: f64,
    pub ratio: f64,
    /// Events of the effect that one of the cause draws.
    pub share: f64,
    /// The mean delay, in seconds.
    pub within: f64,
    pub pairs: usize,
}

/// Kernels that have to find a precise edge, and a balanced one.
const MOST: usize = 2;
const ONE: usize = 1;
/// A balanced edge stands beside its reverse unless that is so much surer.
const SURER: f64 = 2.0;

/// Where fewer of the precise edges than one in so many are in order, the others are told by occasions that they share, and left out: the
/// test of order takes about one in twenty for ordered that is not.
const IN_ORDER: usize = 4;

/// Likewise where fewer are found on enough occasions: what is found of a few storms is in none of the others.
const REPEATED: usize = 4;

/// The edges, the surest first; how many only share occasions, and how many are of few.
pub fn edges(votes: &BTreeMap<(u32, u32), Vec<Vote>>, mode: Mode) -> (Vec<Edge>, [usize; 2]) {
    let score = |votes: &Vec<Vote>| votes.iter().map(|vote| libm::log1p(vote.ratio)).sum::<f64>() / SCALES.len() as f64;
    let scores: BTreeMap<(u32, u32), f64> = votes.iter().map(|(pair, votes)| (*pair, score(votes))).collect();
    let needed = if mode == Mode::Precise { MOST } else { ONE };
    let mut found: Vec<Edge> = votes
        .iter()
        .filter(|(_, votes)| votes.iter().filter(|vote| vote.is_found).count() >= needed)
        .map(|(pair, votes)| edge(*pair, votes, scores[pair], needed))
        .collect();
    let pairs: BTreeSet<(u32, u32)> = found.iter().map(|edge| (edge.cause, edge.effect)).collect();
    for edge in &mut found {
        edge.both_ways = pairs.contains(&(edge.effect, edge.cause));
    }
    found.sort_by(|a, b| b.score.total_cmp(&a.score).then((a.cause, a.effect).cmp(&(b.cause, b.effect))));
    match mode {
        Mode::Precise => {
            let seldom = leave_out(&mut found, REPEATED, |edge| edge.is_repeated);
            let together = leave_out(&mut found, IN_ORDER, |edge| edge.is_ordered);
            (without_circles(found), [together, seldom])
        }
        Mode::Balanced => {
            let reverse = |edge: &Edge| scores.get(&(edge.effect, edge.cause)).copied().unwrap_or(0.0);
            found.retain(|edge| SURER * edge.score > reverse(edge));
            (found, [0, 0])
        }
    }
}

/// All that are not so, where not even one in so many is; how many.
fn leave_out(found: &mut Vec<Edge>, one_in: usize, is_so: fn(&Edge) -> bool) -> usize {
    let (all, so) = (found.len(), found.iter().filter(|edge| is_so(edge)).count());
    if one_in * so < all {
        found.retain(is_so);
    }
    all - found.len()
}

/// What the kernels that found it say, by how much each gains.
fn edge((cause, effect): (u32, u32), votes: &[Vote], score: f64, needed: usize) -> Edge {
    let won: Vec<&Vote> = votes.iter().filter(|vote| vote.is_found).collect();
    let gains: f64 = won.iter().map(|vote| vote.gain).sum();
    let mean = |of: fn(&Vote) -> f64| won.iter().map(|vote| of(vote) * vote.gain).sum::<f64>() / gains;
    let (within, pairs) =
        won.iter().max_by(|a, b| a.gain.total_cmp(&b.gain)).map_or((0.0, 0), |vote| (vote.within, vote.pairs));
    let most = |is_so: fn(&Vote) -> bool| won.iter().filter(|vote| is_so(vote)).count() >= needed;
    let (is_ordered, is_repeated) = (most(|vote| vote.is_ordered), most(|vote| vote.is_repeated));
    Edge {
        cause,
        effect,
        score,
        share: mean(|vote| vote.share),
        within,
        pairs,
        both_ways: false,
        is_ordered,
        is_repeated,
    }
}

/// Edges that close no circle with surer ones.
fn without_circles(edges: Vec<Edge>) -> Vec<Edge> {
    let mut effects: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    let mut kept = Vec::new();
    for edge in edges {
        let (mut seen, mut todo) = (BTreeSet::new(), vec![edge.effect]);
        let mut closes = false;
        while let Some(kind) = todo.pop() {
            closes |= kind == edge.cause;
            if seen.insert(kind) {
                todo.extend(effects.get(&kind).into_iter().flatten());
            }
        }
        if !closes {
            effects.entry(edge.cause).or_default().insert(edge.effect);
            kept.push(edge);
        }
    }
    kept
}
