//! What the model sees of an alert: which entity and check, since when, and on which grounds it lies.
use super::{
    Lens,
    learned::{GroundShares, Learned},
    wiring::{Name, Naming},
};
use crate::domain::{
    alert::Alert,
    check::CheckKind,
    episode::{KPI, MEASURED_BY, PREDICTION, SCORE},
    hash::{Framed, hash_of},
    policy::{Clue, Correlate, Policy},
    time::Timestamp,
    topology::places::{self, Facet, GroundKind, Ring, add},
};
use std::sync::Arc;

/// The label that an event's service is.
const SERVICE: &str = "service";

/// Which alert occurred, and when: what is learned of it goes by that.
#[derive(Clone, Copy, Debug)]
pub struct Occurrence {
    pub fingerprint: u128,
    pub entity: u64,
    pub check: u64,
    pub at: Timestamp,
}

impl Occurrence {
    /// Of an alert, the present or the latest.
    pub fn of(alert: &Alert) -> Self {
        let (fingerprint, entity) = (alert.fingerprint.0, hash_of(&alert.entity));
        Self { fingerprint, entity, check: alert.checked, at: alert.occurred_at }
    }
}

/// How far its trouble spreads.
fn kind_of(alert: &Alert, policy: &Policy) -> CheckKind {
    if policy.correlate.clues.contains(&Clue::Texts) {
        policy.checks.kind_of(&alert.check, &alert.summary)
    } else {
        policy.checks.kind(&alert.check)
    }
}

/// An occurrence of an alert, as the model sees it.
#[derive(Clone, Debug)]
pub struct Sighting {
    pub fingerprint: u128,
    pub entity: u64,
    pub check: u64,
    /// Its services; sorted.
    services: Vec<u64>,
    /// What it is grouped by within an episode: its first service, or the entity itself.
    pub home: u64,
    /// The system of its first service that the topology knows.
    pub system: Option<u64>,
    pub at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// Sorted by ground.
    pub facets: Vec<Facet>,
    /// How often it opens by itself while it flaps, at least, per second; 0 where it does not.
    pub flaps: f64,
    /// Whether it may come from what it depends on.
    pub spreads: bool,
    /// What it is called by its services and labels; by hash of the word.
    pub carried: Vec<(u64, Name)>,
    /// What its text says of others that are called so.
    pub named: Vec<Naming>,
    /// A bit for each ground: most grounds that are asked for are none of its.
    bits: [u64; 4],
    /// What is known of each of its grounds, in the same order.
    pub known: Vec<GroundShares>,
}

impl Sighting {
    /// Of an alert.
    pub fn of(alert: &Alert, learned: &Learned, cx: &Lens<'_>) -> Self {
        let Occurrence { fingerprint, entity, check, at } = Occurrence::of(alert);
        let known = cx.topology.entity(cx.scope, &alert.entity).filter(|_| cx.tables.uses(Clue::Topology));
        let mut facets = known.map_or_else(Vec::new, |e| e.facets.to_vec());
        add(&mut facets, entity, Ring::Own);
        let mut services: Vec<u64> = alert.services.iter().map(|s| hash_of(s)).collect();
        for (service, hash) in alert.services.iter().zip(&services) {
            // Where the entity is known to carry the service, its facets have the service's.
            if known.is_some_and(|e| e.services.contains(service)) {
                continue;
            }
            add(&mut facets, *hash, Ring::Own);
            let known = cx.topology.service(cx.scope, service).filter(|_| cx.tables.uses(Clue::Topology));
            for facet in known.into_iter().flat_map(|s| &s.facets) {
                add(&mut facets, facet.ground, facet.ring);
            }
        }
        services.sort_unstable();
        let system = alert.services.iter().find_map(|s| cx.topology.service(cx.scope, s)).map(|s| s.system);
        // What stays where it is does not come from what one depends on.
        let spreads = cx.tables.uses(Clue::Dependencies)
            && (!cx.tables.uses(Clue::Kinds) || kind_of(alert, cx.policy) != CheckKind::Own);
        if !spreads {
            facets.retain(|facet| !matches!(facet.ring, Ring::Near | Ring::Far));
        }
        let (carried, max) = (carried(alert, cx), cx.policy.correlate.bounds.grounds);
        for (_, name) in carried.iter().filter(|_| cx.tables.uses(Clue::Labels)) {
            if facets.len() < max {
                add(&mut facets, name.ground, Ring::Own);
            }
        }
        if spreads {
            wire(&mut facets, learned, max);
        }
        let mut named = Vec::new();
        for word in words(&alert.summary, &cx.policy.correlate).filter(|_| cx.tables.uses(Clue::Mentions)) {
            if facets.len() >= max {
                break;
            }
            let word = hash_of(word);
            let name = learned.wiring.name(word);
            let before = named.len();
            named.extend(name.into_iter().flat_map(|name| others_of(name, &carried)));
            // That it names what it is known to depend on says no more.
            if named[before..].iter().any(|n: &Naming| learned.wiring.is_sure(n.from, n.to)) {
                continue;
            }
            if let Some(ground) = mentioned(word, learned, cx).or(name.map(|n| n.ground)) {
                mention(&mut facets, ground);
            }
        }
        facets.truncate(max);
        let mut bits = [0; 4];
        for facet in &facets {
            let (word, bit) = bit_of(facet.ground);
            bits[word] |= bit;
        }
        Self {
            fingerprint,
            entity,
            check,
            home: alert.services.first().map_or(entity, |service| hash_of(service)),
            services,
            system,
            at,
            ended_at: alert.cleared_at.filter(|_| !alert.open),
            facets,
            flaps: flaps(alert, cx),
            spreads,
            carried,
            named,
            bits,
            known: Vec::new(),
        }
    }

