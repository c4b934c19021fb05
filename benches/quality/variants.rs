//! What is left of a topology, or wrong in it: the same each time, by a hash of the names.
use anyhow::Context as _;
use quell_core::domain::hash::hash_of;
use serde_json::Value;

/// What is done to a topology before a recording is replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// Nothing.
    Whole,
    /// There is none.
    None,
    /// Each entity and each service is there with a chance of one half, with what it says of others.
    Half,
    /// One in twenty of what an entity runs on, of a service's entities and of its dependencies is another.
    Wrong,
}

impl Variant {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Whole, Self::None, Self::Half, Self::Wrong];

    /// By which it is asked for.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::None => "none",
            Self::Half => "half",
            Self::Wrong => "wrong",
        }
    }

    /// For a table's row.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Whole => "",
            Self::None => ", no topology",
            Self::Half => ", half the topology",
            Self::Wrong => ", 5 % wrong edges",
        }
    }

    /// The topology as it is then; `None` where there is none.
    pub fn of(self, topology: &str) -> anyhow::Result<Option<String>> {
        let mut file: Value = serde_json::from_str(topology).context("topology.json")?;
        match self {
            Self::Whole => {}
            Self::None => return Ok(None),
            Self::Half => halve(&mut file),
            Self::Wrong => mislead(&mut file),
        }
        Ok(Some(file.to_string()))
    }
}

/// Scope and id of all of a kind.
fn ids(file: &Value, kind: &str) -> Vec<(String, String)> {
    let all = file[kind].as_array().into_iter().flatten();
    all.map(|it| (text(&it["scope"]), text(&it["id"]))).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn halve(file: &mut Value) {
    for kind in ["entities", "services"] {
        if let Some(all) = file[kind].as_array_mut() {
            all.retain(|it| hash_of(&text(&it["id"])).is_multiple_of(2));
        }
    }
    // A dependency on a service that is not there is no valid file.
    let known = ids(file, "services");
    for service in file["services"].as_array_mut().into_iter().flatten() {
        let scope = text(&service["scope"]);
        if let Some(all) = service["depends_on"].as_array_mut() {
            all.retain(|on| known.contains(&(scope.clone(), id_of(on))));
        }
    }
}

fn mislead(file: &mut Value) {
    let (entities, services) = (ids(file, "entities"), ids(file, "services"));
    for (kind, lists) in [("entities", &["on"][..]), ("services", &["entities", "depends_on"])] {
        for it in file[kind].as_array_mut().into_iter().flatten() {
            let (scope, own) = (text(&it["scope"]), text(&it["id"]));
            for list in lists {
                let known = if *list == "depends_on" { &services } else { &entities };
                let others: Vec<&String> =
                    known.iter().filter(|(of, id)| *of == scope && *id != own).map(|o| &o.1).collect();
                let edges = it[*list].as_array().cloned().unwrap_or_default();
                let mut now: Vec<Value> = Vec::new();
                for edge in edges {
                    let hash = hash_of(&format!("{own} {edge}"));
                    let is_wrong = hash.is_multiple_of(20) && !others.is_empty();
                    let edge =
                        if is_wrong { others[(hash / 20) as usize % others.len()].as_str().into() } else { edge };
                    if now.iter().all(|known| id_of(known) != id_of(&edge)) {
                        now.push(edge);
                    }
                }
                if !now.is_empty() {
                    it[*list] = Value::Array(now);
                }
            }
        }
    }
}

fn id_of(edge: &Value) -> String {
    if edge.is_string() { text(edge) } else { text(&edge["id"]) }
}
