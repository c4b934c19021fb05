//! The topology over the API: the same as the file of the configuration, through control (design rule 9).
use super::{
    errors::{invalid, refused, unavailable},
    grpc::Api,
};
use quell_core::domain::topology::{Topology, TopologyFile};
use quell_proto::v1;
use std::time::Duration;
use tonic::{Code, Status};

/// How long a call waits until every partition goes by what it applied.
pub(super) const ADOPTED_MAX: Duration = Duration::from_secs(30);

impl Api {
    /// The latest.
    pub(super) fn topology(&self) -> v1::Topology {
        let contents = self.shared.control.latest();
        v1::Topology { json: contents.topology_json().to_owned(), version: contents.latest().topology() }
    }

    /// Applies a topology; answered when what comes is correlated by it.
    pub(super) async fn apply(&self, request: v1::ApplyTopologyRequest) -> Result<v1::ApplyTopologyResponse, Status> {
        let v1::Topology { json, version } = request.topology.unwrap_or_default();
        let file = read(&json)?;
        let expected = Some(version).filter(|version| *version > 0);
        let applied = self.shared.control.apply_topology(&file, expected).await.map_err(unavailable)?;
        let Some(version) = applied else {
            let message = "topology.version: it has changed since; get the topology, and apply your change to that";
            return Err(refused(Code::Aborted, "VERSION_MISMATCH", message));
        };
        let adopted = self.shared.progress.wait_topology(version);
        let timely = tokio::time::timeout(ADOPTED_MAX, adopted).await;
        timely.map_err(|_| {
            let message =
                format!("the topology is applied as version {version}, and not every partition goes by it yet");
            refused(Code::DeadlineExceeded, "NOT_ADOPTED", message)
        })?;
        Ok(v1::ApplyTopologyResponse { version })
    }
}

/// A topology as JSON, validated.
///
/// # Errors
/// `INVALID_ARGUMENT` with the place or the entry that is wrong.
fn read(json: &str) -> Result<TopologyFile, Status> {
    let file: TopologyFile = serde_json::from_str(json).map_err(|error| invalid("topology.json", error))?;
    Topology::new(&file).map_err(|error| invalid("topology.json", error))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named() {
        for (json, what) in [
            ("", "EOF"),
            ("{\"services\": [\n{\"id\": 5}]}", "line 2"),
            (r#"{"servces": []}"#, "servces"),
            (r#"{"services": [{"id": "a"}, {"id": "a"}]}"#, "`a` stands twice"),
            (r#"{"services": [{"id": "a", "depends_on": ["b"]}]}"#, "depends on `b`"),
        ] {
            let message = read(json).expect_err(json).message().to_owned();
            assert!(message.starts_with("topology.json: ") && message.contains(what), "{json}: {message}");
        }
        assert!(read("{}").is_ok());
    }
}
