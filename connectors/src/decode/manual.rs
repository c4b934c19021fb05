//! The manual of the formats, as the description of the API reads it: what a field is, is written once.

/// `EVENTS.md`.
pub const TEXT: &str = include_str!("../../EVENTS.md");

/// A row of its table of the canonical event's fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    pub field: &'static str,
    /// `text`, `time`, `word`, `word or number`, `number` or `labels`.
    pub kind: &'static str,
    /// What holds where the event does not have it; `refused` where it must.
    pub without: &'static str,
    /// In Markdown, as sentences.
    pub is: &'static str,
}

/// The fields of the canonical event, in the order of the manual: no other table of it has four columns.
pub fn fields() -> impl Iterator<Item = Row> {
    TEXT.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.strip_suffix(" |")?.split(" | ");
        let field = cells.next()?.strip_suffix('`')?;
        let row = Row { field, kind: cells.next()?, without: cells.next()?, is: cells.next()? };
        cells.next().is_none().then_some(row)
    })
}

#[cfg(test)]
mod tests {
    use super::{super::field::Field, *};
    use std::collections::BTreeSet;

    #[test]
    fn every_field_that_is_read_is_described_and_no_other() {
        let described: Vec<_> = fields().map(|row| row.field).collect();
        assert_eq!(described.iter().collect::<BTreeSet<_>>(), Field::NAMES.iter().collect());
        assert_eq!(described.len(), Field::NAMES.len(), "each once");
    }

    #[test]
    fn every_type_is_one_that_the_description_knows() {
        for row in fields() {
            let known = ["text", "time", "word", "word or number", "number", "labels"].contains(&row.kind);
            assert!(known && row.is.ends_with('.') && !row.without.is_empty(), "{row:?}");
        }
    }
}
