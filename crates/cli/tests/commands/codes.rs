//! Exit codes: each one, brought about.

use crate::bench::{Bench, Ran, command, hms_sync};
use hms_sync_changelog::{Log, Options};

#[test]
fn a_wrong_command_line_is_2() {
    for args in [&["nonsense"][..], &[], &["history"], &["status", "f", "--colour"], &["-v", "-q", "schema"]]
    {
        assert_eq!(hms_sync(args).code, 2, "{args:?}");
    }
    // Nothing says what to release.
    assert_eq!(hms_sync(&["parked", "f", "replay"]).code, 2);
    assert_eq!(hms_sync(&["parked", "f", "discard", "permit/1", "--all"]).code, 2);
}

#[test]
fn a_configuration_that_is_not_there_is_3() {
    let ran = hms_sync(&["status", "/nowhere/sync.yaml"]);
    assert_eq!(ran.code, 3);
    assert!(ran.err.contains("/nowhere/sync.yaml"), "{}", ran.err);
}

#[test]
fn a_sync_that_has_not_run_is_1_and_nothing_is_made() {
    let bench = Bench::new();
    for args in [&["status"][..], &["history", "permit/1"], &["parked", "list"], &["audit", "verify"]] {
        let ran = bench.ask(args);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.err.contains("has not run there") && ran.err.contains("hint"), "{}", ran.err);
    }
    assert!(!bench.data().exists());
}

#[test]
fn a_log_that_another_process_has_is_5() {
    let bench = Bench::new();
    let _theirs = Log::open(&bench.data(), Options::default()).unwrap();
    for args in [&["status"][..], &["audit", "verify"], &["run"]] {
        let ran = bench.ask(args);
        assert_eq!(ran.code, 5, "{ran:?}");
        assert!(ran.err.contains("in use by another process"), "{}", ran.err);
    }
}

#[test]
fn the_process_that_has_the_log_and_does_not_answer_is_named() {
    let bench = Bench::new();
    let _theirs = Log::open(&bench.data(), Options::default()).unwrap();
    let file = r#"{"url":"http://127.0.0.1:1","token":"t","pid":4711,"instance":"i"}"#;
    std::fs::write(bench.data().join("management.json"), file).unwrap();
    let ran = bench.ask(&["status"]);
    assert_eq!(ran.code, 5);
    assert!(ran.err.contains("process 4711"), "{}", ran.err);
}

/// The token stays on this machine, whatever proxy others are asked through.
#[test]
fn a_running_sync_is_asked_through_no_proxy() {
    let bench = Bench::new();
    let _sync = bench.run();
    let proxy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    proxy.set_nonblocking(true).unwrap();
    let through = format!("http://{}", proxy.local_addr().unwrap());
    let mut ask = command(&["status", &bench.file()]);
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        ask.env(name, &through);
    }
    ask.env_remove("no_proxy").env_remove("NO_PROXY");
    let ran = Ran::of(ask.output().unwrap());
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(proxy.accept().is_err(), "the proxy was asked");
}

#[test]
fn a_damaged_log_is_5() {
    let bench = Bench::new();
    drop(Log::open(&bench.data(), Options::default()).unwrap());
    let damaged = std::fs::read_dir(bench.data()).unwrap().map(|entry| entry.unwrap().path());
    let conf = damaged.filter(|path| path.ends_with("conf")).next().expect("sled's own settings");
    std::fs::write(conf, "no such thing").unwrap();
    for args in [&["status"][..], &["run"], &["audit", "verify"]] {
        let ran = bench.ask(args);
        assert_eq!(ran.code, 5, "{ran:?}");
        assert!(!ran.err.contains("panicked"), "{}", ran.err);
    }
}
