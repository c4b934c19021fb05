//! The API over HTTP and JSON: what has a path in the proto files answers there, as it does over gRPC.
use anyhow::{Context as _, ensure};
use prost_reflect::DescriptorPool;
use quell::{
    app::{App, Membership},
    config::Config,
    serve::{
        http::doors::{Door, PLACES},
        rest,
    },
};
use quell_connectors::{decode::manual, log::Topic};
use quell_proto::v1::{PublishEventsRequest, quell_client::QuellClient};
use quell_tests::process::{Quell, free_port, get, http, post, until};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};
use tempfile::TempDir;
use tonic_types::StatusExt as _;

/// 2026-01-05T00:00:00Z
const T0: i64 = 1_767_571_200_000;
const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

/// A configuration with recorded time.
fn site(port: u16) -> anyhow::Result<TempDir> {
    let directory = TempDir::new()?;
    let data = directory.path().join("data");
    let config = format!(
        "data_dir = \"{}\"\n[server]\nlisten = \"127.0.0.1:{port}\"\nbody_max = \"64 KiB\"\n[journal]\npartitions = 2\n\
         clock = \"events\"\n",
        data.display()
    );
    fs::write(directory.path().join("quell.toml"), config)?;
    Ok(directory)
}

/// Events that raise an incident of two alerts; the position of their answer.
fn outage(address: SocketAddr) -> anyhow::Result<String> {
    let event = |seconds: i64, entity: &str| {
        json!({"id": format!("{entity}-{seconds}"), "time": T0 + seconds * 1_000, "origin": "test", "entity": entity,
            "check": "latency", "severity": "critical", "summary": "slow \u{1b}[2J"})
    };
    let events = json!([event(0, "db-1"), event(20, "db-1"), event(200, "db-1"), event(201, "db-1")]);
    let (status, answer) = post(address, "/api/v1/events", events.to_string().as_bytes())?;
    ensure!(status == 200, "{answer}");
    let answer: Value = serde_json::from_str(&answer)?;
    Ok(answer["position"].as_str().context("a position")?.to_owned())
}

struct Answer {
    status: u16,
    head: String,
    text: String,
}

impl Answer {
    fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_str(&self.text).with_context(|| format!("{}: {}", self.status, self.text))
    }

    fn message(&self) -> anyhow::Result<String> {
        Ok(self.json()?["error"]["message"].as_str().context("an error")?.to_owned())
    }
}

fn ask(address: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> anyhow::Result<Answer> {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: quell\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
    );
    let (status, head, text) = http(address, &head, body.as_bytes())?;
    Ok(Answer { status, head, text })
}

/// Every operation of the description: HTTP's method, the path, what it is.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().expect("paths");
    let of = |(path, item): (&String, &Value)| {
        let item = item.as_object().expect("a path item");
        let one = |(method, operation): (&String, &Value)| (method.clone(), path.clone(), operation.clone());
        item.iter().map(one).collect::<Vec<_>>()
    };
    paths.iter().flat_map(of).collect()
}

/// Methods of the proto files that have a path.
fn bound() -> BTreeSet<String> {
    let pool = DescriptorPool::decode(quell_proto::DESCRIPTORS).expect("descriptors");
    let option = pool.get_extension_by_name("google.api.http").expect("the option");
    let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
    methods.filter(|method| method.options().has_extension(&option)).map(|method| method.name().to_owned()).collect()
}

