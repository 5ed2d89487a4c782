//! The JSON Schema of a config, for editors.
//!
//! These types are never made: they say, key by key, what the other files of
//! this room read. A test reads every key named here and finds none missing.
#![expect(dead_code, reason = "the fields are there for the schema that is derived from them")]

use hms_sync_http::spec::{HttpCollection, HttpSpec, Secrets};
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

/// What people do with one record, and what is to come of it. Further keys are sides, and
/// `operator`: what they do, knowing nothing of each other.
#[derive(JsonSchema)]
struct Test {
    /// Leaves out the tests that do not say so.
    only: Option<BoolOrText>,
    /// A record that all sides have before, by field. Without it people make the record.
    base: Option<BTreeMap<String, Json>>,
    /// What happens in order, where the order counts: `{ SIDE: … }`, `{ sync: true }`.
    edits: Option<Vec<Happens>>,
    /// What is to come of it.
    expect: Expected,
    /// What people of a side do.
    #[schemars(flatten)]
    sides: BTreeMap<String, Json>,
}

/// One thing that happens.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Happens {
    /// `sync`.
    Word(String),
    /// Who does what.
    Does(Does),
}

/// Who does what; or a sync.
#[derive(JsonSchema)]
struct Does {
    /// All sides are read, and everything is brought where it belongs.
    sync: Option<BoolOrText>,
    /// What people of a side do: fields with values, `delete`, or `raw` and a document of the side's.
    #[schemars(flatten)]
    sides: BTreeMap<String, Json>,
}

/// What is to come of a test; what is not named may be anything.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Expected {
    /// Fields of the record in the end, or `deleted`.
    merged: Option<Json>,
    /// What is written, by side: fields with values, `none`, `delete`, or `raw` and what the side's document says.
    writes: Option<BTreeMap<String, Json>>,
    /// Where edits meet: these places and no others.
    conflicts: Option<Vec<ExpectedConflict>>,
}

/// A place where edits meet.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum ExpectedConflict {
    /// A field, or `record`.
    Place(String),
    /// The same with more.
    With(ConflictWith),
}

/// A place where edits meet, and what becomes of it.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ConflictWith {
    /// A field, or `record`.
    field: String,
    /// Which kind.
    kind: Option<ConflictKind>,
    /// The value that stands.
    value: Option<Json>,
    /// What decides, by its name.
    rule: Option<String>,
    /// The values that lose, by side.
    losers: Option<BTreeMap<String, Json>>,
}

/// The kinds of conflict.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum ConflictKind {
    /// Different values of one field.
    EditEdit,
    /// One deleted the record, another changed it.
    EditDelete,
    /// Both made the record.
    CreateCreate,
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

/// A side's part in a collection.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct CollectionSide {
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
enum SchemaContract {
    /// For all.
    All(OnChange),
    /// For each.
    Each(ContractMap),
}

/// A word for each kind of change.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ContractMap {
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
enum OnChange {
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
struct ReadWhen {
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

/// A field. Further keys are sides, each with the field's place on it.
#[derive(JsonSchema)]
struct Field {
    /// What it holds.
    #[schemars(rename = "type")]
    ty: FieldType,
    /// The type of a set's elements. Default: `string`.
    of: Option<FieldType>,
    /// What the objects of a set are known by: a member, or a dotted path to one.
    #[schemars(example = &"id")]
    key: Option<String>,
    /// The values of an enum.
    values: Option<Vec<String>>,
    /// How concurrent edits merge.
    resolve: Option<Resolve>,
    /// The side whose word counts for every edit.
    owner: Option<Owner>,
    /// Values that only an operator can take out again.
    locks: Option<Vec<Json>>,
    /// Whether its values are personal: sealed wherever they are kept, and erased with their record's key.
    personal: Option<BoolOrText>,
    /// What does not count in its text.
    normalize: Option<Vec<Normal>>,
    /// Where it is, by side.
    #[schemars(flatten)]
    sides: BTreeMap<String, Place>,
}

/// Something that does not count in a text.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum Normal {
    /// White space at both ends.
    Trim,
    /// How much white space there is between words.
    Collapse,
    /// Unicode composed or not.
    Nfc,
    /// Capital letters.
    Lower,
    /// Small letters.
    Upper,
}

/// The types of fields.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum FieldType {
    /// Text kept to the letter.
    String,
    /// Text for people: line ends and Unicode form do not count.
    Text,
    /// A whole number of any size.
    Integer,
    /// An exact decimal number.
    Decimal,
    /// True or false.
    Bool,
    /// A calendar day.
    Date,
    /// An instant.
    Datetime,
    /// One of `values`.
    Enum,
    /// A set of elements of one type; order does not count.
    Set,
    /// Any JSON, as one value.
    Json,
}

