//! One measured series.
use super::{
    Finding,
    cohesion::{self, Lead},
    crossing::{By, Crossing, Learned, Looked},
    outlook::{self, Outlook},
    recurring::Recurring,
    said::{Said, fingerprint, rounded},
};
use crate::{
    domain::{
        alert::{AlertId, Fingerprint},
        event::Event,
        glob,
        policy::Score,
        threshold::Number,
        time::{Span, Timestamp},
        zone::WEEKDAYS,
    },
    scope::Cx,
    timers::TimerKind,
};
use quell_models::{
    cohesion::Standing,
    detectors::{Kpi, Moment, Score as Milli, Shape, Usual, Verdict, What},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const UNUSUAL: &str = "unusual";
const SILENT: &str = "silent";
/// Gaps that have to be seen before a series can be missed.
const GAPS_MIN: u8 = 3;
/// Samples in a row that are nearer to what was usual before: it is so again.
const BACK: u8 = 10;
/// The usual gap follows the gaps by a share of this.
const GAP_MEMORY: i64 = 8;

/// A sample of a series.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub key: Fingerprint,
    pub value: f64,
    pub at: Timestamp,
}

/// What was judged of a sample, and what stands behind its unit.
pub fn judged(value: f64, usual: Option<Usual>) -> (Number, &'static str) {
    match usual.and_then(|usual| usual.rate) {
        Some(rate) => (Number(rate), " a second"),
        None => (Number(value), ""),
    }
}

/// Since when a series is unusual.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Unusual {
    since: Timestamp,
    /// The latest unusual sample.
    last_at: Timestamp,
    /// When it last fired.
    said_at: Timestamp,
    /// The latest sample was usual.
    calm: bool,
}

/// What was usual before a change that lasted was learned as usual.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Former {
    since: Timestamp,
    detector: Kpi,
    /// So many of the latest samples in a row were nearer to it.
    nearer: u8,
}

/// What was usual before a person said that what an alert tells of is normal, who may take that back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Taught {
    by: AlertId,
    detector: Kpi,
    /// What adaptive figures went by.
    figures: Vec<(By, Vec<Learned>)>,
    /// How it stood beside its peers, and whose group that was.
    peers: Option<(u64, Standing)>,
}

/// What is known of a series: about 900 bytes, 1,400 more where days of the week differ, as much again for some days after a new usual, 64 KiB more of shapes, and its names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    pub origin: Arc<str>,
    pub entity: Arc<str>,
    pub check: Arc<str>,
    /// The one that its first sample named, or empty.
    pub service: Arc<str>,
    detector: Kpi,
    /// It is judged by how fast it grows.
    is_counter: bool,
    /// What adaptive figures were held against last: its value, or how fast it grew.
    level: f64,
    /// Where shapes are asked for.
    shape: Option<Box<Shape>>,
    last_at: Timestamp,
    /// When that came here: it is missed, and its calm is over, so long after it was heard of, however late it tells.
    heard_at: Timestamp,
    /// The usual one between samples, once some were seen.
    gap: Span,
    gaps: u8,
    unusual: Option<Unusual>,
    /// Since when an alert of its own is open.
    disturbed_since: Option<Timestamp>,
    /// At which hours that was so, lately.
    recurring: Recurring,
    silent_since: Option<Timestamp>,
    former: Option<Box<Former>>,
    taught: Option<Box<Taught>>,
    /// A timer waits for its silence.
    listening: bool,
    /// What it is held against, and as of which generation of policy and topology.
    pub(super) crossings: Vec<Crossing>,
    /// The group of its peers.
    peers: Option<u64>,
    /// It has left them.
    pub is_apart: bool,
    /// It learns nothing, as most of them are told of, since then.
    waits_since: Option<Timestamp>,
    bound: Option<u32>,
    /// What it will be, where that is asked.
    outlook: Option<Box<Outlook>>,
}

