//! A template as people read it.
use super::{WILDCARD, lex::Kind, store::Entry};
use serde::Serialize;
use std::collections::BTreeSet;

/// A template as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Template<'a> {
    /// As [`Seen::template`](super::Seen::template) tells it.
    pub id: u64,
    /// As it was written first, with `<*>` for what varies.
    pub text: String,
    /// Lines.
    pub count: u64,
    /// The first line.
    pub example: &'a str,
    /// Ids that lead to it beside its own: those of skeletons that were merged into it or that it took in.
    pub merged: &'a BTreeSet<u64>,
}

impl<'a> Template<'a> {
    pub(super) fn of(entry: &'a Entry) -> Self {
        let mut text = String::with_capacity(entry.line.len());
        let mut from = 0;
        for token in entry.tokens.iter().filter(|token| token.is_variable()) {
            text += entry.line.get(from..usize::from(token.start)).unwrap_or_default();
            text += if token.kind == Kind::Absent { "" } else { WILDCARD };
            from = usize::from(token.end);
        }
        text += entry.line.get(from..).unwrap_or_default();
        Self {
            id: entry.id,
            text: text.trim_ascii().to_owned(),
            count: entry.count,
            example: &entry.line,
            merged: &entry.merged,
        }
    }
}
