//! Builds the recorder, once, and starts children under it.

use crate::child::{Plan, TOLD, command};
use crate::record::{self, Entry};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a child may take; it says why if it cannot go on.
const CHILD: Duration = Duration::from_secs(20);

/// A folder in memory if there is such a place: these tests move many bytes.
pub(crate) fn fast_folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// The library, made of its source by the C compiler of this machine.
fn library() -> &'static Path {
    static MADE: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = MADE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("recorder.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/shim/recorder.c");
        let made = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&path).arg(source).output();
        let made = made.expect(
            "these tests need a C compiler: install `cc`, on Debian with `apt-get install gcc libc6-dev`",
        );
        assert!(made.status.success(), "cc: {}", String::from_utf8_lossy(&made.stderr));
        (dir, path)
    });
    path
}

/// A stage for children: a folder that is watched, with a log's folder in it.
pub(crate) struct Stage {
    dir: TempDir,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let dir = fast_folder();
        std::fs::create_dir(dir.path().join("watched")).unwrap();
        Self { dir }
    }

    fn watched(&self) -> PathBuf {
        self.dir.path().join("watched").canonicalize().unwrap()
    }

    /// Where the child keeps its log.
    pub(crate) fn log(&self) -> PathBuf {
        self.watched().join("log")
    }

    /// Runs a child to its end, with more settings for the recorder, and answers what it did.
    pub(crate) fn run(&self, plan: Plan, settings: &[(&str, String)]) -> Vec<Entry> {
        let (written, told) = (self.dir.path().join("record"), self.dir.path().join("told"));
        std::fs::write(&told, "").unwrap();
        let mut command = command(&self.log(), plan);
        command
            .env("LD_PRELOAD", library())
            .env("RECORDER_UNDER", self.watched())
            .env("RECORDER_LOG", &written);
        command.env(TOLD, told.canonicalize().unwrap());
        command.envs(settings.iter().map(|(name, value)| (name, value)));
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let status = end(child);
        let entries = record::read(&std::fs::read(&written).unwrap(), &self.watched());
        assert_eq!(
            status,
            Some(0),
            "the child ended with {status:?} under {settings:?}: {:?}",
            record::told(&entries)
        );
        entries
    }
}

/// Waits for a child, within bounds.
fn end(mut child: Child) -> Option<i32> {
    let until = Instant::now() + CHILD;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if Instant::now() > until {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("the child did not end within {CHILD:?}");
        }
        thread::sleep(Duration::from_millis(2));
    }
}
