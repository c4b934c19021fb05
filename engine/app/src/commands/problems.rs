//! `quell problems`: what keeps coming back, and may have one cause.
use super::{
    client::{self, Client, Connection, explain, parent},
    table::{Cell, Look, Room, Table, word},
};
use crate::demo::text::lasted;
use quell_proto::v1::{ListProblemsRequest, Problem};
use std::cmp::Reverse;

/// Problem candidates: like incidents that keep coming back, the latest first.
///
/// What they have in common is for people to find. `quell explain INCIDENT` tells which incidents were alike and how they
/// were resolved.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  quell problems\n  quell problems --scope payments --filter 'incident_count >= 5'\n  quell problems --json | jq -r '.number + \" \" + .title'"
)]
pub struct ProblemsArgs {
    /// Of this scope only.
    #[arg(long, value_name = "SCOPE")]
    scope: Option<String>,
    /// `incident_count >= 5`, `title:"disk"`
    #[arg(long, value_name = "FILTER", default_value = "", hide_default_value = true)]
    filter: String,
    #[command(flatten)]
    connection: Connection,
}

/// Prints them.
///
/// # Errors
/// Where the server can't be reached or refuses.
pub async fn run(args: ProblemsArgs) -> anyhow::Result<()> {
    let mut client = args.connection.client().await?;
    let mut problems = all(&mut client, args.scope.as_deref(), &args.filter).await?;
    problems.sort_by_key(|problem| Reverse(problem.last_at.as_ref().map(|at| (at.seconds, at.nanos))));
    args.connection.show_all("Problem", &problems, list)?;
    if problems.is_empty() {
        let narrowed = args.scope.is_some() || !args.filter.is_empty();
        args.connection.remark(if narrowed { "there is no such problem" } else { "nothing has kept coming back" });
    }
    Ok(())
}

async fn all(client: &mut Client, scope: Option<&str>, filter: &str) -> anyhow::Result<Vec<Problem>> {
    client::every_page(async |page_token| {
        let (parent, filter) = (parent(scope), filter.to_owned());
        let page_size = client::page_size(usize::MAX);
        let asked = ListProblemsRequest { parent, page_size, page_token, filter, ..Default::default() };
        let page = client.list_problems(asked).await.map_err(explain)?.into_inner();
        Ok((page.problems, page.next_page_token))
    })
    .await
}

fn list(problems: &[Problem], look: Look) -> String {
    let mut table = Table::new(&[
        ("NUMBER", Room::Whole),
        ("STATE", Room::Whole),
        ("INCIDENTS", Room::Whole),
        ("FIRST", Room::Whole),
        ("LAST", Room::Whole),
        ("EVERY", Room::Whole),
        ("USUALLY", Room::Text),
        ("TITLE", Room::Text),
    ]);
    for problem in problems {
        table.row(vec![
            Cell::new(&problem.number),
            Cell::new(&word(problem.state().as_str_name())),
            Cell::new(&problem.incident_count.to_string()),
            Cell::when(problem.first_at.as_ref()),
            Cell::when(problem.last_at.as_ref()),
            Cell::new(&every(problem)),
            Cell::new(&problem.usual_time),
            Cell::new(&problem.title),
        ]);
    }
    table.text(look, 0)
}

/// `26 h`, `3 days`: how long it is on average from one to the next.
pub fn every(problem: &Problem) -> String {
    match i64::from(problem.mean_interval_seconds) {
        seconds @ ..7_200 => lasted(seconds),
        seconds @ ..172_800 => format!("{} h", (seconds + 1_800) / 3_600),
        seconds => format!("{} days", (seconds + 43_200) / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_a_row_in_eighty_columns() {
        let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let mut problem = Problem {
            number: "payments-P3".into(),
            title: "latency on db".into(),
            incident_count: 5,
            first_at: at(1_767_571_200),
            last_at: at(1_767_945_600),
            mean_interval_seconds: 93_600,
            usual_time: "4 of 5 between 02:00 and 03:00 (Europe/Berlin)".into(),
            ..Default::default()
        };
        problem.set_state(quell_proto::v1::problem::State::Candidate);
        let text = list(std::slice::from_ref(&problem), Look { columns: Some(80), colour: false });
        for part in ["payments-P3 ", "candidate ", " 5 ", "26 h", "latency on db"] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        let spans = [600, 7_140, 7_200, 171_000, 260_000].map(|seconds| {
            problem.mean_interval_seconds = seconds;
            every(&problem)
        });
        assert_eq!(spans, ["10 min", "1 h 59 min", "2 h", "48 h", "3 days"]);
    }
}
