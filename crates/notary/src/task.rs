//! The task that signs beside the sync: when there are many new events, or some and the
//! last checkpoint is old. Witnesses are asked in a task of their own, one round at a time.
//!
//! What never happens here: ending because something failed, or holding the log open once
//! it was told to stop.

use crate::notary::{Notary, Signed};
use crate::witness;
use hms_sync_changelog::Log;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How often it is looked whether a checkpoint is due.
const LOOK: Duration = Duration::from_millis(250);

/// The task.
#[derive(Debug)]
pub struct Signing {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Signing {
    /// Signs a last time and ends; the log is let go of.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(why) = self.task.await {
            tracing::warn!(%why, "signing did not end by itself");
        }
    }
}

/// Begins to sign.
pub fn begin(notary: Notary, log: Log) -> Signing {
    let (stop, stopped) = watch::channel(false);
    Signing { stop, task: tokio::spawn(run(notary, log, stopped)) }
}

async fn run(notary: Notary, log: Log, mut stopped: watch::Receiver<bool>) {
    let http = client(&notary);
    let (mut last, mut signed) = (Instant::now(), None);
    let mut asking: Option<JoinHandle<()>> = None;
    loop {
        let stop = tokio::time::timeout(LOOK, stopped.wait_for(|stop| *stop)).await.is_ok();
        let size = signed.unwrap_or(0);
        let fresh = log.head().saturating_sub(size);
        let settings = notary.settings();
        let due = signed.is_none() || fresh >= settings.every_events || last.elapsed() >= settings.every;
        if stop || (due && (fresh > 0 || signed.is_none())) {
            last = Instant::now();
            let now = sign(&notary, &log).await;
            // After a refusal it is asked again when the next is due.
            signed = Some(now.as_ref().map_or(log.head(), |now| now.head.size));
            let idle = asking.as_ref().is_none_or(JoinHandle::is_finished);
            if let (Some(now), Some(http), true, false) = (now, &http, idle, stop) {
                asking = Some(ask(&notary, &log, http, now));
            }
        }
        if stop {
            break;
        }
    }
    if let Some(asking) = asking {
        asking.abort();
        // It lets go of the log before it ends.
        drop(asking.await);
    }
}

/// What witnesses are asked with; nothing if there are none. To make it the machine's
/// certificates are read, which takes some milliseconds.
fn client(notary: &Notary) -> Option<reqwest::Client> {
    let settings = notary.settings();
    if settings.witnesses.is_empty() {
        return None;
    }
    witness::client(settings.witness_patience).map_err(|why| notary.trouble(&why.into())).ok()
}

async fn sign(notary: &Notary, log: &Log) -> Option<Signed> {
    let (notary, log) = (notary.clone(), log.clone());
    // What goes wrong is noted where `status` shows it.
    tokio::task::spawn_blocking(move || notary.sign(&log).ok()).await.ok().flatten()
}

fn ask(notary: &Notary, log: &Log, http: &reqwest::Client, signed: Signed) -> JoinHandle<()> {
    let (notary, log, http) = (notary.clone(), log.clone(), http.clone());
    tokio::spawn(async move { witness::ask_all(&notary, &log, &http, signed).await })
}
