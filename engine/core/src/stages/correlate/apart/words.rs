//! Spans, rates and episodes, as people say them.
use super::super::Profile;
use crate::{
    domain::{
        alert::Alert,
        episode::Episode,
        time::{Span, Timestamp},
    },
    scope::Cx,
    stages::raise::Raiser,
};

/// ` 4 min ago`
pub fn ago(at: Timestamp, cx: &Cx<'_>) -> String {
    format!(" {} ago", brief(cx.core.clock - at))
}

/// `db latency`
pub fn named(alert: &Alert) -> String {
    format!("{} {}", alert.entity, alert.check)
}

/// An episode as people know it: `payments-12`, or by its first alert.
pub fn called(episode: &Episode, raiser: &Raiser, scope: &str) -> String {
    if let Some(incident) = episode.incident.and_then(|id| raiser.get(id)) {
        return format!("{scope}-{}", incident.number);
    }
    match &episode.members[..] {
        [] => "alerts that are no longer kept".to_owned(),
        [first] => format!("the alert {} {} (of no incident)", first.entity, first.check),
        [first, rest @ ..] => {
            format!("the {} alerts from {} {} on (of no incident)", rest.len() + 1, first.entity, first.check)
        }
    }
}

/// How far in time the nearest alert of an episode is.
pub fn nearest(profile: &Profile, at: Timestamp) -> String {
    let gaps = profile.lives().iter().map(|(opened_at, _)| at - *opened_at);
    match gaps.min_by_key(|gap| gap.0.saturating_abs()) {
        None => "it has no alerts".to_owned(),
        Some(Span(0)) => "at the same time as the nearest of its alerts".to_owned(),
        Some(gap) if gap.0 > 0 => format!("{} after the nearest of its alerts", brief(gap)),
        Some(gap) => format!("{} before the nearest of its alerts", brief(Span(gap.0.saturating_abs()))),
    }
}

/// A rate in words: `one alert in 80 min`.
pub fn every(rate: f64) -> String {
    if rate >= 1.0 {
        return format!("{rate:.0} times a second");
    }
    // A century is as good as never.
    let seconds = (1.0 / rate.max(1e-12)).min(100.0 * 365.0 * 86_400.0);
    format!("once in {}", brief(Span((seconds * 1_000.0) as i64)))
}

/// A ratio in words.
pub fn times(odds: f64) -> String {
    if odds >= 1.0 {
        format!("{odds:.1} times as likely there as anywhere")
    } else {
        format!("{:.1} times less likely there than anywhere", 1.0 / odds.max(1e-9))
    }
}

/// A share in percent.
pub fn percent(part: f64) -> i64 {
    libm::round(part * 100.0) as i64
}

/// A span in one unit.
pub fn brief(span: Span) -> String {
    let seconds = span.0.saturating_add(500) / 1_000;
    match seconds {
        ..=0 => format!("{} ms", span.0),
        1..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", (seconds + 30) / 60),
        7_200..172_800 => format!("{} h", (seconds + 1_800) / 3_600),
        _ => format!("{} days", (seconds + 43_200) / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_rates_and_ratios_are_told_in_one_number() {
        let spans = [
            (0, "0 ms"),
            (499, "499 ms"),
            (90_000, "90 s"),
            (150_000, "3 min"),
            (7_200_000, "2 h"),
            (200_000_000, "2 days"),
        ];
        for (span, text) in spans {
            assert_eq!(brief(Span(span)), text);
        }
        assert_eq!(
            (&*every(2.0), &*every(0.0002), &*every(0.0)),
            ("2 times a second", "once in 83 min", "once in 36500 days")
        );
        assert_eq!(times(4.2), "4.2 times as likely there as anywhere");
        assert_eq!(times(0.05), "20.0 times less likely there than anywhere");
    }
}
