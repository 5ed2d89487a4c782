//! The command line, as people type it: what there is, and what many commands share. The words of a
//! command with words of its own stand in a module. What never happens here: anything is done.

use crate::links::{JoinArgs, RelinkArgs, UnlinkArgs};
use crate::subscribers::SubscribersArgs;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

mod audit;
mod conflicts;
mod log;
mod parked;
mod record;
mod start;

pub(crate) use audit::{AuditAction, AuditArgs, EraseArgs, ExportArgs, VerifyArgs};
pub(crate) use conflicts::{ConflictListArgs, ConflictsAction, ConflictsArgs, ResolveArgs, RestoreArgs};
pub(crate) use log::{ArchiveArgs, ListArgs, LogAction, LogArgs, RecoverArgs, TakeUpArgs};
pub(crate) use parked::{FilterArgs, ParkedAction, ParkedArgs, ReleaseArgs};
use record::time;
pub(crate) use record::{AsOfArgs, DiffArgs, ExplainArgs, HistoryArgs};
use start::DISCOVER;
pub(crate) use start::{DiscoverArgs, ImportAirbyteArgs, ImportArgs, ImportFrom};

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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
