use super::*;
use crate::numbers::Numbers;

const SPEAKS: Score = Score(500);
/// 2026-01-05, a Monday, 00:00 UTC.
const MONDAY: i64 = 1_767_571_200;
const MINUTES_OF_DAY: usize = 1_440;

/// A series a minute apart, and where it stands.
struct Series {
    detector: Kpi,
    at: i64,
}

impl Series {
    fn new() -> Self {
        Self { detector: Kpi::default(), at: MONDAY }
    }

    fn one(&mut self, value: f64) -> Verdict {
        self.at += 60;
        self.detector.take(Moment::utc(self.at), value, true)
    }

    fn all(&mut self, values: impl IntoIterator<Item = f64>) -> Vec<Verdict> {
        values.into_iter().map(|value| self.one(value)).collect()
    }
}

fn gaussian(seed: u64, level: f64, deviation: f64) -> impl Iterator<Item = f64> {
    let mut numbers = Numbers(seed);
    std::iter::repeat_with(move || level + deviation * numbers.gaussian())
}

fn speaks(verdict: &Verdict) -> bool {
    verdict.event.max(verdict.severity) >= SPEAKS
}

fn events(verdicts: &[Verdict]) -> usize {
    verdicts.iter().filter(|verdict| verdict.event >= SPEAKS).count()
}

/// Of three months, of which the first is when the least is known.
#[test]
fn what_has_no_news_is_quiet() {
    let months = 3;
    let samples = months * 30 * MINUTES_OF_DAY;
    let mut numbers = Numbers(3);
    let mut poisson = move || numbers.poisson(5.0);
    let mut last = 0.0;
    let noise: Vec<f64> = gaussian(4, 0.0, 1.0).take(samples).collect();
    let cases: [(&str, Vec<f64>); 4] = [
        ("Gaussian", gaussian(1, 100.0, 5.0).take(samples).collect()),
        ("Poisson", std::iter::repeat_with(&mut poisson).take(samples).collect()),
        (
            "autoregressive",
            noise
                .iter()
                .map(|x| {
                    last = 0.9 * last + x;
                    50.0 + last
                })
                .collect(),
        ),
        ("weekly", noise.iter().enumerate().map(|(n, x)| weekly(n) + 5.0 * x).collect()),
    ];
    for (name, series) in cases {
        let verdicts = Series::new().all(series);
        let found = verdicts.iter().filter(|verdict| speaks(verdict)).count();
        assert!(found <= months, "{name}: {found}");
    }
}

/// Half on rest days, and by day twice what it is by night.
fn weekly(minute: usize) -> f64 {
    let of_day = (minute % MINUTES_OF_DAY) as f64 / MINUTES_OF_DAY as f64;
    let rests = (minute / MINUTES_OF_DAY) % 7 >= 5;
    (if rests { 50.0 } else { 100.0 }) * (1.0 + 0.5 * libm::sin(core::f64::consts::TAU * of_day))
}

#[test]
fn a_spike_is_one_event_and_changes_little() {
    let mut series = Series::new();
    series.all(gaussian(1, 100.0, 5.0).take(2_000));
    let before = series.one(100.0).usual.expect("it is warm");
    let spike = series.one(300.0);
    assert!(speaks(&spike) && spike.deviations > 10.0 && spike.what == What::Jump, "{spike:?}");
    let after = series.all(gaussian(2, 100.0, 5.0).take(500));
    assert!(after.iter().all(|verdict| !speaks(verdict)));
    let usual = after.last().and_then(|verdict| verdict.usual).expect("it is warm");
    assert!((usual.low - before.low).abs() < 20.0 && (usual.high - before.high).abs() < 20.0, "{before:?} {usual:?}");
}

#[test]
fn a_new_level_is_one_event_and_a_state_that_lasts() {
    let mut series = Series::new();
    series.all(gaussian(1, 100.0, 5.0).take(2_000));
    let verdicts = series.all(gaussian(2, 200.0, 5.0).take(600));
    assert!(verdicts[..3].iter().any(|verdict| verdict.event >= SPEAKS), "{:?}", &verdicts[..3]);
    assert!(events(&verdicts) <= 2, "{}", events(&verdicts));
    assert!(verdicts[..15].iter().all(|verdict| verdict.deviations > 5.0), "it is no usual state");
}

