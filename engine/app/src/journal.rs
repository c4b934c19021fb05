//! Records of the journal as inputs of the fold.
use crate::control::Contents;
use bytes::Bytes;
use prost::Message as _;
use quell_connectors::wire;
use quell_core::{domain::time::Timestamp, engine::Input};
use quell_proto::v1::{self, ControlKind, journal_record::Record};

/// Why a record is no input.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    #[error("a journal record can't be read: {0}")]
    Unreadable(String),
    #[error("control does not have version {version} of {kind:?} yet")]
    Missing { kind: ControlKind, version: u64 },
}

/// The input that a journal record is; policy and topology come from control.
///
/// # Errors
/// Where it can't be read, or control does not have yet what it names.
pub fn input(bytes: Bytes, contents: &Contents) -> Result<Input, InputError> {
    let unreadable = |error: &dyn std::fmt::Display| InputError::Unreadable(error.to_string());
    let record = v1::JournalRecord::decode(bytes).map_err(|error| unreadable(&error))?;
    Ok(match record.record {
        None => return Err(unreadable(&"its kind is not known: run the newer version")),
        Some(Record::Genesis(genesis)) => {
            let uuid = genesis.uuid.try_into().map_err(|_| unreadable(&"its uuid is not 16 bytes"))?;
            Input::Genesis { uuid, partitions: genesis.partitions }
        }
        Some(Record::Pack(pack)) => Input::Pack(wire::pack_back(pack).map_err(|error| unreadable(&error))?),
        Some(Record::Reaches(reaches)) => Input::Reaches(reaches.ranges.into_iter().map(wire::range_back).collect()),
        Some(Record::Tick(tick)) => Input::Tick(Timestamp(tick.wall_ms)),
        Some(Record::Adopt(adopt)) => return adoption(&adopt, contents),
        Some(Record::Era(era)) => Input::Era(era.fold),
        Some(Record::Settle(_)) => Input::Settle,
        Some(Record::SourceRemoved(removed)) => Input::SourceRemoved(removed.source),
        Some(Record::Command(asked)) => {
            Input::Command(wire::command::command_back(asked).map_err(|error| unreadable(&error))?)
        }
    })
}

fn adoption(adopt: &v1::Adopt, contents: &Contents) -> Result<Input, InputError> {
    let (kind, version) = (adopt.kind(), adopt.version);
    let missing = || InputError::Missing { kind, version };
    Ok(match kind {
        ControlKind::Policy => Input::Policy { version, policy: contents.policy(version).ok_or_else(missing)? },
        ControlKind::Topology => Input::Topology { version, topology: contents.topology(version).ok_or_else(missing)? },
        other => return Err(InputError::Unreadable(format!("it adopts {other:?}: run the newer version"))),
    })
}
