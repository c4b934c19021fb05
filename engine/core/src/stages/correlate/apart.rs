//! Why two are not together, as the model would decide it now: the same sums, with what each part is of in words.
use super::{
    Correlator, Lens, Profile, Sighting,
    index::is_open_at,
    revise::by_rank,
    score::{Odds, Subject, millinats},
    unite,
};
use crate::{
    domain::{
        alert::Alert,
        apart::{Clause, Note, NoteKind, Weighing, signed},
        episode::{Episode, Evidence, Gain, Member, MovedBy, Reason},
        incident::State,
        policy::Action,
        time::{Span, Timestamp},
    },
    scope::Cx,
    stages::raise::Raiser,
};

mod words;
use words::{ago, every, nearest, percent, times};
pub use words::{brief, called, named};

/// What a part is of that is people's.
const SAID: &str = "what people did and said of such alerts (quell corrections)";

/// An alert, and the episode that it might be in.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    pub alert: &'a Alert,
    /// Where it is.
    pub own: &'a Episode,
    pub other: &'a Episode,
}

impl Correlator {
    /// What speaks for an alert being in another episode, by all that is known now; `None` where that takes no more alerts by
    /// the model.
    pub fn weigh(&self, pair: Pair<'_>, raiser: &Raiser, cx: &Cx<'_>) -> Option<Weighing> {
        let Pair { alert, own, other } = pair;
        let profile = self.profiles.get(&other.id)?;
        let scope = cx.core.name.clone();
        let lens = Lens::of(&self.learned, &scope, cx);
        let seen = Sighting::of(alert, &self.learned, &lens).look(&self.learned, &lens);
        let mut subject = Subject::new(
            (&seen, self.said(&seen, &lens)),
            self.learned.ln_background(&seen, &lens),
            &self.learned,
            &lens,
        );
        let (score, odds) = subject.in_full(profile, &self.learned, &lens);
        let place = self.reason(alert, &seen, (score, other.id), &lens);
        let of_own = self.profiles.get(&own.id);
        let stays = of_own.filter(|profile| profile.alerts > 1);
        let stays = stays.map(|profile| subject.of_own(profile, &self.learned, &lens).total);
        let hysteresis = millinats(cx.policy.correlate.revise.hysteresis);
        let worth = signed(hysteresis);
        let why_needed = match stays {
            Some(stays) => format!("where it is it weighs {}, and a move has to be worth {worth} more", signed(stays)),
            None if of_own.is_some() => format!("it is alone where it is, and a move has to be worth {worth}"),
            None => format!("a move has to be worth {worth}"),
        };
        Some(Weighing {
            alert: Some(alert.id),
            title: format!("{} in {}", named(alert), called(other, raiser, &scope)),
            parts: self.clauses(score.parts, (odds, libm::exp(subject.background)), &place, (&seen, profile), &lens),
            total: score.total,
            needed: stays.unwrap_or(0).max(0) + hysteresis,
            why_needed,
        })
    }

    /// What is known to cause an alert, or to be caused by it.
    fn follows(&self, seen: &Sighting, profile: &Profile, cx: &Lens<'_>) -> String {
        let opened = (seen.check, seen.at);
        let strongest = cx.tables.causality.strongest(opened, self.learned.resolution(cx), profile);
        let edge = strongest.and_then(|(place, _)| cx.policy.correlate.causality.get(place));
        edge.map_or_else(String::new, |e| {
            format!("{} is known to cause {} within {} (correlate.causality)", e.cause, e.effect, brief(e.within))
        })
    }

    /// The parts of a sum, with what each is of.
    fn clauses(
        &self,
        parts: Evidence,
        (odds, rate): (Odds, f64),
        place: &Reason,
        (seen, profile): (&Sighting, &Profile),
        cx: &Lens<'_>,
    ) -> Vec<Clause> {
        let text = |name: &str| match name {
            "time" => format!("{}; it drew alerts {} then", nearest(profile, seen.at), every(odds.density)),
            "lifetimes" => match percent(odds.alive) {
                100 => "all of it was open then".to_owned(),
                part => format!("{part}% of it was open then, or had not cleared for long"),
            },
            "place" => match place {
                Reason::SameTime => format!("nothing in common is known; {}", times(odds.fit.odds)),
                reason => format!("{reason}; {}", times(odds.fit.odds)),
            },
            "what" => self.company(seen.check, profile, odds.what),
            "rarity" => format!("its check opens by itself {}", every(rate)),
            "causality" => self.follows(seen, profile, cx),
            "corrections" => SAID.to_owned(),
            other => other.to_owned(),
        };
        let clause = |(name, part)| Clause { name, millinats: i64::from(part), text: text(name) };
        parts.parts().map(clause).collect()
    }

