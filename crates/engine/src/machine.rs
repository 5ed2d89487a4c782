//! The machine: the whole engine as a function from what happened to what is
//! to be done. `step` awaits nothing, starts nothing and reads no clock; the
//! only thing it reads is the log it writes. So the whole loop runs in
//! simulated time from a seed, and a crash is simply the end of its life.
//!
//! The parts of `step` are in the files named after them: `pass` reads
//! collections, `observe` makes events of what was seen, `deliver` brings
//! records to sides, `handle` calls handlers, `operate` serves people.

use crate::closed::closing;
use crate::contract::Strangers;
use crate::erase::finish_erasures;
use crate::error::EngineError;
use crate::gate::{Gate, Health, Turn};
use crate::happening::{Happening, What};
use crate::lane::{Lanes, Track};
use crate::pass::Passes;
use crate::plan::{CollectionPlan, Plan, Retry};
use crate::project::settled_fields;
use crate::quiet::Quiet;
use crate::raw::RawHasher;
use crate::retell::Retelling;
use crate::steady::Steady;
use crate::views::{Entry, Views, is_parked};
use crate::wake::{Effect, Now, Reply, ReplyTo, Wake};
use hms_sync_changelog::{Log, Sealed, seal};
use hms_sync_model::{Author, Body, Change, Event, RecordId, SideName, Source, Stamp, Time, VecMap};
use hms_sync_resolver::fault::{Fault, is_back};
use hms_sync_resolver::{Presence, Reason};
use hms_sync_vault::Vault;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// How many times as many intents as requests may be open to a side.
const QUEUE_DEPTH: usize = 16;

/// How many of the records with work are taken up in one step after a start: what
/// they need is on its way while the others are looked at.
const LEFT_OVER_STEP: usize = 64;

/// How many, while something else is to be done in the step.
const LEFT_OVER_BESIDE: usize = 4;

/// Events not yet durable with which no more of a listing is taken in: each of them is in
/// memory, and so is its record.
const UNDURABLE_MAX: u64 = 2_048;

/// Events of one step for which room is made as the step before needed it.
const BATCH_ROOM_MAX: usize = 64;

/// The engine of one sync, without its hands.
#[derive(Debug)]
pub struct Machine {
    pub(crate) plan: Arc<Plan>,
    pub(crate) views: Views,
    pub(crate) lanes: Lanes,
    pub(crate) passes: Passes,
    pub(crate) gates: BTreeMap<SideName, Gate>,
    pub(crate) job_slots: BTreeMap<Track, usize>,
    pub(crate) counts: crate::report::Counts,
    pub(crate) quiet: Quiet,
    pub(crate) raw: RawHasher,
    pub(crate) strangers: Strangers,
    /// Sides that are told again what they took.
    pub(crate) retellings: BTreeMap<SideName, Retelling>,
    /// Sides that are told nothing more, by what was said of it.
    pub(crate) unsubscribed: BTreeMap<SideName, String>,
    pub(crate) stopping: bool,
    /// How often something that was seen was put by.
    pub(crate) put_by: u64,
    /// Records with work that are to be looked at: left by the last process, or waiting
    /// for a listing that has ended.
    left_over: VecDeque<RecordId>,
    /// Whether anyone wants to hear of each record's way.
    tells_all: bool,
    /// Whether any collection has personal fields.
    pub(crate) any_personal: bool,
    /// The lowest epoch that an edit is made in.
    pub(crate) floor: u32,
    next_seq: u64,
    pub(crate) steady: Steady,
    random: fastrand::Rng,
    pub(crate) batch: Vec<Sealed>,
    effects: Vec<Effect>,
}

impl Machine {
    /// A machine on what `log` holds, of a sync without personal fields. `seed` drives
    /// the jitter and nothing else.
    pub fn open(plan: Arc<Plan>, log: Log, seed: u64) -> Result<Self, EngineError> {
        Self::open_with(plan, log, None, seed)
    }

