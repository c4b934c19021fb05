//! Why two alerts or incidents are not together: what is asked, and what the model answers.
use super::{alert::AlertId, incident::IncidentId};

/// What is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    Alert(AlertId),
    Incident(IncidentId),
}

/// Why two are apart, or that they are not. Numbers are log-odds in thousandths of a nat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Apart {
    pub together: bool,
    /// One sentence for people.
    pub verdict: String,
    /// What holds whatever the numbers say first, then what else is to be known.
    pub notes: Vec<Note>,
    /// As it would be decided now.
    pub weighed: Vec<Weighing>,
}

/// Something that is to be known beside the numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub kind: NoteKind,
    /// For people.
    pub text: String,
}

/// What a note is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoteKind {
    /// They are of two scopes.
    Scope,
    /// One is placed nowhere: nobody is to hear of it.
    Hidden,
    /// A policy decides.
    Policy,
    /// A person decided.
    ByHand,
    /// It goes where the alert is that mutes it.
    Muted,
    /// One takes no more alerts, because its incident is closed or resolved for long.
    Closed,
    /// One takes no more alerts, because none came for long; or is too young, or too large.
    Window,
    /// It was opened too long ago: only people move it.
    Settled,
    /// They have no ground in common, which nothing outweighs.
    NoGround,
    /// Other episodes are nearer: one is not weighed against the other.
    NoCandidate,
    /// Somebody looks after it: the model only suggests.
    Attended,
    /// When one was placed, the other was the best place beside the one that it got.
    NextBest,
    /// What else was decided when it was placed.
    Then,
}

impl NoteKind {
    /// For programs: `no_ground`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scope => "scope",
            Self::Hidden => "hidden",
            Self::Policy => "policy",
            Self::ByHand => "by_hand",
            Self::Muted => "muted",
            Self::Closed => "closed",
            Self::Window => "window",
            Self::Settled => "settled",
            Self::NoGround => "no_ground",
            Self::NoCandidate => "no_candidate",
            Self::Attended => "attended",
            Self::NextBest => "next_best",
            Self::Then => "then",
        }
    }

    /// Whether it decides before anything is weighed, whenever that was.
    pub const fn is_told_first(self) -> bool {
        matches!(self, Self::Scope | Self::Hidden | Self::Policy | Self::ByHand | Self::Muted)
    }

    /// Whether it alone keeps them apart.
    pub const fn decides(self) -> bool {
        !matches!(self, Self::Attended | Self::NextBest | Self::Then | Self::NoCandidate)
    }
}

/// What speaks for and against one being where the other is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weighing {
    /// The alert that is weighed; `None`: the two groups of alerts as one.
    pub alert: Option<AlertId>,
    /// For people: `db latency in payments-12`.
    pub title: String,
    pub parts: Vec<Clause>,
    /// The sum of the parts.
    pub total: i64,
    /// What it has to be more than.
    pub needed: i64,
    /// Why so much, for people.
    pub why_needed: String,
}

/// One part of a sum, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    pub name: &'static str,
    pub millinats: i64,
    pub text: String,
}

impl Weighing {
    /// How much is missing, at least; positive where nothing is.
    pub const fn ahead(&self) -> i64 {
        self.total - self.needed
    }

    /// The part that speaks most against it.
    pub fn worst(&self) -> Option<&Clause> {
        self.parts.iter().min_by_key(|part| part.millinats).filter(|part| part.millinats < 0)
    }
}

/// `+1.2` of thousandths.
pub fn signed(millinats: i64) -> String {
    let tenths = (millinats.abs() + 50) / 100;
    let sign = if millinats < 0 && tenths > 0 { '-' } else { '+' };
    format!("{sign}{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_a_sign_and_one_decimal() {
        let all = [(1_249, "+1.2"), (1_250, "+1.3"), (-49, "+0.0"), (-50, "-0.1"), (0, "+0.0"), (-32_768, "-32.8")];
        for (millinats, text) in all {
            assert_eq!(signed(millinats), text);
        }
    }
}
