//! Read models that the API's handlers share: a snapshot, then the tail of the output topics.
use crate::{control::Control, outputs::OutputReader, rules::Rules, snapshots::Mark};
use dashmap::DashMap;
use prost::Message as _;
use quell_connectors::{
    log::{Log, Topic},
    wire,
};
use quell_core::{
    engine::Engine,
    output::{ByTopic, OutputTopic},
};
use quell_proto::v1::{self, command_output::Body};
use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{broadcast, watch};

mod tally;
pub use tally::Tally;

const RETRY: Duration = Duration::from_millis(500);
const WAIT: Duration = Duration::from_secs(1);

/// How far the views are, by output topic that they show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub incidents: Mark,
    pub alerts: Mark,
    pub health: Mark,
    pub commands: Mark,
    /// The snapshot is loaded.
    pub loaded: bool,
}

/// Results of commands that are remembered: whoever asked waits for it now.
const RESULTS_MAX: usize = 100_000;

/// Changes of services that wait for a slow watch, which then looks at all of them.
const CHANGES_MAX: usize = 1_024;

/// Results of commands, the latest.
#[derive(Debug, Default)]
struct Results {
    /// By scope and request id.
    by_id: HashMap<(String, String), v1::CommandResult>,
    queue: VecDeque<(String, String)>,
}

impl Results {
    fn put(&mut self, result: v1::CommandResult) {
        let key = (result.scope.clone(), result.request_id.clone());
        if self.by_id.insert(key.clone(), result).is_none() {
            self.queue.push_back(key);
        }
        if self.queue.len() > RESULTS_MAX
            && let Some(oldest) = self.queue.pop_front()
        {
            self.by_id.remove(&oldest);
        }
    }
}

/// Incidents, alerts and services by name.
#[derive(Debug)]
pub struct Views {
    pub incidents: DashMap<String, Arc<v1::Incident>>,
    pub alerts: DashMap<String, Arc<v1::Alert>>,
    pub services: DashMap<String, Arc<v1::Service>>,
    /// Names of services that have changed, as they do.
    pub service_changes: broadcast::Sender<Arc<str>>,
    /// How many there are of what.
    pub tally: Tally,
    pub silences: DashMap<String, Arc<v1::Silence>>,
    /// Maintenance windows that were asked for; those of the policy are its own.
    pub windows: DashMap<String, Arc<v1::MaintenanceWindow>>,
    /// What came of commands, lately.
    results: Mutex<Results>,
    /// By episode's name: the incident's.
    episodes: DashMap<String, String>,
    seen: Vec<watch::Sender<Seen>>,
    /// Updates of incidents seen.
    pub incident_updates: AtomicU64,
}

impl Views {
    /// Of so many partitions, empty.
    pub fn new(partitions: u32) -> Arc<Self> {
        Arc::new(Self {
            incidents: DashMap::new(),
            alerts: DashMap::new(),
            services: DashMap::new(),
            service_changes: broadcast::channel(CHANGES_MAX).0,
            tally: Tally::default(),
            silences: DashMap::new(),
            windows: DashMap::new(),
            results: Mutex::default(),
            episodes: DashMap::new(),
            seen: (0..partitions).map(|_| watch::channel(Seen::default()).0).collect(),
            incident_updates: AtomicU64::new(0),
        })
    }

    /// How far a partition is seen.
    pub fn seen(&self, partition: u32) -> Seen {
        *self.seen[partition as usize].borrow()
    }

    /// All partitions are loaded.
    pub fn is_loaded(&self) -> bool {
        self.seen.iter().all(|seen| seen.borrow().loaded)
    }

    /// Waits until a partition's views show the outputs up to `numbers`.
    pub async fn wait_seen(&self, partition: u32, numbers: &[u64]) {
        let reached = |seen: &Seen| {
            seen.loaded
                && seen.incidents.number >= numbers[OutputTopic::Incidents as usize]
                && seen.alerts.number >= numbers[OutputTopic::Alerts as usize]
                && seen.health.number >= numbers[OutputTopic::Health as usize]
                && seen.commands.number >= numbers[OutputTopic::Commands as usize]
        };
        // The sender lives as long as the views.
        let _ = self.seen[partition as usize].subscribe().wait_for(reached).await;
    }

