use super::*;

const DAY: i64 = 86_400;
const FIVE_MINUTES: i64 = 300;

fn after(days: i64, value: impl Fn(f64) -> f64) -> Capacity {
    let mut capacity = Capacity::default();
    for n in 0..days * DAY / FIVE_MINUTES {
        let at = n * FIVE_MINUTES;
        capacity.take(at, value(at as f64 / DAY as f64));
    }
    capacity
}

/// Teeth that look like noise.
fn tooth(day: f64) -> f64 {
    (day * 97.0).fract() - 0.5
}

#[test]
fn a_line_is_told_to_the_limit() {
    let full = after(4, |day| 20.0 + 10.0 * day + tooth(day)).full(90.0).unwrap();
    let days = |seconds: f64| seconds / DAY as f64;
    assert!((days(full.median) - 3.0).abs() < 0.2, "{full:?}");
    assert!(full.low < full.median && full.median < full.high && days(full.high) < 3.5, "{full:?}");
}

#[test]
fn a_glitch_hides_no_trend_and_is_none() {
    let huge = 4_294_967_295.0;
    let plain = |day: f64| 50.0 + 2.0 * day + tooth(day);
    for (place, glitch) in
        [(0, huge), (0, -huge), (0, 1e18), (0, 4_000.0), (700, huge), (700, -huge), (700, 4_000.0), (1_439, huge)]
    {
        let at = |day: f64| (day * DAY as f64) as i64 / FIVE_MINUTES;
        let disk = after(5, |day| if at(day + 1e-9) == place { glitch } else { plain(day) });
        let full = disk.full(95.0).unwrap_or_else(|| panic!("{glitch} at {place}"));
        assert!((16.0..19.0).contains(&(full.median / DAY as f64)), "{glitch} at {place}: {full:?}");
        let flat = after(5, |day| if at(day + 1e-9) == place { glitch } else { 50.0 + tooth(day) });
        assert_eq!(flat.full(95.0), None, "{glitch} at {place}");
    }
    // What stays is none.
    let jump = after(5, |day| if day < 4.0 { plain(day) } else { 200.0 });
    assert_eq!(jump.weeks.clean(), jump.weeks.tops);
}

#[test]
fn teeth_of_a_saw_are_no_trend() {
    let saw = after(6, |day| 40.0 + 30.0 * day.fract());
    assert_eq!(saw.full(95.0), None);
    let grows = after(6, |day| 20.0 + 5.0 * day + 10.0 * day.fract()).full(95.0).unwrap();
    // By the teeth alone it would be full within three days.
    assert!((5.0..10.0).contains(&(grows.median / DAY as f64)), "{grows:?}");
}

#[test]
fn nothing_is_told_of_what_does_not_grow_or_is_young() {
    assert_eq!(after(4, |_| 50.0).full(95.0), None);
    assert_eq!(after(4, |day| 50.0 - day).full(95.0), None);
    assert_eq!(after(4, |day| 50.0 + tooth(day)).full(95.0), None);
    let mut young = Capacity::default();
    (0..2_800).for_each(|minute| young.take(60 * minute, 0.05 * minute as f64));
    assert_eq!(young.full(95.0), None);
    let mut rare = Capacity::default();
    (0..20).for_each(|hour| rare.take(3_600 * hour, hour as f64));
    assert_eq!(rare.full(95.0), None, "20 samples, of many spans");
    assert_eq!(Capacity::default().full(95.0), None);
}

#[test]
fn what_is_full_is_full_now_and_what_is_far_is_not_told() {
    let capacity = after(4, |day| 20.0 + 10.0 * day + tooth(day));
    assert_eq!(capacity.full(50.0).map(|full| full.median), Some(0.0));
    assert_eq!(capacity.full(1e6), None, "more than eight times as far as was seen");
}

