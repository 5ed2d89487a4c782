//! The driver: the machine's hands. One thread runs the machine, the log's
//! writer makes events durable, tasks talk to the sides; this file is the one
//! `match` that ties effects to them.
//!
//! Invariant: an effect that follows an event in a step is carried out only
//! after the event is durable. Tested by `tests/kill.rs` and the simulation.

use crate::error::EngineError;
use crate::happening::{Happening, What};
use crate::machine::Machine;
use crate::page::ShownPage;
use crate::plan::Plan;
use crate::wake::{Command, Effect, Now, Reply, ReplyTo, Wake};
use crate::way::{Errand, Way};
use futures_util::future::BoxFuture;
use hms_sync_changelog::{Log, LogError, Sealed, Writer};
use hms_sync_connector::Connector;
use hms_sync_model::{Clock, JobName, Lane, RecordId, Released, SideName, Time};
use hms_sync_vault::Vault;
use serde_json::Value as Json;
use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::runtime::Handle as Runtime;
use tokio::sync::{oneshot, watch};

/// Messages taken in before their events are handed to the log together. So few that it syncs
/// those of some while others are being taken in: 64 webhooks at once would otherwise go through
/// all stages together, and each of them would wait for the rest. What waits while the log
/// syncs is one commit all the same.
const GROUP_MAX: usize = 24;
/// The target of lines that speak of what happened to single records: there are many of them.
const RECORDS: &str = "hms_sync_engine::record";

/// The longest a clean stop waits for what is in flight.
const STOP_PATIENCE: Duration = Duration::from_secs(30);

/// What a handler is called with.
#[derive(Debug, Clone)]
pub struct Call {
    /// The record, as its side has it.
    pub document: Json,
    /// Which record.
    pub record: RecordId,
    /// Which handler.
    pub job: JobName,
    /// The state it is shown.
    pub clock: Clock,
    /// The engine that calls.
    pub engine: Engine,
}

/// A handler: code of the user's, called for each new or changed record.
pub type Handler = Arc<dyn Fn(Call) -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// Somebody who watches.
pub type Watcher = Arc<dyn Fn(&Happening) + Send + Sync>;

/// Everything an engine runs on.
pub struct Parts {
    /// What it is told to do.
    pub plan: Plan,
    /// Where its history is kept.
    pub log: Log,
    /// Its sides.
    pub connectors: BTreeMap<SideName, Arc<dyn Connector>>,
    /// Its handlers.
    pub handlers: BTreeMap<JobName, Handler>,
    /// Who is told of what happens, once it is durable.
    pub watcher: Option<Watcher>,
    /// What seals personal fields; nothing if there are none.
    pub vault: Option<Vault>,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("plan", &self.plan.name).finish_non_exhaustive()
    }
}

/// A running engine. Clones are handles to the same one.
#[derive(Debug, Clone)]
pub struct Engine {
    inbox: Sender<Message>,
    ended: watch::Receiver<Option<Result<(), EngineError>>>,
    /// Let go of when the engine ends, so that another may open the folder.
    log: Arc<Mutex<Option<Log>>>,
    vault: Option<Vault>,
}

type Question = Box<dyn FnOnce(&Machine) + Send>;
type Ask = Box<dyn FnOnce(ReplyTo) -> Wake + Send>;

enum Message {
    Wake(Wake),
    /// A wake that somebody waits for.
    Ask(Ask, oneshot::Sender<Reply>),
    /// A look at the machine.
    Look(Question),
    /// The append with this number is durable, or failed.
    Durable(u64, Result<(), LogError>),
    Stop,
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Message")
    }
}

