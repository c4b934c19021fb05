//! Templates by number, and the ids that lead to them.
use super::{
    lex::{Kind, Token},
    phrase::{self, Cut},
    words,
};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, VecDeque};

/// A template, with the line that founded it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Hash of its skeleton.
    pub id: u64,
    pub line: Box<str>,
    pub tokens: Box<[Token]>,
    /// Whether a variable has had no value so far.
    pub has_absent: bool,
    pub count: u64,
    /// Number of the first line.
    pub founded: u64,
    /// Number of the last line.
    pub seen: u64,
    /// Ids that lead to it beside its own.
    pub merged: BTreeSet<u64>,
    /// Keys of several slots at once that it may be one example of.
    pub together: Vec<u64>,
}

impl Entry {
    /// What a token of it says.
    pub fn text(&self, token: usize) -> &[u8] {
        self.tokens.get(token).map_or(&[], |token| token.text(self.line.as_bytes()))
    }

    /// What has a value now is not absent.
    pub fn fill(&mut self, tokens: &[Token]) {
        if !self.has_absent {
            return;
        }
        for (token, now) in self.tokens.iter_mut().zip(tokens) {
            if token.kind == Kind::Absent && now.kind == Kind::Variable {
                token.kind = Kind::Variable;
            }
        }
        self.has_absent = self.tokens.iter().any(|token| token.kind == Kind::Absent);
    }

    /// Where a word stands that may vary, or what varies.
    pub fn places(&self) -> impl Iterator<Item = usize> {
        let line = self.line.as_bytes();
        (0..self.tokens.len()).filter(move |at| self.tokens[*at].is_variable() || may_vary(&self.tokens[*at], line))
    }

    /// Where it is cut into what a program says and what an error does.
    pub fn cut(&self) -> Option<Cut> {
        phrase::cut(&self.tokens, self.line.as_bytes())
    }

    /// Words that may vary.
    pub fn words(&self) -> usize {
        self.tokens.iter().filter(|token| may_vary(token, self.line.as_bytes())).count()
    }
}

/// A word that names something; states are constants.
pub fn may_vary(token: &Token, line: &[u8]) -> bool {
    let text = token.text(line);
    token.kind == Kind::Word
        && (token.is_name(line) || matches!(text, [b'_' | b'-' | b'/' | b'.', _, ..]))
        && !words::is_state(text)
}

/// All templates.
#[derive(Clone, Debug, Default)]
pub struct Store {
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    /// By id, own and merged.
    index: FxHashMap<u64, u32>,
    /// Ids that are not templates' own, the oldest first; some may be gone.
    merged: VecDeque<u64>,
}

impl Store {
    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// That of an id, merged or not.
    pub fn get(&self, id: u64) -> Option<&Entry> {
        self.entries.get(*self.index.get(&id)? as usize)?.as_ref()
    }

    pub fn get_mut(&mut self, id: u64) -> Option<&mut Entry> {
        self.entries.get_mut(*self.index.get(&id)? as usize)?.as_mut()
    }

    pub fn all(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().flatten()
    }

    pub fn insert(&mut self, entry: Entry) {
        let id = entry.id;
        let at = match self.free.pop() {
            Some(at) => {
                self.entries[at as usize] = Some(entry);
                at
            }
            None => {
                self.entries.push(Some(entry));
                self.entries.len() as u32 - 1
            }
        };
        self.index.insert(id, at);
    }

    /// Takes out a template and all ids that lead to it.
    pub fn remove(&mut self, id: u64) -> Option<Entry> {
        let at = *self.index.get(&id)?;
        let entry = self.entries.get_mut(at as usize)?.take()?;
        self.free.push(at);
        self.index.remove(&entry.id);
        for merged in &entry.merged {
            self.index.remove(merged);
        }
        Some(entry)
    }

    /// From now on the ids of one that was taken out lead to another.
    pub fn lead(&mut self, from: &Entry, to: u64, max: usize) {
        let Some(&at) = self.index.get(&to) else { return };
        let Some(Some(entry)) = self.entries.get_mut(at as usize) else { return };
        entry.count = entry.count.saturating_add(from.count);
        entry.seen = entry.seen.max(from.seen);
        entry.founded = entry.founded.min(from.founded);
        for id in &from.merged {
            entry.merged.insert(*id);
            self.index.insert(*id, at);
        }
        self.alias(from.id, to, max);
    }

    /// One more id that leads to a template; there are at most `max` of all.
    pub fn alias(&mut self, id: u64, to: u64, max: usize) {
        let Some(&at) = self.index.get(&to) else { return };
        let Some(Some(entry)) = self.entries.get_mut(at as usize) else { return };
        entry.merged.insert(id);
        self.index.insert(id, at);
        self.merged.push_back(id);
        while self.merged.len() > max {
            let Some(id) = self.merged.pop_front() else { return };
            if self.get_mut(id).is_some_and(|entry| entry.merged.remove(&id)) {
                self.index.remove(&id);
            }
        }
    }

    /// The ids of the sixteenth that was unseen for longest.
    pub fn oldest(&self) -> Vec<u64> {
        let mut all: Vec<(u64, u64)> = self.all().map(|entry| (entry.seen, entry.id)).collect();
        let many = (all.len() / 16).max(1).min(all.len());
        if many < all.len() {
            all.select_nth_unstable(many);
        }
        all.truncate(many);
        all.sort_unstable();
        all.into_iter().map(|(_, id)| id).collect()
    }

    /// Merged ids, for a snapshot.
    pub fn mergers(&self) -> &VecDeque<u64> {
        &self.merged
    }

    /// Of a snapshot.
    pub fn restored(entries: Vec<Entry>, merged: VecDeque<u64>) -> Self {
        let mut store = Self { merged, ..Self::default() };
        for entry in entries {
            let (id, merged) = (entry.id, entry.merged.clone());
            store.insert(entry);
            let Some(&at) = store.index.get(&id) else { continue };
            for id in merged {
                store.index.insert(id, at);
            }
        }
        store
    }
}
