//! What a fold has concluded, gathered from its outputs.
use quell_core::{
    domain::{
        alert::{Alert, AlertId},
        episode::EpisodeId,
        event::Event,
        hash::Framed,
        incident::{Incident, IncidentId},
        severity::Severity,
        time::Timestamp,
    },
    engine::Engine,
    ledger::Outcome,
    output::{AlertUpdate, Body, DeadLetter, IncidentUpdate, Outputs, Placed, Trace, Verdict},
};
use rustc_hash::FxHashMap;
use std::{collections::hash_map::Entry, sync::Arc};

/// A change of an alert's state.
pub(super) struct AlertTransition {
    pub at: Timestamp,
    pub to: &'static str,
    pub severity: Severity,
}

/// An alert and all that happened to it.
pub(super) struct AlertRecord {
    pub name: String,
    pub scope: Arc<str>,
    pub alert: Alert,
    pub transitions: Vec<AlertTransition>,
    /// How it was last in each of its episodes.
    pub places: Vec<Place>,
}

/// An alert in an episode.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub episode: EpisodeId,
    pub severity: Severity,
    pub open: bool,
}

impl AlertRecord {
    fn put(&mut self) {
        let Some(episode) = self.alert.place() else { return };
        let place = Place { episode, severity: self.alert.severity, open: self.alert.open };
        // The latest is the likeliest.
        match self.places.iter_mut().rev().find(|known| known.episode == episode) {
            Some(known) => *known = place,
            None => self.places.push(place),
        }
    }
}

/// An episode, with the places of its alerts, when and why they joined.
pub(super) struct EpisodeRecord {
    pub name: String,
    pub scope: Arc<str>,
    pub founded_at: Timestamp,
    pub alerts: Vec<(usize, Timestamp, String)>,
    pub incident: Option<usize>,
}

/// A change of an incident's state.
pub(super) struct IncidentTransition {
    pub at: Timestamp,
    pub to: &'static str,
    pub severity: Severity,
    pub priority: u8,
}

/// Where an alert was placed, for a time or for good.
enum Placement {
    /// In this episode; followed when it moves.
    In(usize),
    /// Where another of its placements is: its episodes became one.
    With(usize),
}

/// An incident as it was last said, and all that happened to it.
pub(super) struct IncidentRecord {
    pub name: String,
    pub update: Box<IncidentUpdate>,
    pub transitions: Vec<IncidentTransition>,
}

/// An event: where its id ends in the text of all ids, and where it went.
pub(super) struct Row {
    pub id_end: usize,
    pub alert: Option<usize>,
    /// Which placement of its alert it belongs to.
    pub placement: Option<usize>,
    /// It has no episode because its alert was deliberately suppressed.
    pub suppressed: bool,
}

/// All that was concluded, in the order it first came.
#[derive(Default)]
pub struct Conclusions {
    pub(super) alerts: Vec<AlertRecord>,
    alert_index: FxHashMap<AlertId, usize>,
    pub(super) episodes: Vec<EpisodeRecord>,
    episode_index: FxHashMap<EpisodeId, usize>,
    placements: Vec<Placement>,
    /// By episode and alert, while it is there.
    placement_index: FxHashMap<(usize, usize), usize>,
    pub(super) incidents: Vec<IncidentRecord>,
    incident_index: FxHashMap<IncidentId, usize>,
    pub(super) ids: String,
    pub(super) rows: Vec<Row>,
    row_index: FxHashMap<u64, usize>,
    framed: Framed,
    pub(super) ledger: [u64; Outcome::ALL.len()],
    /// Recoveries that wait for their problem.
    pub(super) held: u64,
    /// Events after the end of time.
    pub beyond: u64,
}

impl Conclusions {
    /// Where a step says what conclusions are made of.
    pub fn outputs() -> Outputs {
        Outputs { brief: true, ..Outputs::traced() }
    }

    /// An event that is about to be folded: a row for each origin and id.
    pub fn event(&mut self, event: &Event) {
        // As `event_key`, without an allocation for each.
        let key = self.framed.clear().field(&event.origin).field(&event.id).hash64();
        if let Entry::Vacant(place) = self.row_index.entry(key) {
            place.insert(self.rows.len());
            self.ids.push_str(&event.id);
            self.rows.push(Row { id_end: self.ids.len(), alert: None, placement: None, suppressed: false });
        }
    }

    /// What a step said, with its trace; dead letters are handed on.
    pub fn take(&mut self, outputs: &mut Outputs, letters: &mut dyn FnMut(&DeadLetter)) {
        for output in outputs.items.drain(..) {
            match output.body {
                Body::Alert(update) => self.alert(*update),
                Body::Incident(update) => self.revised(update),
                Body::DeadLetter(letter) => letters(&letter),
                Body::Service(_)
                | Body::Result(_)
                | Body::Silence(_)
                | Body::Window(_)
                | Body::Problem(_)
                | Body::ProblemGone { .. }
                | Body::Correction(_)
                | Body::CorrectionGone { .. }
                | Body::AlertGone { .. }
                | Body::IncidentGone { .. }
                | Body::SuppressorGone { .. } => {}
            }
        }
        if let Some(trace) = &mut outputs.trace {
            self.trace(trace);
        }
    }

