//! The engine: sides at work.
//!
//! Once round the loop: a pass or a webhook brings an observation (`pass`,
//! `operate`); `observe` makes an event of it; `fold` takes the event into the
//! record's state; `project` says what each side lacks; `deliver` brings it
//! there; the outcome is an event again. The machine decides, the driver does.
//!
//! The machine reads no clock, awaits nothing, and knows connectors only as
//! wakes and effects, so that the whole loop runs in simulated time.

mod plan;
mod wake;
mod machine;
mod pass;
mod absence;
mod unread;
mod contract;
mod page;
mod observe;
mod appear;
mod ingest;
mod aside;
mod classify;
mod state;
mod fold;
mod project;
mod altered;
mod brake;
mod closed;
mod unaware;
mod earlier;
mod regression;
mod image;
mod step;
mod deliver;
mod answer;
mod missing;
mod retell;
mod link;
mod join;
mod look;
mod pace;
mod gate;
mod lane;
mod handle;
mod operate;
mod personal;
mod erase;
mod stream;
mod ours;
mod taken_up;
mod quiet;
mod blocks;
mod conflicts;
mod choose;
mod snapshot;
mod refold;
mod near;
mod restored;
mod seen;
mod views;
mod past;
mod carry;
mod raw;
mod steady;
mod happening;
mod report;
mod driver;
mod way;
mod error;

pub use blocks::{BLOCK_EVENTS, Summary, block_of, first_of, place_of};
pub use brake::Flips;
pub use carry::begins_with;
pub use choose::{Choice, Wanted};
pub use conflicts::{ConflictItem, Met, Standing, Tally, Touched, kind_name};
pub use contract::{Contract, OnChange};
pub use driver::{Call, Engine, Handler, Parts, Watcher};
pub use error::EngineError;
pub use fold::side_of;
pub use happening::{Happening, What};
pub use link::{Tie, Tied};
pub use machine::Machine;
pub use operate::parked_lanes;
pub use page::ShownPage;
pub use past::{events_at, state_at, version_at, version_upto};
pub use plan::{
    CollectionPlan, CollectionSide, DOCUMENT, FIELDS_BYTES_MAX, Guard, JobPlan, OnAltered, OnMissing, Plan,
    Recreate, Retry, Shape, SidePlan, Unreadable,
};
pub use report::{
    CollectionStatus, Counts, ErasedReport, FieldReport, ParkedItem, RecordReport, SiblingReport, SidePart,
    SideStatus, Status,
};
pub use restored::{PendingCounts, PendingWrite};
pub use retell::Replay;
pub use state::{Doubt, Erasure, Held, JobState, LastWrite, RecordState, RequestState, SideState, Write};
pub use stream::{StreamState, parse_stream, stream_of};
pub use views::{Entry, Saved, Views};
pub use wake::{Command, Effect, Now, Reply, ReplyTo, Wake};
