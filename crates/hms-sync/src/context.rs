//! What a handler is given besides the record: the way to the other sides.

use crate::error::SyncError;
use hms_sync_engine::{Call, Engine, Reply, Wake};
use hms_sync_model::{Clock, JobName, RecordId, SideName};
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// One call of a handler: for one record, as it now is.
#[derive(Debug, Clone)]
pub struct Context {
    call: Arc<CallOf>,
}

#[derive(Debug)]
struct CallOf {
    engine: Engine,
    record: RecordId,
    job: JobName,
    clock: Clock,
    asked: AtomicU32,
}

/// A request that is durable: it will be delivered, whatever happens to the
/// target or to this process, and its outcome is in the record's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The record whose history holds it.
    pub record: RecordId,
}

impl Context {
    pub(crate) fn new(call: &Call) -> Self {
        let of = CallOf {
            engine: call.engine.clone(),
            record: call.record.clone(),
            job: call.job.clone(),
            clock: call.clock.clone(),
            asked: AtomicU32::new(0),
        };
        Self { call: Arc::new(of) }
    }

    /// The id of the record inside hms-sync, for `hms-sync history`.
    pub fn record(&self) -> &RecordId {
        &self.call.record
    }

    /// A side to send something to.
    pub fn target(&self, side: &str) -> Target {
        Target { call: Arc::clone(&self.call), side: side.to_owned() }
    }
}

/// A side that a handler sends requests to.
///
/// Requests for one record leave in the order in which they were asked for, one
/// at a time, each with the same `Idempotency-Key` on every attempt. The call
/// number is part of the key: a handler that is called again after a crash must
/// ask for the same requests in the same order, as one without randomness does.
#[derive(Debug, Clone)]
pub struct Target {
    call: Arc<CallOf>,
    side: String,
}

impl Target {
    /// Sends `body` with POST to `path` below the side's URL.
    pub async fn post(&self, path: &str, body: impl Serialize) -> Result<Accepted, SyncError> {
        self.send("POST", path, Some(&body)).await
    }

    /// Sends `body` with PUT to `path` below the side's URL.
    pub async fn put(&self, path: &str, body: impl Serialize) -> Result<Accepted, SyncError> {
        self.send("PUT", path, Some(&body)).await
    }

    /// Sends `body` with PATCH to `path` below the side's URL.
    pub async fn patch(&self, path: &str, body: impl Serialize) -> Result<Accepted, SyncError> {
        self.send("PATCH", path, Some(&body)).await
    }

    /// Sends DELETE to `path` below the side's URL.
    pub async fn delete(&self, path: &str) -> Result<Accepted, SyncError> {
        self.send("DELETE", path, None::<&()>).await
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<Accepted, SyncError> {
        let n = self.call.asked.fetch_add(1, Ordering::Relaxed);
        let target = SideName::try_new(self.side.as_str())?;
        let body = match body {
            Some(body) => serde_json::to_string(body)
                .map_err(|why| SyncError::Body { path: path.into(), why: why.to_string() })?,
            None => String::new(),
        };
        let (method, path) = (method.to_owned(), path.to_owned());
        let CallOf { record, job, clock, .. } = &*self.call;
        let (record, job, clock) = (record.clone(), job.clone(), clock.clone());
        let queue = {
            let record = record.clone();
            move |reply| Wake::Queue { record, job, clock, n, target, method, path, body, reply }
        };
        match self.call.engine.ask(queue).await? {
            Reply::Done | Reply::Count(_) | Reply::Made(_) | Reply::Stale(_) => Ok(Accepted { record }),
            Reply::Refused(why) => Err(SyncError::Refused { why }),
        }
    }
}
