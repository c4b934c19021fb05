//! Mappings, their checks and what they make of documents.
use super::*;
use crate::decode::{Context, Message, json};
use quell_core::domain::time::Timestamp;

#[test]
fn paths_are_their_text() {
    for text in ["entity", "check", "origin", "service", "labels.region", "labels.k8s.io/name", "template"] {
        assert_eq!(text.parse::<FieldPath>().map(|path| path.to_string()), Ok(text.to_owned()));
    }
    for text in ["", "labels", "labels.", "Entity", "summary", "label.region"] {
        let error = text.parse::<FieldPath>().expect_err(text).to_string();
        assert!(error.starts_with(&format!("`{text}` is no field")), "{error}");
    }
}

#[test]
fn it_is_stored_as_json() {
    let mapping: Mapping = serde_json::from_str(r#"{"scope": "labels.region"}"#).expect("valid");
    assert_eq!(mapping, Mapping { scope: Some(FieldPath::Label("region".into())), ..Mapping::default() });
    let text = serde_json::to_string(&mapping).expect("serializes");
    assert_eq!(text, r#"{"scope":"labels.region","fingerprint":[]}"#);
    assert_eq!(serde_json::from_str::<Mapping>(&text).expect("valid"), mapping);
    assert!(serde_json::from_str::<Mapping>(r#"{"scope": "region"}"#).is_err());
    assert!(serde_json::from_str::<Mapping>(r#"{"tenant": "entity"}"#).is_err());
}

/// A document read as `format = "json"` by a mapping.
fn read(mapping: &str, document: &str) -> Result<Event, Rejection> {
    let mapping: Mapping = serde_json::from_str(mapping).expect(mapping);
    mapping.check(Format::Json).expect("it goes together");
    let arrival = Timestamp(1_760_000_014_556);
    let context = Context { arrival, offset: 42, check_wall: true, mapping: &mapping, default_origin: "topic" };
    let message = Message { bytes: document.as_bytes(), headers: &[], source: "topic/0#0" };
    json::decode(&message, &context)
}

#[test]
fn fields_have_paths_constants_and_defaults() {
    let mapping = r#"{"fields": {"entity": ["host.fqdn", "host.name"], "check": "svc", "time": {"path": "ts", "unit": "s"},
        "origin": {"constant": "nagios-eu"}, "summary": {"path": "text", "default": "nothing said"}, "value": "perf",
        "severity": "state", "status": "state", "labels": {"rack": "location.rack", "site": {"constant": "eu"}}},
        "labels": ["tags"], "severities": {"2": "critical", "Bad ": "minor"}, "statuses": {"2": "firing", "0": "resolved"},
        "scope": "labels.site"}"#;
    let document = r#"{"host": {"name": "db-07"}, "svc": "DiskFull", "ts": 1760000014, "state": 2, "perf": "0.97",
        "location": {"rack": "r4"}, "tags": {"team": "core", "rack": "other", "n": 7, "no": null}}"#;
    let event = read(mapping, document).expect("valid");
    assert_eq!(
        (event.entity.as_str(), event.check.as_str(), event.origin.as_str()),
        ("db-07", "DiskFull", "nagios-eu")
    );
    assert_eq!(
        (event.time, event.value, event.summary.as_str()),
        (Timestamp(1_760_000_014_000), Some(0.97), "nothing said")
    );
    assert_eq!((event.severity, event.status, event.scope.as_str()), (Severity::Critical, Status::Firing, "eu"));
    let labels: Vec<_> = event.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    // A rule says more than an object that is copied; a word of the table is kept.
    assert_eq!(labels, ["n=7", "rack=r4", "severity=2", "site=eu", "team=core"]);
    let recovery = read(mapping, &document.replace("\"state\": 2", "\"state\": \" 0\"")).expect("valid");
    assert_eq!((recovery.status, recovery.severity), (Status::Resolved, Severity::Warning));
    for (from, to, reason) in [
        ("\"DiskFull\"", "[1]", "check: an array, where a text, number or boolean belongs"),
        ("\"DiskFull\"", "null", "check: missing"),
        ("1760000014", "1760000014556", "time: looks like microseconds"),
        ("\"0.97\"", "\"a lot\"", "value: a number, not \"a lot\""),
        ("\"state\": 2", "\"state\": 7", "status: unknown `7`"),
        ("{\"team\"", "[{\"team\"", "not readable as JSON"),
    ] {
        let rejection = read(mapping, &document.replace(from, to)).expect_err(to);
        assert!(rejection.reason.starts_with(reason), "{rejection}\n  instead of {reason}");
    }
}

#[test]
fn texts_are_taken_apart_and_rules_say_more() {
    let mapping = r#"{"extract": [{"from": "line", "pattern": "^(?<severity>\\w+): (?<check>\\w+) on (?<entity>\\S+) \\((?<rack>\\w+)\\)"}],
        "fields": {"summary": "line", "severity": {"default": "info"}}}"#;
    let event = read(mapping, r#"{"line": "CRIT: DiskFull on db-07 (r4)\n"}"#).expect("valid");
    assert_eq!(
        (event.entity.as_str(), event.check.as_str(), event.severity),
        ("db-07", "DiskFull", Severity::Critical)
    );
    assert_eq!(event.labels, [("rack".to_owned(), "r4".to_owned())]);
    // No time is looked for: it is the arrival, and what is told again is another event.
    assert_eq!((event.time, event.id.as_str()), (event.arrival, "topic/0#0:42"));
    assert_eq!(read(mapping, r#"{"line": "nothing of it"}"#).expect_err("no match").reason, "entity: missing");
}

#[test]
fn a_constant_can_steer_nothing() {
    let mapping = r#"{"fields": {"entity": {"constant": "a\u001b[2J"}, "check": {"constant": "c"}, "labels": {"a": {"constant": "\u0000"}}}}"#;
    let event = read(mapping, "{}").expect("valid");
    assert_eq!((event.entity.as_str(), event.labels[0].1.as_str()), ("a\u{fffd}[2J", "\u{fffd}"));
}

#[test]
fn what_does_not_go_together_is_named() {
    for (format, mapping, key, reason) in [
        (Format::Json, "{}", "fields", "format \"json\" needs entity, as in fields.entity = \"path\""),
        (Format::Json, r#"{"fields": {"entity": "a"}}"#, "fields", "format \"json\" needs check"),
        (
            Format::Canonical,
            r#"{"fields": {"entity": {"path": "a", "unit": "s"}}}"#,
            "fields.entity.unit",
            "only times",
        ),
        (Format::Canonical, r#"{"fields": {"time": {"constant": "a"}}}"#, "fields.time", "a time has a path only"),
        (Format::Canonical, r#"{"ignore_labels": []}"#, "ignore_labels", "only format \"alertmanager\" has it"),
    ] {
        let mapping: Mapping = serde_json::from_str(mapping).expect(mapping);
        let (at, why) = mapping.check(format).expect_err(key);
        assert!(at == key && why.starts_with(reason), "{at}: {why}");
    }
    for mapping in [
        r#"{"fields": {"entiti": "a"}}"#,
        r#"{"fields": {"entity": {}}}"#,
        r#"{"fields": {"entity": {"constant": "a", "default": "b"}}}"#,
        r#"{"fields": {"entity": "a..b"}}"#,
        r#"{"fields": {"entity": {"path": "a", "unit": "years"}}}"#,
        r#"{"fields": {"labels": {"": "a"}}}"#,
        r#"{"severities": {"2": "bad"}}"#,
    ] {
        assert!(serde_json::from_str::<Mapping>(mapping).is_err(), "{mapping}");
    }
}

#[test]
fn all_of_it_is_stored_as_json() {
    let text = r#"{"scope":null,"fingerprint":[],"fields":{"time":{"path":["ts"],"unit":"s"},"entity":{"path":["a","b.c"],"default":"x"},"labels":{"rack":{"constant":"r4"}}},"labels":["tags"],"extract":[{"from":"line","pattern":"(?<check>\\w+)"}],"severities":{"2":"critical"},"severity_default":"minor","statuses":{"0":"resolved"},"ignore_labels":["severity"],"entity_labels":["pod"]}"#;
    let mapping: Mapping = serde_json::from_str(text).expect("valid");
    assert_eq!(serde_json::to_string(&mapping).expect("serializes"), text);
    assert_ne!(serde_json::from_str::<Mapping>(&text.replace("pod", "node")).expect("valid"), mapping);
}
