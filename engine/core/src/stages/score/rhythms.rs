//! Which alerts come at their hour: by entity and check, and by check on the first of their services.
use crate::{
    domain::{
        alert::Alert,
        hash::Framed,
        time::Timestamp,
        zone::{WEEKDAYS, Zone},
    },
    scope::Cx,
    stages::deduplicate::first_of,
};
use quell_models::rhythm::{DAYS, Habit, Hour, Rhythm};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

/// A share of this of the rhythms goes when there are too many.
const EVICTED_SHARE: usize = 64;
const DAY: i64 = 24;

/// The rhythms of a scope, by a hash of what they are of.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rhythms {
    #[serde(with = "crate::snapshot::sorted")]
    kept: FxHashMap<u64, Rhythm>,
}

impl Rhythms {
    /// An alert opened: `9 of its last 10 days between 02:00 and 03:00 (UTC)`, if that is its hour. Of one that was never heard of it is that of its check
    /// on its service: what a job runs on may have another name each night.
    pub fn on_opened(&mut self, alert: &Alert, cx: &mut Cx<'_>) -> Option<Box<str>> {
        let zone = &cx.policy.score.timezone;
        let (hour, weekday) = hour_of(zone, alert.occurred_at)?;
        let key = |of: &str, what: &str| Framed::default().field(of).field(what).field(&*alert.check).hash64();
        let own = key("entity", &alert.entity);
        let is_new = !self.kept.contains_key(&own);
        let habit = self.come(own, hour, cx).map(|habit| words(habit, weekday, "its", zone));
        let Some(service) = alert.services.first() else { return habit };
        let of_service = self.come(key("service", service), hour, cx).filter(|_| is_new);
        habit.or_else(|| of_service.map(|habit| words(habit, weekday, &format!("{service}'s"), zone)))
    }

    fn come(&mut self, key: u64, hour: Hour, cx: &mut Cx<'_>) -> Option<Habit> {
        if !self.kept.contains_key(&key) {
            self.make_room(cx);
        }
        self.kept.entry(key).or_insert_with(|| Rhythm::new(hour.day)).come(hour)
    }

    /// What did not come for as long as is remembered goes. What of no known day is, all of it.
    #[expect(clippy::disallowed_methods, reason = "no order shows in what is forgotten")]
    pub fn forget(&mut self, now: Timestamp, zone: &Zone) {
        let today = hour_of(zone, now).map(|(hour, _)| hour.day);
        let stays = |rhythm: &Rhythm| today.is_some_and(|today| today.saturating_sub(rhythm.last_day()) < DAYS as i32);
        self.kept.retain(|_, rhythm| stays(rhythm));
    }

    /// None is kept.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    #[expect(clippy::disallowed_methods, reason = "victims are sorted")]
    fn make_room(&mut self, cx: &mut Cx<'_>) {
        let max = cx.policy.limits.rhythms;
        if self.kept.len() < max {
            return;
        }
        let all = self.kept.iter().map(|(key, rhythm)| (rhythm.last_day(), *key)).collect();
        for (_, key) in first_of(all, max.div_ceil(EVICTED_SHARE)) {
            cx.core.evicted.rhythms += 1;
            self.kept.remove(&key);
        }
    }
}

/// The hour that clocks show there, and the day of the week; `None` where there is no such year.
fn hour_of(zone: &Zone, at: Timestamp) -> Option<(Hour, usize)> {
    let hours = zone.hours(at)?;
    let day = hours.div_euclid(DAY);
    let hour = Hour { day: i32::try_from(day).ok()?, hour: hours.rem_euclid(DAY) as u8 };
    Some((hour, day.rem_euclid(WEEKDAYS.len() as i64) as usize))
}

fn words(habit: Habit, weekday: usize, whose: &str, zone: &Zone) -> Box<str> {
    let Habit { weekly, from, hours, came, of } = habit;
    let days = if weekly { WEEKDAYS[weekday] } else { "days" };
    let to = i64::from(from + hours) % DAY;
    format!("{came} of {whose} last {of} {days} between {from:02}:00 and {to:02}:00 ({zone})").into()
}
