//! Reading an output topic by its numbers: take the next, skip what is older, ignore what is beyond (design rule 4).
use prost::Message as _;
use quell_connectors::log::{Log, LogError, Reader, Record, Topic};
use quell_proto::v1;
use std::{sync::Arc, time::Duration, vec::IntoIter};

const READ_BYTES: usize = 1024 * 1024;

/// What can be wrong with an output topic.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("{topic}/{partition} at {position}: {reason}")]
    Damaged { topic: Topic, partition: u32, position: u64, reason: String },
}

/// An output, and where the one after it is found.
#[derive(Debug)]
pub struct Next {
    pub output: v1::Output,
    /// The version that said it.
    pub fold: u32,
    /// The log position of the record in which the next output stands: its own where more follow in it.
    pub next: u64,
}

/// A reader of one output topic of one partition.
pub struct OutputReader {
    reader: Box<dyn Reader>,
    topic: Topic,
    partition: u32,
    journal: [u8; 16],
    /// The last number taken.
    pub number: u64,
    /// Where the output after it is found.
    pub next: u64,
    /// Outputs that were not the next number.
    pub skipped: u64,
    /// The highest journal position that an output named.
    pub position: u64,
    skip: bool,
    /// Records read and not yet opened.
    pending: IntoIter<Record>,
    open: Open,
}

/// A record whose outputs are handed out.
#[derive(Default)]
struct Open {
    position: u64,
    fold: u32,
    outputs: IntoIter<v1::Output>,
}

impl OutputReader {
    /// Goes on after output `number`, of which the next stands in a record from log position `next` on. `skip` is always true outside tests.
    ///
    /// # Errors
    /// Where the log can't be read from there.
    pub async fn open(
        log: &Arc<dyn Log>,
        (topic, partition): (Topic, u32),
        journal: [u8; 16],
        (number, next): (u64, u64),
        skip: bool,
    ) -> Result<Self, LogError> {
        let reader = log.read_from(topic, partition, next).await?;
        let (pending, open) = (Vec::new().into_iter(), Open::default());
        Ok(Self { reader, topic, partition, journal, number, next, skipped: 0, position: 0, skip, pending, open })
    }

    /// The next output, in order, that comes within `wait`. Cancelling it loses nothing.
    ///
    /// # Errors
    /// Where the log can't be read, or holds another journal's outputs.
    pub async fn next(&mut self, wait: Duration) -> Result<Option<Next>, OutputError> {
        loop {
            while let Some(output) = self.open.outputs.next() {
                if let Some(next) = self.take(output) {
                    return Ok(Some(next));
                }
            }
            if let Some(record) = self.pending.next() {
                self.open = self.open_record(record)?;
                continue;
            }
            let records = self.reader.next(READ_BYTES, wait).await?;
            if records.is_empty() {
                return Ok(None);
            }
            self.pending = records.into_iter();
        }
    }

    fn open_record(&self, Record { position, bytes }: Record) -> Result<Open, OutputError> {
        let damaged = |reason| OutputError::Damaged { topic: self.topic, partition: self.partition, position, reason };
        let record = v1::Outputs::decode(bytes).map_err(|error| damaged(error.to_string()))?;
        if *record.journal != self.journal {
            return Err(damaged("it was written for another journal".to_owned()));
        }
        Ok(Open { position, fold: record.fold, outputs: record.outputs.into_iter() })
    }

    fn take(&mut self, output: v1::Output) -> Option<Next> {
        if self.skip && output.number != self.number + 1 {
            self.skipped += 1;
            return None;
        }
        let next = self.open.position + u64::from(self.open.outputs.as_slice().is_empty());
        (self.number, self.next) = (output.number, next);
        self.position = self.position.max(output.position);
        Some(Next { output, fold: self.open.fold, next })
    }

    /// Whether everything below log position `end` has been handed out.
    pub fn is_past(&self, end: u64) -> bool {
        self.open.outputs.as_slice().is_empty() && self.pending.as_slice().is_empty() && self.reader.position() >= end
    }
}
