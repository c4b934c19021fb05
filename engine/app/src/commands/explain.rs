//! `quell explain`: why these alerts, why raised, why this priority, and what the cause probably is.
use super::{
    client::{self, Client, Connection},
    incidents::{branches, facts, head, tickets},
    problems::every,
    table::{self, Cell, Look, Room, Table, Tone, time},
};
use crate::demo::text::lasted;
use quell_core::domain::apart::signed;
use quell_proto::v1::{
    Cause, GetIncidentRequest, Incident, IncidentAlert, Merge, NearbyChange, NextBest, Problem, ReasonPart,
    SimilarIncident, next_best::Place,
};
use std::collections::{BTreeMap, BTreeSet};

/// From this confidence on a cause is likely. It is not given in percent: too few causes were confirmed by people to count
/// how often it holds.
const LIKELY: f64 = 0.5;
/// Below it a call was close: the next best place was less than e times less probable.
const CLOSE: f64 = 1.0;

/// The reason of the alert that a group began with.
const THE_FIRST: &str = "the first";
/// As people read it, where the group became part of another.
const FIRST_OF_OTHERS: &str = "the first of alerts that were found to be part of this";

/// Other incidents that are called by their numbers; more are called by their ids.
const OTHERS_MAX: usize = 20;
/// Alerts that are said to have come at their hour.
const KNOWN_MAX: usize = 50;
/// What the numbers mean.
const UNITS: &str = "Numbers are log-odds: +0.7 doubles the odds that it belongs, +2.3 makes them tenfold. Time: how densely alerts came; open: how many of them still were; place: how well it lies there; check: how usual its check is among theirs; rarity: how seldom its check opens by itself; causality: what is known to cause it; corrections: what people said of such alerts.";
/// The same of merges.
const UNITS_OF_MERGES: &str = "Began: the younger within the older, not by itself; drawn: their alerts came with each other's; place: where they lie; check: which checks they have; size: large outages are rare; causality: what is known to cause how the younger began; corrections: what people said of such alerts.";

/// Why an incident is what it is: what speaks for each of its alerts in words and numbers, how close the call was, and where
/// else it might have been.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  quell explain payments-1042\n  quell explain 1042 --json | jq '.alerts[] | {entity, check, reason, parts, margin, next_best}'\n\nquell why-not says why an alert or an incident is not in it."
)]
pub struct ExplainArgs {
    /// payments-1042, 1042 in the scope `default`, or a resource name.
    #[arg(value_name = "INCIDENT")]
    incident: String,
    #[command(flatten)]
    connection: Connection,
}

/// Prints it.
///
/// # Errors
/// Where the server can't be reached or refuses.
pub async fn run(args: ExplainArgs) -> anyhow::Result<()> {
    let mut client = args.connection.client().await?;
    let incident = client::incident(&mut client, &args.incident).await?;
    let others = if args.connection.json { Others::new() } else { others(&mut client, &incident).await };
    args.connection.show("Incident", &incident, |incident, look| told(incident, &others, look))
}

/// Numbers of other incidents, by name.
type Others = BTreeMap<String, String>;

/// What the incidents are called in which alerts of this one might have been. One that is no longer kept is called by its id.
async fn others(client: &mut Client, incident: &Incident) -> Others {
    let next = incident.alerts.iter().filter_map(|alert| alert.next_best.as_ref());
    let names: BTreeSet<_> = next.map(|next| &next.incident).filter(|name| !name.is_empty()).take(OTHERS_MAX).collect();
    let mut others = Others::new();
    for name in names {
        let asked = GetIncidentRequest { name: name.clone(), ..Default::default() };
        if let Ok(found) = client.get_incident(asked).await {
            others.insert(name.clone(), found.into_inner().number);
        }
    }
    others
}

