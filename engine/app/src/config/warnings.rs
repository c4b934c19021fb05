//! What is valid, and perhaps not meant.
use super::Config;
use quell_core::domain::{
    matcher::Field,
    policy::Inhibit,
    threshold::{Bands, Direction},
    topology::TopologyFile,
};

impl Config {
    /// Where, and what it does.
    pub fn warnings(&self) -> Vec<String> {
        let lax = self.suppress.inhibit.iter().filter(|rule| rule.absent_equal && !rule.equal.is_empty());
        let lax = lax.map(|rule| {
            let Inhibit { name, source, target, equal, .. } = rule;
            let fields: Vec<_> = equal.iter().map(Field::name).collect();
            format!(
                "suppress.inhibit `{name}`: absent_equal makes what lacks {} equal, as in Alertmanager: an alert {source} without it mutes every {target} without it",
                fields.join(" and "),
            )
        });
        let (calm, settle) = (self.score.calm, self.raise.settle);
        let spikes = settle.0 > 0 && calm >= settle;
        let spikes = spikes.then(|| {
            format!("score.calm ({calm}) is not shorter than raise.settle ({settle}): a single unusual sample is an incident")
        });
        let during = self.score.threshold.iter().flat_map(|threshold| {
            let of = format!("score.threshold `{}`", threshold.check);
            threshold.during.iter().filter_map(move |one| unlike(&of, &threshold.bands(), &one.name, &one.bands()))
        });
        lax.chain(spikes).chain(during).collect()
    }
}

/// The same of KPIs.
pub fn of_topology(file: &TopologyFile) -> Vec<String> {
    let kpis = file.services.iter().flat_map(|service| service.kpis.iter().map(move |kpi| (&service.id, kpi)));
    let during = kpis.flat_map(|(service, kpi)| {
        let (of, bands) = (format!("service `{service}`, KPI `{}`", kpi.id), kpi.thresholds.bands());
        kpi.thresholds.during.iter().filter_map(move |one| unlike(&of, &bands, &one.name, &one.bands()))
    });
    during.collect()
}

/// A time policy takes nothing from the figures that it stands in for: who leaves out what they say may not know that.
fn unlike(of: &str, around: &Bands, name: &str, bands: &Bands) -> Option<String> {
    if bands.figures.iter().all(Option::is_none) {
        return None;
    }
    let lacks = match (around.adaptive.is_some() && bands.adaptive.is_none(), around.direction, bands.direction) {
        (true, ..) => "`adaptive`: its figures are values, and those around it are not",
        (_, Direction::Below | Direction::Both, Direction::Above) => {
            "`direction`: above its figures is bad, and not so around it"
        }
        _ => return None,
    };
    Some(format!("{of}, during `{name}`: it has no {lacks}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(edit: impl FnOnce(&mut Config)) -> anyhow::Result<Vec<String>> {
        let mut config = Config::load(None)?;
        edit(&mut config);
        Ok(config.warnings())
    }

    #[test]
    fn the_defaults_are_meant() -> anyhow::Result<()> {
        assert_eq!(warnings(|_| {})?, [""; 0]);
        Ok(())
    }

    #[test]
    fn a_spike_that_lasts_as_long_as_an_alert_settles_is_warned_of() -> anyhow::Result<()> {
        let told = warnings(|config| config.score.calm = config.raise.settle)?;
        assert!(
            told.len() == 1 && told[0].contains("score.calm (3m) is not shorter than raise.settle (3m)"),
            "{told:?}"
        );
        let at_once = warnings(|config| config.raise.settle.0 = 0)?;
        assert_eq!(at_once, [""; 0], "all are incidents");
        Ok(())
    }

    #[test]
    fn a_time_policy_that_leaves_out_what_stands_around_it_is_warned_of() -> anyhow::Result<()> {
        let night = r#""name": "nights", "schedule": {"timezone": "UTC", "times": ["22:00-06:00"]}"#;
        let with = |around: &str, during: &str| {
            let rule = format!(r#"[{{"check": "cpu", {around}, "during": [{{{night}{during}}}]}}]"#);
            let rule = serde_json::from_str(&rule).expect("a threshold");
            warnings(|config| config.score.threshold = rule)
        };
        for (around, during, lacks) in [
            (r#""adaptive": "mad", "warning": 6"#, r#", "warning": 8"#, "no `adaptive`"),
            (r#""direction": "below", "warning": 6"#, r#", "warning": 5"#, "no `direction`"),
        ] {
            let told = with(around, during)?;
            let begins = "score.threshold `cpu`, during `nights`: it has ";
            assert!(told.len() == 1 && told[0].starts_with(begins) && told[0].contains(lacks), "{told:?}");
            assert_eq!(with(around, "")?, [""; 0], "it says nothing while it holds");
        }
        assert_eq!(with(r#""warning": 6"#, r#", "adaptive": "mad", "warning": 8"#)?, [""; 0], "it says so itself");
        let kpi = format!(
            r#"{{"services": [{{"id": "web", "kpis": [{{"id": "cpu", "series": {{"check": "cpu"}},
                "thresholds": {{"adaptive": "mad", "low": 6, "during": [{{{night}, "low": 8}}]}}}}]}}]}}"#
        );
        let told = of_topology(&serde_json::from_str(&kpi)?);
        assert!(told.len() == 1 && told[0].starts_with("service `web`, KPI `cpu`, during `nights`:"), "{told:?}");
        Ok(())
    }
}
