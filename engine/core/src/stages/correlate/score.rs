//! How much speaks for one cause: log-odds as a sum of named parts, rounded before anything is compared.
use super::{
    Lens,
    causality::Causality,
    corrections::{FORBIDDEN, Said},
    learned::Learned,
    place::Fit,
    profile::Profile,
    sighting::Sighting,
};
use crate::domain::{
    episode::Evidence,
    policy::{Clue, Weights},
    time::{Span, Timestamp},
};

/// Members that are looked at for whether an episode lives.
const SAMPLES: usize = 16;
/// Checks that are kept in mind while candidates are weighed.
const SLOTS: usize = 64;

/// What one alert's place in one episode is worth.
#[derive(Clone, Copy, Debug, Default)]
pub struct Score {
    /// Log-odds, in millinats: the sum of the parts, each rounded first, so that what is told is what decided.
    pub total: i64,
    /// The odds themselves, for sums of many.
    pub odds: f64,
    /// Part by part.
    pub parts: Evidence,
    /// The ground that says most.
    pub ground: Option<u64>,
}

/// What an episode is worth to an alert, as odds.
#[derive(Clone, Copy, Debug)]
pub struct Odds {
    /// Alerts that it draws, per second.
    pub density: f64,
    /// How much of it is alive.
    pub alive: f64,
    pub fit: Fit,
    /// How usual the alert's check is there.
    pub what: f64,
    /// How much likelier what is known to cause it makes it.
    pub causality: f64,
    /// What people said, in millinats.
    pub said: i64,
}

/// In thousandths of a nat.
pub fn millinats(nats: f64) -> i64 {
    // Nothing is surer than that.
    libm::round(nats.clamp(-1e6, 1e6) * 1_000.0) as i64
}

impl Score {
    fn of(odds: Odds, subject: &Subject<'_>) -> Self {
        let weights = &subject.weights;
        let ln = |odds: f64, weight: f64| narrow(millinats(weight * libm::log(odds.max(1e-12))));
        let parts = Evidence {
            time: ln(odds.density, weights.time),
            lifetimes: ln(odds.alive, weights.lifetimes),
            place: ln(odds.fit.odds, weights.place),
            what: ln(odds.what, weights.what),
            background: narrow(millinats(-weights.background * subject.background)),
            causality: ln(odds.causality, 1.0),
            corrections: narrow(odds.said),
            margin: 0,
            next: None,
        };
        let all = counted(odds.density, weights.time)
            * counted(odds.alive, weights.lifetimes)
            * counted(odds.fit.odds, weights.place)
            * counted(odds.what, weights.what)
            * odds.causality
            * odds_of(odds.said);
        Self { total: parts.total(), odds: all / subject.rate, parts, ground: odds.fit.ground }
    }
}

/// Odds that count so much.
fn counted(odds: f64, weight: f64) -> f64 {
    // As a rule each counts as it is.
    if weight.to_bits() == 1.0_f64.to_bits() { odds } else { libm::pow(odds, weight) }
}

/// How much likelier what is known makes what is expected anyway; both are alerts a second of a check.
pub fn known(caused: f64, expected: f64) -> f64 {
    if caused > 0.0 { 1.0 + caused / expected.max(1e-12) } else { 1.0 }
}

/// Of so many millinats.
fn odds_of(millinats: i64) -> f64 {
    if millinats == 0 { 1.0 } else { libm::exp(millinats as f64 / 1_000.0) }
}

impl Score {
    /// Whether people put the alert apart from one that is there.
    pub fn is_forbidden(&self) -> bool {
        i64::from(self.parts.corrections) <= FORBIDDEN
    }

    /// Whether it is there only for what people said.
    pub fn is_said(&self) -> bool {
        self.total > 0 && self.total <= i64::from(self.parts.corrections)
    }
}

/// As much of it as is kept.
pub fn narrow(millinats: i64) -> i16 {
    millinats.clamp(i64::from(i16::MIN), i64::from(i16::MAX)) as i16
}

/// How many alerts a second an episode draws: soon after others, and late where something may go on.
#[derive(Clone, Copy, Debug)]
struct Density {
    soon: f64,
    late: f64,
}

impl Density {
    fn sum(self) -> f64 {
        self.soon + self.late
    }

    fn times(self, factor: f64) -> Self {
        Self { soon: self.soon * factor, late: self.late * factor }
    }

