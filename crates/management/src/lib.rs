//! The desk and the door of a running sync: webhooks come in here, and people
//! ask here what goes on.
//!
//! A question is a method of [`Desk`], with the same answer for the command and
//! the API; [`serve`] puts the desk and the webhook routes behind a bounded HTTP
//! server. Nothing here decides anything about records or writes to the log but
//! through the engine's own commands; no body and no secret is ever logged.

mod line;
mod when;
mod told;
mod detail;
mod answers;
mod audit;
mod archive;
mod stats;
mod error;
mod shelf;
mod desk;
mod chain;
mod past;
mod listing;
mod conflicts;
mod links;
mod subscribers;
mod offline;
mod token;
mod body;
mod hooks;
mod metrics;
mod api;
mod serve;

pub use answers::{
    ArchivedEvents, AsOf, CheckpointReport, Chosen, ConflictPage, ConflictQuery, ConflictStory, Decide, Diff,
    Dropped, EditStory, Erased, EventReport, Explanation, FieldDiff, FieldStory, History, Join,
    LinkDifference, LogPage, LogQuery, LostEvents, MetValue, NotSeen, Noted, ParkedFilter, ParkedItem,
    ParkedPage, Pick, PointReport, RecordConflicts, Released, Relink, RelinkPreview, Restore, Running,
    SideStory, StatusReport, Subscribe, Subscribed, TakenUp, TellAgain, Unlink, ValueStory, Verified,
    WriteStory,
};
pub use api::api_routes;
pub use audit::ExportAsk;
pub use desk::Desk;
pub use error::{DeskError, NAME_BYTES_MAX, ServeError, name_fits};
pub use hooks::HookRoute;
pub use line::one_line;
pub use serve::{Limits, Options, Serving, serve};
pub use stats::{CollectionStats, EventMark, StatsReport, StoredSize};
pub use token::{ACCESS_FILE, Access};
pub use told::phrases::author_words;
pub use told::{Teller, Told, Unseen};
pub use when::{Moment, NoTime, Point};
