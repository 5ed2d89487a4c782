//! What was set aside, on the command line.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct ParkedArgs {
    /// The configuration
    pub(crate) file: PathBuf,
    #[command(subcommand)]
    pub(crate) action: ParkedAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ParkedAction {
    /// List what was set aside
    List {
        #[command(flatten)]
        filter: FilterArgs,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one record's parked things in full, and how it stands
    Show {
        /// The record
        record: String,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Try again from the start
    Replay(ReleaseArgs),
    /// Leave it: the side keeps what it has until the record changes again
    Discard(ReleaseArgs),
    /// Write ours back to a side that was put back from a backup
    PushOurs(ReleaseArgs),
    /// Take what a side shows that was put back from a backup as edits of its people
    TakeTheirs(ReleaseArgs),
}

#[derive(Debug, Args)]
pub(crate) struct FilterArgs {
    /// Only of this lane, as the list shows it: a side, a handler, a request
    #[arg(long)]
    pub(crate) lane: Option<String>,
    /// Only for this side
    #[arg(long)]
    pub(crate) side: Option<String>,
    /// Only with this kind of trouble, as the list shows it
    #[arg(long)]
    pub(crate) reason: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ReleaseArgs {
    /// The record
    #[arg(required_unless_present_any = ["lane", "side", "reason", "all"])]
    pub(crate) record: Option<String>,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// Everything that is parked
    #[arg(long, conflicts_with_all = ["record", "lane", "side", "reason"])]
    pub(crate) all: bool,
    /// Answer in JSON
    #[arg(long)]
    pub(crate) json: bool,
}
