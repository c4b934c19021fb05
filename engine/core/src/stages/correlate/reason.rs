//! Why an alert is in an episode, in one short clause: the ground that says most.
use super::{Correlator, Lens, Score, Sighting, score::narrow, sighting::name_of};
use crate::domain::{
    alert::Alert,
    episode::{EpisodeId, Evidence, Reason, Rival},
    topology::places::{GroundKind, Ring},
};

impl Score {
    /// What speaks for it, beside the second best.
    pub fn with_margin(self, second: Second) -> Evidence {
        Evidence { margin: narrow(self.total - second.total), next: second.episode.and_then(Rival::of), ..self.parts }
    }
}

impl Evidence {
    /// What speaks for an episode of its own: that the best other was worse.
    pub fn founding(best: Second) -> Self {
        Self { margin: narrow(-best.total), next: best.episode.and_then(Rival::of), ..Self::default() }
    }
}

/// What was not chosen: the best of the others.
#[derive(Clone, Copy, Debug, Default)]
pub struct Second {
    /// Log-odds in millinats; of an episode of its own 0, by definition.
    pub total: i64,
    /// `None`: one of its own.
    pub episode: Option<EpisodeId>,
}

impl Second {
    /// The better of this and another.
    pub fn or(self, total: i64, episode: EpisodeId) -> Self {
        if total > self.total { Self { total, episode: Some(episode) } } else { self }
    }
}

impl Correlator {
    /// The ground that says most, as people would put it.
    pub(super) fn reason(&self, alert: &Alert, seen: &Sighting, best: (Score, EpisodeId), cx: &Lens<'_>) -> Reason {
        let (score, id) = best;
        let Some(profile) = self.profiles.get(&id) else { return Reason::SameTime };
        if profile.alerts_of(seen.entity) > 0 {
            return Reason::SameEntity;
        }
        if score.parts.causality > score.parts.place.max(0) {
            let opened = (seen.check, seen.at);
            let strongest = cx.tables.causality.strongest(opened, self.learned.resolution(cx), profile);
            let of_cause = strongest.filter(|(_, has_cause)| *has_cause);
            if let Some(edge) = of_cause.and_then(|(place, _)| cx.policy.correlate.causality.get(place)) {
                return Reason::Follows(edge.cause.as_str().into());
            }
        }
        let Some(ground) = score.ground else { return Reason::SameTime };
        let (Some(ring), Some(name)) = (seen.ring(ground), name_of(ground, alert, &self.learned, cx)) else {
            return Reason::SameTime;
        };
        let tally = profile.tally(ground).0;
        let others_on_it = tally[Ring::Own as usize] > 0;
        match (ring, self.learned.ground(ground, cx).kind) {
            (Ring::Beside, _) => Reason::Mentions(name),
            (Ring::Near | Ring::Far, _) => Reason::DependsOn(name),
            // What only a label says is said by it.
            (Ring::Own, GroundKind::Service) if !alert.services.contains(&name) => Reason::SameLabel(name),
            (Ring::Own, GroundKind::Service) if others_on_it => Reason::SameService(name),
            (Ring::Own, GroundKind::Service) => Reason::Serves(name),
            (Ring::Own, GroundKind::Label) => Reason::SameLabel(name),
            (Ring::Own, _) if ground == seen.entity => Reason::Carries,
            (Ring::Own, _) => Reason::RunsOn(name),
        }
    }
}