#[test]
fn every_method_with_a_path_answers_there() -> anyhow::Result<()> {
    let port = free_port();
    let directory = site(port)?;
    let path = |name: &str| directory.path().join(name);
    let mut quell = Quell::run(&path("quell.toml"), port, &path("quell.log"))?;
    quell.ready()?;
    let address = quell.address;
    let position = outage(address)?;

    let (status, document) = get(address, "/api/v1/openapi.json")?;
    let document: Value = serde_json::from_str(&document)?;
    ensure!(status == 200 && document == rest::description()?, "the description");
    for (method, path, operation) in operations(&document) {
        // `{scope}` and `{incident}` as they are called: no such thing is there, and the method says so.
        let path = path.replace(['{', '}'], "");
        if PLACES.iter().any(|place| place.path == path) {
            continue;
        }
        let query = if path.ends_with(":watch") && operation["operationId"] == "WatchIncidents" {
            "?untilCaughtUp=true&beginning=true"
        } else {
            ""
        };
        if operation["operationId"] == "WatchServices" || operation["operationId"] == "WatchAlerts" {
            // They go on for as long as the client stays.
            ensure!(status_line(address, &path)?.starts_with("HTTP/1.1 200"), "{path}");
            continue;
        }
        let answer = ask(address, &method.to_uppercase(), &format!("{path}{query}"), "", "")?;
        let what = format!("{method} {path}: {} {}", answer.status, answer.text);
        ensure!([200, 400, 404, 501].contains(&answer.status), "{what}");
        ensure!(answer.status == 200 || !answer.message()?.starts_with("there is nothing at"), "{what}");
    }
    reads(address, &position)?;
    keeps_quiet(address)?;
    commands(address)?;
    refusals(address)?;
    doors(address, &document)?;
    ensure!(quell.terminate()?.0 == Some(0));
    Ok(())
}

/// Every door answers as it is described, and who is lost is told of each.
fn doors(address: SocketAddr, document: &Value) -> anyhow::Result<()> {
    let page = ask(address, "GET", "/", "", "")?;
    let lost = ask(address, "GET", "/nowhere", "", "")?;
    ensure!(page.status == 200 && page.head.contains("content-type: text/plain"), "{}", page.head);
    let paths = PLACES.iter().map(|place| place.path).chain(["/api/v1/openapi.json"]);
    for path in paths {
        ensure!(page.text.contains(&format!(" {path} ")), "{path}: {}", page.text);
        ensure!(lost.message()?.contains(path), "{path}: {}", lost.text);
    }
    let event = json!({"time": T0, "entity": "e", "check": "c"}).to_string();
    let gzip = "Content-Encoding: gzip\r\n";
    for place in &PLACES {
        let described = |method: &str, answer: &Answer| -> anyhow::Result<()> {
            let content = &document["paths"][place.path][method]["responses"][answer.status.to_string()]["content"];
            let kind = answer.head.lines().find_map(|line| line.strip_prefix("content-type: ")).context("a type")?;
            let kind = kind.split(';').next().unwrap_or_default();
            ensure!(content[kind].is_object(), "{} {}: {kind}", place.path, answer.status);
            Ok(())
        };
        if !matches!(place.door, Door::Events(_)) {
            let answer = ask(address, "GET", place.path, "", "")?;
            ensure!(answer.status == 200, "{}: {}", place.path, answer.text);
            described("get", &answer)?;
            continue;
        }
        let large = "x".repeat(70_000);
        for (headers, body) in [("", "[]"), ("", "[1]"), ("", &*event), ("", &*large), (gzip, "[]")] {
            described("post", &ask(address, "POST", place.path, headers, body)?)?;
        }
    }
    let mixed = ask(address, "POST", "/api/v1/events", "", &format!("[{event},1]"))?;
    let told = mixed.json()?;
    let schema = &document["components"]["schemas"]["EventsAnswer"]["properties"];
    let keys = told.as_object().context("an object")?.keys();
    ensure!(mixed.status == 207 && keys.clone().count() == 3, "{told}");
    ensure!(keys.clone().all(|key| schema[key].is_object()), "{told}");
    Ok(())
}

/// How a stream begins.
fn status_line(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: quell\r\n\r\n").as_bytes())?;
    Ok(BufReader::new(stream).lines().next().context("no answer")??)
}