    /// In the order things happened: before each verdict what timers did, then where its alert was placed.
    fn trace(&mut self, trace: &mut Trace) {
        let mut placed = trace.placed.drain(..).peekable();
        for (before, verdict) in trace.verdicts.drain(..).map(Some).chain([None]).enumerate() {
            while let Some(next) = placed.next_if(|placed| placed.before <= before) {
                match next.from {
                    None => self.joined(next),
                    Some(from) => self.moved(from, next),
                }
            }
            if let Some(verdict) = verdict {
                self.verdict(&verdict);
            }
        }
    }

    /// The end: what an engine keeps and has not said yet, and its ledger.
    pub fn close(&mut self, engine: &mut Engine) {
        for view in engine.views() {
            let mut alerts = view.alerts;
            alerts.sort_unstable_by_key(|update| update.alert.id);
            alerts.into_iter().for_each(|update| self.alert(update));
            view.incidents.into_iter().for_each(|update| self.revised(Box::new(update)));
        }
        for (_, outcome, count) in engine.ledger_counts() {
            self.ledger[outcome as usize] += count;
        }
        // Not before: an incident is said before the trace of its step is looked at.
        for (place, record) in self.incidents.iter().enumerate() {
            if let Some(episode) = self.episode_index.get(&record.update.incident.episode) {
                self.episodes[*episode].incident = Some(place);
            }
        }
        self.held += engine.scopes().iter().map(|scope| scope.ledger().held).sum::<u64>();
    }

    /// An episode.
    pub(super) fn episode(&self, id: EpisodeId) -> Option<&EpisodeRecord> {
        self.episode_index.get(&id).map(|place| &self.episodes[*place])
    }

    /// An incident.
    pub(super) fn incident(&self, id: IncidentId) -> Option<&IncidentRecord> {
        self.incident_index.get(&id).map(|place| &self.incidents[*place])
    }

    /// Episodes that were not merged into others.
    pub(super) fn kept_episodes(&self) -> impl Iterator<Item = &EpisodeRecord> {
        self.episodes.iter().filter(|episode| !episode.alerts.is_empty())
    }

    fn alert(&mut self, AlertUpdate { scope, alert }: AlertUpdate) {
        let mut alert = Arc::unwrap_or_clone(alert);
        // Not written; of many alerts they take most of the memory.
        alert.labels = [].into();
        match self.alert_index.entry(alert.id) {
            Entry::Occupied(place) => {
                let record = &mut self.alerts[*place.get()];
                record.transitions.extend(alert_transition(&record.alert, &alert));
                record.alert = alert;
                record.put();
            }
            Entry::Vacant(place) => {
                place.insert(self.alerts.len());
                let transitions = vec![AlertTransition { at: alert.occurred_at, to: "open", severity: alert.severity }];
                let name = Alert::name(&scope, alert.id);
                let mut record = AlertRecord { name, scope, alert, transitions, places: Vec::new() };
                record.put();
                self.alerts.push(record);
            }
        }
    }

    fn revised(&mut self, update: Box<IncidentUpdate>) {
        let incident = &update.incident;
        let next = self.incidents.len();
        let place = *self.incident_index.entry(incident.id).or_insert(next);
        let before = self.incidents.get(place).map(|record| &record.update.incident);
        let transition = incident_transition(before, incident);
        if let Some(record) = self.incidents.get_mut(place) {
            record.transitions.extend(transition);
            record.update = update;
            return;
        }
        let name = Incident::name(&update.scope, incident.id);
        self.incidents.push(IncidentRecord { name, update, transitions: transition.into_iter().collect() });
    }

    fn joined(&mut self, joined: Placed) {
        let Some(alert) = self.alert_index.get(&joined.alert).copied() else { return };
        let place = self.place_of(joined.episode, joined.scope, joined.at);
        let episode = &mut self.episodes[place];
        episode.founded_at = episode.founded_at.min(joined.at);
        if let Entry::Vacant(new) = self.placement_index.entry((place, alert)) {
            new.insert(self.placements.len());
            self.placements.push(Placement::In(place));
            episode.alerts.push((alert, joined.at, joined.reason));
        }
    }

    fn place_of(&mut self, episode: EpisodeId, scope: Arc<str>, at: Timestamp) -> usize {
        let next = self.episodes.len();
        let place = *self.episode_index.entry(episode).or_insert(next);
        if place == next {
            let name = format!("scopes/{scope}/episodes/{episode}");
            self.episodes.push(EpisodeRecord { name, scope, founded_at: at, alerts: Vec::new(), incident: None });
        }
        place
    }

