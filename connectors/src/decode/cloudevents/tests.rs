//! What becomes of CloudEvents, good and bad.
use super::*;
use crate::decode::Mapping;
use quell_core::domain::{
    event::{Kind, Status},
    severity::Severity,
    time::Timestamp,
};

const ARRIVAL: Timestamp = Timestamp(1_760_000_020_000);

fn read(headers: &[(&str, &str)], bytes: &str, mapping: &Mapping) -> Result<Event, Rejection> {
    let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    let context = Context { arrival: ARRIVAL, offset: 1, check_wall: true, mapping, default_origin: "topic" };
    decode(&Message { bytes: bytes.as_bytes(), headers: &headers, source: "topic/0#0" }, &context)
}

fn structured(more: &str) -> Result<Event, Rejection> {
    let text = format!(r#"{{"specversion":"1.0","id":"A-1","source":"/sensors/7","type":"com.example.hot"{more}}}"#);
    read(&[], &text, &Mapping::default())
}

#[test]
fn attributes_fill_what_the_data_lacks() {
    let bare = structured("").expect("valid");
    assert_eq!((bare.id.as_str(), bare.origin.as_str()), ("A-1", "/sensors/7"));
    assert_eq!((bare.entity.as_str(), bare.check.as_str()), ("/sensors/7", "com.example.hot"));
    assert_eq!(
        (bare.time, bare.status, bare.severity, bare.kind),
        (ARRIVAL, Status::Firing, Severity::Warning, Kind::Alert)
    );
    let told = structured(
        r#","subject":"rack-4","time":"2025-10-09T08:53:34.556Z","severitynumber":17,"region":"eu","datacontenttype":"application/json",
        "data":{"entity":"probe-2","summary":"40 °C","value":40,"labels":{"region":"us","row":"b"},"started_at":1760000000000}"#,
    )
    .expect("valid");
    assert_eq!(
        (told.entity.as_str(), told.check.as_str(), told.summary.as_str()),
        ("probe-2", "com.example.hot", "40 °C")
    );
    assert_eq!((told.time, told.value, told.severity), (Timestamp(1_760_000_014_556), Some(40.0), Severity::Major));
    assert_eq!(told.labels, [("region".to_owned(), "us".to_owned()), ("row".to_owned(), "b".to_owned())]);
    let subject = structured(r#","subject":"rack-4","data":"it is \u0007 hot","traceparent":"00-ab""#).expect("valid");
    assert_eq!((subject.entity.as_str(), subject.summary.as_str()), ("rack-4", "it is \u{fffd} hot"));
    assert_eq!(subject.labels, [("traceparent".to_owned(), "00-ab".to_owned())]);
}

#[test]
fn binary_and_structured_are_one_event() {
    let data = r#"{"severity":"major","summary":"hot"}"#;
    let mapping = Mapping::default();
    let attributes = |p: &str| ["specversion", "id", "source", "type", "subject"].map(|name| format!("{p}{name}"));
    let values = ["1.0", "A-1", "/sensors/7", "com.example.hot", "rack-4"];
    let expected = structured(&format!(r#","subject":"rack-4","data":{data}"#)).expect("valid");
    for prefix in ["ce_", "ce-"] {
        let names = attributes(prefix);
        let headers: Vec<_> = names.iter().map(String::as_str).zip(values).collect();
        assert_eq!(read(&headers, data, &mapping).as_ref(), Ok(&expected), "{prefix}");
    }
    let headers = [("ce-specversion", "1.0"), ("ce-id", "%C3%BC%2"), ("ce-source", "/s"), ("ce-type", "t")];
    let event = read(&headers, "plain words", &mapping).expect("valid");
    assert_eq!((event.id.as_str(), event.summary.as_str()), ("ü%2", "plain words"));
    assert!(read(&headers[..3], "", &mapping).expect_err("no type").reason.starts_with("type: missing"));
    let twice = [headers[0], headers[0]];
    assert_eq!(read(&twice, "", &mapping).expect_err("twice").reason, "ce-specversion: stands twice");
}

#[test]
fn what_is_required_is_asked_for() {
    for (bytes, reason) in [
        (r#"{"id":"1","source":"s","type":"t"}"#, "specversion: missing"),
        (r#"{"id":"1","source":"s","type":"t","specversion":"0.3"}"#, "specversion: `0.3` is not known, write 1.0"),
        (r#"{"id":" ","source":"s","type":"t","specversion":"1.0"}"#, "id: missing"),
        (r#"{"id":"1","type":"t","specversion":"1.0"}"#, "source: missing"),
        (r#"{"id":{},"source":"s","type":"t","specversion":"1.0"}"#, "id: an object, where a text belongs"),
        (r#"{"id":"1","id":"2"}"#, "id: stands twice"),
        (
            r#"{"id":"1","source":"s","type":"t","specversion":"1.0","data":{"value":"x"}}"#,
            "data: value: a number, not \"x\"",
        ),
        (r#"{"id":"1","source":"s","type":"t","specversion":"1.0","time":"yesterday"}"#, "time: not RFC 3339"),
    ] {
        let rejection = read(&[], bytes, &Mapping::default()).expect_err(bytes);
        assert!(rejection.reason.starts_with(reason), "{rejection}\n  instead of {reason}");
    }
    assert!(structured(r#","specversion":"1.0.2""#).is_err());
}

#[test]
fn severity_numbers_are_open_telemetrys() {
    let of = |number: &str| structured(&format!(r#","severitynumber":{number}"#)).expect(number).severity;
    let all = ["0", "1", "9", "13", "15", "17", "21", "24", "99"].map(of);
    let (info, warning) = (Severity::Info, Severity::Warning);
    let expected = [
        warning,
        info,
        info,
        warning,
        Severity::Minor,
        Severity::Major,
        Severity::Critical,
        Severity::Critical,
        warning,
    ];
    assert_eq!(all, expected);
    let text = structured(r#","severitytext":"FATAL","severitynumber":9"#).expect("valid");
    assert_eq!(text.severity, Severity::Critical);
}

#[test]
fn a_mapping_reaches_into_the_data() {
    let mapping: Mapping = serde_json::from_str(r#"{"fields": {"entity": "data.host.name"}}"#).expect("valid");
    let data = r#"{"host":{"name":"db-07"}}"#;
    let text = format!(r#"{{"specversion":"1.0","id":"1","source":"s","type":"t","data":{data}}}"#);
    assert_eq!(read(&[], &text, &mapping).expect("valid").entity, "db-07");
    let headers = [("ce_specversion", "1.0"), ("ce_id", "1"), ("ce_source", "s"), ("ce_type", "t")];
    assert_eq!(read(&headers, data, &mapping).expect("valid").entity, "db-07");
}
