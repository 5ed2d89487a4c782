//! A starting configuration from what others wrote or a side shows: text and
//! samples in, our YAML and notes out.
//!
//! What comes out is read by [`hms_sync_config`] before it is handed over; a
//! key that is not taken there is left out and said. So nothing that this room
//! writes is refused by `hms-sync check` for its form.
//!
//! What never happens here: a request, a file, a value of the environment.
#![allow(
    clippy::single_match_else,
    reason = "what is taken over and what is said where it is not are of equal weight"
)]

mod out;
mod settle;
mod note;
mod airbyte;
pub mod discover;

pub use airbyte::airbyte;
pub use note::Note;

/// A configuration to start from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The configuration.
    pub yaml: String,
    /// What was not taken over or was decided, in the order of the lines it is about.
    pub notes: Vec<Note>,
    /// The environment variables that must be set, with what they are.
    pub variables: Vec<(String, String)>,
}

/// Why there is no configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// It cannot be read as YAML.
    #[error("{0}")]
    Unreadable(hms_sync_config::ConfigErrors),
    /// It is YAML, and no manifest that anything could be made of.
    #[error("{file}:{line}:{column}: {what}")]
    Unusable {
        /// The file, as the caller named it.
        file: String,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What is wrong, and what would be right.
        what: String,
    },
}
