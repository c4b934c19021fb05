//! What a series will be: an early warning of a band that it will probably lie in soon, and of a limit that it reaches in days.
//!
//! One is raised where 90 % of what may come lies in a band worse than the present one, and kept while half of it does: a forecast that hovers at a
//! figure is one warning. The alert of the threshold itself takes over.
use super::{
    Finding,
    crossing::{By, Crossing, Figures},
    said::Said,
    series::{Sample, Series},
};
use crate::{
    domain::{
        episode::PREDICTED,
        lead::Lead,
        policy::ForecastOf,
        severity::Severity,
        threshold::{BANDS, Direction, Known, Number},
        time::{Span, Timestamp},
    },
    scope::Cx,
};
use quell_models::forecast::{Capacity, Forecast, Forecaster, Full};
use serde::{Deserialize, Serialize};

/// When a limit is reached is asked so often.
const ASKED: Span = Span::minutes(5);

/// What is learned of a series to forecast it: about 3 KB.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outlook {
    forecaster: Forecaster,
    capacity: Capacity,
    /// The limits are from below: it is learned of the negated values.
    is_below: bool,
    /// When a limit is asked for next.
    asks_at: Timestamp,
    warnings: Vec<Warning>,
}

/// What is told by some figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Warning {
    by: By,
    /// As in [`Crossing::of`].
    of: String,
    /// The band it warns of; 0: of none.
    band: u8,
    is_far: bool,
    said_at: Timestamp,
}

/// A band that will be reached, and how people are told.
struct Ahead {
    band: u8,
    is_far: bool,
    within: Span,
    summary: String,
}

/// Learns a sample of a series that is forecast, and warns.
pub fn look(
    outlook: &mut Option<Box<Outlook>>,
    series: &Series,
    sample: Sample,
    cx: &Cx<'_>,
    found: &mut Vec<Finding>,
) {
    let policy = &cx.policy.score.forecast;
    let is_forecast = match policy.of {
        ForecastOf::None => false,
        ForecastOf::Kpis => series.is_kpi(),
        ForecastOf::All => !series.crossings.is_empty(),
    };
    if !is_forecast {
        if let Some(mut gone) = outlook.take() {
            gone.withdraw(series, sample, found);
        }
        return;
    }
    let ahead = policy.ahead_seconds();
    let outlook = outlook.get_or_insert_with(|| Box::new(Outlook::new(ahead)));
    if outlook.forecaster.ahead() != ahead {
        outlook.forecaster = Forecaster::new(ahead);
    }
    outlook.take(series, sample, cx);
    outlook.warn(series, sample, cx, found);
}

impl Outlook {
    fn new(ahead: u32) -> Self {
        Self {
            forecaster: Forecaster::new(ahead),
            capacity: Capacity::default(),
            is_below: false,
            asks_at: Timestamp::MIN,
            warnings: Vec::new(),
        }
    }

    /// What it warned of is not told any more.
    pub fn withdraw(&mut self, series: &Series, sample: Sample, found: &mut Vec<Finding>) {
        self.warnings.drain(..).for_each(|warning| warning.withdraw(series, sample, found));
    }

    fn take(&mut self, series: &Series, sample: Sample, cx: &Cx<'_>) {
        let Sample { value, at, .. } = sample;
        self.forecaster.take(cx.policy.score.moment(at), value);
        let figures = series.crossings.first().and_then(|crossing| crossing.by.figures(&series.check, at, cx));
        let is_below = figures.is_some_and(|figures| figures.bands.direction == Direction::Below);
        if is_below != self.is_below {
            (self.capacity, self.is_below) = (Capacity::default(), is_below);
        }
        self.capacity.take(at.0.div_euclid(1_000), self.signed(value));
    }

    fn signed(&self, value: f64) -> f64 {
        if self.is_below { -value } else { value }
    }

    fn warn(&mut self, series: &Series, sample: Sample, cx: &Cx<'_>, found: &mut Vec<Finding>) {
        let at = sample.at;
        let mut before = std::mem::take(&mut self.warnings);
        let forecast = self.forecaster.forecast().filter(|forecast| forecast.is_adopted);
        let asks = at >= self.asks_at;
        if asks {
            self.asks_at = at + ASKED;
        }
        for crossing in &series.crossings {
            let known = before.iter().position(|warning| warning.by.is_like(&crossing.by));
            let mut warning = known.map_or_else(|| Warning::of(crossing), |known| before.swap_remove(known));
            warning.by.clone_from(&crossing.by);
            let soon = forecast.and_then(|forecast| soon(crossing, series, forecast, warning.band, (at, cx)));
            let is_far = soon.is_none() && cx.policy.score.forecast.capacity.0 > 0;
            // In between what was said of a limit holds.
            let holds = is_far && !asks && warning.is_far && is_worse(crossing, warning.band);
            let ahead = soon.or_else(|| if is_far && asks { self.far(crossing, series, at, cx) } else { None });
            match ahead {
                Some(ahead) => warning.warn(ahead, crossing, (series, sample), cx, found),
                None if holds => {}
                None => warning.end(series, sample, found),
            }
            self.warnings.push(warning);
        }
        before.iter().for_each(|gone| gone.withdraw(series, sample, found));
    }

