//! Alerts that mute others: by the policy's rules, and by what runs on what.
//!
//! Every open alert is listed as what it may be, a source or a target, under a hash of the rule and the values that have
//! to be equal, so that an alert finds its inhibitors, and an inhibitor its targets, without a walk over the others.
use super::{super::deduplicate::Deduplicator, index::PolicyIndex};
use crate::{
    domain::{
        alert::{Alert, Fingerprint, SuppressedBy},
        hash::Framed,
        matcher::AlertView,
        policy::Inhibit,
    },
    scope::Cx,
};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, sync::Arc};

/// How far down what runs on an entity is muted, in steps, and how many carriers of one entity are looked at.
const STEPS_MAX: usize = 3;
const CARRIERS_MAX: usize = 64;
/// How many inhibitors of inhibitors are followed to see that two alerts do not mute each other. A longer chain mutes
/// nothing: heard once too often is better than never.
const CHAIN_MAX: usize = 8;

/// The rule of the topology, where others are numbered.
const TOPOLOGY: u32 = u32::MAX;

/// What an open alert may be for a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Role {
    rule: u32,
    /// Of the rule and the values that are equal.
    hash: u64,
    is_source: bool,
    /// It is a source as well as a target: no other such alert mutes it.
    is_both: bool,
}

impl Role {
    /// Those that are both stand apart.
    fn key(self) -> u64 {
        self.hash ^ u64::from(self.is_both)
    }
}

/// The open alerts that mute, or may be muted.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Inhibitions {
    #[serde(with = "crate::snapshot::sorted")]
    sources: FxHashMap<u64, BTreeSet<Fingerprint>>,
    #[serde(with = "crate::snapshot::sorted")]
    targets: FxHashMap<u64, BTreeSet<Fingerprint>>,
    /// Of each open alert that has any.
    #[serde(with = "crate::snapshot::sorted")]
    roles: FxHashMap<Fingerprint, Vec<Role>>,
    /// Whom each inhibitor mutes.
    #[serde(with = "crate::snapshot::sorted")]
    mutes: FxHashMap<Fingerprint, BTreeSet<Fingerprint>>,
    #[serde(skip)]
    framed: Framed,
}

impl Inhibitions {
    /// Lists an open alert as what it may be now.
    pub fn list(&mut self, alert: &Alert, index: &PolicyIndex, cx: &Cx<'_>) {
        self.unlist(alert.fingerprint);
        let roles = self.roles_of(alert, index, cx);
        for role in &roles {
            let side = if role.is_source { &mut self.sources } else { &mut self.targets };
            side.entry(role.key()).or_default().insert(alert.fingerprint);
        }
        if !roles.is_empty() {
            self.roles.insert(alert.fingerprint, roles);
        }
    }

    /// It is open no more.
    pub fn unlist(&mut self, key: Fingerprint) {
        for role in self.roles.remove(&key).into_iter().flatten() {
            let side = if role.is_source { &mut self.sources } else { &mut self.targets };
            remove(side, role.key(), key);
        }
    }

    fn roles_of(&mut self, alert: &Alert, index: &PolicyIndex, cx: &Cx<'_>) -> Vec<Role> {
        let (view, rules) = (AlertView::from(alert), &cx.policy.suppress.inhibit);
        let mut roles = Vec::new();
        let framed = &mut self.framed;
        let mut add = |rule: usize, is_source: bool| {
            let Some(known) = rules.get(rule) else { return };
            let (own, other) = if is_source { (&known.source, &known.target) } else { (&known.target, &known.source) };
            if !own.matches(&view) {
                return;
            }
            if let (Some(hash), Ok(rule)) = (equal(framed, rule, known, &view), u32::try_from(rule)) {
                roles.push(Role { rule, hash, is_source, is_both: other.matches(&view) });
            }
        };
        index.sources.each(&view, |rule| add(rule, true));
        index.targets.each(&view, |rule| add(rule, false));
        self.add_topology(alert, &view, cx, &mut roles);
        // The index finds them in no stated order.
        roles.sort_unstable_by_key(|role| (role.rule, role.is_source, role.hash));
        roles.dedup();
        roles
    }

    fn add_topology(&mut self, alert: &Alert, view: &AlertView<'_>, cx: &Cx<'_>, roles: &mut Vec<Role>) {
        let suppress = &cx.policy.suppress;
        if !suppress.topology {
            return;
        }
        let framed = &mut self.framed;
        let mut add = |entity: &str, is_source: bool| {
            let hash = framed.clear().field("on").field(entity).hash64();
            roles.push(Role { rule: TOPOLOGY, hash, is_source, is_both: false });
        };
        if alert.severity >= suppress.topology_severity && suppress.topology_down.matches(view) {
            add(&alert.entity, true);
        }
        for carrier in carriers(&alert.entity, cx) {
            add(carrier, false);
        }
    }

