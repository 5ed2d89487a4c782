//! One record and its past, on the command line; times that people type.

use super::FileArgs;
use clap::Args;

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
pub(super) fn time(text: &str) -> Result<String, hms_sync_management::NoTime> {
    hms_sync_management::Moment::parse(text, now()).map(|_| text.to_owned())
}

fn point(text: &str) -> Result<String, hms_sync_management::NoTime> {
    hms_sync_management::Point::parse(text, now()).map(|_| text.to_owned())
}
