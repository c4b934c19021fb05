//! A real Prometheus on loopback, where there is one.
use crate::process::{free_port, get};
use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use std::{
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Where `deploy/` is.
pub fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

/// The program that a variable names; `None` where a test is to be skipped, which it says.
///
/// # Panics
/// Where `QUELL_REQUIRE_PROMETHEUS` says that it must not be.
pub fn program(variable: &str, test: &str) -> Option<PathBuf> {
    let found = env::var_os(variable).map(PathBuf::from);
    if found.is_none() {
        assert!(env::var_os("QUELL_REQUIRE_PROMETHEUS").is_none(), "{variable} names no program, and {test} needs it");
        eprintln!("\n!!! SKIPPED {test}: {variable} names none (Debian: apt-get install prometheus)\n");
    }
    found
}

/// It is killed when it is dropped.
#[derive(Debug)]
pub struct Prometheus {
    child: Child,
    address: SocketAddr,
}

impl Prometheus {
    /// Scrapes the targets once a second, as job `quell`, and evaluates the rules of `alerts.yml` as often.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn start(program: &Path, directory: &Path, targets: &[SocketAddr]) -> anyhow::Result<Self> {
        let targets: Vec<String> = targets.iter().map(ToString::to_string).collect();
        // YAML takes JSON.
        let config = json!({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [deploy().join("prometheus/alerts.yml")],
            "scrape_configs": [{"job_name": "quell", "static_configs": [{"targets": targets}]}],
        });
        let path = directory.join("prometheus.json");
        fs::write(&path, config.to_string())?;
        let address: SocketAddr = ([127, 0, 0, 1], free_port()).into();
        let log = fs::File::create(directory.join("prometheus.log"))?;
        let child = Command::new(program)
            .arg(format!("--config.file={}", path.display()))
            .arg(format!("--storage.tsdb.path={}", directory.join("tsdb").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| program.display().to_string())?;
        let mut started = Self { child, address };
        let since = Instant::now();
        while !get(address, "/-/ready").is_ok_and(|(status, _)| status == 200) {
            let ended = started.child.try_wait()?;
            ensure!(ended.is_none() && since.elapsed() < Duration::from_secs(60), "Prometheus is not ready: {ended:?}");
            thread::sleep(Duration::from_millis(50));
        }
        Ok(started)
    }

    /// Samples of a query now: those that are numbers.
    ///
    /// # Errors
    /// What Prometheus says of the query.
    pub fn query(&self, expr: &str) -> anyhow::Result<usize> {
        let (_, body) = get(self.address, &format!("/api/v1/query?query={}", encoded(expr)))?;
        let answer: Value = serde_json::from_str(&body)?;
        ensure!(answer["status"] == "success", "{}", answer["error"]);
        let samples = answer["data"]["result"].as_array().context("a result")?;
        Ok(samples.iter().filter(|sample| sample["value"][1].as_str().is_some_and(|value| value != "NaN")).count())
    }

    /// Rules by name, each with what Prometheus says of its health: empty where it is well.
    ///
    /// # Errors
    /// Where it does not answer.
    pub fn rules(&self) -> anyhow::Result<Vec<(String, String)>> {
        let (_, body) = get(self.address, "/api/v1/rules")?;
        let answer: Value = serde_json::from_str(&body)?;
        let groups = answer["data"]["groups"].as_array().context("groups")?;
        let rules = groups.iter().filter_map(|group| group["rules"].as_array()).flatten();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let health = |rule: &Value| match rule["health"].as_str() {
            Some("ok") => String::new(),
            other => format!("{}: {}", other.unwrap_or("no health"), text(&rule["lastError"])),
        };
        Ok(rules.map(|rule| (text(&rule["name"]), health(rule))).collect())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

/// Names of Quell's metrics, and of its process, that an expression asks for, without what a histogram adds to them.
pub fn metrics_of(expr: &str) -> Vec<String> {
    let words = expr.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
    let own = words.filter(|word| word.starts_with("quell_") || word.starts_with("process_"));
    let base = |word: &str| {
        let cut = ["_bucket", "_sum", "_count"].into_iter().find_map(|suffix| word.strip_suffix(suffix));
        cut.unwrap_or(word).to_owned()
    };
    own.map(base).collect()
}

/// Names that METRICS.md documents.
///
/// # Errors
/// Where it can't be read.
pub fn documented() -> anyhow::Result<Vec<String>> {
    let text = fs::read_to_string(deploy().join("prometheus/METRICS.md"))?;
    let name = |line: &str| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned());
    Ok(text.lines().filter_map(name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_names_its_metrics() {
        let expr = r#"rate(quell_a_seconds_bucket{job=~"quell_x|b"}[5m]) / process_open_fds"#;
        assert_eq!(metrics_of(expr), ["quell_a_seconds", "quell_x", "process_open_fds"]);
        assert_eq!(encoded("a{b=\"c\"}"), "a%7Bb%3D%22c%22%7D");
    }
}
