//! From the bytes that a tool sent to the canonical [`Event`], or to the reason why not.
//!
//! Decoding is pure: the same bytes, mapping, arrival and offset give the same event, so that an offset that is read
//! again maps as it did before. Every text is hostile; what may become of it is decided here, once:
//!
//! | what | becomes |
//! |---|---|
//! | control characters (C0, DEL, C1, so ANSI escapes and NUL too) | U+FFFD; in a summary, tab and line breaks a space |
//! | an identity ([`TEXT_BYTES_MAX`]) or a label's key too long | a rejection: cut, two could become one |
//! | a summary too long | cut, and marked with `…` |
//! | a label's value too long | likewise, with a hash of all of it behind the mark: labels may identify |
//! | everything else (markup, formulas, templates, right-to-left marks) | kept; whoever shows it escapes it |
use quell_core::domain::{event::Event, time::Timestamp};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

pub mod alertmanager;
pub mod body;
pub mod canonical;
pub mod cloudevents;
mod draft;
mod field;
pub mod frame;
pub mod json;
pub mod manual;
pub mod mapping;
mod read;
pub mod text;
pub mod time;
pub mod words;

#[cfg(test)]
mod tests;

pub use mapping::{FieldPath, Mapping};

/// The largest event as it came, in bytes; a journal record holds several of this size.
pub const EVENT_BYTES_MAX: usize = 256 * 1024;
/// The longest `id`, `origin`, `entity`, `check`, `service`, `scope` and `fingerprint`, in bytes of UTF-8.
pub const TEXT_BYTES_MAX: usize = 512;
/// The longest summary kept, in bytes of UTF-8, the mark of the cut included.
pub const SUMMARY_BYTES_MAX: usize = 4 * 1024;
/// The most labels of one event.
pub const LABELS_MAX: usize = 64;
/// The longest key of a label, in bytes of UTF-8.
pub const LABEL_KEY_BYTES_MAX: usize = 128;
/// The longest value of a label kept, in bytes of UTF-8, the mark of the cut included.
pub const LABEL_VALUE_BYTES_MAX: usize = 2 * 1024;
/// The most that the labels of one event take together, keys and values as they are kept, in bytes.
pub const LABELS_BYTES_MAX: usize = 32 * 1024;
/// The scope of an event that names none and whose source's mapping finds none.
pub const DEFAULT_SCOPE: &str = "default";
/// The longest scope, in characters.
pub const SCOPE_CHARS_MAX: usize = 200;

/// Why a text is no scope: it is a part of every resource's name (`scopes/{scope}/alerts/{alert}`), where `-` means all.
fn check_scope(scope: &str) -> Result<(), Rejection> {
    let wrong = match scope {
        "-" => "`-` means all scopes",
        _ if scope.contains('/') => "`/` is not allowed: it parts names",
        _ if scope.chars().any(char::is_control) => "control characters are not allowed",
        _ if scope.chars().count() > SCOPE_CHARS_MAX => "longer than 200 characters",
        _ => return Ok(()),
    };
    Err(Rejection::new(format_args!("scope: {wrong}")))
}

/// The longest reason, in bytes: it quotes what was sent, and travels in packs and dead letters.
const REASON_BYTES_MAX: usize = 400;

/// How a source writes its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// The canonical event as JSON: see [`canonical`].
    Canonical,
    /// Groups of Prometheus Alertmanager's webhook: see [`alertmanager`].
    Alertmanager,
    /// CloudEvents 1.0, structured or binary: see [`cloudevents`].
    CloudEvents,
    /// Any JSON object, by a mapping: see [`json`].
    Json,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Canonical, Self::Alertmanager, Self::CloudEvents, Self::Json];

    /// As the configuration says it: `canonical`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Canonical => "canonical",
            Self::Alertmanager => "alertmanager",
            Self::CloudEvents => "cloudevents",
            Self::Json => "json",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A format that Quell does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown format `{0}`, one of: {known}", known = Format::ALL.map(Format::name).join(", "))]
pub struct UnknownFormat(pub String);

impl FromStr for Format {
    type Err = UnknownFormat;
    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        Self::ALL.into_iter().find(|format| format.name() == text).ok_or_else(|| UnknownFormat(text.to_owned()))
    }
}

/// Why something is no event, in words for the one who sent it: at most 400 bytes, without control characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Rejection {
    /// Begins with the field's name where it is about one.
    pub reason: String,
}

impl Rejection {
    /// Of any words, even such that quote what was sent.
    pub fn new(reason: impl fmt::Display) -> Self {
        Self { reason: text::line(reason.to_string().into(), REASON_BYTES_MAX) }
    }
}

/// What is known of an event beside its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// When it reached Quell.
    pub arrival: Timestamp,
    /// Its offset in the source partition; 0 for HTTP.
    pub offset: i64,
    /// Whether a time far off the arrival is an error. False for recordings, which are taken at their word.
    pub check_wall: bool,
    /// What the source's configuration says of scope and identity.
    pub mapping: &'a Mapping,
    /// The origin of an event that names none; not empty.
    pub default_origin: &'a str,
}

/// What came: a record of a topic, or a request.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    pub bytes: &'a [u8],
    /// The record's headers, or the request's, with their names in lower case.
    pub headers: &'a [(String, Vec<u8>)],
    /// The source partition and its incarnation, or a name of its own for each request: with the offset and the place
    /// in the message it makes an id for what is told again and again.
    pub source: &'a str,
}

/// Takes each event of a message, or why it is none, with the part of the message that it was made of.
pub type Sink<'s> = dyn FnMut(&[u8], Result<Event, Rejection>) + 's;

/// Hands on the events of a message in their order, and those that are none in between: one bad event never takes its
/// neighbours with it. Which place in the message each has depends on its bytes alone. Never panics, whatever they are.
pub fn each(format: Format, message: &Message<'_>, context: &Context<'_>, sink: &mut Sink<'_>) {
    match format {
        Format::Canonical => sink(message.bytes, canonical::decode(message.bytes, context)),
        Format::CloudEvents => sink(message.bytes, cloudevents::decode(message, context)),
        Format::Json => sink(message.bytes, json::decode(message, context)),
        Format::Alertmanager => {
            if let Err(rejection) = alertmanager::each(message, context, sink) {
                sink(message.bytes, Err(rejection));
            }
        }
    }
}
