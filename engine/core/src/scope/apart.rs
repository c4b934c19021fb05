//! A question of why two are not together is answered where the state is, and changes nothing of it.
use super::{Scope, World, cx};
use crate::{
    domain::{
        alert::{Alert, SuppressedBy},
        apart::{Apart, Note, NoteKind, Subject, Weighing, signed},
        command::{Code, Command, CommandResult, Refusal},
        episode::{Episode, Member, MovedBy, Reason},
        incident::Incident,
    },
    output::{Body, Outputs},
    scope::Cx,
    stages::{
        correlate::{Correlator, Pair, brief, called, named},
        deduplicate::Deduplicator,
        raise::{Raiser, has_alerts},
    },
};
use std::{collections::BTreeSet, sync::Arc};

impl Scope {
    /// Says the answer, once. That it was asked is remembered, not what was answered.
    pub(super) fn answer(&mut self, command: &Command, of: [Subject; 2], world: World<'_>, out: &mut Outputs) {
        let known = Known { alerts: &self.deduplicator, correlator: &self.correlator, raiser: &self.raiser };
        let cx = cx(&mut self.core, world, out);
        let answer = known.why_not(of, &cx);
        let (answer, done) = match answer {
            Ok(apart) => (Some(Arc::new(apart)), Ok(String::new())),
            Err(refusal) => (None, Err(refusal)),
        };
        let result = command.result(done);
        let (clock, horizon, max) = (cx.core.clock, cx.policy.raise.request_horizon, cx.policy.limits.requests);
        cx.core.evicted.requests += self.questions.keep(result.clone(), clock, horizon, max);
        let result = CommandResult { answer, ..result };
        out.say(Body::Result(Box::new(result)));
    }
}

/// What the answer is found in.
#[derive(Clone, Copy)]
struct Known<'a> {
    alerts: &'a Deduplicator,
    correlator: &'a Correlator,
    raiser: &'a Raiser,
}

/// What is asked about, and where it is.
#[derive(Clone, Copy)]
struct Asked<'a> {
    alert: Option<&'a Alert>,
    incident: Option<&'a Incident>,
    episode: Option<&'a Episode>,
}

impl<'a> Known<'a> {
    fn find(self, subject: Subject) -> Result<Asked<'a>, Refusal> {
        let missing = |what: String| Refusal::new(Code::NotFound, format!("there is no {what}"));
        Ok(match subject {
            Subject::Alert(id) => {
                let alert = self.alerts.iter().find(|alert| alert.id == id);
                let alert = alert.ok_or_else(|| missing(format!("alert {id}")))?;
                let episode = alert.place().and_then(|id| self.correlator.now(id));
                let incident = episode.and_then(|episode| self.raiser.get(episode.incident?));
                Asked { alert: Some(&**alert), incident, episode }
            }
            Subject::Incident(id) => {
                let incident = self.raiser.get(id).ok_or_else(|| missing(format!("incident {id}")))?;
                has_alerts(incident, "ask of its branches")?;
                Asked { alert: None, incident: Some(incident), episode: self.correlator.now(incident.episode) }
            }
        })
    }

    fn why_not(self, of: [Subject; 2], cx: &Cx<'_>) -> Result<Apart, Refusal> {
        let [a, b] = [self.find(of[0])?, self.find(of[1])?];
        if of[0] == of[1] {
            return Err(Refusal::new(Code::InvalidArgument, "it is the same one"));
        }
        let mut apart = Apart::default();
        for one in [a, b] {
            apart.notes.extend(one.nowhere(&cx.core.name));
        }
        let (Some(here), Some(there)) = (a.episode, b.episode) else {
            apart.verdict = first(&apart.notes);
            return Ok(apart);
        };
        if here.id == there.id {
            return Ok(self.together([a, b], here, cx));
        }
        // What is weighed, and whether nothing keeps it from being decided by that.
        let (mut weighed, mut open) = (Vec::new(), Vec::new());
        for (one, own, other) in [(a, here, there), (b, there, here)] {
            let Some(alert) = one.alert else {
                apart.notes.extend(self.correlator.next_best((own, other), self.raiser, cx));
                continue;
            };
            let pair = Pair { alert, own, other };
            let notes = self.correlator.notes(pair, self.raiser, cx);
            open.push(notes.iter().all(|note| !note.kind.decides()));
            apart.notes.extend(notes);
            weighed.push(self.correlator.weigh(pair, self.raiser, cx));
        }
        let mut notes = self.correlator.notes_as_one([here, there], self.raiser, cx);
        let as_one = self.correlator.weigh_as_one(here, there, self.raiser, cx);
        notes.extend(as_one.as_ref().and_then(|as_one| as_one.as_ref().err()).cloned());
        open.push(notes.iter().all(|note| !note.kind.decides()));
        apart.notes.extend(notes);
        apart.notes.sort_by_key(|note| note.kind);
        let mut told = BTreeSet::new();
        apart.notes.retain(|note| told.insert(note.text.clone()));
        let weighed = weighed.into_iter().chain([as_one.and_then(Result::ok)]);
        let (weighed, open): (Vec<_>, Vec<_>) =
            weighed.zip(open).filter_map(|(weighing, open)| Some((weighing?, open))).unzip();
        apart.weighed = weighed;
        apart.verdict = verdict(&apart, &open);
        Ok(apart)
    }

    /// They are together: since when, and why each.
    fn together(self, of: [Asked<'_>; 2], episode: &Episode, cx: &Cx<'_>) -> Apart {
        let place = called(episode, self.raiser, &cx.core.name);
        let mut apart = Apart { together: true, verdict: format!("They are together in {place}."), ..Apart::default() };
        for one in of {
            let Some(alert) = one.alert else {
                let merged = one.incident.filter(|incident| Some(incident.id) != episode.incident);
                apart.notes.extend(merged.map(|incident| Note {
                    kind: NoteKind::Then,
                    text: format!("{}-{} was merged into {place}", cx.core.name, incident.number),
                }));
                continue;
            };
            let member = episode.members.get(alert.member()).filter(|member| member.alert == alert.id);
            apart
                .notes
                .extend(member.map(|member| Note { kind: kind_of(member), text: why_here(member, &named(alert), cx) }));
        }
        apart
    }
}

