//! Every bad input gets the answer that was written down for it beforehand, at every door.
use anyhow::{Context as _, ensure};
use quell::serve::rest;
use quell_connectors::decode::{self, Context, Format, Mapping, Message};
use quell_core::domain::{event::Event, time::Timestamp};
use quell_tests::{
    bad_inputs::{Row, input, json_mapping, rows},
    process::{Quell, Site, get, request},
};
use serde_json::Value;

const TABLES: &str = include_str!("../connectors/BAD_INPUTS.md");
/// 2026-01-05T00:00:00Z
const ARRIVAL: Timestamp = Timestamp(1_767_571_200_000);

/// What is not what the table says; `None` where it is.
fn differs(answer: &str, told: Result<&Event, &str>) -> Option<String> {
    let texts = |event: &Event| {
        let fields = [&event.id, &event.origin, &event.entity, &event.check, &event.summary, &event.identity];
        let labels = event.labels.iter().flat_map(|(key, value)| [key, value]);
        fields.into_iter().chain(labels).cloned().collect::<Vec<String>>()
    };
    match (answer, told) {
        ("–", _) => None,
        (_, Ok(event)) if texts(event).iter().any(|text| text.chars().any(char::is_control)) => {
            Some("a control character was kept".to_owned())
        }
        ("taken", Ok(event)) => {
            texts(event).iter().any(|text| text.contains(['…', '\u{fffd}'])).then(|| "it was changed".to_owned())
        }
        ("taken, cleaned", Ok(event)) => {
            (!texts(event).iter().any(|text| text.contains('\u{fffd}'))).then(|| "not cleaned".to_owned())
        }
        ("taken, cut", Ok(event)) => {
            (!texts(event).iter().any(|text| text.contains('…'))).then(|| "not cut".to_owned())
        }
        (_, Ok(_)) => Some("taken".to_owned()),
        (_, Err(reason)) if reason.len() > 400 || reason.chars().any(char::is_control) => {
            Some(format!("a reason that breaks things: {reason:?}"))
        }
        (_, Err(reason)) => match answer.strip_prefix("refused: ") {
            Some(words) if reason.contains(words) => None,
            _ => Some(format!("refused: {reason}")),
        },
    }
}

fn cells<'t>(table: &'t [Row<'t>]) -> impl Iterator<Item = (&'t str, Format, &'t str)> {
    table
        .iter()
        .flat_map(|row| Format::ALL.into_iter().zip(&row.answers).map(|(format, answer)| (row.input, format, *answer)))
}

