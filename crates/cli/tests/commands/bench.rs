//! Two systems, a configuration for them in a folder, and the command.

use hms_sync_doubles::Double;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const TEMPLATE: &str = include_str!("../../src/demo/permit-sync.yaml");
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Bench {
    pub(crate) clerk: Double,
    pub(crate) marshal: Double,
    pub(crate) folder: TempDir,
    /// Keeps both systems going.
    _runtime: tokio::runtime::Runtime,
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        assert_eq!(self.code, 0, "{self:?}");
        serde_json::from_str(&self.out).unwrap()
    }
}

pub(crate) fn hms_sync(args: &[&str]) -> Ran {
    Ran::of(command(args).output().unwrap())
}

pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hms-sync"));
    command.args(args);
    for name in ["RUST_LOG", "NO_COLOR", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    command
}

/// Waits for a condition, and no longer than is reasonable.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let by = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < by, "waited for {what} in vain");
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(|yaml| yaml)
    }

    /// With the configuration changed by `change`.
    pub(crate) fn with(change: impl FnOnce(String) -> String) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (clerk, marshal) =
            runtime.block_on(async { (Double::clerk().await.unwrap(), Double::marshal().await.unwrap()) });
        let folder = tempfile::tempdir().unwrap();
        let yaml = TEMPLATE
            .replace("@DATA@", &folder.path().join("data").display().to_string())
            .replace("@PORT@", "0")
            .replace("@CLERK@", &clerk.url())
            .replace("@MARSHAL@", &marshal.url())
            .replace("@SECRET@", "whsec_dGVzdC1zZWNyZXQtdGVzdC1zZWNyZXQtdGVzdA==");
        std::fs::write(folder.path().join("sync.yaml"), change(yaml)).unwrap();
        Self { clerk, marshal, folder, _runtime: runtime }
    }

    pub(crate) fn file(&self) -> String {
        self.folder.path().join("sync.yaml").display().to_string()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A command on this configuration: `["history", "permit/P-1"]`.
    pub(crate) fn ask(&self, args: &[&str]) -> Ran {
        let file = self.file();
        let mut all = vec![args[0], file.as_str()];
        all.extend(&args[1..]);
        hms_sync(&all)
    }

    /// Starts the sync and waits until it answers.
    pub(crate) fn run(&self) -> Sync {
        self.run_with(&[])
    }

    /// The same, with more options.
    pub(crate) fn run_with(&self, options: &[&str]) -> Sync {
        let mut child = command(&["run", &self.file(), "--stop-with-stdin"])
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut err = BufReader::new(child.stderr.take().unwrap());
        // A fast first poll is told before this line.
        let mut said = String::new();
        while !said.contains("runs; management at") {
            assert!(err.read_line(&mut said).unwrap() > 0, "the sync did not start: {said}");
        }
        // Read on, so that it never waits for us.
        let rest = std::thread::spawn(move || rest(said, err));
        Sync { child, rest: Some(rest) }
    }
}

fn rest(mut said: String, mut err: BufReader<ChildStderr>) -> String {
    err.read_to_string(&mut said).unwrap();
    said
}

/// A running sync. Dropping it kills it.
pub(crate) struct Sync {
    pub(crate) child: Child,
    rest: Option<std::thread::JoinHandle<String>>,
}

impl Sync {
    /// Has it end in order; answers its exit code and what it logged.
    pub(crate) fn stop(mut self) -> (i32, String) {
        drop(self.child.stdin.take());
        self.wait()
    }

    pub(crate) fn wait(&mut self) -> (i32, String) {
        let mut code = None;
        until("the sync to end", || {
            code = self.child.try_wait().unwrap();
            code.is_some()
        });
        let logged = self.rest.take().unwrap().join().unwrap();
        (code.and_then(|status| status.code()).unwrap_or(-1), logged)
    }

    #[cfg(unix)]
    pub(crate) fn interrupt(&self) {
        let sent = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Sync {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
