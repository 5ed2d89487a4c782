//! How a run ends: in order at the first Ctrl-C, at once at the second.

use crate::bench::{Bench, until};

#[cfg(unix)]
#[test]
fn one_interrupt_stops_in_order() {
    let bench = Bench::new();
    bench.clerk.seed_records(1, 5);
    let mut sync = bench.run();
    until("the first load", || bench.marshal.len() == 5);
    assert!(bench.data().join("management.json").exists());
    sync.interrupt();
    let (code, logged) = sync.wait();
    assert_eq!(code, 0, "{logged}");
    assert!(logged.ends_with("stopped\n"), "{logged}");
    assert!(!bench.data().join("management.json").exists());
}

#[cfg(unix)]
#[test]
fn the_second_interrupt_ends_at_once_and_loses_nothing() {
    let bench = Bench::new();
    let mut sync = bench.run();
    until("both sides to have been read", || {
        let status = bench.ask(&["status", "--json"]).json();
        status["sides"].as_array().unwrap().iter().all(|side| side["collections"][0]["listed"] == true)
    });
    // A write is under way and stays so.
    bench.marshal.faults(|faults| faults.hang = true);
    bench.clerk.seed_records(1, 1);
    until("a write to be under way", || {
        let status = bench.ask(&["status", "--json"]).json();
        status["sides"].as_array().unwrap().iter().any(|side| side["in_flight"] == 1)
    });
    sync.interrupt();
    let gone = || !bench.data().join("management.json").exists();
    until("the stop to begin", gone);
    assert!(sync.child.try_wait().unwrap().is_none(), "it did not wait for what is under way");
    sync.interrupt();
    let (code, logged) = sync.wait();
    assert_eq!(code, 130, "{logged}");
    bench.marshal.faults(|faults| faults.hang = false);
    let sync = bench.run();
    until("the permit to arrive", || bench.marshal.len() == 1);
    assert_eq!(sync.stop().0, 0);
}
