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
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
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

/// Plays a recording, fast; what it came to, and what it told.
async fn played(recording: Recording) -> std::result::Result<(Played, String), Box<dyn Error>> {
    let captured = Captured::default();
    let options = Options { speed: Some(1_000.0), forever: false, listen: Some("127.0.0.1:0".parse()?) };
    let mut screen = Screen::Plain(Box::new(captured.clone()));
    let played = play(recording, &options, &mut screen, std::future::pending()).await?.ok_or("it was stopped")?;
    let told = captured.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok((played, String::from_utf8(told)?))
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