    /// How usual a check is among what it draws: soon by the episode's own, late it may be `any`, for that is another step.
    fn what(self, soon: f64, any: f64) -> f64 {
        if self.late > 0.0 { (self.soon * soon + self.late * any) / self.sum() } else { soon }
    }
}

/// Whose place is weighed, and how often its check opens by itself.
#[derive(Debug)]
pub struct Subject<'a> {
    pub seen: &'a Sighting,
    pub said: Said<'a>,
    /// `ln` of the rate.
    pub background: f64,
    /// Per second, as it counts,
    rate: f64,
    /// and what is less is no rival, and adds nothing to many weak links.
    least: f64,
    weights: Weights,
    /// How finely the origins tell time.
    resolution: Span,
    /// The share of its check among what is found together,
    usual: f64,
    /// and of any one check among all.
    any: f64,
    /// What is known of its check: alerts a second that are caused.
    causality: &'a Causality,
    /// What others let expect of its check, as two terms of a fraction, in slots: many candidates have the same ones.
    expected: [Option<(u64, (f64, f64))>; SLOTS],
}

impl<'a> Subject<'a> {
    /// An alert, and `ln` of the rate of its check by itself.
    pub fn new((seen, said): (&'a Sighting, Said<'a>), background: f64, learned: &Learned, cx: &Lens<'a>) -> Self {
        let (usual, any, resolution) = (learned.usual(seen.check, cx), learned.any(), learned.resolution(cx));
        let weights = cx.policy.correlate.weights;
        let rate = libm::exp(weights.background * background);
        let least = cx.policy.correlate.revise.odds_min * rate;
        let causality = &cx.tables.causality;
        let expected = [None; SLOTS];
        Self { seen, said, background, rate, least, weights, resolution, usual, any, causality, expected }
    }

    /// As it opens, against an episode that may be near. `None` where nothing could come of it.
    pub fn at_opening(
        &mut self,
        (profile, likeliest): (&Profile, f64),
        learned: &Learned,
        cx: &Lens<'_>,
    ) -> Option<Score> {
        let (density, said) = (self.density(profile, cx), self.said.of_episode(profile.said_of()));
        let caused = self.caused(profile);
        if self.is_hopeless([density.sum() + caused, 1.0, 1.0], said, likeliest) {
            return None;
        }
        let alive = alive(profile, self.seen.at, Timestamp::MAX, cx);
        self.against(profile, likeliest, ((density, caused), alive, said), learned, cx)
    }

    /// The same some time later, when what came after it counts too: half of each, for one of the two was first.
    pub fn looking_back(
        &mut self,
        (profile, likeliest): (&Profile, f64),
        learned: &Learned,
        cx: &Lens<'_>,
    ) -> Option<Score> {
        let (density, said) = (self.density(profile, cx).times(0.5), self.said.of_episode(profile.said_of()));
        let caused = self.caused(profile);
        if self.is_hopeless([density.sum() + caused, 1.0, 1.0], said, likeliest) {
            return None;
        }
        let ended_at = self.seen.ended_at.unwrap_or(Timestamp::MAX);
        let alive = alive(profile, self.seen.at, ended_at, cx);
        self.against(profile, likeliest, ((density, caused), alive, said), learned, cx)
    }

    /// The same however hopeless it is, with what the parts are of.
    pub fn in_full(&mut self, profile: &Profile, learned: &Learned, cx: &Lens<'_>) -> (Score, Odds) {
        let density = self.density(profile, cx).times(0.5);
        let alive = alive(profile, self.seen.at, self.seen.ended_at.unwrap_or(Timestamp::MAX), cx);
        let what = density.what(self.what((&profile.checks, profile.alerts), false, learned, cx), self.any);
        let said = self.said.of_episode(profile.said_of());
        let causality = known(self.caused(profile), density.sum() * what);
        let odds =
            Odds { density: density.sum(), alive, fit: profile.fit(self.seen, learned, cx), what, causality, said };
        (Score::of(odds, self), odds)
    }

    fn density(&self, profile: &Profile, cx: &Lens<'_>) -> Density {
        Density {
            soon: profile.density(self.seen.at, self.resolution, cx),
            late: profile.lingering(profile.endless_of(self.seen.entity), self.seen.at, cx),
        }
    }

    /// Alerts a second that are drawn by what is known to cause them: its own, and by it.
    fn caused(&self, profile: &Profile) -> f64 {
        self.causality.density((self.seen.check, self.seen.at), self.resolution, profile)
    }

