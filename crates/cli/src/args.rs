//! The command line, as people type it.

use crate::links::{JoinArgs, RelinkArgs, UnlinkArgs};
use crate::subscribers::SubscribersArgs;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

const EXIT_CODES: &str = "\
Exit codes:
  0    all is well
  1    something failed, or differences or damage were found
  2    the command line is wrong
  3    the configuration is wrong
  4    a side does not answer, or does not let us in
  5    the change log is in use by another process, or damaged
  130  interrupted";

const TIMES: &str = "\
A time is written 2026-11-23, \"2026-11-23 10:41\", 2026-11-23T10:41:07+01:00,
10:41 (when it was that last), \"2 h ago\" or now. Without an offset it is UTC, as
all times that are shown. It means the last moment of the day, minute or second
that it names; with --from the first.";

const NAMES_AND_TIMES: &str = "\
A record goes by its id in hms-sync (permit/2kq0x6m3v9c1d), by its collection
and identity (permit/P-1001), or by a side and its id there (clerk:17).

A time is written 2026-11-23, \"2026-11-23 10:41\", 2026-11-23T10:41:07+01:00,
10:41 (when it was that last), \"2 h ago\" or now. Without an offset it is UTC, as
all times that are shown. It means the last moment of the day, minute or second
that it names.";

const NAMES: &str = "\
A record goes by its id in hms-sync (permit/2kq0x6m3v9c1d), by its collection
and identity (permit/P-1001), or by a side and its id there (clerk:17).";

const ERASE: &str = "\
The key that opens the record's personal values is destroyed, and the fields are
closed: what sides show there from now on is passed over, and nothing of it is
written anywhere. All other fields go on. This cannot be taken back. The sides
keep what they hold: tell them on their own.

A record goes by its id in hms-sync (permit/2kq0x6m3v9c1d), by its collection
and identity (permit/P-1001), or by a side and its id there (clerk:17).";

/// Keeps records of several systems in step, both ways, with a history that can be checked.
#[derive(Debug, Parser)]
#[command(name = "hms-sync", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Args)]
pub(crate) struct Global {
    /// How log lines are written to standard error
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Human, value_name = "FORM")]
    pub(crate) log_format: LogFormat,
    /// Log more; twice for everything. `RUST_LOG`, if set, has the last word
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Log less; twice for errors only
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "verbose")]
    pub(crate) quiet: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    Human,
    /// One JSON object a line
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Play a story: two small systems and a sync between them, on this machine
    Demo(DemoArgs),
    /// Keep the sides in step until Ctrl-C
    Run(RunArgs),
    /// Say whether the configuration is right and each side answers; write nothing
    Check(FileArgs),
    /// Play the tests in the configuration against simulated sides; reach nothing
    Test(TestArgs),
    /// Show the sides, what has been read and what is pending
    Status(FileArgs),
    /// Show every event of a record, in order
    #[command(after_help = NAMES)]
    History(HistoryArgs),
    /// Say why a record, or one field of it, is as it is, or as it was
    #[command(after_help = NAMES_AND_TIMES)]
    Explain(ExplainArgs),
    /// Show a record as it stood at a time
    #[command(after_help = NAMES_AND_TIMES)]
    AsOf(AsOfArgs),
    /// Show what differs in a record between two versions or times
    #[command(after_help = NAMES_AND_TIMES)]
    Diff(DiffArgs),
    /// Show what was set aside, try it again, or let it be
    #[command(after_help = NAMES)]
    Parked(ParkedArgs),
    /// Show where edits met unknown to each other, decide, or bring back a value that lost
    #[command(after_help = NAMES)]
    Conflicts(ConflictsArgs),
    /// Take a record and what a side has of it apart; both stay, and are not matched again
    #[command(after_help = NAMES)]
    Unlink(UnlinkArgs),
    /// Link a record to what a side has, as on a first load
    #[command(after_help = NAMES)]
    Relink(RelinkArgs),
    /// Say that two records are one: the first ends, the second goes on with what both had
    #[command(after_help = NAMES)]
    Join(JoinArgs),
    /// Tell a subscriber again what it took, or nothing more
    #[command(after_help = TIMES)]
    Subscribers(SubscribersArgs),
    /// Have a side's collection read now
    Poll(PollArgs),
    /// Check the change log, sign it, and hand it to auditors
    Audit(AuditArgs),
    /// Look into the change log as a whole
    Log(LogArgs),
    /// Make a configuration to start from out of what others wrote
    Import(ImportArgs),
    /// Sample a side and propose a configuration to start from; reads only
    #[command(after_help = DISCOVER)]
    Discover(Box<DiscoverArgs>),
    /// Print the JSON Schema of the configuration
    Schema,
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Leave all running afterwards, with addresses to try, until Ctrl-C
    #[arg(long)]
    pub(crate) keep: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The configuration
    pub(crate) file: PathBuf,
    /// The change log was put back from a backup: read every side in full, write nothing, show what
    /// would be written, and end
    #[arg(long, conflicts_with = "events")]
    pub(crate) restored: bool,
    /// Also print each thing that happens on standard output, as one JSON object a line
    #[arg(long)]
    pub(crate) events: bool,
    /// Stop when standard input ends, so as not to outlive who started it
    #[arg(long, hide = true)]
    pub(crate) stop_with_stdin: bool,
}

