//! What a replay comes to in numbers.
use super::conclusions::Conclusions;
use quell_core::{domain::incident::State, ledger::Outcome};
use serde::Serialize;
use std::{collections::BTreeMap, fmt::Write as _};

/// `summary.json`.
#[derive(Serialize)]
pub struct Summary {
    events: Events,
    alerts: Alerts,
    episodes: usize,
    incidents: Incidents,
    /// 1 less the incidents' share of the events.
    noise_reduction: f64,
    /// Events by outcome.
    ledger: BTreeMap<&'static str, u64>,
    /// A hash of the conclusions, in hexadecimal digits.
    digest: String,
}

#[derive(Serialize)]
struct Events {
    received: u64,
    /// With another origin or id than any before.
    distinct: usize,
    /// After the end of time: not folded.
    after_until: u64,
}

#[derive(Serialize)]
struct Alerts {
    opened: usize,
    /// Still.
    open: usize,
}

#[derive(Serialize)]
struct Incidents {
    announced: usize,
    /// Still.
    open: usize,
    resolved: usize,
    closed: usize,
}

impl Conclusions {
    /// In numbers.
    pub fn summary(&self, digest: u64) -> Summary {
        let are = |state| self.incidents.iter().filter(|record| record.update.incident.state == state).count();
        let mut ledger: BTreeMap<_, _> =
            Outcome::ALL.into_iter().map(|o| (o.name(), self.ledger[o as usize])).collect();
        ledger.insert("held", self.held);
        Summary {
            events: Events { received: self.received(), distinct: self.rows.len(), after_until: self.beyond },
            alerts: Alerts {
                opened: self.alerts.len(),
                open: self.alerts.iter().filter(|record| record.alert.open).count(),
            },
            episodes: self.kept_episodes().count(),
            incidents: Incidents {
                announced: self.incidents.len(),
                open: are(State::New),
                resolved: are(State::Resolved),
                closed: are(State::Closed),
            },
            noise_reduction: ((1.0 - self.share(self.incidents.len() as u64)) * 1e6).round() / 1e6,
            ledger,
            digest: format!("{digest:016x}"),
        }
    }

    /// Events that came, each once in the ledger.
    fn received(&self) -> u64 {
        self.ledger.iter().sum::<u64>() + self.held
    }

    fn share(&self, count: u64) -> f64 {
        if self.received() == 0 { 0.0 } else { count as f64 / self.received() as f64 }
    }

    /// For people, in 80 columns.
    pub fn table(&self) -> String {
        let outcomes = Outcome::ALL.into_iter().map(|outcome| (outcome.name(), self.ledger[outcome as usize]));
        let outcomes = outcomes.chain([("held", self.held)]);
        let line = |table: &mut String, name: &str, count: u64| {
            let percent = format!("{:.2} %", 100.0 * self.share(count));
            let _ = writeln!(table, "{name:<18}{:>16}{percent:>12}", grouped(count));
        };
        let mut table = String::new();
        line(&mut table, "events", self.received());
        line(&mut table, "alerts", self.alerts.len() as u64);
        line(&mut table, "episodes", self.kept_episodes().count() as u64);
        line(&mut table, "incidents", self.incidents.len() as u64);
        let _ = writeln!(table, "\nwhere events went");
        for (name, count) in outcomes.filter(|(_, count)| *count > 0) {
            line(&mut table, &format!("  {}", name.replace('_', " ")), count);
        }
        if self.beyond > 0 {
            let _ = writeln!(table, "\n{} events after --until were left out", grouped(self.beyond));
        }
        table
    }
}

/// `1,234,567`.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (count, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(count), text);
        }
    }

    #[test]
    fn nothing_is_no_division() {
        assert!(Conclusions::default().table().starts_with("events"));
    }
}