/// Where a field is on a side.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Place {
    /// A dotted path.
    Path(String),
    /// A path and more.
    Mapped(Box<Mapped>),
}

/// Where a field is on a side, and how it is written there.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Mapped {
    /// A dotted path.
    path: String,
    /// Which way the field goes. Default: `both`.
    direction: Option<Direction>,
    /// The side's words, by our value.
    values: Option<BTreeMap<String, Json>>,
    /// What to do with values and words that `values` does not list.
    otherwise: Option<Otherwise>,
    /// A `strftime` pattern, `epoch_s`, `epoch_ms`, `text` or `number`.
    format: Option<String>,
    /// What the side holds instead of null.
    null_as: Option<Json>,
    /// Whether the side's edits fill the field only while the others leave it blank. Default: false.
    fills_blank: Option<BoolOrText>,
    /// What the side is given, as an expression over our `value`; with `from` and `samples`.
    to: Option<String>,
    /// Our value, as an expression over the side's `value`; with `to` and `samples`.
    from: Option<String>,
    /// Values of ours that must come back as they are.
    samples: Option<Vec<Json>>,
}

/// Which way a field goes.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum Direction {
    /// Both ways.
    Both,
    /// The side is given the field; what it does to it is not taken.
    ToSide,
    /// The side's edits count; it is never written.
    FromSide,
}

/// Values and words that a value map does not list.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Otherwise {
    /// The side's word for our values that are not listed.
    to: Option<Json>,
    /// The listed value of ours that words which are not listed are read as.
    from: Option<Json>,
}

/// A policy, or several of which the first that can decide does.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Resolve {
    /// One.
    One(Policy),
    /// Several.
    Chain(Vec<Policy>),
}

/// A policy by name, or with its arguments.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Policy {
    /// By name.
    Name(PolicyName),
    /// With arguments.
    With(Box<PolicyArguments>),
}

/// Policies without arguments.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum PolicyName {
    /// The edit made last.
    LastWriterWins,
    /// The edit made first.
    FirstWriterWins,
    /// The largest value.
    Max,
    /// The smallest value.
    Min,
    /// Elements merge by themselves; what is added here and removed there stays.
    Union,
    /// What each side added is summed up.
    Counter,
    /// Both changes of a text, where they do not overlap.
    MergeText,
    /// A person chooses.
    Manual,
}

/// Policies with arguments; exactly one of them.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct PolicyArguments {
    /// Sides, the preferred first.
    prefer: Option<Sides>,
    /// Values, the strongest first.
    precedence: Option<Vec<Json>>,
    /// Beside `precedence`: the same as `locks`.
    sticky: Option<Vec<Json>>,
    /// What happens to an element that is added here and removed there.
    union: Option<Union>,
    /// An expression over `siblings`; what it comes to stands.
    expression: Option<String>,
}

/// One side or several.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Sides {
    /// One.
    One(String),
    /// Several, the preferred first.
    Several(Vec<String>),
}

/// An element that is added here and removed there.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum Union {
    /// It stays.
    AddWins,
    /// It goes.
    RemoveWins,
}

/// The side whose word counts for every edit.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Owner {
    /// Others' edits are put back.
    Side(String),
    /// With a condition.
    With(OwnerWith),
}

/// An owner with a condition.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct OwnerWith {
    /// The side.
    side: String,
    /// Others may fill the field while the owner has nothing there. Default: false.
    unless_blank: Option<BoolOrText>,
}

/// Fields that merge together.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Group {
    /// The fields, two at least.
    fields: Vec<String>,
    /// The field that the rules look at.
    lead: String,
    /// How concurrent edits merge.
    resolve: Option<Resolve>,
    /// Values of the lead that only an operator can take out again.
    locks: Option<Vec<Json>>,
    /// Members, each with an expression: what it is in an edit of a side that does not have it.
    derive: Option<BTreeMap<String, String>>,
    /// An expression that must hold before any side is sent the group.
    require: Option<String>,
}
