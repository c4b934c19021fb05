//! The demo plays to its end, and what it tells is computed from what is sent.
use quell::demo::{
    play::{Options, Played, play},
    recording::Recording,
    screen::Screen,
};
use quell_proto::v1;
use std::{
    collections::BTreeSet,
    error::Error,
    io::{self, Read as _, Write},
    net::TcpStream,
    process::Command,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

type Result = std::result::Result<(), Box<dyn Error>>;

/// What the demo writes.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Captured {
    fn text(&self) -> std::result::Result<String, Box<dyn Error>> {
        Ok(String::from_utf8(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())?)
    }
}

/// Plays a recording, fast; what it came to, and what it told.
async fn played(recording: Recording) -> std::result::Result<(Played, String), Box<dyn Error>> {
    played_at(recording, 1_000.0).await
}

async fn played_at(recording: Recording, speed: f64) -> std::result::Result<(Played, String), Box<dyn Error>> {
    let captured = Captured::default();
    let options = Options { speed: Some(speed), forever: false, listen: Some("127.0.0.1:0".parse()?) };
    let mut screen = Screen::Plain(Box::new(captured.clone()));
    let played = play(recording, &options, &mut screen, std::future::pending()).await?.ok_or("it was stopped")?;
    Ok((played, captured.text()?))
}

