//! What the records of `quell.subscriptions` say: a fold that every process comes to alike (design rule 14).
use super::super::cursor::Cursor;
use crate::snapshots::Mark;
use quell_core::domain::time::Timestamp;
use quell_proto::v1::{SubscriptionRecord, subscription_record::Kind};
use std::collections::BTreeMap;

/// How a subscription stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub epoch: u64,
    /// Who owns the epoch.
    pub stream: String,
    /// Where the owner's stream starts: at the maximum of all that stands before its record. Unknown where what stands
    /// before it was not all read.
    pub start: Option<Cursor>,
    /// Where its first stream began, if that is known: a claim that a summary may prove wrong.
    began: Cursor,
    /// The maximum of what was acknowledged, or told by a summary.
    acks: Cursor,
    /// Something was.
    pub acknowledged: bool,
    /// When the last record was written.
    pub at: Timestamp,
}

impl Standing {
    /// Where the next stream starts.
    pub fn reached(&self) -> Cursor {
        let mut reached = self.began.clone();
        reached.merge(&self.acks);
        reached
    }
}

/// All subscriptions, by name.
#[derive(Clone, Debug)]
pub struct Table {
    /// Before everything.
    zero: Cursor,
    by_name: BTreeMap<String, Standing>,
}

impl Table {
    /// Of a journal, before the first record.
    pub const fn new(zero: Cursor) -> Self {
        Self { zero, by_name: BTreeMap::new() }
    }

    /// The journal's cursor before everything.
    pub const fn zero(&self) -> &Cursor {
        &self.zero
    }

    pub fn get(&self, name: &str) -> Option<&Standing> {
        self.by_name.get(name)
    }

    /// How many names.
    pub fn names(&self) -> usize {
        self.by_name.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&String, &Standing)> {
        self.by_name.iter()
    }

    /// The one that nobody has asked for the longest; of several, the first by name.
    pub fn longest_unseen(&self) -> Option<(&String, &Standing)> {
        self.by_name.iter().min_by_key(|(_, standing)| standing.at)
    }

    /// Takes a record. `whole` says that everything before it was read, or a later record tells of it.
    pub fn fold(&mut self, record: &SubscriptionRecord, whole: bool) {
        let Some(cursor) = self.zero.read(&record.cursor) else { return };
        let at = Timestamp(record.at_ms);
        if record.kind() == Kind::Gone {
            if self.get(&record.name).is_some_and(|it| (it.epoch, it.at) == (record.epoch, at)) {
                self.by_name.remove(&record.name);
            }
            return;
        }
        let Some(standing) = self.by_name.get_mut(&record.name) else {
            let start = whole.then(|| cursor.clone());
            let (began, acks) = match record.kind() {
                Kind::Began => (cursor, self.zero.clone()),
                _ => (self.zero.clone(), cursor),
            };
            let begins = Standing {
                epoch: record.epoch,
                stream: record.stream.clone(),
                start,
                began,
                acks,
                acknowledged: record.kind() == Kind::Acknowledged || record.acknowledged,
                at,
            };
            self.by_name.insert(record.name.clone(), begins);
            return;
        };
        let newer = record.epoch > standing.epoch;
        match record.kind() {
            // Who comes second to an epoch has not begun: its cursor is where nobody is.
            Kind::Began if !newer => return,
            Kind::Began => standing.start = whole.then(|| standing.reached()),
            Kind::Acknowledged => {
                standing.acks.merge(&cursor);
                standing.acknowledged = true;
            }
            Kind::Stands => {
                standing.acks.merge(&cursor);
                // What it tells is older than what we have read, so its stream came first, and ours has not begun.
                if record.epoch == standing.epoch && record.stream != standing.stream {
                    (standing.began, standing.start) = (self.zero.clone(), None);
                    standing.stream.clone_from(&record.stream);
                }
                standing.acknowledged |= record.acknowledged;
            }
            Kind::Unspecified | Kind::Gone => return,
        }
        if newer {
            if record.kind() != Kind::Began {
                standing.start = None;
            }
            standing.epoch = record.epoch;
            standing.stream.clone_from(&record.stream);
        }
        standing.at = standing.at.max(at);
    }

    /// All of it as records, which may stand after the record that is folded last.
    pub fn summary(&self) -> impl Iterator<Item = SubscriptionRecord> {
        self.by_name.iter().map(|(name, standing)| SubscriptionRecord {
            kind: Kind::Stands as i32,
            name: name.clone(),
            epoch: standing.epoch,
            stream: standing.stream.clone(),
            cursor: standing.reached().encode(),
            at_ms: standing.at.0,
            acknowledged: standing.acknowledged,
        })
    }
}

