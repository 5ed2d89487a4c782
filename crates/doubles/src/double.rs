//! A running double, and what a test can do with it.

use crate::effect::{self, Effect, Operation};
use crate::faults::{Down, Faults};
use crate::hook::{Hook, HookCounts, Message, Postman};
use crate::kind::Kind;
use crate::server::{self, Counts, Draws};
use crate::store::{Reply, Store, Write};
use serde_json::Value as Json;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// What a double is from its start on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The port to listen on; 0 for a free one.
    pub port: u16,
    /// Chance is drawn from this.
    pub seed: u64,
    /// Whether a second record with the same permit number is refused (409).
    pub unique: bool,
    /// Whether a repeated `Idempotency-Key` is carried out once.
    pub idempotency: bool,
}

impl Options {
    /// The clerk takes a permit number once and knows no keys; the marshal
    /// takes what comes and honours keys.
    pub fn of(kind: Kind) -> Self {
        let clerk = kind == Kind::Clerk;
        Self { port: 0, seed: 1, unique: clerk, idempotency: !clerk }
    }
}

/// Why a double does not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum DoubleError {
    /// The port cannot be had.
    #[error("cannot listen on port {port}")]
    Listen {
        /// The port that was asked for.
        port: u16,
        /// What the system said.
        source: std::io::Error,
    },
    /// A webhook's address or secret is wrong.
    #[error("webhooks cannot be sent: {0}")]
    Hook(String),
}

pub(crate) struct Shared {
    pub(crate) kind: Kind,
    pub(crate) down: watch::Sender<Option<Down>>,
    seed: u64,
    store: Mutex<Store>,
    draws: Mutex<Draws>,
    faults: RwLock<Arc<Faults>>,
    outbox: Mutex<Option<mpsc::UnboundedSender<Message>>>,
    hooks: Arc<HookCounts>,
}

impl Shared {
    pub(crate) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn draws(&self) -> MutexGuard<'_, Draws> {
        self.draws.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn faults(&self) -> Arc<Faults> {
        Arc::clone(&self.faults.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Microseconds since 1970.
    pub(crate) fn now() -> i64 {
        chrono::Utc::now().timestamp_micros()
    }

    pub(crate) fn set_faults(self: &Arc<Self>, faults: Faults) {
        {
            let mut store = self.store();
            store.frozen = faults.frozen_clock;
            store.bad = faults.store;
        }
        let (down, back_after) = (faults.down, faults.back_after_ms);
        *self.faults.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(faults);
        self.down.send_if_modified(|now| std::mem::replace(now, down) != down);
        if let (Some(_), Some(after)) = (down, back_after) {
            let shared = Arc::clone(self);
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(after)).await;
                shared.set_faults(Faults {
                    down: None,
                    back_after_ms: None,
                    ..Faults::clone(&shared.faults())
                });
            });
        }
    }

    /// Must be called inside a runtime.
    pub(crate) fn set_hook(&self, hook: Option<&Hook>) -> Result<(), DoubleError> {
        let mut outbox = self.outbox.lock().unwrap_or_else(PoisonError::into_inner);
        *outbox = None;
        if let Some(hook) = hook {
            let event = match self.kind {
                Kind::Clerk => "permit",
                Kind::Marshal => "inspection",
            };
            let postman = Postman::new(hook, event, Arc::clone(&self.hooks), self.seed)?;
            let (sender, inbox) = mpsc::unbounded_channel();
            tokio::spawn(postman.run(inbox));
            *outbox = Some(sender);
        }
        Ok(())
    }

    /// An edit by a user of the system. The lock orders webhooks as the edits are.
    pub(crate) fn edit(&self, operation: Operation, id: Option<&str>, body: &Json) -> Reply {
        let body = serde_json::to_vec(body).unwrap_or_default();
        let id = id.and_then(|id| self.kind.parse_id(id));
        let now = Self::now();
        let mut store = self.store();
        let reply =
            store.write(Write { operation, id, body: &body, key: None, only_if: None, by_user: true }, now);
        if reply.status.is_success()
            && let Some(outbox) = self.outbox.lock().unwrap_or_else(PoisonError::into_inner).as_ref()
        {
            let mut message = Message::new(event(operation), now, &reply);
            if operation == Operation::Delete {
                let id = id.map_or(Json::Null, |id| self.kind.id_json(id));
                message.record = serde_json::json!({ "id": id }).to_string().into();
            }
            // A postman that has ended counts what it could not deliver as given up.
            if outbox.send(message).is_err() {
                self.hooks.given_up.fetch_add(1, Ordering::Relaxed);
            }
        }
        reply
    }

    pub(crate) fn counts(&self) -> Counts {
        let mut counts = self.draws().counts;
        counts.hooks_delivered = self.hooks.delivered.load(Ordering::Relaxed);
        counts.hooks_given_up = self.hooks.given_up.load(Ordering::Relaxed);
        counts
    }

    pub(crate) fn seed_records(&self, from: u64, n: u64) {
        for number in from..from.saturating_add(n) {
            self.edit(Operation::Create, None, &self.kind.sample(number));
        }
    }
}