fn told(incident: &Incident, others: &Others, look: Look) -> String {
    let mut text = head(incident, look) + &look.paragraph(&incident.summary, 0);
    let mut section = |title: &str, body: String| {
        if !body.is_empty() {
            text.push_str(&format!("\n{}\n{body}", look.paint(title, Tone::Head)));
        }
    };
    section("Why it was raised", look.paragraph(&incident.raise_reason, 2));
    section(&format!("Why P{}", incident.priority), priority(incident, look));
    section("Probable causes, best first", causes(incident, look));
    section("Changes nearby", changes(incident, look));
    section("What keeps coming back", incident.problem.as_ref().map_or(String::new(), |p| problem(p, look)));
    section("Similar past incidents", similar(incident, look));
    section("Why these alerts", alerts(incident, others, look));
    section("What comes at its hour", hours(incident, look));
    section("How groups of alerts became one", merges(incident, look));
    section("What happened to it", timeline(incident, look));
    section("Beside it", beside(incident, look));
    text
}

fn hours(incident: &Incident, look: Look) -> String {
    let mut table = Table::bare(&[Room::Name, Room::Text]);
    for alert in incident.alerts.iter().filter(|alert| !alert.at_its_hour.is_empty()).take(KNOWN_MAX) {
        let what = format!("{} {}", alert.entity, alert.check);
        table.row(vec![Cell::new(&what), Cell::new(&alert.at_its_hour)]);
    }
    table.text(look, 2)
}

fn priority(incident: &Incident, look: Look) -> String {
    if incident.priority_reason.is_empty() {
        return String::new();
    }
    look.paragraph(&incident.priority_reason, 2)
}

fn causes(incident: &Incident, look: Look) -> String {
    let mut table = Table::bare(&[Room::Whole, Room::Name, Room::Text]);
    for cause in &incident.causes {
        let what = format!("{} {}", cause.entity, cause.check);
        let change = change(cause, &incident.changes);
        table.row(vec![Cell::new(how_sure(cause)), Cell::new(what.trim()), Cell::new(&(change + &cause.reason))]);
    }
    table.text(look, 2)
}

/// Whether a cause is likely or only possible.
pub fn how_sure(cause: &Cause) -> &'static str {
    if cause.confidence >= LIKELY { "likely" } else { "possible" }
}

/// `change deploy-42 (db 1.4.2): `: an id alone may say nothing to people.
fn change(cause: &Cause, nearby: &[NearbyChange]) -> String {
    if cause.change.is_empty() {
        return String::new();
    }
    let summary = nearby.iter().find(|change| change.id == cause.change).map_or("", |change| &change.summary);
    match summary {
        "" => format!("change {}: ", cause.change),
        summary => format!("change {} ({summary}): ", cause.change),
    }
}

fn changes(incident: &Incident, look: Look) -> String {
    let mut table = Table::bare(&[Room::Whole, Room::Name, Room::Text, Room::Text]);
    for change in &incident.changes {
        table.row(vec![
            Cell::time(change.at.as_ref()),
            Cell::new(&format!("{} {}", change.entity, change.check)),
            Cell::new(&change.id),
            Cell::new(&[&*change.reason, &*change.summary].join(": ")),
        ]);
    }
    table.text(look, 2)
}

fn problem(problem: &Problem, look: Look) -> String {
    let count = problem.incident_count;
    let since = time(problem.first_at.as_ref());
    let mut text = format!("{}: {count} incidents since {since}, every {} on average", problem.number, every(problem));
    if !problem.usual_time.is_empty() {
        text.push_str(&format!("; {}", problem.usual_time));
    }
    look.paragraph(&text, 2)
}

fn similar(incident: &Incident, look: Look) -> String {
    let mut text = String::new();
    for past in &incident.similar {
        let mut table = Table::bare(&[Room::Whole, Room::Whole, Room::Whole, Room::Text]);
        table.row(vec![
            Cell::new(&past.number),
            Cell::new(&format!("{:.0} %", 100.0 * past.similarity)),
            Cell::time(past.started_at.as_ref()),
            Cell::new(&past.title),
        ]);
        text.push_str(&table.text(look, 2));
        text.push_str(&look.paragraph(&how(past), 6));
    }
    text
}