    /// The same with the keys of personal fields. Finishes erasures that were cut off.
    pub fn open_with(
        plan: Arc<Plan>,
        log: Log,
        vault: Option<Vault>,
        seed: u64,
    ) -> Result<Self, EngineError> {
        if let Some(vault) = &vault {
            finish_erasures(&log, vault)?;
        }
        let next_seq = log.head().saturating_add(1);
        let last = log.newest()?.map_or(Time::MIN, |(_, event)| event.at);
        let any_personal = plan.collections.values().any(|of| !of.personal.is_empty());
        let before = crate::refold::drop_if_changed(&log, &plan)?;
        let mut views = Views::new(log, Arc::clone(&plan)).with_vault(vault);
        views.believe_clocks(before.same_plan);
        before.to_save.into_iter().for_each(|mark| views.save_with(mark));
        views.catch_up()?;
        // While some requests are under way, the intents of the next are being made durable.
        let gates = plan
            .sides
            .iter()
            .map(|(side, p)| (side.clone(), Gate::new(p.in_flight_max.saturating_mul(QUEUE_DEPTH))))
            .collect();
        let (floor, restored_at) = crate::restored::floor(&views)?;
        let quiet = Quiet::after(&mut views, &before.plan, floor)?;
        let mut machine = Self {
            floor,
            passes: Passes::new(&plan, &views, restored_at)?,
            plan,
            views,
            lanes: Lanes::default(),
            gates,
            job_slots: BTreeMap::new(),
            counts: crate::report::Counts::default(),
            quiet,
            raw: RawHasher::default(),
            strangers: Strangers::default(),
            retellings: BTreeMap::new(),
            unsubscribed: BTreeMap::new(),
            stopping: false,
            put_by: 0,
            left_over: VecDeque::new(),
            tells_all: true,
            any_personal,
            next_seq,
            steady: Steady::after(last),
            random: fastrand::Rng::with_seed(seed),
            batch: Vec::new(),
            effects: Vec::new(),
        };
        machine.read_subscriptions()?;
        Ok(machine)
    }

    /// Takes in what happened and says what is to be done. After an error the
    /// machine must be dropped: the log is what counts.
    pub fn step(&mut self, wake: Wake, now: Now) -> Result<Vec<Effect>, EngineError> {
        let now = self.steady.tick(now);
        let idle = matches!(wake, Wake::Start | Wake::Timer);
        if !self.stopping && !matches!(wake, Wake::Page { .. }) && self.log_keeps_up() {
            self.read_on(idle, now)?;
        }
        match wake {
            Wake::Start => {
                if self.plan.restored {
                    self.begin_restored(now)?;
                }
                self.views.sum_up_missing();
                self.resume_listings(now);
                self.read_under_new_contracts()?;
                self.look_at_all();
            }
            Wake::Timer => {}
            Wake::Page { side, collection, pass, result } => {
                self.page(&side, &collection, pass, result, now)?;
            }
            Wake::Wrote { record, side, version, outcome } => {
                self.wrote(&record, &side, version, outcome, now)?;
            }
            Wake::Sent { record, target, version, outcome } => {
                self.sent(&record, &target, version, outcome, now)?;
            }
            Wake::Fetched { record, side, began, result } => {
                self.fetched(&record, &side, began, result, now)?;
            }
            Wake::LookedUp { record, side, began, result } => {
                self.looked_up(&record, &side, began, result, now)?;
            }
            Wake::Webhook { side, collection, delivery, reply } => {
                self.webhook(&side, &collection, delivery, reply, now)?;
            }
            Wake::Handled { record, job, clock, result } => {
                self.handled(&record, &job, clock, result, now)?;
            }
            queue @ Wake::Queue { .. } => self.queue(queue, now)?,
            Wake::Command { command, reply } => self.command(command, reply, now)?,
            Wake::Destroyed { result, reply } => self.destroyed(result, reply)?,
            Wake::Saved => self.views.end_save(),
            Wake::Stop => self.stopping = true,
        }
        self.lanes.ring(now.mono);
        self.take_up(if idle { LEFT_OVER_STEP } else { LEFT_OVER_BESIDE }, now)?;
        self.poll_due(now);
        self.pump(now)?;
        self.save_if_due();
        Ok(self.take_effects())
    }

    /// Whether to tell of each record's way, or only of what matters to all.
    pub fn tell_all(&mut self, all: bool) {
        self.tells_all = all;
    }

    /// The time by which events are stamped, where the world's clocks show `now`. It never
    /// goes back. When a read began is told by it.
    pub fn time(&self, now: Now) -> Time {
        self.steady.read(now).wall
    }

    /// What it is told to do.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// What a block of the log holds; nothing if that is not known.
    pub fn block(&self, block: u64) -> Option<crate::blocks::Summary> {
        self.views.block(block)
    }

    /// The log that the machine's events go to.
    pub fn log(&self) -> &Log {
        self.views.log()
    }

