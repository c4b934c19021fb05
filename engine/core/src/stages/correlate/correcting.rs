//! How what people said finds its way into the model.
use super::{
    Correlator, Lens, Score, Sighting,
    corrections::{FORBIDDEN, Present, Said},
    index::Candidate,
};
use crate::{
    domain::{
        alert::Alert,
        correction::{Correction, CorrectionId, Keys, Party},
        episode::{EpisodeId, Member, Reason},
        policy::{Correlate, Policy},
    },
    scope::Cx,
    timers::TimerKind,
};

/// Episodes that are weighed beside the others because people said that their like belongs together.
const LED_TO_MAX: usize = 16;

impl Correlator {
    /// What people said.
    pub fn corrections(&self) -> impl Iterator<Item = &Correction> {
        self.corrections.iter()
    }

    /// People said something. Those that had to make room for it, which expire first.
    pub fn correct(&mut self, correction: Correction, cx: &mut Cx<'_>) -> Vec<CorrectionId> {
        let mut gone = Vec::new();
        while self.corrections.len() >= cx.policy.limits.corrections.max(1) {
            let Some(first) = self.corrections.first_to_go() else { break };
            cx.core.evicted.corrections += 1;
            self.withdraw(first, cx);
            gone.push(first);
        }
        cx.set(TimerKind::ForgetCorrection, correction.id.0.into(), correction.expires_at);
        self.corrections.insert(correction);
        let ids: Vec<EpisodeId> = self.episodes.keys().filter(|id| self.profiles.contains_key(id)).copied().collect();
        ids.into_iter().for_each(|id| self.remember(id, &cx.policy.correlate));
        gone
    }

    /// What people said holds no more.
    pub fn withdraw(&mut self, id: CorrectionId, cx: &mut Cx<'_>) -> Option<Correction> {
        cx.core.timers.cancel(TimerKind::ForgetCorrection, id.0.into());
        self.corrections.remove(id)
    }

    /// What was said of an alert.
    pub(super) fn said<'a>(&'a self, seen: &Sighting, lens: &Lens<'a>) -> Said<'a> {
        self.corrections.of(Keys::new(seen.fingerprint, seen.check, seen.home), lens.policy)
    }

    /// Episodes that an alert is weighed against: those that the index finds, and those that people's words lead to.
    pub(super) fn candidates(&self, seen: &Sighting, said: &Said<'_>, policy: &Correlate) -> Vec<Candidate> {
        let mut found: Vec<Candidate> = self.index.candidates(seen, policy).collect();
        let most = found.len() + LED_TO_MAX;
        for id in said.leads().flat_map(|key| self.index.on(key).take(LED_TO_MAX)) {
            if found.len() >= most {
                break;
            }
            if found.iter().all(|candidate| candidate.id != id) {
                found.push(Candidate { id, likeliest: f64::MAX });
            }
        }
        found
    }

    /// Whether people put an alert apart from another.
    pub(super) fn is_put_apart(&self, alert: &Alert, from: &Member, policy: &Policy) -> bool {
        let mut present = Present::default();
        self.corrections.known(Keys::of(from)).for_each(|key| present.add(key));
        self.forbids(alert, &present, policy)
    }

    /// Whether people put an alert apart from one in an episode.
    pub fn is_apart(&self, alert: &Alert, from: EpisodeId, policy: &Policy) -> bool {
        self.profiles.get(&from).is_some_and(|profile| self.forbids(alert, profile.said_of(), policy))
    }

    fn forbids(&self, alert: &Alert, present: &Present, policy: &Policy) -> bool {
        self.corrections.of(Party::of(alert).keys(), policy).of_episode(present) <= FORBIDDEN
    }

    /// Why an alert is where it is; that people said so where it would not be there else.
    pub(super) fn reason_or_said(
        &self,
        alert: &Alert,
        seen: &Sighting,
        best: (Score, EpisodeId),
        lens: &Lens<'_>,
    ) -> Reason {
        if best.0.is_said() { Reason::Corrected } else { self.reason(alert, seen, best, lens) }
    }

    /// An episode remembers which of its alerts and kinds people spoke of, and is found by them.
    pub(super) fn remember(&mut self, id: EpisodeId, policy: &Correlate) {
        let Some(profile) = self.profiles.get_mut(&id) else { return };
        profile.unsay();
        let Some(episode) = self.episodes.get_mut(&id).filter(|_| self.corrections.len() > 0) else { return };
        let known: Vec<u64> = episode.members.iter().flat_map(|m| self.corrections.known(Keys::of(m))).collect();
        for key in known {
            profile.is_said_of(key);
            self.index.list_under(episode, key, policy);
        }
    }

    /// The same of a member that has just joined.
    pub(super) fn remember_one(&mut self, id: EpisodeId, member: usize, policy: &Correlate) {
        if self.corrections.len() == 0 {
            return;
        }
        let (Some(profile), Some(episode)) = (self.profiles.get_mut(&id), self.episodes.get_mut(&id)) else { return };
        let Some(member) = episode.members.get(member) else { return };
        let known: Vec<u64> = self.corrections.known(Keys::of(member)).collect();
        for key in known {
            profile.is_said_of(key);
            self.index.list_under(episode, key, policy);
        }
    }
}
