//! Why a rehearsal cannot be played. What sides refuse is no error, it is part of the play.

use hms_sync_changelog::LogError;
use hms_sync_engine::EngineError;
use hms_sync_mapping::UnmappableField;
use hms_sync_model::{FieldName, InvalidName, RecordId, SideName};
use hms_sync_vault::VaultError;

/// Why a rehearsal cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum RehearsalError {
    /// The engine failed.
    #[error("the engine cannot go on")]
    Engine(#[from] EngineError),
    /// Its log failed.
    #[error("the log in memory failed")]
    Log(#[from] LogError),
    /// Its keys failed.
    #[error("the keys in memory failed")]
    Vault(#[from] VaultError),
    /// The plan has no such place.
    #[error("{side} has no collection {collection}")]
    NoPlace {
        /// The side.
        side: SideName,
        /// The collection.
        collection: String,
    },
    /// The side does not have the record.
    #[error("{side} does not have {record}")]
    NotThere {
        /// The side.
        side: SideName,
        /// Which record.
        record: String,
    },
    /// Nobody on the side could do this.
    #[error("nobody on {side} can set `{field}`: the side does not have the field")]
    NoField {
        /// The side.
        side: SideName,
        /// The field.
        field: FieldName,
    },
    /// The side has no word for a value.
    #[error("nobody on {side} can do this: {cause}")]
    Unmappable {
        /// The side.
        side: SideName,
        /// Which value, and what would have fitted.
        cause: UnmappableField,
    },
    /// The collection's records are taken whole: nobody can edit a field of them.
    #[error("the records of {0} have no fields")]
    NoFields(SideName),
    /// The sides go round and round.
    #[error("the sync does not come to rest: {steps} steps after the last edit it is still at work")]
    Restless {
        /// How many steps it was given.
        steps: usize,
    },
    /// The values to start from do not stand as they are.
    #[error(
        "the record to start from does not come out as it is given: `{field}` becomes {found}, not {wanted}"
    )]
    Base {
        /// The first such field.
        field: FieldName,
        /// What it was to be.
        wanted: String,
        /// What it is.
        found: String,
    },
    /// The record to start from did not come to be.
    #[error("the record to start from is on no side: {0}")]
    NoBase(String),
    /// There is no such record.
    #[error("there is no record {0}")]
    NoRecord(RecordId),
    /// A name made here does not hold. Only a fault of ours gets here.
    #[error("a name cannot be made")]
    Name(#[from] InvalidName),
}
