//! How a command ends: its exit code, and for a failure what went wrong and
//! what the person can do.

use std::process::ExitCode;

/// The exit codes, as `--help` and `docs/cli.md` tell them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All is well.
    Ok,
    /// Something failed, or differences or damage were found.
    Failed,
    /// The configuration is wrong.
    Config,
    /// A side does not answer, or does not let us in.
    Side,
    /// The change log is in use by another process, or damaged.
    Store,
    /// Interrupted.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl Exit {
    /// The number. 2 is clap's: the command line is wrong.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Config => 3,
            Self::Side => 4,
            Self::Store => 5,
            Self::Interrupted => 130,
        }
    }
}

/// Why a command did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// What went wrong; may have several lines.
    pub(crate) error: String,
    pub(crate) hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, error: impl Into<String>) -> Self {
        Self { exit, error: error.into(), hint: None }
    }

    #[must_use]
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// An error with all its causes, in one line.
pub(crate) fn in_one_line(why: &dyn std::error::Error) -> String {
    let mut line = why.to_string();
    let mut cause = why.source();
    while let Some(error) = cause {
        let words = error.to_string();
        // Transparent errors say what their cause says.
        if !line.ends_with(&words) {
            line = format!("{line}: {words}");
        }
        cause = error.source();
    }
    line
}
