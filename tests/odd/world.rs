//! A sync in a time of its own: the real machine on a log in memory, and the real connectors
//! over real sockets, one request at a time. What is waited for is passed over.

use crate::api::{Api, START};
use crate::slips;
use hms_sync::{Assembly, Connectors, assemble};
use hms_sync_changelog::{Log, MemoryDisk};
use hms_sync_connector::{RawWebhook, WebhookError};
use hms_sync_engine::{Effect, Machine, Now, Reply, ReplyTo, ShownPage, Status, Wake};
use hms_sync_management::HookRoute;
use hms_sync_model::{RecordId, Time};
use std::collections::{BTreeMap, VecDeque};

/// Something that happens at a time, in our microseconds.
type Deed = (i64, Box<dyn FnOnce(&[Api])>);

pub(crate) struct World {
    pub(crate) apis: Vec<Api>,
    pub(crate) now: i64,
    machine: Machine,
    log: Log,
    connectors: Connectors,
    hooks: Vec<HookRoute>,
    rng: fastrand::Rng,
    /// The longest that a request takes, in microseconds.
    pub(crate) latency_max: i64,
    queue: VecDeque<Effect>,
    deeds: VecDeque<Deed>,
    replies: BTreeMap<u64, Reply>,
    /// What was told to people, in order.
    pub(crate) told: Vec<String>,
    /// Requests made, by kind.
    pub(crate) writes: usize,
}

/// What a configuration comes to; `URL0` and `URL1` stand for the APIs.
fn assembly(yaml: &str, apis: &[Api]) -> Assembly {
    let yaml = apis
        .iter()
        .enumerate()
        .fold(yaml.to_owned(), |yaml, (n, api)| yaml.replace(&format!("URL{n}"), &api.url));
    let config = hms_sync_config::parse("odd.yaml", &yaml, &|_| None).unwrap_or_else(|why| panic!("{why}"));
    assemble(&config).unwrap()
}

impl World {
    pub(crate) fn new(seed: u64, yaml: &str, apis: Vec<Api>) -> Self {
        let Assembly { plan, connectors, hooks } = assembly(yaml, &apis);
        let log = Log::on(MemoryDisk::new()).unwrap();
        let machine = Machine::open(plan.into(), log.clone(), seed).unwrap();
        let mut world = Self {
            apis,
            now: START,
            machine,
            log,
            connectors,
            hooks,
            rng: fastrand::Rng::with_seed(seed),
            latency_max: 20_000,
            queue: VecDeque::new(),
            deeds: VecDeque::new(),
            replies: BTreeMap::new(),
            told: Vec::new(),
            writes: 0,
        };
        world.step(Wake::Start);
        world
    }

    /// The same sync once more, as after a restart with another configuration.
    pub(crate) fn restart(&mut self, seed: u64, yaml: &str) {
        let Assembly { plan, connectors, hooks } = assembly(yaml, &self.apis);
        (self.connectors, self.hooks) = (connectors, hooks);
        self.queue.clear();
        self.machine = Machine::open(plan.into(), self.log.clone(), seed).unwrap();
        self.step(Wake::Start);
    }

    /// Has something happen at a time; times must not go back.
    pub(crate) fn at(&mut self, at: i64, deed: impl FnOnce(&[Api]) + 'static) {
        self.deeds.push_back((at, Box::new(deed)));
    }

    fn time(&self) -> Now {
        // In the calendar's time, and in the machine's own.
        Now { wall: Time(self.now), mono: Time(self.now - START + 1) }
    }

    /// Time passes, and what is due happens.
    fn pass(&mut self, to: i64) {
        while let Some((at, deed)) = self.deeds.pop_front_if(|(at, _)| *at <= to) {
            self.clocks(at.max(self.now));
            deed(&self.apis);
        }
        self.clocks(to);
    }

    fn clocks(&mut self, to: i64) {
        let micros = (to - self.now).max(0);
        self.now += micros;
        self.apis.iter().for_each(|api| api.state().pass(micros));
    }

