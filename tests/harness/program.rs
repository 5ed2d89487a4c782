//! The real `hms-sync` binary, as a child that ends with its handle.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// How long an orderly end, or an answer, may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The workspace's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the workspace").to_owned()
}

/// The program of a server from a registry.
pub(crate) fn server(name: &str) -> PathBuf {
    let bin =
        std::env::var_os("HMS_SYNC_SERVERS").map_or_else(|| root().join("target/servers/bin"), PathBuf::from);
    let program = bin.join(name);
    assert!(program.is_file(), "{} is missing: `cargo xtask servers` gets it", program.display());
    program
}

/// A loopback port that nobody listens at.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port()
}

/// The binary beside this test's own, built with the same profile if cargo is at hand.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let test = std::env::current_exe().expect("a test has a path");
        let folder = test.parent().and_then(Path::parent).expect("tests lie in target/<profile>/deps");
        if let Some(cargo) = std::env::var_os("CARGO") {
            let profile = folder.file_name().and_then(|name| name.to_str()).unwrap_or("debug");
            let profile = if profile == "debug" { "dev" } else { profile };
            let mut build = std::process::Command::new(cargo);
            build.args(["build", "--quiet", "-p", "hms-sync-cli", "--bin", "hms-sync", "--profile", profile]);
            build.arg("--target-dir").arg(folder.parent().expect("a profile lies in target"));
            let built = build.current_dir(root()).status().expect("cargo can be called");
            assert!(built.success(), "the hms-sync binary cannot be built");
        }
        let binary = folder.join(format!("hms-sync{}", std::env::consts::EXE_SUFFIX));
        assert!(binary.is_file(), "{} is missing: cargo build -p hms-sync-cli", binary.display());
        binary
    })
}

/// A configuration with its environment and a folder of its own.
#[derive(Debug)]
pub struct Program {
    file: PathBuf,
    env: BTreeMap<String, String>,
    folder: TempDir,
    running: Option<Child>,
}

impl Program {
    /// For a configuration in the workspace. `DATA_DIR` and `MANAGEMENT` are set.
    pub fn new(file: &str, env: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let mut env: BTreeMap<String, String> =
            env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        env.insert("DATA_DIR".into(), folder.path().join("data").display().to_string());
        env.insert("MANAGEMENT".into(), "127.0.0.1:0".into());
        Self { file: root().join(file), env, folder, running: None }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(binary());
        let file = self.file.display().to_string();
        command.args(words.iter().map(|word| if *word == "FILE" { file.as_str() } else { word }));
        command.envs(&self.env).env("NO_COLOR", "1").env_remove("RUST_LOG").kill_on_drop(true);
        command
    }

    /// Starts `hms-sync run`.
    pub fn start(&mut self) {
        assert!(self.running.is_none(), "it runs already");
        self.start_with(&[], Stdio::null());
    }

    /// The same, with more words, and what it writes to standard output kept in [`Program::events`].
    pub fn start_telling(&mut self, words: &[&str]) {
        let events = std::fs::File::options().create(true).append(true).open(self.events());
        self.start_with(words, events.expect("a file for what it tells").into());
    }

    fn start_with(&mut self, words: &[&str], stdout: Stdio) {
        let log = std::fs::File::options().create(true).append(true).open(self.log()).expect("a log file");
        let mut command = self.command(&[&["run", "FILE", "--stop-with-stdin"], words].concat());
        command.stdin(Stdio::piped()).stdout(stdout).stderr(log);
        self.running = Some(command.spawn().expect("hms-sync can be started"));
    }

    /// The folder of its change log.
    pub fn data(&self) -> PathBuf {
        PathBuf::from(self.env.get("DATA_DIR").expect("it is set"))
    }

    /// Where what it tells is kept.
    pub fn events(&self) -> PathBuf {
        self.folder.path().join("events")
    }

    /// Keeps its change log in another folder. To be said before it starts.
    pub fn keep_in(&mut self, data: &Path) {
        self.env.insert("DATA_DIR".into(), data.display().to_string());
    }

    /// Where and how its API is asked: URL and token.
    pub fn access(&self) -> Option<(String, String)> {
        let text = std::fs::read(self.data().join("management.json")).ok()?;
        let access: serde_json::Value = serde_json::from_slice(&text).ok()?;
        Some((access["url"].as_str()?.to_owned(), access["token"].as_str()?.to_owned()))
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// What it has written to standard error, in all its lives.
    pub fn told(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// The most memory that it has had, in bytes.
    pub fn memory_peak(&self) -> u64 {
        let id = self.running.as_ref().and_then(Child::id).expect("it runs");
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("Linux tells");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM is told");
        line.trim().trim_end_matches("kB").trim().parse::<u64>().expect("a number of kB") * 1024
    }

    /// Ends it at once, as `kill -9` does.
    pub async fn kill(&mut self) {
        let mut child = self.running.take().expect("it runs");
        if let Some(ended) = child.try_wait().expect("it can be watched") {
            panic!("it ended by itself, {ended}:\n{}", self.told());
        }
        child.kill().await.expect("it can be killed");
    }

    /// Has it end in order.
    pub async fn stop(&mut self) {
        let mut child = self.running.take().expect("it runs");
        drop(child.stdin.take());
        let ended = tokio::time::timeout(PATIENCE, child.wait()).await.expect("it ends when asked to");
        assert!(ended.expect("it can be watched").success(), "it did not end well:\n{}", self.told());
    }

    /// Asks a command for JSON; `FILE` stands for the configuration.
    pub async fn ask(&self, words: &[&str]) -> serde_json::Value {
        let text = self.ask_text(words).await;
        serde_json::from_str(&text).unwrap_or_else(|why| panic!("{words:?} answers no JSON, {why}: {text}"))
    }

    /// Calls a command that must fail; answers with what it says.
    pub async fn refused(&self, words: &[&str]) -> String {
        let asked = tokio::time::timeout(PATIENCE, self.command(words).output()).await;
        let output = asked.expect("a command ends").expect("hms-sync can be started");
        assert!(!output.status.success(), "{words:?} goes well");
        String::from_utf8(output.stderr).expect("text")
    }

    /// Calls a command that must go well; answers with what it writes.
    pub async fn ask_text(&self, words: &[&str]) -> String {
        let asked = tokio::time::timeout(PATIENCE, self.command(words).output()).await;
        let output = asked.expect("a command ends").expect("hms-sync can be started");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {}\n{errors}\n{}", output.status, self.told());
        String::from_utf8(output.stdout).expect("text")
    }
}
