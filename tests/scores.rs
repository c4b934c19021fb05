//! Samples through the journal are scored as by `quell score`: the alert of a series opens with the first sample of which one of the
//! two numbers reaches `score.speak_at`, and no earlier. (From there on nothing is learned as usual while it is open.)
use anyhow::{Context as _, ensure};
use quell_tests::process::quell_ok;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs};
use tempfile::TempDir;

/// 2026-01-05T00:00:00Z, a Monday, in seconds.
const T0: i64 = 1_767_571_200;
const SERIES: usize = 18;
/// A day and a half of minutes.
const SAMPLES: usize = 2_160;

/// Noise around a level, with a day's wave, and in most of them a jump, a new level or a silence of the wave.
fn series(n: usize) -> Vec<f64> {
    let mut random = StdRng::seed_from_u64(n as u64);
    let begin = random.random_range(600..SAMPLES - 100);
    let mut walk = 0.0;
    (0..SAMPLES)
        .map(|minute| {
            let noise: f64 = (0..6).map(|_| random.random_range(-1.0..1.0)).sum();
            walk = 0.9 * walk + noise;
            let wave = (minute as f64 / 1_440.0 * std::f64::consts::TAU).sin();
            match (n % 6, minute >= begin) {
                (0, _) => 50.0 + noise,
                (1, _) => 50.0 + walk,
                (2, true) if minute < begin + 5 => 130.0 + noise,
                (3, true) => 80.0 + noise,
                (4, true) => 100.0,
                (4, false) => 100.0 + 60.0 * wave + noise,
                (5, _) => (5.0 + noise).max(0.0).round() + if minute == begin { 40.0 } else { 0.0 },
                _ => 50.0 + noise,
            }
        })
        .collect()
}

#[test]
fn a_sample_through_the_journal_scores_as_on_the_command_line() -> anyhow::Result<()> {
    let directory = TempDir::new()?;
    let path = |name: &str| directory.path().join(name).display().to_string();
    let all: Vec<Vec<f64>> = (0..SERIES).map(series).collect();
    let mut expected = BTreeMap::new();
    for (n, values) in all.iter().enumerate() {
        let row = |(minute, value): (usize, &f64)| format!("{},{value}\n", T0 + 60 * minute as i64);
        let rows: String = values.iter().enumerate().map(row).collect();
        fs::write(path("series.csv"), format!("timestamp,value\n{rows}"))?;
        let scored = quell_ok(&["score", &path("series.csv")])?;
        ensure!(scored.lines().count() == SAMPLES + 1);
        for line in scored.lines().skip(1) {
            let columns: Vec<&str> = line.split(',').collect();
            if columns[2].parse::<f64>()? >= 0.5 || columns[3].parse::<f64>()? >= 0.5 {
                expected.insert(format!("host-{n}"), columns[0].parse::<i64>()?);
                break;
            }
        }
    }
    let mut events = String::new();
    for minute in 0..SAMPLES {
        for (n, values) in all.iter().enumerate() {
            let event = json!({"kind": "sample", "id": format!("{n}-{minute}"), "time": (T0 + 60 * minute as i64) * 1_000,
                "origin": "test", "entity": format!("host-{n}"), "check": "load", "value": values[minute]});
            events += &format!("{event}\n");
        }
    }
    fs::write(path("events.jsonl"), events)?;
    quell_ok(&["replay", "--events", &path("events.jsonl"), "--out", &path("out")])?;
    let mut opened: BTreeMap<String, i64> = BTreeMap::new();
    for line in fs::read_to_string(directory.path().join("out/alerts.jsonl"))?.lines() {
        let alert: Value = serde_json::from_str(line)?;
        let text = |key: &str| alert[key].as_str().map(ToOwned::to_owned).context("a text");
        if text("check")? == "load unusual" {
            let at: jiff::Timestamp = text("opened_at")?.parse()?;
            let first = opened.entry(text("entity")?).or_insert(at.as_second());
            *first = at.as_second().min(*first);
        }
    }
    ensure!(expected.len() > SERIES / 3 && expected.len() < SERIES, "{expected:?}");
    ensure!(opened == expected, "{opened:?}\n{expected:?}");
    Ok(())
}
