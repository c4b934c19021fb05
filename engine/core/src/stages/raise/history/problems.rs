//! Problems: what like incidents may have in common, as long as they keep coming.
use super::usual::usual;
use crate::{
    domain::{
        hash::Framed,
        recurrence::{Problem, ProblemId, Returned},
        time::Timestamp,
        zone::Zone,
    },
    output::{Body, Outputs, ProblemUpdate},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// Incidents of a problem that are remembered one by one.
const RETURNED_MAX: usize = 100;

/// Where what changes is said.
pub struct Teller<'a> {
    pub scope: &'a Arc<str>,
    pub zone: &'a Zone,
    pub out: &'a mut Outputs,
}

impl Teller<'_> {
    fn say(&mut self, problem: &Arc<Problem>) {
        let (scope, problem) = (self.scope.clone(), problem.clone());
        self.out.say(Body::Problem(Box::new(ProblemUpdate { scope, problem })));
    }
}

/// The problems of a scope, by number.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Problems {
    kept: BTreeMap<u64, Arc<Problem>>,
    /// The number of the latest.
    number: u64,
}

impl Problems {
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Problem>> {
        self.kept.values()
    }

    pub fn get(&self, number: u64) -> Option<&Arc<Problem>> {
        self.kept.get(&number)
    }

    /// Like incidents, of which there is at least one, are a problem.
    pub fn found(&mut self, mut returned: Vec<Returned>, title: &str, tell: &mut Teller<'_>) -> u64 {
        returned.sort_unstable();
        self.number += 1;
        let first = returned.first().map_or(0, |one| one.id.0);
        let hash = Framed::default().field(tell.scope.as_bytes()).field(first.to_le_bytes()).field("problem").hash64();
        let mut problem = Problem {
            id: ProblemId(hash),
            number: self.number,
            title: title.to_owned(),
            count: returned.len() as u64,
            first_at: Timestamp::MAX,
            returned: returned.into(),
            usual: None,
        };
        sum_up(&mut problem, tell.zone);
        let problem = Arc::new(problem);
        tell.say(&problem);
        self.kept.insert(self.number, problem);
        self.number
    }

    /// It is back; or what is known of when it came has changed.
    pub fn join(&mut self, number: u64, one: Returned, title: &str, tell: &mut Teller<'_>) {
        let Some(problem) = self.kept.get_mut(&number) else { return };
        let known = problem.returned.binary_search_by_key(&one.number, |one| one.number);
        if known.is_ok_and(|place| problem.returned[place] == one) {
            return;
        }
        let now = Arc::make_mut(problem);
        match known {
            Ok(place) => now.returned[place] = one,
            Err(place) => {
                now.returned.insert(place, one);
                now.count += 1;
                title.clone_into(&mut now.title);
            }
        }
        sum_up(now, tell.zone);
        tell.say(problem);
    }

    /// An incident is none of it after all. Whether it is no problem any more, with fewer than `min` that are remembered.
    pub fn leave(&mut self, number: u64, incident: u64, min: usize, tell: &mut Teller<'_>) -> bool {
        let Some(problem) = self.kept.get_mut(&number) else { return false };
        let Ok(place) = problem.returned.binary_search_by_key(&incident, |one| one.number) else { return false };
        let now = Arc::make_mut(problem);
        now.returned.remove(place);
        now.count -= 1;
        if now.count < min as u64 {
            self.remove(number, tell);
            return true;
        }
        sum_up(now, tell.zone);
        tell.say(problem);
        false
    }

    /// Its latest incident has another title.
    pub fn rename(&mut self, number: u64, incident: u64, title: &str, tell: &mut Teller<'_>) {
        let Some(problem) = self.kept.get_mut(&number) else { return };
        if problem.returned.back().is_some_and(|last| last.number == incident) && problem.title != title {
            title.clone_into(&mut Arc::make_mut(problem).title);
            tell.say(problem);
        }
    }

