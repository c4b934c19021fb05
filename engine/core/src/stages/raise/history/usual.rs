//! At which time of the day, or of the week, something comes back, where it does so at one.
//!
//! A window of hours is said where most starts lie in it, and so many would by chance lie in one of all that are tried with a
//! probability of less than a hundredth: the exact binomial tail, times the number of windows (Dunn, Multiple comparisons
//! among means, 1961). Rayleigh's test for the circle (Zar, Biostatistical Analysis, section 27.1) misses a nightly job
//! for one start at noon.
use crate::domain::{
    time::Timestamp,
    zone::{WEEKDAYS, Zone},
};
use std::{collections::BTreeSet, fmt};

/// In fewer nights, or weeks, it came by chance.
const TIMES_MIN: usize = 4;
/// Windows are of one to three hours, from the full hour,
const HOURS_MAX: i64 = 3;
const DAY: i64 = 24;
const WEEK: i64 = 7 * DAY;
/// of each day or of a day of the week.
const WINDOWS: i64 = HOURS_MAX * (DAY + WEEK);
const CHANCE_MAX: f64 = 0.01;

/// `4 of 5 between 02:00 and 03:00 (Europe/Berlin)`. What comes again in the same window, and elsewhere in the same hour,
/// counts once: of one bad night nothing follows.
pub fn usual(starts: impl Iterator<Item = Timestamp>, zone: &Zone) -> Option<String> {
    let hours: BTreeSet<i64> = starts.filter_map(|at| zone.hours(at)).collect();
    if hours.len() < TIMES_MIN {
        return None;
    }
    let mut best: Option<(f64, Window, [usize; 2])> = None;
    for window in Window::all() {
        let times: BTreeSet<i64> = hours.iter().filter_map(|hour| window.time(*hour)).collect();
        let outside = hours.iter().filter(|hour| window.time(**hour).is_none()).count();
        let (inside, all) = (times.len(), times.len() + outside);
        if inside < TIMES_MIN || inside <= outside {
            continue;
        }
        let chance = WINDOWS as f64 * tail(all, inside, window.hours as f64 / window.period as f64);
        if chance < best.as_ref().map_or(CHANCE_MAX, |(least, ..)| *least) {
            best = Some((chance, window, [inside, all]));
        }
    }
    best.map(|(_, window, [inside, all])| format!("{inside} of {all} {window} ({zone})"))
}

/// Hours of each day, or of a day of the week.
#[derive(Clone, Copy)]
struct Window {
    from: i64,
    hours: i64,
    period: i64,
}

impl Window {
    fn all() -> impl Iterator<Item = Self> {
        [DAY, WEEK].into_iter().flat_map(|period| {
            (1..=HOURS_MAX).flat_map(move |hours| (0..period).map(move |from| Self { from, hours, period }))
        })
    }

    /// On which of its days or weeks an hour lies in it.
    fn time(self, hour: i64) -> Option<i64> {
        let since = hour - self.from;
        (since.rem_euclid(self.period) < self.hours).then(|| since.div_euclid(self.period))
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.period == WEEK {
            let day = usize::try_from(self.from / DAY).unwrap_or(0);
            write!(f, "on {} ", WEEKDAYS[day % WEEKDAYS.len()])?;
        }
        write!(f, "between {:02}:00 and {:02}:00", self.from % DAY, (self.from + self.hours) % DAY)
    }
}

/// The probability of at least `k` of `n` where each comes with `p`.
fn tail(n: usize, k: usize, p: f64) -> f64 {
    // After each trial: how likely it is that so many came, of the first k; the last is "k or more".
    let mut likely = vec![0.0; k + 1];
    likely[0] = 1.0;
    for _ in 0..n {
        let mut carried = 0.0;
        for (came, chance) in likely.iter_mut().enumerate() {
            let more = if came == k { 0.0 } else { *chance * p };
            *chance = *chance - more + carried;
            carried = more;
        }
    }
    likely[k]
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;
    /// 2026-01-01T00:00:00Z, a Thursday.
    const NEW_YEAR: i64 = 1_767_225_600_000;

    fn told(hours: &[f64], zone: &str) -> Option<String> {
        let starts = hours.iter().map(|hour| Timestamp(NEW_YEAR + (hour * HOUR as f64) as i64));
        usual(starts, &Zone::try_from(zone.to_owned()).expect("a zone"))
    }

    #[test]
    fn a_nightly_job_is_found_in_its_zone_though_one_came_at_noon() {
        let nights = [2.1, 26.9, 50.5, 74.0, 110.0];
        assert_eq!(told(&nights, "UTC").as_deref(), Some("4 of 5 between 02:00 and 03:00 (UTC)"));
        assert_eq!(told(&nights, "Europe/Berlin").as_deref(), Some("4 of 5 between 03:00 and 04:00 (Europe/Berlin)"));
        assert_eq!(told(&nights[..3], "UTC"), None);
    }

    #[test]
    fn what_lies_around_midnight_or_a_full_hour_is_one_window() {
        let late = [23.8, 48.1, 71.9, 96.2, 119.9];
        assert_eq!(told(&late, "UTC").as_deref(), Some("5 of 5 between 23:00 and 01:00 (UTC)"));
    }

    #[test]
    fn a_weekday_is_said_where_it_comes_on_one() {
        let week = 168.0;
        let thursdays = [2.1, week + 2.2, 2.0 * week + 2.3, 3.0 * week + 2.4];
        assert_eq!(told(&thursdays, "UTC").as_deref(), Some("4 of 4 on Thursdays between 02:00 and 03:00 (UTC)"));
    }

    #[test]
    fn many_in_one_night_are_no_time_of_day() {
        assert_eq!(told(&[2.0, 2.3, 2.5, 2.7, 2.9, 3.4, 4.2, 26.1, 50.2], "UTC"), None);
    }

    #[test]
    fn what_comes_all_day_long_has_no_time_though_each_day_has_a_first() {
        let every = |hours: f64| (0..90).map(|n| f64::from(n) * hours).collect::<Vec<_>>();
        for hours in [3.0, 5.5, 7.0, 12.0, 26.0] {
            assert_eq!(told(&every(hours), "UTC"), None, "every {hours} h");
        }
        assert!(told(&every(24.0), "UTC").is_some());
    }

    #[test]
    fn times_by_chance_do_not_pass() {
        // A linear congruential generator (Knuth, MMIX).
        let mut state = 1_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        let mut passed = 0;
        for trial in 0..600 {
            let starts: Vec<_> = (0..4 + trial % 20)
                .map(|day| 24.0 * ((f64::from(day) + random()) / f64::from(1 + trial % 3)))
                .collect();
            passed += u32::from(told(&starts, "UTC").is_some());
        }
        assert!(passed <= 6, "{passed} of 600 by chance");
    }

    #[test]
    fn the_tail_is_binomials() {
        assert!((tail(5, 4, 0.5) - 6.0 / 32.0).abs() < 1e-12);
        assert!((tail(3, 0, 0.2) - 1.0).abs() < 1e-12);
        assert!((tail(2, 2, 0.1) - 0.01).abs() < 1e-12);
    }
}
