//! What people said of which alerts have one cause, and which have not: evidence when the like comes again.
use super::{
    alert::{Alert, Fingerprint},
    episode::Member,
    hash::{Framed, hash_of},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

/// Alerts of one side of a correction that are kept.
pub const PARTIES_MAX: usize = 16;

/// `hash(scope, request id, what the command did)`, so that a command that is folded again makes the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CorrectionId(pub u64);

impl CorrectionId {
    /// Of what a command said.
    pub fn new(scope: &str, request_id: &str, relation: Relation) -> Self {
        Self(Framed::default().field(scope).field(request_id).field(relation.name()).hash64())
    }
}

impl fmt::Display for CorrectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What is said of two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Relation {
    /// They have one cause.
    Together,
    /// They have not.
    Apart,
}

impl Relation {
    /// In lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Together => "together",
            Self::Apart => "apart",
        }
    }
}

/// What a person did or said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Deed {
    Merge,
    Split,
    Move,
    /// That two have the same cause, or are not related.
    Said,
}

/// An alert of one side: it itself, and which kind it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Party {
    pub fingerprint: Fingerprint,
    pub entity: Arc<str>,
    pub check: Arc<str>,
    /// Its first service; empty where it has none, and its kind is that of its entity.
    pub service: Arc<str>,
}

/// The hashes under which an alert and its kind are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys {
    pub alert: u64,
    pub kind: u64,
}

impl Keys {
    /// Of an alert; by the hashes of its check, and of its first service or else its entity.
    pub fn new(fingerprint: u128, check: u64, home: u64) -> Self {
        let kind = Framed::default().field(check.to_le_bytes()).field(home.to_le_bytes()).hash64();
        // A fingerprint is a hash already.
        Self { alert: fingerprint as u64, kind }
    }

    /// Of an alert in an episode.
    pub fn of(member: &Member) -> Self {
        let home = member.services.first().unwrap_or(&member.entity);
        Self::new(member.fingerprint.0, hash_of(&member.check), hash_of(home))
    }
}

impl Party {
    /// An alert.
    pub fn of(alert: &Alert) -> Self {
        Self {
            fingerprint: alert.fingerprint,
            entity: alert.entity.clone(),
            check: alert.check.clone(),
            service: alert.services.first().cloned().unwrap_or_default(),
        }
    }

    fn of_member(member: &Member) -> Self {
        Self {
            fingerprint: member.fingerprint,
            entity: member.entity.clone(),
            check: member.check.clone(),
            service: member.services.first().cloned().unwrap_or_default(),
        }
    }

    /// How it is found.
    pub fn keys(&self) -> Keys {
        let home = if self.service.is_empty() { &self.entity } else { &self.service };
        Keys::new(self.fingerprint.0, hash_of(&self.check), hash_of(home))
    }
}

/// A side of alerts: one of each kind, the commonest kinds first (ties by key), then a second of each, up to 16.
pub fn side<'a>(members: impl Iterator<Item = &'a Member>) -> Vec<Party> {
    let mut kinds: BTreeMap<u64, BTreeMap<u128, &Member>> = BTreeMap::new();
    for member in members {
        kinds.entry(Keys::of(member).kind).or_default().insert(member.fingerprint.0, member);
    }
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by_key(|(key, alerts)| (std::cmp::Reverse(alerts.len()), *key));
    let mut parties = Vec::new();
    for round in 0..PARTIES_MAX {
        let of_round = kinds.iter().filter_map(|(_, alerts)| alerts.values().nth(round));
        parties.extend(of_round.take(PARTIES_MAX - parties.len()).map(|member| Party::of_member(member)));
    }
    parties
}

/// What a person said of two sides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Correction {
    pub id: CorrectionId,
    pub relation: Relation,
    pub deed: Deed,
    pub sides: [Vec<Party>; 2],
    pub actor: Arc<str>,
    pub comment: Arc<str>,
    pub at: Timestamp,
    /// From then on it says nothing.
    pub expires_at: Timestamp,
}

impl Correction {
    /// `scopes/{scope}/corrections/{correction}`
    pub fn name(scope: &str, id: CorrectionId) -> String {
        format!("scopes/{scope}/corrections/{id}")
    }

    /// The kinds that it speaks of on one side. Where alerts of one kind were put apart, it was not for their kind.
    pub fn kinds(&self, side: usize) -> BTreeSet<u64> {
        let of = |side: &[Party]| side.iter().map(|party| party.keys().kind).collect::<BTreeSet<u64>>();
        let mut kinds = of(&self.sides[side]);
        if self.relation == Relation::Apart {
            let others = of(&self.sides[1 - side]);
            kinds.retain(|kind| !others.contains(kind));
        }
        kinds
    }
}
