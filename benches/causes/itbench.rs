//! ITBench's ground truths: alerts of Kubernetes scenarios and the objects there are. Of the truth only what was the cause is
//! read, to judge by: no descriptions, no propagations.
use super::data::{Set, Truth};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// All alerts of a scenario come at once: no times are told.
const AT: i64 = 1_700_000_000_000;
/// Who calls whom, as the applications' documentation says (<https://opentelemetry.io/docs/demo/architecture>,
/// <https://istio.io/latest/docs/examples/bookinfo>).
const CALLS: &[(&str, &str)] = &[
    ("loadgenerator", "frontendproxy flagd"),
    ("frontendproxy", "frontend imageprovider flagd"),
    ("frontend", "ad cart checkout currency productcatalog recommendation shipping productreviews flagd"),
    ("checkout", "cart currency email payment productcatalog shipping kafka flagd"),
    ("accounting", "kafka postgresql"),
    ("frauddetection", "kafka flagd"),
    ("recommendation", "productcatalog flagd"),
    ("shipping", "quote"),
    ("cart", "valkeycart flagd"),
    ("ad", "flagd"),
    ("payment", "flagd"),
    ("productcatalog", "flagd postgresql"),
    ("email", "flagd"),
    ("productreviews", "productcatalog postgresql flagd"),
    ("gateway", "productpage"),
    ("productpage", "reviews details"),
    ("reviews", "ratings"),
];
/// The workloads of the second application.
const BOOKINFO: [&str; 5] = ["gateway", "productpage", "reviews", "details", "ratings"];
/// What an object's name ends with.
const SUFFIXES: [&str; 11] =
    ["service", "pod", "deployment", "endpoint", "configmap", "config", "secret", "pdb", "pvc", "namespace", "node"];

#[derive(Deserialize)]
struct Scenario {
    scenario: u32,
    entities: Vec<Object>,
    alerts: Vec<Alert>,
    aliases: Vec<Vec<String>>,
}

#[derive(Deserialize)]
struct Object {
    id: String,
    kind: String,
    root_cause: bool,
}

#[derive(Deserialize)]
struct Alert {
    alert: String,
    entity: Option<String>,
}

/// What there is, over all scenarios.
struct Inventory {
    workloads: BTreeSet<String>,
    /// Their names with the most hyphens.
    written: BTreeMap<String, String>,
    /// Objects and their kinds, of either application.
    objects: [BTreeMap<String, String>; 2],
}

pub fn read(dir: &Path) -> anyhow::Result<Set> {
    let text = fs::read_to_string(dir.join("scenarios.jsonl"))?;
    let all: Vec<Scenario> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let inventory = inventory(&all);
    let (mut events, mut entities, mut services) = (Vec::new(), Vec::new(), Vec::new());
    let mut truth = BTreeMap::new();
    for scenario in &all {
        let scope = format!("scenario-{}", scenario.scenario);
        let own: BTreeMap<&str, &str> = scenario.entities.iter().map(|o| (&*o.id, &*o.kind)).collect();
        let workloads = workloads(scenario, &inventory);
        let mut objects = inventory.objects[usize::from(is_bookinfo(scenario))].clone();
        let beside = scenario.entities.iter().filter(|o| !matches!(&*o.kind, "Service" | "Pod" | "ServiceOperation"));
        objects.extend(beside.map(|o| (bare(&o.id).to_owned(), o.kind.clone())));
        let mut on: BTreeMap<&str, Vec<&str>> = workloads.iter().map(|name| (&**name, Vec::new())).collect();
        for (object, kind) in objects.iter().filter(|(_, kind)| *kind != "Namespace") {
            let named = if kind == "Deployment" {
                workloads.get(&workload(object)).into_iter().collect()
            } else {
                mentioned(object, &workloads, &inventory.written)
            };
            for name in named {
                on.entry(name).or_default().push(object);
            }
        }
        entities.extend(objects.iter().map(|(id, kind)| json!({"id": id, "scope": scope, "type": kind})));
        for (name, on) in &on {
            let pod = format!("{name}-pod");
            entities.push(json!({"id": pod, "scope": scope, "type": "Pod", "on": on}));
            let called = CALLS.iter().filter(|(caller, _)| caller == name).flat_map(|(_, called)| called.split(' '));
            let called: BTreeSet<&str> = called.filter(|other| workloads.contains(*other)).collect();
            services.push(json!({"id": name, "scope": scope, "entities": [pod], "depends_on": called}));
        }
        let place = |id: &str| {
            let name = workload(id);
            match own.get(id).copied().unwrap_or("Service") {
                "Pod" if workloads.contains(&name) => format!("{name}-pod"),
                "Service" | "ServiceOperation" if workloads.contains(&name) => name,
                _ => bare(id).to_owned(),
            }
        };
        for alert in &scenario.alerts {
            let Some(entity) = alert.entity.as_ref().filter(|entity| !entity.is_empty()) else { continue };
            events.push(json!({
                "scope": scope, "time": AT, "started_at": AT, "origin": "itbench", "entity": place(entity),
                "check": alert.alert, "severity": "major", "summary": alert.alert, "labels": {},
            }));
        }
        let mut roots: BTreeSet<&str> = scenario.entities.iter().filter(|o| o.root_cause).map(|o| &*o.id).collect();
        for alias in scenario.aliases.iter().map(|alias| alias.iter().map(|id| &**id).collect::<BTreeSet<&str>>()) {
            if !alias.is_disjoint(&roots) {
                roots.extend(alias);
            }
        }
        let kinds: BTreeSet<&str> = scenario.entities.iter().filter(|o| o.root_cause).map(|o| &*o.kind).collect();
        let named = roots.iter().map(|id| place(id));
        let objects = roots.iter().map(|id| bare(id)).filter(|id| objects.contains_key(*id)).map(ToOwned::to_owned);
        let kind = kinds.into_iter().collect::<Vec<_>>().join(",");
        truth.insert(scope.clone(), Truth { roots: named.chain(objects).collect(), kind });
    }
    let topology: Value = json!({"entities": entities, "services": services});
    Ok(Set::new(("ITBench", "ITBench"), events, topology, truth))
}

