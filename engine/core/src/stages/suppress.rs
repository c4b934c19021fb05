//! Keeps from people what they asked not to hear of: silences, maintenance windows, inhibition.
//!
//! An alert is judged when it opens and when its severity changes, never on a mere count; it then knows when to be judged
//! again, at the end of what hides it or at the next start of what will, by a timer of its own. What is suppressed stays
//! an alert, visible and counted; it has no place in an episode until it is heard.
use crate::{
    domain::{
        alert::{Alert, Fingerprint, SuppressedBy},
        hash::Framed,
        maintenance::Maintenance,
        matcher::AlertView,
        schedule::Occurrence,
        silence::Silence,
        time::Timestamp,
    },
    scope::Cx,
    stages::deduplicate::Deduplicator,
};
use index::MatcherIndex;
use inhibit::Inhibitions;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

mod index;
mod inhibit;
mod keep;
pub use index::PolicyIndex;
pub use keep::Refused;

/// What is suppressed in a scope, and by what.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct Suppressor {
    silences: BTreeMap<u64, Silence>,
    windows: BTreeMap<u64, Maintenance>,
    inhibitions: Inhibitions,
    #[serde(skip)]
    index: Index,
}

/// As it stands in a snapshot.
#[derive(Deserialize)]
struct Stored {
    silences: BTreeMap<u64, Silence>,
    windows: BTreeMap<u64, Maintenance>,
    inhibitions: Inhibitions,
}

impl From<Stored> for Suppressor {
    fn from(Stored { silences, windows, inhibitions }: Stored) -> Self {
        let mut index = Index::default();
        silences.iter().for_each(|(key, silence)| index.silences.insert(*key, &silence.matchers));
        windows.iter().for_each(|(key, window)| index.windows.insert_target(*key, &window.what));
        Self { silences, windows, inhibitions, index }
    }
}

/// Those that are not over.
#[derive(Debug, Default)]
struct Index {
    silences: MatcherIndex<u64>,
    windows: MatcherIndex<u64>,
}

impl PartialEq for Index {
    /// It follows from what it is of.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// Whether an alert is heard.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    pub by: Option<SuppressedBy>,
    /// Since when, where it is.
    pub heard_at: Timestamp,
    /// It was hidden at the time it is judged by, though it may be heard since.
    pub was_hidden: bool,
    /// When to judge again.
    pub again_at: Option<Timestamp>,
}

/// Something that hides an alert: until when, and what.
type Cover = (Timestamp, SuppressedBy);

impl Suppressor {
    /// Judges an alert by a time, that of its event or of what changed: within the lateness it is hidden by what was
    /// there then, until that ended; and by what is there now.
    pub fn judge(
        &self,
        alert: &Alert,
        at: Timestamp,
        alerts: &Deduplicator,
        index: &PolicyIndex,
        cx: &Cx<'_>,
    ) -> Judgement {
        let view = AlertView::from(alert);
        let now = at.max(cx.core.clock);
        let in_time = if at < cx.watermark() { now } else { at };
        let mut heard_at = at;
        let mut cover = self.cover(&view, in_time, index, cx);
        let was_hidden = cover.is_some();
        // What had ended by now is followed to its end, and by what came right after.
        while let Some((end, _)) = cover.as_ref().filter(|(end, _)| *end <= now) {
            heard_at = *end;
            cover = self.cover(&view, *end, index, cx);
        }
        if cover.is_none() && heard_at < now {
            cover = self.cover(&view, now, index, cx);
        }
        if let Some((end, by)) = cover {
            return Judgement { by: Some(by), heard_at, was_hidden: true, again_at: Some(end) };
        }
        let by = self.inhibitions.inhibitor(alert, alerts, cx);
        let was_hidden = was_hidden || by.is_some();
        Judgement { by, heard_at, was_hidden, again_at: self.next_start(&view, now, index, cx) }
    }

