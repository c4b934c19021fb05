//! What comes by the clock: batches, backups, office hours.
use super::streams::Point;

/// In milliseconds.
const DAY: i64 = 86_400_000;
/// Times of day are told apart by so many milliseconds, and those next to one count as it.
const SLOT: i64 = 60_000;
const SLOTS: usize = (DAY / SLOT) as usize;
const NEXT: i64 = 1;

/// Days that a span of time, in milliseconds, is of.
const fn of(span: i64) -> i64 {
    span / DAY + 1
}

/// A span, and what it lacks of whole days; of less than two days nothing is known that comes each day.
pub const fn whole(span: i64) -> i64 {
    if span < 2 * DAY { span.saturating_add(1) } else { of(span).saturating_mul(DAY) }
}

/// The share of what a kind's events let expect of other days that is in the span: all but their own day's.
pub fn exposure(span: i64) -> f64 {
    1.0 - 1.0 / of(span) as f64
}

/// Sets `daily` of events in order of time: those of the kind within a minute and a half of the time of day, on other days.
pub fn follow(events: &mut [Point], of_kind: &[Vec<u32>], places: usize, span: i64) {
    let seconds = ((2 * NEXT + 1) * SLOT / 1_000) as f64 * of(span) as f64 * places as f64;
    for kind in of_kind {
        let slots: Vec<i64> = kind.iter().map(|event| events[*event as usize].at / SLOT).collect();
        let mut counts = vec![0_u32; SLOTS];
        let of_day = |slot: i64| slot.rem_euclid(SLOTS as i64) as usize;
        slots.iter().for_each(|slot| counts[of_day(*slot)] += 1);
        let (mut first, mut end) = (0, 0);
        for (event, slot) in kind.iter().zip(&slots) {
            first += slots[first..].iter().take_while(|other| **other < slot - NEXT).count();
            end += slots[end..].iter().take_while(|other| **other <= slot + NEXT).count();
            let all: u32 = (slot - NEXT..=slot + NEXT).map(|slot| counts[of_day(slot)]).sum();
            let others = f64::from(all) - (end - first) as f64;
            events[*event as usize].daily = (others / seconds) as f32;
        }
    }
}
