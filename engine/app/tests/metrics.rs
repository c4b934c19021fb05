//! The page of `/metrics`: documented as it is, harmless whatever comes in.
use prometheus::proto::MetricType;
use quell::{
    ingest::IngestCounts,
    metrics::{self, LogCounts, Sources},
    progress::{Counts, Progress},
    serve::{
        connections::{self, Connections},
        door::{Door, Limits},
    },
    views::Views,
};
use quell_connectors::decode::{Context, Mapping, canonical};
use quell_core::{
    domain::{
        alert::{Alert, AlertId, Fingerprint},
        time::Timestamp,
    },
    ledger::Outcome,
    output::AlertUpdate,
    totals::Evicted,
};
use quell_proto::v1;
use std::{env, error::Error, fmt::Write as _, fs, path::Path, sync::Arc, time::Duration};
use tokio::sync::Semaphore;

const AT: Timestamp = Timestamp(1_767_571_200_000);

type Result = std::result::Result<(), Box<dyn Error>>;

fn sources(partitions: u32) -> Sources {
    Sources {
        progress: Progress::new(partitions),
        views: Views::new(partitions),
        ingest: Arc::new(IngestCounts::default()),
        door: Door::new(Limits {
            body_max: 1,
            in_flight_max: 1,
            request_max: Duration::ZERO,
            tail_max: Duration::ZERO,
        }),
        feeds: Arc::new(Semaphore::new(4)),
        feeds_max: 4,
        connections: Connections::new(connections::Limits { connections_max: 4, head_max: Duration::ZERO }),
        subscriptions: Arc::new(|| vec![("bridge\n".to_owned(), 7)]),
        log: Arc::new(LogCounts::default()),
        syncs: Some(Arc::new(|| 0)),
        origins: Sources::origins(),
    }
}

/// The table of `METRICS.md`.
fn table(sources: &Sources) -> String {
    let mut families = metrics::gather(sources).0;
    families.sort_by(|a, b| a.name.cmp(&b.name));
    let mut table = String::from("| metric | type | labels | meaning |\n|---|---|---|---|\n");
    for family in families {
        let kind = match family.kind {
            MetricType::COUNTER => "counter",
            MetricType::HISTOGRAM => "histogram",
            _ => "gauge",
        };
        let labels = family.labels.join(", ");
        let _ = writeln!(table, "| `{}` | {kind} | {labels} | {} |", family.name, family.help);
    }
    table
}

#[test]
fn every_metric_is_documented_and_none_that_is_not_there() -> Result {
    const BEGIN: &str = "<!-- metrics -->\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/prometheus/METRICS.md");
    let text = fs::read_to_string(&path)?;
    let (before, rest) = text.split_once(BEGIN).ok_or("METRICS.md: no place for the metrics")?;
    let (documented, after) = rest.split_once("<!-- /metrics -->").ok_or("METRICS.md: the metrics do not end")?;
    let table = table(&sources(1));
    if env::var_os("BLESS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{table}<!-- /metrics -->{after}"))?;
    } else if documented != table {
        let missing: Vec<_> = table.lines().filter(|line| !documented.lines().any(|d| d == *line)).collect();
        let gone: Vec<_> = documented.lines().filter(|line| !table.lines().any(|t| t == *line)).collect();
        return Err(format!(
            "METRICS.md is not the page's (BLESS=1 cargo test -p quell --test metrics writes it).\nnot documented: {missing:#?}\nnot there: {gone:#?}"
        )
        .into());
    }
    Ok(())
}

#[test]
fn the_runbook_knows_each_kind_that_goes() -> Result {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/prometheus/METRICS.md");
    let text = fs::read_to_string(&path)?;
    let chapter = text.split("\n### ").find(|chapter| chapter.starts_with("QuellEvictions")).ok_or("no chapter")?;
    for (kind, _) in Evicted::default().by_kind() {
        assert!(chapter.contains(&format!("`{kind}`")), "{kind}");
    }
    Ok(())
}

/// Values of one metric's samples by the text of their labels.
fn samples<'a>(page: &'a str, name: &str) -> Vec<(&'a str, f64)> {
    let of = |line: &'a str| {
        let rest = line.strip_prefix(name)?.strip_prefix('{')?;
        let (labels, value) = rest.rsplit_once("} ")?;
        Some((labels, value.parse().ok()?))
    };
    page.lines().filter_map(of).collect()
}

