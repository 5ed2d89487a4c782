//! Conflicts, on the command line.

use super::NAMES;
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct ConflictsArgs {
    /// The configuration
    pub(crate) file: PathBuf,
    #[command(subcommand)]
    pub(crate) action: ConflictsAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConflictsAction {
    /// List conflicts: those that wait for a person, and decided ones whose losers are still there
    List(ConflictListArgs),
    /// Show a record's conflicts in full: what met, who knew what, which rule decided, what lost
    #[command(after_help = NAMES)]
    Show {
        /// The record
        record: String,
        /// Only those of this field
        field: Option<String>,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Decide what a field is to be, or whether the record is there
    #[command(after_help = RESOLVE)]
    Resolve(ResolveArgs),
    /// Have a value that lost stand, on every side
    #[command(after_help = RESTORE)]
    Restore(RestoreArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ConflictListArgs {
    /// Only those that this side has a part in
    #[arg(long)]
    pub(crate) side: Option<String>,
    /// Only of this collection
    #[arg(long)]
    pub(crate) collection: Option<String>,
    /// Only of this field
    #[arg(long)]
    pub(crate) field: Option<String>,
    /// Only of this kind, as the list shows it; may be given several times
    #[arg(long)]
    pub(crate) kind: Vec<String>,
    /// Only those that wait for a person
    #[arg(long, conflicts_with = "all")]
    pub(crate) open: bool,
    /// Also those that have ended
    #[arg(long)]
    pub(crate) all: bool,
    /// So many at most, give or take those of one record
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: Option<u32>,
    /// Only of the records after this one, by its id
    #[arg(long, value_name = "RECORD")]
    pub(crate) after: Option<String>,
    /// Answer in JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Who decides, why, and having seen what.
#[derive(Debug, Args)]
pub(crate) struct DecisionArgs {
    /// Why: it stands in the log for good
    #[arg(long)]
    pub(crate) reason: String,
    /// Who decides
    #[arg(long, env = "USER", default_value = "an operator", hide_env_values = true)]
    pub(crate) by: String,
    /// The version of the record that was looked at, as `show` tells it [default: the one there is]
    #[arg(long, value_name = "N")]
    pub(crate) version: Option<u64>,
    /// Answer in JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line, and one is given")]
#[group(id = "pick", required = true, multiple = false, args = ["value", "null", "side", "winner", "keep", "delete"])]
pub(crate) struct ResolveArgs {
    /// The record
    pub(crate) record: String,
    /// The field; left out if it is about whether the record is there
    pub(crate) field: Option<String>,
    /// This value: as in the configuration; sets and `json` fields as JSON
    #[arg(long, requires = "field", allow_hyphen_values = true)]
    pub(crate) value: Option<String>,
    /// No value
    #[arg(long, requires = "field")]
    pub(crate) null: bool,
    /// What this side has
    #[arg(long)]
    pub(crate) side: Option<String>,
    /// What stands: it is confirmed, and the losers are gone
    #[arg(long)]
    pub(crate) winner: bool,
    /// The record is there: it is made again where it was deleted
    #[arg(long, conflicts_with = "field")]
    pub(crate) keep: bool,
    /// The record is deleted on every side
    #[arg(long, conflicts_with = "field")]
    pub(crate) delete: bool,
    #[command(flatten)]
    pub(crate) decision: DecisionArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The record
    pub(crate) record: String,
    /// The field; left out if it is about whether the record is there
    pub(crate) field: Option<String>,
    /// Which of the values that lost, by the number that `show` gives it
    #[arg(long, value_name = "N")]
    pub(crate) loser: usize,
    #[command(flatten)]
    pub(crate) decision: DecisionArgs,
}

const RESOLVE: &str = "\
The decision is an edit of yours: it is brought to every side, releases a lock, and
stands in the log with who and why. If somebody has changed the field since the
version that you saw, nothing is done (exit code 1) and you are told what changed.

A record goes by its id in hms-sync (permit/2kq0x6m3v9c1d), by its collection
and identity (permit/P-1001), or by a side and its id there (clerk:17).";

const RESTORE: &str = "\
The value comes back with the rest of its group, as an edit of yours that is brought
to every side. A conflict that has long been settled still has its losers.

A record goes by its id in hms-sync (permit/2kq0x6m3v9c1d), by its collection
and identity (permit/P-1001), or by a side and its id there (clerk:17).";
