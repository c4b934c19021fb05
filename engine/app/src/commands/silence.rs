//! `quell silence`: keeps what matches it quiet for a while, because somebody asked for it.
use super::{
    client::{Acting, Connection, Page, Window, every_page, explain, parent, resource},
    table::{Cell, Look, Room, Table, id, word},
};
use quell_proto::v1::{CreateSilenceRequest, ExpireSilenceRequest, ListSilencesRequest, Silence, silence};

/// Keeps alerts quiet for a while.
#[derive(Debug, clap::Subcommand)]
pub enum SilenceCommand {
    /// Alerts that match all of these are quiet until then.
    #[command(
        after_help = "Examples:\n  quell silence create 'check=\"latency\"' 'entity=~\"db-.*\"' --for 2h --comment 'index rebuild'\n  quell silence create 'entity=\"db-07\"' --starts 2026-11-26T22:00:00Z --until 2026-11-27T02:00:00Z"
    )]
    Create(CreateArgs),
    /// Those that are pending or active.
    #[command(after_help = "Example:\n  quell silence list --all")]
    List(Page),
    /// Ends one now.
    #[command(visible_alias = "end", after_help = "Example:\n  quell silence expire 00f1a2b3c4d5e6f7")]
    Expire(ExpireArgs),
}

/// What is to be quiet.
#[derive(Debug, clap::Args)]
pub struct CreateArgs {
    /// `check="latency"`, `entity=~"db-.*"`: =, !=, =~ and !~, as Alertmanager has them.
    #[arg(required = true, value_name = "MATCHER")]
    matchers: Vec<String>,
    #[command(flatten)]
    window: Window,
    /// Why.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    comment: String,
    /// In this scope.
    #[arg(long, value_name = "SCOPE", default_value = "default")]
    scope: String,
    /// Even where it would match everything.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    acting: Acting,
    #[command(flatten)]
    connection: Connection,
}

/// Which one.
#[derive(Debug, clap::Args)]
pub struct ExpireArgs {
    /// Its id (SCOPE/ID in another scope than `default`), or its resource name.
    #[arg(value_name = "SILENCE")]
    silence: String,
    #[command(flatten)]
    acting: Acting,
    #[command(flatten)]
    connection: Connection,
}

/// Does it.
///
/// # Errors
/// Where the server can't be reached or refuses.
pub async fn run(command: SilenceCommand) -> anyhow::Result<()> {
    match command {
        SilenceCommand::Create(args) => create(args).await,
        SilenceCommand::List(args) => list(args).await,
        SilenceCommand::Expire(args) => expire(args).await,
    }
}

async fn create(args: CreateArgs) -> anyhow::Result<()> {
    let asked = args.request()?;
    let reply = args.connection.client().await?.create_silence(asked).await.map_err(explain)?.into_inner();
    let silence = reply.silence.unwrap_or_default();
    args.connection.show("Silence", &silence, told)?;
    if silence.open_alert_count == 0 {
        args.connection.remark("it matches no alert that is open now");
    }
    Ok(())
}

impl CreateArgs {
    fn request(&self) -> anyhow::Result<CreateSilenceRequest> {
        let (starts_at, ends_at) = self.window.times()?;
        let actor = self.acting.actor()?;
        let silence = Silence {
            matchers: self.matchers.clone(),
            starts_at,
            ends_at: Some(ends_at),
            creator: actor.clone(),
            comment: self.comment.clone(),
            ..Default::default()
        };
        Ok(CreateSilenceRequest {
            parent: parent(Some(&self.scope)),
            silence: Some(silence),
            force: self.force,
            request_id: self.acting.request_id.clone(),
            actor,
        })
    }
}

async fn expire(args: ExpireArgs) -> anyhow::Result<()> {
    let name = resource(&args.silence, "silences");
    let asked = ExpireSilenceRequest { name, request_id: args.acting.request_id.clone(), actor: args.acting.actor()? };
    let reply = args.connection.client().await?.expire_silence(asked).await.map_err(explain)?.into_inner();
    args.connection.show("Silence", &reply.silence.unwrap_or_default(), told)
}

