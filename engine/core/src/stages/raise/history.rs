//! Incidents that are over, in short, for longer than they are kept themselves: what comes back is known again, and how it
//! was resolved. It changes nothing of what is grouped or raised. Looked at when an incident is over and when its causes
//! are ranked, never for an alert.
use super::causes::SUSPECTS_MAX;
use crate::{
    domain::{
        check::Checks,
        episode::Episode,
        incident::Incident,
        policy::{Limits, Recurrence},
        recurrence::{PastIncident, Problem, Returned, SimilarIncident},
        time::Timestamp,
    },
    scope::{Core, Cx},
    totals::Evicted,
};
use quell_models::similarity;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

mod problems;
mod signature;
mod usual;
use problems::{Problems, Teller};
use signature::Signature;

/// Shown of one incident.
const SIMILAR_MAX: usize = 3;
/// Past incidents that one is compared with: those of the rarest checks at a place first, of each the latest;
const CANDIDATES_MAX: usize = 128;
/// and beside them those that have most in common with it, all in all: an old one of which each part is common, or none is the same
/// at the same place.
const NEAR_MAX: usize = 32;
/// From that Jaccard index of all keys on: about what is similar by default, where entities weigh less.
const NEAR: f64 = 0.4;
/// Of a past incident's title, cause and resolution, in bytes,
const TEXT_MAX: usize = 500;
/// and of its tickets.
const TICKETS_MAX: usize = 3;
/// What people said last.
const COMMENTS_MAX: usize = 2;

/// The past of a scope.
#[derive(Debug, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct History {
    /// By number.
    past: BTreeMap<u64, Kept>,
    problems: Problems,
    /// By key: numbers of those that have it, sorted.
    #[serde(skip)]
    index: FxHashMap<u64, Vec<u64>>,
    /// By number.
    #[serde(skip)]
    near: similarity::Index,
}

impl Default for History {
    fn default() -> Self {
        // What bounds the past bounds it.
        let near = similarity::Index::new(NEAR, usize::MAX);
        Self { past: BTreeMap::new(), problems: Problems::default(), index: FxHashMap::default(), near }
    }
}