    /// Cheap things first: most episodes fall out by time alone.
    fn is_hopeless(&self, [density, alive, what]: [f64; 3], said: i64, likeliest: f64) -> bool {
        let Weights { time, lifetimes, place, what: checks, .. } = self.weights;
        let odds = counted(density, time) * counted(alive, lifetimes) * counted(what, checks);
        odds * odds_of(said) * counted(likeliest, place) < self.least
    }

    fn against(
        &mut self,
        profile: &Profile,
        likeliest: f64,
        ((density, caused), alive, said): ((Density, f64), f64, i64),
        learned: &Learned,
        cx: &Lens<'_>,
    ) -> Option<Score> {
        if self.is_hopeless([density.sum() + caused, alive, 1.0], said, likeliest) {
            return None;
        }
        let what = density.what(self.what((&profile.checks, profile.alerts), false, learned, cx), self.any);
        let density = density.sum();
        if caused <= 0.0 && self.is_hopeless([density, alive, what], said, likeliest) {
            return None;
        }
        let (fit, causality) = (profile.fit(self.seen, learned, cx), known(caused, density * what));
        Some(Score::of(Odds { density, alive, fit, what, causality, said }, self))
    }

    /// The same of one that is in the episode, against the rest of it.
    pub fn of_own(&mut self, profile: &Profile, learned: &Learned, cx: &Lens<'_>) -> Score {
        let seen = self.seen;
        let resolution = self.resolution;
        let others_open = profile.endless_of(seen.entity).saturating_sub(1);
        let others = profile.density(seen.at, resolution, cx) - Profile::own_density(resolution, cx);
        let alive = alive(profile, seen.at, seen.ended_at.unwrap_or(Timestamp::MAX), cx);
        let late = profile.lingering(others_open, seen.at, cx);
        let density = Density { soon: others.max(0.0), late }.times(0.5);
        let others = profile.alerts.saturating_sub(1);
        let what = density.what(self.what((&profile.checks, others), true, learned, cx), self.any);
        let density = density.sum();
        let said = self.said.of_own(profile.said_of());
        let (fit, causality) = (profile.fit_of_own(seen, learned, cx), known(self.caused(profile), density * what));
        Score::of(Odds { density, alive, fit, what, causality, said }, self)
    }

    /// How usual its check is in an episode: the episode's own checks, against what is known of them. Where it is one of
    /// the episode's own it is left out.
    fn what(&mut self, (checks, alerts): (&[(u64, u32)], u32), is_own: bool, learned: &Learned, cx: &Lens<'_>) -> f64 {
        let model = &cx.policy.correlate.what;
        if !cx.tables.uses(Clue::Checks) {
            return self.usual;
        }
        let (mut own, mut sum, mut all) = (0, 0.0, 0.0);
        for (check, count) in checks {
            let is_its = *check == self.seen.check;
            let count = count.saturating_sub(u32::from(is_its && is_own));
            if is_its {
                own = count;
            }
            let (met, together) = self.expected(*check, learned, cx);
            sum += f64::from(count) * met / together;
            all += f64::from(count);
        }
        let expected = if all > 0.0 { sum / all } else { self.usual };
        (f64::from(own) + model.prior * expected) / (f64::from(alerts) + model.prior)
    }

    fn expected(&mut self, other: u64, learned: &Learned, cx: &Lens<'_>) -> (f64, f64) {
        let shrinkage = cx.policy.correlate.what.shrinkage;
        let slot = &mut self.expected[other as usize % SLOTS];
        if let Some((_, terms)) = slot.filter(|known| known.0 == other) {
            return terms;
        }
        let known = cx.tables.uses(Clue::Company).then(|| learned.met(self.seen.check, other));
        let (met, together) = known.unwrap_or_default();
        let terms = (met + shrinkage * self.usual, together + shrinkage);
        *slot = Some((other, terms));
        terms
    }
}

/// How much of an episode is alive in a span of time: what cleared before it, or opened after it, fades.
pub fn alive(profile: &Profile, from: Timestamp, to: Timestamp, cx: &Lens<'_>) -> f64 {
    let lives = profile.lives();
    let step = (lives.len() / SAMPLES).max(1);
    let (mut sum, mut samples) = (0.0, 0.0_f64);
    for (opened_at, ended_at) in lives.iter().rev().step_by(step) {
        let gap = (*opened_at - to).max(from - *ended_at).max(Span(0));
        sum += cx.tables.fade(gap);
        samples += 1.0;
    }
    (sum / samples.max(1.0)).max(cx.policy.correlate.time.faded)
}
