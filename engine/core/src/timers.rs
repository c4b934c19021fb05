//! What will happen by itself, and when (design rule 7).
use crate::{
    domain::time::{Span, Timestamp},
    room::give_back,
};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;

/// What a timer does. Of several that may fire at one clock, the earlier variant goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TimerKind {
    /// A silence or a maintenance window begins to hide an alert, or hides it no more. By fingerprint. Before all that
    /// would make it heard at that moment.
    Suppress,
    /// A series has been usual for a while: its alert clears before it would raise. By fingerprint of the series.
    Calm,
    /// An alert's place is looked at again, before it raises. By fingerprint.
    Revise,
    /// An alert that still fires raises an incident. By fingerprint.
    Settle,
    /// Many alerts at once raise an incident. By episode.
    Many,
    /// A series is missed. By fingerprint of the series.
    Silent,
    /// A burst of alerts may be over. By hash of the check.
    BurstEnd,
    /// An alert whose count changed speaks. By fingerprint.
    SpeakAlert,
    /// A branch of a storm changed: its major incident hears of it. By incident.
    Branch,
    /// An incident that changed speaks. By incident.
    SpeakIncident,
    /// Services whose score changed speak.
    SpeakServices,
    /// A recovery waited in vain for its problem. By fingerprint.
    Orphan,
    /// An alert that is not heard of is cleared. By fingerprint.
    AutoClear,
    /// An alert flaps no more. By fingerprint.
    Flap,
    /// A dead man's switch was not heard of. By fingerprint. It waits for the watermark: one that says late, but in time,
    /// that all was well was not silent.
    Absence,
    /// An incident whose alerts are clear is resolved. By incident.
    Resolve,
    /// An episode takes no more alerts. By episode.
    EndEpisode,
    /// A resolved incident is closed. By incident.
    Close,
    /// A cleared alert is no longer kept. By fingerprint.
    ForgetAlert,
    /// A closed incident is no longer kept. By incident.
    ForgetIncident,
    /// A silence or a maintenance window that is over is no longer kept. By its key.
    ForgetSuppressor,
    /// Series that are not heard of are no longer kept.
    ForgetSeries,
    /// What people said of which alerts belong together holds no more. By its id.
    ForgetCorrection,
}

impl TimerKind {
    /// What closes something waits for the watermark: a firing that is late but in time may still undo it.
    const fn closes(self) -> bool {
        matches!(
            self,
            Self::Orphan
                | Self::AutoClear
                | Self::Flap
                | Self::Absence
                | Self::Resolve
                | Self::EndEpisode
                | Self::Close
                | Self::ForgetAlert
                | Self::ForgetIncident
                | Self::ForgetSuppressor
                | Self::ForgetCorrection
        )
    }
}

/// A timer, as it fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timer {
    /// The clock at which it may fire.
    pub fires_at: Timestamp,
    pub kind: TimerKind,
    pub id: u128,
    /// What it is stamped with.
    pub due: Timestamp,
}

/// A timer's place in the queue: ordered as they fire, by (the clock at which it may fire, kind, id). Packed, since there
/// are several timers of each alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(Rust, packed)]
struct Place {
    fires_at: Timestamp,
    kind: TimerKind,
    id: u128,
}

/// What a timer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(Rust, packed)]
struct Key {
    kind: TimerKind,
    id: u128,
}

/// When it may fire.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(Rust, packed)]
struct FiresAt(Timestamp);

/// The timers of a scope: of each kind and id at most one, so that what is kept bounds them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timers {
    /// What each is stamped with.
    queue: BTreeMap<Place, Timestamp>,
    pending: FxHashMap<Key, FiresAt>,
}

/// The watermark has passed a time when what is dated so would be late.
const PASSED: Span = Span(1);

impl Timers {
    /// Sets a timer, in place of the one that was set.
    pub fn set(&mut self, kind: TimerKind, id: u128, due: Timestamp, lateness: Span) {
        let fires_at = if kind.closes() { due + lateness + PASSED } else { due };
        if let Some(FiresAt(before)) = self.pending.insert(Key { kind, id }, FiresAt(fires_at)) {
            self.queue.remove(&Place { fires_at: before, kind, id });
        }
        self.queue.insert(Place { fires_at, kind, id }, due);
    }

    /// What it would act on is gone.
    pub fn cancel(&mut self, kind: TimerKind, id: u128) {
        if let Some(FiresAt(fires_at)) = self.pending.remove(&Key { kind, id }) {
            self.queue.remove(&Place { fires_at, kind, id });
            give_back(&mut self.pending);
        }
    }

    /// The next timer that may fire at `clock`.
    pub fn pop(&mut self, clock: Timestamp) -> Option<Timer> {
        let first = self.queue.first_entry().filter(|first| { first.key().fires_at } <= clock)?;
        let (Place { fires_at, kind, id }, due) = first.remove_entry();
        self.pending.remove(&Key { kind, id });
        give_back(&mut self.pending);
        Some(Timer { fires_at, kind, id, due })
    }

    /// How many are set.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// None is set.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

/// In the order in which they fire.
impl Serialize for Timers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let timer = |(place, due): (&Place, &Timestamp)| {
            let Place { fires_at, kind, id } = *place;
            Timer { fires_at, kind, id, due: *due }
        };
        serializer.collect_seq(self.queue.iter().map(timer))
    }
}

impl<'de> Deserialize<'de> for Timers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let timers = Vec::<Timer>::deserialize(deserializer)?;
        let pending = timers.iter().map(|t| (Key { kind: t.kind, id: t.id }, FiresAt(t.fires_at))).collect();
        let place = |Timer { fires_at, kind, id, due }: Timer| (Place { fires_at, kind, id }, due);
        Ok(Self { queue: timers.into_iter().map(place).collect(), pending })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_timer_of_a_kind_and_id() {
        let mut timers = Timers::default();
        let at = |seconds: i64| Timestamp(seconds * 1_000);
        timers.set(TimerKind::Settle, 1, at(5), Span::seconds(9));
        timers.set(TimerKind::Settle, 1, at(7), Span::seconds(9));
        timers.set(TimerKind::Close, 1, at(1), Span::seconds(9));
        timers.set(TimerKind::Close, 2, at(1), Span::seconds(9));
        timers.cancel(TimerKind::Close, 2);
        assert_eq!((timers.len(), timers.pop(at(6))), (2, None));
        assert_eq!(timers.pop(at(7)).map(|t| (t.kind, t.due)), Some((TimerKind::Settle, at(7))));
        assert_eq!(timers.pop(at(10)), None, "at the watermark is in time");
        assert_eq!(timers.pop(at(10) + PASSED).map(|t| t.kind), Some(TimerKind::Close));
        assert!(timers.is_empty() && timers.pending.is_empty());
    }
}