/// `resolved by anna after 25 min: restarted the pool; servicenow INC0012345; probable cause: latency on db`
fn how(past: &SimilarIncident) -> String {
    let seconds = |at: &Option<prost_types::Timestamp>| at.as_ref().map(|at| at.seconds);
    let took = seconds(&past.resolved_at).zip(seconds(&past.started_at)).map(|(to, from)| (to - from).max(0));
    let after = took.map(|took| format!(" after {}", lasted(took))).unwrap_or_default();
    let by = match &*past.resolved_by {
        "" => format!("its alerts cleared{after}"),
        by => format!("resolved by {by}{after}"),
    };
    let said = if past.resolution.is_empty() { by } else { format!("{by}: {}", past.resolution) };
    let tickets = past.tickets.iter().map(|ticket| format!("{} {} {}", ticket.system, ticket.key, ticket.url));
    let cause = Some(&past.cause).filter(|cause| !cause.is_empty()).map(|cause| format!("probable cause: {cause}"));
    let parts = std::iter::once(said).chain(tickets.map(|ticket| ticket.trim_end().to_owned())).chain(cause);
    parts.collect::<Vec<_>>().join("; ")
}

fn alerts(incident: &Incident, others: &Others, look: Look) -> String {
    let weighed = incident.alerts.iter().any(|alert| !alert.parts.is_empty());
    let mut text = if weighed { look.paragraph(UNITS, 2) } else { String::new() };
    for alert in &incident.alerts {
        let mut table = Table::bare(&[Room::Whole, Room::Whole, Room::Whole, Room::Text]);
        table.row(vec![
            Cell::severity(alert.severity()),
            Cell::alert_state(alert.state()),
            Cell::time(alert.opened_at.as_ref()),
            Cell::new(&format!("{} {}", alert.entity, alert.check)),
        ]);
        text.push_str(&table.text(look, 2));
        for line in why(alert, reason(alert, incident), others) {
            text.push_str(&look.paragraph(&line, 6));
        }
    }
    if incident.alerts_truncated {
        text.push_str("  and more, that do not fit into one answer\n");
    }
    text
}

/// Why an alert is in an incident. Where groups of alerts turned out to be one, each had its first: one of them was it.
pub fn reason<'a>(alert: &'a IncidentAlert, incident: &Incident) -> &'a str {
    let began = |alert: &IncidentAlert| alert.opened_at.as_ref().map(|at| (at.seconds, at.nanos));
    let firsts = incident.alerts.iter().filter(|alert| alert.reason == THE_FIRST);
    let founder = firsts.min_by_key(|alert| (began(alert), &alert.name));
    match &*alert.reason {
        "" => "no reason is given",
        THE_FIRST if founder.is_some_and(|founder| founder.name != alert.name) => FIRST_OF_OTHERS,
        reason => reason,
    }
}

/// Why it is there, what speaks for it, what else might have been, and whether it came from elsewhere.
fn why(alert: &IncidentAlert, reason: &str, others: &Others) -> Vec<String> {
    let mut lines = vec![reason.to_owned()];
    if !alert.parts.is_empty() {
        lines.push(sum(&alert.parts));
    }
    if let Some(next) = &alert.next_best {
        lines.push(format!("next best: {}, {}", called(next, others), behind(alert.margin)));
    }
    if let Some(at) = &alert.moved_at {
        lines.push(format!("it came here from another place at {}", time(Some(at))));
    }
    lines
}

/// `0.4 behind: a close call`
fn behind(margin: f64) -> String {
    let behind = format!("{} behind", signed(thousandths(margin)).trim_start_matches('+'));
    if margin < CLOSE { format!("{behind}: a close call") } else { behind }
}

