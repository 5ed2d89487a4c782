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
//! Both ways, with every field merged by its own rule, from YAML
//! (`docs/examples/permit-sync.yaml`): [`Sync::from_yaml`], or [`run`] on what
//! `hms_sync_config::load` gives.
//!
//! What is promised: a request that was accepted is delivered, whatever happens
//! to the target or to this process, with the same `Idempotency-Key` on each
//! attempt; a change is handled once, also across restarts; everything seen and
//! done is in the change log.

mod api;
mod assemble;
mod builder;
mod context;
mod error;
mod every;
mod running;

pub use api::Api;
pub use assemble::{Assembly, Connectors, assemble};
pub use builder::{Prepared, Source, Sync};
pub use context::{Accepted, Context, Target};
pub use error::SyncError;
pub use every::{Every, TimeUnits, every};
pub use hms_sync_engine::{Happening, Retry, Watcher, What};
pub use running::{Options, Running, run};
