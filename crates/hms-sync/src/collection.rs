//! A kind of record kept in step between sides: what stands below
//! `collections.<collection>` in YAML, under the same names.

use crate::builder::Sync;
use crate::contract::SchemaContract;
use crate::endpoint::Endpoint;
use crate::error::SyncError;
use crate::field::{Field, scalars};
use crate::resolve::Resolve;
use crate::running::Running;
use hms_sync_config::{Config, Draft, DraftValue, Guard};
use hms_sync_resolver::Deletes;
use serde_json::Value as Json;

/// A collection being put together: [`Sync::collection`].
///
/// ```no_run
/// use hms_sync::{Api, Endpoint, Field, Paginator, Place, Request, Resolve, Sync, TimeUnits, Webhook};
///
/// # async fn example(clerk_url: &str, marshal_url: &str, secret: &str) -> Result<(), hms_sync::SyncError> {
/// let sync = Sync::init("PermitSync")
///     .api("clerk", Api::http(clerk_url).bearer("demo"))
///     .api("marshal", Api::http(marshal_url).basic("sync", "demo"))
///     .data_dir("./permit-sync");
/// let running = sync.collection("permit")
///     .identity(["permit_no"])
///     .side("clerk", Endpoint::rest("/permits")
///         .record_selector(["items"])
///         .paginator(Paginator::offset(200))
///         .cursor_field("updated_at").start_time_option("since")
///         .poll_interval(5.seconds()).full_interval(1.hours())
///         .lookup(Request::get("/permits").request_parameter("permit_no", "{{ identity.permit_no }}"))
///         .webhook(Webhook::signed("/hooks/clerk", secret)))
///     .side("marshal", Endpoint::rest("/inspections")
///         .idempotency_key("Idempotency-Key")
///         .paginator(Paginator::offset(200))
///         .cursor_field("updatedAt").start_time_option("since")
///         .poll_interval(1.seconds()).full_interval(1.hours())
///         .lookup(Request::get("/inspections").request_parameter("permitId", "{{ identity.permitId }}")))
///     .field(Field::string("permit_no").at("clerk", "permit_no").at("marshal", "permitId"))
///     .field(Field::text("address").at("clerk", "location.address").at("marshal", "address"))
///     .field(Field::datetime("scheduled")
///         .at("clerk", "inspection_at")
///         .at("marshal", Place::path("scheduledFor").format("%Y-%m-%d %H:%M:%S"))
///         .resolve(Resolve::prefer(["marshal", "clerk"])))
///     .field(Field::enum_of("status", ["pending", "approved", "denied", "revoked"])
///         .at("clerk", "status")
///         .at("marshal", Place::path("state").values([
///             ("pending", "PENDING"), ("approved", "OK"), ("denied", "NO"), ("revoked", "REVOKED"),
///         ]))
///         .resolve(Resolve::precedence(["revoked", "denied", "approved", "pending"])
///             .sticky(["revoked"])
///             .then(Resolve::last_writer_wins())))
///     .start().await?;
/// running.until_ctrl_c().await
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Collection {
    sync: Sync,
    name: String,
    keys: Draft,
    sides: Draft,
    fields: Draft,
    groups: Draft,
}

impl Collection {
    pub(crate) fn new(sync: Sync, name: String) -> Self {
        let [keys, sides, fields, groups] = std::array::from_fn(|_| Draft::new());
        Self { sync, name, keys, sides, fields, groups }
    }

    fn with(mut self, key: &str, value: impl Into<DraftValue>) -> Self {
        self.keys.set(key, value);
        self
    }

