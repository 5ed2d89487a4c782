//! What a run says on standard error: how much of it, and of which record.

use crate::bench::{Bench, until};

#[test]
fn a_line_begins_with_its_record_and_q_leaves_such_lines_out() {
    let bench = Bench::new();
    bench.clerk.seed_records(1, 2);
    let sync = bench.run();
    until("the first load", || bench.marshal.len() == 2);
    let (_, logged) = sync.stop();
    let of_records: Vec<_> = logged.lines().filter(|line| line.contains("INFO permit/")).collect();
    for what in ["created", "marshal"] {
        assert!(of_records.iter().any(|line| line.contains(what)), "{what}: {logged}");
    }
    assert!(!logged.contains("record="), "{logged}");
    bench.clerk.seed_records(3, 2);
    let sync = bench.run_with(&["-q"]);
    until("the second load", || bench.marshal.len() > 2);
    let (_, logged) = sync.stop();
    assert!(!logged.contains("INFO permit/"), "{logged}");
    assert!(logged.contains("stopped"), "the sync itself speaks: {logged}");
}
