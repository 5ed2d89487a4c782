//! Proofs, keys and erasure, on the command line.

use super::AsksArgs;
use clap::{Args, Subcommand};
use std::path::PathBuf;

const ERASE: &str = "\
The key that opens the record's personal values is destroyed, and the fields are
closed: what sides show there from now on is passed over, and nothing of it is
written anywhere. All other fields go on. This cannot be taken back. The sides
keep what they hold: tell them on their own.

A record goes by its id in hms-sync (permit/2kq0x6m3v9c1d), by its collection
and identity (permit/P-1001), or by a side and its id there (clerk:17).";

#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// The configuration; to verify, an export as well
    pub(crate) file: PathBuf,
    #[command(subcommand)]
    pub(crate) action: AuditAction,
}

#[derive(Debug, Args)]
pub(crate) struct EraseArgs {
    /// The record
    pub(crate) record: String,
    /// Why: it stands in the log for good, so name a file number and nobody
    #[arg(long)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) asks: AsksArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditAction {
    /// Check a change log, or an export, and name the first entry that is not as it was written
    Verify(VerifyArgs),
    /// Write the log, or a part of it, to be checked elsewhere
    Export(ExportArgs),
    /// Sign the log as it is now, and show the checkpoint
    Checkpoint {
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the verifier key to hand to auditors, and how it stands with checkpoints
    Key {
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Sign with another key from here on
    RotateKey {
        /// Why, for the record
        #[arg(long)]
        reason: String,
    },
    /// Begin a new history in the open, after a break with what was signed
    NewOrigin {
        /// Why, for the record
        #[arg(long)]
        reason: String,
        /// The new name; made up if nothing is said
        #[arg(long)]
        origin: Option<String>,
    },
    /// Erase a record's personal fields for good
    #[command(after_help = ERASE)]
    Erase(EraseArgs),
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The log's verifier key, from elsewhere; several, if it has changed
    #[arg(long, value_name = "VKEY")]
    pub(crate) key: Vec<String>,
    /// The key of a witness who is believed
    #[arg(long, value_name = "VKEY")]
    pub(crate) witness: Vec<String>,
    /// A checkpoint from earlier: the log must continue it
    #[arg(long, value_name = "NOTE_FILE")]
    pub(crate) checkpoint: Vec<PathBuf>,
    /// Of an export: it must be the whole history of this record, by its id
    #[arg(long)]
    pub(crate) record: Option<String>,
    /// Answer in JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The file to write, which must not be there; standard output, if nothing is said
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// The whole history of one record
    #[arg(long)]
    pub(crate) record: Option<String>,
    /// Events written at or after this time, as 2026-01-31 or 2026-01-31T08:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// Events written before this time
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,
    /// Events about one side
    #[arg(long)]
    pub(crate) side: Option<String>,
    /// Events about one field
    #[arg(long)]
    pub(crate) field: Option<String>,
    /// A checkpoint from earlier that the export is to show itself to continue
    #[arg(long, value_name = "NOTE_FILE")]
    pub(crate) checkpoint: Vec<PathBuf>,
}
