//! The loop: wakes to the machine, its effects to the log and to the sides, in
//! simulated time. Sides are read when asked for and at no other time.

use crate::error::RehearsalError;
use crate::rehearsal::Rehearsal;
use crate::told::Heard;
use hms_sync_changelog::Sealed;
use hms_sync_connector::{Delivery, Observation, ReadError};
use hms_sync_engine::{Command, Effect, Machine, Reply, ReplyTo, ShownPage, Wake, state_at, stream_of};
use hms_sync_model::{Body, CollectionName, NativeId, Outcome, RecordId, Released, SideName, Time};
use hms_sync_resolver::Rules;
use std::time::Duration;

/// How long a request is on its way to a side, and its answer on the way back.
const READ_US: i64 = 1_000;
const WRITE_US: i64 = 2_000;
/// Steps in one go, at most.
const STEPS_MAX: usize = 20_000;
/// Rounds of reading all sides until nothing new is found, at most.
const ROUNDS_MAX: usize = 12;
/// How long the sync may go on trying without getting anywhere before it is left to wait.
const PATIENCE: Duration = Duration::from_mins(2);

/// Something on its way.
#[derive(Debug)]
pub(crate) enum Due {
    /// A message reaches the process of this life.
    Wake(u64, Wake),
    /// A request reaches a side.
    Arrive(u64, Effect),
}

impl Rehearsal {
    /// Has every side read, and lets the sync work until there is nothing left to do: until
    /// a round of reading finds nothing new.
    pub fn settle(&mut self) -> Result<(), RehearsalError> {
        for _ in 0..ROUNDS_MAX {
            let before = self.progress;
            self.poll_all()?;
            self.run()?;
            self.let_empty()?;
            if self.progress == before {
                return Ok(());
            }
            self.wait_out_doubts()?;
        }
        Err(RehearsalError::Restless { steps: ROUNDS_MAX })
    }

    /// Has one side read, and lets the sync work until there is nothing left to do.
    pub fn poll(&mut self, collection: &CollectionName, side: &SideName) -> Result<(), RehearsalError> {
        self.poll_one(collection, side)?;
        self.run()
    }

    /// A webhook of a side's says what its record is, whole or as a hint to read it.
    pub fn webhook(
        &mut self,
        collection: &CollectionName,
        side: &SideName,
        id: &NativeId,
        whole: bool,
    ) -> Result<(), RehearsalError> {
        let seen = self.side_mut(collection, side)?.fetch(id, Time(i64::MAX));
        let delivery = if whole {
            Delivery { message: None, records: vec![seen], hints: Vec::new() }
        } else {
            Delivery { message: None, records: Vec::new(), hints: vec![id.clone()] }
        };
        self.deliver(collection, side, delivery)
    }

    /// A webhook as it was sent some time ago.
    pub fn late_webhook(
        &mut self,
        collection: &CollectionName,
        side: &SideName,
        seen: Observation,
    ) -> Result<(), RehearsalError> {
        self.deliver(collection, side, Delivery { message: None, records: vec![seen], hints: Vec::new() })
    }

    /// What a side would show of a record now.
    pub fn seen(
        &mut self,
        collection: &CollectionName,
        side: &SideName,
        id: &NativeId,
    ) -> Result<Observation, RehearsalError> {
        Ok(self.side_mut(collection, side)?.fetch(id, Time(i64::MAX)))
    }

    /// A webhook, as the connector has taken it apart.
    pub fn deliver(
        &mut self,
        collection: &CollectionName,
        side: &SideName,
        delivery: Delivery,
    ) -> Result<(), RehearsalError> {
        let (side, collection) = (side.clone(), collection.clone());
        self.order += 1;
        self.step(Wake::Webhook { side, collection, delivery, reply: ReplyTo(self.order) })?;
        self.run()
    }

    pub(crate) fn start(&mut self) -> Result<(), RehearsalError> {
        self.step(Wake::Start)
    }

    fn poll_all(&mut self) -> Result<(), RehearsalError> {
        let places: Vec<_> = self.sides.keys().cloned().collect();
        for (side, collection) in places {
            self.poll_one(&collection, &side)?;
        }
        Ok(())
    }

    fn poll_one(&mut self, collection: &CollectionName, side: &SideName) -> Result<(), RehearsalError> {
        // Only a full listing shows that something is gone.
        let full =
            !self.offline.contains(side) && std::mem::take(&mut self.side_mut(collection, side)?.removed);
        let (side, collection) = (side.clone(), collection.clone());
        self.ask(Command::Poll { side, collection, full }).map(drop)
    }

