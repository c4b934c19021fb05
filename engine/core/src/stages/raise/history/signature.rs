//! What an incident was about, in short: sets of hashed names with how often each came, and how alike two of them are.
use crate::domain::{check::Checks, episode::Member, hash::Framed};
use quell_models::{similarity, templates::Skeleton};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Entities, services, checks, and checks by place: the service, or the entity where no service is known. Where a check's name does not
/// say what is wrong it is by its text: among checks the words of it, at a place the template.
const KINDS: usize = 4;
/// The kind by which incidents are found first: most that are alike have a check at a place in common.
const PLACES: usize = 3;
/// How much each kind says, in percent. A check at its place says most; an entity may be a pod that never comes again.
const SHARES: [u64; KINDS] = [25, 15, 20, 40];

/// Sets of keys, each sorted, with counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Signature([Vec<(u64, u32)>; KINDS]);

impl Signature {
    /// Of alerts; of each kind the most frequent `max` keys. Of as frequent ones those with the least hashes, so that the same
    /// are left out of like incidents (Broder, On the resemblance and containment of documents, 1997).
    pub fn of(members: &[Member], max: usize, checks: &Checks) -> Self {
        let mut counts: [BTreeMap<u64, u32>; KINDS] = Default::default();
        for member in members {
            let mut count = |kind: usize, fields: &[&str]| *counts[kind].entry(key(kind, fields)).or_default() += 1;
            count(0, &[&member.entity]);
            member.services.iter().for_each(|service| count(1, &[service]));
            let mut check = vec![&*member.check];
            let template;
            if checks.is_of_text(&member.check) {
                let said = Skeleton::of(&member.summary);
                said.words().for_each(|word| count(2, &[&member.check, word]));
                template = format!("{:016x}", said.id());
                check.push(&template);
            } else {
                count(2, &check);
            }
            let mut at = |kind: &str, place: &str| count(PLACES, &[&[kind, place], &*check].concat());
            if member.services.is_empty() {
                at("entity", &member.entity);
            }
            member.services.iter().for_each(|service| at("service", service));
        }
        Self(counts.map(|counts| {
            let mut keys: Vec<_> = counts.into_iter().collect();
            keys.sort_by_key(|(key, count)| (std::cmp::Reverse(*count), *key));
            keys.truncate(max);
            keys.sort_unstable();
            keys.shrink_to_fit();
            keys
        }))
    }

    /// All keys.
    pub fn keys(&self) -> impl Iterator<Item = u64> {
        self.0.iter().flatten().map(|(key, _)| *key)
    }

    /// By which it is found among those that have most in common, wherever.
    pub fn minwise(&self) -> similarity::Signature {
        similarity::Signature::of(self.keys())
    }

    /// Those by which it is found first.
    pub fn places(&self) -> impl Iterator<Item = u64> {
        self.0[PLACES].iter().map(|(key, _)| *key)
    }

    /// In thousandths: of each kind the weighted Jaccard index (what both have, by what either has), and of that the mean by
    /// the kinds' shares. A key that came more often counts more, by the logarithm (Manning, Raghavan, Schütze,
    /// Introduction to Information Retrieval, 2008, section 6.4), and so does one of more `weight`.
    pub fn similarity(&self, other: &Self, weight: impl Fn(u64) -> u64) -> u32 {
        let (mut sum, mut shares) = (0, 0);
        for (kind, share) in SHARES.into_iter().enumerate() {
            let (both, either) = overlap(&self.0[kind], &other.0[kind], &weight);
            // A kind that neither has says nothing.
            let Some(index) = (1_000 * both).checked_div(either) else { continue };
            sum += share * index;
            shares += share;
        }
        u32::try_from(sum / shares.max(1)).unwrap_or(0)
    }
}

/// What two sorted sets have in common, and what they have together.
fn overlap(a: &[(u64, u32)], b: &[(u64, u32)], weight: &impl Fn(u64) -> u64) -> (u64, u64) {
    let often = |count: u32| u64::from(1 + count.max(1).ilog2());
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    let (mut both, mut either) = (0, 0);
    loop {
        let next = match (a.peek(), b.peek()) {
            (Some((x, _)), Some((y, _))) => *x.min(y),
            (Some((key, _)), None) | (None, Some((key, _))) => *key,
            (None, None) => return (both, either),
        };
        let of = |set: &mut std::iter::Peekable<std::slice::Iter<'_, (u64, u32)>>| {
            set.next_if(|(key, _)| *key == next).map_or(0, |(_, count)| often(*count))
        };
        let (in_a, in_b) = (of(&mut a), of(&mut b));
        both += weight(next) * in_a.min(in_b);
        either += weight(next) * in_a.max(in_b);
    }
}