    /// The silence or window that hides an alert at a time; of several the one that ends last.
    fn cover(&self, view: &AlertView<'_>, at: Timestamp, index: &PolicyIndex, cx: &Cx<'_>) -> Option<Cover> {
        let mut best: Option<(Timestamp, bool, &std::sync::Arc<str>)> = None;
        self.index.silences.each(view, |key| {
            if let Some(silence) = self.silences.get(&key)
                && silence.span().covers(at)
                && silence.matchers.matches(view)
            {
                best = best.max(Some((silence.ends_at, false, &silence.id)));
            }
        });
        self.each_window(view, index, cx, |window| {
            if let Some(Occurrence { end, .. }) = window.schedule.covering(at) {
                best = best.max(Some((end, true, &window.id)));
            }
        });
        best.map(|(end, is_window, id)| {
            let id = id.clone();
            (end, if is_window { SuppressedBy::Maintenance(id) } else { SuppressedBy::Silence(id) })
        })
    }

    /// When something begins to hide an alert that nothing hides.
    fn next_start(&self, view: &AlertView<'_>, at: Timestamp, index: &PolicyIndex, cx: &Cx<'_>) -> Option<Timestamp> {
        let mut next: Option<Timestamp> = None;
        let mut consider = |start: Timestamp| next = Some(next.map_or(start, |next| next.min(start)));
        self.index.silences.each(view, |key| {
            if let Some(silence) = self.silences.get(&key)
                && silence.starts_at > at
                && silence.matchers.matches(view)
            {
                consider(silence.starts_at);
            }
        });
        self.each_window(view, index, cx, |window| window.schedule.next_start(at).into_iter().for_each(&mut consider));
        next
    }

    /// Whether there are windows at all.
    pub fn has_windows(&self, index: &PolicyIndex) -> bool {
        !self.index.windows.is_empty() || !index.windows.is_empty()
    }

    /// Whether a window is about this at a time.
    pub fn in_maintenance(&self, view: &AlertView<'_>, at: Timestamp, index: &PolicyIndex, cx: &Cx<'_>) -> bool {
        let mut found = false;
        self.each_window(view, index, cx, |window| found |= window.schedule.covering(at).is_some());
        found
    }

    /// The windows that are about an alert, of the policy and of the scope.
    fn each_window<'a>(
        &'a self,
        view: &AlertView<'_>,
        index: &PolicyIndex,
        cx: &Cx<'a>,
        mut act: impl FnMut(&'a Maintenance),
    ) {
        let mut consider = |window: Option<&'a Maintenance>| {
            window.into_iter().filter(|window| window.what.matches(view)).for_each(&mut act);
        };
        let of_policy = cx.policy;
        index.windows.each(view, |n| consider(of_policy.maintenance.get(n)));
        self.index.windows.each(view, |key| consider(self.windows.get(&key)));
    }

    /// An alert is open: it may mute others, or be muted.
    pub fn list(&mut self, alert: &Alert, index: &PolicyIndex, cx: &Cx<'_>) {
        self.inhibitions.list(alert, index, cx);
    }

    /// An alert is open no more. Those that it muted are to be judged.
    pub fn unlist(&mut self, alert: &Alert) -> BTreeSet<Fingerprint> {
        self.inhibitions.unlist(alert.fingerprint);
        self.inhibitions.note(alert.fingerprint, alert.suppressed_by.as_deref(), None);
        self.inhibitions.muted_by(alert.fingerprint)
    }

    /// The open alerts that an open alert may mute, or does.
    pub fn targets_of(&self, key: Fingerprint) -> BTreeSet<Fingerprint> {
        let mut targets = self.inhibitions.targets_of(key);
        targets.append(&mut self.inhibitions.muted_by(key));
        targets
    }

    /// Notes a judgement.
    pub fn note(&mut self, key: Fingerprint, before: Option<&SuppressedBy>, now: Option<&SuppressedBy>) {
        self.inhibitions.note(key, before, now);
    }

    /// The policy or the topology is another one: all open alerts are to be listed anew.
    pub fn forget_listed(&mut self) {
        self.inhibitions = Inhibitions::default();
    }

    /// Silences, those that are over too while they are kept.
    pub fn silences(&self) -> impl Iterator<Item = &Silence> {
        self.silences.values()
    }

    /// Windows that are not the policy's, those that are over too while they are kept.
    pub fn windows(&self) -> impl Iterator<Item = &Maintenance> {
        self.windows.values()
    }
}

/// The key of a silence or a window.
fn key_of(kind: &str, id: &str) -> u64 {
    Framed::default().field(kind).field(id).hash64()
}