fn event(operation: Operation) -> &'static str {
    match operation {
        Operation::Create => "created",
        Operation::Update => "updated",
        Operation::Delete => "deleted",
    }
}

/// A running double. Dropping it stops it.
#[derive(Debug)]
pub struct Double {
    shared: Arc<Shared>,
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        self.server.abort();
        // Ends what is still connected.
        self.shared.down.send_replace(Some(Down::Refused));
    }
}

impl Double {
    /// Starts one on the loopback address.
    pub async fn start(kind: Kind, options: Options) -> Result<Self, DoubleError> {
        let refused = |source| DoubleError::Listen { port: options.port, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let shared = Arc::new(Shared {
            kind,
            seed: options.seed,
            store: Mutex::new(Store::new(kind, options.unique, options.idempotency)),
            draws: Mutex::new(Draws::new(options.seed)),
            faults: RwLock::default(),
            down: watch::Sender::new(None),
            outbox: Mutex::default(),
            hooks: Arc::default(),
        });
        let server = tokio::spawn(server::serve(Arc::clone(&shared), address, listener));
        Ok(Self { shared, address, server })
    }

    /// A County Clerk with the usual options.
    pub async fn clerk() -> Result<Self, DoubleError> {
        Self::start(Kind::Clerk, Options::of(Kind::Clerk)).await
    }

    /// A Fire Marshal with the usual options.
    pub async fn marshal() -> Result<Self, DoubleError> {
        Self::start(Kind::Marshal, Options::of(Kind::Marshal)).await
    }

    /// Where it is, as `http://127.0.0.1:12345`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Which system it stands for.
    pub fn kind(&self) -> Kind {
        self.shared.kind
    }

    /// Sets what goes wrong from now on. With [`Faults::back_after_ms`] it must be
    /// called inside a tokio runtime.
    pub fn set_faults(&self, faults: Faults) {
        self.shared.set_faults(faults);
    }

    /// Changes some of what goes wrong.
    pub fn faults(&self, change: impl FnOnce(&mut Faults)) {
        let mut faults = Faults::clone(&self.shared.faults());
        change(&mut faults);
        self.shared.set_faults(faults);
    }

    /// Sends a webhook for each edit by a user from now on; nothing ends that.
    /// Must be called inside a tokio runtime.
    pub fn set_hook(&self, hook: Option<&Hook>) -> Result<(), DoubleError> {
        self.shared.set_hook(hook)
    }

    /// A user makes a record; answers its id, or what the system said against it.
    pub fn create(&self, record: &Json) -> Result<String, String> {
        let reply = self.edited(Operation::Create, None, record)?;
        let made: Json = serde_json::from_slice(&reply.body).map_err(|e| e.to_string())?;
        let id = made
            .get("id")
            .and_then(|id| id.as_u64().map(|n| n.to_string()).or(id.as_str().map(str::to_owned)));
        id.ok_or_else(|| "a record without id".to_owned())
    }

    /// A user changes fields of a record.
    pub fn update(&self, id: &str, patch: &Json) -> Result<(), String> {
        self.edited(Operation::Update, Some(id), patch).map(drop)
    }

    /// A user deletes a record.
    pub fn delete(&self, id: &str) -> Result<(), String> {
        self.edited(Operation::Delete, Some(id), &Json::Null).map(drop)
    }

    fn edited(&self, operation: Operation, id: Option<&str>, body: &Json) -> Result<Reply, String> {
        let reply = self.shared.edit(operation, id, body);
        if reply.status.is_success() {
            Ok(reply)
        } else {
            Err(String::from_utf8_lossy(&reply.body).into_owned())
        }
    }

    /// Users make `n` records, numbered from `from`, as [`Kind::sample`] has them.
    pub fn seed_records(&self, from: u64, n: u64) {
        self.shared.seed_records(from, n);
    }

    /// One record by its id.
    pub fn get(&self, id: &str) -> Option<Json> {
        let id = self.shared.kind.parse_id(id)?;
        let reply = self.shared.store().get(id);
        serde_json::from_slice(&reply.body).ok().filter(|_| reply.status.is_success())
    }

    /// The records with this permit number; more than one only where that was allowed.
    pub fn find(&self, permit_no: &str) -> Vec<Json> {
        let store = self.shared.store();
        let found = store.find(permit_no).iter().map(|id| store.get(*id).body);
        found.filter_map(|body| serde_json::from_slice(&body).ok()).collect()
    }

    /// All records as they are now, in order of their ids.
    pub fn records(&self) -> Vec<Json> {
        let all = self.shared.store().snapshot();
        all.iter().filter_map(|bytes| serde_json::from_slice(bytes).ok()).collect()
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.shared.store().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every write that the API carried out, in order.
    pub fn effects(&self) -> Vec<Effect> {
        self.shared.store().effects().to_vec()
    }

    /// How many records the API made for a permit number that it had made one for already.
    pub fn doubled(&self) -> usize {
        effect::doubled(self.shared.store().effects())
    }

    /// What it was asked so far.
    pub fn counts(&self) -> Counts {
        self.shared.counts()
    }

    /// Forgets the `Idempotency-Key`s it has seen, as systems do after a day.
    pub fn forget_keys(&self) {
        self.shared.store().forget_keys();
    }
}