impl Series {
    /// Of which the first sample is about to be taken.
    pub fn new(event: &Event, at: Timestamp) -> Self {
        Self {
            origin: event.origin.as_str().into(),
            entity: event.entity.as_str().into(),
            check: event.check.as_str().into(),
            service: event.service.as_str().into(),
            detector: Kpi::default(),
            is_counter: false,
            level: 0.0,
            shape: None,
            last_at: at,
            heard_at: at,
            gap: Span(0),
            gaps: 0,
            unusual: None,
            disturbed_since: None,
            recurring: Recurring::default(),
            silent_since: None,
            former: None,
            taught: None,
            listening: false,
            crossings: Vec::new(),
            peers: None,
            is_apart: false,
            waits_since: None,
            bound: None,
            outlook: None,
        }
    }

    /// Its latest sample.
    pub const fn last_at(&self) -> Timestamp {
        self.last_at
    }

    /// Since when it learns nothing, as most of its peers are told of.
    pub const fn waits_since(&self) -> Option<Timestamp> {
        self.waits_since
    }

    /// The group of its peers.
    pub const fn peers(&self) -> Option<u64> {
        self.peers
    }

    /// What it is held against, or what is usual for it, says something.
    pub fn speaks(&self) -> bool {
        self.unusual.is_some() || self.crossings.iter().any(Crossing::speaks)
    }

    /// What is said of it is how fast it grows.
    pub const fn is_counter(&self) -> bool {
        self.is_counter
    }

    /// Enough is known of it to say what is usual.
    pub const fn is_warm(&self) -> bool {
        self.detector.is_warm()
    }

    /// It tells how well a service does.
    pub fn is_kpi(&self) -> bool {
        self.crossings.iter().any(|crossing| !crossing.by.is_rule())
    }

    /// It was heard of: what was `at` a time came here later, or then.
    pub fn hear(&mut self, key: Fingerprint, (at, heard_at): (Timestamp, Timestamp), found: &mut Vec<Finding>) {
        if let Some(since) = self.silent_since.take() {
            // A sample of before may come after the silence was noticed.
            found.push(Said::resolved(SILENT, SILENT).about(self, key, heard_at.max(since)));
        } else if at > self.last_at {
            let gap = at - self.last_at;
            let moved = (gap.0 - self.gap.0) / GAP_MEMORY;
            self.gap = if self.gaps == 0 { gap } else { Span(self.gap.0 + moved) };
            self.gaps = self.gaps.saturating_add(1);
        }
        (self.last_at, self.heard_at) = (at, heard_at.max(self.heard_at));
    }

    /// What was said before it had to go holds no more: it is heard of, and what it does now is all that is known.
    pub fn is_heard_again(&self, key: Fingerprint, at: Timestamp, found: &mut Vec<Finding>) {
        found.extend([SILENT, UNUSUAL].map(|of| Said::resolved(of, of).about(self, key, at)));
    }

    /// What lasts, lasts from here on: that it is worked on makes nothing usual.
    pub fn put_off(&mut self, at: Timestamp) {
        if let Some(state) = &mut self.unusual {
            state.since = at;
        }
        self.disturbed_since = self.disturbed_since.map(|_| at);
        self.waits_since = self.waits_since.map(|_| at);
    }

    /// Whether it was bound as of this generation.
    pub fn is_bound(&self, generation: u32) -> bool {
        self.bound == Some(generation)
    }

    /// Looks up what it is held against, as that may have changed; `room` is how many more may have shapes. Whether its shapes are asked
    /// for and found no room.
    pub fn bind(
        &mut self,
        key: Fingerprint,
        (generation, room): (u32, usize),
        at: Timestamp,
        cx: &Cx<'_>,
        found: &mut Vec<Finding>,
    ) -> bool {
        self.bound = Some(generation);
        let mut before = std::mem::take(&mut self.crossings);
        let now = Crossing::all_of(self, &mut before, cx);
        for gone in before {
            gone.release(self, key, at, found);
        }
        self.crossings = now;
        self.peers = cohesion::group_of(self, cx);
        let is_asked = cx.policy.score.shapes.iter().any(|pattern| glob::matches(pattern, &self.check));
        let has_room = self.has_shape() || room > 0;
        self.shape = (is_asked && has_room).then(|| self.shape.take().unwrap_or_default());
        is_asked && !has_room
    }