fn reads(address: SocketAddr, position: &str) -> anyhow::Result<()> {
    let list = |query: &str| ask(address, "GET", &format!("/api/v1/incidents?{query}"), "", "");
    let listed = list(&format!("minPosition={position}&page_size=5&filter=state%20%3D%20%22NEW%22"))?;
    ensure!(listed.status == 200 && listed.head.contains("content-type: application/json"), "{}", listed.text);
    let incident = &listed.json()?["incidents"][0];
    ensure!(incident["number"] == "default-1" && incident["state"] == "NEW", "{incident}");
    // 64-bit integers are texts, defaults are left out, nothing of a terminal is raw in JSON.
    ensure!(incident["revision"].is_string() && incident.get("assignee").is_none() && !listed.text.contains('\u{1b}'));
    ensure!(list("filter=state+%3D+CLOSED")?.json()? == json!({}));
    let name = incident["name"].as_str().context("a name")?;
    ensure!(ask(address, "GET", &format!("/api/v1/{name}"), "", "")?.json()? == *incident);
    ensure!(ask(address, "HEAD", &format!("/api/v1/{name}"), "", "")?.text.is_empty());
    for (scope, found) in [("default", true), ("-", true), ("other%2Fone", false)] {
        let of = ask(address, "GET", &format!("/api/v1/scopes/{scope}/incidents"), "", "")?.json()?;
        ensure!(of.get("incidents").is_some() == found, "{scope}: {of}");
    }
    let watched = ask(address, "GET", "/api/v1/incidents:watch?beginning=true&until_caught_up=true", "", "")?;
    ensure!(watched.head.contains("content-type: application/x-ndjson"), "{}", watched.head);
    let lines: Vec<Value> = watched.text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(lines.last().is_some_and(|line| line["incident"] == *incident), "{}", watched.text);
    Ok(())
}

