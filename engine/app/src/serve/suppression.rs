//! Silences and maintenance windows: asked for by commands, read from the views. What they are now (pending, active, over)
//! is told when they are read.
use super::{
    commands::{Asked, Done, at_most, cleaned},
    errors::{invalid, not_found, refused},
    grpc::{Api, Listing},
    names,
};
use quell_connectors::wire::{self, Invalid, suppression};
use quell_core::domain::{command::Action, hash::Framed, maintenance::Maintenance, time::Timestamp};
use quell_proto::v1::{self, silence::State};
use tonic::{Code, Status};

/// Of a comment, in characters.
const COMMENT_MAX: usize = 4_000;
/// Of a creator or a title, in characters.
const NAME_MAX: usize = 200;
/// What the names of the configuration's windows begin with in a list of all scopes.
const EVERYWHERE: &str = "scopes/-/maintenanceWindows/";
/// Matchers, entities or services of one.
const PARTS_MAX: usize = 1_000;

impl Api {
    pub(super) async fn create_silence(&self, request: v1::CreateSilenceRequest) -> Result<v1::SilenceReply, Status> {
        let scope = scope_of(&request.parent)?;
        let mut silence = request.silence.unwrap_or_default();
        at_most("silence.comment", &silence.comment, COMMENT_MAX)?;
        at_most("silence.creator", &silence.creator, NAME_MAX)?;
        few("silence.matchers", &silence.matchers)?;
        if silence.creator.is_empty() {
            silence.creator.clone_from(&request.actor);
        }
        silence.creator = cleaned(silence.creator);
        silence.comment = cleaned(silence.comment);
        silence.matchers = silence.matchers.into_iter().map(cleaned).collect();
        silence.starts_at.get_or_insert_with(|| wire::time(self.shared.outside.now()));
        let asked = self.numbered(request.request_id, request.actor);
        let silence = suppression::silence_back(id(scope, &asked), silence).map_err(not_valid)?;
        let done = self.ask(scope, asked, Action::CreateSilence { silence, force: request.force }).await?;
        Ok(self.silence_reply(done))
    }

    pub(super) async fn expire_silence(&self, request: v1::ExpireSilenceRequest) -> Result<v1::SilenceReply, Status> {
        let (scope, id) = names::parse("name", &request.name, "silences")?;
        let asked = Asked { request_id: request.request_id, actor: request.actor };
        let done = self.ask(scope, asked, Action::ExpireSilence(id.to_owned())).await;
        let has_ended = || self.silence(&request.name).is_some_and(|silence| silence.state() == State::Expired);
        let done = done.map_err(|refusal| ended(refusal, &request.name, has_ended))?;
        Ok(self.silence_reply(done))
    }

    pub(super) async fn get_silence(&self, request: v1::GetSilenceRequest) -> Result<v1::Silence, Status> {
        names::parse("name", &request.name, "silences")?;
        self.await_position(&request.min_position).await?;
        self.silence(&request.name).ok_or_else(|| not_found("silence", &request.name))
    }

    pub(super) async fn list_silences(
        &self,
        request: v1::ListSilencesRequest,
    ) -> Result<v1::ListSilencesResponse, Status> {
        let v1::ListSilencesRequest { parent, page_size, page_token, filter, min_position } = request;
        let asked = Listing::new(&parent, (page_size, &page_token), &filter, &min_position);
        let now = self.shared.outside.now();
        let all = || self.views.silences.iter().map(move |entry| shown(entry.value(), now));
        let (silences, next_page_token) = self.list(all, Clone::clone, asked).await?;
        Ok(v1::ListSilencesResponse { silences, next_page_token })
    }

    pub(super) async fn create_window(
        &self,
        request: v1::CreateMaintenanceWindowRequest,
    ) -> Result<v1::MaintenanceWindowReply, Status> {
        let scope = scope_of(&request.parent)?;
        let mut window = request.maintenance_window.unwrap_or_default();
        at_most("maintenance_window.title", &window.title, NAME_MAX)?;
        at_most("maintenance_window.creator", &window.creator, NAME_MAX)?;
        if window.creator.is_empty() {
            window.creator.clone_from(&request.actor);
        }
        for (field, parts) in [
            ("maintenance_window.matchers", &window.matchers),
            ("maintenance_window.entities", &window.entities),
            ("maintenance_window.services", &window.services),
        ] {
            few(field, parts)?;
        }
        window.creator = cleaned(window.creator);
        window.title = cleaned(window.title);
        for parts in [&mut window.matchers, &mut window.entities, &mut window.services] {
            *parts = std::mem::take(parts).into_iter().map(cleaned).collect();
        }
        let asked = self.numbered(request.request_id, request.actor);
        let window = suppression::window_back(id(scope, &asked), window).map_err(not_valid)?;
        let done = self.ask(scope, asked, Action::CreateWindow(Box::new(window))).await?;
        Ok(self.window_reply(done))
    }

