//! What people ask for: silences, maintenance, their end.
use super::moment;
use anyhow::{Context, Result, bail};
use quell_core::{
    domain::{
        maintenance::{Maintenance, MaintenanceText},
        silence::Silence,
        time::{Span, Timestamp},
    },
    engine::Engine,
    output::Outputs,
    stages::suppress::Refused,
};

/// What is asked for, and of which scope.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    scope: String,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Silence { silence: Silence, force: bool },
    Maintenance(Maintenance),
    Expire(String),
}

impl Asked {
    /// `None` where the line is something else.
    pub fn read(now: Timestamp, line: &str) -> Result<Option<Self>> {
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
        let what = match first {
            "silence" => {
                let ends_at = from + lasts.context("for how long?")?;
                let (matchers, creator, comment) = (about.parse()?, "ann".into(), "".into());
                let silence = Silence { id: id.into(), matchers, starts_at: from, ends_at, creator, comment };
                What::Silence { silence, force }
            }
            "maintenance" => {
                if let Some(lasts) = lasts {
                    text.schedule.start = Some(rfc3339(from)?);
                    text.schedule.end = Some(rfc3339(from + lasts)?);
                }
                What::Maintenance(text.try_into()?)
            }
            _ => What::Expire(about.to_owned()),
        };
        Ok(Some(Self { scope: scope.to_owned(), what }))
    }

    /// Asks; what is answered, for people.
    pub fn ask(&self, now: Timestamp, engine: &mut Engine, out: &mut Outputs) -> String {
        let answer = engine.with_scope(&self.scope, out, |scope, world, out| match self.what.clone() {
            What::Silence { silence, force } => {
                let name = format!("silence {}", silence.id);
                counted(&name, scope.create_silence(silence, force, world, out))
            }
            What::Maintenance(window) => {
                let name = format!("maintenance {}", window.id);
                counted(&name, scope.create_window(window, world, out))
            }
            What::Expire(id) => {
                let ended = scope.expire_silence(&id, now, world, out);
                match ended.or_else(|_| scope.expire_window(&id, now, world, out)) {
                    Ok(()) => format!("{id} is over"),
                    Err(refused) => format!("{id} refused: {refused}"),
                }
            }
        });
        answer.unwrap_or_else(|| "no such scope".to_owned())
    }
}

fn counted(name: &str, hits: Result<usize, Refused>) -> String {
    match hits {
        Ok(hits) => format!("{name} hits={hits}"),
        Err(refused) => format!("{name} refused: {refused}"),
    }
}

fn rfc3339(at: Timestamp) -> Result<String> {
    Ok(jiff::Timestamp::from_millisecond(at.0)?.to_string())
}
