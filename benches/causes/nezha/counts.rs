//! How often each statement is logged and each operation runs, against how often by what its service does at all: so a
//! statement that vanishes shows.
use super::{Key, Pods, Span, Worst, service};
use crate::detect::poisson;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Letters of a line that tell its statement.
const TEMPLATE_MAX: usize = 80;
/// Fewer minutes do not tell how much a count usually varies,
const MINUTES_MIN: usize = 8;
/// which is this much, then.
const DISPERSION: f64 = 2.0;

/// By minute.
type Minutes = BTreeMap<i64, f64>;

/// What is counted of one thing.
struct Count {
    service: String,
    check: &'static str,
    name: String,
    minutes: Minutes,
}

/// Counts of one kind.
pub struct Counts {
    word: &'static str,
    all: Vec<Count>,
    /// Places of `all` by service and name.
    places: BTreeMap<(String, String), usize>,
    /// All that a service did.
    totals: BTreeMap<String, Minutes>,
    minutes: BTreeSet<i64>,
}

#[derive(Deserialize)]
struct Line {
    file_minute: i64,
    pod: String,
    level: Option<String>,
    msg: String,
}

impl Counts {
    const fn new(word: &'static str) -> Self {
        Self { word, all: Vec::new(), places: BTreeMap::new(), totals: BTreeMap::new(), minutes: BTreeSet::new() }
    }

    /// Of operations.
    pub fn of_spans(spans: &[Span<'_>]) -> Self {
        let mut counts = Self::new("op");
        for span in spans {
            let is_error = span.operation.to_lowercase().contains("error");
            counts.add((span.callee, span.operation), is_error, span.minute, span.count);
        }
        counts
    }

    /// Of log statements.
    pub fn of_logs(text: &str) -> anyhow::Result<Self> {
        let mut counts = Self::new("log");
        for line in text.lines() {
            let line: Line = serde_json::from_str(line)?;
            let level = line.level.unwrap_or_default().to_uppercase();
            let is_error = matches!(&*level, "ERROR" | "FATAL" | "CRITICAL");
            let name = format!("{level} {}", template(&line.msg));
            counts.add((service(&line.pod), &name), is_error, line.file_minute, 1.0);
        }
        Ok(counts)
    }

    fn add(&mut self, (service, name): (&str, &str), is_error: bool, minute: i64, count: f64) {
        let (service, name) = (service.to_owned(), name.to_owned());
        let check = if is_error { "errors" } else { "pattern" };
        let place = *self.places.entry((service.clone(), name.clone())).or_insert(self.all.len());
        if place == self.all.len() {
            self.all.push(Count { service: service.clone(), check, name, minutes: Minutes::new() });
        }
        *self.all[place].minutes.entry(minute).or_default() += count;
        *self.totals.entry(service).or_default().entry(minute).or_default() += count;
        self.minutes.insert(minute);
    }

    /// What shows of a fault at `at`.
    pub fn look(&self, at: i64, normal: &[i64], pods: &Pods, tell: &mut impl FnMut(&Key, Worst)) {
        let is_learned = |minute: &i64| *minute < at - 60 || normal.contains(minute);
        let past: Vec<i64> = self.minutes.iter().copied().filter(is_learned).collect();
        let now: Vec<i64> = self.minutes.range(at + super::FROM..=at + super::SHOWS).copied().collect();
        let Some(first) = now.first().filter(|_| !past.is_empty()) else { return };
        let sum = |of: &Minutes, minutes: &[i64]| minutes.iter().filter_map(|minute| of.get(minute)).sum::<f64>();
        for count in &self.all {
            let Some(total) = self.totals.get(&count.service) else { continue };
            let (all, usual) = (sum(total, &past), sum(&count.minutes, &past));
            if all == 0.0 {
                continue;
            }
            let share = usual / all;
            let (seen, expected) = (sum(&count.minutes, &now), share * sum(total, &now));
            let off = poisson(seen, expected, dispersion(count, total, &past, share));
            if count.check == "errors" && off < 0.0 {
                continue;
            }
            let name = format!("{} {} {seen} instead of {expected:.1}", self.word, count.name);
            let key = Key { entity: pods.of(&count.service), check: count.check, peer: None };
            tell(&key, Worst { off, at: first - 60, value: seen, name });
        }
    }
}

/// How much more a count varies than by chance.
fn dispersion(count: &Count, total: &Minutes, past: &[i64], share: f64) -> f64 {
    if past.len() < MINUTES_MIN {
        return DISPERSION;
    }
    let of = |map: &Minutes, minute: &i64| map.get(minute).copied().unwrap_or(0.0);
    let active = past.iter().filter(|minute| of(total, minute) > 0.0);
    let squares: Vec<f64> =
        active.map(|minute| poisson(of(&count.minutes, minute), share * of(total, minute), 1.0).powi(2)).collect();
    (squares.iter().sum::<f64>() / squares.len().max(1) as f64).max(1.0)
}

/// The statement of a line: where it was logged, or the line without what has digits.
fn template(message: &str) -> String {
    let first = message.split(' ').next().unwrap_or_default();
    if first.contains('#') {
        return first.to_owned();
    }
    let mut text = String::new();
    for part in message.split_inclusive(char::is_whitespace) {
        let word = part.trim_end_matches(char::is_whitespace);
        let has_digits = word.chars().any(char::is_numeric);
        text.push_str(if has_digits { "*" } else { word });
        text.push_str(&part[word.len()..]);
    }
    text.chars().take(TEMPLATE_MAX).collect()
}