    /// That a side shows no record at all any more is meant where there were so few.
    fn let_empty(&mut self) -> Result<(), RehearsalError> {
        let empty: Vec<_> = self.sides.iter().filter(|(_, there)| there.ids().next().is_none()).collect();
        let streams: Vec<RecordId> = empty
            .iter()
            .map(|((side, collection), _)| stream_of(side, collection))
            .collect::<Result<_, _>>()?;
        for record in streams {
            self.ask(Command::Release { record, lane: None, action: Released::Replay })?;
        }
        self.run()
    }

    /// A side that cannot be asked for one record is read again when what was written has settled.
    fn wait_out_doubts(&mut self) -> Result<(), RehearsalError> {
        let mut longest = Duration::from_millis(1);
        for record in self.records()? {
            let state = self.state(&record)?;
            let Some(of) = self.plan.collections.get(record.collection()) else { continue };
            let doubted = |(side, part): &(&SideName, &hms_sync_engine::CollectionSide)| {
                !part.abilities.fetch && state.sides.get(*side).is_some_and(|held| held.doubt.is_some())
            };
            let waits = of.sides.iter().filter(doubted).map(|(_, part)| part.settle_window);
            longest = waits.max().unwrap_or_default().max(longest);
        }
        self.wait(longest);
        Ok(())
    }

    pub(crate) fn ask(&mut self, command: Command) -> Result<Option<Reply>, RehearsalError> {
        self.order += 1;
        let reply = self.order;
        self.step(Wake::Command { command, reply: ReplyTo(reply) })?;
        Ok(self.replies.remove(&reply))
    }

    /// Lets the sync work until nothing is on its way and nothing waits for its time.
    pub(crate) fn run(&mut self) -> Result<(), RehearsalError> {
        self.progress_us = self.now_us;
        for _ in 0..STEPS_MAX {
            let timer = self.machine.next_timer(Time(self.now_us)).map(|at| at.0);
            let next = self.queue.first_key_value().map(|(key, _)| key.0);
            match (next, timer) {
                (Some(next), timer) if timer.is_none_or(|timer| next <= timer) => self.arrive_next()?,
                (Some(_), Some(timer)) => self.ring(timer)?,
                (None, Some(timer)) if self.is_worth_waiting(timer)? => self.ring(timer)?,
                (None, _) => return Ok(()),
                (Some(_), None) => self.arrive_next()?,
            }
        }
        Err(RehearsalError::Restless { steps: STEPS_MAX })
    }

    fn ring(&mut self, timer_us: i64) -> Result<(), RehearsalError> {
        self.now_us = self.now_us.max(timer_us);
        self.step(Wake::Timer)
    }

    /// Whether there is work that waits for its time, and not just for a side to come back.
    fn is_worth_waiting(&self, timer_us: i64) -> Result<bool, RehearsalError> {
        if !self.offline.is_empty() {
            return Ok(false);
        }
        let patience =
            self.plan.collections.values().flat_map(|of| of.sides.values()).map(|part| part.settle_window);
        let patience = patience.max().unwrap_or_default().saturating_add(PATIENCE);
        let until = Time(self.progress_us).plus(patience).0;
        Ok(timer_us <= until && self.machine.status()?.pending > 0)
    }

    fn arrive_next(&mut self) -> Result<(), RehearsalError> {
        let Some(((at, _), due)) = self.queue.pop_first() else { return Ok(()) };
        self.now_us = self.now_us.max(at);
        match due {
            Due::Wake(life, wake) if life == self.life => self.step(wake),
            Due::Wake(..) => Ok(()),
            Due::Arrive(life, effect) => self.arrive(life, effect),
        }
    }

    fn later(&mut self, delay_us: i64, due: Due) {
        self.order += 1;
        self.queue.insert((self.now_us.saturating_add(delay_us), self.order), due);
    }

