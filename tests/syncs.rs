//! What is answered is on the disk: syncs are counted between an append and its answer.
#![cfg(target_os = "linux")]
use anyhow::{Context as _, ensure};
use quell_tests::process::{binary, free_port, get, post};
use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

const EVENTS: usize = 20;

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn counted(path: &Path) -> anyhow::Result<u64> {
    let bytes = fs::read(path)?;
    Ok(u64::from_ne_bytes(bytes.try_into().ok().context("the count is 8 bytes")?))
}

/// Waits until nothing syncs any more; the count then.
fn quiet(path: &Path) -> anyhow::Result<u64> {
    let (mut count, mut since) = (counted(path)?, Instant::now());
    let start = since;
    while since.elapsed() < Duration::from_millis(300) {
        ensure!(start.elapsed() < Duration::from_secs(60), "it never stops to sync");
        thread::sleep(Duration::from_millis(5));
        let now = counted(path)?;
        if now != count {
            (count, since) = (now, Instant::now());
        }
    }
    Ok(count)
}

#[test]
fn an_event_is_on_the_disk_before_its_answer() -> anyhow::Result<()> {
    let directory = TempDir::new()?;
    let path = |name: &str| directory.path().join(name);
    fs::write(path("syncs.c"), include_str!("harness/syncs.c"))?;
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(path("syncs.so")).arg(path("syncs.c"));
    ensure!(compiler.arg("-ldl").status()?.success(), "cc failed");
    fs::write(path("count"), 0_u64.to_ne_bytes())?;

    let port = free_port();
    // By the events' clock there are no ticks, whose syncs could be taken for an event's.
    let config = format!(
        "data_dir = {:?}\n[server]\nlisten = \"127.0.0.1:{port}\"\n[journal]\nclock = \"events\"\npartitions = 1\n",
        path("data")
    );
    fs::write(path("quell.toml"), config)?;
    let child = Command::new(binary())
        .arg("run")
        .arg("--config")
        .arg(path("quell.toml"))
        .env("LD_PRELOAD", path("syncs.so"))
        .env("QUELL_SYNCS", path("count"))
        .stdin(Stdio::null())
        .stderr(fs::File::create(path("log"))?)
        .spawn()?;
    let mut child = Killed(child);
    let (address, since) = (([127, 0, 0, 1], port).into(), Instant::now());
    while !get(address, "/ready").is_ok_and(|(status, _)| status == 200) {
        let ended = child.0.try_wait()?.is_some() || since.elapsed() > Duration::from_secs(60);
        ensure!(!ended, "quell is not ready: {}", fs::read_to_string(path("log"))?);
        thread::sleep(Duration::from_millis(10));
    }

    for n in 0..EVENTS {
        let before = quiet(&path("count"))?;
        // A line of a log concludes nothing: no output's sync can be taken for its own.
        let event = format!(
            r#"{{"id": "e{n}", "time": "2026-03-02T00:00:{n:02}Z", "entity": "db-0", "check": "log", "kind": "log"}}"#
        );
        let (status, body) = post(address, "/api/v1/events", event.as_bytes())?;
        let after = counted(&path("count"))?;
        ensure!(status < 300, "event {n}: {status} {body}");
        ensure!(after > before, "event {n} was answered with {status} before anything was synced");
    }
    Ok(())
}
