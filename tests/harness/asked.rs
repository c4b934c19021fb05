//! Silences, maintenance windows, their end: as commands.
use super::moment;
use anyhow::{Context, Result, bail};
use quell_core::domain::{
    command::{Action, Command},
    maintenance::MaintenanceText,
    silence::Silence,
    time::{Span, Timestamp},
};

/// `None` where the line is something else.
pub fn read(now: Timestamp, line: &str, number: usize) -> Result<Option<Command>> {
    let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
    let (about, rest) = rest.trim_start().split_once(' ').unwrap_or((rest.trim(), ""));
    let mut scope = "default";
    let mut force = false;
    let (mut from, mut lasts) = (now, None);
    let mut id = "s1";
    let mut text = MaintenanceText { id: about.into(), title: about.into(), ..MaintenanceText::default() };
    let list = |value: &str| value.split(',').map(|one| one.replace('_', " ")).collect::<Vec<_>>();
    if !matches!(first, "silence" | "maintenance" | "expire") {
        return Ok(None);
    }
    for word in rest.split_whitespace() {
        match word.split_once('=') {
            Some(("scope", value)) => scope = value,
            Some(("from", value)) => from = moment(value)?,
            Some(("for", value)) => lasts = Some(value.parse::<Span>().map_err(anyhow::Error::msg)?),
            Some(("id", value)) => id = value,
            Some(("matchers", value)) => text.matchers = Some(value.parse()?),
            Some(("entities", value)) => text.entities = value.split(',').map(Into::into).collect(),
            Some(("services", value)) => text.services = value.split(',').map(Into::into).collect(),
            Some(("timezone", value)) => text.schedule.timezone = Some(value.to_owned()),
            Some(("days", value)) => text.schedule.days = list(value),
            Some(("times", value)) => text.schedule.times = list(value),
            None if word == "force" => force = true,
            _ => bail!("`{word}` is no part of a {first}"),
        }
    }
    let action = match first {
        "silence" => {
            let ends_at = from + lasts.context("for how long?")?;
            let (matchers, creator, comment) = (about.parse()?, "ann".into(), "".into());
            let silence = Silence { id: id.into(), matchers, starts_at: from, ends_at, creator, comment, hits: 0 };
            Action::CreateSilence { silence, force }
        }
        "maintenance" => {
            if let Some(lasts) = lasts {
                text.schedule.start = Some(rfc3339(from)?);
                text.schedule.end = Some(rfc3339(from + lasts)?);
            }
            Action::CreateWindow(Box::new(text.try_into()?))
        }
        _ if about.starts_with('w') => Action::ExpireWindow(about.to_owned()),
        _ => Action::ExpireSilence(about.to_owned()),
    };
    let request_id = format!("{first} {about}, line {number}");
    Ok(Some(Command { request_id, actor: "ann".to_owned(), scope: scope.to_owned(), at: now, action, digest: 0 }))
}

fn rfc3339(at: Timestamp) -> Result<String> {
    Ok(jiff::Timestamp::from_millisecond(at.0)?.to_string())
}
