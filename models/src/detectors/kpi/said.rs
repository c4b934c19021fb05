//! What goes into the detector and what comes out.
use super::{CLIP, Score};

/// When a sample was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Seconds, from anywhere.
    pub seconds: i64,
    /// Hour of the day, 0 to 23, where the series lives.
    pub hour: u8,
    /// Minute of that hour, 0 to 59: not that of `seconds` where the zone is off by half an hour.
    pub minute: u8,
    /// Day of the week there, 0 to 6, from Monday.
    pub weekday: u8,
    /// A Saturday or Sunday there, or what else is no working day.
    pub rests: bool,
}

impl Moment {
    /// Of Unix time in seconds, in UTC.
    pub fn utc(seconds: i64) -> Self {
        let weekday = (seconds.div_euclid(86_400) + 3).rem_euclid(7) as u8;
        let of_day = seconds.rem_euclid(86_400);
        let (hour, minute) = ((of_day / 3_600) as u8, (of_day % 3_600 / 60) as u8);
        Self { seconds, hour, minute, weekday, rests: weekday >= 5 }
    }

    /// Of Unix time in seconds where clocks show so many seconds more than in UTC (less: negative); Saturdays and Sundays rest.
    ///
    /// ```
    /// use quell_models::detectors::Moment;
    ///
    /// // 2026-01-05, a Monday, 20:00 in UTC is a quarter to two on Tuesday in Kathmandu.
    /// let moment = Moment::local(1_767_643_200, 20_700);
    /// assert_eq!((moment.weekday, moment.hour, moment.minute, moment.rests), (1, 1, 45, false));
    /// assert_eq!(moment.seconds, 1_767_643_200);
    /// // A holiday there.
    /// let holiday = Moment { rests: true, ..moment };
    /// assert_eq!(Moment::local(0, 0), Moment::utc(0));
    /// # assert!(holiday.rests);
    /// ```
    pub fn local(seconds: i64, offset: i32) -> Self {
        Self { seconds, ..Self::utc(seconds.saturating_add(i64::from(offset))) }
    }
}

/// What speaks most for an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum What {
    /// It moved much at once.
    Jump,
    /// It is where it seldom is.
    #[default]
    Level,
    /// Its level has changed.
    Shift,
    /// It stays off what is usual at that hour.
    Departure,
    /// What it does was never seen, where each value may be usual.
    Shape,
}

/// What is to be said of a sample.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Verdict {
    /// That something new has happened.
    pub event: Score,
    /// What speaks most for that.
    pub what: What,
    /// How far from usual it is.
    pub severity: Score,
    /// The same in deviations, with its sign.
    pub deviations: f64,
    /// Deviations from the level of the hour alone, whatever habits make of them: one scale at all times, to hold against that of peers.
    pub plain: f64,
    /// What it does has lasted beyond all that was, and this sample is a deviation and a half off on the same side: single ones need not be far.
    pub lasts: bool,
    /// `None` while it warms up.
    pub usual: Option<Usual>,
}

impl Verdict {
    /// Whether it is beyond what is usual: a state that goes on.
    pub fn is_beyond(&self) -> bool {
        self.lasts || self.deviations.abs() > f64::from(CLIP)
    }

    /// With how new its [shape](super::super::Shape) is.
    pub fn with_shape(self, shape: Score) -> Self {
        if shape > self.event { Self { event: shape, what: What::Shape, ..self } } else { self }
    }

    /// The larger of the two.
    pub fn score(&self) -> Score {
        self.event.max(self.severity)
    }
}

/// What a series usually is: between these.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usual {
    /// What is below is unusual.
    pub low: f64,
    /// What is above is.
    pub high: f64,
    /// At that hour, and not at any.
    pub is_of_hour: bool,
    /// At that hour of that day of the week, and not of others.
    pub is_of_weekday: bool,
    /// Of a counter what was judged, and these are of: what it grew by in a second since its last sample.
    pub rate: Option<f64>,
}