    /// The worst band of fixed figures that is reached within the time that is asked for.
    fn far(&self, crossing: &Crossing, series: &Series, at: Timestamp, cx: &Cx<'_>) -> Option<Ahead> {
        let Figures { bands, title, .. } = crossing.by.figures(&series.check, at, cx)?;
        let is_of_it = bands.adaptive.is_none() && (bands.direction == Direction::Below) == self.is_below;
        let most = cx.policy.score.forecast.capacity.0 as f64 / 1_000.0;
        let reached = |band: u8| {
            let figure = bands.figures[usize::from(band) - 1].filter(|_| is_of_it)?;
            let full = self.capacity.full(self.signed(figure)).filter(|full| full.median <= most)?;
            Some((band, full))
        };
        let worse = (crossing.band() + 1..=BANDS as u8).rev().filter(|band| is_worse(crossing, *band));
        let (band, full): (u8, Full) = worse.filter_map(reached).next()?;
        let (severity, words) = (crossing.severity(band)?, bands.words(band, 0.0, Known::default()));
        let summary = format!("{title} will probably be {words} ({severity}) in {}", Lead(full));
        let within = Span::hours(1 + full.median as i64 / 3_600);
        Some(Ahead { band, is_far: true, within, summary })
    }
}

/// A band that says something graver than the present one.
fn is_worse(crossing: &Crossing, band: u8) -> bool {
    crossing.severity(band) > crossing.severity(crossing.band())
}

/// The band that the milder end of the interval lies in; of a warning that is told that of the forecast itself.
fn soon(
    crossing: &Crossing,
    series: &Series,
    forecast: Forecast,
    told: u8,
    (at, cx): (Timestamp, &Cx<'_>),
) -> Option<Ahead> {
    let within = Span::seconds(i64::from(forecast.after));
    let Figures { bands, during, title, unit } = crossing.by.figures(&series.check, at + within, cx)?;
    // Values to come tell nothing of a counter's rate.
    if bands.adaptive.is_some() && series.is_counter() {
        return None;
    }
    let values = crossing.learned(during, false).filter(|values| values.count() >= cx.policy.score.learn_samples);
    let then = cx.policy.score.moment(at + within);
    let known = |value: f64| Known { deviations: series.deviations_at(then, value), values };
    let reached = |value: f64| bands.reached(value, known(value));
    let band = reached(forecast.value)?;
    let surely = band.min(reached(forecast.low)?).min(reached(forecast.high)?);
    let band = if is_worse(crossing, told) && band >= told { surely.max(told) } else { surely };
    if !is_worse(crossing, band) {
        return None;
    }
    let (severity, words) = (crossing.severity(band)?, bands.words(band, forecast.value, known(forecast.value)));
    let blank = if unit.is_empty() { "" } else { " " };
    let [value, low, high] = [forecast.value, forecast.low, forecast.high].map(Number);
    let summary = format!(
        "{title} will probably be {words} ({severity}) in {within}: {value}{blank}{unit}, 80 %: {low} to {high}"
    );
    Some(Ahead { band, is_far: false, within, summary })
}

impl Warning {
    fn of(crossing: &Crossing) -> Self {
        let of = format!("{PREDICTED}/{}", crossing.of());
        Self { by: crossing.by.clone(), of, band: 0, is_far: false, said_at: Timestamp::MIN }
    }

    fn warn(
        &mut self,
        ahead: Ahead,
        crossing: &Crossing,
        (series, sample): (&Series, Sample),
        cx: &Cx<'_>,
        found: &mut Vec<Finding>,
    ) {
        let Ahead { band, is_far, within, summary } = ahead;
        let again = sample.at - self.said_at >= cx.policy.deduplicate.count_interval;
        if (band, is_far) == (self.band, self.is_far) && !again {
            return;
        }
        (self.band, self.is_far, self.said_at) = (band, is_far, sample.at);
        let most = crossing.severity(band).unwrap_or(Severity::Info);
        let severity = cx.policy.score.forecast.severity.min(most);
        let said = Said::firing(&self.of, PREDICTED, severity, summary);
        self.say(Said { ahead: Some(within), ..said }, series, sample, found);
    }

    fn end(&mut self, series: &Series, sample: Sample, found: &mut Vec<Finding>) {
        self.withdraw(series, sample, found);
        self.band = 0;
    }

    fn withdraw(&self, series: &Series, sample: Sample, found: &mut Vec<Finding>) {
        if self.band > 0 {
            self.say(Said::resolved(&self.of, PREDICTED), series, sample, found);
        }
    }

    fn say(&self, said: Said<'_>, series: &Series, Sample { key, at, .. }: Sample, found: &mut Vec<Finding>) {
        let said = match &self.by {
            By::Rule(_) => said,
            By::Kpi { service, kpi } => Said { service: Some(service), kpi: Some(kpi), ..said },
        };
        found.push(said.about(series, key, at));
    }
}