impl Engine {
    /// Starts an engine on the tokio runtime it is called from.
    pub fn start(parts: Parts) -> Result<Self, EngineError> {
        let (inbox, messages) = channel();
        let (tell_end, ended) = watch::channel(None);
        let plan = Arc::new(parts.plan);
        let log = parts.log.clone();
        let vault = parts.vault.clone();
        let mut machine =
            Machine::open_with(Arc::clone(&plan), log.clone(), vault.clone(), fastrand::u64(..))?;
        machine.tell_all(parts.watcher.is_some() || tracing::enabled!(target: RECORDS, tracing::Level::INFO));
        let kept = Arc::new(Mutex::new(Some(log.clone())));
        let engine = Self { inbox: inbox.clone(), ended, log: Arc::clone(&kept), vault: vault.clone() };
        let ways = plan.sides.iter().filter_map(|(side, p)| {
            let connector = Arc::clone(parts.connectors.get(side)?);
            let engine = engine.clone();
            let tell = Box::new(move |wake| engine.wake(wake));
            Some((side.clone(), Arc::new(Way::new(side.clone(), connector, p.in_flight_max, tell))))
        });
        let ways = ways.collect();
        let driver = Driver {
            engine: engine.clone(),
            runtime: Runtime::current(),
            machine,
            writer: Some(writer(log, vault)),
            connectors: parts.connectors,
            handlers: parts.handlers,
            ways,
            watcher: parts.watcher,
            started: Instant::now(),
            appending: Vec::new(),
            now_held: Vec::new(),
            saving: None,
            held: VecDeque::new(),
            appends: 0,
            durable: 0,
            waiting: BTreeMap::new(),
            replies: 0,
        };
        let run = move || {
            let result = driver.run(&messages, &kept);
            if let Err(why) = &result {
                tracing::error!(error = %Words(why), "the sync has stopped; what was acknowledged is safe");
            }
            // Nobody may be listening any more.
            tell_end.send_replace(Some(result));
        };
        std::thread::Builder::new()
            .name("hms-sync-engine".into())
            .spawn(run)
            .map_err(|_| EngineError::Stopped)?;
        engine.wake(Wake::Start);
        Ok(engine)
    }

    /// The log it writes; nothing once it has ended. Whoever keeps it keeps the
    /// folder from being opened anew.
    pub fn log(&self) -> Option<Log> {
        self.log.lock().ok()?.clone()
    }

    /// What opens personal fields in the events of the log.
    pub fn vault(&self) -> Option<&Vault> {
        self.vault.as_ref()
    }

    pub(crate) fn wake(&self, wake: Wake) {
        // If the engine has ended, whoever waits learns it from `ended`.
        let _gone = self.inbox.send(Message::Wake(wake));
    }

    /// Hands over something that happened and waits until it is durable.
    pub async fn ask(
        &self,
        wake: impl FnOnce(ReplyTo) -> Wake + Send + 'static,
    ) -> Result<Reply, EngineError> {
        let (tell, told) = oneshot::channel();
        self.inbox.send(Message::Ask(Box::new(wake), tell)).map_err(|_| EngineError::Stopped)?;
        told.await.map_err(|_| EngineError::Stopped)
    }

    /// Asks the machine a question.
    pub async fn look<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Machine) -> T + Send + 'static,
    ) -> Result<T, EngineError> {
        let (tell, told) = oneshot::channel();
        let look = move |machine: &Machine| {
            // The one who asked may have gone.
            let _gone = tell.send(question(machine));
        };
        self.inbox.send(Message::Look(Box::new(look))).map_err(|_| EngineError::Stopped)?;
        told.await.map_err(|_| EngineError::Stopped)
    }

    /// Stops in order: nothing new is begun, what is in flight ends, all is
    /// saved. Answers when that is done.
    pub async fn stop(&self) -> Result<(), EngineError> {
        // If it has ended already, `ended` says how.
        let _gone = self.inbox.send(Message::Stop);
        self.ended().await
    }

    /// Waits until the engine has ended, in whatever way.
    pub async fn ended(&self) -> Result<(), EngineError> {
        let mut ended = self.ended.clone();
        let result = ended.wait_for(Option::is_some).await.map_err(|_| EngineError::Stopped)?;
        result.clone().unwrap_or(Err(EngineError::Stopped))
    }
}

/// An error with all its causes, in one line.
struct Words<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

/// The log's writer. A record's key is durable before the first event sealed under it.
fn writer(log: Log, vault: Option<Vault>) -> Writer {
    match vault {
        Some(vault) => {
            Writer::spawn_behind(log, Box::new(move || vault.flush().map_err(|why| why.in_one_line())))
        }
        None => Writer::spawn(log),
    }
}