    /// The longest unseen; ties by number.
    pub fn longest_unseen(&self) -> Option<u64> {
        self.kept.values().map(|problem| (problem.last_at(), problem.number)).min().map(|(_, number)| number)
    }

    /// Those that have not come since.
    pub fn unseen_since(&self, horizon: Timestamp) -> Vec<u64> {
        self.kept.values().filter(|problem| problem.last_at() < horizon).map(|problem| problem.number).collect()
    }

    pub fn remove(&mut self, number: u64, tell: &mut Teller<'_>) {
        if let Some(problem) = self.kept.remove(&number) {
            tell.out.say(Body::ProblemGone { scope: tell.scope.clone(), id: problem.id });
        }
    }
}

fn sum_up(problem: &mut Problem, zone: &Zone) {
    let starts = |returned: &VecDeque<Returned>| returned.iter().map(|one| one.started_at).collect::<Vec<_>>();
    let known = starts(&problem.returned);
    let first = known.iter().min().copied().unwrap_or(problem.first_at);
    // Of those that are not remembered one by one it is known that one was the first.
    let all = problem.count == known.len() as u64;
    problem.first_at = if all { first } else { first.min(problem.first_at) };
    problem.usual = usual(known.into_iter(), zone);
    let beyond = problem.returned.len().saturating_sub(RETURNED_MAX);
    problem.returned.drain(..beyond);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::incident::IncidentId;

    const HOUR: i64 = 3_600_000;

    fn returned(number: u64) -> Returned {
        Returned { number, id: IncidentId(100 + number), started_at: Timestamp(number as i64 * 26 * HOUR) }
    }

    fn with(act: impl FnOnce(&mut Problems, &mut Teller<'_>)) -> (Problems, Vec<Body>) {
        let (mut problems, mut out) = (Problems::default(), Outputs::default());
        let (scope, zone) = ("s".into(), Zone::utc());
        act(&mut problems, &mut Teller { scope: &scope, zone: &zone, out: &mut out });
        (problems, out.items.into_iter().map(|output| output.body).collect())
    }

    #[test]
    fn it_counts_and_knows_how_often_it_comes() {
        let (problems, said) = with(|problems, tell| {
            let number = problems.found(vec![returned(3), returned(1), returned(2)], "latency on db", tell);
            problems.join(number, returned(4), "errors on db", tell);
            problems.join(number, returned(4), "errors on db", tell);
        });
        let problem = problems.get(1).expect("it is kept");
        assert_eq!((problem.count, &*problem.title), (4, "errors on db"));
        assert_eq!((problem.first_at.0, problem.every().0, problem.last_at().0), (26 * HOUR, 26 * HOUR, 104 * HOUR));
        assert_eq!(said.len(), 2, "what is known already is not said again");
    }

    #[test]
    fn with_too_few_it_is_none_any_more() {
        let (problems, said) = with(|problems, tell| {
            let number = problems.found((1..=4).map(returned).collect(), "t", tell);
            assert!(!problems.leave(number, 2, 3, tell));
            assert!(!problems.leave(number, 2, 3, tell), "it has left before");
            assert!(problems.leave(number, 4, 3, tell));
        });
        assert_eq!(problems.iter().len(), 0);
        assert!(matches!(said.last(), Some(Body::ProblemGone { .. })));
    }

    #[test]
    fn what_comes_for_ever_is_bounded() {
        let (problems, _) = with(|problems, tell| {
            let number = problems.found((1..=3).map(returned).collect(), "t", tell);
            (4..=500).for_each(|n| problems.join(number, returned(n), "t", tell));
        });
        let problem = problems.get(1).expect("it is kept");
        assert_eq!((problem.count, problem.returned.len(), problem.first_at.0), (500, RETURNED_MAX, 26 * HOUR));
        assert_eq!(problem.every().0, 26 * HOUR);
    }
}