/// What is not far but stays: means know of it, no single sample does.
#[test]
fn what_lasts_is_an_event_in_old_series_too() {
    let days = 23 * MINUTES_OF_DAY;
    let mut numbers = Numbers(11);
    let mut poisson = |rate: f64| numbers.poisson(rate);
    for seed in 0..6 {
        for deviations in [3.0, 8.0] {
            let mut series = Series::new();
            series.all(gaussian(seed, 100.0, 5.0).take(days));
            let then = series.all(gaussian(seed + 100, 100.0 + 5.0 * deviations, 5.0).take(60));
            // It may be seen at once, and again when it has lasted.
            assert!((1..=2).contains(&events(&then)), "Gaussian, {deviations} deviations, seed {seed}");
        }
        for rate in [2.0, 5.0, 20.0] {
            let mut series = Series::new();
            let before: Vec<f64> = (0..days).map(|_| poisson(rate)).collect();
            series.all(before);
            let then = series.all([0.0; 90]);
            assert!((1..=2).contains(&events(&then)), "{rate} a minute, then none, seed {seed}");
            assert!(then.iter().any(|verdict| speaks(verdict) && verdict.what == What::Departure));
            // As a state it goes on while nothing of it is learned, and ends with it.
            let mut series = Series::new();
            let before: Vec<f64> = (0..days).map(|_| poisson(rate)).collect();
            series.all(before);
            let told = |series: &mut Series, value: f64| {
                series.at += 60;
                series.detector.take_told(Moment::utc(series.at), value)
            };
            let then: Vec<Verdict> = (0..180).map(|_| told(&mut series, 0.0)).collect();
            // Of two a minute none is no more than a deviation off.
            assert!(rate < 5.0 || then[90..].iter().all(Verdict::is_beyond), "{rate} a minute, seed {seed}");
            let after: Vec<Verdict> = (0..60).map(|_| told(&mut series, poisson(rate))).collect();
            let over = after.iter().position(|verdict| !verdict.is_beyond());
            assert!(over.is_some_and(|minute| minute < 15), "{rate} a minute, seed {seed}: {over:?}");
        }
    }
}

#[test]
fn a_second_outage_of_the_day_is_severe_though_it_is_no_news() {
    let mut series = Series::new();
    series.all(gaussian(1, 100.0, 5.0).take(5_000));
    for seed in 0..3 {
        let outage = series.all(gaussian(seed, 400.0, 5.0).take(10));
        assert!(outage.iter().any(speaks), "{seed}: {outage:?}");
        assert!(series.all(gaussian(seed + 10, 100.0, 5.0).take(60)).iter().skip(1).all(|verdict| !speaks(verdict)));
    }
}

/// Work is done from eight to six.
fn load(minute: usize) -> f64 {
    if (480..1_080).contains(&(minute % MINUTES_OF_DAY)) { 200.0 } else { 20.0 }
}

/// Of four weeks, and on to an hour of the Monday after.
fn worked(until: usize) -> (Series, impl Iterator<Item = f64>) {
    let mut series = Series::new();
    let mut noise = gaussian(1, 0.0, 2.0);
    series.all((0..28 * MINUTES_OF_DAY + until).map(|minute| load(minute) + noise.next().unwrap_or(0.0)));
    (series, noise)
}

#[test]
fn an_hour_has_its_own_usual() {
    let (mut series, _) = worked(240);
    let night = series.detector.clone();
    let usual = series.one(21.0).usual.expect("it is warm");
    assert!(usual.is_of_hour && usual.high < 80.0, "{usual:?}");
    series.detector = night;
    let verdict = series.one(150.0);
    assert!(speaks(&verdict), "by day it would be usual: {verdict:?}");
}

#[test]
fn a_morning_that_does_not_come_is_found() {
    let (mut series, mut noise) = worked(480);
    let late = series.all(noise.by_ref().take(60).map(|x| 20.0 + x));
    let found = late.iter().position(speaks);
    assert!(found.is_some_and(|minute| minute < 30), "{found:?}");
}