    /// Whether a check comes with those of an episode.
    fn company(&self, check: u64, profile: &Profile, share: f64) -> String {
        let own = profile.checks.iter().find(|(other, _)| *other == check).map_or(0, |(_, alerts)| *alerts);
        let met = profile.checks.iter().any(|(other, _)| self.learned.met(check, *other).0 > 0.0);
        let share = format!("{:.2}% of what comes there is of its check", 100.0 * share);
        match (own, met) {
            (0, false) => format!("its check never came with theirs; {share}"),
            (0, true) => format!("its check came with theirs before; {share}"),
            (own, _) => format!("{own} of {} there, the same check; {share}", profile.alerts),
        }
    }

    /// What speaks for two episodes being one.
    pub fn weigh_as_one(
        &self,
        a: &Episode,
        b: &Episode,
        raiser: &Raiser,
        cx: &Cx<'_>,
    ) -> Option<Result<Weighing, Note>> {
        let (first, second) = (self.part(a.id)?, self.part(b.id)?);
        let scope = cx.core.name.clone();
        let lens = Lens::of(&self.learned, &scope, cx);
        let (one, other) = (called(a, raiser, &scope), called(b, raiser, &scope));
        let said = self.corrections.between(first.1.said_of(), second.1.said_of(), cx.policy) as f64 / 1_000.0;
        let Some(gain) = unite::gain_of_pair(first, second, said, &self.learned, &lens) else {
            let text = format!(
                "{one} and {other} have nothing in common that explains both: no host, service, label or name; nothing outweighs that"
            );
            return Some(Err(Note { kind: NoteKind::NoGround, text }));
        };
        let shared = first.1.shared(second.1, &self.learned, &lens).both.len();
        Some(Ok(Weighing {
            alert: None,
            title: format!("{one} and {other} as one"),
            parts: clauses_as_one(gain, (first.1, second.1), shared),
            total: gain.total(),
            needed: 0,
            why_needed: "as one they have to be likelier than apart".to_owned(),
        }))
    }

    /// What keeps two episodes from becoming one whatever the numbers say.
    pub fn notes_as_one(&self, of: [&Episode; 2], raiser: &Raiser, cx: &Cx<'_>) -> Vec<Note> {
        let mut notes = Vec::new();
        if self.are_apart(of[0].id, of[1].id, cx) {
            let [one, other] = of.map(|episode| called(episode, raiser, &cx.core.name));
            let text = format!("people put alerts of {one} and {other} apart (quell corrections)");
            notes.push(Note { kind: NoteKind::ByHand, text });
        }
        for (episode, other) in [(of[0], of[1]), (of[1], of[0])] {
            let there = called(episode, raiser, &cx.core.name);
            let mut note = |kind, text| notes.push(Note { kind, text });
            let by_hand = episode.members.iter().filter(|m| m.reason == Reason::ByHand).count();
            if by_hand > 0 {
                note(
                    NoteKind::ByHand,
                    format!("a person put alerts where they are in {there}: only people change that"),
                );
            }
            if let Some(name) = &episode.policy {
                note(NoteKind::Policy, format!("{there} is of the policy {name}, and takes only what that puts there"));
            }
            if !raiser.takes_alerts(episode, cx.core.clock, cx.policy) {
                note(NoteKind::Closed, why_it_takes_none(episode, &there, raiser, cx));
            } else if !self.profiles.contains_key(&episode.id) && episode.policy.is_none() {
                let who = called(other, raiser, &cx.core.name);
                note(NoteKind::Window, took_none(episode, other.founded_at, (&who, &there), cx));
            }
        }
        let (from, _) = by_rank(of[0], of[1], raiser);
        let (there, until) = (called(from, raiser, &cx.core.name), cx.policy.correlate.revise.until);
        let mut note = |kind, text| notes.push(Note { kind, text });
        if cx.core.clock > from.founded_at + until {
            let (since, until) = (ago(from.founded_at, cx), brief(until));
            note(
                NoteKind::Settled,
                format!("{there} began{since}: after {until} only people merge it (correlate.revise.until)"),
            );
        }
        if of[0].members.len() + of[1].members.len() > cx.policy.limits.alerts_per_episode {
            note(
                NoteKind::Window,
                "as one they would have more alerts than one may (limits.alerts_per_episode)".to_owned(),
            );
        }
        if raiser.is_attended(from) {
            note(NoteKind::Attended, format!("somebody looks after {there}: the model only suggests to merge it"));
        }
        notes
    }

