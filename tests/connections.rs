//! What comes to the port and is no request that means well: messages that are none, heads without an end, streams that are taken
//! back. The answers are those of `connectors/BAD_INPUTS.md`.
use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use prost::Message as _;
use quell_connectors::decode::Format;
use quell_proto::v1::PublishEventsRequest;
use quell_proto::v1::quell_client::QuellClient;
use quell_tests::{
    bad_inputs::{input, rows},
    process::{Quell, Site},
};
use std::{
    future::poll_fn,
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};
use tonic::{
    Code,
    body::Body,
    codegen::{Service as _, http},
    transport::Channel,
};

const DOCUMENT: &str = include_str!("../connectors/BAD_INPUTS.md");
const PUBLISH: &str = "/quell.v1.Quell/PublishEvents";
const EVENT: &str = r#"{"time":"2026-01-05T00:00:00Z","entity":"e","check":"c"}"#;
/// HTTP/2's preface, and settings that are the defaults.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

const HEAD_MAX: Duration = Duration::from_secs(1);
/// What who writes or reads hears of a connection that the other side has closed.
const CLOSED: [ErrorKind; 3] = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];

struct Running {
    _site: Site,
    quell: Quell,
}

impl Running {
    fn new(server: &str) -> anyhow::Result<Self> {
        let site = Site::new("", &format!("{server}[journal]\npartitions = 2"))?;
        Ok(Self { quell: site.run()?, _site: site })
    }

    async fn channel(&self) -> anyhow::Result<Channel> {
        Ok(Channel::from_shared(format!("http://{}", self.quell.address))?.connect().await?)
    }