    /// Looks up its grounds.
    pub fn look(mut self, learned: &Learned, cx: &Lens<'_>) -> Self {
        self.known = self.facets.iter().map(|facet| learned.ground(facet.ground, cx)).collect();
        self
    }

    /// How what it is grouped by lies on which grounds.
    pub fn facets_of_home(&self) -> Vec<Facet> {
        let of_home = |f: &&Facet| self.home == self.entity || f.ground == self.home || f.ring != Ring::Own;
        self.facets.iter().filter(of_home).copied().collect()
    }

    /// The kind of a ground that only alerts know.
    pub fn kind_of(&self, facet: &Facet) -> GroundKind {
        if facet.ground == self.entity || facet.ring == Ring::Beside {
            GroundKind::Entity
        } else if self.services.binary_search(&{ facet.ground }).is_ok() {
            GroundKind::Service
        } else {
            GroundKind::Label
        }
    }

    /// How it lies on a ground.
    pub fn ring(&self, ground: u64) -> Option<Ring> {
        let (word, bit) = bit_of(ground);
        if self.bits[word] & bit == 0 {
            return None;
        }
        self.facets.binary_search_by_key(&ground, |f| f.ground).ok().map(|place| self.facets[place].ring)
    }
}

const fn bit_of(ground: u64) -> (usize, u64) {
    ((ground & 3) as usize, 1 << (ground >> 58))
}

/// What is named is nearer than what one only depends on.
fn mention(facets: &mut Vec<Facet>, ground: u64) {
    match facets.binary_search_by_key(&ground, |f| f.ground) {
        Ok(place) if facets[place].ring == Ring::Own => {}
        Ok(place) => facets[place].ring = Ring::Beside,
        Err(_) => add(facets, ground, Ring::Beside),
    }
}

/// The ground of a label: a name that the topology knows, whatever the key, else the pair.
fn label_ground((key, value): &(Arc<str>, Arc<str>), alert: &Alert, framed: &mut Framed, cx: &Lens<'_>) -> Option<u64> {
    // How bad it is says nothing of where.
    if value.is_empty() || *value == alert.entity || alert.services.contains(value) {
        return None;
    }
    let name = hash_of(value);
    let known = cx.topology.ground(cx.scope, name).is_some();
    Some(if known { name } else { places::label_ground(framed, key, value) })
}

/// What an alert is called by its labels and services.
fn carried(alert: &Alert, cx: &Lens<'_>) -> Vec<(u64, Name)> {
    let mut framed = Framed::default();
    let mut carried: Vec<(u64, Name)> = Vec::with_capacity(alert.labels.len() + alert.services.len());
    // How large something is says nothing of where, nor what the engine says of its own finding.
    let own: &[&str] = if alert.series().is_some() { &[KPI, MEASURED_BY, PREDICTION] } else { &[] };
    let is_told = |key: &str| key != SCORE && !own.contains(&key);
    for label in alert.labels.iter().filter(|(key, value)| !value.is_empty() && is_told(key)) {
        let word = hash_of(&label.1);
        let ground = label_ground(label, alert, &mut framed, cx).unwrap_or(word);
        carried.push((word, Name { text: label.1.clone(), ground, key: hash_of(&label.0) }));
    }
    for service in &alert.services[..] {
        let ground = hash_of(service);
        if carried.iter().all(|c| c.0 != ground) {
            carried.push((ground, Name { text: service.clone(), ground, key: hash_of(SERVICE) }));
        }
    }
    carried
}

