//! The way to one side: so many requests at once, the others in line behind them, and
//! none while the side has asked for a pause. Nothing is decided here and nothing kept:
//! what stands in line is lost with the process, as what is under way is.
//!
//! Whoever is done takes the next from the line, in the same task: a task for each
//! request, most of which only wait, costs as much as the engine does.

use crate::wake::Wake;
use hms_sync_connector::{Connector, RawRequest, WriteRequest};
use hms_sync_model::{Outcome, RecordId, SideName};
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle as Runtime;

/// One request, and what it is for.
#[derive(Debug)]
pub(crate) enum Errand {
    /// A write, of the `Intended` event with this version.
    Write { record: RecordId, version: u64, request: WriteRequest },
    /// A handler's request, of the `Queued` event with this version.
    Send { record: RecordId, version: u64, request: RawRequest },
}

/// Who is told what became of a request.
pub(crate) type Tell = Box<dyn Fn(Wake) + Send + Sync>;

/// The way to one side.
pub(crate) struct Way {
    side: SideName,
    connector: Arc<dyn Connector>,
    tell: Tell,
    in_flight_max: usize,
    line: Mutex<Line>,
}

#[derive(Default)]
struct Line {
    waiting: VecDeque<Errand>,
    /// Tasks that carry errands out.
    runners: usize,
    paused_until: Option<Instant>,
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Way").field("side", &self.side).finish_non_exhaustive()
    }
}

impl Way {
    pub(crate) fn new(
        side: SideName,
        connector: Arc<dyn Connector>,
        in_flight_max: usize,
        tell: Tell,
    ) -> Self {
        Self { side, connector, tell, in_flight_max: in_flight_max.max(1), line: Mutex::default() }
    }

    /// Has a request carried out when there is room.
    pub(crate) fn send(self: &Arc<Self>, runtime: &Runtime, errand: Errand) {
        let mut line = self.line();
        if line.runners >= self.in_flight_max {
            line.waiting.push_back(errand);
            return;
        }
        line.runners += 1;
        drop(line);
        runtime.spawn(Runner(Arc::clone(self)).run(errand));
    }

    /// The next in line. With none, the runner who asks is one no more.
    fn next(&self) -> Option<Errand> {
        let mut line = self.line();
        let next = line.waiting.pop_front();
        if next.is_none() {
            line.runners = line.runners.saturating_sub(1);
        }
        next
    }

    /// How long the side still wants to be left alone.
    fn pause(&self) -> Option<Duration> {
        let until = self.line().paused_until;
        until?.checked_duration_since(Instant::now()).filter(|wait| !wait.is_zero())
    }

    /// Carries one errand out. What would come too early is not sent at all.
    async fn go(&self, errand: Errand) -> Wake {
        let side = self.side.clone();
        match errand {
            Errand::Write { record, version, request } => {
                let outcome = match self.too_early() {
                    Some(outcome) => outcome,
                    None => self.heard(self.connector.write(request).await),
                };
                Wake::Wrote { record, side, version, outcome }
            }
            Errand::Send { record, version, request } => {
                let outcome = match self.too_early() {
                    Some(outcome) => outcome,
                    None => self.heard(self.connector.send(request).await),
                };
                Wake::Sent { record, target: side, version, outcome }
            }
        }
    }

    fn too_early(&self) -> Option<Outcome> {
        let reason = "the side has just asked for a pause".to_owned();
        self.pause().map(|wait| Outcome::RetryLater { reason, after: Some(wait), side_wide: true })
    }

    /// Notes a pause that the side asks for.
    fn heard(&self, outcome: Outcome) -> Outcome {
        if let Outcome::RetryLater { after: Some(after), side_wide: true, .. } = &outcome {
            let mut line = self.line();
            line.paused_until = line.paused_until.max(Instant::now().checked_add(*after));
        }
        outcome
    }

    /// Nothing that can panic is done with the line.
    fn line(&self) -> std::sync::MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task that carries errands out, one after the other.
struct Runner(Arc<Way>);

impl Runner {
    async fn run(self, first: Errand) {
        let mut next = Some(first);
        while let Some(errand) = next {
            let wake = self.0.go(errand).await;
            (self.0.tell)(wake);
            next = self.0.next();
        }
    }
}

impl Drop for Runner {
    /// A connector that panics takes its own request along, and nobody else's.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        if let (Some(errand), Ok(runtime)) = (self.0.next(), Runtime::try_current()) {
            runtime.spawn(Self(Arc::clone(&self.0)).run(errand));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]
    use super::*;
    use futures_util::FutureExt;
    use futures_util::future::BoxFuture;
    use hms_sync_connector::{
        Abilities, Delivery, LookupRequest, Observation, Page, RawWebhook, ReadError, ReadRequest,
        WebhookError,
    };
    use hms_sync_model::{CollectionName, IdempotencyKey, NativeId};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{Receiver, channel};

