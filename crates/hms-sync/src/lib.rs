//! A sync engine to embed: keeps other people's systems in step.
//!
//! One way, with code of your own for each change:
//!
//! ```no_run
//! use hms_sync::{Api, Sync, TimeUnits, every};
//! use serde_json::json;
//!
//! # async fn example(clerk_url: &str, marshal_url: &str) -> Result<(), hms_sync::SyncError> {
//! let sync = Sync::init("PermitSync")
//!     .api("CountyClerkAPI", Api::http(clerk_url))
//!     .api("FireMarshalAPI", Api::http(marshal_url))
//!     .data_dir("./permit-sync");
//! sync.source("CountyClerkAPI")
//!     .poll("/permits", every(300.seconds()))
//!     .on_change(|permit, sync| async move {
//!         sync.target("FireMarshalAPI").post("/inspections", json!({
//!             "permitId": permit["id"], "address": permit["location"], "status": permit["status"],
//!         })).await
//!     })
//!     .start().await?;
//! # Ok(()) }
//! ```
//!
//! Both ways, with every field merged by its own rule, in Rust:
//!
//! ```no_run
//! use hms_sync::{Api, Endpoint, Field, Place, Request, Resolve, Sync, TimeUnits};
//!
//! # async fn example(clerk_url: &str, marshal_url: &str) -> Result<(), hms_sync::SyncError> {
//! let running = Sync::init("PermitSync")
//!     .api("clerk", Api::http(clerk_url).bearer("demo"))
//!     .api("marshal", Api::http(marshal_url).basic("sync", "demo"))
//!     .collection("permit")
//!     .identity(["permit_no"])
//!     .side("clerk", Endpoint::rest("/permits")
//!         .cursor_field("updated_at").start_time_option("since").poll_interval(5.seconds())
//!         .lookup(Request::get("/permits").request_parameter("permit_no", "{{ identity.permit_no }}")))
//!     .side("marshal", Endpoint::rest("/inspections")
//!         .cursor_field("updatedAt").start_time_option("since").poll_interval(1.seconds())
//!         .lookup(Request::get("/inspections").request_parameter("permitId", "{{ identity.permitId }}")))
//!     .field(Field::string("permit_no").at("clerk", "permit_no").at("marshal", "permitId"))
//!     .field(Field::text("address").at("clerk", "location.address").at("marshal", "address"))
//!     .field(Field::enum_of("status", ["pending", "approved", "revoked"])
//!         .at("clerk", "status")
//!         .at("marshal", Place::path("state").values([
//!             ("pending", "PENDING"), ("approved", "OK"), ("revoked", "REVOKED"),
//!         ]))
//!         .resolve(Resolve::precedence(["revoked", "approved", "pending"])))
//!     .start().await?;
//! # running.until_ctrl_c().await }
//! ```
//!
//! or from YAML (`docs/examples/permit-sync.yaml`): [`Sync::from_yaml`], or [`run`]
//! on what `hms_sync_config::load` gives. Both go through the same checks, have the
//! same words, and come to the same thing: see [`Collection`].
//!
//! What is promised: a request that was accepted is delivered, whatever happens
//! to the target or to this process, with the same `Idempotency-Key` on each
//! attempt; a change is handled once, also across restarts; everything seen and
//! done is in the change log.

mod every;
mod api;
mod source;
mod context;
mod registering;
mod request;
mod contract;
mod endpoint;
mod resolve;
mod field;
mod collection;
mod builder;
mod assemble;
mod keys;
mod running;
mod error;

pub use api::Api;
pub use assemble::{Assembly, Connectors, assemble};
pub use builder::Sync;
pub use collection::{Collection, Group};
pub use context::{Accepted, Context, Target};
pub use contract::SchemaContract;
pub use endpoint::Endpoint;
pub use error::SyncError;
pub use every::{Every, TimeUnits, every};
pub use field::{Field, Of, Place};
pub use hms_sync_config::{Config, ConfigErrors, Guard, OnAltered, OnChange, OnMissing};
pub use hms_sync_engine::{Happening, Retry, Watcher, What};
pub use hms_sync_http::spec::{BodyShape, Payload};
pub use hms_sync_mapping::Direction;
pub use hms_sync_notary::{Settings as AuditSettings, WitnessSettings};
pub use hms_sync_proof::{KeyName, VerifierKey};
pub use hms_sync_resolver::Deletes;
pub use keys::open_keys;
pub use request::{Paginator, Request, Webhook};
pub use resolve::Resolve;
pub use running::{Options, Running, run};
pub use source::{Prepared, Source};
