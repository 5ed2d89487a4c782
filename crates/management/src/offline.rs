//! A sync that nobody is running: its machine, opened to be asked.
//!
//! It is stopped before it is asked anything, so that it reads no side, plans no
//! write and calls no handler. The only events it makes are a person's own word
//! (a release), and they are durable before it is answered.

use crate::error::DeskError;
use hms_sync_changelog::Log;
use hms_sync_engine::{Command, Effect, EngineError, Machine, Now, Plan, Reply, ReplyTo, Wake};
use hms_sync_model::Time;
use hms_sync_vault::Vault;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// A machine at rest.
#[derive(Debug)]
pub(crate) struct Stopped {
    machine: Mutex<Machine>,
}

impl Stopped {
    pub(crate) fn open(plan: Plan, log: Log, vault: Option<Vault>) -> Result<Self, DeskError> {
        let mut machine = Machine::open_with(Arc::new(plan), log, vault, 0)?;
        machine.step(Wake::Stop, now())?;
        Ok(Self { machine: Mutex::new(machine) })
    }

    /// Has the machine make events, which the caller appends.
    pub(crate) fn change<T>(
        &self,
        make: impl FnOnce(&mut Machine, Now) -> Result<T, EngineError>,
    ) -> Result<T, DeskError> {
        let mut machine = self.machine.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(make(&mut machine, now())?)
    }

    /// Makes every key durable that events need which are about to be appended.
    pub(crate) fn flush_keys(&self) -> Result<(), DeskError> {
        self.look(Machine::flush_keys)
    }

    pub(crate) fn look<T>(
        &self,
        question: impl FnOnce(&Machine) -> Result<T, EngineError>,
    ) -> Result<T, DeskError> {
        let machine = self.machine.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(question(&machine)?)
    }

    pub(crate) fn command(&self, command: Command) -> Result<Reply, DeskError> {
        if matches!(command, Command::Poll { .. } | Command::Retell { .. }) {
            return Err(DeskError::NotRunning);
        }
        let mut machine = self.machine.lock().unwrap_or_else(PoisonError::into_inner);
        let effects = machine.step(Wake::Command { command, reply: ReplyTo(0) }, now())?;
        let mut answer = Reply::Done;
        for effect in effects {
            match effect {
                Effect::Append(events) => {
                    machine.flush_keys()?;
                    machine.log().append(&events)?;
                }
                Effect::Destroy { record, .. } => machine.destroy_key(&record)?,
                Effect::Reply { reply, .. } => answer = reply,
                // A machine that was stopped begins nothing; the next run takes
                // up from the log whatever is left to do.
                Effect::Save(_)
                | Effect::Read { .. }
                | Effect::Fetch { .. }
                | Effect::LookUp { .. }
                | Effect::Write { .. }
                | Effect::Send { .. }
                | Effect::Handle { .. }
                | Effect::Tell(_) => {}
            }
        }
        Ok(answer)
    }
}

/// The time by this machine's clocks, for a machine at rest.
pub(crate) fn now() -> Now {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now { wall: Time(i64::try_from(wall.as_micros()).unwrap_or(i64::MAX)), mono: Time(1) }
}
