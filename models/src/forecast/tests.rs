use super::*;
use crate::numbers::Numbers;

/// 2026-01-05, a Monday, 00:00 UTC.
const MONDAY: i64 = 1_767_571_200;
const MINUTES_OF_DAY: usize = 1_440;
const AHEAD: usize = 30;

/// What was found of a series, a sample a minute, after so many.
#[derive(Debug, Default)]
struct Found {
    count: f64,
    error: f64,
    naive: f64,
    within: f64,
    adopted: f64,
}

fn found(series: &[f64], after: usize) -> Found {
    let (mut forecaster, mut found) = (Forecaster::new(60 * AHEAD as u32), Found::default());
    for (n, x) in series.iter().enumerate() {
        forecaster.take(Moment::utc(MONDAY + 60 * n as i64), *x);
        let (Some(told), Some(then)) = (forecaster.forecast(), series.get(n + AHEAD)) else { continue };
        if n >= after {
            found.count += 1.0;
            found.error += (told.value - then).abs();
            found.naive += (x - then).abs();
            found.within += f64::from(u8::from(told.low <= *then && *then <= told.high));
            found.adopted += f64::from(u8::from(told.is_adopted));
        }
    }
    found
}

fn series(days: usize, mut value: impl FnMut(usize) -> f64) -> Vec<f64> {
    (0..days * MINUTES_OF_DAY).map(&mut value).collect()
}

/// Half an hour and three quarters off UTC, a day is a day.
#[test]
fn the_day_is_that_of_the_zone() {
    let office = |of_day: i64| if (9 * 3_600..17 * 3_600).contains(&of_day) { 100.0 } else { 20.0 };
    let off = |offset: i64| {
        let (mut forecaster, mut error) = (Forecaster::new(60 * AHEAD as u32), 0.0);
        let local = |seconds: i64| Moment::local(seconds, offset as i32);
        let mut told = std::collections::VecDeque::new();
        for n in 0..8 * MINUTES_OF_DAY as i64 {
            let seconds = MONDAY + 60 * n;
            let value = office((seconds + offset).rem_euclid(86_400));
            if n >= 7 * MINUTES_OF_DAY as i64 {
                let ahead: Option<f64> = if told.len() >= AHEAD { told.pop_front() } else { None };
                error += ahead.map_or(0.0, |ahead| (ahead - value).abs());
            }
            forecaster.take(local(seconds), value);
            if n >= 7 * MINUTES_OF_DAY as i64 {
                told.push_back(forecaster.forecast().map_or(f64::NAN, |told| told.value));
            }
        }
        error
    };
    let utc = off(0);
    for offset in [19_800, 20_700, -12_600] {
        assert!(off(offset) <= 1.1 * utc + 1.0, "{offset}: {} of {utc}", off(offset));
    }
}

#[test]
fn noise_around_a_level_is_forecast_by_its_mean() {
    let mut numbers = Numbers(1);
    let found = found(&series(4, |_| 100.0 + 5.0 * numbers.near()), MINUTES_OF_DAY);
    // The naive forecast is off by √2 times as much.
    assert!((0.68..0.76).contains(&(found.error / found.naive)), "{found:?}");
    assert!(found.adopted > 0.5 * found.count, "{found:?}");
    assert!((0.77..0.83).contains(&(found.within / found.count)), "{found:?}");
}

#[test]
fn a_walk_is_forecast_by_its_last_value() {
    let (mut numbers, mut level) = (Numbers(2), 1_000.0);
    let walk = series(6, |_| {
        level += numbers.near();
        level
    });
    let found = found(&walk, MINUTES_OF_DAY);
    // Nothing beats it; what is adopted in between costs hardly anything.
    assert!((0.95..1.05).contains(&(found.error / found.naive)), "{found:?}");
    assert!((0.75..0.85).contains(&(found.within / found.count)), "{found:?}");
}

#[test]
fn a_day_is_forecast_from_the_days_before_it() {
    let mut numbers = Numbers(3);
    let day = |minute: usize| libm::sin(core::f64::consts::TAU * minute as f64 / MINUTES_OF_DAY as f64);
    let found = found(&series(6, |n| 100.0 + 50.0 * day(n) + numbers.near()), 3 * MINUTES_OF_DAY);
    // What the days before were is the seasonal naive forecast: there is nothing to beat.
    assert!(found.error < 0.25 * found.naive, "{found:?}");
}

#[test]
fn intervals_follow_what_a_series_does() {
    let mut numbers = Numbers(4);
    let loud = |n: usize| if n < 3 * MINUTES_OF_DAY { 1.0 } else { 8.0 };
    let all = series(8, |n| 100.0 + loud(n) * numbers.near());
    let found = found(&all, 5 * MINUTES_OF_DAY);
    assert!((0.75..0.85).contains(&(found.within / found.count)), "{found:?}");
}

