//! The operators' commands, by the real binary against a real server.
use anyhow::{Context as _, ensure};
use quell::{
    app::{App, Membership},
    config::Config,
};
use serde_json::{Value, json};
use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Command, Output},
    thread,
};
use tempfile::TempDir;

/// 2026-01-05T00:00:00Z
const T0: i64 = 1_767_571_200_000;

/// A server with recorded time, and what it is asked by.
struct Site {
    directory: TempDir,
    app: App,
}

impl Site {
    async fn start() -> anyhow::Result<Self> {
        let directory = TempDir::new()?;
        let topology = json!({"entities": [{"id": "db-1"}, {"id": "pay-1"}],
            "services": [{"id": "db", "tier": 1, "entities": ["db-1"]},
                         {"id": "payments", "depends_on": ["db"], "entities": ["pay-1"]}]});
        fs::write(directory.path().join("topology.json"), topology.to_string())?;
        let data = directory.path().join("data");
        let config = format!(
            "data_dir = \"{}\"\ntopology = \"topology.json\"\n[server]\nlisten = \"127.0.0.1:0\"\n[journal]\npartitions = 2\n\
             clock = \"events\"\n[[maintenance]]\nid = \"patch-night\"\ntitle = \"Patches\"\nservices = [\"db\"]\n\
             schedule = {{ timezone = \"UTC\", days = [\"sat\"], times = [\"22:00-04:00\"] }}\n",
            data.display()
        );
        fs::write(directory.path().join("quell.toml"), config)?;
        let config = Config::load(Some(&directory.path().join("quell.toml")))?;
        let app = App::start(&config, Membership::Group).await?;
        app.api.until_ready().await?;
        Ok(Self { directory, app })
    }

    fn quell(&self, words: &[&str]) -> anyhow::Result<Output> {
        let server = self.app.address.to_string();
        quell(&[words, &["--server", &server]].concat())
    }

    /// Has to succeed; what it printed, which moves no cursor.
    fn ok(&self, words: &[&str]) -> anyhow::Result<String> {
        let output = self.quell(words)?;
        let (told, said) = (String::from_utf8(output.stdout)?, String::from_utf8_lossy(&output.stderr).into_owned());
        ensure!(output.status.success(), "{words:?}: {}: {said}", output.status);
        ensure!(told.chars().all(|c| c == '\n' || !c.is_control()), "{words:?}: {told:?}");
        Ok(told)
    }

    fn json(&self, words: &[&str]) -> anyhow::Result<Vec<Value>> {
        let told = self.ok(&[words, &["--json"]].concat())?;
        told.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// Has to find nothing; what is said of it beside an empty output.
    fn nothing(&self, words: &[&str]) -> anyhow::Result<String> {
        let output = self.quell(words)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success() && output.stdout.is_empty(), "{words:?}: {output:?}");
        ensure!(said.lines().count() == 1, "{words:?}: {said}");
        Ok(said)
    }

    /// Has to be refused with a code and a word.
    fn refused(&self, words: &[&str], code: i32, part: &str) -> anyhow::Result<()> {
        let output = self.quell(words)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(code) && said.contains(part), "{words:?}: {}: {said}", output.status);
        ensure!(output.stdout.is_empty(), "{words:?}");
        Ok(())
    }
}

fn quell(words: &[&str]) -> anyhow::Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quell"));
    Ok(command.args(words).env("USER", "ann").env_remove("RUST_LOG").output()?)
}