/// By night, on a working day, on a rest day: as far off as other hours are, and at once.
#[test]
fn what_other_hours_have_seen_is_news_at_this_one() {
    for (day, hour, by) in [(21, 3, 50.0), (23, 10, -50.0), (26, 14, 50.0)] {
        let mut series = Series { detector: Kpi::default(), at: MONDAY - 60 };
        let mut noise = gaussian(1, 0.0, 4.0);
        let begin = day * MINUTES_OF_DAY + hour * 60;
        let mut until = |range: std::ops::Range<usize>, by: f64| -> Vec<Verdict> {
            range.map(|minute| series.one(weekly(minute) + noise.next().unwrap_or(0.0) + by)).collect()
        };
        let before = until(0..begin, 0.0);
        let calm = before.iter().skip(7 * MINUTES_OF_DAY).filter(|verdict| speaks(verdict)).count();
        assert!(calm <= 1, "{calm}");
        let during = until(begin..begin + 60, by);
        let found = during.iter().position(|verdict| verdict.event >= SPEAKS);
        assert!(found.is_some_and(|minute| minute < 5), "day {day}: {found:?}");
        assert_eq!(events(&during), 1, "it is one event");
        let news = during[found.unwrap_or(0)];
        assert!(news.deviations * by.signum() > 5.0 && news.usual.is_some_and(|usual| usual.is_of_hour), "{news:?}");
        assert!(during.iter().filter(|verdict| verdict.is_beyond()).count() > 55, "and lasts as a state");
    }
}

#[test]
fn what_is_done_each_day_is_no_news() {
    let mut series = Series::new();
    let mut noise = gaussian(1, 0.0, 4.0);
    let batch = |minute: usize| if (120..130).contains(&(minute % MINUTES_OF_DAY)) { 60.0 } else { 0.0 };
    let all = series.all((0..42 * MINUTES_OF_DAY).map(|n| weekly(n) + batch(n) + noise.next().unwrap_or(0.0)));
    assert!(all[14 * MINUTES_OF_DAY..].iter().all(|verdict| !speaks(verdict)));
}

/// An hour from two on, on days from Monday on.
fn batch(minute: usize, day: usize) -> f64 {
    let is_then = minute / MINUTES_OF_DAY % 7 == day && (120..180).contains(&(minute % MINUTES_OF_DAY));
    if is_then { 60.0 } else { 0.0 }
}

#[test]
fn what_is_done_on_tuesdays_is_usual_then_and_on_no_other_day() {
    for told in [false, true] {
        let mut series = Series { detector: Kpi::default(), at: MONDAY - 60 };
        let mut noise = gaussian(1, 0.0, 4.0);
        let mut speaking = false;
        let mut all = Vec::new();
        for n in 0..70 * MINUTES_OF_DAY {
            // Thursday of the ninth week.
            let wrong = if n / MINUTES_OF_DAY == 59 { batch(n, 3) } else { 0.0 };
            let value = weekly(n) + batch(n, 1) + wrong + noise.next().unwrap_or(0.0);
            series.at += 60;
            let at = Moment::utc(series.at);
            // As in the engine, what is told is not learned.
            let is_told = told && speaking;
            let of = &mut series.detector;
            let verdict = if is_told { of.take_told(at, value) } else { of.take(at, value, true) };
            speaking = speaks(&verdict) || is_told && verdict.is_beyond();
            all.push(verdict);
        }
        let at = |day: usize| &all[day * MINUTES_OF_DAY + 120..day * MINUTES_OF_DAY + 180];
        for week in 2..4 {
            assert!(at(7 * week + 1).iter().any(|verdict| verdict.event >= SPEAKS), "{told}: {week} is too early");
        }
        for week in 4..10 {
            let tuesday = at(7 * week + 1);
            assert!(tuesday.iter().all(|verdict| !speaks(verdict) && verdict.deviations.abs() < 3.0), "{told}: {week}");
            assert!(tuesday.iter().all(|verdict| verdict.usual.is_some_and(|usual| usual.is_of_weekday)));
        }
        assert!(at(59)[..3].iter().any(|verdict| verdict.event >= SPEAKS), "{told}: {:?}", &at(59)[..3]);
        let others = (28 * MINUTES_OF_DAY..all.len()).filter(|n| !(n / MINUTES_OF_DAY == 59 || batch(*n, 1) > 0.0));
        assert!(others.filter(|n| speaks(&all[*n])).count() <= 2, "{told}");
    }
}