/// As ingest reads a record of a topic.
#[test]
fn in_a_record() {
    let table = rows(TABLES, Format::ALL.len());
    assert!(table.len() > 45, "the tables are not read");
    let (plain, json) = (Mapping::default(), json_mapping());
    let mut wrong = Vec::new();
    for (name, format, answer) in cells(&table) {
        let mapping = if format == Format::Json { &json } else { &plain };
        let context = Context { arrival: ARRIVAL, offset: 0, check_wall: true, mapping, default_origin: "topic" };
        let bytes = input(format, name);
        let message = Message { bytes: &bytes, headers: &[], source: "topic/0#0" };
        let mut told = Vec::new();
        decode::each(format, &message, &context, &mut |_, event| told.push(event));
        let first = told[0].as_ref().map_err(|rejection| rejection.reason.as_str());
        wrong.extend(differs(answer, first).map(|what| format!("{name}, {format}: {what}\n  instead of {answer}")));
        // A bad alert never takes its neighbour with it, where there is a group at all.
        if told.len() > 1 && told[1].is_err() {
            wrong.push(format!("{name}, {format}: the neighbour went with it"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

struct Running {
    _site: Site,
    quell: Quell,
}

impl Running {
    fn new(more: &str) -> anyhow::Result<Self> {
        let site = Site::new("", more)?;
        Ok(Self { quell: site.run()?, _site: site })
    }

    fn mapped() -> anyhow::Result<Self> {
        Self::new(
            "body_max = \"2 MiB\"\n[journal]\npartitions = 2\n\
             [[source]]\nkind = \"http\"\nformat = \"json\"\nlabels = [\"tags\"]\n[source.fields]\nid = \"id\"\ntime = \"ts\"\n\
             entity = \"host\"\ncheck = \"service\"\nstatus = \"state\"\nseverity = \"sev\"\nvalue = \"val\"\nsummary = \"out\"\nkind = \"kind\"",
        )
    }

    fn post(&self, door: &str, headers: &[(&str, &str)], body: &[u8]) -> anyhow::Result<(u16, Value)> {
        let (status, answer) = request(self.quell.address, "POST", door, headers, body)?;
        Ok((status, serde_json::from_str(&answer).unwrap_or(Value::Null)))
    }
}

const fn door(format: Format) -> &'static str {
    match format {
        Format::Canonical => "/api/v1/events",
        Format::Alertmanager => "/api/v1/alertmanager",
        Format::CloudEvents => "/api/v1/cloudevents",
        Format::Json => "/api/v1/json",
    }
}

/// As the doors answer. What lies beyond what can be seen from outside is the other test's.
#[test]
fn in_a_request() -> anyhow::Result<()> {
    let site = Running::mapped()?;
    let table = rows(TABLES, Format::ALL.len());
    let (mut wrong, mut refused) = (Vec::new(), 0);
    for (name, format, answer) in cells(&table).filter(|(_, _, answer)| *answer != "–") {
        let json = [("content-type", "application/json")];
        let (status, told) = site.post(door(format), &json, &input(format, name))?;
        let reasons = told["rejected"].as_array().context("an answer")?;
        refused += reasons.len();
        let reason = reasons.first().and_then(|first| first["reason"].as_str());
        let well = match (answer.strip_prefix("refused: "), reason) {
            (None, None) => status == 200,
            // An array's elements are found before they are decoded.
            (Some(words), Some(reason)) => {
                (reason.contains(words) || (name == "empty" && reason == "an empty body"))
                    && !reason.chars().any(char::is_control)
                    && status == if told["accepted"] == 0 { 400 } else { 207 }
            }
            _ => false,
        };
        if !well {
            wrong.push(format!("{name}, {format}: {status} {told}\n  instead of {answer}"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Each is a dead letter, and /metrics can be read all the same.
    let letters = || -> anyhow::Result<f64> {
        let (_, page) = get(site.quell.address, "/metrics")?;
        let line =
            page.lines().find(|line| line.contains(r#"origin="http""#) && line.contains(r#"outcome="rejected""#));
        Ok(line.and_then(|line| line.rsplit_once(' ')).map_or(Ok(0.0), |(_, n)| n.parse())?)
    };
    for _ in 0..200 {
        if letters()? >= refused as f64 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    ensure!(letters()? == refused as f64, "{} dead letters of {refused}", letters()?);
    Ok(())
}

#[test]
fn requests() -> anyhow::Result<()> {
    let site = Running::mapped()?;
    let bare = Running::new("")?;
    let good = |id: &str| format!(r#"{{"id":"{id}","time":{},"entity":"e","check":"c"}}"#, now_ms());
    let cloud = |more: &str| format!(r#"{{"source":"/s","type":"t","specversion":"1.0"{more}}}"#);
    let (structured, batch) =
        (("content-type", "application/cloudevents+json"), ("content-type", "application/cloudevents-batch+json"));
    let binary = [("ce-source", "/s"), ("ce-type", "t"), ("ce-specversion", "1.0"), ("ce-id", "%C3%BC")];
    let alert = r#"{"status":"firing","labels":{"alertname":"c"}}"#;
    let header = |value: &'static str| [binary[0], binary[1], binary[2], ("ce-id", "1"), ("ce-subject", value)];
    let (encoded, control) = (header("e%0D%0ABcc: all"), header("e\u{1}"));
    let gzip = ("content-encoding", "gzip");
    let (large, many) = ("x".repeat(100_000), (0..1_000).map(|n| format!("x-{n}")).collect::<Vec<_>>());
    let large = [("x-large", large.as_str())];
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), "1")).collect();
    let silence = r#"{"silence":{"matchers":["x=~\"(((a{1000}){1000}){1000})\""],"ends_at":"2100-01-01T00:00:00Z"}}"#;
    let (events, am, ce) = ("/api/v1/events", "/api/v1/alertmanager", "/api/v1/cloudevents");
    let silences = "/api/v1/scopes/default/silences";
    let description = rest::description()?;
    let (document, _) = TABLES.split_once("\n## gRPC").context("a chapter")?;
    let mut position = String::new();
    for row in rows(document, 1) {
        let (door, headers, body): (&str, &[(&str, &str)], String) = match row.input {
            "a good event" => (events, &[], good("1")),
            "a good and a bad one" => (events, &[], format!("[{},{{}}]", good("2"))),
            "only bad ones" => (events, &[], "[{},17]".into()),
            "an empty array" => (events, &[], "[]".into()),
            "an empty body" => (events, &[], String::new()),
            "a body larger than `server.body_max`" => (am, &[], " ".repeat(2 * 1024 * 1024 + 1)),
            "a group of which one alert is bad" => (am, &[], format!(r#"{{"alerts":[{alert},{{}}]}}"#)),
            "a group without alerts" => (am, &[], r#"{"alerts":[]}"#.into()),
            "a batch of CloudEvents of which one is bad" => {
                (ce, &[batch], format!("[{},{}]", cloud(r#","id":"1""#), cloud("")))
            }
            "a CloudEvent in headers" => (ce, &binary, r#"{"severity":"major"}"#.into()),
            "a CloudEvent in headers without an id" => (ce, &binary[..3], String::new()),
            "a CloudEvent of specversion 0.3" => (ce, &[structured], cloud(r#","id":"1""#).replace("1.0", "0.3")),
            "a CloudEvent with CR LF in a header, percent-encoded" => (ce, &encoded, String::new()),
            "a CloudEvent with a control character in a header" => (ce, &control, String::new()),
            "a body with `Content-Encoding: gzip`" => (events, &[gzip], good("3")),
            "a command with `Content-Encoding: gzip`" => (silences, &[gzip], "{}".into()),
            "a token in `Authorization`" => (events, &[("authorization", "Bearer none.e30.")], good("4")),
            "a matcher that compiles to gigabytes" => (silences, &[], silence.into()),
            "a header of 100 KB" => (events, &large, good("5")),
            "1,000 headers" => (events, &many, good("6")),
            "any JSON, without a source for it" => {
                let (status, _) = bare.post("/api/v1/json", &[], b"{}")?;
                ensure!(row.answers == [status.to_string()], "{}: {status}", row.input);
                continue;
            }
            "GET" => {
                let (status, _) = get(site.quell.address, events)?;
                ensure!(row.answers == [status.to_string()], "{}: {status}", row.input);
                continue;
            }
            other => anyhow::bail!("no request is called `{other}`"),
        };
        let (status, answer) = site.post(door, headers, body.as_bytes())?;
        ensure!(row.answers == [status.to_string()], "{}: {status} {answer}", row.input);
        if headers == encoded {
            position = answer["position"].as_str().context("a position")?.to_owned();
        }
        // A head that is refused comes to no door.
        let described = &description["paths"][door]["post"]["responses"][status.to_string()];
        ensure!(door == silences || status == 431 || described.is_object(), "{}: {status} is not described", row.input);
    }
    ensure!(site.quell.metric("quell_http_bodies_too_large_total")? == 1.0);
    let (_, alerts) = get(site.quell.address, &format!("/api/v1/alerts?filter=entity:Bcc&minPosition={position}"))?;
    ensure!(alerts.contains("e\u{fffd}\u{fffd}Bcc: all"), "{alerts}");
    Ok(())
}

fn now_ms() -> u128 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis())
}
