//! Points in time as people and programs write them: RFC 3339, or milliseconds since 1970 as a number.
use quell_core::domain::time::Timestamp;

/// The last millisecond of the year 9999, the last that RFC 3339 can write.
const LAST_MS: i64 = 253_402_300_799_999;
/// Below it (March 1973 in milliseconds) a number can only be seconds: in seconds it is the year 5138.
const MILLISECONDS_MIN: i64 = 100_000_000_000;
/// From here on (March 1973 in nanoseconds) a number can only be nanoseconds: in microseconds it is the year 5138.
const NANOSECONDS_MIN: i64 = 100_000_000_000_000_000;

/// Why something is no time, with what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeFault {
    #[error("looks like seconds; multiply by 1000 (milliseconds since 1970) or write RFC 3339")]
    Seconds,
    #[error("looks like microseconds; divide by 1000 (milliseconds since 1970) or write RFC 3339")]
    Microseconds,
    #[error("looks like nanoseconds; divide by 1000000 (milliseconds since 1970) or write RFC 3339")]
    Nanoseconds,
    #[error("a fraction of a millisecond; write whole milliseconds since 1970 or RFC 3339")]
    Fraction,
    #[error("digits in a text; write milliseconds since 1970 as a number without quotes, or RFC 3339")]
    Digits,
    #[error("a time without a zone; append `Z` or an offset such as `+02:00`")]
    NoZone,
    #[error("a date without a time of day; write it as 2025-10-09T08:53:34Z")]
    DateOnly,
    #[error("an offset without a colon; write it as `+02:00`")]
    Offset,
    #[error("out of the years 1970 to 9999")]
    Years,
    #[error("not RFC 3339; write it as 2025-10-09T08:53:34.556Z")]
    Shape,
}

/// A time of RFC 3339 with any number of digits in its fraction, cut to milliseconds. `t`, `z` and a blank for the `T`
/// are allowed (section 5.6), so is second 60, which is the next minute's first.
///
/// # Errors
/// Says what is wrong with it.
pub fn rfc3339(text: &str) -> Result<Timestamp, TimeFault> {
    let ms = parse(text.as_bytes()).ok_or_else(|| diagnose(text))?;
    if (0..=LAST_MS).contains(&ms) { Ok(Timestamp(ms)) } else { Err(TimeFault::Years) }
}

/// Whole milliseconds since 1970 up to the year 9999, none before March 1973 (what is smaller is seconds).
///
/// # Errors
/// Where the number is more likely of another unit.
pub fn epoch(ms: i64) -> Result<Timestamp, TimeFault> {
    match ms {
        ..0 => Err(TimeFault::Years),
        0..MILLISECONDS_MIN => Err(TimeFault::Seconds),
        MILLISECONDS_MIN..=LAST_MS => Ok(Timestamp(ms)),
        _ if ms < NANOSECONDS_MIN => Err(TimeFault::Microseconds),
        _ => Err(TimeFault::Nanoseconds),
    }
}

/// As [`epoch`], of a number that was written with a fraction or an exponent.
///
/// # Errors
/// Where it is not whole, or more likely of another unit.
pub fn epoch_float(ms: f64) -> Result<Timestamp, TimeFault> {
    // The cast saturates, and beyond 2^53 only the unit is told.
    let whole = epoch(ms as i64)?;
    if ms.fract() == 0.0 { Ok(whole) } else { Err(TimeFault::Fraction) }
}

fn parse(text: &[u8]) -> Option<i64> {
    let (head, rest) = text.split_at_checked(19)?;
    if !(head[4] == b'-' && head[7] == b'-' && matches!(head[10], b'T' | b't' | b' ') && head[13] == b':')
        || head[16] != b':'
    {
        return None;
    }
    let year = two(head, 0)? * 100 + two(head, 2)?;
    let (month, day) = (two(head, 5)?, two(head, 8)?);
    let (hour, minute, second) = (two(head, 11)?, two(head, 14)?, two(head, 17)?);
    if !(1..=12).contains(&month) || !(1..=month_days(year, month)).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (fraction_ms, zone) = fraction(rest)?;
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset(zone)?;
    Some(seconds * 1_000 + fraction_ms)
}

/// Two digits at `at`.
fn two(text: &[u8], at: usize) -> Option<i64> {
    let (tens, ones) = (text[at].wrapping_sub(b'0'), text[at + 1].wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| i64::from(tens) * 10 + i64::from(ones))
}

/// The milliseconds of `.556…`, and what follows; 0 where there is no fraction.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some(digits) = text.strip_prefix(b".") else { return Some((0, text)) };
    let length = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    if length == 0 {
        return None;
    }
    let ms = (0..3).fold(0, |ms, i| ms * 10 + if i < length { i64::from(digits[i] - b'0') } else { 0 });
    Some((ms, &digits[length..]))
}

