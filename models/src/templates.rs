//! Which lines of text were written by the same statement of a program, and what varies in them.
//!
//! ```
//! use quell_models::templates::{Miner, Settings};
//!
//! let mut miner = Miner::new(Settings::default());
//! let first = miner.learn("Connection from 10.0.0.7:5432 refused (3 tries)");
//! let second = miner.learn("Connection from db-07 refused (12 tries)");
//! assert_eq!(first, second);
//! assert_eq!(miner.template(first.template).unwrap().text, "Connection from <*> refused (<*> tries)");
//! ```
//!
//! **How a line is read.** It is cut into words and marks; words that are variable by how they are written (with a
//! digit, paths, addresses, dotted names, null) are variables, and so are the values of `key=value`, what is quoted, what stands in
//! brackets; variables side by side, with or without a mark between them, are one. What is left is the *skeleton*. Lines of one
//! skeleton are of one template: no distance, no threshold, O(length). A study found that nearly all is won so; comparing
//! lines by the words they share (Drain, He et al., ICWS 2017) merges what differs in one word, which is mostly another template.
//!
//! **Words that vary and look like any other** (names of users, of hosts) are found by counting. Each place of a skeleton that holds
//! a word is a *slot*: the skeletons that differ there alone. Where a slot has seen enough different words it varies, its
//! skeletons become one template, and further words are taken without a new entry. How many are enough depends on what stands
//! before ("for", "from", "on": a name is likely), on how the words are written (`idp_login`, `fooBar`; `STARTED`, `stopped`: of a
//! closed set), on how long the rest of the sentence is, and on whether they are known: names that other slots took, or that the caller knows ([`Miner::learn_with`]: of a topology, of labels). Several places at
//! once are found with the rarest words of a skeleton left out.
//!
//! **Phrases.** What an error says at the end of a line, behind a colon, has several words (`bind failed: Address already in use`). Words that stand behind heads which
//! have little in common are a phrase that is passed on; a head with three tails, most of them phrases, is a template whose tail varies.
//!
//! **Ids.** The id of a skeleton is a hash of its words, in order: it depends on nothing else, neither on what came before nor
//! on the machine nor on names that are known. Templates merge, they never split: a merged id stays valid ([`Miner::resolve`]).
//!
//! **Bounds.** [`Settings`] has all limits and who goes. With the defaults it takes 112 MB where 50,000 templates of eighteen words
//! each have nothing in common (in lines as long as may be, of 256 words, 16 KB a template), and nothing before it is needed. The same lines in the same order give the same result on every
//! machine, before and after a restart (serde); slots are looked at only when a skeleton is new (25 µs), everything else is one
//! look-up (0.4 µs with the reading of the line).
mod lex;
mod mask;
mod miner;
mod phrase;
mod skeleton;
mod slots;
mod snapshot;
mod store;
mod template;
mod words;

pub use miner::{Miner, Seen};
pub use skeleton::Skeleton;
pub use template::Template;

use serde::{Deserialize, Serialize};

/// What a variable is written as in the text of a template.
pub const WILDCARD: &str = "<*>";

/// Limits, and how sure it has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Which rules there are.
    pub parts: Parts,
    /// Templates that are kept. Where there are more, the sixteenth of them that was unseen for longest goes (ties by id), with
    /// its merged ids and its places in slots; seen again it has the same id, and counts from 1.
    pub templates_max: usize,
    /// Ids beside those of templates that are kept (of skeletons that were merged or taken in), the oldest goes. A line of it finds
    /// its template all the same, by its words.
    pub merged_max: usize,
    /// Bytes of a line that are read (at most 65,535); what is behind is the same template.
    pub line_max: usize,
    /// Words and marks of a line that are read.
    pub tokens_max: usize,
    /// Words of confirmed slots that are remembered, the longest unseen go.
    pub names_max: usize,
    /// Words whose frequency is counted; where there are more, all counts are halved and those at 0 go.
    pub words_max: usize,
    /// Different words in a slot after which it varies: where a preposition or the like stands before,
    pub after_preposition: usize,
    /// where most are written as identifiers,
    pub identifiers: usize,
    /// where they are plain words,
    pub plain: usize,
    /// at the beginning of a line, where mostly another statement begins, and where most are of a closed set (in capitals, or
    /// participles: states, methods),
    pub first: usize,
    /// and in each of several slots at once.
    pub together: usize,
    /// One word less is needed for each so many other words of the skeleton: long sentences are seldom alike by chance,
    pub sure: usize,
    /// and so many less where what varies by how it is written (numbers) was seen in the slot, too;
    pub beside_variable: usize,
    /// but not fewer than these (2 beside what varies).
    pub least: usize,
    /// Different tails behind a head (see below) after which they vary.
    pub behind: usize,
    /// Slots that may vary at once; at least two words, and two fifths of them, do not.
    pub together_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            parts: Parts::default(),
            templates_max: 50_000,
            merged_max: 50_000,
            line_max: 4_096,
            tokens_max: 256,
            names_max: 16_384,
            words_max: 65_536,
            after_preposition: 3,
            identifiers: 4,
            plain: 4,
            first: 12,
            behind: 3,
            together: 6,
            sure: 4,
            beside_variable: 1,
            least: 3,
            together_max: 6,
        }
    }
}

/// The rules, each of which can be left out, in order to see what it is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Parts {
    /// Words with a digit vary; without it, numbers.
    pub digit: bool,
    /// Paths of files vary.
    pub path: bool,
    /// Addresses of the web vary.
    pub url: bool,
    /// Addresses in groups of hexadecimal digits, and eight and more such letters.
    pub hex: bool,
    /// Names with two dots.
    pub dotted: bool,
    /// `None` and the like: a value that is absent; `True`, and `true` in a sentence.
    pub null: bool,
    /// A month or a day of the week before a number.
    pub date: bool,
    /// Values of `key=value`.
    pub key_value: bool,
    /// One word in quotes; quotes and square brackets around a variable are left out.
    pub quoted: bool,
    /// Brackets and keys with nothing in them have a value that is absent.
    pub empty: bool,
    /// Variables side by side are one.
    pub collapse: bool,
    /// Units, and signs before a number, are left out.
    pub unit: bool,
    /// A value that is a record, `= Name { … }`.
    pub brace: bool,
    /// Slots.
    pub slots: bool,
    /// Several slots at once.
    pub together: bool,
    /// Names that are known count as evidence.
    pub names: bool,
    /// Phrases behind a colon.
    pub phrases: bool,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            digit: true,
            path: true,
            url: true,
            hex: true,
            dotted: true,
            null: true,
            date: true,
            key_value: true,
            quoted: true,
            empty: true,
            collapse: true,
            unit: true,
            brace: true,
            slots: true,
            together: true,
            names: true,
            phrases: true,
        }
    }
}