    /// Its shapes are looked at.
    pub const fn has_shape(&self) -> bool {
        self.shape.is_some()
    }

    /// Whether the sample is unusual, what it crosses, and whether it is learned. What is unusual at the same hour for the third day in a
    /// row is learned whatever incident it has opened, what is `worked_on` never.
    pub fn judge(
        &mut self,
        (key, value): (Fingerprint, f64),
        (at, teaches, worked_on, lead): (Timestamp, bool, bool, Lead),
        cx: &mut Cx<'_>,
        found: &mut Vec<Finding>,
    ) -> Verdict {
        let new_usual = cx.policy.score.new_usual;
        let lasts = |since: Timestamp| at - since >= new_usual;
        // One that was told of has accepted it by itself.
        if lead == Lead::Accepts && !worked_on && self.accepted_at().is_none_or(lasts) {
            self.accept(at, cx);
        }
        self.waits_since = (lead == Lead::Waits).then(|| self.waits_since.unwrap_or(at));
        let moment = cx.policy.score.moment(at);
        self.recurring.turn(moment);
        let comes = self.disturbed_since.is_some() && !worked_on && self.recurring.comes(moment);
        // The sample that begins a disturbance is learned, clipped: or what keeps coming would be unusual for ever.
        let learns = match lead {
            Lead::Learns => !worked_on,
            Lead::Waits => comes || teaches && self.disturbed_since.or(self.waits_since).is_some_and(lasts),
            _ => comes || teaches && self.disturbed_since.is_none_or(lasts),
        };
        let was_warm = self.is_warm();
        let verdict = if comes {
            self.detector.take_recurring(moment, value)
        } else if learns || worked_on {
            self.detector.take(moment, value, learns)
        } else {
            self.detector.take_told(moment, value)
        };
        self.is_counter = match verdict.usual {
            Some(usual) => usual.rate.is_some(),
            // It has turned out to be another kind of series, and is learned anew.
            None => self.is_counter != (was_warm && !self.is_warm()),
        };
        let verdict = self.or_as_before(verdict, (moment, at), value, cx);
        let level = if self.is_counter { verdict.usual.and_then(|usual| usual.rate) } else { Some(value) };
        self.level = level.unwrap_or(self.level);
        if let Some(taught) = &mut self.taught {
            // It goes on from here where that is taken back: a counter is judged by what it was at last.
            taught.detector.take(moment, value, false);
        }
        let sample = Sample { key, value, at };
        let shape = self.shape.as_mut().filter(|_| teaches).map(|shape| shape.take(value));
        let verdict = verdict.with_shape(shape.unwrap_or_default());
        let mut crossings = std::mem::take(&mut self.crossings);
        for crossing in &mut crossings {
            crossing.judge(self, sample, Looked { verdict: &verdict, level, learns }, cx, found);
        }
        self.crossings = crossings;
        let told = self.crossings.iter().any(Crossing::speaks);
        self.judge_score(sample, &verdict, told, cx, found);
        let disturbed = self.unusual.is_some() || told || self.is_apart;
        self.disturbed_since = disturbed.then(|| self.disturbed_since.unwrap_or(at));
        if disturbed && !worked_on {
            self.recurring.note(moment);
        }
        let mut outlook = self.outlook.take();
        outlook::look(&mut outlook, self, sample, cx, found);
        self.outlook = outlook;
        verdict
    }

