use super::*;
use crate::domain::episode::{Member, tests::member};
use crate::{
    domain::{incident::IncidentId, policy::Policy, recurrence::ProblemId, time::Span},
    output::{Body, Outputs},
};

/// Entity, check and service of each.
type Alerts<'a> = &'a [(&'a str, &'a str, &'a str)];

const DAY: i64 = 24 * 3_600_000;

fn signature(alerts: Alerts<'_>) -> Signature {
    let members: Vec<_> = alerts.iter().map(|(entity, check, service)| member(entity, check, service)).collect();
    Signature::of(&members, 16, &Checks::default())
}

/// One that was over on a day.
fn kept(number: u64, day: i64, alerts: Alerts<'_>) -> Kept {
    let at = Timestamp(day * DAY);
    let incident = PastIncident {
        id: IncidentId(1_000 + number),
        number,
        title: String::new(),
        started_at: at,
        resolved_at: at,
        resolved_by: None,
        resolution: String::new(),
        tickets: Vec::new(),
        cause: String::new(),
    };
    Kept { incident: Arc::new(incident), signature: signature(alerts), problem: None }
}

fn history(all: &[(u64, i64, Alerts<'_>)]) -> History {
    let mut history = History::default();
    all.iter().for_each(|(number, day, alerts)| history.insert(*number, kept(*number, *day, alerts)));
    history
}

/// What `act` said of problems, and what went at a limit.
fn with<T>(
    edit: impl FnOnce(&mut Policy),
    act: impl FnOnce(&mut Bounds<'_>, &mut Teller<'_>) -> T,
) -> (T, Vec<Body>, Evicted) {
    let (mut policy, mut evicted, mut out) = (Policy::default(), Evicted::default(), Outputs::default());
    edit(&mut policy);
    let (scope, recurrence) = ("s".into(), &policy.raise.recurrence);
    let mut by = Bounds { policy: recurrence, checks: &policy.checks, limits: &policy.limits, evicted: &mut evicted };
    let done = act(&mut by, &mut Teller { scope: &scope, zone: &recurrence.timezone, out: &mut out });
    (done, out.items.into_iter().map(|output| output.body).collect(), evicted)
}

const OUTAGE: Alerts<'_> = &[("db-1", "latency", "db"), ("web-1", "errors", "shop")];
const DISK: Alerts<'_> = &[("log-1", "disk", "log")];

#[test]
fn the_most_similar_comes_first_and_of_equals_the_latest() {
    let half: &[_] = &[("db-1", "latency", "db")];
    let history = history(&[(1, 1, OUTAGE), (2, 2, DISK), (3, 3, half), (4, 4, OUTAGE)]);
    let found = history.similar(&signature(OUTAGE), 9, 300);
    assert_eq!(found.iter().map(|(_, number)| *number).collect::<Vec<_>>(), [4, 1, 3]);
    assert_eq!((found[0].0, found[1].0), (1_000, 1_000));
    assert!((300..900).contains(&found[2].0), "{found:?}");
    assert_eq!(history.similar(&signature(OUTAGE), 4, 999), [(1_000, 1)], "an incident is not like itself");
    assert_eq!(history.similar(&signature(&[("mail-1", "queue", "mail")]), 9, 1), []);
}

#[test]
fn what_is_in_every_incident_says_little() {
    let noise = ("log-1", "full", "log");
    let mut history = History::default();
    for number in 1..=50 {
        let entity = format!("host-{number}");
        history.insert(number, kept(number, 1, &[(&entity, "cpu", &entity), noise]));
    }
    history.insert(51, kept(51, 1, &[("db-1", "latency", "db"), noise]));
    let found = history.similar(&signature(&[("db-1", "latency", "db"), ("mail-1", "queue", "mail"), noise]), 99, 1);
    let of = |number| found.iter().find(|(_, n)| *n == number).map_or(0, |(score, _)| *score);
    assert!(of(51) > 400, "{}", of(51));
    assert!(of(7) < 150, "the noise alone: {}", of(7));
}

#[test]
fn a_check_at_its_place_that_thousands_had_is_bounded() {
    let mut history = History::default();
    (1..=1_000).for_each(|number| history.insert(number, kept(number, 1, DISK)));
    let found = history.similar(&signature(DISK), 1_001, 500);
    assert_eq!((found.len(), found[0].1), (CANDIDATES_MAX, 1_000), "the latest");
}

#[test]
fn an_old_one_of_which_each_part_is_common_is_found_and_one_with_no_part_at_its_place() {
    let parts = [("db-1", "latency", "db"), ("web-1", "errors", "shop"), ("mq-1", "queue", "mail")];
    let mut history = history(&[(1, 1, &parts)]);
    (2..=1_000).for_each(|number| history.insert(number, kept(number, 2, &parts[number as usize % 3..][..1])));
    let found = history.similar(&signature(&parts), 1_001, 500);
    assert_eq!(found.first(), Some(&(1_000, 1)));
    // Logs name who it was, and no template is the same.
    let log = |user: &str| {
        let summary = format!("session of {user} was closed by the server before it began");
        Member { summary: summary.into(), ..member("gate-1", "syslog", "gate") }
    };
    let of = |user| Signature::of(&[log(user)], 16, &Checks::default());
    history.insert(2_000, Kept { signature: of("ann"), ..kept(2_000, 3, DISK) });
    assert_eq!(history.similar(&of("bob"), 2_001, 500).first().map(|(_, number)| *number), Some(2_000));
}

#[test]
fn what_has_been_over_for_longest_makes_room_and_what_is_old_expires() {
    // The one with the lowest number was over last.
    let mut history = history(&[(1, 9, OUTAGE), (2, 3, DISK), (3, 5, DISK), (4, 5, OUTAGE)]);
    let at = |day: i64| Timestamp(day * DAY);
    let ((), _, evicted) = with(|p| p.limits.past_incidents = 3, |by, tell| history.make_room(1, at(10), by, tell));
    assert_eq!(history.past.keys().copied().collect::<Vec<_>>(), [1, 4], "ties by number");
    assert_eq!(evicted.past_incidents, 2);
    let ((), _, evicted) =
        with(|p| p.raise.recurrence.keep = Span(4 * DAY), |by, tell| history.make_room(0, at(10), by, tell));
    assert_eq!(history.past.keys().copied().collect::<Vec<_>>(), [1]);
    assert_eq!(evicted.past_incidents, 0, "its time was over");
    history.remove(1);
    assert!(history.index.is_empty(), "nothing is left of what went");
}

fn one(number: u64, day: i64) -> Returned {
    Returned { number, id: IncidentId(1_000 + number), started_at: Timestamp(day * DAY) }
}

#[test]
fn the_third_within_the_time_is_a_problem_and_the_rest_join_it() {
    let mut history = history(&[(1, 1, OUTAGE), (2, 40, OUTAGE), (3, 41, OUTAGE)]);
    let similar = |history: &History, number| history.similar(&signature(OUTAGE), number, 500);
    let (problem, said, _) = with(
        |_| {},
        |by, tell| {
            let found = similar(&history, 4);
            assert_eq!(history.problem_of(one(4, 80), "t", &found, by, tell), None, "they lie too far apart");
            history.problem_of(one(4, 42), "t", &found, by, tell)
        },
    );
    assert_eq!((problem, said.len()), (Some(1), 1));
    let problem = history.problems().next().expect("a problem");
    assert_eq!(problem.returned.iter().map(|one| one.number).collect::<Vec<_>>(), [2, 3, 4], "the first is too old");
    let (again, said, _) =
        with(|_| {}, |by, tell| history.problem_of(one(5, 79), "t", &similar(&history, 5), by, tell));
    assert_eq!((again, said.len()), (Some(1), 0), "it is the one that is known");
}

#[test]
fn the_problem_that_was_not_seen_for_longest_makes_room() {
    let other: &[_] = &[("mail-1", "queue", "mail")];
    let mut history =
        history(&[(1, 5, DISK), (2, 6, DISK), (4, 1, OUTAGE), (5, 2, OUTAGE), (7, 3, other), (8, 4, other)]);
    let (_, said, evicted) = with(
        |policy| policy.limits.problems = 2,
        |by, tell| {
            for (number, day, alerts) in [(3, 7, DISK), (6, 3, OUTAGE), (9, 5, other)] {
                let found = history.similar(&signature(alerts), number, 500);
                history.problem_of(one(number, day), "t", &found, by, tell);
            }
        },
    );
    assert_eq!(history.problems().map(|problem| problem.number).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(evicted.problems, 1);
    let gone: Vec<ProblemId> =
        said.iter().filter_map(|body| if let Body::ProblemGone { id, .. } = body { Some(*id) } else { None }).collect();
    assert_eq!(gone.len(), 1);
    assert_eq!(history.past[&4].problem, None, "its incidents may be another one's");
    let horizon = |history: &mut History, day: i64| {
        with(|_| {}, |by, tell| history.make_room(0, Timestamp(day * DAY), by, tell)).1.len()
    };
    assert_eq!((horizon(&mut history, 95), horizon(&mut history, 98)), (0, 2), "what comes no more is forgotten");
}

#[test]
fn a_snapshot_of_it_is_restored_with_its_index() -> Result<(), postcard::Error> {
    let mut history = history(&[(1, 1, OUTAGE), (2, 2, DISK), (3, 3, OUTAGE)]);
    with(
        |_| {},
        |by, tell| {
            let found = history.similar(&signature(OUTAGE), 4, 500);
            history.problem_of(one(4, 4), "t", &found, by, tell)
        },
    );
    let bytes = postcard::to_stdvec(&history)?;
    let restored: History = postcard::from_bytes(&bytes)?;
    assert_eq!(restored, history);
    assert_eq!(postcard::to_stdvec(&restored)?, bytes);
    assert_eq!(restored.similar(&signature(OUTAGE), 9, 1), history.similar(&signature(OUTAGE), 9, 1));
    Ok(())
}

#[test]
fn a_long_text_is_cut_between_characters() {
    let text = cut("ä".repeat(400));
    assert_eq!((text.chars().count(), text.ends_with('…')), (251, true));
    assert_eq!(cut("short".to_owned()), "short");
}
