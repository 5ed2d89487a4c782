//! What the vault promises: what is sealed opens with its key, in its place, and not
//! otherwise; a destroyed key is nowhere; a cut between any two steps leaves the old
//! state or the new one.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::expect_used,
    unreachable_pub,
    missing_docs,
    reason = "tests may panic"
)]

mod border;
mod common;
mod cut;
mod files;
mod folder;
mod hostile;
