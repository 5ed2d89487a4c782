//! The JSON Schema of a config, for editors.
//!
//! These types are never made: they say, key by key, what the other files of
//! this room read. A test reads every key named here and finds none missing.
#![expect(dead_code, reason = "the fields are there for the schema that is derived from them")]

mod part;
mod field;
mod policy;
mod cases;

use cases::Test;
use field::Field;
use hms_sync_http::spec::{HttpSpec, Secrets};
use part::{CollectionSide, ReadWhen, SchemaContract};
use policy::{Group, Resolve};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// The JSON Schema (draft 2020-12) of a config.
pub fn schema() -> Json {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<Config>().to_value();
    let intervals = schemars::schema_for!(ReadWhen).to_value();
    if let (Some(Json::Object(read)), Some(Json::Object(ours))) =
        (schema.pointer_mut("/$defs/ReadSpec/properties"), intervals.get("properties"))
    {
        read.extend(ours.clone());
    }
    schema
}

/// One sync: external systems and the kinds of record that are kept in step between them.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, title = "hms-sync config")]
struct Config {
    /// The sync's name: letters, digits, `_`, `-`, `.` and `@`.
    sync: String,
    /// Where the change log is kept; made if missing. Relative to the folder that the file is in. Default: `./`
    /// and the sync's name.
    data_dir: Option<String>,
    /// Where the management API and the webhooks listen. Default: `127.0.0.1:7070`.
    management: Option<Management>,
    /// How the log's checkpoints are signed.
    audit: Option<Audit>,
    /// The external systems, by name.
    sides: BTreeMap<String, Side>,
    /// The kinds of record, by name.
    collections: BTreeMap<String, Collection>,
}

/// An address, alone or with a word about who may reach it.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Management {
    /// A loopback address and a port.
    Address(String),
    /// Any address.
    Open(OpenManagement),
}

/// An address that others than this machine can reach.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct OpenManagement {
    /// As `0.0.0.0:7070`.
    address: String,
    /// Must be true for an address that is not loopback.
    allow_remote: Option<bool>,
}

/// How the log's checkpoints are signed.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Audit {
    /// The log's name to auditors; no two logs have one. Default: made up at the first start.
    origin: Option<String>,
    /// So many new events make a checkpoint due. Default: 10000.
    every_events: Option<u64>,
    /// So long after the last one a checkpoint is due, if there are new events. Default: `10s`.
    every: Option<String>,
    /// Who is asked to countersign.
    witnesses: Option<Vec<Witness>>,
}

/// A witness of C2SP tlog-witness.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Witness {
    /// Its verifier key, of type cosignature/v1.
    key: String,
    /// Where it is: requests go to `/add-checkpoint` below it.
    url: String,
}

/// One external system.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Side {
    /// How it is reached.
    connector: Connector,
    /// How often and when to try again.
    retry: Option<Retry>,
    /// What webhooks to a subscriber are signed with (`whsec_…`); several while it is being changed.
    secret: Option<Secrets>,
    #[schemars(flatten)]
    http: HttpSpec,
}

/// The kinds of connector.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum Connector {
    /// A REST API.
    Http,
    /// An endpoint that gets each change as a signed webhook, and is never read.
    Subscriber,
}

/// Retries of a write: exponential back-off with full jitter.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Retry {
    /// Tries before a write is parked. Default: 12.
    #[schemars(range(min = 1, max = 1000))]
    max_attempts: Option<NumberOrText>,
    /// The widest first wait. Default: `50ms`.
    initial: Option<String>,
    /// The widest wait of all. Default: `1m`.
    max: Option<String>,
}

/// A whole number, or `${NAME}`.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum NumberOrText {
    /// A whole number.
    Number(u64),
    /// A whole number from the environment.
    Text(String),
}

/// Yes or no, or `${NAME}`.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum BoolOrText {
    /// True or false.
    Bool(bool),
    /// True or false from the environment.
    Text(String),
}

/// One kind of record.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Collection {
    /// Fields that say which records of different sides are one.
    identity: Vec<String>,
    /// What happens when a record is deleted here and changed there at once. Default: `edit_wins`.
    deletes: Option<Deletes>,
    /// What a record is that comes back after it was deleted everywhere. Default: `fresh`.
    recreate: Option<Recreate>,
    /// How concurrent edits of fields without a `resolve` of their own merge. Default: `last_writer_wins`.
    resolve: Option<Resolve>,
    /// How many deletes at once are believed.
    guard: Option<Guard>,
    /// What is done when records are of another shape than `fields` says.
    schema_contract: Option<SchemaContract>,
    /// Where the records are, by side.
    sides: BTreeMap<String, CollectionSide>,
    /// What the records are made of, by field.
    fields: BTreeMap<String, Field>,
    /// Fields that merge together, by name.
    groups: Option<BTreeMap<String, Group>>,
    /// What people may do and what is to come of it, by name: `hms-sync test FILE` plays them.
    tests: Option<BTreeMap<String, Test>>,
}

/// A record that comes back after it was deleted everywhere.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum Recreate {
    /// A new one, without anything of the old.
    Fresh,
    /// The old one, with the fields that it is not given anew.
    Revive,
}

/// A delete and a concurrent edit.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum Deletes {
    /// The record is made again where it was deleted.
    EditWins,
    /// The record is deleted everywhere.
    DeleteWins,
    /// A person chooses.
    Manual,
}

/// Deletes, and records that stand as they did earlier, wait for a person beyond both bounds.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Guard {
    /// So many deletes always pass. Default: 20.
    max_deletes: Option<NumberOrText>,
    /// Deletes of so many of a hundred records always pass. Default: 10.
    #[schemars(range(max = 100))]
    max_deletes_percent: Option<NumberOrText>,
    /// So many records that a side shows as they were earlier always pass. Default: 20.
    max_regressions: Option<NumberOrText>,
    /// So many of a hundred records always pass that it shows so. Default: 10.
    #[schemars(range(max = 100))]
    max_regressions_percent: Option<NumberOrText>,
}
