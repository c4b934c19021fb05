//! Events over gRPC: the same decoder and the same answers, by index, as at the HTTP door.
use super::{
    door::Later,
    errors::{refused, unavailable},
    grpc::{Api, encode_position},
};
use crate::{ingest::Part, serve::door::Counts};
use quell_connectors::decode::{self, Format, Mapping};
use quell_core::domain::policy::Clock;
use quell_proto::v1;
use std::collections::BTreeMap;
use tonic::{Code, Status, Streaming};

/// Refusals that an answer lists: it has to stay below the size that clients take.
const REFUSED_MAX: usize = 1_000;

/// What a call has come to.
#[derive(Debug, Default)]
struct Published {
    next: u32,
    answer: v1::PublishEventsResponse,
    positions: BTreeMap<u32, u64>,
}

impl Api {
    /// Takes a stream of events. A message is read when the one before it is durable in the journal: who sends faster
    /// than that waits, and one message is held at a time.
    pub(super) async fn publish(
        &self,
        mut stream: Streaming<v1::PublishEventsRequest>,
    ) -> Result<v1::PublishEventsResponse, Status> {
        let mut published = Published::default();
        while let Some(message) = stream.message().await? {
            self.take(message, &mut published).await?;
        }
        published.answer.position = encode_position(&published.positions);
        Ok(published.answer)
    }

    async fn take(&self, message: v1::PublishEventsRequest, published: &mut Published) -> Result<(), Status> {
        let counts = &self.door.grpc;
        let bytes = message.events.iter().map(String::len).sum();
        let _room = self.door.enter(bytes).map_err(|later| not_taken(&later, published))?;
        let (arrival, plain) = (self.shared.outside.now(), Mapping::default());
        let context = decode::Context {
            arrival,
            offset: 0,
            check_wall: self.shared.clock == Clock::Wall,
            mapping: self.mappings.get(&Format::Canonical).unwrap_or(&plain),
            // As at the HTTP door: an event that comes again by the other one is known.
            default_origin: "http",
        };
        let mut parts = Vec::with_capacity(message.events.len());
        let (message_len, mut count) = (message.events.len(), 0_u32);
        for event in message.events {
            let told = decode::canonical::decode(event.as_bytes(), &context);
            count += u32::from(told.is_ok());
            let listed = told.as_ref().err().is_none_or(|rejection| published.refuse(&rejection.reason));
            if listed {
                parts.push(Part::of(told, event.as_bytes(), (0, 0), arrival));
            }
            published.next = published.next.saturating_add(1);
        }
        let bad = message_len - count as usize;
        let positions = self.door.append(&self.shared, parts).await.map_err(|later| {
            Counts::add(&counts.unavailable, count as usize);
            not_taken(&later, published)
        })?;
        Counts::add(&counts.taken, count as usize);
        Counts::add(&counts.refused, bad);
        published.answer.accepted = published.answer.accepted.saturating_add(count);
        for (partition, position) in positions {
            let last = published.positions.entry(partition).or_default();
            *last = position.max(*last);
        }
        if published.next == u32::MAX {
            return Err(refused(Code::OutOfRange, "CALL_TOO_LONG", "too many events in one call: begin another"));
        }
        Ok(())
    }
}

fn not_taken(later: &Later, published: &Published) -> Status {
    let done = published.answer.accepted;
    unavailable(format_args!("not taken: {later}; {done} events before are; send the others again, with the same ids"))
}

impl Published {
    /// Whether it is among those that are listed, and dead-lettered.
    fn refuse(&mut self, reason: &str) -> bool {
        self.answer.refused_count = self.answer.refused_count.saturating_add(1);
        let listed = self.answer.refused.len() < REFUSED_MAX;
        if listed {
            self.answer.refused.push(v1::RefusedEvent { index: self.next, reason: reason.to_owned() });
        }
        listed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_counted_beyond_those_that_are_listed() {
        let mut published = Published::default();
        for next in 0..1_500 {
            published.next = next;
            published.refuse("why");
        }
        assert_eq!((published.answer.refused.len(), published.answer.refused_count), (1_000, 1_500));
        assert_eq!(published.answer.refused.last().map(|refused| refused.index), Some(999));
    }
}
