//! What kind of trouble a check tells of, by the words of its name: how far it spreads depends on that.
use quell_models::templates::Skeleton;
use serde::{Deserialize, Serialize};

/// What kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CheckKind {
    /// Errors and latency: they spread to what depends on it.
    Symptom,
    /// Fewer requests come, or none: that spreads to what they would have gone on to, too.
    Traffic,
    /// A condition of the thing itself, a full disk: it stays where it is.
    Own,
}

/// The words that tell. Words of up to three letters are a part of the name (`NodeDiskFull` has three), longer ones begin one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checks {
    /// Of symptoms; they win.
    pub symptom: Vec<String>,
    /// Of traffic.
    pub traffic: Vec<String>,
    /// Of the thing itself. What has no such word is a symptom.
    pub own: Vec<String>,
    /// Names that do not say what is wrong: the template of the text does.
    #[serde(default)]
    pub text: Vec<String>,
}

/// Words of a text that are looked at.
const WORDS_MAX: usize = 32;
/// Letters of a name that are looked at.
const NAME_MAX: usize = 96;
/// Of a word that stands for itself.
const SHORT: usize = 3;

impl Checks {
    /// Whether the text says what is wrong, not the name.
    pub fn is_of_text(&self, check: &str) -> bool {
        !self.text.is_empty() && has_word(&parts(check), &self.text)
    }

    /// The kind of a check, by its text where that says what is wrong.
    pub fn kind_of(&self, check: &str, text: &str) -> CheckKind {
        let name = parts(check);
        if has_word(&name, &self.text) { self.kind_by(&said(text)) } else { self.kind_by(&name) }
    }

    /// The kind of a check by its name.
    pub fn kind(&self, check: &str) -> CheckKind {
        self.kind_by(&parts(check))
    }

    fn kind_by(&self, name: &str) -> CheckKind {
        let has = |words: &[String]| has_word(name, words);
        if has(&self.symptom) {
            CheckKind::Symptom
        } else if has(&self.traffic) {
            CheckKind::Traffic
        } else if has(&self.own) {
            CheckKind::Own
        } else {
            CheckKind::Symptom
        }
    }
}

/// Whether one of the words is in the parts of a name.
pub fn has_word(parts: &str, words: &[String]) -> bool {
    words.iter().any(|word| is_in(parts, word))
}

/// The parts of a name in lower case, a space before and after each: `DISK_full`, `DiskFull` and `DISKFull` are ` disk full `.
pub fn parts(check: &str) -> String {
    let mut name = String::with_capacity(check.len() + 8);
    name.push(' ');
    let mut was_lower = false;
    let mut letters = check.chars().take(NAME_MAX).peekable();
    while let Some(c) = letters.next() {
        let apart = !c.is_alphanumeric();
        let begins = c.is_uppercase() && (was_lower || letters.peek().is_some_and(|next| next.is_lowercase()));
        if (apart || begins) && !name.ends_with(' ') {
            name.push(' ');
        }
        if !apart {
            name.extend(c.to_lowercase());
        }
        was_lower = !apart && !c.is_uppercase();
    }
    if !name.ends_with(' ') {
        name.push(' ');
    }
    name
}

/// What a text says whatever varies in it, as the parts of a name.
fn said(text: &str) -> String {
    let mut said = String::from(" ");
    for word in Skeleton::of(text).words().take(WORDS_MAX) {
        said.extend(word.chars().flat_map(char::to_lowercase));
        said.push(' ');
    }
    said
}

fn is_in(name: &str, word: &str) -> bool {
    let begun = |(at, _)| name[at + 1..].strip_prefix(word);
    name.match_indices(' ').filter_map(begun).any(|more| more.starts_with(' ') || word.len() > SHORT)
}

impl Default for Checks {
    /// Those of `default.toml`.
    fn default() -> Self {
        let words = |all: &str| all.split(", ").map(ToOwned::to_owned).collect();
        Self {
            symptom: words("error, latency, slow, duration, timeout, http, slo, queue, pool"),
            traffic: words(
                "no request, request, requests, throughput, workload, no connection, no traffic, no data, no database, lag, \
                 inactive",
            ),
            own: words(
                "cpu, memory, mem, disk, fs, filesystem, readonly, inode, raid, smart, fan, temp, psu, power, clock, ntp, cert, \
                 load, proc, swap, oom, heap, gc, restart, crash, reboot, deploy, ready, waiting, throttl, saturat, evict, \
                 pressure, pending, conntrack, network, pattern, node, host, agent, ssh, if, exception, panic, segfault, \
                 failed pod, closure",
            ),
            text: words("log, logs, logfile, syslog, eventlog, trap, snmptrap"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_however_it_is_written() {
        let checks = Checks::default();
        for own in [
            "NodeDiskFull",
            "DISK_CRITICAL",
            "kube-pod-not-ready",
            "IfDown",
            "CPUThrottlingHigh",
            "TemperatureHigh",
            "cpu",
        ] {
            assert_eq!(checks.kind(own), CheckKind::Own, "{own}");
        }
        for symptom in ["HttpLatencyHigh", "HTTP 5xx", "PaymentFailed", "DiffRejected", "", "é", "DiskLatency"] {
            assert_eq!(checks.kind(symptom), CheckKind::Symptom, "{symptom}");
        }
        for traffic in ["NoRequestsReceived", "ConsumerLag", "no_traffic"] {
            assert_eq!(checks.kind(traffic), CheckKind::Traffic, "{traffic}");
        }
    }
}
