//! What holds when a process, a disk or the power fails. Each test starts this
//! program once more as a child that keeps a log, records or breaks what reaches
//! its files (`../shim/recorder.c`), and looks at what is left.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic_in_result_fn,
    clippy::string_slice,
    clippy::cast_possible_truncation,
    reason = "tests may panic, and count in small numbers"
)]

mod story;
mod child;
mod shim;
mod record;
mod image;
mod power;
mod faults;
mod kill;
mod refused;
mod full;
