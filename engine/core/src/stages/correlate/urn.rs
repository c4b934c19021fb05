//! Who comes again, and who is new: Pitman and Yor, "The two-parameter Poisson-Dirichlet distribution", 1997.
//!
//! Alerts are drawn from entities so, and entities from services: several alerts of one entity count as one place, several
//! entities of one service as one.
use super::tables::Rising;
use crate::domain::policy::PlaceModel;

/// The process, worked out for a policy.
#[derive(Debug)]
pub struct Urn {
    strength: f64,
    discount: f64,
    ln_discount: f64,
    /// Draws after the first,
    draws: Rising,
    /// groups after the first, in steps of the discount,
    groups: Rising,
    /// and draws of one group after its first.
    again: Rising,
}

impl Urn {
    /// Of a policy.
    pub fn new(place: &PlaceModel) -> Self {
        let steps = place.discount.max(1e-6);
        Self {
            strength: place.strength,
            discount: place.discount,
            ln_discount: libm::log(steps),
            draws: Rising::new(place.strength + 1.0),
            groups: Rising::new(place.strength / steps + 1.0),
            again: Rising::new(1.0 - place.discount),
        }
    }

    /// `ln` of the likelihood of so many draws in so many groups, but for what the groups with several have.
    pub fn ln(&self, draws: u32, groups: u32) -> f64 {
        let (n, k) = (draws.saturating_sub(1), groups.saturating_sub(1));
        f64::from(k) * self.ln_discount + self.groups.ln(k) - self.draws.ln(n)
    }

    /// What a group has by so many draws after its first.
    pub fn ln_again(&self, more: u32) -> f64 {
        self.again.ln(more)
    }

    /// How likely the next draw is of a new group.
    pub fn new_group(&self, draws: u32, groups: u32) -> f64 {
        (self.strength + self.discount * f64::from(groups)) / (f64::from(draws) + self.strength)
    }

    /// How likely it is of a group that has so many.
    pub fn same_group(&self, draws: u32, own: u32) -> f64 {
        (f64::from(own) - self.discount) / (f64::from(draws) + self.strength)
    }
}