/// That what is called otherwise under the same label names it.
fn others_of<'a>(name: &'a Name, carried: &'a [(u64, Name)]) -> impl Iterator<Item = Naming> {
    let others = carried.iter().filter(|c| c.1.key == name.key && c.1.ground != name.ground);
    others.map(|c| Naming { from: c.1.ground, to: name.ground, name: name.text.clone() })
}

/// What it depends on as far as alerts have told.
fn wire(facets: &mut Vec<Facet>, learned: &Learned, max: usize) {
    for (from, to) in [(Ring::Own, Ring::Near), (Ring::Near, Ring::Far)] {
        let of: Vec<u64> = facets.iter().filter(|f| f.ring == from).map(|f| f.ground).collect();
        for ground in of.into_iter().flat_map(|from| learned.wiring.upstream(from)) {
            if facets.len() < max {
                add(facets, ground, to);
            }
        }
    }
}

/// Words that may be names.
pub fn words<'a>(summary: &'a str, policy: &Correlate) -> impl Iterator<Item = &'a str> + use<'a> {
    let (shortest, most) = (policy.place.word_min, policy.bounds.words);
    let apart = |c: char| !(c.is_alphanumeric() || matches!(c, '-' | '_' | '.'));
    let words = summary.split(apart).map(|word| word.trim_matches(['.', '-', '_']));
    words.filter(move |word| word.len() >= shortest).take(most)
}

/// The ground that a word names: an entity, by its short name too, or what the topology has.
fn mentioned(word: u64, learned: &Learned, cx: &Lens<'_>) -> Option<u64> {
    cx.topology
        .alias(cx.scope, word)
        .or_else(|| cx.topology.ground(cx.scope, word).map(|_| word))
        .or_else(|| learned.entity_of(word))
}

/// The name of a ground that an alert lies on, for people.
pub fn name_of(ground: u64, alert: &Alert, learned: &Learned, cx: &Lens<'_>) -> Option<Arc<str>> {
    let is = |name: &&Arc<str>| hash_of(name) == ground;
    if hash_of(&alert.entity) == ground {
        return Some(alert.entity.clone());
    }
    if let Some(service) = alert.services.iter().find(is) {
        return Some(service.clone());
    }
    let services = alert.services.iter().filter_map(|s| cx.topology.service(cx.scope, s));
    if let Some(upstream) = services.flat_map(|s| s.upstream.keys()).find(is) {
        return Some(upstream.clone());
    }
    if let Some(carrier) = carriers(&alert.entity, cx).into_iter().find(|name| hash_of(name) == ground) {
        return Some(carrier);
    }
    let mut framed = Framed::default();
    let of_label = |label: &&(Arc<str>, Arc<str>)| label_ground(label, alert, &mut framed, cx) == Some(ground);
    if let Some((key, value)) = alert.labels.iter().find(of_label) {
        return Some(format!("{key} {value}").into());
    }
    let linked = cx.topology.entity(cx.scope, &alert.entity).into_iter().flat_map(|e| &e.linked).find(is);
    linked.cloned().or_else(|| learned.wiring.called(ground)).or_else(|| {
        let names = |word: &&str| hash_of(word) == ground || cx.topology.alias(cx.scope, hash_of(word)) == Some(ground);
        words(&alert.summary, &cx.policy.correlate).find(names).map(Into::into)
    })
}

/// Two changes are an opening.
fn flaps(alert: &Alert, cx: &Lens<'_>) -> f64 {
    if !alert.flapping || !cx.tables.uses(Clue::Alone) {
        return 0.0;
    }
    let flap = &cx.policy.flap;
    flap.changes as f64 / 2.0 / (flap.window.0.max(1_000) as f64 / 1_000.0)
}

