//! Read models that the API's handlers share: what the owners of the partitions have said, as soon as it is durable.
//!
//! The fold is deterministic, so what an owner here says is what stands in the output topics, whoever wrote it there: the
//! topics need not be read back. Alerts and incidents are kept as the engine says them, whose texts they share, and
//! become messages where they are asked for.
use crate::snapshots::Mark;
use dashmap::DashMap;
use quell_connectors::wire;
use quell_core::{
    domain::{
        alert::AlertId,
        correction::Correction,
        episode::EpisodeId,
        incident::{Incident, IncidentId},
        recurrence::Problem,
    },
    engine::Engine,
    output::{AlertUpdate, Body, ByTopic, IncidentUpdate, Output, OutputTopic, ServiceUpdate},
};
use quell_proto::v1::{self, command_output};
use std::{
    collections::{HashMap, VecDeque},
    ops::Deref,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::broadcast;

mod tally;
pub use tally::Tally;

/// How far the views are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The last output of each topic that they show.
    pub numbers: ByTopic<u64>,
    /// Where in the log of incidents whoever goes on from here finds the next.
    pub incidents_next: u64,
    /// A snapshot is loaded.
    pub loaded: bool,
}

impl Seen {
    /// Where the feed of incidents goes on.
    pub const fn incidents(&self) -> Mark {
        Mark { number: self.numbers[OutputTopic::Incidents as usize], next: self.incidents_next }
    }
}

/// Results of commands that are remembered: whoever asked waits for it now.
const RESULTS_MAX: usize = 100_000;
/// Answers to questions that are remembered: they are larger, and nobody comes back for one.
const ANSWERS_MAX: usize = 1_000;

/// Changes that wait for a slow watch, which then looks at everything.
const SERVICE_CHANGES_MAX: usize = 1_024;
const ALERT_CHANGES_MAX: usize = 16_384;

/// Results of commands, the latest.
#[derive(Debug, Default)]
struct Results {
    /// By scope and request id.
    by_id: HashMap<(String, String), v1::CommandResult>,
    queue: VecDeque<(String, String)>,
}

impl Results {
    fn put(&mut self, result: v1::CommandResult, max: usize) {
        let key = (result.scope.clone(), result.request_id.clone());
        if self.by_id.insert(key.clone(), result).is_none() {
            self.queue.push_back(key);
        }
        if self.queue.len() > max
            && let Some(oldest) = self.queue.pop_front()
        {
            self.by_id.remove(&oldest);
        }
    }
}

/// Incidents, alerts and services by id or name.
#[derive(Debug)]
pub struct Views {
    pub incidents: DashMap<IncidentId, Arc<IncidentUpdate>>,
    pub alerts: DashMap<AlertId, AlertUpdate>,
    pub services: DashMap<String, Arc<v1::Service>>,
    /// Names of services that have changed, as they do.
    pub service_changes: broadcast::Sender<Arc<str>>,
    /// Alerts that have changed, as they do.
    pub alert_changes: broadcast::Sender<AlertId>,
    /// How many there are of what.
    pub tally: Tally,
    pub silences: DashMap<String, Arc<v1::Silence>>,
    /// Maintenance windows that were asked for; those of the policy are in control.
    pub windows: DashMap<String, Arc<v1::MaintenanceWindow>>,
    /// What keeps coming back.
    pub problems: DashMap<String, Arc<v1::Problem>>,
    pub corrections: DashMap<String, Arc<v1::Correction>>,
    /// What came of commands, lately.
    results: Mutex<Results>,
    /// Answers to questions, lately.
    answers: Mutex<Results>,
    /// The incident that an episode became.
    episodes: DashMap<EpisodeId, IncidentId>,
    seen: Vec<Mutex<Seen>>,
    /// Updates of incidents seen.
    pub incident_updates: AtomicU64,
}

/// An alert, with the views, which know its incident.
#[derive(Clone, Debug)]
pub struct ShownAlert {
    pub update: AlertUpdate,
    pub views: Arc<Views>,
}

impl ShownAlert {
    /// The name of the incident that it belongs to; empty where it belongs to none.
    pub fn incident(&self) -> String {
        let incident = self.alert.episode.and_then(|episode| self.views.episodes.get(&episode).map(|id| *id));
        incident.map(|id| Incident::name(&self.scope, id)).unwrap_or_default()
    }

    /// As a message.
    pub fn message(&self) -> v1::Alert {
        v1::Alert { incident: self.incident(), ..wire::alert(&self.update) }
    }
}

impl Deref for ShownAlert {
    type Target = AlertUpdate;

    fn deref(&self) -> &AlertUpdate {
        &self.update
    }
}

