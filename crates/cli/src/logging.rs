//! Log lines on standard error: for people, or as JSON.

use crate::args::{Cli, Command, LogFormat};
use crate::screen::colours;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// What is logged if `RUST_LOG` says nothing. A run tells each thing that
/// happens to a record; other commands speak up only when something is wrong.
pub(crate) fn filter_of(cli: &Cli) -> String {
    let loudness = i16::from(cli.global.verbose) - i16::from(cli.global.quiet);
    let running = matches!(cli.command, Command::Run(_));
    match (running, loudness) {
        (_, ..=-2) => "error",
        (true, -1) => "warn,hms_sync=info,hms_sync_engine=info",
        (true, 0) => "warn,hms_sync=info,hms_sync_engine::driver=debug,hms_sync_cli=info",
        (false, -1) => "error",
        (false, 0) => "warn",
        (false, 1) => "info",
        (true, 1) | (false, _) => {
            "info,hms_sync=debug,hms_sync_engine=debug,hms_sync_http=debug,hms_sync_management=debug"
        }
        (true, _) => "debug,hms_sync=trace,hms_sync_engine=trace,hms_sync_http=trace",
    }
    .to_owned()
}

/// Starts logging. Once per process.
pub(crate) fn start(format: LogFormat, default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let colour = colours(std::io::stderr().is_terminal(), |name| std::env::var(name).ok());
    let logger = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Human => logger.with_target(false).with_ansi(colour).try_init(),
        LogFormat::Json => logger.json().flatten_event(true).try_init(),
    };
    // Somebody who embeds this command has a logger already.
    let _theirs = started;
}
