//! What cannot be kept here is refused in words, within a second, and nothing in the
//! folder is changed. Children do it, under another user: the superuser may do anything.

use crate::child::{Plan, TOLD, command};
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PLAN: Plan = Plan { sessions: 1, rounds: 3, small: true };
/// Nobody's number, as the user of a child.
const NOBODY: u32 = 65_534;
/// Words must come within this time. A child has to start, too.
const AT_ONCE: Duration = Duration::from_secs(1);

/// A folder that anybody may go into, with a log of nobody's in it, and this program
/// where nobody may start it.
struct Stage {
    dir: TempDir,
}

impl Stage {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        allow(dir.path(), 0o755);
        let program = dir.path().join("program");
        fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        allow(&program, 0o755);
        let stage = Self { dir };
        fs::create_dir(stage.log()).unwrap();
        own(&stage.log(), NOBODY);
        assert!(stage.run(|_| {}).iter().any(|line| line == "done"));
        stage
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    /// Has a child keep the log, as nobody, and answers what it said.
    fn run(&self, change: impl FnOnce(&mut Command)) -> Vec<String> {
        let told = self.dir.path().join("told");
        fs::write(&told, "").unwrap();
        own(&told, NOBODY);
        let asked = command(&self.log(), PLAN);
        let mut child = Command::new(self.dir.path().join("program"));
        child.args(asked.get_args()).env(TOLD, &told);
        child.envs(asked.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if is_superuser() {
            child.uid(NOBODY).gid(NOBODY);
        }
        change(&mut child);
        child.stdout(Stdio::null()).stderr(Stdio::null());
        let status = loop {
            match child.status() {
                // Another test forked while the copy was written, and its child has yet to begin.
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
                status => break status.unwrap(),
            }
        };
        assert_eq!(status.code(), Some(0), "{}", fs::read_to_string(&told).unwrap());
        fs::read_to_string(&told).unwrap().lines().map(str::to_owned).collect()
    }

    /// The child must refuse, with these words, at once, and leave all as it is.
    fn refuses(&self, words: &str) {
        let (before, begun) = (contents(&self.log()), Instant::now());
        let said = self.run(|_| {});
        assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
        assert!(said.len() == 1 && said[0].starts_with("failed") && said[0].contains(words), "{said:?}");
        assert_eq!(contents(&self.log()), before, "{words}");
    }
}

fn is_superuser() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Gives a file to a user, if this one may do so.
fn own(path: &Path, user: u32) {
    if is_superuser() {
        std::os::unix::fs::chown(path, Some(user), Some(user)).unwrap();
    }
}

fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Every name in a folder with its bytes.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.clone(), fs::read(&path).unwrap_or_default())).collect()
}

#[test]
fn a_folder_that_may_only_be_read() {
    let stage = Stage::new();
    let files: Vec<PathBuf> = contents(&stage.log()).into_keys().collect();
    files.iter().filter(|path| path.is_file()).for_each(|path| allow(path, 0o444));
    allow(&stage.log(), 0o555);
    stage.refuses("Permission denied");
    allow(&stage.log(), 0o755);
}

#[test]
fn files_of_another_user() {
    let stage = Stage::new();
    if !is_superuser() {
        // The same to whoever may not write them.
        allow(&stage.log().join("lock"), 0o400);
        return stage.refuses("Permission denied");
    }
    for path in contents(&stage.log()).into_keys().chain([stage.log()]) {
        own(&path, 0);
        allow(&path, if path.is_dir() { 0o700 } else { 0o600 });
    }
    stage.refuses("Permission denied");
}

#[test]
fn a_folder_that_another_process_has() {
    let stage = Stage::new();
    let theirs = fs::OpenOptions::new().read(true).open(stage.log().join("lock")).unwrap();
    theirs.lock().unwrap();
    stage.refuses("in use by another process");
}

#[test]
fn a_folder_of_a_newer_format() {
    let stage = Stage::new();
    fs::write(stage.log().join("format"), "hms-sync change log\nformat 7\n").unwrap();
    own(&stage.log().join("format"), NOBODY);
    stage.refuses("has format 7, this hms-sync knows formats up to 2");
}

/// `ulimit -f` ends a process by a signal unless that is ignored; then a write fails.
#[test]
fn a_limit_on_the_size_of_files() {
    let stage = Stage::new();
    let program = stage.dir.path().join("program");
    let said = stage.run(|child| {
        let script = format!(
            "trap '' XFSZ; ulimit -f 8; exec '{}' --ignored --exact child::keep_a_log --nocapture --quiet",
            program.display()
        );
        let mut limited = Command::new("sh");
        limited.args(["-c", &script]);
        limited.envs(child.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))));
        if is_superuser() {
            limited.uid(NOBODY).gid(NOBODY);
        }
        *child = limited;
    });
    assert!(
        said.iter().any(|line| line.starts_with("failed") && line.contains("File too large")),
        "{said:?}"
    );
    assert!(!said.iter().any(|line| line.starts_with("ack")), "{said:?}");
    // Without the limit all is there and goes on.
    let said = stage.run(|_| {});
    assert_eq!(said.first().map(String::as_str), Some("opened 11"), "{said:?}");
    assert!(said.iter().any(|line| line == "done"), "{said:?}");
}
