//! Silences and maintenance windows. Their `name` is the resource's in the API, and the id alone in the journal.
use super::{Invalid, time, time_back};
use jiff::Timestamp as Moment;
use quell_core::domain::{
    maintenance::{Maintenance, MaintenanceText},
    matcher::Matchers,
    schedule::ScheduleText,
    silence::Silence,
    time::Timestamp,
};
use quell_proto::v1::{self, schedule};

/// A silence under this name. Its state is the reader's to add.
pub fn silence(name: &str, silence: &Silence) -> v1::Silence {
    v1::Silence {
        name: name.to_owned(),
        matchers: silence.matchers.iter().map(ToString::to_string).collect(),
        starts_at: Some(time(silence.starts_at)),
        ends_at: Some(time(silence.ends_at)),
        creator: silence.creator.to_string(),
        comment: silence.comment.to_string(),
        state: v1::silence::State::Unspecified as i32,
        open_alert_count: silence.hits,
    }
}

/// A silence with this id.
///
/// # Errors
/// Which field is not valid, and why.
pub fn silence_back(id: String, silence: v1::Silence) -> Result<Silence, Invalid> {
    let missing = |field: &str| Invalid(format!("silence.{field}: it is missing"));
    Ok(Silence {
        id: id.into(),
        matchers: matchers("silence", &silence.matchers)?.ok_or_else(|| missing("matchers"))?,
        starts_at: time_back(&silence.starts_at.ok_or_else(|| missing("starts_at"))?),
        ends_at: time_back(&silence.ends_at.ok_or_else(|| missing("ends_at"))?),
        creator: silence.creator.into(),
        comment: silence.comment.into(),
        hits: 0,
    })
}

/// Each as Alertmanager writes it; together they are a set.
fn matchers(of: &str, texts: &[String]) -> Result<Option<Matchers>, Invalid> {
    if texts.is_empty() {
        return Ok(None);
    }
    let set = format!("{{{}}}", texts.iter().map(|text| inner(text)).collect::<Vec<_>>().join(","));
    set.parse().map(Some).map_err(|error| Invalid(format!("{of}.matchers: {error}")))
}

/// A set may be given as one text too.
fn inner(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(text)
}

/// A maintenance window under this name. Whether it is open now is the reader's to add.
pub fn window(name: &str, window: &Maintenance) -> v1::MaintenanceWindow {
    let ended = window.schedule.ends_at();
    let MaintenanceText { title, matchers, entities, services, schedule, creator, .. } = window.clone().into();
    let list = |ids: &std::collections::BTreeSet<std::sync::Arc<str>>| ids.iter().map(ToString::to_string).collect();
    v1::MaintenanceWindow {
        name: name.to_owned(),
        title: title.to_string(),
        matchers: matchers.iter().flat_map(Matchers::iter).map(ToString::to_string).collect(),
        entities: list(&entities),
        services: list(&services),
        schedule: Some(schedule_of(schedule)),
        creator: creator.to_string(),
        active: false,
        ended: false,
        next_change_at: ended.map(time),
    }
}

/// A maintenance window with this id.
///
/// # Errors
/// Which field is not valid, and why.
pub fn window_back(id: String, window: v1::MaintenanceWindow) -> Result<Maintenance, Invalid> {
    let ids = |ids: Vec<String>| ids.into_iter().map(Into::into).collect();
    let schedule = window.schedule.and_then(|schedule| schedule.kind);
    let schedule = schedule.ok_or_else(|| Invalid("maintenance_window.schedule: it is missing".to_owned()))?;
    let text = MaintenanceText {
        id: id.into(),
        title: window.title.into(),
        creator: window.creator.into(),
        matchers: matchers("maintenance_window", &window.matchers)?,
        entities: ids(window.entities),
        services: ids(window.services),
        schedule: schedule_back(schedule)?,
    };
    text.try_into().map_err(|error| Invalid(format!("maintenance_window: {error}")))
}

fn schedule_of(text: ScheduleText) -> v1::Schedule {
    let kind = match (text.start, text.end) {
        (Some(start), Some(end)) => {
            let moment = |text: String| text.parse::<Moment>().ok().map(|at| time(Timestamp(at.as_millisecond())));
            schedule::Kind::Once(schedule::Once { starts_at: moment(start), ends_at: moment(end) })
        }
        _ => schedule::Kind::Recurring(schedule::Recurring {
            time_zone: text.timezone.unwrap_or_default(),
            days: text.days,
            times: text.times,
            first_day: text.from.unwrap_or_default(),
            last_day: text.until.unwrap_or_default(),
            except: text.except,
        }),
    };
    v1::Schedule { kind: Some(kind) }
}

fn schedule_back(kind: schedule::Kind) -> Result<ScheduleText, Invalid> {
    let told = |text: String| Some(text).filter(|text| !text.is_empty());
    Ok(match kind {
        schedule::Kind::Once(once) => {
            let moment = |at: Option<prost_types::Timestamp>, field: &str| {
                let at = at.and_then(|at| Moment::from_millisecond(time_back(&at).0).ok());
                let missing = || Invalid(format!("maintenance_window.schedule.once.{field}: a time is expected"));
                at.map(|at| Some(at.to_string())).ok_or_else(missing)
            };
            ScheduleText {
                start: moment(once.starts_at, "starts_at")?,
                end: moment(once.ends_at, "ends_at")?,
                ..ScheduleText::default()
            }
        }
        schedule::Kind::Recurring(recurring) => ScheduleText {
            timezone: told(recurring.time_zone),
            days: recurring.days,
            times: recurring.times,
            from: told(recurring.first_day),
            until: told(recurring.last_day),
            except: recurring.except,
            ..ScheduleText::default()
        },
    })
}