/// What an entity runs on, level by level.
fn carriers(entity: &str, cx: &Lens<'_>) -> Vec<Arc<str>> {
    let mut found: Vec<Arc<str>> = Vec::new();
    let mut next = 0;
    let on = |id: &str| cx.topology.entity(cx.scope, id).map_or(&[][..], |e| &e.on);
    found.extend(on(entity).iter().cloned());
    while next < found.len() && found.len() < cx.policy.correlate.bounds.grounds {
        let more: Vec<_> = on(&found[next]).iter().filter(|p| !found.contains(p)).cloned().collect();
        found.extend(more);
        next += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{
            alert::{AlertId, Fingerprint},
            event::{Event, tests::firing},
            policy::Policy,
            topology::Topology,
        },
        stages::correlate::tables::Tables,
    };

    fn alert(n: u128, app: &str, summary: &str) -> Alert {
        let event = Event { entity: format!("{app}-{n}"), summary: summary.into(), ..firing() };
        let mut alert = Alert::open(AlertId(0), Fingerprint(n), &event, Timestamp(0));
        alert.labels = vec![("app".into(), app.into()), ("rack".into(), "r1".into())].into();
        alert
    }

    #[test]
    fn of_a_log_the_text_says_what_is_wrong() {
        let mut learned = Learned::default();
        let mut of = |check: &str, summary: &str, policy: &Policy| {
            let alert = Alert { check: check.into(), ..alert(7, "shop", summary) };
            let (topology, tables) = (Topology::default(), Tables::new(&policy.correlate));
            let cx = Lens { scope: "s", policy, topology: &topology, tables: &tables, population: 1.0 };
            (learned.check_of(&alert, &cx), kind_of(&alert, policy))
        };
        let policy = Policy::default();
        let refused = of("app-log", "connection to 10.0.0.7:5432 refused by shop-7", &policy);
        assert_eq!(refused, of("app-log", "connection to 10.0.0.9:5432 refused by shop-9", &policy));
        let full = of("app-log", "Disk /var is full: host=shop-7", &policy);
        assert!(refused.0 != full.0 && refused.1 == CheckKind::Symptom && full.1 == CheckKind::Own);
        assert_eq!(of("app-log", "refused: host=shop-7", &policy).1, CheckKind::Symptom, "a key says nothing");
        // Of others the name does; and so it does of all without the clue.
        assert_eq!(of("errors", "disk /var is full", &policy), of("errors", "refused", &policy));
        let mut without = policy.clone();
        without.correlate.clues.remove(&Clue::Texts);
        assert_eq!(of("app-log", "disk /var is full", &without), of("app-log", "refused", &without));
    }

    #[test]
    fn names_that_vary_are_learned_the_sooner_the_more_are_known() {
        let (policy, topology) = (Policy::default(), Topology::default());
        let tables = Tables::new(&policy.correlate);
        let cx = Lens { scope: "s", policy: &policy, topology: &topology, tables: &tables, population: 1.0 };
        let mut learned = Learned::default();
        let mut of = |alert: &Alert| {
            let check = learned.check_of(alert, &cx);
            let seen = Sighting::of(alert, &learned, &cx);
            learned.open(&seen, &alert.entity, &alert.origin, &cx);
            check
        };
        let log = |entity: &str, summary: &str| {
            let event = Event { entity: entity.into(), check: "syslog".into(), summary: summary.into(), ..firing() };
            Alert::open(AlertId(0), Fingerprint(7), &event, Timestamp(0))
        };
        // Two words are not enough, two names are: of what has had alerts.
        let checks = ["ann", "bob"].map(|user| of(&log("host", &format!("session closed by {user}"))));
        assert_ne!(checks[0], checks[1]);
        of(&log("mail", "replica mail of eu lags"));
        let second = of(&log("shop", "replica shop of eu lags"));
        let third = of(&log("cart", "replica cart of eu lags"));
        assert_eq!((second, third), (of(&log("mail", "replica mail of eu lags")), second));
    }

    #[test]
    fn who_names_another_again_and_again_depends_on_it() {
        let (policy, topology) = (Policy::default(), Topology::default());
        let tables = Tables::new(&policy.correlate);
        let cx = Lens { scope: "s", policy: &policy, topology: &topology, tables: &tables, population: 1.0 };
        let mut learned = Learned::default();
        let mut open = |n, app, summary| {
            let alert = alert(n, app, summary);
            let seen = Sighting::of(&alert, &learned, &cx);
            (learned.open(&seen, &alert.entity, &alert.origin, &cx), seen.facets)
        };
        let ground = |app| places::label_ground(&mut Framed::default(), "app", app);
        let ring = |facets: &[Facet], app| facets.iter().find(|f| f.ground == ground(app)).map(|f| f.ring);
        open(0, "store", "down");
        open(1, "shop", "slow");
        // Two may be chance; what is named is beside it.
        for n in 2..4 {
            let (wired, facets) = open(n, "shop", "store timed out");
            assert!(wired.is_empty());
            assert_eq!(ring(&facets, "store"), Some(Ring::Beside));
        }
        assert_eq!(ring(&open(5, "shop", "slow").1, "store"), None);
        let wired = open(6, "shop", "store timed out").0;
        assert_eq!(wired.first().map(|n| (n.from, n.to, &*n.name)), Some((ground("shop"), ground("store"), "store")));
        assert_eq!(ring(&open(7, "shop", "slow").1, "store"), Some(Ring::Near));
        // And who depends on that one is farther off.
        for n in 8..11 {
            open(n, "page", "shop timed out");
        }
        let facets = open(11, "page", "slow").1;
        assert_eq!((ring(&facets, "shop"), ring(&facets, "store")), (Some(Ring::Near), Some(Ring::Far)));
    }
}