async fn list(args: Page) -> anyhow::Result<()> {
    let mut client = args.connection.client().await?;
    let filter = if args.all { String::new() } else { "state != \"EXPIRED\"".to_owned() };
    let silences = every_page(async |page_token| {
        let (parent, filter) = (parent(args.scope.as_deref()), filter.clone());
        let asked = ListSilencesRequest { parent, page_token, filter, ..Default::default() };
        let page = client.list_silences(asked).await.map_err(explain)?.into_inner();
        Ok((page.silences, page.next_page_token))
    })
    .await?;
    args.connection.show_all("Silence", &silences, table)?;
    if silences.is_empty() {
        args.connection.remark(if args.all {
            "there is no silence"
        } else {
            "no silence is pending or active; --all shows those that were"
        });
    }
    Ok(())
}

fn told(silence: &Silence, look: Look) -> String {
    let hits = match silence.open_alert_count {
        0 => String::new(),
        n => format!("it matched {} when it was created\n", crate::demo::text::count(n as usize, "open alert")),
    };
    table(std::slice::from_ref(silence), look) + &hits
}

fn table(silences: &[Silence], look: Look) -> String {
    let mut table = Table::new(&[
        ("ID", Room::Whole),
        ("STATE", Room::Whole),
        ("FROM", Room::Whole),
        ("UNTIL", Room::Whole),
        ("BY", Room::Name),
        ("MATCHES", Room::Text),
        ("COMMENT", Room::Text),
    ]);
    for silence in silences {
        let state = if silence.state() == silence::State::Unspecified { "" } else { silence.state().as_str_name() };
        table.row(vec![
            Cell::new(&id(&silence.name)),
            Cell::new(&word(state)),
            Cell::when(silence.starts_at.as_ref()),
            Cell::when(silence.ends_at.as_ref()),
            Cell::new(&silence.creator),
            Cell::new(&silence.matchers.join(" ")),
            Cell::new(&silence.comment),
        ]);
    }
    table.text(look, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        command: SilenceCommand,
    }

    fn request(words: &[&str]) -> anyhow::Result<CreateSilenceRequest> {
        let words = [&["quell", "create", "--actor", "ann"], words].concat();
        match Line::try_parse_from(words)?.command {
            SilenceCommand::Create(args) => args.request(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_line_is_a_request() -> anyhow::Result<()> {
        let starts = "2026-01-05T00:00:00Z";
        let asked = request(&[
            "check=\"latency\"",
            "entity=~\"db-.*\"",
            "--starts",
            starts,
            "--for",
            "1h30m",
            "--scope",
            "eu",
        ])?;
        let silence = asked.silence.expect("a silence");
        assert_eq!((asked.parent.as_str(), asked.actor.as_str(), asked.force), ("scopes/eu", "ann", false));
        assert_eq!(silence.matchers, ["check=\"latency\"", "entity=~\"db-.*\""]);
        let seconds = |at: Option<prost_types::Timestamp>| at.map_or(0, |at| at.seconds);
        assert_eq!(seconds(silence.ends_at) - seconds(silence.starts_at), 5_400);
        // Now is the server's to say.
        assert!(request(&["a=b", "--for", "1h"])?.silence.is_some_and(|silence| silence.starts_at.is_none()));
        for wrong in
            [&["a=b"][..], &["--for", "1h"], &["a=b", "--for", "1h", "--until", starts], &["a=b", "--for", "long"]]
        {
            assert!(request(wrong).is_err(), "{wrong:?}");
        }
        Ok(())
    }

    #[test]
    fn a_silence_is_a_row() {
        let mut silence = Silence {
            name: "scopes/default/silences/1".into(),
            comment: "index\u{1b}[2J".into(),
            ..Default::default()
        };
        silence.set_state(silence::State::Active);
        silence.open_alert_count = 3;
        let text = told(&silence, Look::default());
        assert!(text.contains("active") && text.contains("3 open alerts") && !text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn in_eighty_columns_its_id_and_times_are_whole() {
        let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let silence = Silence {
            name: "scopes/payments/silences/00f1a2b3c4d5e6f7".into(),
            matchers: vec!["entity=~\"db-.*\"".into(), "check=\"latency\"".into()],
            creator: "somebody".into(),
            comment: "index rebuild".into(),
            starts_at: at(1_767_571_200),
            ends_at: at(1_767_574_800),
            ..Default::default()
        };
        let text = table(&[silence], Look { columns: Some(80), colour: false });
        for part in ["payments/00f1a2b3c4d5e6f7 ", "01-05 00:00Z", "01-05 01:00Z", "check=\"latency\"", "index rebuild"]
        {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
}
