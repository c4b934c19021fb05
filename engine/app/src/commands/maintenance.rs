//! `quell maintenance`: planned work, once or again and again.
use super::{
    bad_input,
    client::{Acting, Connection, Page, Window, every_page, explain, parent, quoted, resource},
    table::{Cell, Look, Room, Table, id, when},
};
use crate::clock::{Outside as _, System};
use anyhow::anyhow;
use quell_connectors::wire;
use quell_proto::v1::{
    CreateMaintenanceWindowRequest, ExpireMaintenanceWindowRequest, ListAlertsRequest, ListMaintenanceWindowsRequest,
    MaintenanceWindow, Schedule,
    schedule::{Kind, Once, Recurring},
};

/// Planned work: what it covers keeps quiet while a window is open.
#[derive(Debug, clap::Subcommand)]
pub enum MaintenanceCommand {
    /// Once, with --for or --until; or again and again, with --times.
    #[command(
        after_help = "Examples:\n  quell maintenance create 'patch db-07' --entity db-07 --starts 2026-11-28T22:00:00Z --for 2h\n  quell maintenance create 'monthly patches' --service payments --times 22:00-02:00 --days '3rd tue' --time-zone Europe/Berlin"
    )]
    Create(Box<CreateArgs>),
    /// Those that were not ended.
    #[command(after_help = "Example:\n  quell maintenance list")]
    List(Page),
    /// Ends one for good.
    #[command(visible_alias = "expire", after_help = "Example:\n  quell maintenance end 00f1a2b3c4d5e6f7")]
    End(EndArgs),
}

/// What is planned.
#[derive(Debug, clap::Args)]
pub struct CreateArgs {
    title: String,
    /// It covers what matches all of these: `entity=~"db-.*"`.
    #[arg(long = "match", value_name = "MATCHER")]
    matchers: Vec<String>,
    /// Or is about one of these entities.
    #[arg(long = "entity", value_name = "ENTITY")]
    entities: Vec<String>,
    /// Or belongs to one of these services.
    #[arg(long = "service", value_name = "SERVICE")]
    services: Vec<String>,
    #[command(flatten)]
    window: Window,
    /// Again and again, at these times of a day: 22:00-02:00.
    #[arg(long, value_name = "FROM-TO", value_delimiter = ',', conflicts_with_all = ["length", "until", "starts"])]
    times: Vec<String>,
    /// sat, 15 (of the month), -1 (its last), '2nd tue', 'last fri': any of them. Every day without it.
    #[arg(long, value_name = "DAYS", value_delimiter = ',', allow_negative_numbers = true)]
    days: Vec<String>,
    /// Whose times they are; UTC without it.
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// 2026-11-25
    #[arg(long, value_name = "DAY", default_value = "", hide_default_value = true)]
    first_day: String,
    #[arg(long, value_name = "DAY", default_value = "", hide_default_value = true)]
    last_day: String,
    /// Days on which it does not open.
    #[arg(long, value_name = "DAY", value_delimiter = ',')]
    except: Vec<String>,
    /// In this scope.
    #[arg(long, value_name = "SCOPE", default_value = "default")]
    scope: String,
    #[command(flatten)]
    acting: Acting,
    #[command(flatten)]
    connection: Connection,
}

/// Which one.
#[derive(Debug, clap::Args)]
pub struct EndArgs {
    /// Its id (SCOPE/ID in another scope than `default`), or its resource name.
    #[arg(value_name = "WINDOW")]
    window: String,
    #[command(flatten)]
    acting: Acting,
    #[command(flatten)]
    connection: Connection,
}

/// Does it.
///
/// # Errors
/// Where the server can't be reached or refuses.
pub async fn run(command: MaintenanceCommand) -> anyhow::Result<()> {
    match command {
        MaintenanceCommand::Create(args) => create(*args).await,
        MaintenanceCommand::List(args) => list(args).await,
        MaintenanceCommand::End(args) => end(args).await,
    }
}

async fn create(args: CreateArgs) -> anyhow::Result<()> {
    let asked = args.request()?;
    let mut client = args.connection.client().await?;
    let reply = client.create_maintenance_window(asked).await.map_err(explain)?.into_inner();
    let window = reply.maintenance_window.unwrap_or_default();
    let (is_open, filter) = (window.active, format!("suppressed_by = {}", quoted(&window.name)));
    args.connection.show_all("MaintenanceWindow", &[window], table)?;
    if is_open && !args.connection.json {
        let asked = ListAlertsRequest { filter, page_size: 1, ..Default::default() };
        if client.list_alerts(asked).await.map_err(explain)?.into_inner().alerts.is_empty() {
            args.connection.remark("it hides no alert that is open now");
        }
    }
    Ok(())
}

impl CreateArgs {
    fn request(&self) -> anyhow::Result<CreateMaintenanceWindowRequest> {
        if self.matchers.is_empty() && self.entities.is_empty() && self.services.is_empty() {
            return Err(bad_input(anyhow!("what does it cover? Say it with --match, --entity or --service")));
        }
        let actor = self.acting.actor()?;
        let window = MaintenanceWindow {
            title: self.title.clone(),
            matchers: self.matchers.clone(),
            entities: self.entities.clone(),
            services: self.services.clone(),
            schedule: Some(Schedule { kind: Some(self.kind()?) }),
            creator: actor.clone(),
            ..Default::default()
        };
        let (parent, request_id) = (parent(Some(&self.scope)), self.acting.request_id.clone());
        Ok(CreateMaintenanceWindowRequest { parent, maintenance_window: Some(window), request_id, actor })
    }

