//! What answers at a path of its own, beside the API: one table, of which the routes, the description, the page at `/` and the
//! words for who is lost are made.
use super::super::rest::OPENAPI;
use quell_connectors::decode::Format;

/// What answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Takes events of a format.
    Events(Format),
    Live,
    Ready,
    Metrics,
}

/// A path, and what answers there.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub path: &'static str,
    /// The description's `operationId`.
    pub id: &'static str,
    pub door: Door,
    /// In short, for people.
    pub what: &'static str,
}

/// All of them.
pub const PLACES: [Place; 8] = [
    Place {
        path: "/api/v1/events",
        id: "PostEvents",
        door: Door::Events(Format::Canonical),
        what: "events as Quell's own JSON: one, an array or NDJSON",
    },
    Place {
        path: "/api/v1/alertmanager",
        id: "PostAlertmanager",
        door: Door::Events(Format::Alertmanager),
        what: "a group of Alertmanager's webhook",
    },
    // Where Prometheus itself posts to an Alertmanager.
    Place {
        path: "/api/v2/alerts",
        id: "PostPrometheusAlerts",
        door: Door::Events(Format::Alertmanager),
        what: "the alerts that Prometheus sends to an Alertmanager",
    },
    Place {
        path: "/api/v1/cloudevents",
        id: "PostCloudEvents",
        door: Door::Events(Format::CloudEvents),
        what: "CloudEvents 1.0: structured, a batch or binary",
    },
    Place {
        path: "/api/v1/json",
        id: "PostJson",
        door: Door::Events(Format::Json),
        what: "any JSON, by the mapping of a [[source]]: an object, an array or NDJSON",
    },
    Place { path: "/live", id: "Live", door: Door::Live, what: "that the process answers" },
    Place { path: "/ready", id: "Ready", door: Door::Ready, what: "whether all partitions are recovered, or why not" },
    Place { path: "/metrics", id: "Metrics", door: Door::Metrics, what: "figures for Prometheus" },
];

fn takes_events(place: &&Place) -> bool {
    matches!(place.door, Door::Events(_))
}

/// The page at `/`.
pub fn page() -> String {
    let line = |method: &str, path: &str, what: &str| format!("{method:<4} {path:<21} {what}\n");
    let mut page = format!("Quell {}\n\n", env!("CARGO_PKG_VERSION"));
    for place in &PLACES {
        page += &line(if takes_events(&place) { "POST" } else { "GET" }, place.path, place.what);
    }
    page + &line("GET", OPENAPI, "the description of all of it, and of the API")
}

/// For who asks for something that is not there.
pub fn nothing_at(path: &str) -> String {
    let paths = |events: bool| {
        let those = PLACES.iter().filter(|place| takes_events(place) == events).map(|place| place.path);
        those.collect::<Vec<_>>().join(", ")
    };
    format!(
        "there is nothing at {path}; events go to {}; how Quell does is at {}; {OPENAPI} lists all there is",
        paths(true),
        paths(false)
    )
}
