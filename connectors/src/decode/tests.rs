//! What becomes of each kind of good and bad input.
use super::*;
use proptest::prelude::*;
use quell_core::domain::{
    event::{Kind, Status},
    severity::Severity,
    time::Span,
};

/// 2025-10-09T08:53:34.556Z
const NOON: Timestamp = Timestamp(1_760_000_014_556);
const GOOD: &str = r#"{"id":"1","time":"2025-10-09T08:53:34.556Z","origin":"prometheus","entity":"db-07","check":"DiskFull","status":"firing","severity":"critical","summary":"full","value":0.97,"labels":{"rack":"r4","dc":"dc1"}}"#;

fn decode_with(mapping: &Mapping, check_wall: bool, bytes: &[u8]) -> Result<Event, Rejection> {
    let context = Context { arrival: NOON, offset: 42, check_wall, mapping, default_origin: "alerts" };
    canonical::decode(bytes, &context)
}

fn read(bytes: impl AsRef<[u8]>) -> Result<Event, Rejection> {
    decode_with(&Mapping::default(), true, bytes.as_ref())
}

/// An event with what every event needs, and `more` fields.
fn with(more: &str) -> String {
    format!(r#"{{"time":1760000014556,"entity":"db-07","check":"DiskFull"{more}}}"#)
}

fn good(more: &str) -> Event {
    read(with(more)).unwrap_or_else(|rejection| panic!("{more}: {rejection}"))
}

#[test]
fn every_field() {
    let event = read(GOOD).expect("valid");
    let labels = vec![("dc".to_owned(), "dc1".to_owned()), ("rack".to_owned(), "r4".to_owned())];
    let expected = Event {
        id: "1".into(),
        time: NOON,
        started_at: None,
        ended_at: None,
        origin: "prometheus".into(),
        entity: "db-07".into(),
        check: "DiskFull".into(),
        status: Status::Firing,
        severity: Severity::Critical,
        summary: "full".into(),
        value: Some(0.97),
        labels,
        service: String::new(),
        scope: "default".into(),
        fingerprint: String::new(),
        identity: String::new(),
        part: 0,
        kind: Kind::Alert,
        arrival: NOON,
        offset: 42,
    };
    assert_eq!(event, expected);
}

#[test]
fn what_is_absent_null_or_blank_has_its_default() {
    let bare = good("");
    assert_eq!((bare.origin.as_str(), bare.scope.as_str(), bare.service.as_str()), ("alerts", "default", ""));
    assert_eq!(
        (bare.status, bare.severity, bare.kind, bare.value),
        (Status::Firing, Severity::Warning, Kind::Alert, None)
    );
    let fields =
        ["id", "origin", "status", "severity", "summary", "service", "scope", "fingerprint", "identity", "kind"];
    let nulls: String = fields.iter().map(|field| format!(r#","{field}":null"#)).collect();
    let blanks: String = fields.iter().filter(|f| **f != "summary").map(|field| format!(r#","{field}":" ""#)).collect();
    assert_eq!(good(&format!(r#"{nulls},"value":null,"labels":null,"started_at":null,"ended_at":"""#)), bare);
    assert_eq!(good(&blanks), bare);
    assert_eq!(good(r#","unknown":{"deep":[[[{}]]]},"unknown":1e400"#), bare);
    assert_eq!(good(&format!(r#","unknown":{}{}"#, "[".repeat(10_000), "]".repeat(10_000))), bare);
}

#[test]
fn notations_of_one_event_are_equal() {
    let expected = good("");
    for bytes in [
        "\u{feff}{\"check\":\"DiskFull\",\n\t\"entity\" : \"db-07\", \"time\": 1.760000014556e12 }\r\n",
        r#"{"time":"2025-10-09T10:53:34.5560000+02:00","entity":"db-0\u0037","check":"DiskFull"}"#,
        r#"{"t\u0069me":"2025-10-09t08:53:34.556z","entity":"db-07","check":"DiskFull","labels":{}}"#,
    ] {
        assert_eq!(read(bytes).as_ref(), Ok(&expected), "{bytes}");
    }
}

#[test]
fn bad_input_is_rejected_with_its_reason() {
    let long = "x".repeat(TEXT_BYTES_MAX + 1);
    let labels = |n: usize, value: &str| {
        let all: Vec<_> = (0..n).map(|i| format!(r#""k{i}":"{value}""#)).collect();
        format!(r#","labels":{{{}}}"#, all.join(","))
    };
    for (bytes, reason) in [
        (String::new(), "empty"),
        (" \n".into(), "empty"),
        ("not json".into(), "not readable as JSON: expected"),
        (GOOD[..90].into(), "not readable as JSON: check: EOF"),
        ("[]".into(), "an event, a JSON object, not an array"),
        ("[".repeat(10_000), "an event, a JSON object, not an array"),
        ("null".into(), "an event, a JSON object, not null"),
        (format!("{GOOD} tail"), "not readable as JSON: trailing characters"),
        (format!("{GOOD}{GOOD}"), "not readable as JSON: trailing characters"),
        (with(r#","entity":"db-08""#), "entity: stands twice"),
        (with(r#","summary":"\ud800""#), "not readable as JSON: summary: "),
        (with(r#","summary":"\udc00 x""#), "not readable as JSON: summary: lone"),
        (with(",\"summary\":\"a\0b\""), "not readable as JSON: summary: control character"),
        // Required fields.
        (r#"{"time":1760000014556,"entity":"db-07"}"#.into(), "check: missing"),
        (r#"{"time":1760000014556,"entity":" ","check":"c"}"#.into(), "entity: missing"),
        (r#"{"entity":"db-07","check":"c"}"#.into(), "time: missing"),
        (r#"{"time":"","entity":"db-07","check":"c"}"#.into(), "time: missing"),
        // Types.
        (with(r#","id":17"#), "id: a text, not 17"),
        (with(r#","summary":{"a":1}"#), "summary: a text, not an object"),
        (with(r#","value":"0.97""#), "value: a number, not \"0.97\""),
        (with(r#","value":", expected a number""#), "value: a number, not \", expected a number\""),
        (with(r#","kind":"sample""#), "value: missing, and a sample must have it"),
        (with(r#","value":NaN"#), "not readable as JSON: value: expected"),
        (with(r#","value":-Infinity"#), "not readable as JSON: value: invalid number"),
        (with(r#","value":1e400"#), "not readable as JSON: value: number out of range"),
        (with(r#","labels":{"a":1e400}"#), "not readable as JSON: labels: number out of range"),
        (with(r#","labels":{"a":{"b":1}}"#), "labels: an object, where a text, number or boolean belongs (`a`)"),
        (with(r#","labels":{"a":["b"]}"#), "labels: an array, where a text, number or boolean belongs (`a`)"),
        (with(r#","labels":["a"]"#), "labels: an object of texts, not an array"),
        (with(&format!(r#","labels":{{"a":{}}}"#, "[".repeat(10_000))), "labels: an array, where"),
        (with(r#","severity":["critical"]"#), "severity: an array, where a text belongs"),
        (with(r#","status":"unheard-of""#), "status: unknown `unheard-of`, write firing or resolved"),
        (with(r#","kind":"metric""#), "kind: unknown `metric`, write alert, sample, log or change"),
        // Sizes.
        (
            with(&format!(r#","entity2":"{}""#, "x".repeat(EVENT_BYTES_MAX))),
            "262215 bytes; an event has at most 262144",
        ),
        (with(&format!(r#","id":"{long}""#)), "id: 513 bytes; at most 512"),
        (with(&format!(r#","fingerprint":"{long}""#)), "fingerprint: 513 bytes"),
        (with(&labels(LABELS_MAX + 1, "v")), "labels: 65 of them; at most 64"),
        (with(&labels(10_000, "v")), "labels: 10000 of them; at most 64"),
        (with(&labels(17, &"v".repeat(2_000))), "labels: 34041 bytes; at most 32768"),
        (with(&format!(r#","labels":{{"{}":1}}"#, "k".repeat(129))), "labels: a name of 129 bytes; at most 128"),
        (with(r#","labels":{"":1}"#), "labels: a label without a name"),
    ] {
        let rejection = read(&bytes).expect_err(&bytes);
        assert!(rejection.reason.starts_with(reason), "{rejection}\n  instead of {reason}");
        assert!(rejection.reason.len() <= REASON_BYTES_MAX);
    }
    assert_eq!(read(b"{\"entity\":\"\xff\"}").expect_err("bad UTF-8").reason, "not UTF-8 from byte 11 on");
    // A surrogate that was encoded as if it were a character (CESU-8).
    assert!(read(b"{\"entity\":\"\xed\xa0\x80\"}").is_err());
}

#[test]
fn a_wrong_time_is_rejected_with_the_likely_fix() {
    for (time, reason) in [
        ("1760000014", "time: looks like seconds; multiply by 1000"),
        ("1760000014.556", "time: looks like seconds"),
        ("1760000014556000", "time: looks like microseconds"),
        ("1760000014556000000", "time: looks like nanoseconds"),
        ("99999999999999999999", "time: looks like nanoseconds"),
        (r#""1760000014556""#, "time: digits in a text"),
        (r#""2025-10-09T08:53:34""#, "time: a time without a zone"),
        (r#""yesterday""#, "time: not RFC 3339; write it as 2025-10-09T08:53:34.556Z (yesterday)"),
        (r#""0001-01-01T00:00:00Z""#, "time: out of the years 1970 to 9999"),
        ("-1", "time: out of the years 1970 to 9999"),
        (r#""2035-10-09T20:53:35Z""#, "time: more than ten years after its arrival"),
        (r#""1970-01-01T00:00:00Z""#, "time: more than ten years before its arrival"),
        ("true", "time: a time, as RFC 3339 or in milliseconds since 1970, not true"),
    ] {
        let rejection = read(format!(r#"{{"time":{time},"entity":"e","check":"c"}}"#)).expect_err(time);
        assert!(rejection.reason.starts_with(reason), "{rejection}\n  instead of {reason}");
    }
}

#[test]
fn a_recording_is_taken_at_its_word() {
    for (time, ms) in [(r#""1970-01-01T00:00:00Z""#, 0), (r#""9999-12-31T23:59:59.999Z""#, 253_402_300_799_999)] {
        let bytes = format!(r#"{{"time":{time},"entity":"e","check":"c"}}"#);
        let event = decode_with(&Mapping::default(), false, bytes.as_bytes()).expect("valid");
        assert_eq!(event.time, Timestamp(ms));
    }
}

#[test]
fn a_strange_start_never_refuses_a_recovery() {
    let end = NOON - Span::minutes(1);
    for start in [r#""0001-01-01T00:00:00Z""#, "0", "null", r#""""#, r#""2025-10-09T08:53:34Z""#] {
        let event = good(&format!(r#","status":"ok","started_at":{start},"ended_at":{}"#, end.0));
        assert_eq!((event.status, event.started_at, event.ended_at), (Status::Resolved, None, Some(end)), "{start}");
    }
    let reason = read(with(r#","started_at":1760000014"#)).expect_err("seconds").reason;
    assert!(reason.starts_with("started_at: looks like seconds"), "{reason}");
}

#[test]
fn labels_are_texts_sorted_and_unique() {
    let event = good(r#","labels":{"z":1,"b":true,"gone":null,"a":"x","f":1.50,"big":1e300,"a":"y","z":null,"n":-7}"#);
    let labels: Vec<_> = event.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(labels, [("a", "y"), ("b", "true"), ("big", "1e300"), ("f", "1.5"), ("n", "-7")]);
}

#[test]
fn an_unknown_severity_is_a_warning_and_kept() {
    for (severity, kept) in [(r#""P1""#, "P1"), ("3", "3"), (r#""\u001b[1m""#, "\u{fffd}[1m")] {
        let event = good(&format!(r#","severity":{severity},"labels":{{"a":"1","z":"2"}}"#));
        assert_eq!(event.severity, Severity::Warning);
        assert_eq!(event.labels[1], ("severity".to_owned(), kept.to_owned()));
    }
    let event = good(r#","severity":"P1","labels":{"severity":"page"}"#);
    assert_eq!(event.labels, [("severity".to_owned(), "page".to_owned())]);
    assert_eq!(good(r#","severity":" Disaster ""#).severity, Severity::Critical);
}

#[test]
fn long_texts_are_cut_and_marked() {
    let event = good(&format!(r#","summary":"{}","labels":{{"a":"{}"}}"#, "ü".repeat(4_000), "v".repeat(100_000)));
    assert!(event.summary.len() <= SUMMARY_BYTES_MAX && event.summary.ends_with("ü…"));
    assert!(event.labels[0].1.len() == LABEL_VALUE_BYTES_MAX && event.labels[0].1.contains("v…"));
}

#[test]
fn hostile_text_is_kept_but_can_steer_nothing() {
    let hostile = [
        "<script>alert(1)</script>",
        "{{7*7}}",
        "${jndi:ldap://x}",
        "'; drop table",
        "=cmd|'/c'!A1",
        "../..",
        "\u{202e}",
    ];
    for text in hostile {
        assert_eq!(good(&format!(r#","summary":"{text}","id":"{text}""#)).id, text);
    }
    let event = good(r#","summary":"a\tb\r\nc\u0000\u001b[2J\u009b","id":"a\nb","labels":{"k\n":"v\u007f"}"#);
    assert_eq!((event.summary.as_str(), event.id.as_str()), ("a b  c\u{fffd}\u{fffd}[2J\u{fffd}", "a\u{fffd}b"));
    assert_eq!(event.labels, [("k\u{fffd}".to_owned(), "v\u{fffd}".to_owned())]);
}

#[test]
fn a_derived_id_is_of_the_content_alone() {
    let bare = good("");
    assert_eq!(bare.id, "1c37ddf533c60608fb084a76170f95ef");
    let mapped = Mapping { scope: Some(FieldPath::Check), fingerprint: vec![FieldPath::Entity], ..Mapping::default() };
    assert_eq!(decode_with(&mapped, true, with("").as_bytes()).expect("valid").id, bare.id);
    for more in [
        r#","summary":"s""#,
        r#","service":"s""#,
        r#","status":"resolved""#,
        r#","value":0"#,
        r#","kind":"change""#,
        r#","started_at":1760000014000"#,
        r#","ended_at":1760000014000"#,
        r#","labels":{"s":""}"#,
        r#","scope":"s""#,
        r#","fingerprint":"s""#,
        r#","identity":"s""#,
        r#","origin":"s""#,
    ] {
        assert_ne!(good(more).id, bare.id, "{more}");
    }
    // Framed: the border between two fields cannot be moved.
    assert_ne!(good(r#","labels":{"a":"bc"}"#).id, good(r#","labels":{"ab":"c"}"#).id);
}

#[test]
fn what_a_log_says_identifies_whatever_varies_in_it() {
    let fingerprint = vec![FieldPath::Entity, FieldPath::Check, FieldPath::Template];
    let mapping = Mapping { fingerprint, ..Mapping::default() };
    let mapped = |summary: &str| {
        let more = format!(r#","summary":"{summary}""#);
        decode_with(&mapping, true, with(&more).as_bytes()).expect("valid").fingerprint
    };
    let refused = mapped("connection to 10.0.0.7:5432 refused (3 tries)");
    assert_eq!(mapped("connection to db-07 refused (12 tries)"), refused);
    assert_ne!(mapped("connection to 10.0.0.7:5432 closed (3 tries)"), refused);
    // Stored journals rest on it.
    assert_eq!(FieldPath::Template.get(&good(r#","summary":"disk sda1 is full""#)), "4b0ef1ad8ddb4c36");
    assert!(Mapping { scope: Some(FieldPath::Template), ..Mapping::default() }.check(Format::Canonical).is_err());
}

#[test]
fn scope_and_fingerprint() {
    let mapping = Mapping {
        scope: Some(FieldPath::Label("region".into())),
        fingerprint: vec![FieldPath::Entity, FieldPath::Label("device".into())],
        ..Mapping::default()
    };
    let mapped = |more: &str| decode_with(&mapping, true, with(more).as_bytes()).expect("valid");
    let both = mapped(r#","labels":{"region":"eu","device":"sda"}"#);
    assert_eq!((both.scope.as_str(), both.fingerprint.len()), ("eu", 32));
    assert_ne!(mapped(r#","labels":{"device":"sdb"}"#).fingerprint, both.fingerprint);
    assert_eq!(mapped(r#","severity":"info","labels":{"device":"sda"}"#).fingerprint, both.fingerprint);
    assert_eq!(mapped("").scope, "default");
    assert_eq!(mapped(r#","labels":{"region":" "}"#).scope, "default");
    let own = mapped(r#","scope":"us","fingerprint":"f","labels":{"region":"eu"}"#);
    assert_eq!((own.scope.as_str(), own.fingerprint.as_str()), ("us", "f"));
    // Conditions that lack all the fields have nothing in common.
    let devices = Mapping { fingerprint: vec![FieldPath::Label("device".into())], ..Mapping::default() };
    assert_eq!(decode_with(&devices, true, with("").as_bytes()).expect("valid").fingerprint, "");
    // A scope is a part of names, however it comes.
    for (scope, what) in [("a/b", "`/`"), ("-", "means all"), (&*"é".repeat(201), "200 characters")] {
        for extra in [format!(r#","labels":{{"region":"{scope}"}}"#), format!(r#","scope":"{scope}""#)] {
            let reason = decode_with(&mapping, true, with(&extra).as_bytes()).expect_err(scope).reason;
            assert!(reason.starts_with("scope: ") && reason.contains(what), "{reason}");
        }
    }
    assert_eq!(mapped(&format!(r#","scope":"{}""#, "é".repeat(200))).scope.chars().count(), 200);
}

#[test]
fn formats_are_named() {
    assert_eq!("canonical".parse(), Ok(Format::Canonical));
    let error = "carrier-pigeon".parse::<Format>().expect_err("unknown").to_string();
    assert_eq!(error, "unknown format `carrier-pigeon`, one of: canonical, alertmanager, cloudevents, json");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(bytes);
    }

    #[test]
    fn mutations_of_an_event_never_panic(
        edits in prop::collection::vec((0..GOOD.len(), any::<u8>(), 0..3_u8), 1..6),
        check_wall: bool,
    ) {
        let mut bytes = GOOD.as_bytes().to_vec();
        for (at, byte, edit) in edits {
            let at = at.min(bytes.len() - 1);
            match edit {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => bytes.truncate(at.max(1)),
            }
        }
        if let Ok(event) = decode_with(&Mapping::default(), check_wall, &bytes) {
            prop_assert!(!event.id.is_empty() && !event.entity.is_empty() && !event.check.is_empty());
        }
    }

    #[test]
    fn any_text_is_kept_safely(text in any::<String>()) {
        let json = serde_json::to_string(&text).expect("a text");
        if let Ok(event) = read(with(&format!(r#","summary":{json},"labels":{{"a":{json}}}"#))) {
            prop_assert!(!event.summary.chars().chain(event.labels[0].1.chars()).any(char::is_control));
        }
    }
}