#[test]
fn a_week_is_kept_where_it_is_of_use() {
    let mut noise = gaussian(1, 0.0, 4.0);
    let mut series = Series { detector: Kpi::default(), at: MONDAY - 60 };
    let mut run = |days: std::ops::Range<usize>, one: &dyn Fn(usize) -> f64| {
        let minutes = days.start * MINUTES_OF_DAY..days.end * MINUTES_OF_DAY;
        series.all(minutes.map(|n| one(n) + noise.next().unwrap_or(0.0)));
        series.detector.week.is_some()
    };
    assert!(!run(0..28, &weekly), "nothing has lasted");
    let outage = |n: usize| weekly(n) + if n % MINUTES_OF_DAY < 90 { 60.0 } else { 0.0 };
    assert!(run(28..29, &outage), "it may come again");
    assert!(!run(29..70, &weekly), "and has not");
    assert!(!run(70..71, &outage), "it is not tried again so soon");
    assert!(run(71..180, &|n| weekly(n) + batch(n, 1)), "it has");
    assert!(!run(180..285, &weekly), "and does no more");
}

#[test]
fn a_counter_is_looked_at_by_its_rate() {
    let mut series = Series::new();
    let mut numbers = Numbers(7);
    let mut total = 1e9;
    let mut grow = |rate: f64| {
        total += (60.0 * rate * (0.9 + 0.2 * numbers.uniform())).floor();
        total
    };
    let calm: Vec<f64> = (0..1_000).map(|_| grow(10.0)).collect();
    assert!(series.all(calm).iter().all(|verdict| !speaks(verdict)));
    let usual = series.one(grow(10.0)).usual.expect("it is warm");
    assert!(usual.rate.is_some() && usual.low > 5.0 && usual.high < 15.0, "{usual:?}");
    // It has begun from 0 again, and counted since.
    let mut after = 0.0;
    let reset: Vec<f64> = (0..200)
        .map(|n| {
            after += 600.0 + f64::from(n % 7);
            after
        })
        .collect();
    assert!(series.all(reset).iter().all(|verdict| !speaks(verdict)), "a reset is no event");
    let burst: Vec<f64> = (1..4).map(|n| after + f64::from(n) * 60_000.0).collect();
    assert!(speaks(&series.all(burst)[0]));
}

#[test]
fn what_grew_at_first_and_falls_slowly_is_no_counter() {
    let mut series = Series::new();
    let wave = |n: usize| 100.0 - 50.0 * libm::cos(core::f64::consts::TAU * n as f64 / 600.0);
    let verdicts = series.all((0..6_000).map(wave));
    assert!(verdicts.iter().all(|verdict| !speaks(verdict)), "{:?}", verdicts.iter().position(speaks));
    assert!(verdicts.last().and_then(|verdict| verdict.usual).is_some_and(|usual| usual.rate.is_none()));
}

#[test]
fn what_never_moved_and_moves_is_unusual() {
    for level in [0.0, 7.0, 0.25, 1e9, -3.5] {
        let mut series = Series::new();
        assert!(series.all([level; 200]).iter().all(|verdict| !speaks(verdict)), "{level}");
        assert!(speaks(&series.one(level + 0.1 * f64::abs(level) + 10.0)), "{level}");
        let mut series = Series::new();
        series.all([level; 200]);
        assert!(!speaks(&series.one(level * 1.000_1)), "{level}");
    }
}

#[test]
fn counts_that_are_mostly_nothing_stay_quiet() {
    let mut series = Series::new();
    let sparse = |n: usize| if n % 20 == 19 { 1.0 } else { 0.0 };
    assert!(series.all((0..2_000).map(sparse)).iter().all(|verdict| !speaks(verdict)));
    assert!(speaks(&series.one(40.0)));
}

/// By chance two or three come in a minute now and then, and the first of these is no news either; what comes much more often is.
#[test]
fn what_seldom_happens_comes_together_by_chance() {
    let mut numbers = Numbers(17);
    let mut poisson = |rate: f64| numbers.poisson(rate);
    let (mut quiet, mut told) = (0, 0);
    for rate in [0.02, 0.1, 0.5, 2.0] {
        for _ in 0..4 {
            let mut series = Series::new();
            let before: Vec<f64> = (0..30 * MINUTES_OF_DAY).map(|_| poisson(rate)).collect();
            quiet += events(&series.all(before));
            let then: Vec<f64> = (0..360).map(|_| poisson(20.0 * rate)).collect();
            told += usize::from(series.all(then).iter().any(speaks));
        }
    }
    // Of sixteen first months; it was about twenty.
    assert!(quiet <= 8, "{quiet}");
    assert_eq!(told, 16);
}

