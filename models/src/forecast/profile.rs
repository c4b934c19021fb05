//! What a series is in each half hour of the day.
use serde::{Deserialize, Serialize};

const SLOT: f32 = 1_800.0;
const SLOTS: usize = 48;
/// The mean of a half hour remembers so many of its days.
const DAYS: f32 = 7.0;

/// A number for each half hour of the day.
type Day = [[f32; SLOTS / 2]; 2];

/// Means of the half hours, of working days and of rest days, and of the latest day.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    means: [Day; 2],
    /// Days seen.
    seen: [[[u8; SLOTS / 2]; 2]; 2],
    latest: Day,
    /// The half hour that is going on, what its samples sum up to, and how many they are.
    now: Option<(u8, bool)>,
    sum: f32,
    count: f32,
}

impl Profile {
    /// Takes a sample of a second of the day.
    pub fn learn(&mut self, of_day: u32, rests: bool, x: f32) {
        let slot = ((of_day / SLOT as u32) as usize % SLOTS) as u8;
        if self.now.is_none_or(|(now, _)| now != slot) {
            self.close();
            (self.now, self.sum, self.count) = (Some((slot, rests)), 0.0, 0.0);
        }
        self.sum += x;
        self.count += 1.0;
    }

    /// All values are so much lower.
    pub fn shift(&mut self, by: f32) {
        self.means.iter_mut().chain([&mut self.latest]).flatten().flatten().for_each(|mean| *mean -= by);
        self.sum -= by * self.count;
    }

    fn close(&mut self) {
        let Some((slot, rests)) = self.now else { return };
        let (kind, half, n) =
            (usize::from(rests), usize::from(slot) % SLOTS / (SLOTS / 2), usize::from(slot) % (SLOTS / 2));
        let mean = self.sum / self.count;
        let seen = &mut self.seen[kind][half][n];
        *seen = seen.saturating_add(1);
        let known = &mut self.means[kind][half][n];
        *known += (1.0 / f32::from(*seen)).max(1.0 / DAYS) * (mean - *known);
        self.latest[half][n] = mean;
    }

    /// The mean at a second of the day, between those of two half hours.
    pub fn at(&self, of_day: u32, rests: bool) -> Option<f32> {
        let kind = usize::from(rests);
        // What was never seen of such a day may be as on the others.
        let kind = |half: usize, n: usize| if self.seen[kind][half][n] > 0 { kind } else { 1 - kind };
        between(of_day, |half, n| {
            let kind = kind(half, n);
            (self.seen[kind][half][n] > 0).then_some(self.means[kind][half][n])
        })
    }

    /// The same of the latest day.
    pub fn yesterday(&self, of_day: u32) -> Option<f32> {
        let is_seen = |half: usize, n: usize| self.seen.iter().any(|kind| kind[half][n] > 0);
        between(of_day, |half, n| is_seen(half, n).then_some(self.latest[half][n]))
    }
}

/// Between the middles of the two half hours around a second of the day.
fn between(of_day: u32, value: impl Fn(usize, usize) -> Option<f32>) -> Option<f32> {
    let place = (of_day % 86_400) as f32 / SLOT + SLOTS as f32 - 0.5;
    let (first, share) = (place as usize, place - libm::floorf(place));
    let of = |slot: usize| value(slot % SLOTS / (SLOTS / 2), slot % (SLOTS / 2));
    match (of(first), of(first + 1)) {
        (Some(a), Some(b)) => Some(a + share * (b - a)),
        (one, other) => one.or(other),
    }
}
