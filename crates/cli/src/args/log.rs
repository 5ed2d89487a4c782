//! The change log as a whole, on the command line.

use super::{AsksArgs, TIMES, time};
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// The configuration
    pub(crate) file: PathBuf,
    #[command(subcommand)]
    pub(crate) action: LogAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LogAction {
    /// List events, oldest first
    #[command(after_help = TIMES)]
    List(Box<ListArgs>),
    /// Show how much the change log holds
    Stats {
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a new change log of all that is whole in a damaged one
    #[command(after_help = RECOVERY)]
    Recover(RecoverArgs),
    /// Take up a record that is held because events of it are lost
    #[command(after_help = TAKE_UP)]
    TakeUp(TakeUpArgs),
    /// Write the oldest events into a file of their own, and drop them from the log if that
    /// is approved
    #[command(after_help = ARCHIVE)]
    Archive(ArchiveArgs),
    /// Make a copy of the log in less room, while the sync is stopped; the log stays as it is
    Compact {
        /// The folder to make, which must not be there
        #[arg(long, value_name = "FOLDER")]
        into: PathBuf,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
}

const TAKE_UP: &str = "\
The record starts over from what its sides show, as if it had just been linked: each side
that can be read is read first, what they show differently is decided by the rules, and
until then nothing is sent. What may have been done before it was held (requests, calls of
handlers) is parked.

A record goes by its id in hms-sync (permit/2kq0x6m3v9c1d), by its collection
and identity (permit/P-1001), or by a side and its id there (clerk:17).";

#[derive(Debug, Args)]
pub(crate) struct TakeUpArgs {
    /// The record
    pub(crate) record: String,
    /// Why: it stands in the log for good
    #[arg(long)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) asks: AsksArgs,
}

const ARCHIVE: &str = "\
The archive is checked with `hms-sync audit ARCHIVE verify`. With --drop the sync must be
stopped: the file is read back and verified, how each record stood is written down, and
only then the events leave the log. Their ids stay, so that every proof goes on.";

#[derive(Debug, Args)]
pub(crate) struct ArchiveArgs {
    /// Events written before this time, as 2026-01-31 or 2026-01-31T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time, required_unless_present = "until", conflicts_with = "until")]
    pub(crate) before: Option<String>,
    /// Events up to this number
    #[arg(long, value_name = "SEQ")]
    pub(crate) until: Option<u64>,
    /// The folder that the archive goes to, made if it is not there
    #[arg(long, value_name = "FOLDER")]
    pub(crate) into: PathBuf,
    /// Drop them from the log once they are archived
    #[arg(long, requires = "approved_by", requires = "reason")]
    pub(crate) drop: bool,
    /// Who approves the drop: it stands in the log for good
    #[arg(long, value_name = "NAME", requires = "drop")]
    pub(crate) approved_by: Option<String>,
    /// Why they are dropped, for the record
    #[arg(long, requires = "drop")]
    pub(crate) reason: Option<String>,
    /// Answer in JSON
    #[arg(long)]
    pub(crate) json: bool,
}

const RECOVERY: &str = "\
The damaged folder is only read. Exit code 0: every event is there; 1: the new log is
made and lacks events, which are named; 5: the log is in use, or cannot be recovered.";

#[derive(Debug, Args)]
pub(crate) struct RecoverArgs {
    /// Where the new log goes; there must be nothing yet [default: the log's folder with
    /// `.recovered` after its name]
    #[arg(long, value_name = "DIR")]
    pub(crate) into: Option<PathBuf>,
    /// Put the new log in the place of the damaged one, which is kept beside it under
    /// another name
    #[arg(long)]
    pub(crate) replace: bool,
    /// Answer in JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only what concerns this side
    #[arg(long)]
    pub(crate) side: Option<String>,
    /// Only of this record, by any of its names
    #[arg(long)]
    pub(crate) record: Option<String>,
    /// Only of this collection
    #[arg(long)]
    pub(crate) collection: Option<String>,
    /// Only of this kind, as the list shows it; may be given several times
    #[arg(long)]
    pub(crate) kind: Vec<String>,
    /// Only from this time on
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) from: Option<String>,
    /// Only up to this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) to: Option<String>,
    /// Only what names this field: edits that change it, writes that carry it
    #[arg(long)]
    pub(crate) field: Option<String>,
    /// So many at most
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// Only after this event; with --reverse before it
    #[arg(long, value_name = "SEQ")]
    pub(crate) after: Option<u64>,
    /// The newest first
    #[arg(long, conflicts_with = "last")]
    pub(crate) reverse: bool,
    /// The last so many that fit
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=100_000), conflicts_with_all = ["limit", "after"])]
    pub(crate) last: Option<u32>,
    /// Answer in JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,
}