#[test]
fn spikes_that_keep_coming_are_usual() {
    let mut series = Series::new();
    let mut noise = gaussian(5, 10.0, 1.0);
    let spiky = (0..5_000).map(|n| if n % 100 == 99 { 50.0 } else { noise.next().unwrap_or(0.0) });
    let loud: Vec<usize> =
        series.all(spiky).iter().enumerate().filter(|(_, verdict)| verdict.event >= SPEAKS).map(|(n, _)| n).collect();
    assert!(loud.first() == Some(&99) && loud.len() < 10 && loud.last() < Some(&2_500), "{loud:?}");
}

/// An hour's mean is a day old, and on the second day there is no other.
#[test]
fn a_steady_trend_is_usual() {
    for by_minute in [0.01, 0.1, -1.0] {
        let noise = gaussian(1, 5_000.0, 0.5).take(14 * MINUTES_OF_DAY);
        let verdicts = Series::new().all(noise.enumerate().map(|(n, x)| x + by_minute * n as f64));
        assert!(!verdicts.iter().any(speaks), "{by_minute}: {:?}", verdicts.iter().position(speaks));
    }
}

/// `up` is 1, there are three replicas.
#[test]
fn what_never_moved_is_off_by_one_when_it_stays_there() {
    for (usual, off) in [(1.0, 0.0), (3.0, 2.0)] {
        let mut series = Series::new();
        series.all(std::iter::repeat_n(usual, 3 * MINUTES_OF_DAY));
        let missed = series.all([off, usual, usual]);
        assert!(!missed.iter().any(speaks), "a single sample: {missed:?}");
        let down = series.all([off; 5]);
        assert!(!speaks(&down[0]) && down[1..].iter().all(|verdict| verdict.severity >= SPEAKS), "{down:?}");
        assert!(!series.all([usual; 30]).iter().any(speaks), "it is back");
    }
    let now_and_then = (0..30 * MINUTES_OF_DAY).map(|n| if n % 700 == 699 { 1.0 } else { 0.0 });
    assert!(!Series::new().all(now_and_then).iter().any(speaks));
}

#[test]
fn one_glitch_blinds_it_to_nothing() {
    for glitch in [1_000.0, 4e9, -1e18] {
        let mut series = Series::new();
        let mut noise = gaussian(1, 50.0, 2.0);
        series.all(noise.by_ref().take(3 * MINUTES_OF_DAY));
        assert!(speaks(&series.one(glitch)));
        assert!(!series.all(noise.by_ref().take(MINUTES_OF_DAY)).iter().skip(1).any(speaks));
        let verdict = series.one(100.0);
        assert!(verdict.severity >= SPEAKS, "{glitch}: {verdict:?}");
    }
}

/// While little is known, too.
#[test]
fn a_glitch_at_the_beginning_is_forgotten() {
    let mut series = Series::new();
    let mut noise = gaussian(1, 50.0, 2.0);
    series.all(noise.by_ref().take(10));
    series.one(1_000.0);
    series.all(noise.by_ref().take(20 * MINUTES_OF_DAY));
    let verdict = series.one(90.0);
    assert!(verdict.deviations > 5.0, "{verdict:?}");
}

#[test]
fn a_gap_is_no_jump() {
    let mut walk = gaussian(1, 0.0, 1.0).scan(1_000.0, |level, step| {
        *level += step;
        Some(*level)
    });
    let mut series = Series::new();
    series.all(walk.by_ref().take(2_000));
    // Six hours later it has walked on.
    let far = walk.by_ref().take(360).last().unwrap_or(0.0);
    series.at += 6 * 3_600;
    assert_ne!(series.one(far).what, What::Jump);
}