    /// An alert with the incident it belongs to.
    pub fn with_incident(&self, alert: &v1::Alert) -> v1::Alert {
        let incident = self.episodes.get(&alert.episode).map(|name| name.clone()).unwrap_or_default();
        v1::Alert { incident, ..alert.clone() }
    }

    /// Begins with what an engine holds that has just been loaded from its snapshot, of which the outputs end at `marks`.
    /// Once: from then on the views follow the outputs.
    pub fn load(&self, partition: u32, engine: &mut Engine, marks: ByTopic<Mark>) {
        if self.seen(partition).loaded {
            return;
        }
        for view in engine.views() {
            view.incidents.iter().for_each(|update| self.put_incident(wire::incident(update)));
            view.alerts.iter().for_each(|update| self.put_alert(wire::alert(update)));
            view.services.iter().for_each(|update| self.put_service(wire::service(update)));
            view.results.iter().for_each(|result| self.put_command(wire::command::result(result)));
            view.silences.iter().for_each(|update| self.put_command(wire::command::silence_update(update)));
            view.windows.iter().for_each(|update| self.put_command(wire::command::window_update(update)));
        }
        self.seen[partition as usize].send_replace(Seen {
            incidents: marks[OutputTopic::Incidents as usize],
            alerts: marks[OutputTopic::Alerts as usize],
            health: marks[OutputTopic::Health as usize],
            commands: marks[OutputTopic::Commands as usize],
            loaded: true,
        });
    }

