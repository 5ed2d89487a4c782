//! A recovery in place that is killed at any moment: the next one ends it, with every event.

use crate::store::{NOW, fast_folder, small, write};
use hms_sync_changelog::{Log, Options, recover_in_place};
use hms_sync_model::Time;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Names the folder, to whoever runs as a child.
const FOLDER: &str = "HMS_SYNC_RECOVERY_FOLDER";
const ROUNDS: u32 = 24;

#[test]
#[ignore = "this is the child process, started by the test below"]
fn recover_a_log() {
    let Some(dir) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    recover_in_place(&dir, &|_| 0, NOW).unwrap();
}

fn command(dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "killed::recover_a_log", "--quiet"]);
    command.env(FOLDER, dir).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[test]
fn a_recovery_that_is_killed_is_ended_by_the_next() {
    let mut files = small().files.clone();
    // So that it goes down to the raw file.
    files.get_mut("db").unwrap()[300_000..340_000].fill(0);
    let place = fast_folder();
    write(&files, &place.path().join("whole"));
    let begun = Instant::now();
    assert!(command(&place.path().join("whole")).status().unwrap().success());
    let (life, mut cut) = (begun.elapsed(), 0);
    let whole = Log::open(&place.path().join("whole"), Options::default()).unwrap().tree_head();
    // On a machine that is busy with other things one may take longer than the first did.
    for round in 0..ROUNDS * 4 {
        if round >= ROUNDS && cut > ROUNDS / 2 {
            break;
        }
        let place = fast_folder();
        let dir = place.path().join("log");
        write(&files, &dir);
        let mut child = command(&dir).spawn().unwrap();
        thread::sleep(Duration::max(life * (round % ROUNDS) / ROUNDS, Duration::from_millis(1)));
        child.kill().unwrap();
        cut += u32::from(!child.wait().unwrap().success());
        // Later: of the child's the damaged folder may have a name already.
        let (report, aside) = recover_in_place(&dir, &|_| 0, Time(NOW.0 + 2_000_000)).unwrap();
        let log = Log::open(&dir, Options::default()).unwrap();
        assert_eq!(log.tree_head(), whole, "round {round}: {report:?}");
        assert!(aside.join("db").exists());
    }
    assert!(cut > ROUNDS / 2, "{cut} were cut off");
}