fn called(next: &NextBest, others: &Others) -> String {
    match next.place() {
        Place::Incident => others.get(&next.incident).cloned().unwrap_or_else(|| table::id(&next.incident)),
        Place::Alerts => "alerts that are of no incident".to_owned(),
        Place::Here => "alerts that have become part of this since".to_owned(),
        Place::Gone => "alerts that are no longer kept".to_owned(),
        Place::Own | Place::Unspecified => "an incident of its own".to_owned(),
    }
}

/// `+2.3 = +1.0 place, +1.3 rarity`
fn sum(parts: &[ReasonPart]) -> String {
    let total = parts.iter().map(|part| thousandths(part.log_odds)).sum();
    let parts: Vec<_> =
        parts.iter().map(|part| format!("{} {}", signed(thousandths(part.log_odds)), word_of(&part.name))).collect();
    format!("{} = {}", signed(total), parts.join(", "))
}

/// As the engine counts.
pub fn thousandths(log_odds: f64) -> i64 {
    (log_odds * 1_000.0).round() as i64
}

/// What a part is of, in a word.
fn word_of(name: &str) -> &str {
    match name {
        "lifetimes" => "open",
        "what" => "check",
        other => other,
    }
}

fn merges(incident: &Incident, look: Look) -> String {
    let merge = |merge: &Merge| {
        let alerts = if merge.alert_count == 1 { "one alert came" } else { "alerts came" };
        let count = if merge.alert_count == 1 { String::new() } else { format!("{} ", merge.alert_count) };
        let text = format!("{}  {count}{alerts}: {}", time(merge.at.as_ref()), sum(&merge.parts));
        look.paragraph(&text, 2)
    };
    if incident.merges.is_empty() {
        return String::new();
    }
    look.paragraph(UNITS_OF_MERGES, 2) + &incident.merges.iter().map(merge).collect::<String>()
}

fn timeline(incident: &Incident, look: Look) -> String {
    let mut table = Table::bare(&[Room::Whole, Room::Name, Room::Whole, Room::Text]);
    for entry in &incident.timeline {
        let actor = if entry.actor.is_empty() { "quell" } else { &entry.actor };
        let cells = [actor, &*entry.kind, &*entry.text];
        let cells = cells.into_iter().map(Cell::new);
        table.row(std::iter::once(Cell::time(entry.at.as_ref())).chain(cells).collect());
    }
    table.text(look, 2)
}

