//! The hms-sync command.
fn main() {}
