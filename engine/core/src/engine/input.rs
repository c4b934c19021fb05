//! What can happen: the records of a journal.
use crate::domain::{command::Command, event::Event, policy::Policy, time::Timestamp, topology::Topology};
use std::sync::Arc;

/// One contiguous range `(after, to]` of one source partition. Offsets are those of the next record to read. One that
/// ends within a record, since all its events are too large for one pack, has that record's offset as `to`, and the next
/// one goes on at its `part`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// `{topic}/{partition}`
    pub source: Arc<str>,
    /// How often the source was made anew.
    pub incarnation: u32,
    /// Where the ingest session began: the committed offset.
    pub session: i64,
    pub after: i64,
    /// The first part of the record at `after` that is not in earlier packs; 0 unless the one before ended within it.
    pub part: u32,
    pub to: i64,
    /// How far the source partition is known to be read.
    pub reach: Option<Timestamp>,
}

/// A record that could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    pub offset: i64,
    /// Its place in its record, from 0.
    pub part: u32,
    pub reason: String,
    /// As it was received, cut to 64 KiB.
    pub payload: Vec<u8>,
    pub arrival: Timestamp,
}

/// Events for one journal partition.
#[derive(Clone, Debug, PartialEq)]
pub struct Pack {
    /// `None` for events that came by HTTP.
    pub range: Option<Range>,
    /// By offset and part.
    pub events: Vec<Event>,
    /// By offset and part.
    pub rejected: Vec<Rejected>,
}

/// What can happen.
#[derive(Clone, Debug)]
pub enum Input {
    /// The journal begins.
    Genesis {
        uuid: [u8; 16],
        partitions: u32,
    },
    Pack(Pack),
    /// How far source partitions are read.
    Reaches(Vec<Range>),
    /// The wall clock.
    Tick(Timestamp),
    /// A version of the policy takes effect.
    Policy {
        version: u64,
        policy: Arc<Policy>,
    },
    /// A version of the topology takes effect.
    Topology {
        version: u64,
        topology: Arc<Topology>,
    },
    /// Code with another `FOLD` goes on from here.
    Era(u32),
    /// Time passes until nothing more can happen.
    Settle,
    /// A source partition feeds no more.
    SourceRemoved(String),
    /// A person or a program asks for something.
    Command(Command),
}
