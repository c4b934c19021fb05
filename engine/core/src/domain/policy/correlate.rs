//! Which alerts share a cause: the numbers of the model, and what operators decide themselves.
use crate::domain::{
    matcher::{Field, Matchers},
    severity::Severity,
    time::Span,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Which alerts share a cause. Log-odds are in nats: 0.7 doubles the odds, 2.3 makes them tenfold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Correlate {
    /// How long an episode takes new alerts after its last.
    pub window: Span,
    /// An alert that is back so soon after its clear returns to its episode.
    pub reopen: Span,
    /// Episodes that one alert is weighed against.
    pub candidates_max: usize,
    /// A ground on which a larger share of all entities lies leads to none.
    pub candidates_share: f64,
    /// What may speak for a common cause: what is not in the list is left out.
    pub clues: BTreeSet<Clue>,
    /// What operators decide themselves; the first that matches wins over the model.
    pub policy: Vec<Grouping>,
    /// Which checks are known to cause which.
    #[serde(default)]
    pub causality: Vec<CausalEdge>,
    #[serde(default)]
    pub weights: Weights,
    pub time: TimeModel,
    pub resolution: ResolutionModel,
    pub place: PlaceModel,
    pub wiring: WiringModel,
    pub what: WhatModel,
    pub background: BackgroundModel,
    pub corrections: CorrectionModel,
    pub revise: Revise,
    pub bounds: Bounds,
}

/// What may speak for a common cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clue {
    /// Bursts against the background; without it all that comes within the window is as near.
    Time,
    /// How finely origins tell time.
    Resolution,
    /// That alerts are open together.
    Lifetimes,
    /// What runs on what and belongs to which service.
    Topology,
    /// Which service depends on which.
    Dependencies,
    /// That an outage spreads from service to service, and within each from host to host.
    Services,
    /// Labels in common.
    Labels,
    /// Names in texts.
    Mentions,
    /// Which checks spread to dependants and which stay where they are.
    Kinds,
    /// Which checks an episode has.
    Checks,
    /// What texts have in common, where the name of a check does not say what is wrong.
    Texts,
    /// Which checks were seen together before.
    Company,
    /// That an alert keeps coming alone.
    Alone,
    /// Which checks are known to cause which.
    Causality,
    /// What people said of such alerts before.
    Corrections,
}

impl Clue {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Time,
        Self::Resolution,
        Self::Lifetimes,
        Self::Topology,
        Self::Dependencies,
        Self::Services,
        Self::Labels,
        Self::Mentions,
        Self::Kinds,
        Self::Checks,
        Self::Texts,
        Self::Company,
        Self::Alone,
        Self::Causality,
        Self::Corrections,
    ];
}

/// That one check is known to cause another, wherever the two are: where says the place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CausalEdge {
    pub cause: String,
    pub effect: String,
    /// Alerts of the effect that one of the cause draws after it, on average.
    pub share: f64,
    /// How long after it, on average: an exponential.
    pub within: Span,
}

/// What each part of the log-odds that an alert belongs to an episode counts: 1 takes the parts as independent. `quell learn`
/// finds others in history, and `quell model apply` sets them over these.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    pub time: f64,
    pub lifetimes: f64,
    pub place: f64,
    pub what: f64,
    pub background: f64,
}

impl Weights {
    /// The most that a part counts.
    pub const MAX: f64 = 5.0;
    /// What the parts are called, in their order.
    pub const NAMES: [&'static str; 5] = ["time", "lifetimes", "place", "what", "background"];

    /// The first that is not from 0 to the most, by its name.
    pub fn beyond(&self) -> Option<(&'static str, f64)> {
        Self::NAMES.into_iter().zip(self.all()).find(|(_, weight)| !(0.0..=Self::MAX).contains(weight))
    }

    /// In the order of their names.
    pub const fn all(&self) -> [f64; 5] {
        [self.time, self.lifetimes, self.place, self.what, self.background]
    }
}

impl From<[f64; 5]> for Weights {
    fn from([time, lifetimes, place, what, background]: [f64; 5]) -> Self {
        Self { time, lifetimes, place, what, background }
    }
}

impl Default for Weights {
    fn default() -> Self {
        Self::from([1.0; 5])
    }
}

/// How alerts of one cause follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeModel {
    /// Alerts that one alert draws after it, on average.
    pub offspring: f64,
    /// Within how long: an equal mix of exponentials.
    pub spans: [Span; 3],
    /// How fast an episode whose alerts have cleared fades,
    pub fade: Span,
    /// and what is left of it at least.
    pub faded: f64,
    /// How long after its last an episode takes alerts of entities that have some in it whose origin tells of no ends,
    pub linger: Span,
    /// and how many each of these draws in that time, beside the others.
    pub lingering: f64,
}