#[test]
fn a_sudden_rise_is_told_by_the_hours_where_it_is_news() {
    let full = after(9, |day| 20.0 + 40.0 * (day - 8.0).max(0.0) + 0.1 * tooth(day)).full(90.0).unwrap();
    assert!((0.7..0.8).contains(&(full.median / DAY as f64)), "{full:?}");
    // Every night it goes up as far, and comes down again.
    let nightly = |day: f64| 20.0 + if day.fract() < 0.5 { 120.0 * day.fract() } else { 0.1 * tooth(day) };
    assert_eq!(after(8, nightly).full(90.0), None);
    let mut rising = after(8, nightly);
    (0..120).for_each(|n| rising.take(8 * DAY + n * FIVE_MINUTES, nightly((n * FIVE_MINUTES) as f64 / DAY as f64)));
    assert_eq!(rising.full(90.0), None, "within the rise");
}

#[test]
fn what_has_turned_is_told_by_what_it_does_since() {
    let turns = |day: f64| 20.0 + day + 4.0 * (day - 15.0).max(0.0) + 0.3 * tooth(day);
    // At the pace of all three weeks it would be a fortnight.
    let full = after(17, turns).full(60.0).unwrap();
    let days = [full.low, full.median, full.high].map(|seconds| seconds / DAY as f64);
    assert!(days[0] < 3.0 && (2.7..3.3).contains(&days[1]) && days[2] < 4.5, "{days:?}");
}

#[test]
fn any_number_is_survived_and_memory_is_bounded() {
    let mut capacity = Capacity::default();
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, 1e-310, -3.0, 0.0];
    let mut at = 0;
    for n in 0..10_000_usize {
        at += [60, 7, 86_400, 300, 40_000_000][n % 5] * i64::from(n % 1_000 != 0);
        capacity.take(at, odd[n % odd.len()]);
        capacity.take(at - 5_000, 1.0);
        for limit in [95.0, f64::NAN, f64::INFINITY, f64::MIN] {
            if let Some(full) = capacity.full(limit) {
                assert!(0.0 <= full.low && full.low <= full.median && full.median <= full.high, "{full:?}");
            }
        }
        assert!(capacity.weeks.tops.len() <= SPANS && capacity.hours.tops.len() <= SPANS);
    }
    capacity.take(i64::MAX, 5.0);
    capacity.take(i64::MIN, 5.0);
    assert!(size_of::<Capacity>() + 8 * SPANS <= 700, "{}", size_of::<Capacity>());
    let kept: Capacity = serde_json::from_str(&serde_json::to_string(&capacity).unwrap()).unwrap();
    assert_eq!(kept, capacity);
}

#[test]
fn altered_bytes_are_refused_or_survived() {
    let capacity = after(4, |day| 20.0 + 10.0 * day + tooth(day));
    let kept = serde_json::to_value(&capacity).unwrap();
    assert_eq!(serde_json::from_value::<Capacity>(kept.clone()).unwrap(), capacity);
    let altered = |field: &str, value: serde_json::Value| {
        let mut altered = kept.clone();
        altered["weeks"][field] = value;
        serde_json::from_value::<Capacity>(altered)
    };
    let refused: [(&str, serde_json::Value); 6] = [
        ("span", 0.into()),
        ("span", (-60).into()),
        ("most", i64::MAX.into()),
        ("first", i64::MIN.into()),
        ("first", i64::MAX.into()),
        ("tops", vec![0.0; SPANS + 1].into()),
    ];
    for (field, value) in refused {
        assert!(altered(field, value.clone()).is_err(), "{field}: {value}");
    }
    let survived: [(&str, serde_json::Value); 10] = [
        ("span", WEEKS.into()),
        ("most", SPAN.into()),
        ("first", (i64::MIN / SPAN - 1).into()),
        ("first", (i64::MAX / SPAN).into()),
        ("at", i64::MIN.into()),
        ("at", i64::MAX.into()),
        ("tops", serde_json::json!([])),
        ("tops", vec![f32::MAX; SPANS].into()),
        ("base", f64::MAX.into()),
        ("samples", u32::MAX.into()),
    ];
    for (field, value) in survived {
        let mut capacity = altered(field, value).unwrap();
        for at in [5 * DAY, 5 * DAY + 60, i64::MIN, 0, 400 * DAY, i64::MAX] {
            capacity.take(at, 50.0);
            assert!(capacity.full(90.0).is_none_or(|full| full.low <= full.high), "{field}");
        }
    }
}
