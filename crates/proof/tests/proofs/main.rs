//! What the crate promises, each a file: the tree is that of RFC 6962 (`vectors`, and
//! `tree` against an obvious model, `many` entries at once too), nothing tampered with passes (`tampered`), notes,
//! keys and checkpoints are those of C2SP (`notes`, `checkpoints`), what is said of a record
//! is none of them (`records`), bytes of any kind
//! do no harm (`any_bytes`), and programs that we did not write agree (`outside`).

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::cast_possible_truncation,
    reason = "tests may panic, and count in small numbers"
)]

mod model;
mod vectors;
mod tree;
mod many;
mod tampered;
mod notes;
mod checkpoints;
mod records;
mod any_bytes;
mod hostile;
mod outside;