fn let_go(kept: &Mutex<Option<Log>>) {
    if let Ok(mut log) = kept.lock() {
        *log = None;
    }
}

/// An answer to somebody who waits.
struct Answer {
    tell: oneshot::Sender<Reply>,
    reply: Reply,
}

impl Answer {
    fn give(self) {
        // The one who asked may have gone.
        let _gone = self.tell.send(self.reply);
    }
}

/// Takes the answers out of what is to be done. The machine is not needed for them: who waits is
/// told where the events become durable, and not only when the machine comes to it.
fn answers(
    effects: &mut Vec<Effect>,
    waiting: &mut BTreeMap<ReplyTo, oneshot::Sender<Reply>>,
) -> Vec<Answer> {
    let answers = effects.extract_if(.., |effect| matches!(effect, Effect::Reply { .. }));
    let to = |effect| match effect {
        Effect::Reply { to, reply } => Some(Answer { tell: waiting.remove(&to)?, reply }),
        _ => None,
    };
    answers.filter_map(to).collect()
}

struct Driver {
    engine: Engine,
    runtime: Runtime,
    machine: Machine,
    writer: Option<Writer>,
    connectors: BTreeMap<SideName, Arc<dyn Connector>>,
    handlers: BTreeMap<JobName, Handler>,
    ways: BTreeMap<SideName, Arc<Way>>,
    watcher: Option<Watcher>,
    started: Instant,
    /// Events of the messages taken in since the last commit began.
    appending: Vec<Sealed>,
    /// What may be done once they are durable.
    now_held: Vec<Effect>,
    saving: Option<crate::views::Saved>,
    /// What may be done once the append with the number is durable.
    held: VecDeque<(u64, Vec<Effect>)>,
    appends: u64,
    durable: u64,
    waiting: BTreeMap<ReplyTo, oneshot::Sender<Reply>>,
    replies: u64,
}