    fn connect(&self) -> anyhow::Result<TcpStream> {
        let stream = TcpStream::connect(self.quell.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(stream)
    }
}

/// The table under a heading.
fn table(heading: &str) -> anyhow::Result<Vec<(&'static str, &'static str)>> {
    let (_, chapter) = DOCUMENT.split_once(&format!("\n## {heading}\n")).context("a chapter")?;
    let chapter = chapter.split_once("\n## ").map_or(chapter, |(chapter, _)| chapter);
    Ok(rows(chapter, 1).into_iter().map(|row| (row.input, row.answers[0])).collect())
}

/// A frame of gRPC: whether it is compressed, its length, and what follows.
fn frame(compressed: u8, length: u32, message: &[u8]) -> Vec<u8> {
    [&[compressed], &length.to_be_bytes()[..], message].concat()
}

/// A field with this number and wire type.
const fn tag(field: u8, wire: u8) -> u8 {
    field << 3 | wire
}

async fn ask(channel: &mut Channel, request: http::Request<Body>) -> anyhow::Result<http::Response<Body>> {
    poll_fn(|cx| channel.poll_ready(cx)).await?;
    Ok(channel.call(request).await?)
}

async fn call(channel: &mut Channel, path: &str, body: Vec<u8>) -> anyhow::Result<Code> {
    let request = http::Request::post(path).header("content-type", "application/grpc").header("te", "trailers");
    let encoding = if body.first() == Some(&1) { "gzip" } else { "identity" };
    let request = request.header("grpc-encoding", encoding);
    let response = ask(channel, request.body(Body::new(Full::new(Bytes::from(body))))?).await?;
    let (parts, body) = response.into_parts();
    let whole = body.collect().await?;
    let status = parts.headers.get("grpc-status").or_else(|| whole.trailers()?.get("grpc-status"));
    Ok(Code::from_bytes(status.context("a status")?.as_bytes()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_are_none() -> anyhow::Result<()> {
    let site = Running::new("")?;
    let mut channel = site.channel().await?;
    let good = PublishEventsRequest { events: vec![EVENT.to_owned()] }.encode_to_vec();
    let with = |more: &[u8]| [&good[..], more].concat();
    let text = |length: &[u8], text: &[u8]| [&[tag(1, 2)], length, text].concat();
    let groups = [vec![tag(9, 3); 10_000], vec![tag(9, 4); 10_000]].concat();
    for (name, answer) in table("gRPC")? {
        let (path, body) = match name {
            "an unknown field" => (PUBLISH, Some(with(&[tag(9, 0), 1]))),
            "a field of another wire type" => (PUBLISH, Some(with(&[tag(1, 0), 1]))),
            "a message cut off in the middle" => (PUBLISH, Some(good[..good.len() - 3].to_vec())),
            "a text of 2 GB, by its length" => (PUBLISH, Some(with(&text(&[0xff, 0xff, 0xff, 0xff, 7], b"{}")))),
            "groups 10,000 deep" => (PUBLISH, Some(with(&groups))),
            "a text that is not UTF-8" => (PUBLISH, Some(with(&text(&[2], b"\xff\xfe")))),
            "a frame of 2 GB, by its length" | "a compressed frame" => (PUBLISH, None),
            "a service that is not there" => ("/quell.v1.Nobody/Call", Some(Vec::new())),
            other => anyhow::bail!("no message is called `{other}`"),
        };
        let length = |message: &[u8]| u32::try_from(message.len()).unwrap_or(u32::MAX);
        let body = match body {
            Some(message) => frame(0, length(&message), &message),
            None if name == "a compressed frame" => frame(1, length(&good), &good),
            None => frame(0, 0x7fff_ffff, &good),
        };
        let code = tokio::time::timeout(Duration::from_secs(10), call(&mut channel, path, body)).await?;
        let code = format!("{:?}", code.with_context(|| name.to_owned())?);
        ensure!(code.to_uppercase() == answer.replace('_', ""), "{name}: {code} instead of {answer}");
    }
    // The connection is as good as before, and what was well formed was taken.
    ensure!(call(&mut channel, PUBLISH, frame(0, good.len() as u32, &good)).await? == Code::Ok);
    ensure!(site.quell.metric("quell_grpc_events_taken_total")? == 2.0);
    Ok(())
}

/// Its answer is not lost because the sender goes on: what still comes is read for a moment before the connection ends.
#[test]
fn who_sends_slowly_hears_that_the_body_is_too_large() -> anyhow::Result<()> {
    let site = Running::new("body_max = \"64 KiB\"\n")?;
    let mut stream = site.connect()?;
    stream.write_all(b"POST /api/v1/events HTTP/1.1\r\nHost: quell\r\nContent-Length: 10000000\r\n\r\n")?;
    for _ in 0..5 {
        stream.write_all(&[b' '; 16 * 1024]).context("it is cut off")?;
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    Ok(())
}

/// The tables of the formats, with the answers of HTTP.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_are_bad() -> anyhow::Result<()> {
    let site = Running::new("")?;
    let mut client = QuellClient::new(site.channel().await?);
    let (mut wrong, mut played) = (Vec::new(), 0);
    for row in rows(DOCUMENT, Format::ALL.len()) {
        let place = Format::ALL.iter().position(|format| *format == Format::Canonical).context("a column")?;
        let Ok(event) = String::from_utf8(input(Format::Canonical, row.input)) else { continue };
        // A neighbour on each side, which it must not take with it.
        let events = vec![EVENT.to_owned(), event, EVENT.to_owned()];
        let messages = futures::stream::iter([PublishEventsRequest { events }]);
        let told = client.publish_events(messages).await.with_context(|| row.input.to_owned())?.into_inner();
        let reasons: Vec<_> = told.refused.iter().map(|refused| (refused.index, &*refused.reason)).collect();
        let well = match (row.answers[place].strip_prefix("refused: "), &reasons[..]) {
            (None, []) => told.accepted == 3,
            (Some(words), [(1, reason)]) => {
                told.accepted == 2 && reason.contains(words) && !reason.chars().any(char::is_control)
            }
            _ => false,
        };
        if !well {
            wrong.push(format!("{}: {told:?}\n  instead of {}", row.input, row.answers[place]));
        }
        played += 1;
    }
    ensure!(wrong.is_empty() && played > 45, "{played}: {}", wrong.join("\n"));
    Ok(())
}

/// What is read until the other side closes.
fn until_closed(stream: &mut TcpStream) -> anyhow::Result<Vec<u8>> {
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(all),
            Ok(n) => all.extend_from_slice(&buffer[..n]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(all),
            Err(error) => return Err(error).context("it stays open"),
        }
    }
}

/// The frames of HTTP/2 in it: type and payload.
fn frames(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [a, b, c, kind, _, _, _, _, _, rest @ ..] = bytes {
        let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        let (payload, rest) = rest.split_at(length.min(rest.len()));
        frames.push((*kind, payload.to_vec()));
        bytes = rest;
    }
    frames
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_come_to_no_point() -> anyhow::Result<()> {
    let site = Running::new(&format!("head_max = \"{}s\"\n", HEAD_MAX.as_secs()))?;
    for (name, answer) in table("Connections")? {
        let sent: &[u8] = match name {
            "nothing is sent" => b"",
            "half of HTTP/2's preface" => b"PRI * HTTP/2.0",
            "half of a head" => b"GET /live HTTP/1.1\r\nHost: quell\r\nX: a",
            "nothing more is asked for over HTTP/1" => b"GET /live HTTP/1.1\r\nHost: quell\r\n\r\n",
            "a head of 100 KB over HTTP/2" => {
                let request = http::Request::get("/live").header("x", "x".repeat(100_000));
                let response = ask(&mut site.channel().await?, request.body(Body::empty())?).await?;
                ensure!(response.status().as_str() == answer, "{name}: {}", response.status());
                continue;
            }
            "1,000 requests over HTTP/2 that are taken back" => {
                taken_back(&site)?;
                continue;
            }
            "one more than `server.connections_max`" => {
                one_more()?;
                continue;
            }
            other => anyhow::bail!("no connection is called `{other}`"),
        };
        // Before it is taken, and so before its time begins.
        let since = Instant::now();
        let mut stream = site.connect()?;
        stream.write_all(sent)?;
        let told = tokio::task::block_in_place(|| until_closed(&mut stream)).with_context(|| name.to_owned())?;
        let answered = told.starts_with(b"HTTP/1.1 200");
        ensure!(answered == (name == "nothing more is asked for over HTTP/1"), "{name}: {told:?}");
        ensure!(since.elapsed() >= HEAD_MAX, "{name}: {:?}", since.elapsed());
        ensure!(answer == "closed after `server.head_max`", "{name}");
    }
    site.quell.metric_becomes("quell_connections", 1.0).context("the one that asks")?;
    // Who follows has asked for something.
    let mut follower = site.connect()?;
    follower.set_read_timeout(Some(Duration::from_secs(3)))?;
    follower.write_all(b"GET /api/v1/incidents:watch HTTP/1.1\r\nHost: quell\r\n\r\n")?;
    let open = tokio::task::block_in_place(|| until_closed(&mut follower));
    ensure!(open.is_err_and(|error| error.to_string() == "it stays open"));
    Ok(())
}

fn taken_back(site: &Running) -> anyhow::Result<()> {
    let mut stream = site.connect()?;
    let mut bytes = PREFACE.to_vec();
    for id in (1..2_000_u32).step_by(2).map(u32::to_be_bytes) {
        // GET http://…/ in HPACK's static table, as a whole request; and CANCEL.
        bytes.extend([&[0, 0, 3, 1, 5][..], &id, &[0x82, 0x86, 0x84], &[0, 0, 4, 3, 0], &id, &[0, 0, 0, 8]].concat());
    }
    // It may be closed while it is being written.
    let _ = stream.write_all(&bytes);
    let told = until_closed(&mut stream)?;
    let frames = frames(&told);
    let (_, settings) = frames.first().context("settings")?;
    let setting = |id: u16| {
        let found = settings.chunks_exact(6).find(|it| it[..2] == id.to_be_bytes())?;
        Some(u32::from_be_bytes(found[2..].try_into().ok()?))
    };
    ensure!((setting(3), setting(6)) == (Some(200), Some(64 * 1024)), "streams and heads: {settings:?}");
    let away = frames.iter().find(|(kind, _)| *kind == 7).context("GOAWAY")?;
    ensure!(away.1[4..8] == [0, 0, 0, 11], "ENHANCE_YOUR_CALM: {away:?}");
    Ok(())
}

/// A connection that has been answered on, and stays; `None` where it was one too many.
fn taken(site: &Running) -> anyhow::Result<Option<TcpStream>> {
    let mut stream = site.connect()?;
    let mut answer = [0; 12];
    let request = b"GET /live HTTP/1.1\r\nHost: quell\r\n\r\n";
    match stream.write_all(request).and_then(|()| stream.read_exact(&mut answer)) {
        Ok(()) => ensure!(answer == *b"HTTP/1.1 200", "{}", String::from_utf8_lossy(&answer)),
        Err(error) if CLOSED.contains(&error.kind()) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    Ok(Some(stream))
}

fn one_more() -> anyhow::Result<()> {
    let site = Running::new("connections_max = 2\n")?;
    let (mut kept, mut refused) = (Vec::new(), 0);
    // That which heard that it is ready may still count.
    while kept.len() < 2 {
        ensure!(refused < 1_000, "nobody is let in");
        match taken(&site)? {
            Some(stream) => kept.push(stream),
            None => refused += 1,
        }
    }
    ensure!(taken(&site)?.is_none(), "one more");
    drop(kept);
    // They count until their end is seen, and then who asks is one of two.
    let count = loop {
        match site.quell.metric("quell_connections_refused_total") {
            Ok(count) => break count,
            Err(_) => refused += 1,
        }
        ensure!(refused < 1_000, "nobody is let in any more");
        std::thread::sleep(Duration::from_millis(10));
    };
    ensure!(count == f64::from(refused + 1), "{count} of {}", refused + 1);
    Ok(())
}
