//! The demo, as a newcomer runs it: it ends well, in time, and leaves nothing
//! running and nothing behind.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may panic")]

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

fn demo() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hms-sync"));
    command.arg("demo").env_remove("RUST_LOG").env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
    command
}

fn text(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_story_ends_well_within_a_minute() {
    let folder = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let output = demo().env("TMPDIR", folder.path()).output().unwrap();
    let (out, err) = text(&output);
    assert!(output.status.success(), "{out}\n{err}");
    assert!(began.elapsed() < Duration::from_mins(1), "took {:?}", began.elapsed());
    for line in [
        "Two hundred permits become inspections",
        "A new permit becomes an inspection within a second",
        "The marshal sets a date, and the clerk sees it",
        "status is revoked, not approved of marshal",
        "both sides have the notes and the inspector",
        "records wait for the marshal",
        "killed (SIGKILL) when",
        "all 100 are there, each made once",
        "311 permits on both sides, each the same; nothing lost, nothing done twice",
        "every hash and chain checked",
        "nothing was left to write",
        "at the 99th percentile, of 122",
    ] {
        assert!(out.contains(line), "no line with {line:?} in\n{out}");
    }
    assert!(!out.contains('\u{1b}'), "colours although nobody watches");
    assert_eq!(err, "");
    // What is told of the first act after it has ended is no part of the second.
    let second = out.split("A new permit becomes an inspection").nth(1).unwrap();
    let lines = second.split("The marshal sets a date").next().unwrap().lines().count();
    assert!(lines < 20, "the second act has {lines} lines:\n{out}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the demo's folder is still there");
}

#[cfg(unix)]
#[test]
fn a_reader_who_has_had_enough_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = demo().env("TMPDIR", folder.path()).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // As `| head`: by now the sync runs and both systems are being filled.
    assert_eq!(lines.map_while(Result::ok).take(8).count(), 8);
    let status = child.wait().unwrap();
    assert!(status.success(), "{status}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the demo's folder is still there");
}

#[cfg(unix)]
#[test]
fn whoever_stops_it_finds_nothing_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = demo().env("TMPDIR", folder.path()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.by_ref().map_while(Result::ok).take(8).count(), 8);
    let told = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(told.success());
    lines.map_while(Result::ok).for_each(drop);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the demo's folder is still there");
}

#[cfg(unix)]
#[test]
fn what_was_kept_running_ends_with_the_demo_even_when_that_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = demo()
        .args(["--keep"])
        .env("TMPDIR", folder.path())
        .env("CLICOLOR_FORCE", "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut seen = Vec::new();
    for line in lines.by_ref() {
        let last = line.contains("Ctrl-C ends it");
        seen.push(line);
        if last {
            break;
        }
    }
    let seen = seen.join("\n");
    assert!(seen.contains("\u{1b}[1m"), "no colours although they were asked for");
    let file =
        seen.split_whitespace().find(|word| word.ends_with("permit-sync.yaml")).expect("a configuration");
    let status =
        Command::new(env!("CARGO_BIN_EXE_hms-sync")).args(["status", file, "--json"]).output().unwrap();
    let (status, _) = text(&status);
    assert!(status.contains(r#""running": "live""#), "{status}");
    let yaml = std::fs::read_to_string(file).unwrap();
    let address = yaml.lines().find_map(|line| line.strip_prefix("management: ")).unwrap().to_owned();
    assert!(TcpStream::connect(&address).is_ok());
    child.kill().unwrap();
    child.wait().unwrap();
    let by = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(&address).is_ok() {
        assert!(Instant::now() < by, "the sync outlives the demo that started it");
        std::thread::sleep(Duration::from_millis(10));
    }
}