fn send(address: SocketAddr, events: &Value) -> anyhow::Result<()> {
    let (mut stream, body) = (TcpStream::connect(address)?, events.to_string());
    write!(
        stream,
        "POST /api/v1/events HTTP/1.1\r\nHost: q\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    Ok(())
}

fn event(seconds: i64, entity: &str, check: &str) -> Value {
    json!({"id": format!("{entity}-{check}-{seconds}"), "time": T0 + seconds * 1_000, "origin": "test", "entity": entity,
        "check": check, "severity": "critical", "labels": {"region": "eu"}, "summary": "slow \u{1b}]0;x\u{7}\u{9b}2J\r\n\u{202e}reads"})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_read_act_and_ask_why() -> anyhow::Result<()> {
    let site = Site::start().await?;
    let change = json!({"kind": "change", "id": "deploy-42", "time": T0 - 60_000, "origin": "cd", "entity": "db-1",
        "check": "deployment", "summary": "db 1.4.2"});
    let events = json!([
        change,
        event(0, "db-1", "latency"),
        event(20, "pay-1", "errors"),
        event(25, "pay-1", "latency"),
        event(200, "pay-1", "errors"),
        event(201, "pay-1", "errors")
    ]);
    send(site.app.address, &events)?;
    let seen = async {
        while site.app.api.views.incidents.is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), seen).await?;
    tokio::task::block_in_place(|| {
        reads(&site)?;
        explains(&site)?;
        in_full(&site)?;
        tells_apart(&site)?;
        keeps_quiet(&site)?;
        acts(&site)?;
        maps(&site)?;
        refusals(&site)
    })?;
    site.app.stop().await;
    Ok(())
}

fn reads(site: &Site) -> anyhow::Result<()> {
    let listed = site.ok(&["incidents"])?;
    let (head, row) = listed.split_once('\n').context("two lines")?;
    ensure!(row.starts_with("default-1 ") && head.find("TITLE") == row.find("latency on"), "{listed}");
    let incident = site.json(&["incidents"])?.pop().context("an incident")?;
    let name = incident["name"].as_str().context("a name")?;
    let detail = site.ok(&["incidents", "default-1"])?;
    ensure!(detail == site.ok(&["incidents", "1"])? && detail == site.ok(&["incidents", name])?, "{detail}");
    ensure!(detail.contains("3 of 3 alerts open") && detail.contains("pay-1"), "{detail}");
    ensure!(site.nothing(&["incidents", "--scope", "other"])?.contains("no such incident is open"));
    ensure!(site.json(&["incidents", "--filter", "severity = \"WARNING\""])?.is_empty());
    ensure!(site.json(&["incidents", "--filter", "severity = critical AND state = new"])?.len() == 1);
    // A feed that ends says where to go on.
    let fed = site.quell(&["feed", "--from", "beginning", "--exit-when-caught-up"])?;
    let said = String::from_utf8(fed.stderr)?;
    let cursor = said.split('\'').nth(1).with_context(|| said.clone())?;
    ensure!(!fed.stdout.is_empty() && site.ok(&["feed", "--from", cursor, "--exit-when-caught-up"])?.is_empty());

    let alerts = site.json(&["alerts", "--incident", "1"])?;
    ensure!(alerts.len() == 3 && alerts.iter().all(|alert| alert["state"] == "OPEN"), "{alerts:?}");
    let listed = site.ok(&["alerts"])?;
    ensure!(listed.lines().count() == 4, "{listed}");
    // What stands first in a row is what the commands take.
    for alert in &alerts {
        let [name, entity, check] = ["name", "entity", "check"].map(|field| alert[field].as_str().unwrap_or_default());
        let id = name.rsplit('/').next().context("an id")?;
        ensure!(listed.lines().any(|row| row.starts_with(id)) && detail.contains(id), "{id}\n{listed}\n{detail}");
        let told = site.ok(&["alerts", id])?;
        ensure!(told.starts_with(&format!("{entity} {check}")), "{told}");
        ensure!(told == site.ok(&["alerts", &format!("{entity}/{check}")])?, "{entity}/{check}");
    }
    let limited = site.quell(&["alerts", "--limit", "2"])?;
    ensure!(String::from_utf8(limited.stdout)?.lines().count() == 3);
    ensure!(String::from_utf8(limited.stderr)?.contains("more than 2 alerts"));
    let services = site.ok(&["services"])?;
    ensure!(services.contains("payments") && services.lines().count() == 3, "{services}");
    Ok(())
}

fn explains(site: &Site) -> anyhow::Result<()> {
    let told = site.ok(&["explain", "1"])?;
    let sections =
        ["Why it was raised", "Why P1", "Probable causes", "Changes nearby", "Why these alerts", "What happened to it"];
    let mut from = 0;
    for section in sections {
        from += told[from..].find(section).with_context(|| format!("{section}\n{told}"))?;
    }
    let causes = &told[told.find("Probable").unwrap_or(0)..told.find("Changes nearby").unwrap_or(0)];
    ensure!(causes.contains("db-1") && (causes.contains("likely ") || causes.contains("possible ")), "{told}");
    ensure!(!causes.contains('%') && told.contains("deploy-42"), "{told}");
    let explained = site.json(&["explain", "1"])?.remove(0);
    ensure!(explained["number"] == "default-1");
    let alerts = explained["alerts"].as_array().context("alerts")?;
    let weighed: Vec<_> = alerts.iter().filter(|alert| alert.get("parts").is_some()).collect();
    ensure!(weighed.len() == 2, "{alerts:?}");
    for alert in weighed {
        let parts = alert["parts"].as_array().context("parts")?;
        let sum: f64 = parts.iter().filter_map(|part| part["logOdds"].as_f64()).sum();
        // There was one episode to join: what it was ahead of is one of its own, at 0. Each part is rounded.
        let margin = alert["margin"].as_f64().context("a margin")?;
        ensure!(sum > 0.0 && (sum - margin).abs() < 0.005, "{alert}");
    }
    Ok(())
}

fn in_full(site: &Site) -> anyhow::Result<()> {
    let alert = site.json(&["alerts", "--filter", "entity = \"db-1\""])?.remove(0);
    let (name, id) = (alert["name"].as_str().context("a name")?, "00000000000000ff");
    let told = site.ok(&["alerts", name])?;
    for part in ["db-1 latency", "open", "region", "eu", "incident", "scopes/default/incidents/", "db"] {
        ensure!(told.contains(part), "{part}\n{told}");
    }
    let short = name.rsplit_once('/').context("an id")?.1;
    ensure!(site.ok(&["alerts", short])? == told && site.json(&["alerts", short])? == [alert]);
    site.refused(&["alerts", id], 2, "there is no alert")?;
    let told = site.ok(&["services", "payments"])?;
    for part in ["payments", "What takes points", "critical errors on pay-1"] {
        ensure!(told.contains(part), "{part}\n{told}");
    }
    ensure!(site.ok(&["services", "scopes/default/services/payments"])? == told);
    ensure!(site.ok(&["services"])?.lines().any(|row| row.starts_with("payments ")));
    site.refused(&["services", "nowhere"], 2, "there is no service")
}

/// Two conditions of one entity and check, in another scope: their ids tell them apart.
fn tells_apart(site: &Site) -> anyhow::Result<()> {
    let disk = |fingerprint: &str| json!({"time": T0, "entity": "web/9", "check": "disk", "scope": "eu", "fingerprint": fingerprint});
    send(site.app.address, &json!([disk("a"), disk("b")]))?;
    site.ok(&["feed", "--exit-when-caught-up"])?;
    let listed = site.ok(&["alerts", "--scope", "eu"])?;
    let ids: Vec<&str> = listed.lines().skip(1).filter_map(|row| row.split(' ').next()).collect();
    ensure!(ids.len() == 2 && ids[0] != ids[1] && ids.iter().all(|id| id.starts_with("eu/")), "{listed}");
    site.refused(&["alerts", "web/9/disk"], 2, &format!("several alerts are web/9/disk: {}, {}", ids[0], ids[1]))?;
    for id in ids {
        ensure!(site.ok(&["alerts", id])?.starts_with("web/9 disk"), "{id}");
    }
    site.refused(&["alerts", "web/9/memory"], 2, "there is no alert web/9/memory")
}

/// Silences and windows: made, listed, ended.
fn keeps_quiet(site: &Site) -> anyhow::Result<()> {
    let create =
        ["silence", "create", "entity=\"pay-1\"", "--for", "2h", "--comment", "index \u{1b}[2J", "--request-id", "s1"];
    let told = site.ok(&create)?;
    ensure!(told.contains("active") && told.contains("it matched 2 open alerts"), "{told}");
    // Once, however often it is sent; what is asked for under a used id has to be the same.
    ensure!(site.ok(&create)? == told);
    let other = ["silence", "create", "entity=\"db-1\"", "--for", "2h", "--request-id", "s1"];
    site.refused(&other, 2, "was used for another action")?;
    site.refused(&["silence", "create", "entity=~\".*\"", "--for", "2h"], 2, "insist on it")?;
    let listed = site.json(&["silence", "list"])?;
    ensure!(listed.len() == 1 && listed[0]["openAlertCount"] == 2 && listed[0]["creator"] == "ann", "{listed:?}");
    let name = listed[0]["name"].as_str().context("a name")?;
    ensure!(site.ok(&["silence", "expire", name])?.contains("expired"));
    ensure!(site.json(&["silence", "list"])?.is_empty());
    ensure!(site.nothing(&["silence", "list"])?.contains("no silence is pending or active"));
    let kept = site.json(&["silence", "list", "--all", "--scope", "default"])?;
    ensure!(kept[0]["state"] == "EXPIRED" && kept[0]["openAlertCount"] == 2, "{kept:?}");
    site.refused(&["silence", "expire", name], 2, "has ended already")?;
    // What keeps an alert quiet stands with it, until it does no more.
    let of_then = [
        "silence",
        "create",
        "entity=\"pay-1\"",
        "--starts",
        "2026-01-05T00:00:00Z",
        "--until",
        "2100-01-01T00:00:00Z",
    ];
    let name = site.json(&of_then)?.remove(0)["name"].as_str().context("a name")?.to_owned();
    let hidden = || site.json(&["alerts", "--filter", "suppressed = true"]);
    ensure!(hidden()?.len() == 2 && hidden()?.iter().all(|alert| alert["suppressedBy"] == name), "{:?}", hidden()?);
    // What is open, and what of it takes points, are two figures.
    let told = site.ok(&["services", "payments"])?;
    ensure!(told.contains("open alerts     2\n") && told.contains("counted alerts  0 that take points"), "{told}");
    let alert = hidden()?.remove(0)["name"].as_str().context("a name")?.to_owned();
    ensure!(site.ok(&["alerts", &alert])?.contains(&name));
    site.ok(&["silence", "expire", &name])?;
    ensure!(hidden()?.is_empty() && !site.ok(&["alerts", &alert])?.contains(&name), "{:?}", hidden()?);

    let vain = site.quell(&["silence", "create", "entity=\"nowhere\"", "--for", "2h"])?;
    let (told, said) = (String::from_utf8(vain.stdout)?, String::from_utf8(vain.stderr)?);
    ensure!(said.contains("it matches no alert that is open now"), "{said}");
    // As it is listed it is ended, by either word.
    let id = told.lines().nth(1).and_then(|row| row.split(' ').next()).context("an id")?;
    ensure!(site.ok(&["silence", "end", id])?.contains("expired"), "{told}");

    // Nobody is to hear of an incident of which all is hidden: wherever it is shown, it says so.
    ensure!(!site.ok(&["incidents"])?.contains("muted"));
    let all = ["silence", "create", "entity=~\"(db|pay)-1\"", "--starts", "2026-01-05T00:00:00Z", "--until"];
    let silence = site.json(&[&all[..], &["2100-01-01T00:00:00Z"]].concat())?.remove(0);
    ensure!(site.json(&["incidents", "1"])?[0]["muted"] == true);
    for words in [&["incidents"][..], &["incidents", "1"], &["explain", "1"], &["feed", "--exit-when-caught-up"]] {
        ensure!(site.ok(words)?.contains("muted"), "{words:?}");
    }
    site.ok(&["silence", "expire", silence["name"].as_str().context("a name")?])?;

    let told = site.ok(&["maintenance", "create", "move db-1", "--entity", "db-1", "--for", "1h"])?;
    ensure!(told.contains("move db-1"), "{told}");
    let vain = site.quell(&["maintenance", "create", "nothing", "--entity", "nowhere", "--for", "1h"])?;
    ensure!(String::from_utf8(vain.stderr)?.contains("it hides no alert that is open now"));
    let id = String::from_utf8(vain.stdout)?.lines().nth(1).and_then(|row| Some(row.split(' ').next()?.to_owned()));
    site.ok(&["maintenance", "end", &id.context("an id")?])?;
    let listed = site.json(&["maintenance", "list"])?;
    let of = |title: &str| listed.iter().find(|window| window["title"] == title).cloned().context(title.to_owned());
    ensure!(listed.len() == 2 && of("Patches")?["name"] == "scopes/-/maintenanceWindows/patch-night", "{listed:?}");
    let moved = of("move db-1")?;
    ensure!(moved["creator"] == "ann" && moved["active"] == true, "{moved}");
    let name = moved["name"].as_str().context("a name")?;
    ensure!(site.ok(&["maintenance", "expire", name])?.contains("ended"));
    site.refused(&["maintenance", "end", name], 2, "has ended already")?;
    let never = ["maintenance", "create", "patches", "--service", "payments", "--times", "10:00-10:00"];
    site.refused(&never, 2, "write 00:00-24:00 for the whole day")?;
    ensure!(site.json(&["maintenance", "list", "--scope", "default"])?.len() == 1);
    ensure!(site.json(&["maintenance", "list", "--all"])?.len() == 3);
    site.refused(&["maintenance", "end", "patch-night"], 2, "is of the configuration")?;
    let days = ["--times", "22:00-02:00", "--days", "sat,3rd tue", "--time-zone", "Europe/Berlin"];
    let told = site.ok(&[&["maintenance", "create", "patches", "--service", "payments"], &days[..]].concat())?;
    let when = "sat,3rd tue 22:00-02:00 Europe/Berlin";
    ensure!(told.contains(when) && site.ok(&["maintenance", "list"])?.contains(when), "{told}");
    let again = site.json(&["maintenance", "list"])?.into_iter().find(|window| window["title"] == "patches");
    let again = again.context("a window")?;
    ensure!(again["nextChangeAt"].is_string() && again["services"] == json!(["payments"]), "{again}");
    let id = again["name"].as_str().and_then(|name| name.rsplit_once('/')).context("an id")?.1;
    ensure!(site.json(&["maintenance", "end", id])?[0]["ended"] == true);
    ensure!(!site.ok(&["maintenance", "list"])?.contains(when));
    Ok(())
}

/// What people read is what they can write.
fn maps(site: &Site) -> anyhow::Result<()> {
    let stands = site.ok(&["topology", "get"])?;
    let mut topology: Value = serde_json::from_str(&stands)?;
    ensure!(topology["services"].as_array().map(Vec::len) == Some(2), "{stands}");
    let more = json!({"id": "web", "depends_on": ["payments"], "entities": ["web-1"]});
    topology["services"].as_array_mut().context("services")?.push(more);
    let file = site.directory.path().join("more.json");
    fs::write(&file, topology.to_string())?;
    ensure!(site.ok(&["topology", "apply", &file.display().to_string()])? == "version 2\n");
    ensure!(site.ok(&["topology", "get"])?.contains("web-1") && site.ok(&["services"])?.contains("web"));
    let command = format!(
        "{} topology get --server {server} | {} topology apply - --server {server}",
        env!("CARGO_BIN_EXE_quell"),
        env!("CARGO_BIN_EXE_quell"),
        server = site.app.address
    );
    let piped = Command::new("sh").args(["-c", &command]).output()?;
    ensure!(piped.stdout == b"version 2\n", "what stands is not applied again: {piped:?}");
    fs::write(&file, "{\"services\": 5}")?;
    site.refused(&["topology", "apply", &file.display().to_string()], 2, "topology.json")?;
    Ok(())
}

fn acts(site: &Site) -> anyhow::Result<()> {
    let state = || anyhow::Ok(site.json(&["incidents", "1"])?[0].clone());
    let etag = state()?["etag"].as_str().context("an etag")?.to_owned();
    let told = site.ok(&["ack", "1", "--comment", "on it"])?;
    ensure!(told.starts_with("default-1") && told.contains("acknowledged"), "{told}");
    ensure!(state()?["acknowledgedBy"] == "ann", "who asks is $USER");
    let again = site.quell(&["ack", "1", "--actor", "eve"])?;
    ensure!(String::from_utf8(again.stderr)?.contains("ann has acknowledged it before"));
    site.refused(&["ack", "1", "--etag", &etag], 2, "Aborted")?;
    ensure!(site.ok(&["assign", "1", "bob", "--actor", "eve"])?.contains("@bob"));
    site.ok(&["comment", "default-1", "failover \u{1b}[2J done"])?;
    ensure!(site.ok(&["state", "1", "on-hold"])?.contains("on hold"));
    ensure!(site.ok(&["ack", "1", "--actor", "eve"])?.contains("on hold"), "who has seen it too takes no work away");
    site.ok(&["ticket", "1", "servicenow", "INC1", "--url", "https://example.com/INC1"])?;
    cleans(site)?;
    let told = site.ok(&["explain", "1"])?;
    for part in ["on it", "eve", "failover", "servicenow INC1 https://example.com/INC1"] {
        ensure!(told.contains(part), "{part}\n{told}");
    }
    ensure!(site.ok(&["assign", "1", "--nobody"])?.contains("default-1") && state()?.get("assignee").is_none());

    let incident = |words: &[&str]| anyhow::Ok(site.json(words)?[0]["incident"].clone());
    let split = incident(&["split", "1", "db-1/latency"])?;
    ensure!(split["number"] == "default-2" && split["alertCount"] == 1, "{split}");
    relates(site)?;
    let merged = incident(&["merge", "1", "2"])?;
    site.refused(&["ack", "2"], 2, "default-2 was merged: it goes on as default-1")?;
    ensure!(merged["duplicates"].as_array().map(Vec::len) == Some(1) && merged["alertCount"] == 3, "{merged}");
    ensure!(site.ok(&["resolve", "1", "--comment", "index rebuilt"])?.contains("resolved"));
    ensure!(site.ok(&["close", "1"])?.contains("closed"));
    ensure!(
        !site.ok(&["incidents"])?.contains("default-1 ") && site.ok(&["incidents", "--all"])?.contains("default-1 ")
    );
    Ok(())
}

/// Which alerts belong together: moved, said, listed and undone.
fn relates(site: &Site) -> anyhow::Result<()> {
    let kept = || site.json(&["corrections"]);
    ensure!(kept()?.len() == 1, "the split is kept");
    let told = site.ok(&["move", "pay-1/latency", "2", "--comment", "it is the database", "--request-id", "m1"])?;
    ensure!(told.starts_with("default-2"), "{told}");
    let moved = site.json(&["incidents", "2"])?.remove(0);
    ensure!(moved["alertCount"] == 2 && moved.to_string().contains("it is the database"), "{moved}");
    site.refused(&["move", "pay-1/errors", "2"], 2, "merge the two incidents")?;
    site.refused(&["move", "db-1/latency", "pay-1/errors", "1"], 2, "not of this incident")?;
    site.refused(&["move", "db-1/latency", "77"], 2, "there is no incident default-77")?;

    let told = site.ok(&["same-cause", "db-1/latency", "pay-1/errors", "--comment", "pool\u{1b}[2J"])?;
    ensure!(told.contains("same cause") && told.contains("latency on db-1"), "{told}");
    site.ok(&["not-related", "pay-1/errors", "2"])?;
    site.refused(&["same-cause", "db-1/latency", "db-1/latency"], 2, "both are the same")?;
    site.refused(&["not-related", "db-1/latency", "00000000000000ff"], 2, "there is no alert")?;
    let relation = |correction: &Value| correction["relation"].as_str().unwrap_or_default().to_owned();
    let mut relations: Vec<String> = kept()?.iter().map(relation).collect();
    relations.sort();
    ensure!(relations == ["NOT_RELATED", "NOT_RELATED", "NOT_RELATED", "SAME_CAUSE", "SAME_CAUSE"], "{relations:?}");
    let said = site.json(&["corrections", "--filter", "deed = SAID AND relation = SAME_CAUSE"])?;
    ensure!(said.len() == 1 && said[0]["comment"] == "pool\u{fffd}[2J" && said[0]["actor"] == "ann", "{said:?}");

    let name = said[0]["name"].as_str().context("a name")?;
    let id = name.rsplit('/').next().context("an id")?;
    ensure!(site.ok(&["corrections", "undo", id, "--request-id", "u1"])?.contains("same cause"));
    site.ok(&["corrections", "undo", id, "--request-id", "u1"])?;
    site.refused(&["corrections", "undo", id], 2, "there is no correction")?;
    ensure!(kept()?.len() == 4 && site.json(&["incidents", "2"])?[0]["alertCount"] == 2, "what was done stays");
    Ok(())
}

/// What people write is kept as the texts of events are: whoever reads it, by whichever door, gets no control characters.
fn cleans(site: &Site) -> anyhow::Result<()> {
    let hostile = "a\u{1b}[2J\r\nb\u{9b}c";
    let clean = "a\u{fffd}[2J  b\u{fffd}c";
    site.ok(&["assign", "1", hostile, "--actor", hostile, "--comment", hostile])?;
    site.ok(&["ticket", "1", hostile, hostile, "--url", "https://example.com/\u{1b}"])?;
    let incident = site.json(&["incidents", "1"])?.remove(0);
    ensure!(incident["assignee"] == clean, "{incident}");
    let ticket = json!({"system": clean, "key": clean, "url": "https://example.com/\u{fffd}"});
    ensure!(incident["tickets"].as_array().is_some_and(|tickets| tickets.contains(&ticket)), "{incident}");
    let entries = incident["timeline"].as_array().context("a timeline")?;
    ensure!(entries.iter().any(|entry| entry["actor"] == clean), "{incident}");
    let silence = ["silence", "create", "entity=\"nowhere\"", "--for", "1h", "--comment", hostile, "--actor", hostile];
    let silence = site.json(&silence)?.remove(0);
    ensure!(silence["comment"] == clean && silence["creator"] == clean, "{silence}");
    let window = ["maintenance", "create", hostile, "--entity", hostile, "--for", "1h", "--actor", hostile];
    let window = site.json(&window)?.remove(0);
    ensure!(window["title"] == clean && window["entities"] == json!([clean]), "{window}");
    ensure!(window["creator"] == clean, "{window}");
    let texts = [&incident, &silence, &window].map(ToString::to_string).concat();
    ensure!(!texts.contains("\\u001b") && !texts.contains('\u{9b}'), "{texts}");
    for resource in [silence, window] {
        let name = resource["name"].as_str().context("a name")?;
        let command = if name.contains("/silences/") { "silence" } else { "maintenance" };
        site.ok(&[command, "end", name])?;
    }
    Ok(())
}

fn refusals(site: &Site) -> anyhow::Result<()> {
    for (words, code, part) in [
        (&["ack", "77"][..], 2, "there is no incident default-77"),
        (&["ack", "nonsense"], 2, "`nonsense` is no incident"),
        (&["explain", "scopes/default/incidents/0000000000000000"], 2, "there is no incident"),
        (&["incidents", "--filter", "colour = 1"], 2, "filter: at character 1"),
        (&["split", "1", "nowhere/disk"], 2, "has no alert nowhere/disk"),
        (&["state", "1", "green"], 2, "possible values"),
        (&["assign", "1"], 2, "ASSIGNEE"),
        (&["ticket", "1", "servicenow", "INC1", "--url", "javascript:x"], 2, "ticket.url"),
        (&["ack", "1", "--actor", ""], 2, "who asks?"),
        (&["silence", "create", "a=\"b\""], 2, "until when?"),
        (&["alerts", "a b"], 2, "`a b` is no id"),
        (&["maintenance", "create", "patches", "--for", "1h"], 2, "what does it cover?"),
        (&["topology", "apply", "/nowhere.json"], 2, "/nowhere.json: can't be read"),
    ] {
        site.refused(words, code, part)?;
    }
    let nobody = quell(&["incidents", "--server", "127.0.0.1:1"])?;
    ensure!(nobody.status.code() == Some(1), "{:?}", nobody.status);
    let said = String::from_utf8(nobody.stderr)?;
    ensure!(said.contains("is `quell run` up? --server names another address"), "{said}");
    ensure!(said.matches("connect error").count() <= 1 && said.matches("refused").count() == 1, "{said}");
    Ok(())
}

/// A web server is no Quell, and is told from one.
#[test]
fn a_server_of_another_kind_is_called_so() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let mut request = [0; 1024];
            // It has said what it has to say, whatever was asked.
            let _ = stream.read(&mut request);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        }
    });
    for words in [&["incidents"][..], &["feed"], &["settle"]] {
        let output = quell(&[words, &["--server", &address]].concat())?;
        let said = String::from_utf8(output.stderr)?;
        ensure!(output.status.code() == Some(1) && said.contains("is it Quell?"), "{words:?}: {said}");
    }
    Ok(())
}

#[test]
fn each_command_shows_an_example_and_shells_complete_it() -> anyhow::Result<()> {
    let names: Vec<&[&str]> = vec![
        &["incidents"],
        &["alerts"],
        &["services"],
        &["explain"],
        &["ack"],
        &["assign"],
        &["comment"],
        &["state"],
        &["resolve"],
        &["close"],
        &["merge"],
        &["split"],
        &["ticket"],
        &["topology", "get"],
        &["topology", "apply"],
        &["silence", "create"],
        &["silence", "list"],
        &["silence", "expire"],
        &["maintenance", "create"],
        &["maintenance", "list"],
        &["maintenance", "end"],
        &["completion"],
    ];
    for name in &names {
        let help = String::from_utf8(quell(&[name, &["--help"][..]].concat())?.stdout)?;
        ensure!(help.contains("Example") && help.contains(&format!("quell {}", name.join(" "))), "{name:?}\n{help}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let output = quell(&["completion", shell])?;
        let script = String::from_utf8(output.stdout)?;
        ensure!(output.status.success() && names.iter().all(|name| script.contains(name[0])), "{shell}");
    }
    ensure!(quell(&["completion", "ed"])?.status.code() == Some(2));
    Ok(())
}
