//! What the crate promises, each a file: what a log wrote verifies, and what is not proven
//! is said (`sound`); whatever is changed is found and the first bad entry named
//! (`tampered`), also where several threads look (`ahead`); of 100,000 mutated exports
//! none passes (`mutated`).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::cast_possible_truncation,
    reason = "tests may panic, and count in small numbers"
)]

mod common;
mod sound;
mod tampered;
mod ahead;
mod legend;
mod mutated;