/// How finely origins tell time: by the gaps between openings of one check at one origin.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResolutionModel {
    /// Shorter gaps are of one round of a poller,
    pub gap_min: Span,
    /// and longer ones say nothing of it.
    pub gap_max: Span,
    /// This share of all gaps is shorter than the resolution.
    pub share: f64,
    /// It takes so many gaps to tell,
    pub gaps_min: u32,
    /// and with so many the past counts half.
    pub gaps_max: u32,
}

/// Where alerts of one cause lie.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlaceModel {
    /// How often the ground that a cause lies on is an entity,
    pub entity: f64,
    /// what it runs on,
    pub parent: f64,
    /// what that runs on,
    pub grandparent: f64,
    /// a service,
    pub service: f64,
    /// a label's value,
    pub label: f64,
    /// or nothing that is known: so much by how many entities there are,
    pub root: f64,
    /// at most,
    pub root_max: f64,
    /// and of an episode with so many alerts.
    pub root_alerts: u32,
    /// How often an outage spreads from service to service, and within each from host to host.
    pub services: f64,
    /// How firmly the shares below are held to, in alerts.
    pub concentration: f64,
    /// Share of a service's trouble on itself, on what depends on it, further down, and on what mentions it.
    pub rings: [f64; 4],
    /// Of the last of them, the share of what is no service.
    pub mentions: f64,
    /// Share that lies outside.
    pub outside: f64,
    /// A ground on which less of an episode lies explains nothing,
    pub share_min: f64,
    /// nor one on which more of all entities do.
    pub common: f64,
    /// A system is taken to have at least so many entities, before they are heard of.
    pub entities_min: u32,
    /// What so many have in common, if it is all that were heard of, tells none from another.
    pub heard_min: u32,
    /// Letters of a word that may be a name.
    pub word_min: usize,
    /// Pitman and Yor's process over entities: how readily one entity more joins,
    pub strength: f64,
    /// and how much of an entity's next alert is a surprise.
    pub discount: f64,
}

/// Who depends on whom, learned from what alerts of one service say of another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WiringModel {
    /// So many different alerts have to name the other,
    pub alerts: u32,
    /// and so many where the topology knows both.
    pub alerts_known: u32,
}

/// Which checks go together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WhatModel {
    /// How much what is usual weighs against the episode's own checks, in alerts.
    pub prior: f64,
    /// How much overall shares weigh against what was seen together, in alerts.
    pub shrinkage: f64,
    /// How much a check's share of all openings weighs against its share of those in company, in alerts.
    pub openings: f64,
    /// Openings that are taken for granted of each check,
    pub unheard: f64,
    /// of so many at least.
    pub checks_min: usize,
}

/// How often checks fire by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackgroundModel {
    /// Alerts that an entity is taken to open by itself in a day,
    pub daily: f64,
    /// as if so many had been seen at that rate,
    pub weight: f64,
    /// for so long at most.
    pub span: Span,
    /// How much of an alert that came in company is none of the background,
    pub company: f64,
    /// and what is company of it: alerts of its episode so long before and after.
    pub around: Span,
    /// How long an alert that comes alone is remembered for it,
    pub alone: Span,
    /// and within how long it is expected again.
    pub again: Span,
}