fn alerts(incident: &v1::Incident) -> BTreeSet<(&str, &str)> {
    incident.alerts.iter().map(|alert| (&*alert.entity, &*alert.check)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_is_told_from_its_opening_to_its_end() -> Result {
    let recording = Recording::embedded()?;
    let (sent, (first, last)) = (recording.events.len() as u64, recording.extent());
    let (played, told) = played(recording).await?;
    assert_eq!(played.events, sent, "each event is counted once");
    assert!((2..20).contains(&played.incidents.len()), "{} incidents\n{told}", played.incidents.len());
    // The first may be closed by now.
    let resolved = |i: &v1::Incident| matches!(i.state(), v1::incident::State::Resolved | v1::incident::State::Closed);
    assert!(played.incidents.iter().all(resolved), "{told}");
    let opened = played.incidents[0].opened_at.map_or(0, |at| at.seconds);
    assert!(opened - first.0 / 1_000 < (last - first).0 / 1_000 / 4, "the first incident is in the first quarter");

    assert!(told.chars().all(|c| c == '\n' || !c.is_control()), "a pipe gets no terminal codes");
    assert!(told.lines().all(|line| line.chars().count() <= 100), "{told}");
    let samples = Recording::embedded()?.events.iter().filter(|e| e.line.contains(r#""kind":"sample""#)).count() as u64;
    for (what, n) in [("alert events", sent - samples), ("the other", samples), ("alerts  ", played.alerts)] {
        assert!(told.lines().any(|line| line.contains(what) && line.contains(&n.to_string())), "{what} {n}\n{told}");
    }
    let number = &played.incidents[0].number;
    let place = |what: &str| told.find(what).ok_or_else(|| format!("{what:?} is not told:\n{told}"));
    let opened = place(&format!("opened    {number}: "))?;
    assert!(opened < place(&format!("alert     {number}: "))?);
    assert!(opened < place(&format!("resolved  {number}: "))?);
    for what in
        ["cause     ", "because   ", "health    ", "noise reduction", "quell feed", "/metrics", "/api/v1/events"]
    {
        place(what)?;
    }
    Ok(())
}

/// Each thing is told at its own time, and none is skipped because it came too soon after another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_told_is_the_same_at_any_speed() -> Result {
    let lines = |told: &str| -> Vec<String> {
        let from_then = told.lines().skip_while(|line| !line.starts_with("07:"));
        from_then.take_while(|line| !line.starts_with("The outage")).map(str::to_owned).collect()
    };
    let (fast, slower) = (played_at(Recording::embedded()?, 2_000.0), played_at(Recording::embedded()?, 400.0));
    let (fast, slower) = (lines(&fast.await?.1), lines(&slower.await?.1));
    assert!(fast.iter().filter(|line| line.contains("  health    ")).count() > 40, "{fast:#?}");
    let times: Vec<&str> = fast.iter().map(|line| &line[..8.min(line.len())]).filter(|at| at.contains(':')).collect();
    assert!(times.is_sorted(), "{fast:#?}");
    assert_eq!(fast, slower);
    Ok(())
}

/// What ended can still be looked at, while the doors are open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_open_doors_every_incident_is_still_there() -> Result {
    let captured = Captured::default();
    let options = Options { speed: Some(2_000.0), forever: true, listen: Some("127.0.0.1:0".parse()?) };
    let mut screen = Screen::Plain(Box::new(captured.clone()));
    let (visits, visited) = std::sync::mpsc::channel();
    let visiting = async {
        while !captured.text().is_ok_and(|told| told.contains("What to try next")) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let told = captured.text().unwrap_or_default();
        let visit = tokio::task::spawn_blocking(move || visit(&told).map_err(|error| error.to_string()));
        let _ = visits.send(visit.await);
    };
    assert!(
        play(Recording::embedded()?, &options, &mut screen, visiting).await?.is_none(),
        "it goes on until it is stopped"
    );
    visited.recv()???;
    Ok(())
}

/// Looks at each incident of a demo that has told this.
fn visit(told: &str) -> Result {
    let address =
        told.split_once("http://").and_then(|(_, rest)| rest.split_whitespace().next()).ok_or("an address")?;
    let quell = |words: &[&str]| -> std::result::Result<String, Box<dyn Error>> {
        let server = ["--server", address];
        let output = Command::new(env!("CARGO_BIN_EXE_quell")).args([words, &server].concat()).output()?;
        if output.status.success() { Ok(String::from_utf8(output.stdout)?) } else { Err(format!("{output:?}").into()) }
    };
    let listed = quell(&["incidents", "--all"])?;
    let numbers: Vec<&str> = listed.lines().skip(1).filter_map(|row| row.split(' ').next()).collect();
    let (_, closing) = told.split_once("The outage in short").ok_or("a closing")?;
    let in_table = closing.lines().filter(|line| line.starts_with("  online-boutique-")).count();
    if in_table < 2 || numbers.len() != in_table {
        return Err(format!("{listed}\n{told}").into());
    }
    for number in numbers {
        let why = quell(&["explain", number])?;
        if !why.contains("Why these alerts") {
            return Err(format!("{number}\n{why}").into());
        }
    }
    // An alert is let go of half an hour after its clear: the latest are there.
    if quell(&["alerts", "--all"])?.is_empty() {
        return Err("no alert is left".into());
    }
    // The closing and the server count alike.
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: q\r\nConnection: close\r\n\r\n")?;
    let mut metrics = String::new();
    stream.read_to_string(&mut metrics)?;
    let counted = metrics.lines().find_map(|line| line.strip_prefix("quell_alerts_opened_total ")).map(str::trim);
    let told = closing.lines().find_map(|line| line.strip_prefix("  alerts  ")?.split_whitespace().next());
    if told.is_none() || told != counted {
        return Err(format!("{counted:?}\n{closing}").into());
    }
    if closing.contains(&format!("quell explain online-boutique-1 --server {address}")) {
        Ok(())
    } else {
        Err(closing.into())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_roots_alerts_the_incident_and_its_cause_are_others() -> Result {
    let whole = Recording::embedded()?;
    let mut rootless = whole.clone();
    let is_root =
        |event: &str| event.contains(r#""service":"recommendationservice""#) && !event.contains(r#""kind":"sample""#);
    rootless.events.retain(|event| !is_root(&event.line));
    assert!(rootless.events.len() < whole.events.len(), "the first fault's root has alerts");

    let ((whole, _), (rootless, _)) = (played(whole).await?, played(rootless).await?);
    let (with, without) = (&whole.incidents[0], &rootless.incidents[0]);
    let root = with.causes.first().ok_or("no cause")?;
    assert!(root.entity.contains("recommendationservice"), "{root:?}");
    assert_ne!(alerts(with), alerts(without));
    let other = without.causes.first().ok_or("no cause")?;
    assert!(!other.entity.contains("recommendationservice"), "{other:?}");
    Ok(())
}