/// What was done to the system is there only while it is done.
fn is_intervention(kind: &str) -> bool {
    let kind = kind.to_lowercase();
    ["chaos", "schedule", "networkpolicy", "authorizationpolicy", "fault"].iter().any(|word| kind.contains(word))
}

fn is_workload(object: &&Object) -> bool {
    matches!(&*object.kind, "Service" | "Pod" | "Deployment")
}

fn is_bookinfo(scenario: &Scenario) -> bool {
    scenario.entities.iter().any(|object| BOOKINFO.contains(&&*workload(&object.id)))
}

fn inventory(all: &[Scenario]) -> Inventory {
    let documented = CALLS.iter().flat_map(|(caller, called)| called.split(' ').chain([*caller]));
    let mut inventory = Inventory {
        workloads: documented.map(ToOwned::to_owned).collect(),
        written: BTreeMap::new(),
        objects: [BTreeMap::new(), BTreeMap::new()],
    };
    for scenario in all {
        for object in scenario.entities.iter().filter(is_workload) {
            let (name, lower) = (workload(&object.id), object.id.to_lowercase());
            let hyphens = without_suffix(bare(&lower), &["service", "pod", "deployment"]);
            let parts = |written: &str| written.split('-').count();
            if inventory.written.get(&name).is_none_or(|known| parts(hyphens) > parts(known)) {
                inventory.written.insert(name.clone(), hyphens.to_owned());
            }
            inventory.workloads.insert(name);
        }
        let kept = |o: &&Object| {
            !matches!(&*o.kind, "Service" | "Pod" | "ServiceOperation" | "Namespace") && !is_intervention(&o.kind)
        };
        let objects = scenario.entities.iter().filter(kept).map(|o| (bare(&o.id).to_owned(), o.kind.clone()));
        inventory.objects[usize::from(is_bookinfo(scenario))].extend(objects);
    }
    inventory
}

fn workloads(scenario: &Scenario, inventory: &Inventory) -> BTreeSet<String> {
    if is_bookinfo(scenario) {
        let own = scenario.entities.iter().filter(is_workload).map(|object| workload(&object.id));
        return own.chain(BOOKINFO.map(ToOwned::to_owned)).collect();
    }
    let operations = scenario.entities.iter().filter(|o| is_workload(o) || o.kind == "ServiceOperation");
    let all = inventory.workloads.iter().cloned().chain(operations.map(|object| workload(&object.id)));
    all.filter(|name| !BOOKINFO.contains(&&**name)).collect()
}

/// An id without its number.
fn bare(id: &str) -> &str {
    match id.rsplit_once('-') {
        Some((name, number)) if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => id,
    }
}

fn without_suffix<'a>(name: &'a str, suffixes: &[&str]) -> &'a str {
    let short = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix)?.strip_suffix('-'));
    short.unwrap_or(name)
}

/// The workload that an id is of: without number, kind, application, version and hyphens.
fn workload(id: &str) -> String {
    let lower = id.to_lowercase();
    let mut name = without_suffix(bare(&lower), &SUFFIXES);
    let inside = ["otel-demo-", "bookinfo-"].iter().find_map(|of| name.strip_prefix(of)).filter(|n| !n.is_empty());
    name = inside.unwrap_or(name);
    if let Some((before, version)) = name.rsplit_once("-v")
        && !version.is_empty()
        && version.bytes().all(|b| b.is_ascii_digit())
    {
        name = before;
    }
    let flat = name.replace('-', "");
    flat.strip_suffix("service").filter(|short| !short.is_empty()).unwrap_or(&flat).to_owned()
}

/// The workloads that an object's name mentions: the longest, none within another. Of a name with several words the first will
/// do, if it is the only one that begins so.
fn mentioned<'a>(object: &str, workloads: &'a BTreeSet<String>, written: &BTreeMap<String, String>) -> Vec<&'a String> {
    let lower = object.to_lowercase();
    let as_written = |name: &String| written.get(name).cloned().unwrap_or_else(|| name.clone());
    let head = |name: &String| as_written(name).split('-').next().unwrap_or_default().to_owned();
    let mut by_length: Vec<&String> = workloads.iter().collect();
    by_length.sort_by_key(|name| std::cmp::Reverse(name.len()));
    let mut found: Vec<&String> = Vec::new();
    for name in by_length {
        let first = head(name);
        let only = as_written(name).contains('-') && workloads.iter().filter(|other| head(other) == first).count() == 1;
        let is = only && lower.split('-').any(|part| part == first) || name.len() > 1 && names(&lower, name);
        if is && !found.iter().any(|known| known.contains(&**name)) {
            found.push(name);
        }
    }
    found
}

/// Whether a name's letters stand in it from a word's beginning to one's end, hyphens or `service` after it aside.
fn names(text: &str, name: &str) -> bool {
    let from = |begin: usize| {
        let mut rest = &text[begin..];
        for (n, letter) in name.chars().enumerate() {
            let next = rest.strip_prefix('-').filter(|_| n > 0).unwrap_or(rest);
            match next.strip_prefix(letter) {
                Some(more) => rest = more,
                None => return false,
            }
        }
        let ends = |rest: &str| rest.is_empty() || rest.starts_with('-');
        ends(rest) || rest.strip_prefix("service").is_some_and(ends)
    };
    from(0) || text.match_indices('-').any(|(at, _)| from(at + 1))
}