    pub(super) async fn expire_window(
        &self,
        request: v1::ExpireMaintenanceWindowRequest,
    ) -> Result<v1::MaintenanceWindowReply, Status> {
        let (scope, id) = names::parse("name", &request.name, "maintenanceWindows")?;
        let asked = Asked { request_id: request.request_id, actor: request.actor };
        let done = self.ask(scope, asked, Action::ExpireWindow(id.to_owned())).await;
        let has_ended = || self.window(&request.name).is_some_and(|window| window.ended);
        let done = done.map_err(|refusal| ended(refusal, &request.name, has_ended))?;
        Ok(self.window_reply(done))
    }

    pub(super) async fn get_window(
        &self,
        request: v1::GetMaintenanceWindowRequest,
    ) -> Result<v1::MaintenanceWindow, Status> {
        if !request.name.starts_with(EVERYWHERE) {
            names::parse("name", &request.name, "maintenanceWindows")?;
        }
        self.await_position(&request.min_position).await?;
        self.window(&request.name).ok_or_else(|| not_found("maintenance window", &request.name))
    }

    pub(super) async fn list_windows(
        &self,
        request: v1::ListMaintenanceWindowsRequest,
    ) -> Result<v1::ListMaintenanceWindowsResponse, Status> {
        let v1::ListMaintenanceWindowsRequest { parent, page_size, page_token, filter, min_position } = request;
        let asked = Listing::new(&parent, (page_size, &page_token), &filter, &min_position);
        let now = self.shared.outside.now();
        let scope = parent.strip_prefix("scopes/").unwrap_or("-");
        let configured = self.configured_windows(scope);
        let asked_for = || self.views.windows.iter().map(|entry| v1::MaintenanceWindow::clone(entry.value()));
        let all = || configured.into_iter().chain(asked_for()).map(|window| shown_window(&window, now));
        let (maintenance_windows, next_page_token) = self.list(all, Clone::clone, asked).await?;
        Ok(v1::ListMaintenanceWindowsResponse { maintenance_windows, next_page_token })
    }

    fn silence(&self, name: &str) -> Option<v1::Silence> {
        self.views.silences.get(name).map(|entry| shown(&entry, self.shared.outside.now()))
    }

    fn window(&self, name: &str) -> Option<v1::MaintenanceWindow> {
        let asked_for = self.views.windows.get(name).map(|entry| v1::MaintenanceWindow::clone(&entry));
        let configured = || {
            let scope = name.strip_prefix("scopes/")?.split('/').next()?;
            self.configured_windows(scope).into_iter().find(|window| window.name == name)
        };
        asked_for.or_else(configured).map(|window| shown_window(&window, self.shared.outside.now()))
    }

    /// Windows of the configuration hold in every scope: as this one's, or `-` for all.
    fn configured_windows(&self, scope: &str) -> Vec<v1::MaintenanceWindow> {
        let contents = self.shared.control.latest();
        let policy = contents.policy(contents.latest().policy);
        let windows = policy.iter().flat_map(|policy| &policy.maintenance);
        windows.map(|window| suppression::window(&Maintenance::name(scope, &window.id), window)).collect()
    }

    fn silence_reply(&self, done: Done) -> v1::SilenceReply {
        v1::SilenceReply { silence: self.silence(&done.name), position: done.position }
    }

    fn window_reply(&self, done: Done) -> v1::MaintenanceWindowReply {
        v1::MaintenanceWindowReply { maintenance_window: self.window(&done.name), position: done.position }
    }

    /// With a request id, which the id of what it makes follows from.
    fn numbered(&self, request_id: String, actor: String) -> Asked {
        let made = || format!("{:016x}", self.shared.outside.random());
        Asked { request_id: if request_id.is_empty() { made() } else { request_id }, actor }
    }
}

