use super::*;

fn schedule(json: &str) -> Result<Schedule, serde_json::Error> {
    serde_json::from_str(json)
}

fn utc(text: &str) -> Timestamp {
    Timestamp(text.parse::<jiff::Timestamp>().expect(text).as_millisecond())
}

fn shown(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0).expect("within the years").to_string()
}

/// The occurrences after a moment, each found as the fold finds them: by the next start, then by what covers it.
fn after(schedule: &Schedule, from: &str, n: usize) -> Vec<(String, String)> {
    let mut at = utc(from);
    let mut found = Vec::new();
    while let Some(start) = schedule.next_start(at).filter(|_| found.len() < n) {
        let open = schedule.covering(start).expect("it has just started");
        assert_eq!(schedule.covering(start - crate::domain::time::Span(1)).map(|o| o.start), None, "{}", shown(start));
        found.push((shown(open.start), shown(open.end)));
        at = start;
    }
    found
}

fn pairs(found: &[(String, String)]) -> Vec<(&str, &str)> {
    found.iter().map(|(start, end)| (start.as_str(), end.as_str())).collect()
}

#[test]
fn in_spring_a_time_that_is_skipped_moves_forward() {
    // Berlin, 2026-03-29: 02:00 is followed by 03:00.
    let gap = schedule(r#"{"timezone": "Europe/Berlin", "times": ["02:30-04:00"]}"#).expect("valid");
    assert_eq!(
        pairs(&after(&gap, "2026-03-28T00:00:00Z", 3)),
        [
            ("2026-03-28T01:30:00Z", "2026-03-28T03:00:00Z"),
            // 03:30 CEST.
            ("2026-03-29T01:30:00Z", "2026-03-29T02:00:00Z"),
            ("2026-03-30T00:30:00Z", "2026-03-30T02:00:00Z"),
        ]
    );
    let end = schedule(r#"{"timezone": "Europe/Berlin", "times": ["01:30-02:15"]}"#).expect("valid");
    // Until 03:15 CEST: as long as on any day.
    assert_eq!(pairs(&after(&end, "2026-03-29T00:00:00Z", 1)), [("2026-03-29T00:30:00Z", "2026-03-29T01:15:00Z")]);
}

#[test]
fn in_autumn_a_time_that_comes_twice_is_the_first_for_a_start_and_the_last_for_an_end() {
    // Berlin, 2026-10-25: 03:00 CEST is followed by 02:00 CET.
    let both = schedule(r#"{"timezone": "Europe/Berlin", "times": ["02:15-02:45"]}"#).expect("valid");
    assert_eq!(
        pairs(&after(&both, "2026-10-24T12:00:00Z", 2)),
        [("2026-10-25T00:15:00Z", "2026-10-25T01:45:00Z"), ("2026-10-26T01:15:00Z", "2026-10-26T01:45:00Z")]
    );
    let night = schedule(r#"{"timezone": "Europe/Berlin", "days": ["sat"], "times": ["22:00-02:30"]}"#).expect("valid");
    assert_eq!(pairs(&after(&night, "2026-10-24T12:00:00Z", 1)), [("2026-10-24T20:00:00Z", "2026-10-25T01:30:00Z")]);
}

#[test]
fn over_midnight_a_window_belongs_to_the_day_it_starts() {
    let night = schedule(r#"{"timezone": "UTC", "days": ["sat"], "times": ["22:00-04:00"]}"#).expect("valid");
    // A Saturday.
    assert!(night.covering(utc("2026-01-10T22:00:00Z")).is_some());
    assert!(night.covering(utc("2026-01-11T03:59:59.999Z")).is_some());
    assert!(night.covering(utc("2026-01-11T04:00:00Z")).is_none(), "its end is outside");
    assert!(night.covering(utc("2026-01-11T22:30:00Z")).is_none(), "Sunday's own night");
    assert!(night.covering(utc("2026-01-10T03:00:00Z")).is_none(), "Friday's night");
    let whole = schedule(r#"{"timezone": "UTC", "days": ["sun"], "times": ["00:00-24:00"]}"#).expect("valid");
    assert_eq!(pairs(&after(&whole, "2026-01-10T00:00:00Z", 1)), [("2026-01-11T00:00:00Z", "2026-01-12T00:00:00Z")]);
}

#[test]
fn occurrences_that_touch_are_open_until_the_last_of_them_ends() {
    let always = schedule(r#"{"timezone": "UTC", "times": ["00:00-24:00"]}"#).expect("valid");
    assert_eq!(always.open_until(utc("2026-01-10T12:00:00Z")), None);
    let weekend = r#"{"timezone": "UTC", "days": ["sat", "sun"], "times": ["00:00-24:00", "18:00-20:00"]}"#;
    let weekend = schedule(weekend).expect("valid");
    assert_eq!(weekend.open_until(utc("2026-01-10T12:00:00Z")), Some(utc("2026-01-12T00:00:00Z")));
    assert_eq!(weekend.open_until(utc("2026-01-12T00:00:00Z")), None, "it is closed");
}

#[test]
fn days_are_of_the_week_or_the_month() {
    let starts = |days: &str, from: &str| -> Vec<String> {
        let text = format!(r#"{{"timezone": "UTC", "days": {days}, "times": ["12:00-13:00"]}}"#);
        let found = after(&schedule(&text).expect(days), from, 3);
        found.into_iter().map(|(start, _)| start[..10].to_owned()).collect()
    };
    let january = "2026-01-01T00:00:00Z";
    assert_eq!(starts(r#"["2nd tue"]"#, january), ["2026-01-13", "2026-02-10", "2026-03-10"]);
    assert_eq!(starts(r#"["last fri"]"#, january), ["2026-01-30", "2026-02-27", "2026-03-27"]);
    assert_eq!(starts(r#"["5th thu"]"#, january), ["2026-01-29", "2026-04-30", "2026-07-30"]);
    assert_eq!(starts(r#"["-1"]"#, january), ["2026-01-31", "2026-02-28", "2026-03-31"]);
    assert_eq!(starts(r#"["31"]"#, january), ["2026-01-31", "2026-03-31", "2026-05-31"]);
    assert_eq!(starts(r#"["12-25", "2026-04-03"]"#, january), ["2026-04-03", "2026-12-25", "2027-12-25"]);
    assert_eq!(starts(r#"["1", "Wed"]"#, january), ["2026-01-01", "2026-01-07", "2026-01-14"]);
}

#[test]
fn several_a_day_within_a_season_but_not_on_holidays() {
    let text = r#"{"timezone": "UTC", "times": ["01:00-02:00", "13:00-14:00", "13:30-15:00"], "from": "2026-01-02",
        "until": "2026-01-04", "except": ["2026-01-03"]}"#;
    let windows = schedule(text).expect("valid");
    let starts: Vec<_> = {
        let mut at = utc("2025-06-01T00:00:00Z");
        std::iter::from_fn(|| {
            at = windows.next_start(at)?;
            Some(shown(at)[..16].to_owned())
        })
        .collect()
    };
    let days = ["01-02T01:00", "01-02T13:00", "01-02T13:30", "01-04T01:00", "01-04T13:00", "01-04T13:30"];
    assert_eq!(starts, days.map(|day| format!("2026-{day}")));
    // Of two that are open the one that ends last.
    let open = windows.covering(utc("2026-01-04T13:45:00Z")).expect("open");
    assert_eq!(shown(open.end), "2026-01-04T15:00:00Z");
    assert_eq!(windows.ends_at().map(shown).as_deref(), Some("2026-01-06T00:00:00Z"));
}

#[test]
fn schedules_read_as_they_are_written() {
    for text in [
        r#"{"start": "2026-03-01T22:00:00+01:00", "end": "2026-03-02T02:00:00.5Z"}"#,
        r#"{"timezone": "America/New_York", "days": ["mon", "-1", "last fri", "2nd tue", "12-25", "2026-04-03"], "times": ["22:00-24:00"],
            "from": "2026-01-02", "except": ["2026-12-24"]}"#,
    ] {
        let read = schedule(text).expect(text);
        let json = serde_json::to_string(&read).expect("as text");
        assert_eq!(schedule(&json).expect(&json), read);
        let bytes = postcard::to_stdvec(&read).expect("as bytes");
        assert_eq!(postcard::from_bytes::<Schedule>(&bytes).expect("from bytes"), read);
    }
}

#[test]
fn what_is_wrong_is_said() {
    for (text, reason) in [
        ("{}", "timezone: missing"),
        (r#"{"timezone": "Mars/Olympus", "times": ["1:00-2:00"]}"#, "timezone: `Mars/Olympus` is not known"),
        (r#"{"timezone": "UTC"}"#, "times: at least one"),
        (r#"{"timezone": "UTC", "times": ["10:00-10:00"]}"#, "times: `10:00-10:00` ends when it starts"),
        (r#"{"timezone": "UTC", "times": ["00:00-00:00"]}"#, "write 00:00-24:00 for the whole day"),
        (r#"{"timezone": "UTC", "times": ["25:00-26:00"]}"#, "times: `25:00-26:00` is no span of hours"),
        (r#"{"timezone": "UTC", "times": ["1:00-2:00"], "days": ["6th mon"]}"#, "days: `6th mon` is no day"),
        (r#"{"timezone": "UTC", "times": ["1:00-2:00"], "days": ["32"]}"#, "days: `32` is no day"),
        (r#"{"timezone": "UTC", "times": ["1:00-2:00"], "days": ["02-30"]}"#, "days: `02-30` is no day"),
        (r#"{"timezone": "UTC", "times": ["1:00-2:00"], "except": ["Xmas"]}"#, "except: `Xmas` is no day"),
        (
            r#"{"timezone": "UTC", "times": ["1:00-2:00"], "from": "2026-02-01", "until": "2026-01-01"}"#,
            "until: before",
        ),
        (
            r#"{"start": "2026-03-01T22:00:00", "end": "2026-03-02T02:00:00Z"}"#,
            "start: `2026-03-01T22:00:00` is no time",
        ),
        (r#"{"start": "2026-03-02T22:00:00Z", "end": "2026-03-02T02:00:00Z"}"#, "end: not after"),
        (r#"{"start": "2026-03-02T22:00:00Z"}"#, "end: missing"),
        (
            r#"{"start": "2026-03-01T22:00:00Z", "end": "2026-03-02T02:00:00Z", "timezone": "UTC"}"#,
            "either once or recurring",
        ),
    ] {
        let error = schedule(text).expect_err(text).to_string();
        assert!(error.contains(reason), "{text}: {error}");
    }
}

#[test]
fn the_ends_of_time_are_met_without_a_panic() {
    let daily = schedule(r#"{"timezone": "Pacific/Apia", "times": ["23:00-22:59"], "days": ["31"]}"#).expect("valid");
    for at in [i64::MIN, -1, 0, i64::MAX, 253_402_300_799_999, -377_705_023_201_000] {
        let _ = (daily.covering(Timestamp(at)), daily.next_start(Timestamp(at)));
    }
    // Samoa had no 2011-12-30.
    let skipped = schedule(r#"{"timezone": "Pacific/Apia", "times": ["10:00-11:00"], "days": ["30"]}"#).expect("valid");
    assert_eq!(pairs(&after(&skipped, "2011-12-20T00:00:00Z", 1)), [("2011-12-30T20:00:00Z", "2011-12-30T21:00:00Z")]);
}