/// What is made of people's merges, splits and moves, and of what they said of two alerts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorrectionModel {
    /// What one says of the alerts themselves,
    pub alert: f64,
    /// of others of their kinds,
    pub kind: f64,
    /// and all of them together at most.
    pub max: f64,
    /// How long each holds.
    pub expire: Span,
}

/// What is looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revise {
    /// So long after an alert opened.
    pub after: Span,
    /// So long after its opening only commands change where it is.
    pub until: Span,
    /// An alert that was so much better placed than anywhere else is not,
    pub sure: f64,
    /// if another of its episode was so short a time ago.
    pub sure_within: Span,
    /// How much better another episode has to be.
    pub hysteresis: f64,
    /// Weak links to many episodes that together exceed it let an alert join the best of them.
    pub nucleation: f64,
    /// A link with odds less than this is none.
    pub odds_min: f64,
    /// An alert that fits another episode so badly says nothing for a merge with it.
    pub rival_min: f64,
    /// What is made of whether two episodes have the same checks: 1 takes checks and places as independent,
    pub alike: f64,
    /// and what they gain by it at most.
    pub alike_max: f64,
    /// How rare large outages are: how fast their number falls with their size.
    pub size: f64,
    /// How much likelier episodes have to be as one.
    pub merge: f64,
    /// Episodes that share a ground are merged jointly if they began within so long of each other,
    pub ground_onset: Span,
    /// and those that share nothing within so long.
    pub root_onset: Span,
    /// That share of each has to lie on the ground.
    pub ground_share: f64,
    /// How often an episode is weighed so.
    pub ground_interval: Span,
}

/// What bounds the work for one alert and what is kept of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// Words of a text that are looked up.
    pub words: usize,
    /// Grounds on which an alert lies.
    pub grounds: usize,
    /// Episodes to which one ground leads.
    pub episodes_per_ground: usize,
    /// Grounds that lead to one episode.
    pub grounds_per_episode: usize,
    /// Of them, those that may be where the cause lies.
    pub hypotheses: usize,
    /// Checks of an episode that are told apart.
    pub checks_per_episode: usize,
    /// Checks that are remembered to have come with one.
    pub partners: usize,
    /// Services that one is linked to by what its alerts name.
    pub links: usize,
    /// Episodes that an alert's own is weighed against for a merge.
    pub rivals: usize,
    /// Grounds that are weighed for a joint merge,
    pub joint_grounds: usize,
    /// and episodes of one.
    pub joint: usize,
}

/// What a policy does with the alerts it is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Together, whatever the model says.
    #[default]
    Group,
    /// Each for itself.
    Never,
}

/// An explicit policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grouping {
    pub name: String,
    /// The alerts it is for: all of these hold. Without any, all alerts.
    #[serde(default)]
    pub filter: Vec<Matchers>,
    #[serde(default)]
    pub action: Action,
    /// An episode for each combination of their values. An alert without one of them is by itself.
    #[serde(default)]
    pub split_by: Vec<Field>,
    /// How long an episode takes more after its last alert.
    #[serde(default = "half_an_hour")]
    pub window: Span,
    #[serde(default, rename = "break")]
    pub breaks: Break,
    /// Fewer raise nothing; so many raise.
    #[serde(default)]
    pub min_alerts: usize,
    /// How long one of its alerts has to fire, instead of `raise.settle`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settle: Option<Span>,
    /// One of its alerts below it raises nothing, instead of `raise.severity_min`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity_min: Option<Severity>,
}

const fn half_an_hour() -> Span {
    Span::minutes(30)
}

/// When an episode takes no more, and the next alert begins another.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Break {
    /// So long after its first alert.
    pub max_age: Option<Span>,
    /// It has so many.
    pub max_alerts: Option<usize>,
    /// All its alerts have been clear for so long.
    pub inactivity: Option<Span>,
    /// One of its alerts matches when it opens: that is its last.
    pub event: Option<Matchers>,
}

/// Edges are looked up by check, and a model with more is none that people could read.
const EDGES_MAX: usize = 10_000;