    /// For a while what was usual before a change that lasted is usual, too; it is again once the series has gone back to it.
    fn or_as_before(
        &mut self,
        verdict: Verdict,
        (moment, at): (Moment, Timestamp),
        value: f64,
        cx: &Cx<'_>,
    ) -> Verdict {
        let Some(former) = &mut self.former else { return verdict };
        let before = former.detector.take(moment, value, false);
        // Of what turns out to be another kind of series nothing is known from before.
        if at - former.since > cx.policy.score.old_usual || !former.detector.is_warm() {
            self.former = None;
            return verdict;
        }
        // One of them says nothing of it: it is a counter's reset.
        if before.usual.is_none() || verdict.usual.is_none() {
            return verdict;
        }
        if before.is_beyond() || before.deviations.abs() >= verdict.deviations.abs() {
            former.nearer = 0;
            return verdict;
        }
        former.nearer += 1;
        if former.nearer >= BACK
            && let Some(former) = self.former.take()
        {
            self.go_back(former.detector);
        }
        // That it comes back is no news.
        Verdict { event: Milli(0), ..before }
    }

    /// How many deviations a value would be off what is usual, or was before and still is, at a moment to come.
    pub fn deviations_at(&self, at: Moment, value: f64) -> Option<f64> {
        let all = self
            .former
            .iter()
            .map(|former| &former.detector)
            .chain([&self.detector])
            .filter_map(|detector| detector.deviations_at(at, value));
        all.min_by(|a, b| a.abs().total_cmp(&b.abs()))
    }

    /// What it does now is usual from here on. Adaptive figures learn it by themselves.
    fn accept(&mut self, at: Timestamp, cx: &Cx<'_>) {
        self.former = Some(Box::new(Former { since: at, detector: self.detector.clone(), nearer: 0 }));
        self.detector.accept(cx.policy.score.moment(at));
    }

    /// When what was usual before the present usual was so last.
    pub fn accepted_at(&self) -> Option<Timestamp> {
        self.former.as_ref().map(|former| former.since)
    }

    fn go_back(&mut self, detector: Kpi) {
        self.detector = detector;
        self.detector.resume();
    }

    /// What a threshold has `told` is not told once more as unusual.
    fn judge_score(
        &mut self,
        sample: Sample,
        verdict: &Verdict,
        told: bool,
        cx: &mut Cx<'_>,
        found: &mut Vec<Finding>,
    ) {
        let Sample { key, at, .. } = sample;
        let policy = &cx.policy.score;
        let unusual = verdict.score().0 >= policy.speaks_at();
        let Some(mut state) = self.unusual else {
            if unusual && !told {
                self.unusual = Some(Unusual { since: at, last_at: at, said_at: at, calm: false });
                found.push(self.say_unusual(sample, verdict, cx));
            }
            return;
        };
        if at - state.since >= policy.new_usual {
            // What stays is the new usual.
            self.accept(at, cx);
            return self.recover(key, at, cx, found);
        }
        if unusual || verdict.is_beyond() {
            (state.last_at, state.calm) = (at, false);
            if at - state.said_at >= cx.policy.deduplicate.count_interval {
                state.said_at = at;
                found.push(self.say_unusual(sample, verdict, cx));
            }
        } else {
            state.calm = true;
            let due = state.last_at + policy.calm;
            if at >= due {
                return self.recover(key, at, cx, found);
            }
            cx.set(TimerKind::Calm, key.0, self.heard_at + (due - at));
        }
        self.unusual = Some(state);
    }

    fn say_unusual(&self, sample: Sample, verdict: &Verdict, cx: &Cx<'_>) -> Finding {
        let Sample { key, at, .. } = sample;
        let summary = words(&self.check, sample, verdict, cx.policy.score.moment(at));
        let said = Said::firing(UNUSUAL, UNUSUAL, cx.policy.score.severity, summary);
        Said { off: Some(verdict.deviations.abs()), ..said }.about(self, key, at)
    }