/// The fold has none that could end: one that is over is still shown.
fn ended(refusal: Status, name: &str, has_ended: impl FnOnce() -> bool) -> Status {
    if refusal.code() == Code::NotFound && has_ended() {
        return refused(Code::FailedPrecondition, "ENDED_ALREADY", format!("{name} has ended already"));
    }
    refusal
}

/// Sent again with its request id it is the same one.
fn id(scope: &str, asked: &Asked) -> String {
    format!("{:016x}", Framed::default().field(scope).field(&asked.request_id).hash64())
}

pub(super) fn scope_of(parent: &str) -> Result<&str, Status> {
    let scope = parent.strip_prefix("scopes/").filter(|scope| !scope.is_empty() && *scope != "-");
    let scope = scope.filter(|scope| !scope.contains('/') && scope.chars().count() <= NAME_MAX);
    scope.ok_or_else(|| invalid("parent", format_args!("write `scopes/{{scope}}`, not `{parent}`")))
}

fn few(field: &str, parts: &[String]) -> Result<(), Status> {
    if parts.len() <= PARTS_MAX { Ok(()) } else { Err(invalid(field, format_args!("at most {PARTS_MAX}"))) }
}

/// The reason begins with the field's name.
fn not_valid(Invalid(reason): Invalid) -> Status {
    let (field, why) = reason.split_once(": ").unwrap_or(("", &reason));
    invalid(field, why)
}

fn shown(silence: &v1::Silence, now: Timestamp) -> v1::Silence {
    let at = |at: &Option<prost_types::Timestamp>| at.as_ref().map_or(Timestamp::MAX, wire::time_back);
    let state = match (at(&silence.starts_at), at(&silence.ends_at)) {
        (_, ends_at) if ends_at <= now => State::Expired,
        (starts_at, _) if starts_at > now => State::Pending,
        _ => State::Active,
    };
    v1::Silence { state: state as i32, ..silence.clone() }
}

fn shown_window(window: &v1::MaintenanceWindow, now: Timestamp) -> v1::MaintenanceWindow {
    let known: Option<Maintenance> = suppression::window_back("shown".to_owned(), window.clone()).ok();
    let Some(schedule) = known.map(|known| known.schedule) else { return window.clone() };
    if schedule.is_empty() {
        return v1::MaintenanceWindow { ended: true, next_change_at: None, ..window.clone() };
    }
    let active = schedule.covering(now).is_some();
    let next = if active { schedule.open_until(now) } else { schedule.next_start(now) };
    v1::MaintenanceWindow {
        active,
        ended: schedule.ends_at().is_some_and(|at| at <= now),
        next_change_at: next.map(wire::time),
        ..window.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quell_core::domain::silence::Silence;

    #[test]
    fn what_it_is_now_is_told_when_it_is_read() {
        let at = |seconds: i64| Timestamp(seconds * 1_000);
        let silence = Silence {
            id: "s".into(),
            matchers: "entity=a".parse().expect("matchers"),
            starts_at: at(10),
            ends_at: at(20),
            creator: "ann".into(),
            comment: "".into(),
            hits: 0,
        };
        let silence = suppression::silence("scopes/default/silences/s", &silence);
        let states = [5, 10, 19, 20].map(|now| shown(&silence, at(now)).state());
        assert_eq!(states, [State::Pending, State::Active, State::Active, State::Expired]);

        let text = r#"{"id":"w","entities":["a"],"schedule":{"timezone":"UTC","times":["10:00-11:00"]}}"#;
        let window = suppression::window("w", &serde_json::from_str(text).expect("a window"));
        let before = shown_window(&window, at(9 * 3_600));
        assert_eq!((before.active, before.next_change_at.map(|at| at.seconds)), (false, Some(36_000)));
        let inside = shown_window(&window, at(10 * 3_600 + 1));
        assert_eq!((inside.active, inside.next_change_at.map(|at| at.seconds)), (true, Some(39_600)));
        assert!(!inside.ended);
    }

    #[test]
    fn parents_are_scopes() {
        assert_eq!(scope_of("scopes/eu").ok(), Some("eu"));
        for bad in ["", "eu", "scopes/", "scopes/-", "scopes/a/b"] {
            assert!(scope_of(bad).is_err(), "{bad}");
        }
    }
}