    /// When to wake the machine if nothing else does.
    pub fn next_timer(&self, now: Time) -> Option<Time> {
        let reads_on = self.passes.are_in_page() && self.log_keeps_up();
        if (!self.left_over.is_empty() || reads_on) && !self.stopping {
            return Some(now);
        }
        let gates = self.gates.iter().filter(|(side, _)| {
            let waits = |track| self.lanes.ready_for(&track) > 0;
            !self.stopping && (waits(Track::Deliver((*side).clone())) || waits(Track::Send((*side).clone())))
        });
        let gates = gates.filter_map(|(_, gate)| gate.opens_at(now)).min();
        let passes = if self.stopping { None } else { self.passes.next_due() };
        let again = if self.stopping { None } else { self.retells_at(now) };
        [self.lanes.next_alarm(), gates, passes, again].into_iter().flatten().min()
    }

    /// The number of the last event that was made, durable or not yet.
    pub(crate) fn last_made(&self) -> u64 {
        self.next_seq.saturating_sub(1)
    }

    /// Whether so little waits to become durable that more of a listing may be taken in.
    fn log_keeps_up(&self) -> bool {
        self.last_made().saturating_sub(self.views.log().head()) < UNDURABLE_MAX
    }

    /// Whether a stop may end now: nothing is in flight and nothing being saved.
    pub fn is_idle(&self) -> bool {
        !self.lanes.is_busy()
    }

    /// Hands over everything that is not saved yet, for a clean stop.
    pub fn save_all(&mut self) -> Option<crate::views::Saved> {
        self.views.begin_save(self.last_made(), &self.quiet)
    }

    /// Has every record with work looked at once more, in portions.
    pub(crate) fn look_at_all(&mut self) {
        self.left_over = self.views.todo().into();
    }

    /// Looks at so many of them.
    fn take_up(&mut self, most: usize, now: Now) -> Result<(), EngineError> {
        if self.stopping {
            return Ok(());
        }
        for _ in 0..most {
            let Some(record) = self.left_over.pop_front() else { return Ok(()) };
            let entry = self.views.take(&record)?;
            self.finish(record, entry, now)?;
        }
        Ok(())
    }

    /// Makes an event of what was learnt or is to be done, and folds it at once.
    /// Answers with its version.
    pub(crate) fn emit(
        &mut self,
        record: &RecordId,
        entry: &mut Entry,
        body: Body,
        now: Now,
    ) -> Result<u64, EngineError> {
        self.emit_event(record, entry, body, now).map(|event| event.version)
    }

    /// The same. Answers with all of it.
    pub(crate) fn emit_event(
        &mut self,
        record: &RecordId,
        entry: &mut Entry,
        body: Body,
        now: Now,
    ) -> Result<Event, EngineError> {
        let mut event = Event {
            seq: self.next_seq,
            record: record.clone(),
            version: entry.state.version.saturating_add(1),
            at: now.wall,
            prev: entry.state.head,
            body,
        };
        let kept = self.sealed(&entry.state, &mut event)?;
        let sealed = seal(kept.as_ref().unwrap_or(&event))
            .map_err(|why| EngineError::Seal { record: record.to_string(), why: why.to_string() })?;
        self.next_seq += 1;
        if std::mem::take(&mut entry.noted) {
            self.quiet.forget(record, &entry.state);
        }
        self.views.hear(&event);
        if let Some((side, id)) = self.views.fold(&mut entry.state, sealed.id, &event) {
            // What is shown under its new id was noted for another record, if at all.
            self.quiet.forget_link(&side, record, &id);
        }
        entry.changed_by(event.seq);
        self.counts.events += 1;
        self.batch.push(sealed);
        Ok(event)
    }

    /// The same for a stream of the sync's own.
    pub(crate) fn emit_stream(&mut self, stream: &RecordId, body: Body, now: Now) -> Result<(), EngineError> {
        let state = self.views.stream(stream)?;
        let event = Event {
            seq: self.next_seq,
            record: stream.clone(),
            version: state.version.saturating_add(1),
            at: now.wall,
            prev: state.head,
            body,
        };
        let sealed = seal(&event)
            .map_err(|why| EngineError::Seal { record: stream.to_string(), why: why.to_string() })?;
        self.next_seq += 1;
        self.views.hear(&event);
        self.views.fold_stream(sealed.id, &event)?;
        self.batch.push(sealed);
        Ok(())
    }

    /// Puts a record back after events, and sees to what it needs now.
    pub(crate) fn finish(&mut self, record: RecordId, mut entry: Entry, now: Now) -> Result<(), EngineError> {
        let plan = Arc::clone(&self.plan);
        let Some(collection) = plan.collections.get(record.collection()) else {
            self.views.put(record, entry);
            return Ok(());
        };
        let busy = self.reconsider(collection, &record, &entry, now);
        if !busy && entry.state.malformed.is_none() {
            self.settle(collection, &record, &mut entry, now)?;
        }
        self.views.mark_todo(&record, busy);
        self.views.mark_parked(&record, is_parked(&entry.state));
        self.views.mark_conflicts(&record, &entry.state);
        self.views.put(record, entry);
        Ok(())
    }