impl Asked<'_> {
    /// That it is placed nowhere.
    fn nowhere(&self, scope: &str) -> Option<Note> {
        if self.episode.is_some() {
            return None;
        }
        let note = |kind, text| Some(Note { kind, text });
        match (self.alert, self.incident) {
            (Some(alert), _) => {
                let who = named(alert);
                let by = alert.suppressed_by.as_deref().map(|by: &SuppressedBy| by.describe(scope));
                match by {
                    Some(by) => {
                        note(NoteKind::Hidden, format!("{who} is placed nowhere, for nobody is to hear of it: {by}"))
                    }
                    None if alert.switch.is_some() => note(
                        NoteKind::Hidden,
                        format!("{who} is a dead man's switch: it is placed nowhere while it is heard"),
                    ),
                    None => note(NoteKind::Window, format!("{who} is over, and where it was is no longer kept")),
                }
            }
            (None, Some(incident)) => {
                note(NoteKind::Window, format!("the alerts of {scope}-{} are no longer kept", incident.number))
            }
            (None, None) => None,
        }
    }
}

fn kind_of(member: &Member) -> NoteKind {
    match member.reason {
        Reason::Policy(_) => NoteKind::Policy,
        Reason::ByHand => NoteKind::ByHand,
        Reason::Inhibited(_) => NoteKind::Muted,
        _ => NoteKind::Then,
    }
}

/// Why a member is where it is, and since when.
fn why_here(member: &Member, who: &str, cx: &Cx<'_>) -> String {
    let since = member.moved.as_ref().map_or(member.opened_at, |moved| moved.at);
    let came = match member.moved.as_ref().map(|moved| moved.by) {
        None => String::new(),
        Some(MovedBy::Itself) => ", it moved there".to_owned(),
        Some(MovedBy::Another) => ", its group came to another's alert that belongs to it".to_owned(),
        Some(MovedBy::Merge(gain)) => format!(", it came with its group by {}", signed(gain.total())),
    };
    let weighed = if member.evidence.is_weighed() {
        let ahead = signed(member.evidence.margin.into());
        format!(" by {}, {} ahead of the next", signed(member.evidence.total()), ahead.trim_start_matches('+'))
    } else {
        String::new()
    };
    format!("{who}: {}{weighed}{came}; there for {}", member.reason, brief(cx.core.clock - since))
}

fn first(notes: &[Note]) -> String {
    notes.first().map_or_else(String::new, |note| sentence(&note.text))
}

fn sentence(text: &str) -> String {
    format!("{text}.")
}

/// What keeps them apart before all else. Of what is weighed, some is `open`: nothing else keeps it from being decided so.
fn verdict(apart: &Apart, open: &[bool]) -> String {
    let ways = apart.weighed.iter().zip(open).filter(|(_, open)| **open).map(|(weighing, _)| weighing);
    let nearest = ways.max_by_key(|weighing| weighing.ahead());
    let keeps = |note: &&Note| note.kind.decides() && (nearest.is_none() || note.kind == NoteKind::NoGround);
    let Some(Weighing { title, total, needed, .. }) = nearest.filter(|nearest| nearest.ahead() > 0) else {
        let decided = |note: &&Note| nearest.is_none() && note.kind.is_told_first();
        let then = |note: &&Note| nearest.is_none() && note.kind == NoteKind::NextBest;
        let notes = || apart.notes.iter();
        let told = notes().find(decided).or_else(|| notes().find(then)).or_else(|| notes().find(keeps));
        let keeps = told.map(|note| sentence(&note.text));
        return keeps.or_else(|| nearest.map(missing)).unwrap_or_else(|| first(&apart.notes));
    };
    let (total, needed) = (signed(*total), signed(*needed));
    format!(
        "Nothing keeps them apart any more: {title}, {total}, more than {needed}; the engine looks at each alert again only once."
    )
}

/// How much is missing, and what speaks most against it.
fn missing(weighing: &Weighing) -> String {
    let Weighing { title, total, needed, .. } = weighing;
    let against = weighing.worst();
    let against = against.map_or_else(String::new, |part| format!("; most speaks against it: {}", part.text));
    format!("{title}: {}, and more than {} is needed{against}.", signed(*total), signed(*needed))
}