    /// What keeps an alert from another episode whatever the numbers say, and what else is to be known.
    pub fn notes(&self, pair: Pair<'_>, raiser: &Raiser, cx: &Cx<'_>) -> Vec<Note> {
        let Pair { alert, own, other } = pair;
        let scope = cx.core.name.clone();
        let lens = Lens::of(&self.learned, &scope, cx);
        let (who, there) = (named(alert), called(other, raiser, &scope));
        let mut notes = Vec::new();
        let mut note = |kind, text| notes.push(Note { kind, text });
        let member = own.members.get(alert.member()).filter(|m| m.alert == alert.id);
        if let Some(text) = member.and_then(|member| by_policy(member, own, &who, cx)) {
            note(NoteKind::Policy, text);
        }
        let ago = member.and_then(|member| member.moved.as_ref()).map_or_else(String::new, |moved| ago(moved.at, cx));
        match member.map(|member| &member.reason) {
            Some(Reason::ByHand) => note(NoteKind::ByHand, format!("a person put {who} where it is{ago}")),
            Some(Reason::Inhibited(by)) => {
                note(NoteKind::Muted, format!("{who} went to the alert of {by} that mutes it{ago}"));
            }
            _ => {}
        }
        if self.is_apart(alert, other.id, cx.policy) {
            note(NoteKind::ByHand, format!("people put {who} apart from what is in {there} (quell corrections)"));
        }
        let profile = self.profiles.get(&other.id);
        let at = alert.occurred_at;
        if !raiser.takes_alerts(other, at, cx.policy) {
            note(NoteKind::Closed, why_it_takes_none(other, &there, raiser, cx));
        } else if profile.is_none() && other.policy.is_none() {
            note(NoteKind::Window, took_none(other, at, (&who, &there), cx));
        }
        let seen = Sighting::of(alert, &self.learned, &lens).look(&self.learned, &lens);
        if let Some(profile) = profile {
            if !is_open_at(profile, at, Some(seen.entity), &lens) {
                note(NoteKind::Window, not_open(profile, at, &who, &there, &lens));
            } else if !self.index.candidates(&seen, &cx.policy.correlate).any(|c| c.id == other.id) {
                note(
                    NoteKind::NoCandidate,
                    format!(
                        "{who} is not weighed against {there}: {} others are nearer, or had alerts later (correlate.candidates_max)",
                        cx.policy.correlate.candidates_max
                    ),
                );
            }
        }
        let until = cx.policy.correlate.revise.until;
        if let Some(member) = member.filter(|m| cx.core.clock > m.opened_at + until && !m.reason.is_decided()) {
            let ago = brief(cx.core.clock - member.opened_at);
            note(
                NoteKind::Settled,
                format!("{who} opened {ago} ago: after {} only people move it (correlate.revise.until)", brief(until)),
            );
        }
        if raiser.is_attended(own) {
            note(
                NoteKind::Attended,
                format!("somebody looks after {}: there the model only suggests", called(own, raiser, &scope)),
            );
        }
        // What a policy places is not weighed.
        let member = member.filter(|_| own.policy.is_none());
        notes.extend(member.and_then(|member| self.then(member, (own, other), raiser, cx)));
        notes
    }

    /// That the other was the next best for the first alert of one when that was placed.
    pub fn next_best(&self, (own, other): (&Episode, &Episode), raiser: &Raiser, cx: &Cx<'_>) -> Option<Note> {
        let first = own.members.first().filter(|_| own.policy.is_none())?;
        self.then(first, (own, other), raiser, cx).filter(|note| note.kind == NoteKind::NextBest)
    }

    /// What was decided when a member was placed.
    fn then(&self, member: &Member, (own, other): (&Episode, &Episode), raiser: &Raiser, cx: &Cx<'_>) -> Option<Note> {
        let scope = &cx.core.name;
        let Member { evidence, moved, .. } = member;
        let who = format!("{} {}", member.entity, member.check);
        let alone = moved.as_ref().filter(|moved| moved.by == MovedBy::Itself);
        let when = alone.map_or("when it opened".to_owned(), |moved| format!("when it moved{}", ago(moved.at, cx)));
        let next = evidence.next.map(|rival| self.now(rival.id()));
        let next = match next {
            None => "an incident of its own".to_owned(),
            Some(None) => "alerts that are no longer kept".to_owned(),
            Some(Some(next)) if next.id == own.id => "alerts that are part of it now".to_owned(),
            Some(Some(next)) => called(next, raiser, scope),
        };
        let is_it = evidence.next.and_then(|rival| self.now(rival.id())).is_some_and(|next| next.id == other.id);
        let margin = i64::from(evidence.margin);
        let text = match member.reason {
            Reason::First if evidence.next.is_none() => {
                format!("{when} nothing else was there that {who} might have belonged to")
            }
            Reason::First => {
                format!(
                    "{when} the best place for {who} was {next}, at {}: no more than one of its own",
                    signed(-margin)
                )
            }
            _ if !evidence.is_weighed() => return None,
            _ => format!(
                "{when} {who} weighed {} where it is ({}); next was {next}, {} behind",
                signed(evidence.total()),
                member.reason,
                signed(margin).trim_start_matches('+')
            ),
        };
        Some(Note { kind: if is_it { NoteKind::NextBest } else { NoteKind::Then }, text })
    }
}

