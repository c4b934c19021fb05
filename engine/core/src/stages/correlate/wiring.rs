//! Who depends on whom, as far as alerts tell it: where alerts of one service name another again and again, the one
//! depends on the other.
//!
//! A *name* is a service, or the value of a label, that alerts carry. What a text names is linked to what its own alert
//! has under the same label: `app="web"` to the `db` of which it says that it timed out, once alerts with `app="db"` were
//! heard. Which labels are those of services need not be told: nobody says of a rack that another timed out.
use super::bounded::Bounded;
use crate::domain::time::Timestamp;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a word stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    pub text: Arc<str>,
    pub ground: u64,
    /// Hash of the label's key.
    pub key: u64,
}

/// That an alert of one names another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naming {
    pub from: u64,
    pub to: u64,
    /// What the other is called.
    pub name: Arc<str>,
}

/// That alerts of one name another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Link {
    to: u64,
    /// A bit for each alert that did, by its fingerprint: the same one again proves nothing.
    alerts: u64,
    is_sure: bool,
}

/// What others depend on.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Upstream {
    /// How many do.
    dependents: u32,
    name: Arc<str>,
}

/// Names, and who depends on whom.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Wiring {
    /// By hash of the word.
    names: Bounded<u64, Option<Name>>,
    /// What alerts of each ground name; sorted by that.
    links: Bounded<u64, Vec<Link>>,
    #[serde(with = "crate::snapshot::sorted")]
    upstreams: FxHashMap<u64, Upstream>,
}

impl Wiring {
    /// What a word names.
    pub fn name(&self, word: u64) -> Option<&Name> {
        self.names.get(word)?.as_ref()
    }

    /// An alert carries a name. Under which label it was heard first, there it stays.
    pub fn carry(&mut self, word: u64, name: &Name, at: Timestamp, limit: usize) {
        let known = self.names.see(word, at);
        if known.as_ref().is_none_or(|k| k.key == name.key && k.ground != name.ground) {
            *known = Some(name.clone());
            self.names.make_room(limit);
        }
    }

    /// An alert names another. Whether it is sure from now on that the one depends on the other, which so many alerts have
    /// to say. One is linked to so many others, and so many are.
    pub fn link(
        &mut self,
        naming: &Naming,
        (fingerprint, at): (u128, Timestamp),
        needed: u32,
        (most, limit): (usize, usize),
    ) -> bool {
        let links = self.links.see(naming.from, at);
        let place = links.binary_search_by_key(&naming.to, |l| l.to).unwrap_or_else(|place| {
            links.insert(place, Link { to: naming.to, alerts: 0, is_sure: false });
            place
        });
        let link = &mut links[place];
        link.alerts |= 1 << (fingerprint % 64);
        let is_new = !link.is_sure && link.alerts.count_ones() >= needed;
        link.is_sure |= is_new;
        let mut gone = Vec::new();
        if links.len() > most {
            let least = (0..links.len()).min_by_key(|n| (links[*n].alerts.count_ones(), links[*n].to));
            gone.push(links.remove(least.unwrap_or(0)));
        }
        if is_new {
            let upstream = Upstream { dependents: 0, name: naming.name.clone() };
            self.upstreams.entry(naming.to).or_insert(upstream).dependents += 1;
        }
        gone.extend(self.links.make_room(limit).into_iter().flatten());
        for link in gone.into_iter().filter(|link| link.is_sure) {
            self.let_go(link.to);
        }
        is_new
    }

    fn let_go(&mut self, ground: u64) {
        let Some(upstream) = self.upstreams.get_mut(&ground) else { return };
        upstream.dependents -= 1;
        if upstream.dependents == 0 {
            self.upstreams.remove(&ground);
        }
    }

    /// What one depends on.
    pub fn upstream(&self, from: u64) -> impl Iterator<Item = u64> {
        self.links.get(from).into_iter().flatten().filter(|link| link.is_sure).map(|link| link.to)
    }

    /// Whether one depends on the other.
    pub fn is_sure(&self, from: u64, to: u64) -> bool {
        self.upstream(from).any(|upstream| upstream == to)
    }

    /// Whether it depends on another, or another on it: it is a service, whatever its label is called.
    pub fn is_service(&self, ground: u64) -> bool {
        self.upstreams.contains_key(&ground) || self.upstream(ground).next().is_some()
    }

    /// What is called so, if others depend on it.
    pub fn called(&self, ground: u64) -> Option<Arc<str>> {
        self.upstreams.get(&ground).map(|upstream| upstream.name.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp(0);
    const MOST: usize = 32;

    fn link(wiring: &mut Wiring, (from, to): (u64, u64), fingerprint: u128, limit: usize) -> bool {
        wiring.link(&Naming { from, to, name: "db".into() }, (fingerprint, AT), 3, (MOST, limit))
    }

    #[test]
    fn the_same_alert_again_proves_nothing() {
        let mut wiring = Wiring::default();
        for fingerprint in [1, 2, 2, 1] {
            assert!(!link(&mut wiring, (10, 20), fingerprint, 9));
        }
        assert!(!wiring.is_service(10) && !wiring.is_service(20));
        assert!(link(&mut wiring, (10, 20), 3, 9), "from now on");
        assert!(!link(&mut wiring, (10, 20), 4, 9), "not again");
        assert!(wiring.is_sure(10, 20) && !wiring.is_sure(20, 10));
        assert!(wiring.is_service(10) && wiring.is_service(20) && !wiring.is_service(30));
        assert_eq!(wiring.called(20).as_deref(), Some("db"));
    }

    #[test]
    fn what_it_keeps_is_bounded() {
        let mut wiring = Wiring::default();
        for fingerprint in 0..3 {
            link(&mut wiring, (10, 20), fingerprint, 1);
        }
        // Of its links the least sure goes,
        for to in 100..200 {
            link(&mut wiring, (10, to), 1, 1);
        }
        assert_eq!(wiring.links.get(10).map(Vec::len), Some(MOST));
        assert!(wiring.is_sure(10, 20));
        // and with the ground that was unseen the longest all that it depended on.
        link(&mut wiring, (11, 20), 1, 1);
        assert!(wiring.upstreams.is_empty() && !wiring.is_service(20));
    }

    #[test]
    fn a_name_stays_under_its_first_label() {
        let mut wiring = Wiring::default();
        let name = |ground, key| Name { text: "db".into(), ground, key };
        wiring.carry(1, &name(20, 5), AT, 9);
        wiring.carry(1, &name(30, 6), AT, 9);
        assert_eq!(wiring.name(1).map(|n| n.ground), Some(20));
        // Its ground may become another: that of the topology.
        wiring.carry(1, &name(40, 5), AT, 9);
        assert_eq!(wiring.name(1).map(|n| n.ground), Some(40));
    }
}