impl PartialEq for History {
    /// The rest follows.
    fn eq(&self, other: &Self) -> bool {
        (&self.past, &self.problems) == (&other.past, &other.problems)
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Kept {
    incident: Arc<PastIncident>,
    signature: Signature,
    /// The number of the problem that it is of.
    problem: Option<u64>,
}

/// As it stands in a snapshot: the index follows from the rest.
#[derive(Deserialize)]
struct Stored {
    past: BTreeMap<u64, Kept>,
    problems: Problems,
}

impl From<Stored> for History {
    fn from(Stored { past, problems }: Stored) -> Self {
        let mut history = Self { problems, ..Self::default() };
        past.into_iter().for_each(|(number, kept)| history.insert(number, kept));
        history
    }
}

impl History {
    /// Incidents that are remembered.
    pub fn len(&self) -> usize {
        self.past.len()
    }

    /// None is.
    pub fn is_empty(&self) -> bool {
        self.past.is_empty()
    }

    /// What keeps coming back.
    pub fn problems(&self) -> impl ExactSizeIterator<Item = &Arc<Problem>> {
        self.problems.iter()
    }

    fn insert(&mut self, number: u64, kept: Kept) {
        self.remove(number);
        for key in kept.signature.keys() {
            let numbers = self.index.entry(key).or_default();
            if let Err(place) = numbers.binary_search(&number) {
                numbers.insert(place, number);
            }
        }
        self.near.insert(number, kept.signature.minwise());
        self.past.insert(number, kept);
    }

    fn remove(&mut self, number: u64) {
        let Some(kept) = self.past.remove(&number) else { return };
        self.near.remove(number);
        for key in kept.signature.keys() {
            let Some(numbers) = self.index.get_mut(&key) else { continue };
            if let Ok(place) = numbers.binary_search(&number) {
                numbers.remove(place);
            }
            if numbers.is_empty() {
                self.index.remove(&key);
            }
        }
    }

    /// How much a key says, in thousandths: the rarer in the past, the more (inverse document frequency; Spärck Jones, A
    /// statistical interpretation of term specificity, 1972).
    fn weight(&self, key: u64) -> u64 {
        let with = self.index.get(&key).map_or(0, Vec::len);
        let rarity = (self.past.len() + 1) as f64 / (with + 1) as f64;
        (1_000.0 * (1.0 + libm::log(rarity)) + 0.5) as u64
    }

    /// The most similar of the past, best first, of as similar ones the latest: similarity in thousandths, and number.
    fn similar(&self, to: &Signature, but: u64, least: u32) -> Vec<(u32, u64)> {
        let mut places: Vec<&[u64]> = to.places().filter_map(|key| self.index.get(&key)).map(Vec::as_slice).collect();
        places.sort_by_key(|numbers| numbers.len());
        let mut candidates = Vec::new();
        for number in places.into_iter().flat_map(|numbers| numbers.iter().rev()).filter(|number| **number != but) {
            if candidates.len() >= CANDIDATES_MAX {
                break;
            }
            if !candidates.contains(number) {
                candidates.push(*number);
            }
        }
        let near = self.near.near(&to.minwise(), NEAR_MAX).into_iter().map(|near| near.id);
        candidates.extend(near.filter(|number| *number != but));
        candidates.sort_unstable();
        candidates.dedup();
        let known: FxHashMap<u64, u64> = to.keys().map(|key| (key, self.weight(key))).collect();
        let weight = |key| known.get(&key).copied().unwrap_or_else(|| self.weight(key));
        let scored = |number| Some((to.similarity(&self.past.get(&number)?.signature, weight), number));
        let mut found: Vec<_> =
            candidates.into_iter().filter_map(scored).filter(|(score, _)| *score >= least).collect();
        found.sort_unstable_by_key(|scored| Reverse(*scored));
        found
    }

    /// The problem that an incident is of: that of the most similar, or a new one with all that are similar and came lately.
    fn problem_of(
        &mut self,
        one: Returned,
        title: &str,
        found: &[(u32, u64)],
        by: &mut Bounds<'_>,
        tell: &mut Teller<'_>,
    ) -> Option<u64> {
        let kept = || found.iter().filter_map(|(_, number)| self.past.get(number));
        if let Some(known) = kept().find_map(|kept| kept.problem) {
            return Some(known);
        }
        let lately = |past: &&PastIncident| past.started_at >= one.started_at - by.policy.within;
        let past = kept().map(|kept| &*kept.incident).filter(lately);
        let past = past.map(|past| Returned { number: past.number, id: past.id, started_at: past.started_at });
        let all: Vec<_> = past.chain([one]).collect();
        if all.len() < by.policy.incidents {
            return None;
        }
        if self.problems.iter().len() >= by.limits.problems
            && let Some(victim) = self.problems.longest_unseen()
        {
            by.evicted.problems += 1;
            self.drop_problem(victim, tell);
        }
        let numbers: Vec<_> = all.iter().map(|one| one.number).collect();
        let problem = self.problems.found(all, title, tell);
        for number in numbers {
            if let Some(kept) = self.past.get_mut(&number) {
                kept.problem = Some(problem);
            }
        }
        Some(problem)
    }

    fn leave(&mut self, problem: u64, incident: u64, min: usize, tell: &mut Teller<'_>) {
        if self.problems.leave(problem, incident, min, tell) {
            self.unmark(problem);
        }
    }

    fn drop_problem(&mut self, problem: u64, tell: &mut Teller<'_>) {
        self.problems.remove(problem, tell);
        self.unmark(problem);
    }

    fn unmark(&mut self, problem: u64) {
        for kept in self.past.values_mut().filter(|kept| kept.problem == Some(problem)) {
            kept.problem = None;
        }
    }

    /// What is past its time goes, and where there is no room for one more what has been over for longest.
    fn make_room(&mut self, room: usize, clock: Timestamp, by: &mut Bounds<'_>, tell: &mut Teller<'_>) {
        let horizon = clock - by.policy.keep;
        let over = |kept: &Kept| kept.incident.resolved_at < horizon;
        let old: Vec<_> = self.past.iter().filter(|(_, kept)| over(kept)).map(|(number, _)| *number).collect();
        old.into_iter().for_each(|number| self.remove(number));
        for problem in self.problems.unseen_since(horizon) {
            self.drop_problem(problem, tell);
        }
        while self.past.len() + room > by.limits.past_incidents {
            let oldest = self.past.iter().map(|(number, kept)| (kept.incident.resolved_at, *number)).min();
            let Some((_, victim)) = oldest else { return };
            by.evicted.past_incidents += 1;
            self.remove(victim);
        }
    }
}

struct Bounds<'a> {
    policy: &'a Recurrence,
    checks: &'a Checks,
    limits: &'a Limits,
    evicted: &'a mut Evicted,
}

fn parts<'a>(cx: &'a mut Cx<'_>) -> (&'a mut History, Timestamp, Bounds<'a>, Teller<'a>) {
    let (policy, limits) = (&cx.policy.raise.recurrence, &cx.policy.limits);
    let Core { name, clock, evicted, history, .. } = &mut *cx.core;
    let tell = Teller { scope: name, zone: &policy.timezone, out: &mut *cx.out };
    (history, *clock, Bounds { policy, checks: &cx.policy.checks, limits, evicted }, tell)
}