    /// Writes down what all sides have seen and agree on, field by field; where nothing is left
    /// of that, that epochs which are over are folded.
    fn settle(
        &mut self,
        collection: &CollectionPlan,
        record: &RecordId,
        entry: &mut Entry,
        now: Now,
    ) -> Result<(), EngineError> {
        if is_back(Fault::NeverSettled) {
            return Ok(());
        }
        let mut fields = settled_fields(collection, &entry.state);
        let closing = if fields.is_empty() { closing(collection, &entry.state) } else { None };
        let folds = closing.as_ref().is_some_and(Vec::is_empty);
        fields.extend(closing.into_iter().flatten());
        let merged = &entry.state.merged;
        // Whether the record is there is a person's to say: an edit of ours would say it.
        if fields.is_empty() && !folds || merged.presence(&collection.rules) == Presence::Undecided {
            return Ok(());
        }
        let mut changes = VecMap::new();
        let mut stamp = Stamp::default();
        for field in fields {
            let lead = collection.rules.group_of(&field).map_or(&field, |group| &group.lead);
            if merged.decide(&collection.rules, lead).reason == Reason::Manual {
                continue;
            }
            let decision = merged.decide(&collection.rules, &field);
            let winner = decision.siblings.iter().find(|(_, wins)| *wins).map(|(sibling, _)| sibling.stamp);
            stamp = winner.unwrap_or_default().max(stamp);
            changes.insert(field, Change { before: decision.value.clone(), after: decision.value });
        }
        if changes.is_empty() && !folds {
            return Ok(());
        }
        let who = (Author::Engine, self.floor);
        let edit = entry.state.edit_by(who, merged.clock.clone(), changes, stamp);
        let (source, raw) = (Source::Engine, None);
        self.emit(record, entry, Body::Edited { edit, id: None, tag: None, source, raw }, now)?;
        Ok(())
    }

    /// Hands changed views over when there are many.
    fn save_if_due(&mut self) {
        if self.views.unsaved() > self.plan.unsaved_max
            && let Some(saved) = self.views.begin_save(self.last_made(), &self.quiet)
        {
            self.effects.push(Effect::Save(saved));
        }
    }

    fn take_effects(&mut self) -> Vec<Effect> {
        let mut effects = Vec::with_capacity(self.effects.len() + 1);
        if !self.batch.is_empty() {
            let room = Vec::with_capacity(self.batch.len().min(BATCH_ROOM_MAX));
            effects.push(Effect::Append(std::mem::replace(&mut self.batch, room)));
        }
        effects.append(&mut self.effects);
        effects
    }

    pub(crate) fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub(crate) fn reply(&mut self, to: ReplyTo, reply: Reply) {
        self.effects.push(Effect::Reply { to, reply });
    }

    pub(crate) fn tell(&mut self, record: Option<&RecordId>, mut what: What, now: Now) {
        if let Some(personal) = self.personal_in(record, &what) {
            crate::personal::mask(&mut what, personal);
        }
        self.effects.push(Effect::Tell(Happening { at: now.wall, record: record.cloned(), what }));
    }

    /// Tells of a record's way, if anyone listens: what is told is made only then.
    pub(crate) fn tell_way(&mut self, record: &RecordId, now: Now, what: impl FnOnce() -> What) {
        if self.tells_all {
            self.tell(Some(record), what(), now);
        }
    }

    pub(crate) fn draw(&mut self) -> f64 {
        self.random.f64()
    }

    pub(crate) fn backoff(&mut self, retry: &Retry, attempt: u32) -> Duration {
        let draw = self.draw();
        crate::gate::backoff(retry, attempt, draw)
    }

    /// Notes at the side's gate how a request went, and tells if it went away or came back.
    pub(crate) fn gate_end(&mut self, side: &SideName, health: Health, words: &str, now: Now) {
        let retry = self.plan.sides.get(side).map(|p| p.retry).unwrap_or_default();
        let draw = self.draw();
        let Some(gate) = self.gates.get_mut(side) else { return };
        match gate.end(health, now.mono, &retry, draw) {
            Turn::Same => {}
            Turn::WentAway => {
                self.tell(None, What::SideAway { side: side.clone(), reason: words.to_owned() }, now);
            }
            Turn::CameBack => self.tell(None, What::SideBack { side: side.clone() }, now),
        }
    }
}