/// What is wrong with the edges, and with which.
pub fn wrong_edge(edges: &[CausalEdge]) -> Option<String> {
    if edges.len() > EDGES_MAX {
        return Some(format!(": at most {EDGES_MAX}"));
    }
    let mut pairs = BTreeSet::new();
    let wrong = |edge: &CausalEdge| {
        let CausalEdge { cause, effect, share, within } = edge;
        let is_new = pairs.insert((cause.clone(), effect.clone()));
        if cause.is_empty() || effect.is_empty() || cause == effect {
            Some(".cause, .effect: the names of two checks")
        } else if !is_new {
            Some(": the pair stands twice")
        } else if !(*share > 0.0 && *share <= 100.0) {
            Some(".share: more than 0, up to 100")
        } else if *within < Span::seconds(1) || *within > Span::minutes(30) {
            Some(".within: from 1s to 30m")
        } else {
            None
        }
    };
    let what = edges.iter().map(wrong).enumerate().find_map(|(n, what)| Some((n, what?)));
    what.map(|(n, what)| format!("[{n}]{what}"))
}

impl Correlate {
    /// The explicit policy of a name.
    pub fn grouping(&self, name: &str) -> Option<&Grouping> {
        self.policy.iter().find(|policy| policy.name == name)
    }
}

impl Default for Correlate {
    /// Those of `default.toml`.
    fn default() -> Self {
        Self {
            window: Span::minutes(5),
            reopen: Span::minutes(2),
            candidates_max: 32,
            candidates_share: 0.3,
            clues: Clue::ALL.into(),
            policy: Vec::new(),
            causality: Vec::new(),
            weights: Weights::default(),
            time: TimeModel {
                offspring: 0.8,
                spans: [Span::seconds(10), Span::seconds(60), Span::minutes(3)],
                fade: Span::seconds(60),
                faded: 0.000_1,
                linger: Span::hours(24),
                lingering: 1.0,
            },
            resolution: ResolutionModel {
                gap_min: Span::seconds(2),
                gap_max: Span::minutes(2),
                share: 0.1,
                gaps_min: 10,
                gaps_max: 4_096,
            },
            place: PlaceModel {
                entity: 0.25,
                parent: 0.15,
                grandparent: 0.05,
                service: 0.25,
                label: 0.15,
                root: 5.0,
                root_max: 0.4,
                root_alerts: 3,
                services: 0.5,
                concentration: 12.0,
                rings: [0.5, 0.3, 0.05, 0.15],
                mentions: 0.3,
                outside: 0.03,
                share_min: 0.25,
                common: 0.9,
                entities_min: 20,
                heard_min: 3,
                word_min: 4,
                strength: 1.0,
                discount: 0.6,
            },
            wiring: WiringModel { alerts: 3, alerts_known: 5 },
            what: WhatModel { prior: 6.0, shrinkage: 5.0, openings: 20.0, unheard: 0.5, checks_min: 10 },
            background: BackgroundModel {
                daily: 1.0,
                weight: 5.0,
                span: Span::minutes(30),
                company: 0.6,
                around: Span::minutes(10),
                alone: Span::hours(2),
                again: Span::hours(1),
            },
            corrections: CorrectionModel { alert: 6.0, kind: 2.0, max: 8.0, expire: Span::hours(30 * 24) },
            revise: Revise {
                after: Span::seconds(30),
                until: Span::minutes(5),
                sure: 3.0,
                sure_within: Span::seconds(3),
                hysteresis: 0.5,
                nucleation: 0.7,
                odds_min: 0.01,
                rival_min: -4.0,
                alike: 0.6,
                alike_max: 1.0,
                size: 1.0,
                merge: 1.5,
                ground_onset: Span::minutes(5),
                root_onset: Span::minutes(1),
                ground_share: 0.8,
                ground_interval: Span::seconds(15),
            },
            bounds: Bounds {
                words: 48,
                grounds: 64,
                episodes_per_ground: 16,
                grounds_per_episode: 256,
                hypotheses: 24,
                checks_per_episode: 64,
                partners: 64,
                links: 32,
                rivals: 4,
                joint_grounds: 12,
                joint: 32,
            },
        }
    }
}
