//! What `deploy/` holds is valid: rules on Quell itself (tested, with a section of the runbook each), the unit, its
//! configuration.
use anyhow::{Context as _, ensure};
use quell_tests::{
    process::quell_ok,
    prometheus::{deploy, documented, metrics_of, program},
};
use std::{collections::BTreeMap, fs, process::Command};
use tempfile::TempDir;

/// The keys of each rule, by its name. The file is our own: one key a line.
fn rules() -> anyhow::Result<BTreeMap<String, Vec<(String, String)>>> {
    let text = fs::read_to_string(deploy().join("prometheus/alerts.yml"))?;
    let mut rules: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    let mut rule = None;
    for line in text.lines() {
        let Some((key, value)) = line.trim_start_matches([' ', '-']).split_once(':') else { continue };
        let (key, value) = (key.to_owned(), value.trim().to_owned());
        if key == "alert" {
            rule = Some(rules.entry(value).or_default());
        } else if let Some(rule) = &mut rule {
            rule.push((key, value));
        }
    }
    Ok(rules)
}

#[test]
fn they_are_valid_and_their_tests_pass() -> anyhow::Result<()> {
    let Some(promtool) = program("QUELL_PROMTOOL", "promtool's checks of deploy/prometheus") else { return Ok(()) };
    for check in
        [["check", "config", "prometheus.yml"], ["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]]
    {
        let output = Command::new(&promtool).args(check).current_dir(deploy().join("prometheus")).output()?;
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        ensure!(output.status.success(), "promtool {}: {said}", check.join(" "));
    }
    Ok(())
}

#[test]
fn each_says_what_to_do_and_has_tests_and_a_runbook() -> anyhow::Result<()> {
    let runbook = fs::read_to_string(deploy().join("prometheus/METRICS.md"))?;
    let tests = fs::read_to_string(deploy().join("prometheus/alerts_test.yml"))?;
    let documented = documented()?;
    let rules = rules()?;
    ensure!(rules.len() >= 13, "{} rules", rules.len());
    for (name, keys) in &rules {
        let value = |key: &str| keys.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str());
        ensure!(matches!(value("severity"), Some("critical" | "warning")), "{name}: severity");
        ensure!(value("summary").is_some() && value("description").is_some(), "{name}: summary and description");
        let section = format!("METRICS.md#{}", name.to_lowercase());
        ensure!(value("runbook") == Some(&section), "{name}: runbook: {section}");
        ensure!(runbook.contains(&format!("\n### {name}\n")), "{name} has no section in METRICS.md");
        for metric in metrics_of(value("expr").context("an expr")?) {
            ensure!(documented.contains(&metric), "{name}: there is no metric {metric}");
        }
        // Where it fires, and where it does not.
        let test = tests.split("  - name: ").find(|test| test.starts_with(&format!("{name}\n")));
        let test = test.with_context(|| format!("{name} has no test"))?;
        ensure!(test.contains("exp_samples: []") && test.contains("- labels: 'ALERTS{"), "{name}: both ways");
    }
    for section in runbook.lines().filter_map(|line| line.strip_prefix("### ")) {
        ensure!(rules.contains_key(section), "METRICS.md has a section of {section}, which is no rule");
    }
    Ok(())
}

#[test]
fn the_unit_and_its_configuration_are_valid() -> anyhow::Result<()> {
    let config = deploy().join("systemd/quell.toml");
    quell_ok(&["check", "--config", &config.display().to_string()])?;
    let unit = fs::read_to_string(deploy().join("systemd/quell.service"))?;
    // It is looked for where it is to be installed.
    let (directory, program) = (TempDir::new()?, "/usr/local/bin/quell");
    ensure!(unit.contains(&format!("ExecStart={program} run ")));
    let path = directory.path().join("quell.service");
    fs::write(&path, unit.replace(program, "/bin/true"))?;
    let Ok(output) = Command::new("systemd-analyze").args(["verify"]).arg(&path).output() else {
        eprintln!("\n!!! SKIPPED systemd-analyze verify: there is none\n");
        return Ok(());
    };
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    ensure!(output.status.success() && !said.contains("quell.service"), "{said}");
    Ok(())
}