fn key(kind: usize, fields: &[&str]) -> u64 {
    let mut framed = Framed::default();
    framed.field([kind as u8]);
    for field in fields {
        framed.field(field);
    }
    framed.hash64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::episode::tests::member;

    fn of(members: &[(&str, &str, &str)]) -> Signature {
        let members: Vec<_> = members.iter().map(|(entity, check, service)| member(entity, check, service)).collect();
        Signature::of(&members, 16, &Checks::default())
    }

    fn alike(a: &[(&str, &str, &str)], b: &[(&str, &str, &str)]) -> u32 {
        let (one, other) = (of(a).similarity(&of(b), |_| 1_000), of(b).similarity(&of(a), |_| 1_000));
        assert_eq!(one, other, "it is symmetric");
        one
    }

    #[test]
    fn the_same_is_all_alike_and_a_stranger_not_at_all() {
        let outage = [("db-1", "latency", "db"), ("web-1", "errors", "shop")];
        assert_eq!(alike(&outage, &outage), 1_000);
        assert_eq!(alike(&outage, &[("mail-1", "queue", "mail")]), 0);
        assert_eq!(alike(&[("a", "ping", "")], &[("a", "ping", "")]), 1_000);
    }

    #[test]
    fn another_pod_is_alike_and_another_check_or_service_is_not() {
        let before = [("pod-x1", "latency", "shop")];
        assert_eq!(alike(&before, &[("pod-y7", "latency", "shop")]), 750);
        for other in [("pod-x1", "disk", "shop"), ("pod-y7", "latency", "mail"), ("pod-x1", "latency", "mail")] {
            assert!(alike(&before, &[other]) < 500, "{other:?}");
        }
        assert!(alike(&[("db-7", "disk", "")], &[("db-7", "cpu", "")]) < 500);
        assert!(alike(&[("db-7", "disk", "")], &[("db-8", "disk", "")]) < 500);
    }

    #[test]
    fn of_a_log_what_it_says_is_alike() {
        let log = |entity: &str, summary: &str| {
            let said = Member { summary: summary.into(), ..member(entity, "syslog", "shop") };
            Signature::of(&[said], 16, &Checks::default())
        };
        let alike = |a: &str, b: &str| log("pod-1", a).similarity(&log("pod-2", b), |_| 1_000);
        assert_eq!(alike("disk sda1 is full", "disk sdb7 is full"), 750);
        assert!(alike("disk sda1 is full", "connection to 10.0.0.7 refused") < 250);
        // A name that looks like any other word: some of it.
        let by_name = alike("session closed by ann", "session closed by bob");
        assert!((250..500).contains(&by_name), "{by_name}");
    }

    #[test]
    fn what_is_rare_and_what_came_often_count_more() {
        let a = of(&[("db", "latency", ""), ("log", "full", "")]);
        let b = of(&[("db", "latency", ""), ("mail", "queue", "")]);
        let shared = |key| u64::from(a.keys().any(|k| k == key) && b.keys().any(|k| k == key));
        let flat = a.similarity(&b, |_| 1);
        assert!(a.similarity(&b, |key| 1 + 9 * shared(key)) > flat);
        assert!(a.similarity(&b, |key| 10 - 9 * shared(key)) < flat);
        let often = |last| of(&[&[("db", "latency", ""); 8][..], &[last]].concat());
        let (a, b) = (often(("log", "full", "")), often(("mail", "queue", "")));
        assert!(a.similarity(&b, |_| 1) > flat);
    }

    #[test]
    fn at_the_limit_like_incidents_keep_the_same_keys() {
        let names: Vec<_> = (0..60).map(|n| format!("host-{n}")).collect();
        let storm = |names: &[String]| {
            let members: Vec<_> = names.iter().map(|name| member(name, "down", "")).collect();
            Signature::of(&members, 16, &Checks::default())
        };
        let (all, back) = (storm(&names), storm(&names.iter().rev().cloned().collect::<Vec<_>>()));
        assert_eq!((all.keys().count(), &all), (16 + 1 + 16, &back));
        assert!(all.similarity(&storm(&names[..54]), |_| 1) > 500);
    }
}