/// Silences and windows: made, read, listed, ended.
fn keeps_quiet(address: SocketAddr) -> anyhow::Result<()> {
    let post = |path: &str, body: &Value| ask(address, "POST", &format!("/api/v1/{path}"), "", &body.to_string());
    let read = |path: &str| ask(address, "GET", &format!("/api/v1/{path}"), "", "")?.json();
    let silence = json!({"matchers": ["entity=\"db-1\""], "endsAt": "2100-01-01T00:00:00Z", "comment": "index"});
    let asked = json!({"silence": silence, "actor": "ann", "requestId": "q1"});
    let made = post("scopes/default/silences", &asked)?.json()?["silence"].clone();
    ensure!(made["openAlertCount"] == 1 && made["creator"] == "ann" && made["state"] == "ACTIVE", "{made}");
    let name = made["name"].as_str().context("a name")?;
    ensure!(read(name)? == made && read("silences?filter=creator%3Dann")?["silences"] == json!([made]));
    ensure!(read("scopes/other/silences")? == json!({}));
    let other = post("scopes/default/silences", &json!({"silence": {"matchers": ["a=b"]}, "requestId": "q1"}))?;
    ensure!(other.status == 400, "{}", other.text);
    let mut other = asked.clone();
    other["silence"]["matchers"] = json!(["entity=\"db-2\""]);
    let other = post("scopes/default/silences", &other)?;
    ensure!(other.status == 409 && other.text.contains("REQUEST_ID_REUSED"), "{}", other.text);
    ensure!(read("alerts?filter=suppressed%3Dtrue")? == json!({}), "it begins now, and what is recorded was before");
    let mut of_then = asked.clone();
    of_then["silence"]["startsAt"] = json!("2026-01-05T00:00:00Z");
    of_then["requestId"] = json!("q2");
    let of_then = post("scopes/default/silences", &of_then)?.json()?["silence"]["name"].clone();
    ensure!(read("alerts?filter=suppressed%3Dtrue")?["alerts"][0]["suppressedBy"] == of_then, "{of_then}");
    post(&format!("{}:expire", of_then.as_str().context("a name")?), &json!({}))?;
    ensure!(read("alerts?filter=suppressed%3Dtrue")? == json!({}));
    let over = post(&format!("{name}:expire"), &json!({}))?.json()?;
    ensure!(over["silence"]["state"] == "EXPIRED" && over["silence"]["openAlertCount"] == 1, "{over}");

    let recurring = json!({"timeZone": "UTC", "times": ["00:00-24:00"]});
    let window = json!({"title": "move", "entities": ["db-1"], "schedule": {"recurring": recurring}});
    let asked = json!({"maintenanceWindow": window, "actor": "bob"});
    let made = post("scopes/default/maintenanceWindows", &asked)?.json()?["maintenanceWindow"].clone();
    ensure!(made["active"] == true && made["creator"] == "bob", "{made}");
    let name = made["name"].as_str().context("a name")?;
    let without_time = |mut window: Value| {
        window.as_object_mut().map(|window| window.remove("nextChangeAt"));
        window
    };
    ensure!(without_time(read(name)?) == without_time(made.clone()), "{made}");
    let listed = read("scopes/default/maintenanceWindows?filter=entities%3Adb-1")?;
    ensure!(listed["maintenanceWindows"].as_array().map(Vec::len) == Some(1), "{listed}");
    let over = post(&format!("{name}:expire"), &json!({"actor": "bob"}))?.json()?;
    ensure!(over["maintenanceWindow"]["ended"] == true, "{over}");
    // It is still shown, and has ended already.
    ensure!(post(&format!("{name}:expire"), &json!({}))?.status == 400);
    let once = json!({"once": {"startsAt": "2100-01-01T00:00:00Z", "endsAt": "2100-01-01T02:00:00Z"}});
    let window = json!({"matchers": ["check=\"latency\""], "schedule": once});
    let made = post("scopes/default/maintenanceWindows", &json!({"maintenanceWindow": window}))?.json()?;
    let made = &made["maintenanceWindow"];
    ensure!(made["nextChangeAt"] == "2100-01-01T00:00:00Z" && made["schedule"] == once, "{made}");
    let never = json!({"matchers": ["check=\"latency\""], "schedule": {"once": {"startsAt": "2100-01-01T00:00:00Z"}}});
    let refused = post("scopes/default/maintenanceWindows", &json!({"maintenanceWindow": never}))?;
    ensure!(refused.status == 400 && refused.text.contains("schedule.once.ends_at"), "{}", refused.text);
    Ok(())
}

fn commands(address: SocketAddr) -> anyhow::Result<()> {
    let incident = ask(address, "GET", "/api/v1/incidents", "", "")?.json()?["incidents"][0].clone();
    let name = incident["name"].as_str().context("a name")?.to_owned();
    let command =
        |verb: &str, body: &Value| ask(address, "POST", &format!("/api/v1/{name}:{verb}"), "", &body.to_string());
    let old = &incident["etag"];
    let acknowledged = command("acknowledge", &json!({"actor": "ann", "requestId": "r1", "etag": old}))?;
    let reply = acknowledged.json()?;
    ensure!(reply["incident"]["state"] == "ACKNOWLEDGED" && reply["incident"]["acknowledgedBy"] == "ann", "{reply}");
    // Read back no older than the answer.
    let position = reply["position"].as_str().context("a position")?;
    let read = ask(address, "GET", &format!("/api/v1/{name}?minPosition={position}"), "", "")?.json()?;
    ensure!(read == reply["incident"], "{read}");
    // Once, however often it is sent.
    let again =
        command("acknowledge", &json!({"actor": "ann", "request_id": "r1", "etag": old, "name": name}))?.json()?;
    ensure!(again["incident"]["revision"] == reply["incident"]["revision"], "{again}");
    let aborted = command("assign", &json!({"actor": "ann", "assignee": "bob", "etag": old}))?;
    ensure!((aborted.status, &aborted.json()?["error"]["status"]) == (409, &json!("ABORTED")), "{}", aborted.text);
    let state = command("setState", &json!({"actor": "ann", "state": "ON_HOLD"}))?.json()?;
    ensure!(state["incident"]["state"] == "ON_HOLD", "{state}");
    let ticket = json!({"ticket": {"system": "servicenow", "key": "INC1", "url": "https://example.com/INC1"}});
    ensure!(command("linkTicket", &ticket)?.json()?["incident"]["tickets"] == json!([ticket["ticket"]]));
    Ok(())
}