    /// The fields that say which records of different sides are one: those with
    /// the same values here. Each must be read from every side.
    #[must_use]
    pub fn identity<'a>(self, fields: impl IntoIterator<Item = &'a str>) -> Self {
        self.with("identity", DraftValue::list(fields))
    }

    /// Where the records are on a side. Of equal edits the one stands that is of
    /// the side named first.
    #[must_use]
    pub fn side(mut self, side: impl Into<String>, endpoint: Endpoint) -> Self {
        self.sides.add(side, endpoint.draft());
        self
    }

    /// What the records are made of, field by field.
    #[must_use]
    pub fn field(mut self, field: Field) -> Self {
        self.fields.add(field.name, field.keys);
        self
    }

    /// Fields that merge together.
    #[must_use]
    pub fn group(mut self, name: impl Into<String>, group: Group) -> Self {
        self.groups.add(name, group.0);
        self
    }

    /// How concurrent edits of fields without a `resolve` of their own merge. The
    /// last writer wins, if nothing is said.
    #[must_use]
    pub fn resolve(self, resolve: Resolve) -> Self {
        self.with("resolve", resolve.draft())
    }

    /// What happens to a record that is deleted here and changed there at once.
    /// The edit wins, if nothing is said.
    #[must_use]
    pub fn deletes(self, deletes: Deletes) -> Self {
        let word = match deletes {
            Deletes::EditWins => "edit_wins",
            Deletes::DeleteWins => "delete_wins",
            Deletes::Manual => "manual",
        };
        self.with("deletes", word)
    }

    /// A record that comes back after it was deleted everywhere is the old one: fields that it
    /// is not given anew are what they were. Otherwise it is a new one.
    #[must_use]
    pub fn revives(self) -> Self {
        self.with("recreate", "revive")
    }

    /// How many deletes at once are believed, and how many records as they were earlier; more
    /// wait for a person.
    #[must_use]
    pub fn guard(self, guard: Guard) -> Self {
        let mut bounds = Draft::of("max_deletes", guard.max_deletes);
        bounds.add("max_deletes_percent", guard.max_deletes_percent);
        bounds.add("max_regressions", guard.max_regressions);
        bounds.add("max_regressions_percent", guard.max_regressions_percent);
        self.with("guard", bounds)
    }

    /// What is done when records are of another shape than the fields say, on all sides that
    /// do not say it themselves.
    #[must_use]
    pub fn schema_contract(self, contract: SchemaContract) -> Self {
        self.with("schema_contract", contract.draft())
    }

    /// Checks it as a file is checked, with the sync it belongs to: every mistake
    /// is named, and no side is reached.
    pub fn check(&self) -> Result<Config, SyncError> {
        self.sync.config(&[(self.name.clone(), self.draft())])
    }

    /// Keeps the sides in step, beside what of the same sync runs already. Answers
    /// when it runs; it goes on until [`Running::stop`]. A mistake is told as
    /// [`SyncError::Config`], and nothing starts.
    pub async fn start(self) -> Result<Running, SyncError> {
        let draft = self.draft();
        let Self { sync, name, .. } = self;
        Box::pin(sync.add_collection(name, draft)).await
    }

    /// As it would stand in YAML.
    fn draft(&self) -> Draft {
        let mut draft = self.keys.clone();
        for (key, map) in [("sides", &self.sides), ("fields", &self.fields), ("groups", &self.groups)] {
            if !map.is_empty() {
                draft.add(key, map.clone());
            }
        }
        draft
    }
}

/// Fields that merge together, so that a merge never takes one from here and one
/// from there.
#[derive(Debug, Clone)]
pub struct Group(Draft);

impl Group {
    /// Of these fields, two at least, each in one group at most. The rules look
    /// at `lead`, which is one of them; the others follow it.
    pub fn new<'a>(lead: &str, fields: impl IntoIterator<Item = &'a str>) -> Self {
        let mut keys = Draft::of("fields", DraftValue::list(fields));
        keys.add("lead", lead);
        Self(keys)
    }

    /// How concurrent edits merge. As the collection says, if nothing is said here.
    #[must_use]
    pub fn resolve(mut self, resolve: Resolve) -> Self {
        self.0.set("resolve", resolve.draft());
        self
    }

    /// What a member is in an edit of a side that does not have it: an expression over
    /// the group's fields, `edited_at` and `edited_by`.
    #[must_use]
    pub fn derive<'a>(mut self, members: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut derive = Draft::new();
        members.into_iter().for_each(|(field, expression)| derive.add(field, expression));
        self.0.set("derive", derive);
        self
    }

    /// An expression over the group's fields that must hold before any side is sent them.
    #[must_use]
    pub fn require(mut self, expression: &str) -> Self {
        self.0.set("require", expression);
        self
    }

    /// Values of the lead that only an operator can take out again.
    #[must_use]
    pub fn locks<T: Into<Json>>(mut self, values: impl IntoIterator<Item = T>) -> Self {
        self.0.set("locks", scalars(values));
        self
    }
}
