//! How far a pass has come, written down, and what its end settles.

use super::PutBy;
use crate::error::EngineError;
use crate::happening::What;
use crate::machine::Machine;
use crate::wake::Now;
use hms_sync_connector::Cursor;
use hms_sync_model::{Body, CollectionName, SideName, Source, Time};
use std::time::Duration;

/// How many times as long as the last poll took it is until the next, if it brought
/// nothing new, as long as the side is being filled.
const ECHO_REST: u32 = 4;

impl Machine {
    /// Writes down how far a first listing has come: after a restart it goes on from there.
    pub(super) fn note_place(
        &mut self,
        key: &(SideName, CollectionName),
        next: String,
        now: Now,
    ) -> Result<(), EngineError> {
        let Some(pass) = self.passes.all.get(key) else { return Ok(()) };
        let stream = pass.stream.clone();
        let body = Body::Cursor { side: key.0.clone(), cursor: None, listed: false, next: Some(next) };
        self.emit_stream(&stream, body, now)?;
        let place = self.views.stream(&stream)?.place;
        if let Some(pass) = self.passes.all.get_mut(key) {
            pass.place = place;
        }
        Ok(())
    }

    /// Writes down how far a collection has been read. `next` is the page that comes next
    /// in the pass, if there is one.
    pub(super) fn move_cursor(
        &mut self,
        key: &(SideName, CollectionName),
        cursor: Option<Cursor>,
        next: Option<String>,
        listed: bool,
        now: Now,
    ) -> Result<(), EngineError> {
        let Some(pass) = self.passes.all.get_mut(key) else { return Ok(()) };
        let moved = cursor.is_some() && cursor != pass.cursor;
        if !moved && !listed {
            return Ok(());
        }
        if cursor.is_some() {
            pass.cursor.clone_from(&cursor);
        }
        pass.listed |= listed;
        let stream = pass.stream.clone();
        let body = Body::Cursor { side: key.0.clone(), cursor: cursor.map(|cursor| cursor.0), listed, next };
        self.emit_stream(&stream, body, now)
    }

    pub(super) fn pass_ended(
        &mut self,
        key: &(SideName, CollectionName),
        now: Now,
    ) -> Result<(), EngineError> {
        let (side, collection) = key;
        let part = self.plan.collections.get(collection).and_then(|of| of.sides.get(side));
        let (poll, full) = part.map_or((None, None), |part| (part.poll_interval, part.full_interval));
        let Some(pass) = self.passes.all.get_mut(key) else { return Ok(()) };
        let Some(mut running) = pass.running.take() else { return Ok(()) };
        running.seen.sort();
        pass.failures = 0;
        pass.trouble = None;
        pass.place = None;
        (pass.last_began, pass.last_ended) = (running.began, now.wall);
        // While a side is being filled, most of what a poll reads is what we wrote
        // just now: then reading gets a share of the time, not all of it.
        let took = now.mono.since(running.began_mono);
        pass.rests_until = match running.news {
            0 => now.mono.plus(took.saturating_mul(ECHO_REST)),
            _ => Time::MIN,
        };
        // While its webhooks come there is less to be found.
        let told = |within: &&Duration| pass.hooked_at.is_some_and(|at| now.mono.since(at) < **within);
        let pace = self.plan.sweeps.get(key).filter(told).copied();
        pass.next_poll = poll.map(|poll| now.mono.plus(pace.unwrap_or(poll).max(poll)));
        let told = pass.regression.told;
        let mut first_listing = false;
        let mut caught_up = !std::mem::replace(&mut pass.current, true);
        let put_by = std::mem::take(&mut running.put_by);
        if running.full {
            pass.next_full = full.map(|interval| now.mono.plus(interval));
            first_listing = !pass.listed;
            let worth_noting = running.scheduled || first_listing || told.is_some();
            let records = running.records;
            if worth_noting {
                let told = What::Listed { side: side.clone(), collection: collection.clone(), records };
                self.tell(None, told, now);
            }
            self.take_in_put_by(key, put_by, now)?;
            let swept = self.sweep_if_believed(key, &running, told, now)?;
            let complete = running.sound && swept && running.unread.is_empty();
            caught_up |= self.listing_ended(key, running.began, complete);
            self.move_cursor(key, running.cursor, None, swept && worth_noting, now)?;
            caught_up |= self.is_told_done(key, told, now)?;
        } else {
            self.take_in_put_by(key, put_by, now)?;
            self.move_cursor(key, running.cursor, None, false, now)?;
        }
        if first_listing || caught_up {
            // What waited for the listing may go out now.
            self.look_at_all();
        }
        Ok(())
    }

    /// A pass has ended: what was put by was too little to be held.
    pub(super) fn take_in_put_by(
        &mut self,
        key: &(SideName, CollectionName),
        put_by: Vec<PutBy>,
        now: Now,
    ) -> Result<(), EngineError> {
        put_by.into_iter().try_for_each(|PutBy { seen, began }| {
            self.intake(&key.0, &key.1, seen.into(), Source::Page, began, now)
        })
    }
}
