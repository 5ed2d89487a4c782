//! When a pass begins, and when one goes on that has waited: after its interval, when it is asked
//! for, and not while what came before it waits for room.
//!
//! What never happens here: a look at what a page shows.

use super::{PLACE_AGE_MAX, Running};
use crate::lane::Track;
use crate::machine::Machine;
use crate::seen::Seen;
use crate::stream::Place;
use crate::wake::{Effect, Now};
use hms_sync_connector::{PageToken, ReadRequest, Scope};
use hms_sync_model::{CollectionName, SideName, Time};
use std::time::Duration;

/// How old what is known of a side may be after a start for records to be created
/// there before it is read again: no older than it may be between two polls, and
/// never more than this.
const KNOWN_AGE_MAX: Duration = Duration::from_secs(10);

/// What a pass is like from its beginning on, as [`Running`] has it.
#[derive(Debug, Clone, Copy)]
struct Kind {
    full: bool,
    scheduled: bool,
    blank: bool,
}

impl Running {
    /// A pass that begins with the page asked for, or goes on from a place.
    fn begin(id: u64, kind: Kind, place: Option<&Place>, asked: ReadRequest, now: Now) -> Self {
        let Kind { full, scheduled, blank } = kind;
        Self {
            id,
            full,
            scheduled,
            blank,
            began: place.map_or(now.wall, |place| place.began),
            began_mono: now.mono,
            page_began: now.wall,
            page_came: now.wall,
            asked,
            again_at: None,
            seen: Seen::default(),
            records: 0,
            unread: Vec::new(),
            news: 0,
            // What it showed before it was cut short is no longer known.
            sound: place.is_none(),
            empty_is_meant: false,
            cursor: None,
            left: None,
            came: None,
            put_by: Vec::new(),
            put_by_until: Time::MIN,
            all: None,
        }
    }
}

impl Machine {
    /// Asks for a full listing of a collection as soon as may be.
    pub(crate) fn ask_pass(&mut self, side: &SideName, collection: &CollectionName, full: bool) -> bool {
        match self.passes.all.get_mut(&(side.clone(), collection.clone())) {
            Some(pass) => {
                pass.ask(full);
                true
            }
            None => false,
        }
    }

    /// After a start, a full listing is due when it would have been without it, and a
    /// side that was read just now is known as well as it was, and read again when it
    /// no longer is.
    pub(crate) fn resume_listings(&mut self, now: Now) {
        for ((side, collection), pass) in &mut self.passes.all {
            let Some(part) = self.plan.collections.get(collection).and_then(|of| of.sides.get(side)) else {
                continue;
            };
            let told = pass.regression.told.is_some();
            if let (true, Some(interval)) = (pass.listed && !told, part.full_interval) {
                let wait = pass.listed_at.plus(interval).since(now.wall).min(interval);
                pass.next_full = Some(now.mono.plus(wait));
            }
            let Some(age_max) = part.poll_interval.map(|interval| interval.min(KNOWN_AGE_MAX)) else {
                continue;
            };
            let stale_at = pass.last_began.plus(age_max);
            pass.current = pass.last_began <= now.wall && now.wall < stale_at;
            if pass.current {
                // No sooner than without the restart.
                pass.next_poll = Some(now.mono.plus(stale_at.since(now.wall)));
            }
        }
    }

    /// Begins the passes whose time has come, and goes on with those that waited.
    pub(crate) fn poll_due(&mut self, now: Now) {
        if self.stopping {
            return;
        }
        let room = self.lanes.ready() < self.plan.backlog_max;
        let keys = self.any_personal || self.views.vault().is_some();
        let mut effects = Vec::new();
        for ((side, collection), pass) in &mut self.passes.all {
            // Under a contract a whole page may have to wait; a record's hash is made under its key.
            let may_read = !keys && !self.plan.contracts.contains_key(&(side.clone(), collection.clone()));
            if let Some(running) = &mut pass.running {
                running.again_at = running.again_at.filter(|at| *at > now.mono);
                let may = room && running.again_at.is_none();
                if let Some(request) = pass.waiting.take_if(|_| may) {
                    running.page_began = now.wall;
                    running.asked = request.clone();
                    let beforehand = may_read && running.full && !pass.listed;
                    effects.push(Effect::Read { side: side.clone(), pass: running.id, request, beforehand });
                }
                continue;
            }
            let due = |at: Option<Time>| at.is_some_and(|at| at <= now.mono);
            let full = due(pass.next_full) || due(pass.next_poll) && pass.cursor.is_none();
            if !full && !due(pass.next_poll) {
                continue;
            }
            let filled = || self.lanes.ready_for(&Track::Deliver(side.clone())) > 0;
            if !due(pass.next_full) && pass.rests_until > now.mono && filled() {
                continue;
            }
            let scheduled = due(pass.next_full);
            self.passes.count += 1;
            let id = self.passes.count;
            let scope = match &pass.cursor {
                Some(cursor) if !full => Scope::Since(cursor.clone()),
                _ => Scope::Everything,
            };
            let place = pass
                .place
                .clone()
                .filter(|place| full && !pass.listed && now.wall < place.at.plus(PLACE_AGE_MAX));
            let after = place.as_ref().map(|place| PageToken(place.next.clone()));
            let request = ReadRequest { collection: collection.clone(), scope, after };
            // Where it may tell of deletes and cannot be asked for a record, what it has shown is asked.
            let part = self.plan.collections.get(collection).and_then(|of| of.sides.get(side));
            let may = part.is_some_and(|part| part.abilities.fetch || !part.abilities.incremental);
            let knows_none =
                || self.views.links(side, collection, None, 1).is_ok_and(|known| known.is_empty());
            let blank = may && full && place.is_none() && knows_none();
            let kind = Kind { full, scheduled, blank };
            pass.running = Some(Running::begin(id, kind, place.as_ref(), request.clone(), now));
            let beforehand = may_read && full && !pass.listed;
            effects.push(Effect::Read { side: side.clone(), pass: id, request, beforehand });
        }
        for effect in effects {
            self.push(effect);
        }
    }
}