#[test]
fn it_says_nothing_before_twenty_outcomes() {
    let mut forecaster = Forecaster::new(1_800);
    let mut first = None;
    for minute in 0..200 {
        forecaster.take(Moment::utc(MONDAY + 60 * minute), (minute % 7) as f64);
        first = first.or_else(|| forecaster.forecast().map(|_| minute));
    }
    assert!(first.is_some_and(|minute| (80..=100).contains(&minute)), "{first:?}");
}

#[test]
fn how_long_that_is_is_told() {
    for (pace, ahead) in [(1, 1_800), (10, 1_800), (60, 1_800), (300, 1_800), (3_600, 1_800), (60, 1_820), (60, 43_200)]
    {
        let (mut forecaster, mut n) = (Forecaster::new(ahead), 0);
        assert_eq!(forecaster.warms_up_in(), None);
        while forecaster.forecast().is_none() {
            forecaster.take(Moment::utc(MONDAY + pace * n), (n % 7) as f64);
            n += 1;
        }
        let (told, is) = (f64::from(forecaster.warms_up_in().unwrap()), (pace * (n - 1)) as f64);
        assert!((told / is - 1.0).abs() < 0.1, "{pace} s, {ahead} s ahead: {told} of {is}");
    }
}

#[test]
fn what_never_moves_stays_and_is_not_said_to_be_better() {
    let mut forecaster = Forecaster::new(1_800);
    for minute in 0..3_000 {
        forecaster.take(Moment::utc(MONDAY + 60 * minute), 7.0);
    }
    let told = forecaster.forecast().unwrap();
    assert_eq!((told.value, told.low, told.high, told.is_adopted, told.after), (7.0, 7.0, 7.0, false, 1_800));
}

#[test]
fn samples_that_are_farther_apart_are_forecast_to_the_next() {
    let mut forecaster = Forecaster::new(1_800);
    for hour in 0..200 {
        forecaster.take(Moment::utc(MONDAY + 3_600 * hour), (hour % 2) as f64);
    }
    let told = forecaster.forecast().unwrap();
    assert!(told.after == 3_600 && told.is_adopted && told.value < 0.1, "after 1 comes 0: {told:?}");
}

#[test]
fn a_gap_is_no_outcome() {
    let (mut forecaster, mut numbers) = (Forecaster::new(1_800), Numbers(5));
    for minute in 0..500 {
        forecaster.take(Moment::utc(MONDAY + 60 * minute), numbers.near());
    }
    let before = forecaster.outcomes;
    for minute in 2_000..2_020 {
        forecaster.take(Moment::utc(MONDAY + 60 * minute), 1_000.0);
    }
    assert_eq!(forecaster.outcomes, before);
}

#[test]
fn any_number_is_survived_and_memory_is_bounded() {
    let (mut forecaster, mut numbers) = (Forecaster::new(1_800), Numbers(6));
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN_POSITIVE, -1e300, 0.0, 1e-310];
    let mut at = MONDAY;
    for n in 0..20_000_usize {
        let value = if n % 5 == 0 { odd[n / 5 % odd.len()] } else { 1e9 * numbers.near() };
        at += if n % 97 == 0 { 86_400 * 365 } else { (n % 4) as i64 * 60 };
        forecaster.take(Moment::utc(at), value);
        forecaster.take(Moment::utc(at - 1), 5.0);
        if let Some(told) = forecaster.forecast() {
            assert!(told.low <= told.value && told.value <= told.high, "{n}: {told:?}");
            assert!(told.value.is_finite() && told.low.is_finite() && told.high.is_finite(), "{n}: {told:?}");
        }
    }
    forecaster.take(Moment::utc(i64::MAX), 5.0);
    assert!(forecaster.pending.capacity() <= 16, "{}", forecaster.pending.capacity());
    assert!(size_of::<Forecaster>() + 16 * size_of::<Pending>() <= 2_400, "{}", size_of::<Forecaster>());
    assert!(size_of::<Forecaster>() + PENDING * size_of::<Pending>() <= 2_048, "{}", size_of::<Forecaster>());
}

#[test]
fn it_goes_on_as_it_was_from_what_was_kept() {
    let (mut forecaster, mut numbers) = (Forecaster::new(1_800), Numbers(7));
    for minute in 0..5_000 {
        forecaster.take(Moment::utc(MONDAY + 60 * minute), 50.0 + numbers.near());
    }
    let kept: Forecaster = serde_json::from_str(&serde_json::to_string(&forecaster).unwrap()).unwrap();
    assert_eq!(kept, forecaster);
}

