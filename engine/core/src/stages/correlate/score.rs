//! How much speaks for one cause: log-odds as a sum of named parts, rounded before anything is compared.
use super::{Lens, learned::Learned, place::Fit, profile::Profile, sighting::Sighting};
use crate::domain::{
    episode::Evidence,
    time::{Span, Timestamp},
};

/// Members that are looked at for whether an episode lives.
const SAMPLES: usize = 16;
/// `ln` of how much likelier than anywhere an alert is on a common ground, at most.
const LN_COMMON: f64 = 1.2;
/// What is that unlikely is no rival, and adds nothing to many weak links.
const HOPELESS: f64 = -5.0;
/// An episode that is all but dead still has a chance.
const ALIVE_MIN: f64 = 1e-4;

/// What one alert's place in one episode is worth.
#[derive(Clone, Copy, Debug)]
pub struct Score {
    /// In millinats.
    pub total: i64,
    pub evidence: Evidence,
    /// The ground that says most.
    pub ground: Option<u64>,
}

/// In thousandths of a nat.
pub fn millinats(nats: f64) -> i64 {
    // Nothing is surer than that.
    libm::round(nats.clamp(-1e6, 1e6) * 1_000.0) as i64
}

impl Score {
    fn of(time: f64, fit: Fit, what: f64, background: f64) -> Self {
        let parts = [time, libm::log(fit.odds.max(1e-30)), what, -background].map(millinats);
        let [time, place, what, background] = parts.map(narrow);
        let evidence = Evidence { time, place, what, background, margin: 0 };
        Self { total: parts.iter().sum(), evidence, ground: fit.ground }
    }
}

fn narrow(millinats: i64) -> i16 {
    millinats.clamp(i64::from(i16::MIN), i64::from(i16::MAX)) as i16
}

/// Whose place is weighed, and how often its check opens by itself (`ln`, per second).
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    pub seen: &'a Sighting,
    pub background: f64,
}

impl Subject<'_> {
    /// As it opens, against an episode that may be near. `None` where nothing could come of it.
    pub fn at_opening(&self, (profile, is_near): (&Profile, bool), learned: &Learned, cx: &Lens<'_>) -> Option<Score> {
        let density = profile.density(self.seen.at, learned.pace.resolution(), cx);
        let density = density * alive(profile, self.seen.at, Timestamp::MAX, cx);
        self.against(profile, is_near, density, learned, cx)
    }

    /// The same some time later, when what came after it counts too.
    pub fn looking_back(
        &self,
        (profile, is_near): (&Profile, bool),
        learned: &Learned,
        cx: &Lens<'_>,
    ) -> Option<Score> {
        self.against(profile, is_near, density_around(self.seen, profile, learned, cx), learned, cx)
    }

    fn against(
        &self,
        profile: &Profile,
        is_near: bool,
        density: f64,
        learned: &Learned,
        cx: &Lens<'_>,
    ) -> Option<Score> {
        let time = libm::log(density.max(1e-30));
        let most = if is_near { self.seen.ln_rarest } else { LN_COMMON };
        if time - self.background + most < HOPELESS {
            return None;
        }
        let what = what(self.seen.check, (&profile.checks, profile.alerts), false, learned, cx);
        let what = libm::log(what);
        if time - self.background + most + what < HOPELESS {
            return None;
        }
        Some(Score::of(time, profile.fit(self.seen, learned, cx), what, self.background))
    }

    /// The same of one that is in the episode, against the rest of it.
    pub fn of_own(&self, profile: &Profile, learned: &Learned, cx: &Lens<'_>) -> Score {
        let seen = self.seen;
        let resolution = learned.pace.resolution();
        let others = profile.density(seen.at, resolution, cx) - Profile::own_density(resolution, cx);
        let alive = alive(profile, seen.at, seen.ended_at.unwrap_or(Timestamp::MAX), cx);
        let density = 0.5 * others.max(0.0) * alive;
        let others = profile.alerts.saturating_sub(1);
        let what = what(seen.check, (&profile.checks, others), true, learned, cx);
        let fit = profile.fit_of_own(seen, learned, cx);
        Score::of(libm::log(density.max(1e-30)), fit, libm::log(what), self.background)
    }
}

/// How densely an episode draws alerts before and after a moment: half of each, for one of the two was first.
fn density_around(seen: &Sighting, profile: &Profile, learned: &Learned, cx: &Lens<'_>) -> f64 {
    let ended_at = seen.ended_at.unwrap_or(Timestamp::MAX);
    0.5 * profile.density(seen.at, learned.pace.resolution(), cx) * alive(profile, seen.at, ended_at, cx)
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
    (sum / samples.max(1.0)).max(ALIVE_MIN)
}

/// How usual a check is in an episode: its own checks, against what is known of them. One of its own is left out.
fn what(check: u64, (checks, alerts): (&[(u64, u32)], u32), is_own: bool, learned: &Learned, cx: &Lens<'_>) -> f64 {
    let model = &cx.policy.correlate.what;
    let own = checks.iter().find(|c| c.0 == check).map_or(0, |c| c.1.saturating_sub(u32::from(is_own)));
    let left_out = is_own.then_some(check);
    let expected = learned.expected(check, checks, left_out, model.shrinkage);
    (f64::from(own) + model.prior * expected) / (f64::from(alerts) + model.prior)
}
