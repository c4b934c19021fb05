//! Whether episodes are one: how much likelier they are together than apart.
//!
//! Where they lie and which checks they have are marginal likelihoods, when they opened is the rate that each lends the
//! other. Fragments of a large outage repel each other in pairs and pay only together, so that those that share a ground
//! are weighed jointly too.
use super::{
    Lens,
    learned::Learned,
    nest::{self, Nest},
    place::{self, Tally},
    profile::{Profile, Shared},
    score::{self, millinats},
};
use crate::domain::{
    episode::{EpisodeId, Gain},
    policy::Clue,
    time::{Span, Timestamp},
};
use std::collections::BTreeSet;

/// Members whose times stand for all, in a pair and in a joint test.
const SAMPLES: usize = 12;
const JOINT_SAMPLES: usize = 6;
/// Members whose lifetimes stand for all.
const LIVES: usize = 8;

/// An episode's make-up.
pub type Part<'a> = (EpisodeId, &'a Profile);

/// How much likelier two episodes are as one, where people `said` so much for it; `None` where they have no ground in common:
/// nothing outweighs that but what people said.
pub fn gain_of_pair(a: Part<'_>, b: Part<'_>, said: f64, learned: &Learned, cx: &Lens<'_>) -> Option<Gain> {
    let shared = a.1.shared(b.1, learned, cx);
    let place = where_together(a.1, b.1, &shared, said > 0.0, learned, cx)?;
    let (older, younger) = if a.1.seed.at <= b.1.seed.at { (a, b) } else { (b, a) };
    let resolution = learned.resolution(cx);
    let alive = overlap_of_lives(a.1, b.1, cx);
    let soon = |by: Part<'_>, at| 0.5 * alive * by.1.density(at, resolution, cx);
    let late = |by: Part<'_>, to: Part<'_>| 0.5 * alive * by.1.lingering_for(to.1, &shared, cx);
    let lent = (soon(older, younger.1.seed.at), late(older, younger));
    let seed = &younger.1.seed;
    let caused = alive * cx.tables.causality.density((seed.check, seed.at), resolution, older.1);
    let Beginning { began, causality } = began_within(younger, lent, caused, learned, cx);
    let mut drawn = 0.0;
    for (part, other) in [(a, b), (b, a)] {
        let late = late(other, part);
        drawn += drawn_together(part, SAMPLES, resolution, cx, |at| soon(other, at) + late);
    }
    // What comes late is another step: that its checks are others says nothing.
    let by_checks = if lent.1 > 0.0 { lent.0 / (lent.0 + lent.1) } else { 1.0 };
    let what = by_checks * alike(&[a, b], learned, cx);
    Some(rounded([began, drawn, place, what, sizes(&[a, b], cx), causality, said]))
}

/// What decides is the sum of the parts as they are told.
fn rounded(nats: [f64; 7]) -> Gain {
    let most = i64::from(i32::MAX);
    let parts = nats.map(|part| millinats(part).clamp(-most, most) as i32);
    let [began, drawn, place, what, size, causality, corrections] = parts;
    Gain { began, drawn, place, what, size, causality, corrections }
}

