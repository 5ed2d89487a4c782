//! The schema of a side's part in a collection: when it is read, and what is done where it is not as
//! it was said.

use super::BoolOrText;
use hms_sync_http::spec::HttpCollection;
use schemars::JsonSchema;

/// A side's part in a collection.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct CollectionSide {
    #[schemars(flatten)]
    http: HttpCollection,
    /// How long after a write a read may still show what was there before it. Default: `30s`.
    settle_window: Option<String>,
    /// Allows `union` and `counter` on a side whose writes cannot be made to depend on what was read.
    accept_lost_updates: Option<BoolOrText>,
    /// What happens when the side stores something else than it was sent. Default: `keep_ours`.
    on_altered: Option<OnAltered>,
    /// What it means that an update finds no record there. Default: `deleted`.
    on_missing: Option<OnMissing>,
    /// Whether a write whose answer does not show the record is followed by a read of it. Default: no.
    read_back: Option<BoolOrText>,
    /// What is done when its records are of another shape than `fields` says. Default: as the
    /// collection says.
    schema_contract: Option<SchemaContract>,
}

/// One word for all that is not as it was said, or a word for each kind of it.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum SchemaContract {
    /// For all.
    All(OnChange),
    /// For each.
    Each(ContractMap),
}

/// A word for each kind of change.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct ContractMap {
    /// About members to which no field is mapped. Without it: nobody looks for them.
    columns: Option<OnChange>,
    /// About fields that a whole record lacks. Default: `evolve`.
    missing: Option<OnChange>,
    /// About values that are not of their field's type. Default: `park`.
    data_type: Option<OnChange>,
    /// Members, by their paths, that are known although no field is mapped to them.
    known_fields: Option<Vec<String>>,
}

/// What is done about a change.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(super) enum OnChange {
    /// It is taken and told once. A value that is not of its type cannot be taken: the record is parked.
    Evolve,
    /// The side is not read on before a person has acted.
    Freeze,
    /// The value counts as not mentioned, and never as cleared; the rest of the record goes on.
    DiscardValue,
    /// The record is parked; others go on.
    Park,
    /// For those who know dlt's names: as `park`.
    DiscardRow,
}

/// An update that finds no record.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum OnMissing {
    /// It was deleted there: `deletes` says what becomes of that.
    Deleted,
    /// It was lost there: it is made again, and deleted nowhere.
    Recreate,
    /// A person decides.
    Park,
    /// The record goes on without it: it is neither made again there nor deleted anywhere.
    Unlink,
}

/// When a side is read: part of `read`, beside the connector's keys.
#[derive(JsonSchema)]
pub(super) struct ReadWhen {
    /// How often to ask for changes. Without it: never, after the first load.
    poll_interval: Option<String>,
    /// How often to read everything, which finds deletes and drift. Without it: once, at the start.
    full_interval: Option<String>,
    /// How often to ask for changes instead of `poll_interval`, as long as a webhook has come
    /// within this time. Default: no other pace.
    sweep_interval: Option<String>,
}

/// A side that stores something else than it was sent.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum OnAltered {
    /// Our value stays the merged one; the difference is listed.
    KeepOurs,
    /// What the side made of it is its edit, and counts everywhere.
    TakeTheirs,
    /// A person decides.
    Park,
}
