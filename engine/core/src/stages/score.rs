//! Measured series: how unusual a sample is, which thresholds it crosses, which series go silent; and how many alerts of
//! a check open against how many usually do. What is found becomes an event and takes the road of one.
//!
//! A series is folded in the order of the journal: a sample older than its last changes nothing. Nothing is learned as
//! usual while an alert of the series' own is open, until that has been so for `new_usual`.
use crate::{
    domain::{
        alert::{Alert, AlertId, Fingerprint},
        event::Event,
        kpi::KpiLevel,
        policy::{Clock, Score, Silence},
        time::{Span, Timestamp},
    },
    ledger::Outcome,
    scope::Cx,
    stages::deduplicate::first_of,
    timers::TimerKind,
};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

mod bursts;
mod cohesion;
mod crossing;
mod outlook;
mod recurring;
mod rhythms;
mod said;
mod series;
use bursts::Bursts;
use cohesion::Groups;
use rhythms::Rhythms;
use series::Series;

/// A share of this of the series goes when there are too many.
const EVICTED_SHARE: usize = 64;
/// What is past its time is looked for at most so often.
const SWEEP_INTERVAL: Span = Span::hours(1);
/// All series are swept by one timer.
const SWEEP: u128 = 0;

/// What the scorer found.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// It takes the road of an event.
    Event(Box<Event>),
    /// A KPI was measured.
    Kpi(Measured),
}

impl Finding {
    /// It was found while work on it was announced: it is not ill by that, so that its KPI is left out of the score like
    /// one that only informs.
    pub const fn excuse(&mut self) {
        if let Self::Kpi(Measured { level: Some(level), .. }) = self {
            *level = KpiLevel::Info;
        }
    }
}

/// A KPI's series has a level.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    pub service: Arc<str>,
    pub kpi: Arc<str>,
    pub series: Fingerprint,
    /// `None` where the series is no longer kept, or no longer the KPI's.
    pub level: Option<KpiLevel>,
    pub value: f64,
}

/// The measured series of a scope, and the rates of its checks.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scorer {
    /// In boxes: a table is half empty, and they are a kilobyte each.
    #[serde(with = "crate::snapshot::sorted")]
    series: FxHashMap<Fingerprint, Box<Series>>,
    bursts: Bursts,
    peers: Groups,
    rhythms: Rhythms,
    /// Series that have them.
    shapes: usize,
    /// Counts changes of policy and topology: what a series was bound to before one is looked up again.
    generation: u32,
    sweeps: bool,
}

impl Scorer {
    /// Policy or topology changed.
    pub const fn rebind(&mut self) {
        self.generation = self.generation.wrapping_add(1);
    }

    /// Folds a sample of the series `key`; `at` is its time, held to its arrival; where it `teaches` it is learned as usual, and what is
    /// `worked_on`, under maintenance, never is, however long it lasts.
    pub fn take(
        &mut self,
        key: Fingerprint,
        event: &Event,
        (at, teaches, worked_on): (Timestamp, bool, bool),
        cx: &mut Cx<'_>,
        found: &mut Vec<Finding>,
    ) -> Outcome {
        let Some(value) = event.value.filter(|value| value.is_finite()) else { return Outcome::Sampled };
        if !self.series.contains_key(&key) {
            self.make_room(cx, found);
            let series = Series::new(event, at);
            if cx.core.evicted.series > 0 {
                // It may be one that had to go while it was missed.
                series.is_heard_again(key, at, found);
            }
            self.series.insert(key, Box::new(series));
            self.await_sweep(cx);
        }
        let Self { series, peers, shapes, generation, .. } = self;
        let Some(series) = series.get_mut(&key) else { return Outcome::OverQuota };
        if at < series.last_at() {
            return Outcome::Late;
        }
        let heard_at = match cx.policy.clock {
            Clock::Wall => event.arrival.max(at),
            // Recorded data tells late, too: it came when others had come so far.
            Clock::Events => cx.core.clock,
        };
        series.hear(key, (at, heard_at), found);
        bind(series, (key, at), (*generation, shapes, peers), cx, found);
        if worked_on {
            series.put_off(at);
            peers.put_off(key, series, at);
        }
        let lead = peers.lead(key, series, cx);
        let verdict = series.judge((key, value), (at, teaches, worked_on, lead), cx, found);
        peers.note(key, series, series.accepted_at().filter(|accepted| *accepted == at));
        if is_watched(series, &cx.policy.score)
            && let Some(due) = series.listen(&cx.policy.score)
        {
            cx.set(TimerKind::Silent, key.0, due);
        }
        self.peers.take((key, value, at), (&verdict, teaches), &mut self.series, cx, found);
        Outcome::Sampled
    }

