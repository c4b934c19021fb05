//! Lines in, templates out.
use super::{
    Settings, Template,
    lex::{Kind, Token, VARIABLE},
    mask::collapse,
    phrase::{self, Cut},
    skeleton::read,
    slots::{self, Keys, MEMBERS_MAX, Patterns, Slot, Together, fits},
    snapshot::Snapshot,
    store::{Entry, Store, may_vary},
    words,
};
use rustc_hash::FxHashMap;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Id of its skeleton, which is the same for ever, everywhere: for fingerprints.
    pub skeleton: u64,
    /// Id of its template, as far as is known now; it may be merged into another later.
    pub template: u64,
}

/// What varies in the skeletons of a template.
enum Varies {
    /// In these places.
    At(Vec<usize>),
    /// All from there on.
    Behind(usize),
}

/// Learns templates from lines.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Snapshot")]
pub struct Miner {
    pub(super) settings: Settings,
    /// Lines so far.
    pub(super) lines: u64,
    /// Templates that made room since that was last asked.
    pub(super) forgotten: u64,
    pub(super) store: Store,
    pub(super) slots: FxHashMap<u64, Slot>,
    pub(super) together: BTreeMap<u64, Together>,
    pub(super) patterns: Patterns,
    /// Words of slots that vary, with the line that had them last.
    pub(super) names: BTreeMap<u64, u64>,
    /// In how many skeletons words were.
    pub(super) words: BTreeMap<u64, u32>,
    pub(super) pieces: Vec<Token>,
    pub(super) skeleton: Vec<Token>,
}