    /// What mutes an alert: of several by the first rule, the topology last.
    pub fn inhibitor(&self, alert: &Alert, alerts: &Deduplicator, cx: &Cx<'_>) -> Option<SuppressedBy> {
        let roles = self.roles.get(&alert.fingerprint)?;
        roles.iter().filter(|role| !role.is_source).find_map(|role| {
            let keys = [Some(role.hash), (!role.is_both).then_some(role.hash ^ 1)];
            let sources = keys.into_iter().flatten().filter_map(|key| self.sources.get(&key)).flatten();
            let mut sources = sources.filter(|source| !hangs_on(**source, alert.fingerprint, alerts));
            let by = sources.find_map(|source| alerts.get(*source))?;
            let rule = cx.policy.suppress.inhibit.get(role.rule as usize).map(|rule| rule.name.clone());
            Some(SuppressedBy::Inhibition { rule, by: by.id, fingerprint: by.fingerprint })
        })
    }

    /// The open alerts that an open alert may mute. Where another such source stands already they are muted, and of a
    /// storm's sources only the first looks at them.
    pub fn targets_of(&self, source: Fingerprint) -> BTreeSet<Fingerprint> {
        let roles = self.roles.get(&source).into_iter().flatten().filter(|role| role.is_source);
        let roles = roles.filter(|role| self.sources.get(&role.key()).is_none_or(|others| others.len() == 1));
        let keys = roles.flat_map(|role| [Some(role.hash), (!role.is_both).then_some(role.hash ^ 1)]);
        let targets = keys.flatten().filter_map(|key| self.targets.get(&key)).flatten();
        targets.copied().filter(|target| *target != source).collect()
    }

    /// Those that it mutes now.
    pub fn muted_by(&self, source: Fingerprint) -> BTreeSet<Fingerprint> {
        self.mutes.get(&source).cloned().unwrap_or_default()
    }

    /// Notes who mutes an alert, and who did before.
    pub fn note(&mut self, target: Fingerprint, before: Option<&SuppressedBy>, now: Option<&SuppressedBy>) {
        if let Some(SuppressedBy::Inhibition { fingerprint, .. }) = before {
            remove(&mut self.mutes, *fingerprint, target);
        }
        if let Some(SuppressedBy::Inhibition { fingerprint, .. }) = now {
            self.mutes.entry(*fingerprint).or_default().insert(target);
        }
    }
}

fn remove<K: std::hash::Hash + Eq>(side: &mut FxHashMap<K, BTreeSet<Fingerprint>>, key: K, alert: Fingerprint) {
    if let Some(alerts) = side.get_mut(&key) {
        alerts.remove(&alert);
        if alerts.is_empty() {
            side.remove(&key);
        }
    }
}

/// The hash of a rule and the values that it wants equal; none where one is absent and absent ones are not equal.
fn equal(framed: &mut Framed, rule: usize, known: &Inhibit, view: &AlertView<'_>) -> Option<u64> {
    framed.clear().field("rule").field(rule.to_le_bytes());
    for field in &known.equal {
        let value = view.value(field);
        if value.is_empty() && !known.absent_equal {
            return None;
        }
        framed.field(value);
    }
    Some(framed.hash64())
}

/// Whether what mutes an alert is `target` in the end: then the two would mute each other, and nobody would hear of either.
fn hangs_on(source: Fingerprint, target: Fingerprint, alerts: &Deduplicator) -> bool {
    let mut at = source;
    for _ in 0..CHAIN_MAX {
        if at == target {
            return true;
        }
        match alerts.get(at).and_then(|alert| alert.suppressed_by.as_deref()) {
            Some(SuppressedBy::Inhibition { fingerprint, .. }) => at = *fingerprint,
            _ => return false,
        }
    }
    true
}

/// What an entity runs on, and what that runs on.
fn carriers<'a>(entity: &str, cx: &Cx<'a>) -> Vec<&'a Arc<str>> {
    let on = |id: &str| cx.topology.entity(&cx.core.name, id).map_or(&[][..], |known| &known.on);
    let mut found: Vec<&Arc<str>> = Vec::new();
    let mut level: Vec<&Arc<str>> = on(entity).iter().collect();
    for _ in 0..STEPS_MAX {
        level.retain(|id| ***id != *entity && !found.contains(id));
        level.truncate(CARRIERS_MAX - found.len());
        found.extend(&level);
        level = level.into_iter().flat_map(|id| on(id)).collect();
    }
    found
}