#[test]
fn hostile_texts_are_one_short_harmless_line() -> Result {
    let sources = sources(1);
    let hostile =
        ["new\nline\r\n# TYPE quell_forged counter", "quote\"} 5 \\", "\x1b[31m\0\u{9b}", &"x".repeat(1_000_000)];
    let mut counts = Counts::default();
    for origin in hostile {
        counts.ledger.insert((origin.into(), Outcome::Folded), 3);
        sources.ingest.lag.insert(origin.to_owned(), 9);
        let name = format!("scopes/{origin}/services/{origin}");
        sources.views.services.insert(name.clone(), Arc::new(v1::Service { name, ..Default::default() }));
    }
    // Alike once they are cut: one series, and nothing is lost of the sum.
    counts.ledger.insert((format!("{}y", "x".repeat(1_000_000)).into(), Outcome::Folded), 4);
    sources.progress.set_counts(0, counts);
    let page = metrics::page(&sources)?;
    assert!(page.chars().all(|c| c == '\n' || !c.is_control()));
    assert!(page.lines().all(|line| line.len() < 1_500), "a value is cut");
    assert!(!page.lines().any(|line| line.starts_with("# TYPE quell_forged") || line.starts_with("line")));
    let received = samples(&page, "quell_events_received_total");
    let folded: Vec<_> = received.iter().filter(|(labels, _)| labels.contains("outcome=\"folded\"")).collect();
    assert_eq!((folded.len(), folded.iter().map(|(_, n)| n).sum::<f64>()), (4, 16.0), "{folded:?}");
    assert!(page.contains(r#"origin="quote\"} 5 \\",outcome="folded"} 3"#), "{folded:?}");
    assert_eq!(samples(&page, "quell_service_health_score").len(), 4);
    assert!(page.contains("subscription=\"bridge\u{fffd}\"} 7"));
    Ok(())
}

#[test]
fn labels_come_to_an_end() -> Result {
    let sources = sources(2);
    for partition in 0..2 {
        let ledger = (0..5_000).map(|n| ((format!("origin-{partition}-{n}").into(), Outcome::Opened), 1));
        sources.progress.set_counts(partition, Counts { ledger: ledger.collect(), ..Counts::default() });
    }
    for n in 0..2_000 {
        let name = format!("scopes/default/services/s-{n}");
        let health_score = Some(f64::from(n) / 20.0);
        sources.views.services.insert(name.clone(), Arc::new(v1::Service { name, health_score, ..Default::default() }));
    }
    let first = metrics::page(&sources)?;
    let opened = |page: &str| -> Vec<(String, f64)> {
        let all = samples(page, "quell_events_received_total");
        all.into_iter().filter(|(l, _)| l.contains("opened")).map(|(l, n)| (l.to_owned(), n)).collect()
    };
    assert_eq!((opened(&first).len(), opened(&first).iter().map(|(_, n)| n).sum::<f64>()), (1_001, 10_000.0));
    assert_eq!(opened(&metrics::page(&sources)?), opened(&first), "a series goes on once it has begun");
    let scores = samples(&first, "quell_service_health_score");
    assert_eq!((scores.len(), scores.iter().map(|(_, score)| *score).fold(0.0, f64::max)), (500, 24.95));
    assert!(first.contains("quell_services{level=\"health_level_unspecified\"} 2000"));
    Ok(())
}

#[test]
fn ratios_are_of_what_the_fold_counted() -> Result {
    let sources = sources(2);
    let counts = |ledger: &[(Outcome, u64)], alerts, incidents| Counts {
        ledger: ledger.iter().map(|(outcome, n)| (("tool".into(), *outcome), *n)).collect(),
        totals: quell_core::totals::Totals { alerts, episodes: alerts, incidents, ..Default::default() },
        ..Counts::default()
    };
    sources.progress.set_counts(0, counts(&[(Outcome::Opened, 10), (Outcome::Folded, 70)], 12, 1));
    let other = [(Outcome::Opened, 10), (Outcome::Cleared, 10), (Outcome::Sampled, 90), (Outcome::Rejected, 10)];
    sources.progress.set_counts(1, counts(&other, 8, 1));
    let page = metrics::page(&sources)?;
    for line in [
        "quell_dedup_ratio 0.8",
        "quell_correlation_ratio 0.9",
        "quell_noise_reduction_ratio 0.99",
        "quell_alerts_opened_total 20",
        "quell_incidents_opened_total 2",
    ] {
        assert!(page.lines().any(|l| l == line), "{line}:\n{page}");
    }
    Ok(())
}

#[test]
fn a_scrape_does_not_walk_the_alerts() -> Result {
    let sources = sources(16);
    let mapping = Mapping::default();
    let context = Context { arrival: AT, offset: 0, check_wall: false, mapping: &mapping, default_origin: "test" };
    let event = br#"{"entity":"db","check":"down","severity":"critical","time":1767571200000}"#;
    let event = canonical::decode(event, &context)?;
    for n in 0..100_000 {
        let alert = Arc::new(Alert::open(AlertId(n), Fingerprint(n.into()), &event, AT));
        sources.views.alerts.insert(AlertId(n), AlertUpdate { scope: "default".into(), alert });
    }
    // They went past what counts them: a page that walked them would tell.
    let page = metrics::page(&sources)?;
    assert!(page.contains("quell_alerts{state=\"open\",severity=\"critical\"} 0"), "{page}");
    Ok(())
}