fn beside(incident: &Incident, look: Look) -> String {
    let told = [
        ("  tickets", tickets(incident)),
        ("  went on as", incident.merged_into.clone()),
        ("  merged into it", incident.duplicates.join(", ")),
        ("  split from", incident.split_from.clone()),
        ("  branch of", incident.major.clone()),
        ("  branches", branches(incident)),
        ("  came before", incident.previous.clone()),
        ("  resolved", time(incident.resolved_at.as_ref())),
        ("  resolved by", incident.resolved_by.clone()),
        ("  reopened", if incident.reopened > 0 { format!("{} times", incident.reopened) } else { String::new() }),
    ];
    facts(look, &told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use quell_proto::v1::ReasonPart;

    #[test]
    fn confidence_is_a_word_and_a_close_call_is_said() {
        let cause =
            |confidence| Cause { entity: "db-1".into(), check: "latency".into(), confidence, ..Cause::default() };
        let incident = Incident { causes: vec![cause(0.5), cause(0.49)], ..Incident::default() };
        let text = causes(&incident, Look::default());
        assert_eq!(
            text.lines().map(|line| line.trim()).collect::<Vec<_>>(),
            ["likely    db-1 latency", "possible  db-1 latency"]
        );
        let part = |name: &str, log_odds| ReasonPart { name: name.to_owned(), log_odds, text: String::new() };
        let mut alert = IncidentAlert::default();
        let none = Others::new();
        assert_eq!(why(&alert, "near db-1", &none), ["near db-1"]);
        alert.parts = vec![part("time", 1.249), part("place", -0.5)];
        (alert.margin, alert.next_best) = (0.7, Some(NextBest { place: Place::Own.into(), ..NextBest::default() }));
        assert_eq!(
            why(&alert, "near db-1", &none),
            [
                "near db-1",
                "+0.7 = +1.2 time, -0.5 place",
                "next best: an incident of its own, 0.7 behind: a close call"
            ]
        );
        let incident = "scopes/s/incidents/00000000000000ff".to_owned();
        alert.next_best = Some(NextBest { place: Place::Incident.into(), incident: incident.clone(), log_odds: 0.0 });
        alert.margin = 2.0;
        let last = |others: &Others| why(&alert, "near db-1", others).pop().unwrap_or_default();
        assert_eq!(last(&none), "next best: s/00000000000000ff, 2.0 behind");
        assert_eq!(last(&Others::from([(incident, "s-7".to_owned())])), "next best: s-7, 2.0 behind");
    }

    #[test]
    fn one_alert_was_the_first() {
        let alert = |name: &str, reason: &str, seconds| IncidentAlert {
            name: name.into(),
            reason: reason.into(),
            opened_at: Some(prost_types::Timestamp { seconds, nanos: 0 }),
            ..IncidentAlert::default()
        };
        let alerts = vec![alert("a", "the first", 20), alert("b", "same entity", 5), alert("c", "the first", 10)];
        let incident = Incident { alerts, ..Incident::default() };
        let told = super::alerts(&incident, &Others::new(), Look::default());
        let reasons: Vec<_> = told.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        assert_eq!(reasons.iter().filter(|reason| **reason == "the first").count(), 1, "{told}");
        assert_eq!([2, 0].map(|n| reason(&incident.alerts[n], &incident)), [THE_FIRST, FIRST_OF_OTHERS]);
    }

    #[test]
    fn how_a_similar_one_was_resolved_is_told() {
        let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let ticket = quell_proto::v1::Ticket { system: "jira".into(), key: "OPS-7".into(), url: String::new() };
        let past = SimilarIncident {
            number: "payments-12".into(),
            similarity: 0.876,
            started_at: at(0),
            resolved_at: at(1_500),
            resolved_by: "anna".into(),
            resolution: "restarted the pool".into(),
            tickets: vec![ticket],
            cause: "latency on db".into(),
            ..Default::default()
        };
        let problem = Problem {
            number: "payments-P3".into(),
            incident_count: 5,
            first_at: at(0),
            mean_interval_seconds: 93_600,
            usual_time: "4 of 5 between 02:00 and 03:00 (UTC)".into(),
            ..Default::default()
        };
        let incident = Incident { similar: vec![past.clone()], problem: Some(problem), ..Default::default() };
        let text = told(&incident, &Others::new(), Look::default()).split_whitespace().collect::<Vec<_>>().join(" ");
        for part in [
            "payments-12 88 %",
            "resolved by anna after 25 min: restarted the pool; jira OPS-7; probable cause: latency on db",
            "payments-P3: 5 incidents since 1970-01-01T00:00:00Z, every 26 h on average; 4 of 5 between 02:00 and 03:00",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        let alone = SimilarIncident { resolved_by: String::new(), resolution: String::new(), ..past };
        assert!(how(&alone).starts_with("its alerts cleared after 25 min; jira OPS-7"), "{}", how(&alone));
        assert!(!told(&Incident::default(), &Others::new(), Look::default()).contains("past incidents"));
    }

    #[test]
    fn a_suspected_change_is_told_in_words() {
        let change = NearbyChange { id: "deploy-42".into(), summary: "db 1.4.2".into(), ..NearbyChange::default() };
        let cause = Cause { change: "deploy-42".into(), reason: "just before".into(), ..Cause::default() };
        let incident = Incident { causes: vec![cause], changes: vec![change], ..Incident::default() };
        let told = causes(&incident, Look::default());
        assert!(told.contains("change deploy-42 (db 1.4.2): just before"), "{told}");
    }
}
