//! The desk and the door of a running sync: webhooks come in here, and people
//! ask here what goes on.
//!
//! A question is a method of [`Desk`], with the same answer for the command and
//! the API; [`serve`] puts the desk and the webhook routes behind a bounded HTTP
//! server. Nothing here decides anything about records or writes to the log but
//! through the engine's own commands; no body and no secret is ever logged.

mod line;
mod told;
mod detail;
mod answers;
mod stats;
mod error;
mod desk;
mod offline;
mod token;
mod body;
mod hooks;
mod api;
mod serve;

pub use answers::{
    Erased, EventReport, Explanation, History, ParkedFilter, ParkedItem, ParkedPage, Released, Running,
    StatusReport, Verified,
};
pub use api::api_routes;
pub use desk::Desk;
pub use error::{DeskError, ServeError};
pub use hooks::HookRoute;
pub use line::one_line;
pub use serve::{Limits, Options, Serving, serve};
pub use stats::{CollectionStats, EventMark, StatsReport, StoredSize};
pub use token::{ACCESS_FILE, Access};
pub use told::{Teller, Told};