    /// One step of the machine, and what follows from it.
    fn step(&mut self, wake: Wake) -> Result<(), RehearsalError> {
        let now = self.clock();
        for effect in self.machine.step(wake, now)? {
            match effect {
                Effect::Append(events) => self.append(&events)?,
                Effect::Save((changes, upto)) => {
                    self.machine.log().save_views(&changes, upto)?;
                    self.later(READ_US, Due::Wake(self.life, Wake::Saved));
                }
                Effect::Destroy { record, reply } => {
                    let result =
                        self.vault.as_ref().map_or(Ok(0), |vault| vault.destroy(&[record])).map(drop);
                    self.later(READ_US, Due::Wake(self.life, Wake::Destroyed { result, reply }));
                }
                Effect::Reply { to, reply } => {
                    self.replies.insert(to.0, reply);
                }
                Effect::Tell(_) | Effect::Send { .. } | Effect::Handle { .. } => {}
                write @ Effect::Write { .. } => self.later(WRITE_US, Due::Arrive(self.life, write)),
                read @ (Effect::Read { .. } | Effect::Fetch { .. } | Effect::LookUp { .. }) => {
                    self.later(READ_US, Due::Arrive(self.life, read));
                }
            }
        }
        Ok(())
    }

    fn append(&mut self, events: &[Sealed]) -> Result<(), RehearsalError> {
        self.machine.flush_keys()?;
        let log = self.machine.log().clone();
        let first = log.head() + 1;
        log.append(events)?;
        for (_, mut event) in log.events(first, events.len())? {
            if event.record.is_own_stream() {
                continue;
            }
            if let Some(vault) = &self.vault {
                vault.open_event(&mut event);
            }
            if brings_further(&event.body) {
                (self.progress, self.progress_us) = (self.progress + 1, self.now_us);
            }
            let state = state_at(&log, self.vault.as_ref(), &self.plan, &event.record, event.version)?;
            let title = self.machine.title(&event.record, &state);
            let none = Rules::default();
            let rules = self.plan.collections.get(event.record.collection()).map_or(&none, |of| &of.rules);
            self.told.hear(&Heard { event: &event, title: &title, rules, state: &state });
        }
        Ok(())
    }

    /// A request reaches its side, though its sender may have died meanwhile.
    fn arrive(&mut self, life: u64, effect: Effect) -> Result<(), RehearsalError> {
        let (wall, began) = (self.clock().wall, self.machine.time(self.clock()));
        let wake = match effect {
            Effect::Read { side, pass, request, beforehand } => {
                let collection = request.collection.clone();
                let result = self.reached(&side, &collection, |there| there.page(&request, wall))?;
                let plan = self.machine.plan();
                let result = result.map(|page| ShownPage::read(plan, (&side, &collection), beforehand, page));
                Wake::Page { side, collection, pass, result }
            }
            Effect::Fetch { record, side, collection, id } => {
                let result = self.reached(&side, &collection, |there| there.fetch(&id, wall))?;
                Wake::Fetched { record, side, began, result }
            }
            Effect::LookUp { record, side, request } => {
                let found =
                    self.reached(&side, &request.collection, |there| there.lookup(&request.identity, wall));
                Wake::LookedUp { record, side, began, result: found? }
            }
            Effect::Write { record, side, version, request } => {
                let outcome =
                    self.reached(&side, &request.collection, |there| there.write(&request, wall))?;
                let away = |why: ReadError| Outcome::RetryLater {
                    reason: why.to_string(),
                    after: None,
                    side_wide: true,
                };
                Wake::Wrote { record, side, version, outcome: outcome.unwrap_or_else(away) }
            }
            _ => return Ok(()),
        };
        self.later(READ_US, Due::Wake(life, wake));
        Ok(())
    }

    /// Does something at a side, if it can be reached.
    fn reached<T>(
        &mut self,
        side: &SideName,
        collection: &CollectionName,
        does: impl FnOnce(&mut crate::side::Side) -> T,
    ) -> Result<Result<T, ReadError>, RehearsalError> {
        if self.offline.contains(side) {
            return Ok(Err(ReadError::Later { reason: format!("{side} cannot be reached"), after: None }));
        }
        Ok(Ok(does(self.side_mut(collection, side)?)))
    }

    /// The machine, for questions that the rehearsal has no word for.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// The record that a side shows under this id.
    pub fn record_of(&self, side: &SideName, id: &NativeId) -> Result<Option<RecordId>, RehearsalError> {
        self.find(&format!("{side}:{id}"))
    }
}

/// Whether the sync got anywhere, and did not just try.
fn brings_further(body: &Body) -> bool {
    !matches!(body, Body::Failed { .. } | Body::Intended { .. } | Body::Doubted { .. })
}
