//! What the notary promises, each a file: it signs what is durable and continues what was
//! signed, or says why not (`signing`); a key is taken up when the log names it (`keys`);
//! what a real log hands out is accepted by programs that we did not write (`outside`) and
//! by ours (`exports`); witnesses hold nothing up (`witnesses`); what is due is signed (`due`).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests may panic, and count in small numbers"
)]

mod common;
mod signing;
mod keys;
mod outside;
mod exports;
mod witnesses;
mod due;