    fn recover(&mut self, key: Fingerprint, at: Timestamp, cx: &mut Cx<'_>, found: &mut Vec<Finding>) {
        self.unusual = None;
        cx.core.timers.cancel(TimerKind::Calm, key.0);
        found.push(Said::resolved(UNUSUAL, UNUSUAL).about(self, key, at));
    }

    /// Whether an alert tells that it is not as was learned.
    pub fn is_told_by(&self, key: Fingerprint, alert: Fingerprint, cx: &Cx<'_>) -> bool {
        let adaptive = |crossing: &&Crossing| crossing.is_adaptive(self, cx);
        alert == fingerprint(key, UNUSUAL)
            || cohesion::is_told_by(key, alert)
            || self.crossings.iter().filter(adaptive).any(|crossing| alert == fingerprint(key, &crossing.of()))
    }

    /// A person says that what it does now is normal.
    pub fn teach(
        &mut self,
        key: Fingerprint,
        (alert, peers): (AlertId, Option<(u64, Standing)>),
        cx: &mut Cx<'_>,
        found: &mut Vec<Finding>,
    ) {
        let at = cx.core.clock.max(self.last_at);
        let figures = self.crossings.iter().map(Crossing::remembered).collect();
        self.taught = Some(Box::new(Taught { by: alert, detector: self.detector.clone(), figures, peers }));
        // Nothing else is usual any more.
        self.former = None;
        self.detector.accept(cx.policy.score.moment(at));
        if self.unusual.is_some() {
            self.recover(key, at, cx, found);
        }
        let sample = Sample { key, value: self.level, at };
        let mut crossings = std::mem::take(&mut self.crossings);
        for crossing in crossings.iter_mut().filter(|crossing| crossing.is_adaptive(self, cx)) {
            crossing.accept(self, sample, cx, found);
        }
        self.crossings = crossings;
        if !self.crossings.iter().any(Crossing::speaks) {
            self.disturbed_since = None;
        }
    }

    /// Whether what an alert tells of was called normal, and nothing since.
    pub fn is_taught_by(&self, alert: AlertId) -> bool {
        self.taught.as_ref().is_some_and(|taught| taught.by == alert)
    }

    /// What was called normal was not after all: what was usual before is so again, whatever has become usual since. How it stood beside its peers.
    pub fn unteach(&mut self) -> Option<(u64, Standing)> {
        let taught = self.taught.take()?;
        for crossing in &mut self.crossings {
            taught.figures.iter().for_each(|before| crossing.restore(before));
        }
        self.go_back(taught.detector);
        self.former = None;
        taught.peers
    }

    /// The calm has lasted, unless something unusual came.
    pub fn on_calm(&mut self, key: Fingerprint, due: Timestamp, cx: &mut Cx<'_>, found: &mut Vec<Finding>) {
        if self.unusual.is_some_and(|state| state.calm && state.last_at + cx.policy.score.calm <= due) {
            self.recover(key, due, cx, found);
            if !self.is_apart && !self.crossings.iter().any(Crossing::speaks) {
                self.disturbed_since = None;
            }
        }
    }

    /// When it will be missed, unless that is known or it was seen too rarely.
    pub fn listen(&mut self, policy: &Score) -> Option<Timestamp> {
        if self.listening || self.gaps < GAPS_MIN {
            return None;
        }
        self.listening = true;
        Some(self.missed_at(policy))
    }

    fn missed_at(&self, policy: &Score) -> Timestamp {
        let patience = Span(self.gap.0.saturating_mul(i64::from(policy.silence_gaps)));
        self.heard_at + patience.max(policy.silence_min)
    }