#[derive(Debug, Args)]
pub(crate) struct FileArgs {
    /// The configuration
    pub(crate) file: PathBuf,
    /// Answer in JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// The configuration
    pub(crate) file: PathBuf,
    /// Only tests with this in their names; any of several
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Also write what came of it as `JUnit` XML, for continuous integration
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    #[command(flatten)]
    pub(crate) on: FileArgs,
    /// The record
    pub(crate) record: String,
    /// Leave out the events up to this version
    #[arg(long, default_value_t = 0, value_name = "VERSION")]
    pub(crate) after: u64,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) on: FileArgs,
    /// The record
    pub(crate) record: String,
    /// One field of it: the whole way of its value
    pub(crate) field: Option<String>,
    /// As it was at this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) at: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct AsOfArgs {
    #[command(flatten)]
    pub(crate) on: FileArgs,
    /// The record
    pub(crate) record: String,
    /// The time
    #[arg(value_parser = time)]
    pub(crate) time: String,
}

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    #[command(flatten)]
    pub(crate) on: FileArgs,
    /// The record
    pub(crate) record: String,
    /// A version as `history` shows it (v4), or a time
    #[arg(value_parser = point)]
    pub(crate) from: String,
    /// Another one
    #[arg(value_parser = point)]
    pub(crate) to: String,
}

fn now() -> hms_sync_model::Time {
    hms_sync_model::Time::from_chrono(chrono::Utc::now())
}

/// A text that names a time. Whoever answers reads it, by its own clock.
fn time(text: &str) -> Result<String, hms_sync_management::NoTime> {
    hms_sync_management::Moment::parse(text, now()).map(|_| text.to_owned())
}

fn point(text: &str) -> Result<String, hms_sync_management::NoTime> {
    hms_sync_management::Point::parse(text, now()).map(|_| text.to_owned())
}

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

const DISCOVER: &str = "\
WHERE is a URL, or a configuration followed by one of its sides. Listings are found by what
the server says of itself (OpenAPI), by the links of its first page, or are named with --path.
Secrets are read from the environment and never written: --bearer TOKEN_VARIABLE.";

#[derive(Debug, Args)]
pub(crate) struct DiscoverArgs {
    /// A URL, or a configuration
    #[arg(value_name = "WHERE")]
    pub(crate) place: String,
    /// The side, in a configuration
    pub(crate) side: Option<String>,
    /// A path below the URL to sample; may be given several times
    #[arg(long, value_name = "PATH")]
    pub(crate) path: Vec<String>,
    /// The variable of the environment that holds a bearer token
    #[arg(long, value_name = "VARIABLE", conflicts_with_all = ["side", "basic", "header"])]
    pub(crate) bearer: Option<String>,
    /// A user, and the variable that holds the password
    #[arg(long, value_name = "USER:VARIABLE", conflicts_with_all = ["side", "header"])]
    pub(crate) basic: Option<String>,
    /// A header, and the variable that holds its value
    #[arg(long, value_name = "NAME:VARIABLE", conflicts_with = "side")]
    pub(crate) header: Option<String>,
    /// The most requests that are made
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) max_requests: u32,
    /// The file to write, which must not be there; standard output, if nothing is said
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Answer in JSON: what was found, and the configuration
    #[arg(long, conflicts_with = "out")]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    #[command(subcommand)]
    pub(crate) from: ImportFrom,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ImportFrom {
    /// Take over the read side of a declarative manifest (low-code YAML) of Airbyte's
    #[command(after_help = IMPORT)]
    Airbyte(ImportAirbyteArgs),
}

const IMPORT: &str = "\
Each stream becomes a collection between the source and a second side, `other`, which is
a stub to be filled in. What is not taken over is named with its line, on standard error
and at the end of the configuration. What people enter becomes variables of the environment.

Exit codes: 0: all is taken over; 1: the configuration is written, and something is not
taken over; 3: the manifest cannot be read, and nothing is written.";

#[derive(Debug, Args)]
pub(crate) struct ImportAirbyteArgs {
    /// The manifest
    pub(crate) file: PathBuf,
    /// The file to write, which must not be there; standard output, if nothing is said
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// What the source is called [default: as the manifest's file or folder]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Answer in JSON: the configuration, what is not taken over, the variables
    #[arg(long, conflicts_with = "out")]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PollArgs {
    /// The configuration
    pub(crate) file: PathBuf,
    /// The side
    pub(crate) side: String,
    /// The collection
    pub(crate) collection: String,
    /// Everything, not only what changed
    #[arg(long)]
    pub(crate) full: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// The configuration; to verify, an export as well
    pub(crate) file: PathBuf,
    #[command(subcommand)]
    pub(crate) action: AuditAction,
}

/// Who asks for what cannot be taken back, and how they are answered.
#[derive(Debug, Args)]
pub(crate) struct AsksArgs {
    /// Who asks for it
    #[arg(long, env = "USER", default_value = "an operator", hide_env_values = true)]
    pub(crate) by: String,
    /// Answer in JSON
    #[arg(long)]
    pub(crate) json: bool,
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