    fn kind(&self) -> anyhow::Result<Kind> {
        let days = [&self.days, &self.except].into_iter().any(|days| !days.is_empty());
        let bounds = [&self.first_day, &self.last_day].into_iter().any(|day| !day.is_empty());
        if self.times.is_empty() {
            if days || bounds || self.time_zone.is_some() {
                return Err(bad_input(anyhow!("again and again, but at which times of a day? Say it with --times")));
            }
            let (starts_at, ends_at) = self.window.times()?;
            // Once has no server's now.
            let starts_at = starts_at.or_else(|| Some(wire::time(System.now())));
            return Ok(Kind::Once(Once { starts_at, ends_at: Some(ends_at) }));
        }
        Ok(Kind::Recurring(Recurring {
            time_zone: self.time_zone.clone().unwrap_or_else(|| "UTC".to_owned()),
            days: self.days.clone(),
            times: self.times.clone(),
            first_day: self.first_day.clone(),
            last_day: self.last_day.clone(),
            except: self.except.clone(),
        }))
    }
}

async fn end(args: EndArgs) -> anyhow::Result<()> {
    let name = resource(&args.window, "maintenanceWindows");
    let (request_id, actor) = (args.acting.request_id.clone(), args.acting.actor()?);
    let asked = ExpireMaintenanceWindowRequest { name, request_id, actor };
    let reply = args.connection.client().await?.expire_maintenance_window(asked).await.map_err(explain)?.into_inner();
    args.connection.show_all("MaintenanceWindow", &[reply.maintenance_window.unwrap_or_default()], table)
}

async fn list(args: Page) -> anyhow::Result<()> {
    let mut client = args.connection.client().await?;
    let mut windows = every_page(async |page_token| {
        let parent = parent(args.scope.as_deref());
        let asked = ListMaintenanceWindowsRequest { parent, page_token, ..Default::default() };
        let page = client.list_maintenance_windows(asked).await.map_err(explain)?.into_inner();
        Ok((page.maintenance_windows, page.next_page_token))
    })
    .await?;
    windows.retain(|window: &MaintenanceWindow| args.all || !window.ended);
    args.connection.show_all("MaintenanceWindow", &windows, table)?;
    if windows.is_empty() {
        args.connection.remark(if args.all {
            "there is no maintenance window"
        } else {
            "no maintenance window is to come; --all shows those that have ended"
        });
    }
    Ok(())
}

fn table(windows: &[MaintenanceWindow], look: Look) -> String {
    let mut table = Table::new(&[
        ("ID", Room::Whole),
        ("NOW", Room::Whole),
        ("NEXT CHANGE", Room::Whole),
        ("OPEN", Room::Name),
        ("COVERS", Room::Text),
        ("TITLE", Room::Text),
    ]);
    for window in windows {
        let now = match (window.ended, window.active) {
            (true, _) => "ended",
            (_, true) => "open",
            _ => "closed",
        };
        table.row(vec![
            Cell::new(&id(&window.name)),
            Cell::new(now),
            Cell::when(window.next_change_at.as_ref()),
            Cell::new(&schedule(window)),
            Cell::new(&[&*window.matchers, &*window.entities, &*window.services].concat().join(" ")),
            Cell::new(&window.title),
        ]);
    }
    table.text(look, 0)
}

/// `3rd tue 22:00-02:00 Europe/Berlin`
fn schedule(window: &MaintenanceWindow) -> String {
    match window.schedule.as_ref().and_then(|schedule| schedule.kind.as_ref()) {
        None => String::new(),
        Some(Kind::Once(once)) => format!("{} to {}", when(once.starts_at.as_ref()), when(once.ends_at.as_ref())),
        Some(Kind::Recurring(again)) => {
            let days = if again.days.is_empty() { "daily".to_owned() } else { again.days.join(",") };
            format!("{days} {} {}", again.times.join(","), again.time_zone)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        command: MaintenanceCommand,
    }

    fn window(words: &[&str]) -> anyhow::Result<MaintenanceWindow> {
        let words = [&["quell", "create", "--actor", "ann", "patches"], words].concat();
        match Line::try_parse_from(words)?.command {
            MaintenanceCommand::Create(args) => Ok(args.request()?.maintenance_window.unwrap_or_default()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_line_is_a_window() -> anyhow::Result<()> {
        let once = window(&["--entity", "db-7", "--starts", "2026-01-05T00:00:00Z", "--for", "2h"])?;
        assert!(schedule(&once).ends_with("01-05 00:00Z to 01-05 02:00Z"), "{}", schedule(&once));
        let days = ["--times", "22:00-02:00", "--days", "3rd tue,sat,-1", "--time-zone", "Europe/Berlin"];
        let again = window(&[&["--service", "payments"], &days[..]].concat())?;
        assert_eq!(schedule(&again), "3rd tue,sat,-1 22:00-02:00 Europe/Berlin");
        let text = table(&[again], Look::default());
        assert!(text.contains("payments") && text.contains("patches") && text.contains("closed"), "{text}");
        for wrong in [
            &["--for", "2h"][..],
            &["--entity", "db-7"],
            &["--entity", "db-7", "--days", "mon", "--for", "1h"],
            &["--entity", "db-7", "--times", "22:00-02:00", "--for", "1h"],
        ] {
            assert!(window(wrong).is_err(), "{wrong:?}");
        }
        Ok(())
    }
}