fn signature_of(episode: &Episode, policy: &Recurrence, checks: &Checks) -> Signature {
    // The first of a storm, as for its causes: so that it is alike before all of it is there.
    Signature::of(&episode.members[..episode.members.len().min(SUSPECTS_MAX)], policy.keys, checks)
}

/// Which of the past an incident is like, and what keeps coming back.
pub(super) fn recall(incident: &mut Incident, episode: &Episode, cx: &mut Cx<'_>) {
    let (history, clock, mut by, mut tell) = parts(cx);
    history.make_room(0, clock, &mut by, &mut tell);
    let signature = signature_of(episode, by.policy, by.checks);
    let found = history.similar(&signature, incident.number, by.policy.similar_at());
    let shown = found.iter().take(SIMILAR_MAX).filter_map(|(similarity, number)| {
        let past = history.past.get(number)?.incident.clone();
        Some(SimilarIncident { similarity: *similarity, past })
    });
    incident.similar = shown.collect();
    let one = Returned { number: incident.number, id: incident.id, started_at: incident.started_at };
    let before = incident.problem.as_ref().map(|problem| problem.number);
    let now = history.problem_of(one, &incident.title, &found, &mut by, &mut tell);
    if let Some(left) = before.filter(|before| now != Some(*before)) {
        history.leave(left, incident.number, by.policy.incidents, &mut tell);
    }
    if let Some(now) = now {
        history.problems.join(now, one, &incident.title, &mut tell);
    }
    incident.problem = now.and_then(|now| history.problems.get(now)).cloned();
}

/// An incident spoke: it is remembered while it is over, as it is then.
pub(super) fn note(incident: &Incident, episode: &Episode, cx: &mut Cx<'_>) {
    let (history, clock, mut by, mut tell) = parts(cx);
    if incident.state.is_open() {
        return history.remove(incident.number);
    }
    if incident.merged_into.is_some() || episode.members.is_empty() || by.limits.past_incidents == 0 {
        return;
    }
    history.remove(incident.number);
    history.make_room(1, clock, &mut by, &mut tell);
    let problem = incident.problem.as_ref().map(|problem| problem.number);
    let problem = problem.filter(|problem| history.problems.get(*problem).is_some());
    let signature = signature_of(episode, by.policy, by.checks);
    history.insert(incident.number, Kept { incident: Arc::new(past(incident)), signature, problem });
    if let Some(problem) = problem {
        history.problems.rename(problem, incident.number, &incident.title, &mut tell);
    }
}

/// An incident went on as another one.
pub(super) fn forget(incident: &mut Incident, cx: &mut Cx<'_>) {
    let (history, _, by, mut tell) = parts(cx);
    history.remove(incident.number);
    if let Some(problem) = incident.problem.take() {
        history.leave(problem.number, incident.number, by.policy.incidents, &mut tell);
    }
}

fn past(incident: &Incident) -> PastIncident {
    let cause = incident.causes.first().map_or(String::new(), |cause| format!("{} on {}", cause.check, cause.entity));
    let mut tickets = incident.tickets.clone();
    tickets.truncate(TICKETS_MAX);
    PastIncident {
        id: incident.id,
        number: incident.number,
        title: cut(incident.title.clone()),
        started_at: incident.started_at,
        resolved_at: incident.resolved_at.or(incident.closed_at).unwrap_or(incident.updated_at),
        resolved_by: incident.resolved_by.clone(),
        resolution: cut(resolution(incident)),
        tickets,
        cause: cut(cause),
    }
}

/// What people said last, oldest first; with who said it, where another resolved it.
fn resolution(incident: &Incident) -> String {
    let comments = incident.timeline.iter().rev().filter(|entry| &*entry.kind == "comment");
    let said = comments.take(COMMENTS_MAX).map(|entry| match &incident.resolved_by {
        Some(by) if *by == entry.actor => entry.text.clone(),
        _ if entry.actor.is_empty() => entry.text.clone(),
        _ => format!("{}: {}", entry.actor, entry.text),
    });
    let mut said: Vec<_> = said.collect();
    said.reverse();
    said.join("; ")
}

fn cut(mut text: String) -> String {
    if text.len() > TEXT_MAX {
        let whole = (0..=TEXT_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(whole);
        text.push('…');
    }
    text.shrink_to_fit();
    text
}

#[cfg(test)]
mod tests;