    /// A side that notes what comes, panics at `/panic`, and asks for a pause at `/pause`.
    #[derive(Debug, Default)]
    struct Odd {
        under_way: AtomicUsize,
        most: AtomicUsize,
        came: Mutex<Vec<String>>,
    }

    impl Odd {
        async fn take(&self, path: String) -> Outcome {
            self.came.lock().unwrap().push(path.clone());
            let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            tokio::task::yield_now().await;
            self.under_way.fetch_sub(1, Ordering::SeqCst);
            assert_ne!(path, "/panic");
            match path.as_str() {
                "/pause" => {
                    let after = Some(Duration::from_mins(1));
                    Outcome::RetryLater { reason: "too much".into(), after, side_wide: true }
                }
                _ => Outcome::Noop,
            }
        }
    }

    fn none<T: Send + 'static>() -> BoxFuture<'static, T> {
        std::future::pending().boxed()
    }

    impl Connector for Odd {
        fn abilities(&self, _: &CollectionName) -> Abilities {
            Abilities::default()
        }
        fn check(&self, _: &CollectionName) -> BoxFuture<'_, Result<String, ReadError>> {
            none()
        }
        fn read(&self, _: ReadRequest) -> BoxFuture<'_, Result<Page, ReadError>> {
            none()
        }
        fn fetch(&self, _: CollectionName, _: NativeId) -> BoxFuture<'_, Result<Observation, ReadError>> {
            none()
        }
        fn lookup(&self, _: LookupRequest) -> BoxFuture<'_, Result<Vec<Observation>, ReadError>> {
            none()
        }
        fn write(&self, _: WriteRequest) -> BoxFuture<'_, Outcome> {
            none()
        }
        fn send(&self, request: RawRequest) -> BoxFuture<'_, Outcome> {
            self.take(request.path).boxed()
        }
        fn webhook(&self, _: &CollectionName, _: &RawWebhook) -> Result<Delivery, WebhookError> {
            Err(WebhookError::NotConfigured)
        }
    }

    /// Sends one request for each path, two at once, and hears the outcome of `answers` of them.
    fn sent(paths: &[&str], answers: usize) -> (Arc<Odd>, Vec<(u64, Outcome)>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (odd, side) = (Arc::new(Odd::default()), SideName::try_new("odd").unwrap());
        let (give, take): (_, Receiver<Wake>) = channel();
        let tell = Box::new(move |wake| give.send(wake).unwrap());
        let way = Arc::new(Way::new(side, Arc::clone(&odd) as _, 2, tell));
        for (version, path) in (1..).zip(paths) {
            let (record, key) =
                (RecordId::try_new("permit/1"), IdempotencyKey::try_new(format!("k{version}")));
            let request = RawRequest {
                method: "POST".into(),
                path: (*path).into(),
                body: String::new(),
                key: key.unwrap(),
            };
            way.send(runtime.handle(), Errand::Send { record: record.unwrap(), version, request });
        }
        let mut heard = Vec::new();
        while heard.len() < answers {
            runtime.block_on(tokio::task::yield_now());
            heard.extend(take.try_iter().map(|wake| match wake {
                Wake::Sent { version, outcome, .. } => (version, outcome),
                other => panic!("{other:?}"),
            }));
        }
        (odd, heard)
    }

    #[test]
    fn no_more_at_once_than_may_be_and_the_others_in_order() {
        let paths = ["/1", "/2", "/3", "/4", "/5", "/6", "/7", "/8", "/9"];
        let (odd, _) = sent(&paths, 9);
        assert_eq!(odd.most.load(Ordering::SeqCst), 2);
        // Which of the first two is looked at first is the runtime's choice.
        let mut came = odd.came.lock().unwrap().clone();
        came[..2].sort();
        assert_eq!(came, paths);
    }

    #[test]
    fn a_connector_that_panics_holds_nobody_else_up() {
        let (_, heard) = sent(&["/panic", "/panic", "/a", "/panic", "/panic", "/a", "/a"], 3);
        let mut versions: Vec<u64> = heard.iter().map(|(version, _)| *version).collect();
        versions.sort_unstable();
        assert_eq!(versions, [3, 6, 7]);
    }

    #[test]
    fn what_stands_in_line_is_not_sent_once_the_side_asks_for_a_pause() {
        let (odd, heard) = sent(&["/pause", "/pause", "/a", "/a", "/a"], 5);
        assert_eq!(odd.came.lock().unwrap().len(), 2);
        assert!(
            heard.iter().all(|(_, outcome)| matches!(outcome, Outcome::RetryLater { side_wide: true, .. }))
        );
    }
}