impl Views {
    /// Of so many partitions, empty.
    pub fn new(partitions: u32) -> Arc<Self> {
        Arc::new(Self {
            incidents: DashMap::new(),
            alerts: DashMap::new(),
            services: DashMap::new(),
            service_changes: broadcast::channel(SERVICE_CHANGES_MAX).0,
            alert_changes: broadcast::channel(ALERT_CHANGES_MAX).0,
            tally: Tally::default(),
            silences: DashMap::new(),
            windows: DashMap::new(),
            problems: DashMap::new(),
            corrections: DashMap::new(),
            results: Mutex::default(),
            answers: Mutex::default(),
            episodes: DashMap::new(),
            seen: (0..partitions).map(|_| Mutex::default()).collect(),
            incident_updates: AtomicU64::new(0),
        })
    }

    fn lock(&self, partition: u32) -> MutexGuard<'_, Seen> {
        self.seen[partition as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far a partition is seen.
    pub fn seen(&self, partition: u32) -> Seen {
        *self.lock(partition)
    }

    /// An incident.
    pub fn incident(&self, id: IncidentId) -> Option<v1::Incident> {
        let update = self.incidents.get(&id)?.clone();
        Some(wire::incident(&update))
    }

    /// An alert.
    pub fn alert(self: &Arc<Self>, id: AlertId) -> Option<ShownAlert> {
        let update = self.alerts.get(&id)?.clone();
        Some(ShownAlert { update, views: self.clone() })
    }

    /// All of them.
    pub fn all_alerts(self: &Arc<Self>) -> impl Iterator<Item = ShownAlert> {
        self.alerts.iter().map(|entry| ShownAlert { update: entry.value().clone(), views: self.clone() })
    }

    /// Begins with what an engine holds that has just been loaded from its snapshot, of which the outputs end at `marks`.
    /// Once: from then on the views follow what is said.
    pub fn load(&self, partition: u32, engine: &mut Engine, marks: &ByTopic<Mark>) {
        if self.seen(partition).loaded {
            return;
        }
        for view in engine.views() {
            view.incidents.into_iter().for_each(|update| self.put_incident(update));
            view.alerts.into_iter().for_each(|update| self.put_alert(update));
            view.services.iter().for_each(|update| self.put_service(update));
            view.results.iter().for_each(|result| self.put_command(wire::command::result(result)));
            view.silences.iter().for_each(|update| self.put_command(wire::command::silence_update(update)));
            view.problems.iter().for_each(|update| self.put_command(wire::command::problem_update(update)));
            view.windows.iter().for_each(|update| self.put_command(wire::command::window_update(update)));
            view.corrections.iter().for_each(|update| self.put_command(wire::command::correction_update(update)));
        }
        *self.lock(partition) = Seen {
            numbers: marks.map(|mark| mark.number),
            incidents_next: marks[OutputTopic::Incidents as usize].next,
            loaded: true,
        };
    }

    /// Shows what stands in the output topics of a partition, in the order in which it was said. An owner that recovers
    /// says again what is shown.
    pub fn show(&self, partition: u32, outputs: Vec<Output>) {
        let mut seen = self.lock(partition);
        for Output { number, body, .. } in outputs {
            let last = &mut seen.numbers[body.topic() as usize];
            if number > *last {
                *last = number;
                self.put(body);
            }
        }
    }

    /// Who begins now begins there, where it is not beyond what is shown: another process may be further.
    pub fn set_incidents_mark(&self, partition: u32, Mark { number, next }: Mark) {
        let mut seen = self.lock(partition);
        if number <= seen.incidents().number {
            seen.incidents_next = seen.incidents_next.max(next);
        }
    }

    fn put(&self, body: Body) {
        if matches!(body.topic(), OutputTopic::Incidents) {
            self.incident_updates.fetch_add(1, Ordering::Relaxed);
        }
        match body {
            Body::Incident(update) => self.put_incident(*update),
            Body::IncidentGone { id, .. } => self.remove_incident(id),
            Body::Alert(update) => self.put_alert(*update),
            Body::AlertGone { id, .. } => self.remove_alert(id),
            Body::Service(update) => self.put_service(&update),
            Body::Result(result) => self.put_command(wire::command::result(&result)),
            Body::Silence(update) => self.put_command(wire::command::silence_update(&update)),
            Body::Window(update) => self.put_command(wire::command::window_update(&update)),
            Body::Problem(update) => self.put_command(wire::command::problem_update(&update)),
            Body::ProblemGone { scope, id } => drop(self.problems.remove(&Problem::name(&scope, id))),
            Body::Correction(update) => self.put_command(wire::command::correction_update(&update)),
            Body::CorrectionGone { scope, id } => {
                self.corrections.remove(&Correction::name(&scope, id));
            }
            Body::SuppressorGone { name, .. } => {
                self.silences.remove(&name);
                self.windows.remove(&name);
            }
            Body::DeadLetter(_) => {}
        }
    }

    /// What came of a command.
    pub fn result(&self, scope: &str, request_id: &str) -> Option<v1::CommandResult> {
        let key = (scope.to_owned(), request_id.to_owned());
        let results =
            [&self.results, &self.answers].map(|results| results.lock().unwrap_or_else(PoisonError::into_inner));
        results.iter().find_map(|results| results.by_id.get(&key)).cloned()
    }

    fn put_command(&self, body: command_output::Body) {
        use command_output::Body;
        match body {
            Body::Result(result) => {
                let answers = result.answer.is_some();
                let (results, max) = if answers { (&self.answers, ANSWERS_MAX) } else { (&self.results, RESULTS_MAX) };
                results.lock().unwrap_or_else(PoisonError::into_inner).put(result, max);
            }
            Body::Silence(silence) => drop(self.silences.insert(silence.name.clone(), Arc::new(silence))),
            Body::Problem(problem) => drop(self.problems.insert(problem.name.clone(), Arc::new(problem))),
            Body::Correction(said) => drop(self.corrections.insert(said.name.clone(), Arc::new(said))),
            Body::MaintenanceWindow(window) => drop(self.windows.insert(window.name.clone(), Arc::new(window))),
        }
    }

    fn put_incident(&self, update: IncidentUpdate) {
        let incident = &update.incident;
        let known = self.episodes.insert(incident.episode, incident.id) == Some(incident.id);
        if !known {
            // From now on they show it.
            update.alerts.iter().for_each(|alert| self.tell_alert(alert.id));
        }
        let (id, update) = (incident.id, Arc::new(update));
        let before = self.incidents.insert(id, update.clone());
        self.tally.incident(before.as_deref().map(|update| &update.incident), Some(&update.incident));
    }

    fn remove_incident(&self, id: IncidentId) {
        if let Some((_, update)) = self.incidents.remove(&id) {
            self.episodes.remove(&update.incident.episode);
            update.alerts.iter().for_each(|alert| self.tell_alert(alert.id));
            self.tally.incident(Some(&update.incident), None);
        }
    }

    fn put_alert(&self, update: AlertUpdate) {
        let alert = update.alert.clone();
        let before = self.alerts.insert(alert.id, update);
        self.tell_alert(alert.id);
        self.tally.alert(before.as_ref().map(|update| &*update.alert), Some(&alert));
    }

    fn remove_alert(&self, id: AlertId) {
        if let Some((_, update)) = self.alerts.remove(&id) {
            self.tell_alert(id);
            self.tally.alert(Some(&update.alert), None);
        }
    }

    fn tell_alert(&self, id: AlertId) {
        // There may be no watch.
        let _ = self.alert_changes.send(id);
    }

    fn put_service(&self, update: &ServiceUpdate) {
        let service = wire::service(update);
        let name: Arc<str> = service.name.as_str().into();
        self.services.insert(service.name.clone(), Arc::new(service));
        // There may be no watch.
        let _ = self.service_changes.send(name);
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use quell_connectors::decode::{Context, Mapping, canonical};
    use quell_core::domain::{
        alert::{Alert, Fingerprint},
        incident::{Priority, RaiseReason, State},
        severity::Severity,
        time::Timestamp,
    };
    use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

    const AT: Timestamp = Timestamp(1_767_571_200_000);

    /// An alert that has just opened.
    pub fn alert(entity: &str, check: &str, severity: Severity) -> Alert {
        let text = format!(r#"{{"entity":"{entity}","check":"{check}","time":{},"severity":"{severity}"}}"#, AT.0);
        let mapping = Mapping::default();
        let context = Context { arrival: AT, offset: 0, check_wall: false, mapping: &mapping, default_origin: "test" };
        let event = canonical::decode(text.as_bytes(), &context).expect("valid");
        Alert::open(AlertId(1), Fingerprint(1), &event, AT)
    }

    fn severity(n: usize) -> Severity {
        [Severity::Info, Severity::Warning, Severity::Minor, Severity::Major, Severity::Critical][n]
    }

    fn state(n: usize) -> State {
        [State::New, State::Acknowledged, State::InProgress, State::OnHold, State::Resolved, State::Closed][n]
    }

    /// An incident that was just told.
    pub fn incident_update(id: u64, state: State, impact: u8) -> IncidentUpdate {
        let raised = RaiseReason::Many { alerts: 1, entities: 1 };
        let incident = Incident::new(IncidentId(id), 1, EpisodeId(id), raised, AT);
        let priority = Priority { impact, urgency: 1, reason: String::new() };
        IncidentUpdate {
            scope: "s".into(),
            incident: Incident { state, priority, ..incident },
            alerts: Vec::new(),
            alerts_truncated: false,
            alert_count: 1,
            open_alert_count: 1,
            added: Vec::new(),
            removed: Vec::new(),
            merges: Vec::new(),
            change: "updated",
        }
    }

    fn incident(id: u64, state: State, impact: u8) -> Body {
        Body::Incident(Box::new(incident_update(id, state, impact)))
    }

    fn output(number: u64, body: Body) -> Output {
        Output { number, position: 0, body }
    }

    fn alert_output(number: u64, alert: Alert) -> Output {
        output(number, Body::Alert(Box::new(AlertUpdate { scope: "s".into(), alert: Arc::new(alert) })))
    }

    /// What the views hold, walked.
    fn walked(views: &Views) -> (Vec<u64>, Vec<u64>, u64) {
        let (mut alerts, mut incidents) = ([0; 3 * 6], [0; 7 * 6]);
        let mut open = std::collections::BTreeSet::new();
        for entry in &views.alerts {
            let message = wire::alert(entry.value());
            alerts[(message.state * 6 + message.severity) as usize] += 1;
            open.extend(entry.alert.episode.filter(|_| entry.alert.open));
        }
        for entry in &views.incidents {
            let message = wire::incident(entry.value());
            incidents[message.state as usize * 6 + message.priority as usize] += 1;
        }
        (alerts.to_vec(), incidents.to_vec(), open.len() as u64)
    }

    #[test]
    fn what_is_counted_is_what_is_there() {
        let (views, mut random) = (Views::new(1), StdRng::seed_from_u64(1));
        for number in 1..=2_000 {
            let id = random.random_range(0..40);
            let scope = Arc::<str>::from("s");
            let body = match random.random_range(0..4) {
                0 => Body::AlertGone { scope, id: AlertId(id) },
                1 => Body::IncidentGone { scope, id: IncidentId(id) },
                2 => {
                    let mut alert = alert("db", "latency", severity(random.random_range(0..5)));
                    (alert.id, alert.open) = (AlertId(id), random.random());
                    alert.episode = Some(EpisodeId(random.random_range(0..5))).filter(|_| random.random());
                    Body::Alert(Box::new(AlertUpdate { scope, alert: Arc::new(alert) }))
                }
                _ => incident(id, state(random.random_range(0..6)), random.random_range(1..=3)),
            };
            views.show(0, vec![output(number, body)]);
            let flat = |rows: &[[u64; 6]]| rows.concat();
            let (alerts, incidents) = (flat(&views.tally.alerts()), flat(&views.tally.incidents()));
            assert_eq!((alerts, incidents, views.tally.open_episodes()), walked(&views), "after {number} changes");
        }
    }

    #[test]
    fn what_is_said_again_is_shown_once() {
        let views = Views::new(1);
        let say = |number, severity| alert_output(number, alert("db", "latency", severity));
        views.show(0, vec![say(1, Severity::Minor), say(2, Severity::Critical)]);
        // An owner that recovers begins anew.
        views.show(0, vec![say(1, Severity::Minor)]);
        let shown = || views.alert(AlertId(1)).map(|alert| alert.message().severity());
        assert_eq!(shown(), Some(v1::Severity::Critical));
        views.show(0, vec![say(3, Severity::Info)]);
        assert_eq!(shown(), Some(v1::Severity::Info));
        assert_eq!(views.seen(0).numbers[OutputTopic::Alerts as usize], 3);
    }

    #[test]
    fn a_watch_begins_where_nothing_is_missed() {
        let views = Views::new(1);
        let gone = |number| output(number, Body::IncidentGone { scope: "s".into(), id: IncidentId(1) });
        views.show(0, vec![gone(1), gone(2)]);
        views.set_incidents_mark(0, Mark { number: 2, next: 7 });
        assert_eq!(views.seen(0).incidents(), Mark { number: 2, next: 7 });
        // Another process has said more than is shown here, up to there.
        views.set_incidents_mark(0, Mark { number: 9, next: 30 });
        views.show(0, vec![gone(3)]);
        assert_eq!(views.seen(0).incidents(), Mark { number: 3, next: 7 });
    }

    #[test]
    fn an_alert_knows_its_incident() {
        let views = Views::new(1);
        let mut alert = alert("db", "latency", Severity::Major);
        alert.episode = Some(EpisodeId(5));
        views.show(0, vec![alert_output(1, alert)]);
        let named = || views.alert(AlertId(1)).map(|alert| alert.incident()).unwrap_or_default();
        assert_eq!(named(), "");
        views.show(0, vec![output(1, incident(5, State::New, 1))]);
        assert_eq!(named(), Incident::name("s", IncidentId(5)));
    }
}