/// How many updates lie between a cursor and the numbers that stand.
pub fn lag(reached: &Cursor, numbers: impl Iterator<Item = u64>) -> u64 {
    reached.marks.iter().zip(numbers).map(|(Mark { number, .. }, last)| last.saturating_sub(*number)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zero() -> Cursor {
        Cursor::beginning([1; 16], 2)
    }

    fn cursor(a: u64, b: u64) -> Cursor {
        let mark = |number| Mark { number, next: number * 10 };
        Cursor::at([1; 16], vec![mark(a), mark(b)])
    }

    fn record(kind: Kind, epoch: u64, stream: &str, cursor: &Cursor) -> SubscriptionRecord {
        let (kind, name, cursor) = (kind as i32, "n".to_owned(), cursor.encode());
        SubscriptionRecord { kind, name, epoch, stream: stream.to_owned(), cursor, ..Default::default() }
    }

    fn folded(records: &[SubscriptionRecord]) -> Standing {
        let mut table = Table::new(zero());
        records.iter().for_each(|record| table.fold(record, true));
        table.get("n").cloned().expect("it stands")
    }

    #[test]
    fn the_first_of_an_epoch_owns_it_and_starts_at_the_maximum_before_it() {
        let records = [
            record(Kind::Began, 1, "a", &cursor(1, 1)),
            record(Kind::Began, 1, "b", &cursor(9, 9)),
            record(Kind::Acknowledged, 1, "a", &cursor(3, 1)),
            record(Kind::Acknowledged, 1, "a", &cursor(2, 4)),
            record(Kind::Began, 2, "c", &cursor(1, 1)),
            record(Kind::Acknowledged, 1, "a", &cursor(5, 0)),
            record(Kind::Began, 2, "d", &cursor(8, 8)),
        ];
        let standing = folded(&records);
        assert_eq!((standing.epoch, standing.stream.as_str()), (2, "c"));
        assert_eq!((standing.start.clone(), standing.reached()), (Some(cursor(3, 4)), cursor(5, 4)));
    }

    #[test]
    fn a_summary_stands_for_what_it_was_made_of() {
        let before = [record(Kind::Began, 1, "a", &cursor(1, 1)), record(Kind::Acknowledged, 1, "a", &cursor(2, 2))];
        // On their way when the summary was made: a second of the epoch, an acknowledgement.
        let between = [record(Kind::Began, 1, "b", &cursor(9, 9)), record(Kind::Acknowledged, 1, "a", &cursor(2, 3))];
        let mut table = Table::new(zero());
        before.iter().for_each(|record| table.fold(record, true));
        let summary: Vec<_> = table.summary().collect();
        let whole = folded(&[&before[..], &between, &summary].concat());
        assert_eq!((whole.reached(), whole.acknowledged), (cursor(2, 3), true));
        let mut late = Table::new(zero());
        between.iter().chain(&summary).for_each(|record| late.fold(record, false));
        let late = late.get("n").expect("it stands");
        assert_eq!((late.epoch, &late.stream, late.reached()), (whole.epoch, &whole.stream, whole.reached()));
        assert!(late.acknowledged && late.start.is_none());

        // An acknowledgement of the epoch before comes first, then a second of the next.
        let second = [record(Kind::Acknowledged, 1, "a", &cursor(3, 0)), record(Kind::Began, 2, "d", &cursor(1, 1))];
        table.fold(&record(Kind::Began, 2, "c", &cursor(2, 2)), true);
        let summary: Vec<_> = table.summary().collect();
        let mut late = Table::new(zero());
        second.iter().chain(&summary).for_each(|record| late.fold(record, false));
        let late = late.get("n").expect("it stands");
        assert_eq!((late.stream.as_str(), late.reached()), ("c", cursor(3, 2)));
    }

    #[test]
    fn what_is_gone_is_gone_unless_somebody_came() {
        let began = record(Kind::Began, 1, "a", &cursor(1, 1));
        let gone = record(Kind::Gone, 1, "a", &zero());
        let mut table = Table::new(zero());
        table.fold(&began, true);
        table.fold(&record(Kind::Began, 2, "b", &zero()), true);
        table.fold(&gone, true);
        assert_eq!(table.names(), 1);
        table.fold(&record(Kind::Gone, 2, "b", &zero()), true);
        assert_eq!(table.names(), 0);
        let foreign = SubscriptionRecord { cursor: "1.0202020202020202".to_owned(), ..began };
        table.fold(&foreign, true);
        assert_eq!(table.names(), 0, "of another journal");
    }

    #[test]
    fn lag_counts_what_was_not_acknowledged() {
        assert_eq!(lag(&cursor(3, 5), [10, 4].into_iter()), 7);
    }
}