/// Why an episode takes no more alerts, by its incident.
fn why_it_takes_none(episode: &Episode, there: &str, raiser: &Raiser, cx: &Cx<'_>) -> String {
    let incident = episode.incident.and_then(|id| raiser.get(id));
    match incident.map(|incident| (incident.state, incident.closed_at.or(incident.resolved_at))) {
        Some((State::Closed, at)) => {
            let at = at.map_or_else(String::new, |at| ago(at, cx));
            format!("{there} was closed{at}: what comes later is another incident")
        }
        Some((_, at)) => {
            let (at, window) = (at.map_or_else(String::new, |at| ago(at, cx)), brief(cx.policy.raise.reopen_window));
            format!(
                "{there} was resolved{at}: what comes more than {window} after is another incident (raise.reopen_window)"
            )
        }
        None => format!("{there} takes no more alerts"),
    }
}

/// That an episode has ended, and whether that was so when an alert came.
fn took_none(episode: &Episode, at: Timestamp, (who, there): (&str, &str), cx: &Cx<'_>) -> String {
    let (gap, window) = (at - episode.last_joined_at, cx.policy.correlate.window);
    if gap <= window {
        return no_more(episode, there, cx);
    }
    let (gap, window) = (brief(gap), brief(window));
    format!("{who} began {gap} after the latest alert of {there}, which took some for {window} (correlate.window)")
}

fn no_more(episode: &Episode, there: &str, cx: &Cx<'_>) -> String {
    let (since, window) = (ago(episode.last_joined_at, cx), brief(cx.policy.correlate.window));
    format!(
        "{there} takes no more alerts: its latest came{since}, and it takes some for {window} after that (correlate.window)"
    )
}

/// That a policy put a member where it is.
fn by_policy(member: &Member, own: &Episode, who: &str, cx: &Cx<'_>) -> Option<String> {
    let name = match &member.reason {
        Reason::Policy(name) => name,
        _ => own.policy.as_ref()?,
    };
    let never = cx.policy.correlate.grouping(name).is_some_and(|grouping| grouping.action == Action::Never);
    Some(if never {
        format!("the policy {name} puts {who} with nothing else")
    } else {
        format!("the policy {name} decides where {who} goes: the model is not asked")
    })
}

fn not_open(profile: &Profile, at: Timestamp, who: &str, there: &str, cx: &Lens<'_>) -> String {
    let (window, gap, early) = (cx.policy.correlate.window, at - profile.latest, profile.seed.at - at);
    if gap > window {
        return format!(
            "{who} opened {} after the latest alert of {there}, which takes some for {} (correlate.window)",
            brief(gap),
            brief(window)
        );
    }
    if early > window {
        return format!(
            "{who} opened {} before the first alert of {there}, more than {} (correlate.window)",
            brief(early),
            brief(window)
        );
    }
    format!("{there} has as many alerts as one may have (limits.alerts_per_episode)")
}

fn clauses_as_one(gain: Gain, (a, b): (&Profile, &Profile), shared: usize) -> Vec<Clause> {
    let apart = brief(Span((a.seed.at - b.seed.at).0.saturating_abs()));
    let text = |name| match name {
        "began" => format!("the younger began {apart} after the older"),
        "drawn" => "how much their alerts drew each other, beside what each drew itself".to_owned(),
        "place" => match shared {
            0 => "where they lie, together less apart".to_owned(),
            1 => "where they lie, together less apart; one entity is of both".to_owned(),
            n => format!("where they lie, together less apart; {n} entities are of both"),
        },
        "what" => "which checks they have, together less apart".to_owned(),
        "size" => "large outages are rare, and a merge has to be worth something".to_owned(),
        "causality" => "the older has what is known to cause how the younger began (correlate.causality)".to_owned(),
        "corrections" => SAID.to_owned(),
        other => other.to_owned(),
    };
    gain.parts().map(|(name, millinats)| Clause { name, millinats, text: text(name) }).collect()
}
