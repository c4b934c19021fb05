//! What becomes of groups and alerts, good and strange.
use super::*;
use crate::decode::{FieldPath, Mapping};
use quell_core::domain::{event::Status, severity::Severity};

const ARRIVAL: Timestamp = Timestamp(1_760_000_020_000);

fn read_with(mapping: &Mapping, bytes: &str) -> Vec<Result<Event, Rejection>> {
    let context = Context { arrival: ARRIVAL, offset: 7, check_wall: true, mapping, default_origin: "topic" };
    let message = Message { bytes: bytes.as_bytes(), headers: &[], source: "alerts/0#0" };
    let mut told = Vec::new();
    crate::decode::each(crate::decode::Format::Alertmanager, &message, &context, &mut |_, event| told.push(event));
    told
}

fn group(alerts: &str) -> String {
    format!(r#"{{"externalURL":"http://am.example:9093/","version":"4","status":"firing","alerts":[{alerts}]}}"#)
}

/// One alert with these labels and more fields.
fn alert(labels: &str, more: &str) -> Event {
    let text = group(&format!(r#"{{"status":"firing","labels":{{{labels}}}{more}}}"#));
    read_with(&Mapping::default(), &text).remove(0).unwrap_or_else(|rejection| panic!("{text}: {rejection}"))
}

const DISK: &str = r#""alertname":"DiskFull","instance":"db-07:9100","device":"sda","severity":"warning""#;

#[test]
fn identity_is_all_labels_but_severity_and_replica() {
    let warning = alert(DISK, r#","fingerprint":"aa""#);
    let critical = alert(&DISK.replace("warning", "critical"), r#","fingerprint":"ab""#);
    let replica = alert(&format!(r#"{DISK},"prometheus_replica":"b""#), r#","fingerprint":"ac""#);
    let other = alert(&DISK.replace("sda", "sdb"), r#","fingerprint":"ad""#);
    assert_eq!((&warning.fingerprint, &warning.fingerprint), (&critical.fingerprint, &replica.fingerprint));
    assert_ne!(warning.fingerprint, other.fingerprint);
    assert_eq!([&warning, &critical, &replica].map(|event| event.identity.as_str()), ["aa", "ab", "ac"]);
    // Told without a fingerprint, its labels are it; the order of labels and empty ones do not matter.
    let bare = alert(DISK, "");
    let same =
        alert(r#""severity":"warning","device":"sda","none":"","instance":"db-07:9100","alertname":"DiskFull""#, "");
    assert_eq!((&bare.identity, &bare.fingerprint), (&same.identity, &same.fingerprint));
    assert_ne!(bare.identity, alert(&DISK.replace("warning", "critical"), "").identity);
    // Framed: the border between two labels cannot be moved.
    assert_ne!(alert(r#""a":"bc""#, "").fingerprint, alert(r#""ab":"c""#, "").fingerprint);
    // Nothing but what is ignored: that is what tells.
    assert_ne!(alert(r#""severity":"page""#, "").fingerprint, alert(r#""severity":"none""#, "").fingerprint);
    // Long values that begin alike stay apart.
    let long = |end: &str| alert(&format!(r#""alertname":"a","path":"{}{end}""#, "x".repeat(5_000)), "").fingerprint;
    assert_ne!(long("a"), long("b"));
}

#[test]
fn times_of_any_shape_never_refuse_a_recovery() {
    let (end, year_1) = (r#""2025-10-09T08:53:34.5Z""#, r#""0001-01-01T00:00:00Z""#);
    for start in [year_1, "null", r#""""#, "0", r#""2025-10-10T00:00:00Z""#] {
        let event = alert(r#""alertname":"a""#, &format!(r#","startsAt":{start},"endsAt":{end}"#));
        assert_eq!(event.ended_at, None, "it fires");
        let text = group(&format!(
            r#"{{"status":"resolved","labels":{{"alertname":"a"}},"startsAt":{start},"endsAt":{end}}}"#
        ));
        let event = read_with(&Mapping::default(), &text).remove(0).expect("a recovery");
        assert_eq!((event.status, event.started_at), (Status::Resolved, None), "{start}");
        assert_eq!((event.ended_at, event.time), (Some(Timestamp(1_760_000_014_500)), ARRIVAL));
    }
    let nine = alert(r#""alertname":"a""#, r#","startsAt":"2025-10-09T08:53:34.824702392Z""#);
    assert_eq!(nine.started_at, Some(Timestamp(1_760_000_014_824)));
}

#[test]
fn an_alert_without_a_name_or_an_entity_is_one_all_the_same() {
    let bare = alert(r#""team":"core""#, "");
    assert_eq!((bare.check.as_str(), bare.summary.as_str()), ("unnamed", "unnamed"));
    assert_eq!(bare.entity, bare.fingerprint);
    let pod = alert(r#""alertname":"a","pod":"web-1","job":"kube","instance":" ""#, "");
    assert_eq!(pod.entity, "web-1");
    let long = alert(&format!(r#""alertname":"{0}","host":"{0}""#, "x".repeat(1_000)), "");
    assert!(long.check.len() <= TEXT_BYTES_MAX && long.entity.len() <= TEXT_BYTES_MAX);
}

#[test]
fn the_summary_is_an_annotation() {
    for (annotations, summary) in [
        (r#"{"description":"d","summary":"s"}"#, "s"),
        (r#"{"description":"d","runbook":{"deep":[]},"message":"m"}"#, "d"),
        (r#"{"summary":" ","message":"value NaN & more"}"#, "value NaN & more"),
        ("{}", "a"),
        ("null", "a"),
    ] {
        assert_eq!(alert(r#""alertname":"a""#, &format!(r#","annotations":{annotations}"#)).summary, summary);
    }
}

#[test]
fn a_source_has_its_own_lists_and_origin() {
    let labels = r#""alertname":"a","device":"sda","service.name":"zahlung ü","tenant":"t-1""#;
    assert_eq!(alert(labels, "").origin, "http://am.example:9093");
    let mapping: Mapping = serde_json::from_str(
        r#"{"ignore_labels": ["device"], "entity_labels": ["service.name"], "severity_default": "critical", "scope": "labels.tenant",
            "fields": {"origin": {"constant": "am-eu"}, "service": "labels.service.name"}}"#,
    )
    .expect("valid");
    let read = |text: &str| read_with(&mapping, text).remove(0).expect("valid");
    let text = group(&format!(r#"{{"labels":{{{labels}}}}}"#));
    let event = read(&text);
    assert_eq!((event.origin.as_str(), event.entity.as_str(), event.scope.as_str()), ("am-eu", "zahlung ü", "t-1"));
    assert_eq!((event.severity, event.service.as_str()), (Severity::Critical, "zahlung ü"));
    assert_eq!(event.fingerprint, read(&text.replace("sda", "sdb")).fingerprint);
    // A list of the source's own instead of all labels.
    let devices = Mapping { fingerprint: vec![FieldPath::Label("device".into())], ..Mapping::default() };
    let of = |text: &str| read_with(&devices, text).remove(0).expect("valid").fingerprint;
    assert_eq!(of(&text), of(&text.replace("t-1", "t-2")));
    assert_ne!(of(&text), of(&text.replace("sda", "sdb")));
}

#[test]
fn what_later_versions_add_is_let_pass_and_neighbours_stay() {
    let text = format!(
        r#"{{"version":"4","notification_reason":"new alerts added","routeLabels":{{"a":"b"}},"groupKey":17,"alerts":[
        {{"status":"firing","labels":{{"alertname":"a"}},"new":{{}}}}, 17, {{}}, {{"labels":["a"]}}, {{"labels":{{"alertname":"b"}},"status":"odd"}},
        {{"status":" RESOLVED ","labels":{{"alertname":"{}"}}}}],"truncatedAlerts":3}}"#,
        "c"
    );
    let told = read_with(&Mapping::default(), &text);
    let reasons: Vec<_> = told.iter().map(|told| told.as_ref().map_or_else(|r| r.reason.as_str(), |_| "")).collect();
    assert_eq!(reasons.len(), 6);
    assert!(reasons[1].starts_with("an alert, a JSON object, not 17"), "{reasons:?}");
    assert!(reasons[2].starts_with("labels: none"), "{reasons:?}");
    assert!(reasons[3].starts_with("labels: an object of texts, not an array"), "{reasons:?}");
    assert!(reasons[4].starts_with("status: unknown `odd`"), "{reasons:?}");
    let ids: Vec<_> = told.iter().flatten().map(|event| event.id.as_str()).collect();
    assert_eq!(ids, ["alerts/0#0:7.0", "alerts/0#0:7.5"]);
    assert_eq!(told[5].as_ref().map(|event| event.status), Ok(Status::Resolved));
    assert_eq!(told[0].as_ref().map(|event| event.origin.as_str()), Ok("topic"));
}

#[test]
fn what_is_no_group_is_one_rejection() {
    for (text, reason) in [
        ("{}", "alerts: missing"),
        (r#"{"alerts":[]}"#, "alerts: none"),
        ("[]", "alerts: none"),
        (r#"{"alerts":null}"#, "alerts: an array of alerts, not null"),
        (r#"{"alerts":[],"alerts":[]}"#, "alerts: stands twice"),
        (r#"{"alerts":[{"labels":{"a":"b"}}"#, "not readable as JSON: alerts: EOF"),
        (r#"{"alerts":[{"labels":{"a":"b"}}]} x"#, "not readable as JSON: trailing"),
        (r#"{"alerts":[{]}"#, "not readable as JSON: alerts: "),
    ] {
        let told = read_with(&Mapping::default(), text);
        assert_eq!(told.len(), 1, "{text}");
        let rejection = told[0].as_ref().expect_err(text);
        assert!(rejection.reason.starts_with(reason), "{rejection}\n  instead of {reason}");
    }
    let many = format!("[{}]", vec!["1"; BODY_EVENTS_MAX + 5].join(","));
    assert_eq!(read_with(&Mapping::default(), &many).len(), BODY_EVENTS_MAX + 1);
    let origin = r#"{"externalURL":"a\u001b\n","alerts":[{"labels":{"alertname":"a"}}]}"#;
    assert_eq!(read_with(&Mapping::default(), origin).remove(0).expect("valid").origin, "a\u{fffd}\u{fffd}");
}

#[test]
fn prometheus_says_by_the_end_whether_it_fires() {
    let state = |ends: &str| {
        let told = read_with(&Mapping::default(), &format!(r#"[{{"labels":{{"alertname":"a"}},"endsAt":{ends}}}]"#));
        told.into_iter().next().expect("one").expect("valid").status
    };
    let after = |seconds: i64| (ARRIVAL.0 + seconds * 1_000).to_string();
    assert_eq!(state(&after(240)), Status::Firing);
    assert_eq!(state(&after(0)), Status::Resolved);
    // Its clock is a little ahead of ours.
    assert_eq!(state(&after(20)), Status::Resolved);
    assert_eq!(state(r#""0001-01-01T00:00:00Z""#), Status::Firing);
}

#[test]
fn an_instance_is_its_host() {
    for (instance, host) in [
        ("db-07:9100", "db-07"),
        ("10.0.0.7:80", "10.0.0.7"),
        ("[2001:db8::7]:9100", "2001:db8::7"),
        ("2001:db8::7", "2001:db8::7"),
        ("db-07", "db-07"),
        (":9100", ":9100"),
        ("[]:9100", "[]:9100"),
        ("db-07:", "db-07:"),
        ("db-07:http", "db-07:http"),
        ("https://shop.example:8443/health", "https://shop.example:8443/health"),
        ("https://shop.example:8443", "https://shop.example:8443"),
    ] {
        assert_eq!(without_port(instance), host);
    }
}
