//! A file system that is really full: a small one in memory, which a child has in a namespace
//! of its own. Where nobody may make one this fails and says how to leave it out.

use crate::child::{Plan, TOLD, command};
use crate::shim::fast_folder;
use crate::story::{examine, ids};
use std::fs;
use std::process::{Command, Stdio};

/// More than fits.
const PLAN: Plan = Plan { sessions: 1, rounds: 160, small: false };
/// Leaves the test out, for who says so.
const WITHOUT: &str = "HMS_SYNC_WITHOUT_NAMESPACES";
/// What the script ends with where it may not mount.
const MAY_NOT: i32 = 77;

#[test]
fn a_file_system_that_is_full_loses_nothing_acknowledged() {
    if std::env::var_os(WITHOUT).is_some() {
        return;
    }
    let place = fast_folder();
    let (small, kept, told) =
        (place.path().join("small"), place.path().join("kept"), place.path().join("told"));
    fs::create_dir(&small).unwrap();
    fs::write(&told, "").unwrap();
    let asked = command(&small.join("log"), PLAN);
    let script = format!(
        "mount -t tmpfs -o size=2m none \"$SMALL\" || exit {MAY_NOT}; \"$@\" || exit 1; cp -a \"$SMALL/log\" \"$KEPT\""
    );
    let mut child = Command::new("unshare");
    child.args(["-rm", "sh", "-c", &script, "sh"]).arg(asked.get_program()).args(asked.get_args());
    child.envs(asked.get_envs().filter_map(|(name, value)| Some((name, value?))));
    child.env("SMALL", &small).env("KEPT", &kept).env(TOLD, &told);
    let status = child.stdout(Stdio::null()).stderr(Stdio::null()).status();
    let code = status.ok().and_then(|status| status.code());
    assert_eq!(
        code,
        Some(0),
        "a file system of its own takes `unshare -rm`; {WITHOUT}=1 leaves this test out"
    );
    let said = fs::read_to_string(&told).unwrap();
    let acknowledged =
        said.lines().filter_map(|line| line.strip_prefix("ack ")?.parse().ok()).max().unwrap_or(0);
    let failed = said.lines().find(|line| line.starts_with("failed")).unwrap_or_default();
    assert!(failed.contains("No space left"), "{said}");
    assert!(acknowledged > 100 && said.lines().any(|line| line == "refused"), "{said}");
    // With room again all of it is there, and it goes on.
    examine(&kept, acknowledged, &ids(PLAN.events())).unwrap();
}