    /// A person says that what an alert tells of is normal; whether that can be learned.
    #[expect(clippy::disallowed_methods, reason = "at most one series has that alert")]
    pub fn teach(&mut self, alert: &Alert, cx: &mut Cx<'_>, found: &mut Vec<Finding>) -> bool {
        let told = |(key, series): &(&Fingerprint, &mut Box<Series>)| {
            series.entity == alert.entity
                && alert.check.starts_with(&*series.check)
                && series.is_told_by(**key, alert.fingerprint, cx)
        };
        let Some((key, series)) = self.series.iter_mut().find(told) else { return false };
        series.teach(*key, (alert.id, self.peers.standing(*key, series)), cx, found);
        let at = cx.core.clock.max(series.last_at());
        self.peers.accept(*key, series, at, found);
        true
    }

    /// It was not normal after all; whether a series was taught by that alert, and by none since.
    #[expect(clippy::disallowed_methods, reason = "at most one series was")]
    pub fn unteach(&mut self, alert: AlertId) -> bool {
        let Some((key, series)) = self.series.iter_mut().find(|(_, series)| series.is_taught_by(alert)) else {
            return false;
        };
        if let Some((group, standing)) = series.unteach() {
            self.peers.restore(*key, group, standing);
        }
        true
    }

    /// Nothing unusual came for a while.
    pub fn on_calm(&mut self, key: Fingerprint, due: Timestamp, cx: &mut Cx<'_>, found: &mut Vec<Finding>) {
        if let Some(series) = self.series.get_mut(&key) {
            series.on_calm(key, due, cx, found);
        }
    }

    /// Nothing came for a while.
    pub fn on_silent(&mut self, key: Fingerprint, due: Timestamp, cx: &mut Cx<'_>, found: &mut Vec<Finding>) {
        // What is no longer watched is not missed.
        let Self { series, peers, shapes, generation, .. } = self;
        let Some(series) = series.get_mut(&key) else { return };
        bind(series, (key, due), (*generation, shapes, peers), cx, found);
        if !is_watched(series, &cx.policy.score) {
            series.stop_listening();
        } else if let Some(again) = series.on_silent(key, due, &cx.policy.score, found) {
            cx.set(TimerKind::Silent, key.0, again);
        }
    }

    /// Nothing more will come: that it does not is no finding. (No order shows in what is cancelled.)
    pub fn on_settle(&mut self, cx: &mut Cx<'_>) {
        for (key, series) in &mut self.series {
            if series.stop_listening() {
                cx.core.timers.cancel(TimerKind::Silent, key.0);
            }
        }
    }

    /// An alert of a check opened; the event of a burst, if it is one.
    pub fn on_opened(&mut self, check: &Arc<str>, cx: &mut Cx<'_>) -> Option<Finding> {
        let found = self.bursts.on_opened(check, cx);
        self.await_sweep(cx);
        found
    }

    /// An alert opened, of whoever said it; on how many days it did at this hour, if that is its hour.
    pub fn at_its_hour(&mut self, alert: &Alert, cx: &mut Cx<'_>) -> Option<Box<str>> {
        let known = self.rhythms.on_opened(alert, cx);
        self.await_sweep(cx);
        known
    }

    /// A burst may be over.
    pub fn on_burst_end(&mut self, check: u64, due: Timestamp, cx: &mut Cx<'_>) -> Option<Finding> {
        self.bursts.on_end(check, due, cx)
    }

