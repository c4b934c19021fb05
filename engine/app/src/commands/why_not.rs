//! `quell why-not`: why two alerts or incidents are not together.
use super::{
    client::{self, Client, Connection, explain},
    explain::thousandths,
    table::{Look, Tone},
};
use quell_core::domain::apart::signed;
use quell_proto::v1::{Apart, ApartNote, Weighing, WhyNotRequest};

/// Why two alerts, two incidents, or an alert and an incident are not together: what the engine would make of it now, part by
/// part, and what else keeps them apart.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  quell why-not payments-1042 payments-1044\n  quell why-not db-1/latency payments-1042\n  quell why-not db-1/latency web-3/errors --json | jq '.answer.weighed[] | {title, total, needed}'\n\nquell explain says why what is together is."
)]
pub struct WhyNotArgs {
    /// An incident (payments-1042, 1042 in the scope `default`), or an alert (its id, SCOPE/ID, ENTITY/CHECK), or a resource
    /// name of either.
    #[arg(value_name = "A")]
    one: String,
    /// The other one.
    #[arg(value_name = "B")]
    other: String,
    #[command(flatten)]
    connection: Connection,
}

/// Asks, and prints the answer.
///
/// # Errors
/// Where the server can't be reached or refuses.
pub async fn run(args: WhyNotArgs) -> anyhow::Result<()> {
    let WhyNotArgs { one, other, connection } = args;
    let mut client = connection.client().await?;
    let name = named(&mut client, &one).await?;
    let other = named(&mut client, &other).await?;
    let asked = WhyNotRequest { name, other, ..Default::default() };
    let reply = client.why_not(asked).await.map_err(explain)?.into_inner();
    connection.show("WhyNotResponse", &reply, |reply, look| {
        reply.answer.as_ref().map_or_else(String::new, |answer| told(answer, look))
    })
}

/// The name of what a person means.
async fn named(client: &mut Client, means: &str) -> anyhow::Result<String> {
    let is_name = means.starts_with("scopes/");
    let is_id = means.len() == 16 && means.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_id || !is_name && means.contains('/') || is_name && means.contains("/alerts/") {
        return client::alert(client, means).await;
    }
    Ok(client::incident(client, means).await?.name)
}

fn told(answer: &Apart, look: Look) -> String {
    let mut text = look.paragraph(&answer.verdict, 0);
    let mut section = |title: &str, body: String| {
        if !body.is_empty() {
            text.push_str(&format!("\n{}\n{body}", look.paint(title, Tone::Head)));
        }
    };
    let (keep, more): (Vec<_>, Vec<_>) = answer.notes.iter().partition(|note| note.decides && !answer.together);
    section("What keeps them apart, whatever the numbers", notes(&keep, look));
    section("As it would be weighed now", answer.weighed.iter().map(|weighing| weighed(weighing, look)).collect());
    section(if answer.together { "Why they are there" } else { "What else there is to know" }, notes(&more, look));
    text
}

fn notes(notes: &[&ApartNote], look: Look) -> String {
    notes.iter().map(|note| look.paragraph(&note.text, 2)).collect()
}

/// A sum, part by part, and what it has to be more than.
fn weighed(weighing: &Weighing, look: Look) -> String {
    let number = |log_odds| signed(thousandths(log_odds));
    let mut text = look.paragraph(&weighing.title, 2);
    for part in &weighing.parts {
        text.push_str(&beside(&number(part.log_odds), &part.text, look));
    }
    let needed = format!("together; more than {} is needed: {}", number(weighing.needed), weighing.why_needed);
    text + &beside(&number(weighing.total), &needed, look)
}

/// A number, and a text that is wrapped beside it.
fn beside(number: &str, text: &str, look: Look) -> String {
    const INDENT: usize = 12;
    let text = look.paragraph(text, INDENT);
    format!("    {number:>6}{}", text.get(4 + 6..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use quell_proto::v1::ReasonPart;

    #[test]
    fn a_sum_is_told_part_by_part_and_fits() {
        let part = |name: &str, log_odds, text: &str| ReasonPart { name: name.into(), log_odds, text: text.into() };
        let text = "41 min after the nearest of its alerts; it drew alerts once in 80 min then";
        let weighing = Weighing {
            title: "db latency in default-2".into(),
            parts: vec![part("time", -8.123, text), part("rarity", 5.0, "its check opens by itself once in 3 h")],
            total: -3.123,
            needed: 0.5,
            why_needed: "it is alone where it is".into(),
            ..Weighing::default()
        };
        let note = |decides, text: &str| ApartNote { kind: "settled".into(), text: text.into(), decides };
        let answer = Apart {
            verdict: "Too late.".into(),
            notes: vec![note(true, "only people move it"), note(false, "somebody looks after it")],
            weighed: vec![weighing],
            ..Apart::default()
        };
        let told = told(&answer, Look { columns: Some(60), colour: false });
        let expected = "Too late.

What keeps them apart, whatever the numbers
  only people move it

As it would be weighed now
  db latency in default-2
      -8.1  41 min after the nearest of its alerts; it drew
            alerts once in 80 min then
      +5.0  its check opens by itself once in 3 h
      -3.1  together; more than +0.5 is needed: it is alone
            where it is

What else there is to know
  somebody looks after it
";
        assert_eq!(told, expected);
        assert!(told.lines().all(|line| line.chars().count() <= 60));
    }
}