/// The seconds that a zone is ahead of UTC.
fn offset(zone: &[u8]) -> Option<i64> {
    match zone {
        b"Z" | b"z" => Some(0),
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let (hours, minutes) = (two(zone, 1)?, two(zone, 4)?);
            let seconds = hours * 3_600 + minutes * 60;
            (hours < 24 && minutes < 60).then_some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar, of years from 0 on. Years begin in March, so that the
/// leap day is the last (Howard Hinnant's `days_from_civil`).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719_468
}

/// What is wrong with a text that is no time; seldom called, so it may try things.
#[cold]
fn diagnose(text: &str) -> TimeFault {
    let with = |tail: &str| parse(format!("{text}{tail}").as_bytes()).is_some();
    let number = text.trim().parse::<f64>().is_ok_and(f64::is_finite);
    if number {
        TimeFault::Digits
    } else if text.len() > 64 {
        TimeFault::Shape
    } else if with("Z") {
        TimeFault::NoZone
    } else if with("T00:00:00Z") {
        TimeFault::DateOnly
    } else if text.is_char_boundary(text.len().saturating_sub(2))
        && parse(
            format!("{}:{}", &text[..text.len().saturating_sub(2)], &text[text.len().saturating_sub(2)..]).as_bytes(),
        )
        .is_some()
    {
        TimeFault::Offset
    } else {
        TimeFault::Shape
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const INSTANT: i64 = 1_760_000_014_556;

    #[test]
    fn many_notations_are_one_instant() {
        for text in [
            "2025-10-09T08:53:34.556Z",
            "2025-10-09t08:53:34.556z",
            "2025-10-09 08:53:34.556+00:00",
            "2025-10-09T08:53:34.556-00:00",
            "2025-10-09T10:53:34.556+02:00",
            "2025-10-08T23:23:34.556-09:30",
            "2025-10-09T14:38:34.556+05:45",
            "2025-10-09T08:53:34.556000Z",
            "2025-10-09T08:53:34.556999999999999999999999Z",
        ] {
            assert_eq!(rfc3339(text), Ok(Timestamp(INSTANT)), "{text}");
        }
        assert_eq!(epoch(INSTANT), Ok(Timestamp(INSTANT)));
        assert_eq!(epoch_float(INSTANT as f64), Ok(Timestamp(INSTANT)));
    }

    #[test]
    fn edges() {
        let ms = |text| rfc3339(text).map(|time| time.0);
        assert_eq!(ms("1970-01-01T00:00:00Z"), Ok(0));
        assert_eq!(ms("9999-12-31T23:59:59.999Z"), Ok(LAST_MS));
        assert_eq!(ms("2024-02-29T00:00:00Z"), Ok(1_709_164_800_000));
        assert_eq!(ms("2016-12-31T23:59:60Z"), ms("2017-01-01T00:00:00Z"));
        assert_eq!(ms("2025-10-09T08:53:34.5Z"), Ok(INSTANT - 56));
        for text in ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59.999Z", "9999-12-31T23:59:59-01:00"] {
            assert_eq!(ms(text), Err(TimeFault::Years), "{text}");
        }
    }

    #[test]
    fn a_number_of_another_unit_is_named() {
        assert_eq!(epoch(1_760_000_014), Err(TimeFault::Seconds));
        assert_eq!(epoch(0), Err(TimeFault::Seconds));
        assert_eq!(epoch(-1), Err(TimeFault::Years));
        assert_eq!(epoch(1_760_000_014_556_000), Err(TimeFault::Microseconds));
        assert_eq!(epoch(1_760_000_014_556_000_000), Err(TimeFault::Nanoseconds));
        assert_eq!(epoch_float(1_760_000_014.556), Err(TimeFault::Seconds));
        assert_eq!(epoch_float(1_760_000_014_556.5), Err(TimeFault::Fraction));
        assert_eq!(epoch_float(1e300), Err(TimeFault::Nanoseconds));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, fault) in [
            ("1760000014556", TimeFault::Digits),
            ("1760000014.5", TimeFault::Digits),
            ("2025-10-09T08:53:34.556", TimeFault::NoZone),
            ("2025-10-09 08:53:34", TimeFault::NoZone),
            ("2025-10-09", TimeFault::DateOnly),
            ("2025-10-09T08:53:34+0200", TimeFault::Offset),
            ("2025-10-09T08:53:34.Z", TimeFault::Shape),
            ("2025-10-09T08:53Z", TimeFault::Shape),
            ("2025-02-29T08:53:34Z", TimeFault::Shape),
            ("2025-13-09T08:53:34Z", TimeFault::Shape),
            ("2025-10-09T24:00:00Z", TimeFault::Shape),
            ("2025-10-09T08:53:34+24:00", TimeFault::Shape),
            ("2025-10-09T08:53:34Zulu", TimeFault::Shape),
            ("Thu, 09 Oct 2025 08:53:34 GMT", TimeFault::Shape),
            ("ü", TimeFault::Shape),
            ("", TimeFault::Shape),
        ] {
            assert_eq!(rfc3339(text), Err(fault), "{text}");
        }
    }

    proptest! {
        #[test]
        fn as_jiff_reads_it(ms in 0..=LAST_MS) {
            let text = jiff::Timestamp::from_millisecond(ms).expect("in range").to_string();
            prop_assert_eq!(rfc3339(&text), Ok(Timestamp(ms)));
        }

        #[test]
        fn never_panics(text in "\\PC{0,40}", digits in "[0-9TZ:+. -]{0,40}") {
            let _ = (rfc3339(&text), rfc3339(&digits));
        }
    }
}
