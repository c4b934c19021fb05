//! How well lines are grouped and told.
//!
//! - GA, grouping accuracy: the share of lines whose group is exactly the lines of their template (Zhu et al., ICSE-SEIP 2019);
//! - FGA: F1 of exact groups, counted once a template;
//! - PA: the share of lines whose template has the true text;
//! - FTA: F1 of groups that are exact and have the true text (Jiang et al., ISSTA 2024).
use super::data::Truth;
use std::collections::BTreeMap;

/// All four, 0 to 1.
#[derive(Clone, Copy, Debug, Default)]
pub struct Measures {
    pub ga: f64,
    pub fga: f64,
    pub pa: f64,
    pub fta: f64,
}

/// What was said of each line: the number of its group, and the text of it.
#[derive(Debug, Default)]
pub struct Mined {
    pub groups: Vec<u64>,
    pub texts: Vec<String>,
}

impl Measures {
    pub fn of(truth: &Truth, mined: &Mined) -> Self {
        let lines = mined.groups.len();
        let (mut real, mut said) = (BTreeMap::<&str, usize>::new(), BTreeMap::<u64, Vec<usize>>::new());
        for (at, (group, said_of)) in truth.groups.iter().zip(&mined.groups).enumerate() {
            *real.entry(group).or_default() += 1;
            said.entry(*said_of).or_default().push(at);
        }
        let is_exact = |of: &&Vec<usize>| {
            let group = &truth.groups[of[0]];
            real[group.as_str()] == of.len() && of.iter().all(|at| truth.groups[*at] == *group)
        };
        let exact: Vec<&Vec<usize>> = said.values().filter(is_exact).collect();
        let is_told = |at: &usize| mined.texts[*at] == truth.texts[*at];
        let told = exact.iter().filter(|of| of.iter().all(is_told)).count();
        let f1 = |right: usize| 2.0 * right as f64 / (said.len() + real.len()) as f64;
        Self {
            ga: exact.iter().map(|of| of.len()).sum::<usize>() as f64 / lines as f64,
            fga: f1(exact.len()),
            pa: (0..lines).filter(is_told).count() as f64 / lines as f64,
            fta: f1(told),
        }
    }

    pub fn mean(all: &[Self]) -> Self {
        let mean = |of: fn(&Self) -> f64| all.iter().map(of).sum::<f64>() / all.len().max(1) as f64;
        Self { ga: mean(|m| m.ga), fga: mean(|m| m.fga), pa: mean(|m| m.pa), fta: mean(|m| m.fta) }
    }

    /// Cells of a table.
    pub fn cells(&self) -> String {
        format!("{:.3} | {:.3} | {:.3} | {:.3}", self.ga, self.fga, self.pa, self.fta)
    }
}