fn refusals(address: SocketAddr) -> anyhow::Result<()> {
    let incident = ask(address, "GET", "/api/v1/incidents", "", "")?.json()?["incidents"][0]["name"].clone();
    let (name, large) = (format!("/api/v1/{}", incident.as_str().context("a name")?), "x".repeat(70_000));
    let acknowledge = &*format!("{name}:acknowledge");
    let none = "/api/v1/scopes/default/incidents/0000000000000000";
    let in_body = format!("{{\"comment\": \"{large}\"}}");
    for (method, path, body, status, code, part) in [
        ("GET", "/nowhere", "", 404, "NOT_FOUND", "there is nothing at /nowhere"),
        ("GET", none, "", 404, "NOT_FOUND", "there is no incident"),
        ("GET", "/api/v1/scopes/default/incidents/%FF", "", 404, "NOT_FOUND", "there is nothing at"),
        ("POST", &*format!("{name}:frobnicate"), "{}", 404, "NOT_FOUND", "no verb `frobnicate` at"),
        ("POST", &*format!("{name}:frobnicate"), "{}", 404, "NOT_FOUND", "one of: acknowledge, assign, "),
        (
            "DELETE",
            "/api/v1/incidents:frobnicate",
            "",
            404,
            "NOT_FOUND",
            "/api/v1/incidents, one of: acknowledgeUpdates, watch",
        ),
        ("GET", "/api/v1/nothing:watch", "", 404, "NOT_FOUND", "there is nothing at"),
        ("DELETE", &*name, "", 405, "UNIMPLEMENTED", "DELETE is not possible"),
        ("GET", acknowledge, "", 405, "UNIMPLEMENTED", "but POST is"),
        ("GET", "/api/v1/incidents?colour=red", "", 400, "INVALID_ARGUMENT", "`colour`"),
        ("GET", "/api/v1/incidents?pageSize=many", "", 400, "INVALID_ARGUMENT", "pageSize"),
        ("GET", "/api/v1/incidents?pageSize=1&page_size=2", "", 400, "INVALID_ARGUMENT", "twice"),
        ("GET", "/api/v1/incidents:watch?now=maybe", "", 400, "INVALID_ARGUMENT", "true or false"),
        ("GET", "/api/v1/incidents:watch?now=true&beginning=true", "", 400, "INVALID_ARGUMENT", "from"),
        ("GET", "/api/v1/incidents:watch?cursor=x", "", 400, "INVALID_ARGUMENT", "cursor: malformed"),
        ("GET", "/api/v1/incidents?filter=colour%3D1", "", 400, "INVALID_ARGUMENT", "filter: at character 1"),
        ("GET", "/api/v1/incidents?filter=colour%3D1", "", 400, "INVALID_ARGUMENT", "google.rpc.BadRequest"),
        ("POST", acknowledge, "{\"colour\": 1}", 400, "INVALID_ARGUMENT", "colour"),
        ("POST", acknowledge, "{\"actor\": 1}", 400, "INVALID_ARGUMENT", "actor"),
        ("POST", acknowledge, "{\"actor\": ", 400, "INVALID_ARGUMENT", "not readable as JSON"),
        ("POST", acknowledge, "[]", 400, "INVALID_ARGUMENT", "an object is expected"),
        ("POST", acknowledge, "{\"name\": \"scopes/x/incidents/1\"}", 400, "INVALID_ARGUMENT", "`name` is given twice"),
        ("POST", &*format!("{acknowledge}?actor=ann"), "{}", 400, "INVALID_ARGUMENT", "belongs into the body"),
        ("POST", &*format!("{name}:setState"), "{\"state\": \"GREEN\"}", 400, "INVALID_ARGUMENT", "state"),
        ("POST", acknowledge, &*in_body, 413, "INVALID_ARGUMENT", "server.body_max"),
    ] {
        let answer = ask(address, method, path, "", body)?;
        let error = &answer.json()?["error"];
        let what = format!("{method} {path}: {} {}", answer.status, answer.text);
        ensure!(answer.status == status && error["code"] == status && error["status"] == code, "{what}");
        ensure!(error["details"].is_array() && answer.text.contains(part), "{what}");
    }
    let allowed = ask(address, "DELETE", &name, "", "")?.head.to_ascii_lowercase();
    ensure!(allowed.contains("allow: get, head\r\n"), "{allowed}");
    // The doors beside it are as they were.
    ensure!(ask(address, "GET", "/api/v1/events", "", "")?.status == 405 && get(address, "/live")?.0 == 200);
    // A page of another site commands nothing.
    for (headers, status) in [
        ("Sec-Fetch-Site: cross-site\r\n", 403),
        ("Origin: https://elsewhere.example\r\n", 403),
        ("Origin: http://quell\r\n", 200),
        ("Sec-Fetch-Site: same-origin\r\nOrigin: http://behind-a-proxy\r\n", 200),
    ] {
        ensure!(ask(address, "POST", acknowledge, headers, "{\"actor\": \"ann\"}")?.status == status, "{headers}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_is_flushed_and_a_client_that_leaves_frees_its_feed() -> anyhow::Result<()> {
    let directory = site(0)?;
    let config = Config::load(Some(&directory.path().join("quell.toml")))?;
    let app = App::start(&config, Membership::Group).await?;
    app.api.until_ready().await?;
    let (address, feeds, all) = (app.address, app.api.feeds.clone(), config.server.feeds_max);
    let watched = tokio::task::spawn_blocking(move || -> anyhow::Result<()> {
        let watch = |from: &str| -> anyhow::Result<BufReader<TcpStream>> {
            let mut stream = TcpStream::connect(address)?;
            stream.set_read_timeout(Some(Duration::from_secs(20)))?;
            write!(stream, "GET /api/v1/incidents:watch?{from} HTTP/1.1\r\nHost: quell\r\n\r\n")?;
            Ok(BufReader::new(stream))
        };
        let first = |mut reader: BufReader<TcpStream>, part: &str| -> anyhow::Result<BufReader<TcpStream>> {
            let mut line = String::new();
            while !line.contains(part) {
                line.clear();
                ensure!(reader.read_line(&mut line)? > 0, "the stream ended");
            }
            Ok(reader)
        };
        // The head comes before the first message, each message as it comes.
        let quiet = first(watch("now=true")?, "x-ndjson")?;
        outage(address)?;
        let told = first(quiet, "default-1")?;
        let other = first(watch("beginning=true")?, "default-1")?;
        ensure!(feeds.available_permits() == all - 2);
        drop((told, other));
        until(|| Ok(feeds.available_permits() == all))
            .with_context(|| format!("{} feeds are still held", all - feeds.available_permits()))
    })
    .await?;
    watched?;
    app.stop().await;
    Ok(())
}

/// Who sends more than is folded, or more than there is room for, is told when to come again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overloaded_door_puts_off() -> anyhow::Result<()> {
    let directory = site(0)?;
    let path = directory.path().join("quell.toml");
    let config =
        fs::read_to_string(&path)?.replace("64 KiB\"", "64 KiB\"\nin_flight_max = \"64 KiB\"\nrequest_max = \"2s\"");
    fs::write(&path, config)?;
    let app = App::start(&Config::load(Some(&path))?, Membership::Group).await?;
    app.api.until_ready().await?;
    let (address, progress) = (app.address, app.api.shared.progress.clone());
    let put_off = move |event: &str| -> anyhow::Result<bool> {
        let answer = ask(address, "POST", "/api/v1/events", "", event)?;
        if answer.status == 200 {
            return Ok(false);
        }
        ensure!(
            answer.status == 503 && answer.head.to_ascii_lowercase().contains("\r\nretry-after: 1\r\n"),
            "{}",
            answer.head
        );
        ensure!(answer.text.contains("send it again, with the same ids"), "{}", answer.text);
        Ok(true)
    };
    let event = json!({"time": T0, "entity": "db-1", "check": "latency", "severity": "critical"}).to_string();
    let told = event.clone();
    let bytes = tokio::task::spawn_blocking(move || -> anyhow::Result<()> {
        // One whose body does not come holds all the room there is, but not for ever.
        let mut slow = TcpStream::connect(address)?;
        slow.set_read_timeout(Some(Duration::from_secs(20)))?;
        slow.write_all(
            b"POST /api/v1/events HTTP/1.1\r\nHost: q\r\nContent-Length: 65536\r\nExpect: 100-continue\r\n\r\n",
        )?;
        // It is asked for its body once it has its room.
        let mut lines = BufReader::new(slow).lines();
        let mut answer = || lines.next().context("an answer")?.map_err(anyhow::Error::from);
        ensure!(answer()? == "HTTP/1.1 100 Continue" && answer()?.is_empty());
        ensure!(put_off(&told)?);
        let first = answer()?;
        ensure!(first.starts_with("HTTP/1.1 503"), "{first}");
        ensure!(post(address, "/api/v1/events", told.as_bytes())?.0 == 200, "there is room again");
        Ok(())
    });
    bytes.await??;
    // What is appended and never folded makes a tail.
    (0..2).for_each(|partition| progress.appended(partition, u64::MAX / 2));
    let told = event.clone();
    tokio::task::spawn_blocking(move || until(|| put_off(&told))).await??;
    let mut client = QuellClient::connect(format!("http://{address}")).await?;
    let messages = futures::stream::iter([PublishEventsRequest { events: vec![event] }]);
    let status = client.publish_events(messages).await.err().context("it is put off")?;
    ensure!(status.code() == tonic::Code::Unavailable && status.get_details_retry_info().is_some(), "{status:?}");
    let page = tokio::task::spawn_blocking(move || get(address, "/metrics")).await??.1;
    for line in [
        "quell_door_overloaded_total{reason=\"bytes\"} 1",
        "quell_door_overloaded_total{reason=\"slow\"} 1",
        "quell_door_overloaded_total{reason=\"tail\"} 2",
        "quell_http_events_unavailable_total 1",
        "quell_grpc_events_unavailable_total 1",
    ] {
        ensure!(page.lines().any(|it| it == line), "{line}\n{page}");
    }
    app.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_that_is_too_old_says_how_to_go_on() -> anyhow::Result<()> {
    let directory = site(0)?;
    let app = App::start(&Config::load(Some(&directory.path().join("quell.toml")))?, Membership::Group).await?;
    app.api.until_ready().await?;
    let address = app.address;
    let watch = move |from: &str| -> anyhow::Result<Vec<Value>> {
        let text = ask(address, "GET", &format!("/api/v1/incidents:watch?until_caught_up=true&{from}"), "", "")?.text;
        text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    };
    let first = tokio::task::spawn_blocking(move || {
        outage(address)?;
        watch("beginning=true")
    });
    let cursor = first.await??[0]["cursor"].as_str().context("a cursor")?.to_owned();
    let (commented, log) = (cursor.clone(), app.api.shared.log.clone());
    tokio::task::spawn_blocking(move || -> anyhow::Result<()> {
        let incident = ask(address, "GET", "/api/v1/incidents", "", "")?.json()?["incidents"][0]["name"].clone();
        let path = format!("/api/v1/{}:comment", incident.as_str().context("a name")?);
        ensure!(ask(address, "POST", &path, "", "{\"comment\": \"seen\", \"actor\": \"ann\"}")?.status == 200);
        ensure!(watch(&format!("cursor={commented}"))?.len() == 1);
        Ok(())
    })
    .await??;
    for partition in 0..2 {
        let end = log.extent(Topic::Incidents, partition).await?.end;
        log.trim(Topic::Incidents, partition, end).await?;
    }
    let told = tokio::task::spawn_blocking(move || watch(&format!("cursor={cursor}"))).await??;
    let error = &told.last().context("an error")?["error"];
    ensure!(error["status"] == "OUT_OF_RANGE" && error.to_string().contains("CURSOR_TOO_OLD"), "{error}");
    ensure!(error.to_string().contains("Watch from `now`"), "{error}");
    let now = tokio::task::spawn_blocking(move || watch("now=true")).await??;
    ensure!(now.len() == 1 && now[0]["snapshot"] == true, "{now:?}");
    app.stop().await;
    Ok(())
}

#[test]
fn the_description_is_well_formed() -> anyhow::Result<()> {
    let document = rest::description()?;
    let mut ids = BTreeMap::new();
    for (method, path, operation) in operations(&document) {
        ensure!(METHODS.contains(&&*method), "{method}");
        let id = operation["operationId"].as_str().context("an operationId")?.to_owned();
        ensure!(ids.insert(id.clone(), path.clone()).is_none(), "{id} stands twice");
        let mut declared = BTreeSet::new();
        for parameter in operation["parameters"].as_array().context("parameters")? {
            let place = (parameter["in"].as_str(), parameter["name"].as_str().context("a name")?);
            ensure!(parameter["schema"].is_object(), "{id}: {parameter}");
            ensure!(declared.insert(place), "{id}: {place:?} stands twice");
        }
        let in_path = declared.iter().filter(|(at, _)| *at == Some("path")).map(|(_, name)| *name);
        let in_text = path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
        ensure!(in_path.collect::<BTreeSet<_>>() == in_text.collect(), "{id}: the parameters of {path}");
        ensure!(operation["responses"]["200"]["description"].is_string(), "{id}");
    }
    // A method is described, and what is described is a method.
    let first: BTreeSet<String> = ids.keys().map(|id| id.split("By").next().unwrap_or(id).to_owned()).collect();
    let beside: BTreeSet<String> = PLACES.iter().map(|place| place.id.to_owned()).collect();
    ensure!(first == bound().union(&beside).cloned().collect(), "{first:?}");
    let components = document["components"]["schemas"].as_object().context("schemas")?;
    let well = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    ensure!(components.keys().all(|name| well(name)));
    let mut referred = BTreeSet::new();
    references(&document, &mut referred);
    for reference in &referred {
        let at = reference.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
        ensure!(at.is_some_and(Value::is_object), "{reference} leads nowhere");
    }
    ensure!(referred.len() == components.len(), "a schema that nothing refers to");
    let described = &document["components"]["schemas"]["Incident"]["properties"]["number"]["description"];
    ensure!(*described == "For people: `payments-1042`.", "the comments of the proto files: {described}");
    let topology = document["components"]["schemas"]["Topology"]["properties"]["json"]["description"].as_str();
    ensure!(topology.is_some_and(|text| text.contains("deploy/TOPOLOGY.md")), "{topology:?}");
    // The canonical event, by its manual.
    let event = &document["components"]["schemas"]["Event"];
    let fields: BTreeSet<&str> =
        event["properties"].as_object().context("fields")?.keys().map(String::as_str).collect();
    ensure!(fields == manual::fields().map(|row| row.field).collect(), "{fields:?}");
    ensure!(event["required"] == json!(["time", "entity", "check"]), "{}", event["required"]);
    Ok(())
}

fn references(value: &Value, all: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            all.extend(object.get("$ref").and_then(Value::as_str).map(str::to_owned));
            object.values().for_each(|value| references(value, all));
        }
        Value::Array(list) => list.iter().for_each(|value| references(value, all)),
        _ => {}
    }
}
