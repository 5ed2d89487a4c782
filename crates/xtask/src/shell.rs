//! Running other programs, and talking to the person at the terminal.

use anyhow::{Context, bail};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

/// How a chore ends.
pub(crate) type Outcome = anyhow::Result<()>;

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).map_or_else(|| here.clone(), PathBuf::from)
}

/// Cargo, in the workspace.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(args).current_dir(root());
    command
}

/// Runs a program to its end and says how long it took.
pub(crate) fn run(what: &str, command: &mut Command) -> Outcome {
    complain(&format!("== {what}\n"));
    let began = Instant::now();
    let status =
        command.stdin(Stdio::null()).status().with_context(|| format!("{what}: cannot be started"))?;
    if !status.success() {
        bail!("{what} failed ({status})");
    }
    complain(&format!("== {what}: {:.1} s\n", began.elapsed().as_secs_f64()));
    Ok(())
}

/// Prints to standard output.
pub(crate) fn say(text: &str) {
    // A closed pipe is the reader's choice.
    let _closed = std::io::stdout().write_all(text.as_bytes());
}

/// Prints to standard error.
pub(crate) fn complain(text: &str) {
    // A closed pipe is the reader's choice.
    let _closed = std::io::stderr().write_all(text.as_bytes());
}
