//! Many live alerts: hosts of services that are all in trouble, in incidents of a service each.
use serde_json::json;

/// Hosts of a service; an alert each.
pub const HOSTS: usize = 10;
const SCOPES: usize = 8;

/// The scope of a service.
pub fn scope(service: usize) -> String {
    format!("region-{}", service % SCOPES)
}

/// So many services, none of which depends on another.
pub fn topology(services: usize) -> String {
    let (mut entities, mut all) = (Vec::new(), Vec::new());
    for service in 0..services {
        let hosts: Vec<String> = (0..HOSTS).map(|host| host_name(service, host)).collect();
        entities.extend(hosts.iter().map(|host| json!({"id": host, "type": "host", "scope": scope(service)})));
        all.push(json!({"id": format!("service-{service}"), "scope": scope(service), "entities": hosts}));
    }
    json!({"entities": entities, "services": all}).to_string()
}

fn host_name(service: usize, host: usize) -> String {
    format!("host-{service}-{host}")
}

/// An alert of the crowd fires, or fires again.
pub fn firing(alert: usize, time_ms: i64) -> String {
    event(alert / HOSTS, alert % HOSTS, "latency", time_ms)
}

/// A host's check fires.
pub fn event(service: usize, host: usize, check: &str, time_ms: i64) -> String {
    let host = host_name(service, host);
    let event = json!({"time": time_ms, "origin": "crowd", "entity": host, "check": check, "severity": "major",
        "summary": format!("{check} of {host} is far above what is usual at this time of the day"),
        "scope": scope(service), "labels": {"dc": "dc1", "rack": "r42", "role": "edge", "env": "prod", "ip": "10.1.42.44"}});
    event.to_string()
}