    /// Follows a partition until the future is dropped.
    pub async fn follow(self: Arc<Self>, log: Arc<dyn Log>, control: Arc<Control>, rules: Rules, partition: u32) {
        loop {
            if let Err(error) = self.try_follow(&log, &control, rules, partition).await {
                tracing::warn!(partition, error = format!("{error:#}"), "the views can't be followed; trying again");
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn try_follow(
        &self,
        log: &Arc<dyn Log>,
        control: &Control,
        rules: Rules,
        partition: u32,
    ) -> anyhow::Result<()> {
        // The sender lives as long as the views.
        let _ = self.seen[partition as usize].subscribe().wait_for(|seen| seen.loaded).await;
        let mut seen = self.seen(partition);
        let journal = control.latest().uuid;
        let open = |topic, mark: Mark| {
            OutputReader::open(log, (topic, partition), journal, (mark.number, mark.next), rules.readers_skip)
        };
        let mut incidents = open(Topic::Incidents, seen.incidents).await?;
        let mut alerts = open(Topic::Alerts, seen.alerts).await?;
        let mut health = open(Topic::Health, seen.health).await?;
        let mut commands = open(Topic::Commands, seen.commands).await?;
        loop {
            tokio::select! {
                next = incidents.next(WAIT) => if let Some(next) = next? {
                    match next.output.gone.as_str() {
                        "" => if let Some(incident) = v1::IncidentUpdate::decode(next.output.body)?.incident {
                            self.put_incident(incident);
                        },
                        gone => self.remove_incident(gone),
                    }
                    self.incident_updates.fetch_add(1, Ordering::Relaxed);
                    seen.incidents = Mark { number: next.output.number, next: next.next };
                },
                next = alerts.next(WAIT) => if let Some(next) = next? {
                    match next.output.gone.as_str() {
                        "" => self.put_alert(v1::Alert::decode(next.output.body)?),
                        gone => self.remove_alert(gone),
                    }
                    seen.alerts = Mark { number: next.output.number, next: next.next };
                },
                next = health.next(WAIT) => if let Some(next) = next? {
                    self.put_service(v1::Service::decode(next.output.body)?);
                    seen.health = Mark { number: next.output.number, next: next.next };
                },
                next = commands.next(WAIT) => if let Some(next) = next? {
                    match next.output.gone.as_str() {
                        "" => if let Some(body) = v1::CommandOutput::decode(next.output.body)?.body {
                            self.put_command(body);
                        },
                        gone => {
                            self.silences.remove(gone);
                            self.windows.remove(gone);
                        }
                    }
                    seen.commands = Mark { number: next.output.number, next: next.next };
                },
            }
            self.seen[partition as usize].send_replace(seen);
        }
    }

    /// What came of a command.
    pub fn result(&self, scope: &str, request_id: &str) -> Option<v1::CommandResult> {
        let results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        results.by_id.get(&(scope.to_owned(), request_id.to_owned())).cloned()
    }

    fn put_command(&self, body: Body) {
        match body {
            Body::Result(result) => {
                self.results.lock().unwrap_or_else(PoisonError::into_inner).put(result);
            }
            Body::Silence(silence) => drop(self.silences.insert(silence.name.clone(), Arc::new(silence))),
            Body::MaintenanceWindow(window) => drop(self.windows.insert(window.name.clone(), Arc::new(window))),
        }
    }

    fn put_incident(&self, incident: v1::Incident) {
        self.episodes.insert(incident.episode.clone(), incident.name.clone());
        let incident = Arc::new(incident);
        let before = self.incidents.insert(incident.name.clone(), incident.clone());
        self.tally.incident(before.as_deref(), Some(&incident));
    }

    fn remove_incident(&self, name: &str) {
        if let Some((_, incident)) = self.incidents.remove(name) {
            self.episodes.remove(&incident.episode);
            self.tally.incident(Some(&incident), None);
        }
    }

    fn put_alert(&self, alert: v1::Alert) {
        let alert = Arc::new(alert);
        let before = self.alerts.insert(alert.name.clone(), alert.clone());
        self.tally.alert(before.as_deref(), Some(&alert));
    }

    fn remove_alert(&self, name: &str) {
        if let Some((_, alert)) = self.alerts.remove(name) {
            self.tally.alert(Some(&alert), None);
        }
    }

    fn put_service(&self, service: v1::Service) {
        let name: Arc<str> = service.name.as_str().into();
        self.services.insert(service.name.clone(), Arc::new(service));
        // There may be no watch.
        let _ = self.service_changes.send(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

    /// What the views hold, walked.
    fn walked(views: &Views) -> (Vec<usize>, Vec<usize>, usize) {
        let alerts = (0..3).flat_map(|state| (0..6).map(move |severity| (state, severity)));
        let incidents = (0..7).flat_map(|state| (0..6).map(move |priority| (state, priority)));
        let open = views.alerts.iter().filter(|a| a.state() == v1::alert::State::Open).map(|a| a.episode.clone());
        (
            alerts.map(|of| views.alerts.iter().filter(|a| (a.state, a.severity) == of).count()).collect(),
            incidents.map(|of| views.incidents.iter().filter(|i| (i.state, i.priority as i32) == of).count()).collect(),
            open.collect::<std::collections::BTreeSet<_>>().len(),
        )
    }

    #[test]
    fn what_is_counted_is_what_is_there() {
        let (views, mut random) = (Views::new(1), StdRng::seed_from_u64(1));
        for round in 0..2_000 {
            let name = random.random_range(0..40).to_string();
            match random.random_range(0..4) {
                0 => views.remove_alert(&name),
                1 => views.remove_incident(&name),
                2 => views.put_alert(v1::Alert {
                    name,
                    state: random.random_range(1..3),
                    severity: random.random_range(1..6),
                    episode: random.random_range(0..5).to_string(),
                    ..Default::default()
                }),
                _ => views.put_incident(v1::Incident {
                    name,
                    state: random.random_range(1..7),
                    priority: random.random_range(1..6),
                    ..Default::default()
                }),
            }
            let flat = |rows: &[[u64; 6]]| rows.iter().flatten().map(|n| *n as usize).collect::<Vec<_>>();
            let (alerts, incidents) = (flat(&views.tally.alerts()), flat(&views.tally.incidents()));
            let counted = (alerts, incidents, views.tally.open_episodes() as usize);
            assert_eq!(counted, walked(&views), "after {round} changes");
        }
    }
}
