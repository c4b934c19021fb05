//! Sources and HTTP in, feeds out.
use super::{Family, Page, Sources};
use std::sync::atomic::Ordering;

/// Source partitions and subscriptions beyond so many are left out, the furthest behind kept.
const MOST_BEHIND: usize = 1_000;

pub(super) fn gather(sources: &Sources, page: &mut Page) {
    let (ingest, door) = (&sources.ingest, &sources.door);
    let lag = ingest.lag.iter().map(|entry| (entry.key().clone(), *entry.value())).collect();
    page.push(most_behind(
        Family::gauge(
            "quell_source_lag_records",
            &["source"],
            "Records of a source partition that are not in the journal yet; asked once a second.",
        ),
        lag,
    ));
    for (name, help, value) in [
        ("quell_source_records_total", "Records read from sources.", &ingest.records),
        ("quell_source_tombstones_total", "Source records without a value; skipped.", &ingest.tombstones),
        ("quell_source_records_lost_total", "Records that retention deleted before they were read.", &ingest.lost),
        ("quell_ingest_sessions_total", "Readings of a source partition that began.", &ingest.sessions),
        ("quell_ingest_sessions_failed_total", "Readings that ended with a failure.", &ingest.sessions_failed),
        ("quell_ingest_pauses_total", "Times that reading waited for the journal.", &ingest.pauses),
        ("quell_http_events_taken_total", "Events taken at the HTTP door.", &door.http.taken),
        ("quell_http_events_refused_total", "Events refused at the HTTP door, with a reason.", &door.http.refused),
        ("quell_http_bodies_too_large_total", "Bodies beyond server.body_max.", &door.too_large),
        (
            "quell_http_events_unavailable_total",
            "Events that the journal did not take; their senders have to send them again.",
            &door.http.unavailable,
        ),
        ("quell_grpc_events_taken_total", "Events taken over gRPC (PublishEvents).", &door.grpc.taken),
        ("quell_grpc_events_refused_total", "Events refused over gRPC, with a reason.", &door.grpc.refused),
        (
            "quell_grpc_events_unavailable_total",
            "Events over gRPC that the journal did not take; their senders have to send them again.",
            &door.grpc.unavailable,
        ),
    ] {
        page.push(Family::counter(name, &[], help).of(value.load(Ordering::Relaxed) as f64));
    }
    let mut overloaded = Family::counter(
        "quell_door_overloaded_total",
        &["reason"],
        "Requests that a door put off: bytes (server.in_flight_max), tail (ingest.tail_max), slow (server.request_max).",
    );
    door.overloaded().into_iter().for_each(|(reason, n)| overloaded.add([reason], n as f64));
    page.push(overloaded);
    let in_flight = ingest.in_flight.load(Ordering::Relaxed) as f64;
    page.push(
        Family::gauge("quell_ingest_in_flight", &[], "Packs of sources on their way to the journal.").of(in_flight),
    );
    let clients = sources.feeds_max.saturating_sub(sources.feeds.available_permits()) as f64;
    page.push(Family::gauge("quell_feed_clients", &[], "Feeds that are followed now.").of(clients));
    let connections = &sources.connections;
    page.push(Family::gauge("quell_connections", &[], "Connections to the port.").of(connections.open() as f64));
    page.push(
        Family::counter(
            "quell_connections_refused_total",
            &[],
            "Connections closed as soon as they came: server.connections_max.",
        )
        .of(connections.refused() as f64),
    );
    page.push(most_behind(
        Family::gauge(
            "quell_subscription_behind_updates",
            &["subscription"],
            "Incident updates that a subscription has not acknowledged.",
        ),
        (sources.subscriptions)(),
    ));
}

fn most_behind(mut family: Family, mut all: Vec<(String, u64)>) -> Family {
    all.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    for (name, behind) in all.into_iter().take(MOST_BEHIND) {
        family.first([&name], behind as f64);
    }
    family
}