/// What a few seconds tell of half an hour is not remembered.
#[test]
fn samples_of_a_second_have_intervals_as_wide_as_the_noise() {
    for pace in [1, 5, 10, 30] {
        for seed in 1..4 {
            let (mut forecaster, mut numbers, mut widest) = (Forecaster::new(1_800), Numbers(seed), 0.0_f64);
            for n in 0..6 * 3_600 / pace {
                forecaster.take(Moment::utc(MONDAY + pace * n), 50.0 + 2.0 * numbers.near());
                if let Some(told) = forecaster.forecast()
                    && pace * n > 2 * 3_600
                {
                    widest = widest.max(told.high - told.low);
                }
            }
            // Eight in ten of such noise lie within 5.1.
            assert!((4.0..9.0).contains(&widest), "{pace} s, {seed}: {widest}");
        }
    }
}

#[test]
fn altered_bytes_are_survived() {
    let (mut forecaster, mut numbers) = (Forecaster::new(1_800), Numbers(8));
    for minute in 0..3_000 {
        forecaster.take(Moment::utc(MONDAY + 60 * minute), 50.0 + numbers.near());
    }
    let kept = serde_json::to_value(&forecaster).unwrap();
    let changes: [&dyn Fn(&mut serde_json::Value); 8] = [
        &|kept| kept["ahead"] = 0.into(),
        &|kept| kept["pace"] = (-60.0).into(),
        &|kept| kept["pace"] = 3e38.into(),
        &|kept| kept["pending"] = vec![kept["pending"][0].clone(); 100].into(),
        &|kept| kept["profile"]["now"] = serde_json::json!([255, true]),
        &|kept| kept["of_day"] = u32::MAX.into(),
        &|kept| kept["errors"] = vec![3e38; EXPERTS].into(),
        &|kept| {
            for told in 0..3 {
                kept["intervals"][told] = serde_json::json!({"low": 3e38, "high": -3e38, "error": 3e38});
            }
        },
    ];
    for (n, change) in changes.iter().enumerate() {
        let mut altered = kept.clone();
        change(&mut altered);
        let mut altered: Forecaster = serde_json::from_value(altered).unwrap();
        for minute in 3_000..3_400 {
            altered.take(Moment::utc(MONDAY + 60 * minute), 50.0 + numbers.near());
            let told = altered.forecast().unwrap();
            assert!(told.low <= told.high || told.low.is_nan(), "{n}: {told:?}");
        }
        assert!(altered.pending.len() <= PENDING, "{n}");
    }
}

/// Five days of a disk, a sample every five minutes, and what of them the last day of forecasts covers.
fn covered(glitches: &[(i64, f64)]) -> (f64, f64) {
    let (mut forecaster, mut numbers) = (Forecaster::new(1_800), Numbers(9));
    let (mut told, mut count, mut within, mut width) = (std::collections::VecDeque::new(), 0.0, 0.0, 0.0);
    for n in 0..5 * 288 {
        let glitch = glitches.iter().find(|(at, _)| *at == n).map(|(_, value)| *value);
        let value = 50.0 + n as f64 / 144.0 + numbers.near();
        if n >= 4 * 288 && glitch.is_none() {
            let Forecast { low, high, .. } = told.pop_front().unwrap();
            count += 1.0;
            within += f64::from(u8::from(low <= value && value <= high));
            width += high - low;
        }
        forecaster.take(Moment::utc(MONDAY + 300 * n), glitch.unwrap_or(value));
        if n + 6 >= 4 * 288 {
            told.push_back(forecaster.forecast().unwrap());
        }
    }
    (within / count, width / count)
}

#[test]
fn a_glitch_blinds_it_nowhere() {
    let huge = 4_294_967_295.0;
    let all: [&[(i64, f64)]; 9] = [
        &[],
        &[(0, huge)],
        &[(0, huge), (1, huge)],
        &[(2, huge)],
        &[(0, -huge)],
        &[(0, 1e18)],
        &[(700, huge)],
        &[(700, -huge), (1_000, huge)],
        &[(0, huge), (300, 0.0), (700, 4_000.0)],
    ];
    for glitches in all {
        let (within, width) = covered(glitches);
        assert!((0.72..0.88).contains(&within) && width < 4.0, "{glitches:?}: {within} within {width}");
    }
}

/// What was at 2³² for hours goes to 50, and is told by its own errors again.
#[test]
fn the_base_follows_where_values_are() {
    let (mut forecaster, mut numbers) = (Forecaster::new(1_800), Numbers(10));
    let mut far = 0;
    for n in 0..30 * 1_440_i64 {
        let level = if n < 300 { 4_294_967_295.0 } else { 50.0 };
        forecaster.take(Moment::utc(MONDAY + 60 * n), level + numbers.near());
        let told = forecaster.forecast();
        far += usize::from(n > 29 * 1_440 && !told.is_some_and(|told| told.low > 40.0 && told.high < 60.0));
    }
    assert!(forecaster.base.abs() < 1e4, "{}", forecaster.base);
    assert_eq!(far, 0, "{:?}", forecaster.forecast());
}