    /// What was placed in one episode is in another now.
    fn moved(&mut self, from: EpisodeId, moved: Placed) {
        let Some(alert) = self.alert_index.get(&moved.alert).copied() else { return };
        let Some(from) = self.episode_index.get(&from).copied() else { return };
        let to = self.place_of(moved.episode, moved.scope, moved.at);
        let Some(placement) = self.placement_index.remove(&(from, alert)) else { return };
        let left = &mut self.episodes[from].alerts;
        let (_, joined_at, _) = match left.iter().position(|(other, ..)| *other == alert) {
            Some(n) => left.remove(n),
            None => (alert, moved.at, String::new()),
        };
        let episode = &mut self.episodes[to];
        episode.founded_at = episode.founded_at.min(joined_at);
        self.placements[placement] = match self.placement_index.entry((to, alert)) {
            Entry::Occupied(known) => Placement::With(*known.get()),
            Entry::Vacant(new) => {
                new.insert(placement);
                episode.alerts.push((alert, joined_at, moved.reason));
                Placement::In(to)
            }
        };
    }

    /// The episode in which a placement ended.
    pub(super) fn placed(&self, mut placement: usize) -> &EpisodeRecord {
        loop {
            match self.placements[placement] {
                Placement::In(episode) => return &self.episodes[episode],
                Placement::With(other) => placement = other,
            }
        }
    }

    /// Of several events with one origin and id, the first that went somewhere counts.
    fn verdict(&mut self, verdict: &Verdict) {
        let (Some(row), Some(alert)) = (self.row_index.get(&verdict.event), verdict.alert) else { return };
        let row = &mut self.rows[*row];
        if row.alert.is_none() {
            row.alert = self.alert_index.get(&alert).copied();
            let episode = verdict.episode.and_then(|id| self.episode_index.get(&id));
            let placement =
                row.alert.zip(episode).and_then(|(alert, place)| self.placement_index.get(&(*place, alert)));
            row.placement = placement.copied();
            row.suppressed = verdict.episode.is_none() && verdict.suppressed_by.is_some();
        }
    }
}

/// What has become another, stamped with the time at which it did.
fn alert_transition(before: &Alert, now: &Alert) -> Option<AlertTransition> {
    let (at, to) = match (before.open, now.open) {
        (true, false) => (now.cleared_at.unwrap_or(now.quiet_until), if now.expired { "expired" } else { "cleared" }),
        (false, true) => (now.occurred_at, "open"),
        (true, true) if before.severity != now.severity => (now.last_fired_at, "severity"),
        _ => return None,
    };
    Some(AlertTransition { at, to, severity: now.severity })
}

fn incident_transition(before: Option<&Incident>, now: &Incident) -> Option<IncidentTransition> {
    if before.is_some_and(|before| before.state == now.state) {
        return None;
    }
    let at = match before {
        None => Some(now.opened_at),
        Some(_) => now.closed_at.or(now.resolved_at),
    };
    let (severity, priority) = (now.severity, now.priority.value());
    Some(IncidentTransition { at: at.unwrap_or(now.updated_at), to: now.state.name(), severity, priority })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views;
    use quell_core::output::Output;

    /// One step: the alert is placed in an episode, or moves from one to another.
    fn step(conclusions: &mut Conclusions, moves: &[(Option<u64>, u64)]) {
        let mut outputs = Conclusions::outputs();
        let alert = Arc::new(views::tests::alert("db", "latency", Severity::Major));
        let id = alert.id;
        let body = Body::Alert(Box::new(AlertUpdate { scope: "s".into(), alert }));
        outputs.items.push(Output { number: 1, position: 1, body });
        let placed = |(from, to): &(Option<u64>, u64)| Placed {
            scope: "s".into(),
            alert: id,
            from: from.map(EpisodeId),
            episode: EpisodeId(*to),
            at: Timestamp(0),
            reason: String::new(),
            before: 0,
        };
        outputs.trace = Some(Trace { placed: moves.iter().map(placed).collect(), ..Trace::default() });
        conclusions.take(&mut outputs, &mut |_| {});
    }

    fn has(conclusions: &Conclusions, episode: u64) -> bool {
        conclusions.episode(EpisodeId(episode)).is_some_and(|episode| episode.alerts.len() == 1)
    }

    #[test]
    fn an_alert_that_comes_back_is_there() {
        let mut conclusions = Conclusions::default();
        step(&mut conclusions, &[(None, 1), (Some(1), 2), (Some(2), 1), (None, 1)]);
        assert!(has(&conclusions, 1) && !has(&conclusions, 2));
        assert_eq!(conclusions.placed(0).name, "scopes/s/episodes/0000000000000001");
    }

    #[test]
    fn two_placements_that_meet_stay_together() {
        let mut conclusions = Conclusions::default();
        step(&mut conclusions, &[(None, 1), (None, 2), (Some(2), 1), (Some(1), 3)]);
        assert!(has(&conclusions, 3) && !has(&conclusions, 1) && !has(&conclusions, 2));
        assert_eq!(conclusions.placed(0).name, conclusions.placed(1).name);
    }
}