    fn await_sweep(&mut self, cx: &mut Cx<'_>) {
        if !self.sweeps {
            self.sweeps = true;
            cx.set(TimerKind::ForgetSeries, SWEEP, cx.core.clock + cx.policy.score.keep);
        }
    }

    /// What was not heard of for long is no longer kept.
    #[expect(clippy::disallowed_methods, reason = "what goes is sorted, and of times the least is taken")]
    pub fn on_sweep(&mut self, due: Timestamp, cx: &mut Cx<'_>, found: &mut Vec<Finding>) {
        let before = due - cx.policy.score.keep;
        let old = self.series.iter().filter(|(_, s)| s.last_at() <= before).map(|(key, _)| *key).collect();
        self.forget(old, cx, found);
        self.bursts.forget(before, cx);
        self.rhythms.forget(due, &cx.policy.score.timezone);
        let oldest = self.series.values().map(|series| series.last_at()).chain(self.bursts.oldest()).min();
        let oldest = if self.rhythms.is_empty() { oldest } else { Some(oldest.unwrap_or(due)) };
        let next = oldest.map(|oldest| (oldest + cx.policy.score.keep).max(due + SWEEP_INTERVAL));
        // At the end of time there is no next time.
        let next = next.filter(|next| *next > due);
        self.sweeps = next.is_some();
        if let Some(next) = next {
            cx.set(TimerKind::ForgetSeries, SWEEP, next);
        }
    }

    /// At the limit those go that have been silent for longest.
    #[expect(clippy::disallowed_methods, reason = "victims are sorted")]
    fn make_room(&mut self, cx: &mut Cx<'_>, found: &mut Vec<Finding>) {
        let max = cx.policy.limits.series;
        if self.series.len() < max {
            return;
        }
        let all = self.series.iter().map(|(key, s)| (s.last_at(), *key)).collect();
        let victims: Vec<_> = first_of(all, max.div_ceil(EVICTED_SHARE)).into_iter().map(|(_, key)| key).collect();
        cx.core.evicted.series += victims.len() as u64;
        self.forget(victims, cx, found);
    }

    fn forget(&mut self, mut keys: Vec<Fingerprint>, cx: &mut Cx<'_>, found: &mut Vec<Finding>) {
        keys.sort_unstable();
        for key in keys {
            cx.core.timers.cancel(TimerKind::Calm, key.0);
            cx.core.timers.cancel(TimerKind::Silent, key.0);
            if let Some(mut series) = self.series.remove(&key) {
                series.leave(key, found);
                self.shapes -= usize::from(series.has_shape()).min(self.shapes);
                if let Some(group) = series.peers() {
                    let at = cx.core.clock.max(series.last_at());
                    self.peers.leave(group, key, &mut series, at, found);
                }
            }
        }
    }

    /// Series that are kept.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// None is kept.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }
}

/// Binds a series to what policy and topology say now, if that may have changed.
fn bind(
    series: &mut Series,
    (key, at): (Fingerprint, Timestamp),
    (generation, shapes, peers): (u32, &mut usize, &mut Groups),
    cx: &mut Cx<'_>,
    found: &mut Vec<Finding>,
) {
    if series.is_bound(generation) {
        return;
    }
    let (group, had) = (series.peers(), series.has_shape());
    let room = cx.policy.limits.shapes.saturating_sub(*shapes);
    let is_short = series.bind(key, (generation, room), at, cx, found);
    cx.core.evicted.shapes += u64::from(is_short);
    *shapes = shapes.saturating_sub(usize::from(had)) + usize::from(series.has_shape());
    if let Some(group) = group.filter(|_| group != series.peers()) {
        peers.leave(group, key, series, at, found);
    }
}

/// Whether its silence is told of.
fn is_watched(series: &Series, policy: &Score) -> bool {
    match policy.silence {
        Silence::None => false,
        Silence::Kpis => series.is_kpi(),
        Silence::All => true,
    }
}