#[test]
fn what_does_not_teach_changes_what_is_usual_by_nothing() {
    let mut series = Series::new();
    series.all(gaussian(1, 100.0, 5.0).take(1_000));
    let (before, at) = (series.detector.clone(), Moment::utc(series.at + 60));
    for n in 0..600 {
        series.detector.take(Moment::utc(series.at + 60 * n), 500.0, false);
    }
    let usual = |detector: &Kpi| detector.clone().take(at, 100.0, false).usual;
    assert_eq!(usual(&series.detector), usual(&before));
    assert!(speaks(&series.detector.take(at, 500.0, false)));
}

#[test]
fn what_is_accepted_is_usual() {
    let mut series = Series::new();
    series.all(gaussian(1, 100.0, 5.0).take(5_000));
    series.all(gaussian(2, 300.0, 5.0).take(5));
    series.detector.accept(Moment::utc(series.at));
    assert!(series.all(gaussian(3, 300.0, 5.0).take(2_000)).iter().all(|verdict| !speaks(verdict)));
    assert!(speaks(&series.one(100.0)), "and what was usual is not");
}

#[test]
fn it_says_nothing_while_it_warms_up() {
    let mut series = Series::new();
    let verdicts = series.all(gaussian(1, 100.0, 5.0).take(WARM_UP as usize - 1).chain([1e6]));
    assert!(verdicts.iter().all(|verdict| *verdict == Verdict::default()));
    let mut series = Series::new();
    series.all(gaussian(1, 100.0, 5.0).take(WARM_UP as usize));
    let verdict = series.one(1e6);
    assert!(speaks(&verdict) && verdict.usual.is_some(), "{verdict:?}");
}

/// The first gap may be one, and a series may be slower than a day is long.
#[test]
fn whatever_its_pace_it_stays_near_what_it_sees() {
    let paces: [fn(i64) -> i64; 4] = [
        |n| if n == 0 { 0 } else { MONDAY + 60 * n },
        |n| (90 * 1_440 * i64::from(n > 0) + n) * 60,
        |n| n * 86_400 * 30,
        |n| n * 3_600 * 36,
    ];
    for (which, at) in paces.into_iter().enumerate() {
        let mut detector = Kpi::default();
        let verdicts: Vec<_> =
            (0..4_000).map(|n| detector.take(Moment::utc(at(n)), 100.0 + (n * 7 % 11) as f64, true)).collect();
        for verdict in &verdicts[2_000..] {
            let usual = verdict.usual.expect("it is known");
            assert!(usual.low > 50.0 && usual.high < 200.0 && verdict.severity < Score(500), "{which}: {verdict:?}");
        }
        assert!(detector.take(Moment::utc(at(4_000)), 1e6, true).severity > Score(800), "{which}");
    }
}

#[test]
fn any_number_is_taken() {
    let mut series = Series::new();
    let odd = [f64::MAX, f64::MIN, f64::INFINITY, f64::NAN, 0.0, 1e-308, -0.0, f64::NEG_INFINITY];
    for verdict in series.all(odd.repeat(40)) {
        assert!(verdict.event <= Score(1_000) && verdict.deviations.is_finite(), "{verdict:?}");
    }
    let after = series.all(gaussian(1, 100.0, 5.0).take(10));
    assert!(
        after.iter().all(|verdict| verdict.usual.is_some_and(|usual| usual.low.is_finite() && usual.high.is_finite()))
    );
    // Time that stands still, and goes back.
    for at in [MONDAY, MONDAY, MONDAY - 5, i64::MIN, i64::MAX] {
        let verdict =
            series.detector.take(Moment { seconds: at, hour: 255, minute: 255, weekday: 255, rests: true }, 1.0, true);
        assert!(verdict.deviations.is_finite());
    }
}

#[test]
fn it_is_small_and_goes_on_from_its_bytes() {
    assert!(size_of::<Kpi>() <= 600, "{}", size_of::<Kpi>());
    assert!(size_of::<Kpi>() + size_of::<Week>() <= 2_048, "{}", size_of::<Week>());
    let mut series = Series::new();
    series.all(gaussian(1, 100.0, 5.0).take(1_000));
    let bytes = serde_json::to_vec(&series.detector).expect("numbers");
    let mut again = Series { detector: serde_json::from_slice(&bytes).expect("as written"), at: series.at };
    assert_eq!(again.all(gaussian(2, 110.0, 9.0).take(500)), series.all(gaussian(2, 110.0, 9.0).take(500)));
}
