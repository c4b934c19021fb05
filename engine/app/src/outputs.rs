//! Reading an output topic by its numbers: take the next, skip what is older, ignore what is beyond (design rule 4).
use bytes::Bytes;
use prost::Message as _;
use quell_connectors::log::{Log, LogError, Reader, Record, Topic};
use quell_proto::v1;
use std::{sync::Arc, time::Duration};

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
    /// The log position behind it.
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
    /// The log position behind it.
    pub next: u64,
    /// Records that were not the next number.
    pub skipped: u64,
    /// The highest journal position that an output named.
    pub position: u64,
    skip: bool,
    /// Read and not yet handed out.
    pending: std::vec::IntoIter<Record>,
}

impl OutputReader {
    /// Goes on after output `number`, which ends below log position `next`. `skip` is always true outside tests.
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
        let pending = Vec::new().into_iter();
        Ok(Self { reader, topic, partition, journal, number, next, skipped: 0, position: 0, skip, pending })
    }

    /// The next output, in order, that comes within `wait`. Cancelling it loses nothing.
    ///
    /// # Errors
    /// Where the log can't be read, or holds another journal's outputs.
    pub async fn next(&mut self, wait: Duration) -> Result<Option<Next>, OutputError> {
        loop {
            while let Some(record) = self.pending.next() {
                if let Some(next) = self.take(record)? {
                    return Ok(Some(next));
                }
            }
            let records = self.reader.next(READ_BYTES, wait).await?;
            if records.is_empty() {
                return Ok(None);
            }
            self.pending = records.into_iter();
        }
    }

    fn take(&mut self, Record { position, bytes }: Record) -> Result<Option<Next>, OutputError> {
        let damaged = |reason| OutputError::Damaged { topic: self.topic, partition: self.partition, position, reason };
        let output = decode(bytes).map_err(damaged)?;
        if *output.journal != self.journal {
            return Err(damaged("it was written for another journal".to_owned()));
        }
        if self.skip && output.number != self.number + 1 {
            self.skipped += 1;
            return Ok(None);
        }
        (self.number, self.next) = (output.number, position + 1);
        self.position = self.position.max(output.position);
        Ok(Some(Next { output, next: position + 1 }))
    }

    /// Whether everything below log position `end` has been handed out.
    pub fn is_past(&self, end: u64) -> bool {
        self.pending.as_slice().is_empty() && self.reader.position() >= end
    }
}

fn decode(bytes: Bytes) -> Result<v1::Output, String> {
    v1::Output::decode(bytes).map_err(|error| error.to_string())
}