    /// It may be silent; if not, when it will be.
    pub fn on_silent(
        &mut self,
        key: Fingerprint,
        due: Timestamp,
        policy: &Score,
        found: &mut Vec<Finding>,
    ) -> Option<Timestamp> {
        let missed_at = self.missed_at(policy);
        if missed_at > due {
            return Some(missed_at);
        }
        self.listening = false;
        self.silent_since = Some(due);
        let (silence, gap) = (rounded(due - self.heard_at), rounded(self.gap));
        let summary = format!("nothing was heard of {} for {silence}, usually it comes every {gap}", self.check);
        found.push(Said::firing(SILENT, SILENT, policy.severity, summary).about(self, key, due));
        // What it would be is not known any more.
        let mut outlook = self.outlook.take();
        if let Some(outlook) = &mut outlook {
            outlook.withdraw(self, Sample { key, value: self.detector.value(), at: due }, found);
        }
        self.outlook = outlook;
        None
    }

    /// Its silence is no finding; whether a timer waited for it.
    pub const fn stop_listening(&mut self) -> bool {
        std::mem::replace(&mut self.listening, false)
    }

    /// It is no longer kept. Its alerts end when nothing is heard of them.
    pub fn leave(&self, key: Fingerprint, found: &mut Vec<Finding>) {
        for crossing in &self.crossings {
            if matches!(crossing.by, By::Kpi { .. }) {
                crossing.measure(key, None, 0.0, found);
            }
        }
    }
}

/// In the lower half of what is usual, or below it.
fn is_low(value: f64, usual: Option<Usual>) -> bool {
    usual.is_some_and(|usual| usual.rate.unwrap_or(value) < f64::midpoint(usual.low, usual.high))
}

/// `latency jumped to 93, usual 20 to 41 at 09:00 on weekdays`; of a counter `requests is 93 a second, usual 20 to 41 a second`
fn words(check: &str, sample: Sample, verdict: &Verdict, moment: Moment) -> String {
    let is = match verdict.what {
        What::Jump if verdict.event > verdict.severity => "jumped to",
        What::Shift if verdict.event > verdict.severity => "has another level, at",
        What::Departure if verdict.event > verdict.severity && is_low(sample.value, verdict.usual) => "stays low, at",
        What::Departure if verdict.event > verdict.severity => "stays high, at",
        What::Shape if verdict.event > verdict.severity => "does what it never did, at",
        _ => "is",
    };
    let (shown, per) = judged(sample.value, verdict.usual);
    let mut text = format!("{check} {is} {shown}{per}");
    if let Some(usual) = verdict.usual {
        text += &format!(", usual {} to {}{per}", Number(usual.low), Number(usual.high));
        if usual.is_of_hour {
            let days = match moment {
                _ if usual.is_of_weekday => WEEKDAYS[usize::from(moment.weekday) % WEEKDAYS.len()],
                Moment { rests: true, .. } => "weekends",
                _ => "weekdays",
            };
            text += &format!(" at {:02}:00 on {days}", moment.hour);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_usual_on_a_day_of_the_week_is_told_as_such() {
        let usual = Usual { low: 20.0, high: 41.0, is_of_hour: true, is_of_weekday: true, rate: None };
        let verdict = Verdict { usual: Some(usual), severity: Milli(600), ..Verdict::default() };
        let sample = Sample { key: Fingerprint(1), value: 93.0, at: Timestamp(0) };
        // 1970-01-06, a Tuesday.
        let said = |verdict: &Verdict| words("batch", sample, verdict, Moment::utc(5 * 86_400 + 7_200));
        assert_eq!(said(&verdict), "batch is 93, usual 20 to 41 at 02:00 on Tuesdays");
        let shape = verdict.with_shape(Milli(900));
        assert_eq!(said(&shape), "batch does what it never did, at 93, usual 20 to 41 at 02:00 on Tuesdays");
        let counter = Verdict { usual: Some(Usual { rate: Some(93.0), ..usual }), ..verdict };
        let told = words("requests", Sample { value: 5e6, ..sample }, &counter, Moment::utc(5 * 86_400 + 7_200));
        assert_eq!(told, "requests is 93 a second, usual 20 to 41 a second at 02:00 on Tuesdays");
    }

    #[test]
    fn a_series_is_small() {
        assert!(size_of::<Series>() <= 960, "{}", size_of::<Series>());
    }
}