    pub(crate) fn step(&mut self, wake: Wake) {
        for effect in self.machine.step(wake, self.time()).unwrap() {
            match effect {
                Effect::Append(events) => self.log.append(&events).unwrap(),
                Effect::Tell(happening) => self.told.push(happening.what.to_string()),
                Effect::Reply { to, reply } => drop(self.replies.insert(to.0, reply)),
                other => self.queue.push_back(other),
            }
        }
    }

    /// Lets the sync work until it is so late.
    pub(crate) async fn until(&mut self, end: i64) {
        loop {
            while let Some(effect) = self.queue.pop_front() {
                let wake = self.perform(effect).await;
                self.step(wake);
            }
            if self.now >= end {
                return;
            }
            let timer = self.machine.next_timer(self.time().mono).map(|at| at.0 + START - 1);
            let deed = self.deeds.front().map(|(at, _)| *at);
            let next = [timer, deed, Some(end)].into_iter().flatten().min().unwrap_or(end);
            self.pass(next.clamp(self.now, end));
            self.step(Wake::Timer);
        }
    }

    /// For so many seconds.
    pub(crate) async fn work(&mut self, seconds: i64) {
        self.until(self.now + seconds * 1_000_000).await;
    }

    async fn perform(&mut self, effect: Effect) -> Wake {
        let began = self.machine.time(self.time());
        let there = self.now + self.rng.i64(0..=self.latency_max);
        self.pass(there);
        let connectors = self.connectors.clone();
        let wake = match effect {
            Effect::Read { side, pass, request, beforehand } => {
                let collection = request.collection.clone();
                let result = connectors[&side].read(request.clone()).await;
                let result = slips::read(&request, there - START, result);
                let plan = self.machine.plan();
                let result = result.map(|page| ShownPage::read(plan, (&side, &collection), beforehand, page));
                Wake::Page { side, collection, pass, result }
            }
            Effect::Fetch { record, side, collection, id } => {
                let result = slips::fetched(connectors[&side].fetch(collection, id).await);
                Wake::Fetched { record, side, began, result }
            }
            Effect::LookUp { record, side, request } => {
                let result = connectors[&side].lookup(request).await;
                Wake::LookedUp { record, side, began, result }
            }
            Effect::Write { record, side, version, request } => {
                self.writes += 1;
                let outcome = slips::wrote(connectors[&side].write(slips::write(request)).await);
                Wake::Wrote { record, side, version, outcome }
            }
            Effect::Save((changes, upto)) => {
                self.log.save_views(&changes, upto).unwrap();
                Wake::Saved
            }
            other => panic!("nothing here asks for {other:?}"),
        };
        let back = self.now + self.rng.i64(0..=self.latency_max);
        self.pass(back);
        wake
    }

    /// Delivers a webhook; answers whether the sender may forget it.
    pub(crate) fn deliver(&mut self, path: &str, raw: &RawWebhook) -> Result<bool, WebhookError> {
        let route = self.hooks.iter().find(|route| route.path == path).expect("such a webhook").clone();
        let delivery = route.connector.webhook(&route.collection, raw)?;
        let to = self.replies.len() as u64 + 1;
        let (side, collection) = (route.side, route.collection);
        self.step(Wake::Webhook { side, collection, delivery, reply: ReplyTo(to) });
        Ok(self.replies.get(&to) == Some(&Reply::Done))
    }

    pub(crate) fn status(&self) -> Status {
        self.machine.status().unwrap()
    }

    /// The records of which something is parked.
    pub(crate) fn parked(&self) -> Vec<RecordId> {
        let parked = self.machine.parked(None, 100).unwrap();
        parked.into_iter().map(|item| RecordId::try_new(item.record).unwrap()).collect()
    }

    pub(crate) fn ask(&mut self, command: hms_sync_engine::Command) -> Option<Reply> {
        let to = self.replies.len() as u64 + 1;
        self.step(Wake::Command { command, reply: ReplyTo(to) });
        self.replies.get(&to).cloned()
    }
}