impl Miner {
    /// That has seen nothing.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            lines: 0,
            forgotten: 0,
            store: Store::default(),
            slots: FxHashMap::default(),
            together: BTreeMap::new(),
            patterns: Patterns::default(),
            names: BTreeMap::new(),
            words: BTreeMap::new(),
            pieces: Vec::new(),
            skeleton: Vec::new(),
        }
    }

    /// What it was made with, and its limits as they are now.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Templates that are kept from now on, and ids beside theirs; what is too much goes with the next that is new.
    pub fn limit(&mut self, templates_max: usize) {
        (self.settings.templates_max, self.settings.merged_max) = (templates_max, templates_max);
    }

    /// How many templates made room for others since this was last asked, or the miner restored.
    pub const fn take_forgotten(&mut self) -> u64 {
        std::mem::replace(&mut self.forgotten, 0)
    }

    /// Templates that are kept.
    pub fn len(&self) -> usize {
        self.store.len()
    }

    /// It keeps no template.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The template of a line, learned from it.
    pub fn learn(&mut self, line: &str) -> Seen {
        self.learn_with(line, &|_| false)
    }

    /// As [`learn`](Self::learn), where more names are known: of a topology, of labels. They are asked for only where skeletons
    /// differ in one place, and two of them are evidence enough.
    pub fn learn_with(&mut self, line: &str, is_known: &dyn Fn(&str) -> bool) -> Seen {
        let line = self.read(line);
        self.lines = self.lines.saturating_add(1);
        let skeleton = slots::id(&self.skeleton);
        if let Some(entry) = self.store.get_mut(skeleton) {
            entry.count = entry.count.saturating_add(1);
            entry.seen = self.lines;
            if entry.id == skeleton {
                entry.fill(&self.skeleton);
            }
            return Seen { skeleton, template: entry.id };
        }
        let tokens = std::mem::take(&mut self.skeleton);
        let template = match self.taken(line.as_bytes(), &tokens) {
            Some(template) => {
                self.store.alias(skeleton, template, self.settings.merged_max);
                template
            }
            None => self.found(line, tokens.clone(), is_known),
        };
        self.skeleton = tokens;
        if let Some(entry) = self.store.get_mut(template) {
            entry.count = entry.count.saturating_add(1);
            entry.seen = self.lines;
        }
        Seen { skeleton, template }
    }

    /// Id of the skeleton of a line; nothing is learned.
    pub fn skeleton(&mut self, line: &str) -> u64 {
        self.read(line);
        slots::id(&self.skeleton)
    }

    /// The template that an id, of a skeleton or a template, belongs to now; `None` where it is not kept.
    pub fn resolve(&self, id: u64) -> Option<u64> {
        self.store.get(id).map(|entry| entry.id)
    }

    /// The template that an id belongs to now.
    pub fn template(&self, id: u64) -> Option<Template<'_>> {
        self.store.get(id).map(Template::of)
    }

    /// All, the most frequent first, ties by id.
    pub fn templates(&self) -> Vec<Template<'_>> {
        let mut all: Vec<&Entry> = self.store.all().collect();
        all.sort_unstable_by_key(|entry| (std::cmp::Reverse(entry.count), entry.id));
        all.into_iter().map(Template::of).collect()
    }

    /// Puts the skeleton of a line into `self.skeleton`; what is read of the line.
    fn read<'a>(&mut self, line: &'a str) -> &'a str {
        read(line, &self.settings, &mut self.pieces, &mut self.skeleton)
    }

    /// The template of a skeleton that no template has or takes in: a new one, or what it is merged into. Its count stays 0.
    fn found(&mut self, line: &str, tokens: Vec<Token>, is_known: &dyn Fn(&str) -> bool) -> u64 {
        let parts = self.settings.parts;
        let id = slots::id(&tokens);
        let bytes = line.as_bytes();
        let mut entry = Entry {
            id,
            line: line.into(),
            has_absent: tokens.iter().any(|token| token.kind == Kind::Absent),
            tokens: tokens.into_boxed_slice(),
            count: 0,
            founded: self.lines,
            seen: self.lines,
            merged: BTreeSet::new(),
            together: Vec::new(),
        };
        let tokens = entry.tokens.clone();
        let keys = Keys::new(&tokens);
        let places: Vec<(usize, u64)> =
            if parts.slots { entry.places().map(|at| (at, keys.without(&[at]))).collect() } else { Vec::new() };
        self.make_room();
        let cuts = if parts.slots && parts.together { self.cuts(bytes, &tokens) } else { Vec::new() };
        self.count_words(&tokens);
        let cuts: Vec<(u64, Vec<usize>)> = cuts.into_iter().map(|cut| (keys.without(&cut), cut)).collect();
        entry.together = cuts.iter().map(|(key, _)| *key).collect();
        self.store.insert(entry);
        self.patterns.add(id, &tokens);
        let cut = if parts.slots && parts.phrases { phrase::cut(&tokens, bytes) } else { None };
        let keys_of_cut = cut.iter().flat_map(Cut::keys);
        for key in places.iter().map(|(_, key)| *key).chain(keys_of_cut) {
            self.slots.entry(key).and_modify(|slot| slot.add(id)).or_insert(Slot::One(id));
        }
        for (key, cut) in &cuts {
            let places = || cut.iter().map(|at| *at as u16).collect();
            let together =
                self.together.entry(*key).or_insert_with(|| Together { places: places(), members: Vec::new() });
            if together.members.len() < MEMBERS_MAX {
                together.members.push(id);
            }
        }
        for (key, cut) in cuts {
            if self.varies_together(key, &cut) {
                return self.merge(id, &Varies::At(cut), is_known);
            }
        }
        if let Some(cut) = cut {
            // What it says may be what other heads were lacking.
            let alike =
                cut.tail.and_then(|tail| self.slots.get(&tail)).map_or(Vec::new(), |slot| slot.members().to_vec());
            for one in [id].into_iter().chain(alike) {
                let cut = self.store.get(one).and_then(Entry::cut);
                if let Some(cut) = cut.filter(|cut| self.varies_behind(cut)) {
                    self.merge(one, &Varies::Behind(cut.at), is_known);
                }
            }
            if let Some(template) = self.resolve(id).filter(|template| *template != id) {
                return template;
            }
        }
        for (at, key) in places.iter().copied() {
            if self.varies(key, at, is_known) {
                return self.merge(id, &Varies::At(vec![at]), is_known);
            }
        }
        id
    }

    /// The template that takes a skeleton in.
    fn taken(&self, line: &[u8], tokens: &[Token]) -> Option<u64> {
        let mut entries = self.patterns.candidates(tokens).filter_map(|id| self.store.get(id));
        entries.find(|entry| fits(&entry.tokens, line, tokens)).map(|entry| entry.id)
    }

    /// Which places might vary at once: those of the rarest words, two and more, where it is clear which are rarer.
    fn cuts(&self, line: &[u8], tokens: &[Token]) -> Vec<Vec<usize>> {
        let mut places: Vec<(u32, usize)> = (tokens.iter().enumerate())
            .filter(|(_, token)| may_vary(token, line))
            .map(|(at, token)| (self.words.get(&token.hash).copied().unwrap_or_default(), at))
            .collect();
        places.sort_unstable();
        let mut cuts = Vec::new();
        for many in 2..=self.settings.together_max {
            let left = places.len().saturating_sub(many);
            if left < 2 || left * 5 < places.len() * 2 {
                break;
            }
            if places[many].0 == places[many - 1].0 {
                continue;
            }
            let mut cut: Vec<usize> = places[..many].iter().map(|(_, at)| *at).collect();
            cut.sort_unstable();
            if cut[0] > 0 {
                cuts.push(cut);
            }
        }
        cuts
    }

    fn count_words(&mut self, tokens: &[Token]) {
        for token in tokens.iter().filter(|token| !token.is_variable()) {
            *self.words.entry(token.hash).or_default() += 1;
        }
        while self.words.len() > self.settings.words_max {
            self.words.values_mut().for_each(|count| *count /= 2);
            self.words.retain(|_, count| *count > 0);
        }
    }

    /// Whether each of several places has held enough different words.
    fn varies_together(&self, key: u64, places: &[usize]) -> bool {
        let Some(together) = self.together.get(&key) else { return false };
        places.iter().all(|at| {
            let hash = |id: &u64| self.store.get(*id).and_then(|entry| entry.tokens.get(*at)).map(|token| token.hash);
            let mut hashes: Vec<u64> = together.members.iter().filter_map(hash).collect();
            hashes.sort_unstable();
            hashes.dedup();
            hashes.len() >= self.settings.together
        })
    }

    /// Whether what stands in a place varies.
    fn varies(&self, key: u64, at: usize, is_known: &dyn Fn(&str) -> bool) -> bool {
        let settings = &self.settings;
        let Some(slot) = self.slots.get(&key) else { return false };
        let (variables, words): (Vec<&Entry>, Vec<&Entry>) = (slot.members().iter())
            .filter_map(|id| self.store.get(*id))
            .partition(|entry| entry.tokens.get(at).is_some_and(Token::is_variable));
        let Some(first) = words.first() else { return false };
        let others = first.words().saturating_sub(1);
        let many = words.len() + variables.len();
        if many < 2 || others < 1 {
            return false;
        }
        // At the beginning a name that was only seen elsewhere says too little.
        let is_name = |entry: &&Entry| {
            at > 0 && entry.tokens.get(at).is_some_and(|token| self.names.contains_key(&token.hash))
                || is_known(&String::from_utf8_lossy(entry.text(at)))
        };
        if settings.parts.names && words.iter().all(is_name) {
            return true;
        }
        if at == 0 {
            return many >= settings.first && others >= 2;
        }
        let most = |is: fn(&[u8]) -> bool| words.iter().filter(|entry| is(entry.text(at))).count() * 2 > words.len();
        if most(words::is_closed) {
            return many >= settings.first;
        }
        let needed = if words::leads_to_name(first.text(at - 1)) {
            settings.after_preposition
        } else if most(words::is_identifier) {
            settings.identifiers
        } else {
            settings.plain
        };
        // Numbers and the like at the same place say much.
        let known = if variables.is_empty() { 0 } else { settings.beside_variable };
        let known = known.saturating_add(others / settings.sure.max(1));
        many >= needed.saturating_sub(known).max(if variables.is_empty() { settings.least } else { 2 })
    }

    /// Whether what stands behind a head varies.
    fn varies_behind(&self, cut: &Cut) -> bool {
        let of_head = self.slots.get(&cut.head).map_or(&[][..], Slot::members);
        if of_head.len() < self.settings.behind {
            return false;
        }
        let is_phrase = |entry: &&Entry| match entry.cut().and_then(|cut| cut.tail) {
            Some(tail) => self.is_phrase(tail, entry.tokens.get(..cut.at).unwrap_or_default()),
            None => true,
        };
        let phrases = of_head.iter().filter_map(|id| self.store.get(*id)).filter(is_phrase).count();
        phrases * 2 >= of_head.len() && phrases >= 2
    }

    /// Whether a tail was found behind another head, or to vary.
    fn is_phrase(&self, tail: u64, head: &[Token]) -> bool {
        let is_other = |entry: &Entry| entry.cut().is_some_and(|cut| phrase::are_apart(&entry.tokens[..cut.at], head));
        self.names.contains_key(&tail)
            || (self
                .slots
                .get(&tail)
                .is_some_and(|slot| slot.members().iter().filter_map(|id| self.store.get(*id)).any(is_other)))
    }

    /// The skeleton of a template with what varies.
    fn opened(&self, entry: &Entry, varies: &Varies) -> Vec<Token> {
        let places = match varies {
            Varies::At(places) => places,
            Varies::Behind(at) => return behind(entry, *at),
        };
        let mut tokens = entry.tokens.clone();
        for at in places {
            if let Some(token) = tokens.get_mut(*at) {
                (token.hash, token.kind) = (VARIABLE, Kind::Open);
            }
        }
        let mut opened = Vec::new();
        collapse(entry.line.as_bytes(), &tokens, &self.settings.parts, &mut opened);
        // What leaves out brackets or units, or joins words, may take in none of those that it is made of.
        if fits(&opened, entry.line.as_bytes(), &entry.tokens) { opened } else { tokens.into_vec() }
    }

    /// All skeletons that are like this one but for what varies are of one template: which.
    fn merge(&mut self, id: u64, varies: &Varies, is_known: &dyn Fn(&str) -> bool) -> u64 {
        let Some(entry) = self.store.get(id) else { return id };
        let mut merged = self.opened(entry, varies);
        let merged_id = slots::id(&merged);
        let (many, mut line) = (entry.tokens.len(), entry.line.clone());
        let gone: Vec<u64> = (self.store.all())
            .filter(|entry| entry.id != merged_id && fits(&merged, entry.line.as_bytes(), &entry.tokens))
            .map(|entry| entry.id)
            .collect();
        // Who goes no longer counts in other slots; what the new template is seen in comes after it.
        let mut children: Vec<Entry> = gone.into_iter().filter_map(|id| self.take_out(id)).collect();
        children.sort_unstable_by_key(|entry| (entry.founded, entry.id));
        // As it was written first.
        if let Some(first) =
            children.iter().find(|child| child.tokens.len() == many || matches!(varies, Varies::Behind(_)))
        {
            let opened = self.opened(first, varies);
            if slots::id(&opened) == merged_id {
                (merged, line) = (opened, first.line.clone());
            }
        }
        for child in &children {
            self.know_all(child, varies, many);
        }
        let template = match self.store.get(merged_id).map(|entry| entry.id) {
            Some(template) => {
                self.open(template, &merged);
                template
            }
            None => match self.taken(line.as_bytes(), &merged) {
                Some(template) => template,
                None => self.found(&line, merged, is_known),
            },
        };
        for child in &children {
            self.store.lead(child, template, self.settings.merged_max);
        }
        template
    }

    /// A template that varied by how it was written takes in words there, too.
    fn open(&mut self, template: u64, merged: &[Token]) {
        let Some(entry) = self.store.get_mut(template) else { return };
        if entry.tokens.len() != merged.len() {
            return;
        }
        for (token, merged) in entry.tokens.iter_mut().zip(merged) {
            if token.is_variable() && matches!(merged.kind, Kind::Open | Kind::Phrase) {
                token.kind = merged.kind;
            }
        }
        let tokens = entry.tokens.clone();
        self.patterns.remove(template, &tokens);
        self.patterns.add(template, &tokens);
    }

    /// What a template had where it varies.
    fn know_all(&mut self, child: &Entry, varies: &Varies, many: usize) {
        match varies {
            Varies::At(places) if child.tokens.len() == many => {
                for at in places {
                    if let Some(token) = child.tokens.get(*at).filter(|token| !token.is_variable()) {
                        self.know(token.hash);
                    }
                }
            }
            Varies::At(_) => {}
            Varies::Behind(_) => {
                let tail = child.cut().and_then(|cut| cut.tail);
                tail.into_iter().for_each(|tail| self.know(tail));
            }
        }
    }

    fn know(&mut self, word: u64) {
        self.names.insert(word, self.lines);
        if self.names.len() > self.settings.names_max {
            let mut all: Vec<(u64, u64)> = self.names.iter().map(|(word, seen)| (*seen, *word)).collect();
            all.sort_unstable();
            for (_, word) in &all[..all.len().div_ceil(16)] {
                self.names.remove(word);
            }
        }
    }

    /// Takes a template out of the store and of its slots.
    fn take_out(&mut self, id: u64) -> Option<Entry> {
        let entry = self.store.remove(id)?;
        self.patterns.remove(id, &entry.tokens);
        let keys = Keys::new(&entry.tokens);
        let cut = entry.cut();
        let places = entry.places().map(|at| keys.without(&[at]));
        for key in places.chain(cut.iter().flat_map(Cut::keys)) {
            if let Some(slot) = self.slots.get_mut(&key) {
                match slot.without(id) {
                    Some(left) => *slot = left,
                    None => {
                        self.slots.remove(&key);
                    }
                }
            }
        }
        for key in &entry.together {
            if let Some(together) = self.together.get_mut(key) {
                together.members.retain(|member| *member != id);
                if together.members.is_empty() {
                    self.together.remove(key);
                }
            }
        }
        Some(entry)
    }

    fn make_room(&mut self) {
        while self.store.len() >= self.settings.templates_max.max(1) {
            let oldest = self.store.oldest();
            let gone = oldest.into_iter().filter_map(|id| self.take_out(id)).count();
            if gone == 0 {
                return;
            }
            self.forgotten += gone as u64;
        }
    }
}

/// The skeleton of a template whose words from a place on vary.
fn behind(entry: &Entry, at: usize) -> Vec<Token> {
    let (head, tail) = entry.tokens.split_at(at.min(entry.tokens.len()));
    let (Some(first), Some(last)) = (tail.first(), tail.last()) else { return head.to_vec() };
    let tail = Token { kind: Kind::Phrase, ..Token::variable(first.start.into(), last.end.into()) };
    head.iter().copied().chain([tail]).collect()
}
