//! What a service's health will be.
use crate::{domain::time::Timestamp, output::HealthForecast, scope::Cx, stages::assess::WELL};
use quell_models::forecast::Forecaster;
use serde::{Deserialize, Serialize};

const MINUTE: i64 = 60_000;
/// Of what stood still for longer, so many minutes are learned.
const STOOD_MAX: i64 = 60;

/// A service's score, a sample a minute: about 2 KB.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outlook {
    forecaster: Forecaster,
    /// The latest minute that was learned.
    minute: i64,
}

impl Outlook {
    pub fn new(ahead: u32) -> Self {
        Self { forecaster: Forecaster::new(ahead), minute: i64::MIN }
    }

    pub const fn ahead(&self) -> u32 {
        self.forecaster.ahead()
    }

    /// Until now it has had a score, in hundredths.
    pub fn pass(&mut self, score: i32, cx: &Cx<'_>) {
        let now = cx.core.clock.0.div_euclid(MINUTE);
        for minute in self.minute.saturating_add(1).max(now.saturating_sub(STOOD_MAX))..=now {
            let at = cx.policy.score.moment(Timestamp(minute.saturating_mul(MINUTE)));
            self.forecaster.take(at, f64::from(score));
        }
        self.minute = self.minute.max(now);
    }

    pub fn forecast(&self) -> Option<HealthForecast> {
        let told = self.forecaster.forecast()?;
        let points = |of: f64| (of as i32).clamp(0, WELL);
        let at = Timestamp((self.minute.saturating_add(i64::from(told.after) / 60)).saturating_mul(MINUTE));
        let (score, low, high) = (points(told.value), points(told.low), points(told.high));
        Some(HealthForecast { at, score, low, high, is_adopted: told.is_adopted })
    }
}
