//! What it costs to make an event of what a tool sent, beside what serde alone takes for a plain struct of it.
use divan::{Bencher, black_box, counter::ItemsCount};
use quell_connectors::decode::{self, Context, Format, Mapping, Message, body, canonical};
use quell_core::domain::time::Timestamp;
use serde::Deserialize;
use std::collections::BTreeMap;

/// As monitoring tools send them; about 380 bytes each.
const EVENTS: [&str; 5] = [
    r#"{"id":"5f00000001","time":"2025-10-09T08:53:34.556Z","origin":"prometheus","entity":"edge-checkout-17.dc2.example.net","check":"DbReplLag","status":"firing","severity":"warning","summary":"replica edge-checkout-17 of edge-checkout lags 40 s behind its primary","labels":{"dc":"dc2","rack":"r42","service":"edge-checkout","role":"edge","env":"prod","ip":"10.2.42.44","team":"shop"}}"#,
    r#"{"id":"5f00000002","time":"2025-10-09T10:53:41.586+02:00","origin":"nagios","entity":"edge-login-18.dc2.example.net","check":"HttpDown","status":"problem","severity":"CRITICAL","summary":"HTTP CRITICAL - Socket timeout after 10 seconds on edge-login-18 port 8080","labels":{"dc":"dc2","rack":"r46","service":"edge-login","role":"edge","env":"prod","ip":"10.2.46.38","team":"identity"}}"#,
    r#"{"id":"5f00000003","time":1760000033618,"origin":"telegraf","entity":"db-search-08.dc1.example.net","check":"consumer_lag","kind":"sample","value":47781.5,"summary":"consumer group search on db-search-08 lags in partition 49","labels":{"dc":"dc1","rack":"r22","service":"db-search","role":"db","env":"prod","ip":"10.1.22.23","partition":49,"leader":true,"unit":"records"}}"#,
    r#"{"id":"5f00000004","time":"2025-10-09T08:54:02Z","started_at":"2025-10-09T08:50:00Z","ended_at":"2025-10-09T08:54:00Z","origin":"zabbix/eu-1","entity":"fs-media-03.dc1.example.net","check":"DiskFull","status":"resolved","severity":"Average","summary":"\"\/var\" is 71 % full again","labels":{"dc":"dc1","rack":"r07","service":"media","device":"nvme0n1p3","mount":"\/var","env":"prod"}}"#,
    r#"{"time":"2025-10-09T08:54:07.120394Z","origin":"deploy","entity":"edge-checkout","check":"rollout","kind":"change","severity":"info","summary":"edge-checkout 4.12.0 größer gemacht: 40 instead of 32 replicas, canary for 10 min","service":"edge-checkout","scope":"shop","labels":{"version":"4.12.0","commit":"9fceb02d0ae598e95dc970b74767f19372d61af8","author":"release-bot","env":"prod"}}"#,
];

fn main() {
    divan::main();
}

/// What is kept of an event, without any check.
#[derive(Default, Deserialize)]
#[serde(default)]
#[allow(dead_code, reason = "filled, never read")]
struct Plain {
    id: String,
    time: serde_json::Value,
    started_at: Option<String>,
    ended_at: Option<String>,
    origin: String,
    entity: String,
    check: String,
    status: String,
    severity: String,
    summary: String,
    value: Option<f64>,
    labels: BTreeMap<String, serde_json::Value>,
    service: String,
    scope: String,
    fingerprint: String,
    kind: String,
}

#[divan::bench]
fn canonical(bencher: Bencher<'_, '_>) {
    decoding(bencher, &Mapping::default());
}

#[divan::bench]
fn canonical_with_scope_and_fingerprint(bencher: Bencher<'_, '_>) {
    let path = |text: &str| text.parse().expect("a field");
    decoding(
        bencher,
        &Mapping {
            scope: Some(path("labels.dc")),
            fingerprint: vec![path("entity"), path("check")],
            ..Mapping::default()
        },
    );
}

fn decoding(bencher: Bencher<'_, '_>, mapping: &Mapping) {
    let arrival = Timestamp(1_760_000_050_000);
    let context = Context { arrival, offset: 1, check_wall: true, mapping, default_origin: "bench" };
    bencher.counter(ItemsCount::new(EVENTS.len())).bench(|| {
        for event in EVENTS {
            black_box(canonical::decode(black_box(event.as_bytes()), &context).expect("a valid event"));
        }
    });
}

/// A group of twelve alerts, about 700 bytes each; counted by alert.
#[divan::bench]
fn alertmanager(bencher: Bencher<'_, '_>) {
    let alert = |n: usize| {
        format!(
            r#"{{"status":"firing","labels":{{"alertname":"DiskWillFill","cluster":"eu-1","device":"/dev/sd{n}","instance":"db-{n:02}:9100","job":"node","mountpoint":"/srv/{n}","severity":"warning","team":"storage"}},"annotations":{{"summary":"/srv/{n} is full in four hours","runbook_url":"https://runbooks.example/disk"}},"startsAt":"2025-10-09T08:50:00.607Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"http://prometheus.example:9090/graph?g0.expr=disk_hours_left+%3C+24\u0026g0.tab=1","fingerprint":"{n:016x}"}}"#
        )
    };
    let alerts: Vec<_> = (0..12).map(alert).collect();
    let group = format!(
        r#"{{"receiver":"ops","status":"firing","alerts":[{}],"groupLabels":{{"alertname":"DiskWillFill"}},"commonLabels":{{}},"commonAnnotations":{{}},"externalURL":"http://alertmanager.example:9093","version":"4","groupKey":"{{}}:{{alertname=\"DiskWillFill\"}}","truncatedAlerts":0}}"#,
        alerts.join(",")
    );
    each(bencher, Format::Alertmanager, &[group], 12);
}

#[divan::bench]
fn cloudevents_structured(bencher: Bencher<'_, '_>) {
    let wrap = |event: &str| {
        format!(
            r#"{{"specversion":"1.0","id":"5f0001","source":"/monitoring/eu-1","type":"example.alert","subject":"db-07","time":"2025-10-09T08:53:34.556Z","datacontenttype":"application/json","data":{event}}}"#
        )
    };
    let events = EVENTS.map(wrap);
    each(bencher, Format::CloudEvents, &events, events.len());
}

fn each(bencher: Bencher<'_, '_>, format: Format, messages: &[String], events: usize) {
    let (arrival, mapping) = (Timestamp(1_760_000_050_000), Mapping::default());
    let context = Context { arrival, offset: 1, check_wall: true, mapping: &mapping, default_origin: "bench" };
    bencher.counter(ItemsCount::new(events)).bench(|| {
        for message in messages {
            let message = Message { bytes: black_box(message.as_bytes()), headers: &[], source: "bench/0#0" };
            decode::each(format, &message, &context, &mut |_, event| {
                black_box(event.expect("a valid event"));
            });
        }
    });
}

#[divan::bench]
fn plain_serde(bencher: Bencher<'_, '_>) {
    bencher.counter(ItemsCount::new(EVENTS.len())).bench(|| {
        for event in EVENTS {
            black_box(serde_json::from_slice::<Plain>(black_box(event.as_bytes())).expect("valid JSON"));
        }
    });
}

#[divan::bench]
fn split_an_array(bencher: Bencher<'_, '_>) {
    let array = format!("[{}]", EVENTS.join(","));
    bencher
        .counter(ItemsCount::new(EVENTS.len()))
        .bench(|| body::split(black_box(array.as_bytes()), None).expect("an array").len());
}
