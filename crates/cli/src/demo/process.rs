//! The process that runs the sync: this same program, started with a generated
//! configuration, so that it can be killed and started again. It ends when its
//! standard input does, and so never outlives the demo.

use crate::demo::heard::Heard;
use crate::demo::timeline::Timeline;
use crate::exit::{Exit, Failure};
use std::collections::VecDeque;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

/// How many of its last log lines are kept, to be shown if the story fails.
const LINES_KEPT: usize = 40;
/// How long an orderly end may take.
const END_PATIENCE: Duration = Duration::from_secs(30);

/// A running process.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    readers: [JoinHandle<()>; 2],
    last_lines: Lines,
}

/// The last log lines of all processes of the demo.
pub(crate) type Lines = Arc<Mutex<VecDeque<String>>>;

impl Process {
    /// Starts it. What it tells goes to the timeline.
    pub(crate) fn start(config: &Path, told: &Timeline, last_lines: &Lines) -> Result<Self, Failure> {
        let broken =
            |why: std::io::Error| Failure::new(Exit::Failed, format!("the sync cannot be started: {why}"));
        let program = std::env::current_exe().map_err(broken)?;
        let mut child = Command::new(program)
            .args(["run", "--events", "--stop-with-stdin", "-q"])
            .arg(config)
            .env_remove("RUST_LOG")
            .env("NO_COLOR", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(broken)?;
        let (Some(out), Some(err)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(Failure::new(Exit::Failed, "the sync cannot be heard"));
        };
        let timeline = told.clone();
        let hear = tokio::spawn(lines(BufReader::new(out), move |line| {
            if let Ok(heard) = serde_json::from_str::<Heard>(line) {
                timeline.hear(&heard);
            }
        }));
        let keep = Arc::clone(last_lines);
        let log = tokio::spawn(lines(BufReader::new(err), move |line| {
            let mut kept = keep.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() >= LINES_KEPT {
                kept.pop_front();
            }
            kept.push_back(line.to_owned());
        }));
        Ok(Self { child, readers: [hear, log], last_lines: Arc::clone(last_lines) })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id().unwrap_or(0)
    }

    /// Fails if it has ended by itself.
    pub(crate) fn alive(&mut self) -> Result<(), Failure> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => {
                Err(Failure::new(Exit::Failed, format!("the sync ended by itself: {status}")))
            }
            Err(why) => Err(Failure::new(Exit::Failed, format!("the sync cannot be watched: {why}"))),
        }
    }

    /// Ends it at once, as `kill -9` does.
    pub(crate) async fn kill(mut self) -> Result<(), Failure> {
        let killed = self.child.kill().await;
        self.hear_out().await;
        killed.map_err(|why| Failure::new(Exit::Failed, format!("the sync cannot be killed: {why}")))
    }

    /// Has it end in order.
    pub(crate) async fn stop(mut self) -> Result<(), Failure> {
        drop(self.child.stdin.take());
        let ended = tokio::time::timeout(END_PATIENCE, self.child.wait()).await;
        match ended {
            Ok(Ok(status)) if status.success() => {
                self.hear_out().await;
                Ok(())
            }
            Ok(Ok(status)) => Err(Failure::new(Exit::Failed, format!("the sync did not end well: {status}"))),
            Ok(Err(why)) => Err(Failure::new(Exit::Failed, format!("the sync cannot be watched: {why}"))),
            Err(_) => Err(Failure::new(Exit::Failed, "the sync did not end when it was asked to")),
        }
    }

    /// Reads what is left of its output.
    async fn hear_out(&mut self) {
        for reader in &mut self.readers {
            if reader.await.is_err() {
                let mut kept = self.last_lines.lock().unwrap_or_else(PoisonError::into_inner);
                kept.push_back("(some of its output was lost)".to_owned());
            }
        }
    }
}

async fn lines(mut from: impl AsyncBufRead + Unpin, mut each: impl FnMut(&str)) {
    let mut line = String::new();
    // Its lines are its own: bounded by the fields of the demo's permits.
    while from.read_line(&mut line).await.is_ok_and(|n| n > 0) {
        each(line.trim_end());
        line.clear();
    }
}
