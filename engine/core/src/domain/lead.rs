//! How long until something, as people say it.
use super::threshold::Number;
use quell_models::forecast::Full;
use std::fmt;

/// When something is full: `3 days, 80 %: 2 to 5`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lead(pub Full);

/// Seconds, how people call them, and up to how many.
const UNITS: [(f64, &str, f64); 4] =
    [(60.0, "minutes", 90.0), (3_600.0, "hours", 48.0), (86_400.0, "days", 60.0), (604_800.0, "weeks", f64::INFINITY)];

impl fmt::Display for Lead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Full { median, low, high } = self.0;
        let unit = UNITS.iter().find(|(seconds, _, most)| median < seconds * most);
        let (seconds, name, _) = unit.copied().unwrap_or(UNITS[UNITS.len() - 1]);
        // No finer than is known.
        let told = |of: f64| {
            if of < 9.5 * seconds { libm::round(of / seconds * 2.0) / 2.0 } else { libm::round(of / seconds) }
        };
        if told(median) <= 0.0 {
            f.write_str("less than a minute")?;
            let most = told(high);
            return if most > 1.0 { write!(f, ", 80 %: up to {} {name}", Number(most)) } else { Ok(()) };
        }
        let name = if (told(median) - 1.0).abs() < 0.1 { &name[..name.len() - 1] } else { name };
        write!(f, "{} {name}, 80 %: {} to {}", Number(told(median)), Number(told(low)), Number(told(high)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_in_the_unit_of_its_size() {
        let lead = |low: f64, median: f64, high: f64| Lead(Full { median, low, high }).to_string();
        let (hour, day) = (3_600.0, 86_400.0);
        assert_eq!(lead(2.1 * day, 3.0 * day, 4.9 * day), "3 days, 80 %: 2 to 5");
        assert_eq!(lead(0.4 * hour, hour, 1.6 * hour), "60 minutes, 80 %: 24 to 96");
        assert_eq!(lead(1.6 * hour, 2.6 * hour, 30.0 * hour), "2.5 hours, 80 %: 1.5 to 30");
        assert_eq!(lead(0.0, 0.0, 0.0), "less than a minute");
        assert_eq!(lead(0.0, 14.0, 150.0), "less than a minute, 80 %: up to 2.5 minutes");
        assert_eq!(lead(10.0 * day, 70.0 * day, 7e9), "10 weeks, 80 %: 1.5 to 11574");
    }
}