/// How much likelier several episodes are as one, where people `said` so much for it.
pub fn gain_of_many(parts: &[Part<'_>], said: f64, learned: &Learned, cx: &Lens<'_>) -> Gain {
    let resolution = learned.resolution(cx);
    let Some(oldest) = (0..parts.len()).min_by_key(|n| (parts[*n].1.seed.at, parts[*n].0)) else {
        return Gain::default();
    };
    let (mut began, mut causality, mut drawn) = (0.0, 0.0, 0.0);
    let mut place = where_of_many(parts, learned, cx);
    for (n, part) in parts.iter().enumerate() {
        let others = || parts.iter().enumerate().filter(move |(m, _)| *m != n).map(|(_, p)| *p);
        let lives: Vec<f64> = others().map(|other| overlap_of_lives(other.1, part.1, cx)).collect();
        let lent =
            |at| others().zip(&lives).map(|(o, alive)| 0.5 * alive * o.1.density(at, resolution, cx)).sum::<f64>();
        drawn += drawn_together(*part, JOINT_SAMPLES, resolution, cx, lent);
        if n != oldest {
            let seed = (part.1.seed.check, part.1.seed.at);
            let caused =
                |(other, alive): (Part<'_>, &f64)| alive * cx.tables.causality.density(seed, resolution, other.1);
            let caused = others().zip(&lives).map(caused).sum();
            let begins = began_within(*part, (lent(seed.1), 0.0), caused, learned, cx);
            began += begins.began;
            causality += begins.causality;
        }
        place -= part.1.evidence_now(learned, cx) + urn(part.1.alerts, part.1.entities(), part.1.crowding, cx);
    }
    rounded([began, drawn, place, alike(parts, learned, cx), sizes(parts, cx), causality, said])
}

/// How the younger of two began, in nats.
#[derive(Clone, Copy, Debug)]
struct Beginning {
    began: f64,
    causality: f64,
}

/// The seed of the younger was no background, and not its own cause: others drew it, soon or late, or are known to cause it.
fn began_within(
    (_, profile): Part<'_>,
    (soon, late): (f64, f64),
    caused: f64,
    learned: &Learned,
    cx: &Lens<'_>,
) -> Beginning {
    let seed = &profile.seed;
    let usual = learned.usual(seed.check, cx);
    let drawn = if late > 0.0 {
        libm::log(soon * usual + late * learned.any())
    } else {
        libm::log(soon.max(1e-30)) + libm::log(usual)
    };
    Beginning { began: drawn - seed.background, causality: libm::log(score::known(caused, libm::exp(drawn))) }
}

/// Large outages are rare, by a power of their size (in entities): one as large as all is likelier than several at once. Each
/// merge has to be worth something.
fn sizes(parts: &[Part<'_>], cx: &Lens<'_>) -> f64 {
    let revise = &cx.policy.correlate.revise;
    let sizes = || parts.iter().map(|part| f64::from(part.1.entities().max(1)));
    let mean = sizes().sum::<f64>() / parts.len().max(1) as f64;
    revise.size * (sizes().map(libm::log).sum::<f64>() - libm::log(mean)) - revise.merge * (parts.len() as f64 - 1.0)
}

/// What its alerts gain when others draw them too.
fn drawn_together(
    (_, profile): Part<'_>,
    samples: usize,
    resolution: Span,
    cx: &Lens<'_>,
    lent: impl Fn(Timestamp) -> f64,
) -> f64 {
    if profile.alerts < 2 {
        return 0.0;
    }
    let itself = 0.5 * Profile::own_density(resolution, cx);
    let mut sum = 0.0;
    let mut found = 0.0_f64;
    for (opened_at, _) in sample(profile.lives(), samples) {
        let own = (0.5 * profile.density(*opened_at, resolution, cx) - itself).max(1e-9);
        sum += libm::log((own + lent(*opened_at)) / own);
        found += 1.0;
    }
    sum / found.max(1.0) * f64::from(profile.alerts - 1)
}

fn sample<T>(all: &[T], samples: usize) -> impl Iterator<Item = &T> {
    all.iter().step_by((all.len() / samples).max(1))
}

/// Whether the alerts of one were alive with those of the other.
fn overlap_of_lives(of: &Profile, with: &Profile, cx: &Lens<'_>) -> f64 {
    let (mut sum, mut found) = (0.0, 0.0_f64);
    for (opened_at, ended_at) in sample(with.lives(), LIVES) {
        sum += score::alive(of, *opened_at, *ended_at, cx);
        found += 1.0;
    }
    sum / found.max(1.0)
}

/// `None` where they have no ground in common, and need one.
fn where_together(
    a: &Profile,
    b: &Profile,
    shared: &Shared,
    may_share_none: bool,
    learned: &Learned,
    cx: &Lens<'_>,
) -> Option<f64> {
    let mut grounds: Vec<u64> = a.leaders().iter().chain(b.leaders()).copied().collect();
    grounds.sort_unstable();
    grounds.dedup();
    let entities = a.entities() + b.entities() - shared.both.len() as u32;
    let may_be_none = may_share_none || a.is_company(cx) && b.is_company(cx) || a.is_connected(b.system());
    let explains = |ground: &u64| {
        let tally = a.tally(*ground);
        tally.total() > 0 && b.tally(*ground).total() > 0 && learned.ground(*ground, cx).explains(tally, cx)
    };
    if !may_be_none && !grounds.iter().any(explains) {
        return None;
    }
    let of = grounds.into_iter().map(|ground| {
        let mut tally = tally_of(&[(EpisodeId(0), a), (EpisodeId(0), b)], ground);
        for facet in shared.twice.iter().filter(|f| f.ground == ground) {
            let n = &mut tally.0[facet.ring as usize];
            *n = n.saturating_sub(1);
        }
        (ground, tally)
    });
    let flat = place::evidence(of, entities, may_be_none, learned, cx);
    let nested = || Nest::of_all([&a.nest, &b.nest], &shared.homes).evidence_now(may_be_none, learned, cx);
    let together = nest::either(flat, nested, cx);
    let apart = a.evidence_now(learned, cx) + b.evidence_now(learned, cx);
    let urns = urn(a.alerts + b.alerts, entities, a.crowding + b.crowding + shared.crowding, cx);
    Some(
        together - apart + urns
            - urn(a.alerts, a.entities(), a.crowding, cx)
            - urn(b.alerts, b.entities(), b.crowding, cx),
    )
}

/// How many of all of them lie on a ground.
fn tally_of(parts: &[Part<'_>], ground: u64) -> Tally {
    let mut sum = Tally::default();
    for (_, profile) in parts {
        sum.0.iter_mut().zip(profile.tally(ground).0).for_each(|(n, more)| *n += more);
    }
    sum
}

/// Entities of several are taken as of each: they are few, and count for the parts alike.
fn where_of_many(parts: &[Part<'_>], learned: &Learned, cx: &Lens<'_>) -> f64 {
    let grounds: BTreeSet<u64> = parts.iter().flat_map(|p| p.1.leaders()).copied().collect();
    let of = grounds.into_iter().map(|ground| (ground, tally_of(parts, ground)));
    let sum = |of: fn(&Profile) -> u32| parts.iter().map(|p| of(p.1)).sum::<u32>();
    let (alerts, entities) = (sum(|p| p.alerts), sum(Profile::entities));
    let crowding = parts.iter().map(|p| p.1.crowding).sum();
    let may_be_none = parts.iter().all(|p| p.1.is_company(cx));
    let flat = place::evidence(of, entities, may_be_none, learned, cx);
    let nested = || Nest::of_all(parts.iter().map(|p| &p.1.nest), &[]).evidence_now(may_be_none, learned, cx);
    nest::either(flat, nested, cx) + urn(alerts, entities, crowding, cx)
}

/// `ln` of Pitman and Yor's likelihood of so many alerts on so many entities.
fn urn(alerts: u32, entities: u32, crowding: f64, cx: &Lens<'_>) -> f64 {
    cx.tables.urn.ln(alerts, entities) + crowding
}

/// What checks say is said by the places in part, for who stands where decides what is seen of a cause: less is made of
/// it, for and against.
fn alike(parts: &[Part<'_>], learned: &Learned, cx: &Lens<'_>) -> f64 {
    let revise = &cx.policy.correlate.revise;
    if cx.tables.uses(Clue::Checks) {
        (what_together(parts, learned, cx) * revise.alike).min(revise.alike_max)
    } else {
        0.0
    }
}

/// Dirichlet-multinomial over checks, together less apart.
fn what_together(parts: &[Part<'_>], learned: &Learned, cx: &Lens<'_>) -> f64 {
    let prior = cx.policy.correlate.what.prior;
    let likelihood = |checks: &[(u64, u32)], n: u32| {
        let each = checks.iter().map(|(check, k)| {
            let weight = prior * learned.usual(*check, cx);
            libm::lgamma(weight + f64::from(*k)) - libm::lgamma(weight)
        });
        each.sum::<f64>() - libm::lgamma(prior + f64::from(n)) + libm::lgamma(prior)
    };
    let mut all: Vec<(u64, u32)> = Vec::new();
    let (mut apart, mut alerts) = (0.0, 0);
    for (_, profile) in parts {
        let begin = all.len();
        all.extend(&profile.checks);
        all[begin..].sort_unstable();
        apart += likelihood(&all[begin..], profile.alerts);
        alerts += profile.alerts;
    }
    all.sort_unstable();
    all.dedup_by(|next, known| {
        next.0 == known.0 && {
            known.1 += next.1;
            true
        }
    });
    likelihood(&all, alerts) - apart
}