impl Driver {
    fn now(&self) -> Now {
        let micros = |d: Duration| i64::try_from(d.as_micros()).unwrap_or(i64::MAX);
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, micros);
        // The machine's own time starts at 1, so that 0 is always in the past.
        Now { wall: Time(wall), mono: Time(micros(self.started.elapsed()).saturating_add(1)) }
    }

    /// Runs to the end, then lets go of the log.
    fn run(self, messages: &Receiver<Message>, kept: &Mutex<Option<Log>>) -> Result<(), EngineError> {
        let result = self.run_to_the_end(messages, kept);
        let_go(kept);
        result
    }

    fn run_to_the_end(
        mut self,
        messages: &Receiver<Message>,
        kept: &Mutex<Option<Log>>,
    ) -> Result<(), EngineError> {
        let mut stop_by: Option<Instant> = None;
        loop {
            let first = self.wait(messages, stop_by);
            let mut next = first;
            let mut count = 0;
            while let Some(message) = next {
                if matches!(message, Message::Stop) && stop_by.is_none() {
                    stop_by = Some(Instant::now() + STOP_PATIENCE);
                }
                self.take(message)?;
                count += 1;
                next = if count < GROUP_MAX { messages.try_recv().ok() } else { None };
            }
            if count == 0 {
                self.step(Wake::Timer)?;
            }
            self.commit();
            if let Some(by) = stop_by
                && (self.machine.is_idle() && self.durable == self.appends || Instant::now() >= by)
            {
                let_go(kept);
                return self.end();
            }
        }
    }

    /// Waits for a message, or until the machine's next timer.
    fn wait(&self, messages: &Receiver<Message>, stop_by: Option<Instant>) -> Option<Message> {
        let now = self.now();
        let timer = self.machine.next_timer(now.mono).map(|at| at.since(now.mono));
        let stop = stop_by.map(|_| Duration::from_millis(20));
        let patience = [timer, stop].into_iter().flatten().min().unwrap_or(Duration::from_mins(1));
        messages.recv_timeout(patience).ok()
    }

    fn take(&mut self, message: Message) -> Result<(), EngineError> {
        match message {
            Message::Wake(wake) => self.step(wake),
            Message::Ask(wake, tell) => {
                self.replies += 1;
                let to = ReplyTo(self.replies);
                self.waiting.insert(to, tell);
                self.step(wake(to))
            }
            Message::Look(question) => {
                question(&self.machine);
                Ok(())
            }
            Message::Durable(number, result) => {
                result?;
                self.durable = number;
                while let Some((_, effects)) = self.held.pop_front_if(|(at, _)| *at <= number) {
                    effects.into_iter().for_each(|effect| self.perform(effect));
                }
                Ok(())
            }
            Message::Stop => self.step(Wake::Stop),
        }
    }

    fn step(&mut self, wake: Wake) -> Result<(), EngineError> {
        let now = self.now();
        if let Wake::Command { command: Command::Release { lane, action, .. }, .. } = &wake
            && *action != Released::Discard
        {
            let meant = |side: &SideName| match lane {
                Some(Lane::Side(lane)) => lane == side,
                Some(Lane::Job(_) | Lane::Request(_)) => false,
                None => true,
            };
            self.connectors.iter().filter(|(side, _)| meant(side)).for_each(|(_, of)| of.released());
        }
        if let Wake::Command {
            command: Command::Retell { side, .. } | Command::Subscribe { side, wanted: true, .. },
            ..
        } = &wake
        {
            self.connectors.get(side).into_iter().for_each(|of| of.released());
        }
        for effect in self.machine.step(wake, now)? {
            match effect {
                Effect::Append(events) if self.appending.is_empty() => self.appending = events,
                Effect::Append(events) => self.appending.extend(events),
                Effect::Save(saved) => self.saving = Some(saved),
                read @ (Effect::Read { .. } | Effect::Fetch { .. } | Effect::LookUp { .. }) => {
                    self.perform(read);
                }
                other => self.now_held.push(other),
            }
        }
        Ok(())
    }

    /// Hands the events gathered to the writer, and what waits for them to the queue.
    fn commit(&mut self) {
        let Some(writer) = &self.writer else { return };
        if !self.appending.is_empty() {
            self.appends += 1;
            let (number, inbox) = (self.appends, self.engine.inbox.clone());
            let answers = answers(&mut self.now_held, &mut self.waiting);
            let done = move |result: Result<(), LogError>| {
                if result.is_ok() {
                    answers.into_iter().for_each(Answer::give);
                }
                // The driver may have ended.
                let _gone = inbox.send(Message::Durable(number, result));
            };
            writer.append(std::mem::take(&mut self.appending), Box::new(done));
        }
        if let Some((changes, upto)) = self.saving.take() {
            let inbox = self.engine.inbox.clone();
            let done = move |_| {
                // The driver may have ended.
                let _gone = inbox.send(Message::Wake(Wake::Saved));
            };
            writer.save_views(changes, upto, Box::new(done));
        }
        let effects = std::mem::take(&mut self.now_held);
        if self.durable == self.appends {
            effects.into_iter().for_each(|effect| self.perform(effect));
        } else if !effects.is_empty() {
            self.held.push_back((self.appends, effects));
        }
    }

    fn end(mut self) -> Result<(), EngineError> {
        let Some(writer) = self.writer.take() else { return Ok(()) };
        if let Some((changes, upto)) = self.machine.save_all() {
            writer.save_views(changes, upto, Box::new(drop));
        }
        // The machine's handle to the log goes first: closing is the last one's work.
        drop(self);
        Ok(writer.close()?)
    }

    /// Does one thing outside.
    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Append(_) | Effect::Save(_) => {}
            Effect::Read { side, pass, request, beforehand } => {
                let (collection, plan) = (request.collection.clone(), Arc::clone(self.machine.plan()));
                self.talk(side.clone(), move |connector| async move {
                    let result = match connector.read(request).await {
                        Ok(page) => {
                            Ok(ShownPage::read_beside_others(&plan, (&side, &collection), beforehand, page)
                                .await)
                        }
                        Err(why) => Err(why),
                    };
                    Wake::Page { side, collection, pass, result }
                });
            }
            Effect::Fetch { record, side, collection, id } => {
                let began = self.machine.time(self.now());
                self.talk(side.clone(), move |connector| async move {
                    let result = connector.fetch(collection, id).await;
                    Wake::Fetched { record, side, began, result }
                });
            }
            Effect::LookUp { record, side, request } => {
                let began = self.machine.time(self.now());
                self.talk(side.clone(), move |connector| async move {
                    let result = connector.lookup(request).await;
                    Wake::LookedUp { record, side, began, result }
                });
            }
            Effect::Write { record, side, version, request } => {
                self.send(&side, Errand::Write { record, version, request });
            }
            Effect::Send { record, target, version, request } => {
                self.send(&target, Errand::Send { record, version, request });
            }
            Effect::Handle { record, job, clock, document } => self.handle(record, job, clock, document),
            Effect::Destroy { record, reply } => self.destroy(record, reply),
            Effect::Reply { to, reply } => {
                if let Some(tell) = self.waiting.remove(&to) {
                    Answer { tell, reply }.give();
                }
            }
            Effect::Tell(happening) => self.tell(&happening),
        }
    }

    /// Has a record's key destroyed beside all else: it takes several syncs.
    fn destroy(&self, record: RecordId, reply: ReplyTo) {
        let (engine, vault) = (self.engine.clone(), self.engine.vault.clone());
        self.runtime.spawn_blocking(move || {
            let result = vault.map_or(Ok(0), |vault| vault.destroy(&[record])).map(drop);
            engine.wake(Wake::Destroyed { result, reply });
        });
    }

    /// Has a request carried out when there is room for it on the way to its side.
    fn send(&self, side: &SideName, errand: Errand) {
        if let Some(way) = self.ways.get(side) {
            way.send(&self.runtime, errand);
        } else {
            tracing::error!(%side, "no connector for this side");
        }
    }

    /// Talks to a side in a task of its own and hands the answer back.
    fn talk<F>(&self, side: SideName, talk: impl FnOnce(Arc<dyn Connector>) -> F + Send + 'static)
    where
        F: Future<Output = Wake> + Send + 'static,
    {
        let Some(connector) = self.connectors.get(&side).map(Arc::clone) else {
            tracing::error!(%side, "no connector for this side");
            return;
        };
        let engine = self.engine.clone();
        self.runtime.spawn(async move { engine.wake(talk(connector).await) });
    }

    /// Calls a handler; one that panics has failed.
    fn handle(&self, record: RecordId, job: JobName, clock: Clock, document: Json) {
        let engine = self.engine.clone();
        let Some(handler) = self.handlers.get(&job).map(Arc::clone) else {
            let result = Err("no handler of this name is registered".to_owned());
            engine.wake(Wake::Handled { record, job, clock, result });
            return;
        };
        let call = Call {
            document,
            record: record.clone(),
            job: job.clone(),
            clock: clock.clone(),
            engine: engine.clone(),
        };
        self.runtime.spawn(async move {
            let result = match tokio::spawn(async move { handler(call).await }).await {
                Ok(result) => result,
                Err(_) => Err("the handler panicked".to_owned()),
            };
            engine.wake(Wake::Handled { record, job, clock, result });
        });
    }

    fn tell(&self, happening: &Happening) {
        let record = happening.record.as_ref().map(RecordId::as_str);
        let what = &happening.what;
        match what {
            What::ReadFailed { .. }
            | What::Unreadable { .. }
            | What::SchemaChanged { .. }
            | What::Parked { .. }
            | What::SideAway { .. } => {
                tracing::warn!(record, "{what}");
            }
            What::Decided { .. }
            | What::SideBack { .. }
            | What::Retold { .. }
            | What::Listed { .. }
            | What::Erased { .. }
            | What::Joined { .. } => {
                tracing::info!(record, "{what}");
            }
            _ => tracing::info!(target: RECORDS, record, "{what}"),
        }
        if let Some(watcher) = &self.watcher {
            watcher(happening);
        }
    }
}
