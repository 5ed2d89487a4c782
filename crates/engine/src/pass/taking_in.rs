//! Pages as they come in: each is taken in by portions, and the one after it, which is on its
//! way meanwhile, waits for its turn.

use super::Left;
use crate::error::EngineError;
use crate::happening::What;
use crate::machine::Machine;
use crate::observe::Looked;
use crate::page::ShownPage;
use crate::personal::mask_words;
use crate::plan::Retry;
use crate::views::link_hash;
use crate::wake::Now;
use hms_sync_connector::{Page, ReadError, ReadRequest, Scope};
use hms_sync_model::{CollectionName, SideName, Source, Time};
use std::time::Duration;

/// Waits between tries to read a collection that cannot be read.
const READ_RETRY: Retry =
    Retry { max_attempts: u32::MAX, initial: Duration::from_millis(500), max: Duration::from_secs(30) };

/// Records of a page looked at in one step: what the first of them need leaves while the others
/// are looked at, and writes go on meanwhile.
const PAGE_STEP: usize = 48;

/// How many while something else is to be done in the step, but for a first listing, of which the
/// others get their work: what is under way ends before what is known is compared.
const PAGE_BESIDE: usize = 1;

impl Machine {
    /// A page came in, or did not.
    pub(crate) fn page(
        &mut self,
        side: &SideName,
        collection: &CollectionName,
        id: u64,
        result: Result<ShownPage, ReadError>,
        now: Now,
    ) -> Result<(), EngineError> {
        let key = (side.clone(), collection.clone());
        let Some(pass) = self.passes.all.get_mut(&key) else { return Ok(()) };
        let Some(running) = pass.running.as_mut().filter(|running| running.id == id) else { return Ok(()) };
        if running.left.is_some() {
            // It was asked for ahead: first all of the page before it.
            running.came = Some(Box::new(result));
            return Ok(());
        }
        self.page_came(&key, result, now)
    }

    /// A page is to be taken in, or was not to be had.
    fn page_came(
        &mut self,
        key: &(SideName, CollectionName),
        result: Result<ShownPage, ReadError>,
        now: Now,
    ) -> Result<(), EngineError> {
        let running = self.passes.all.get(key).and_then(|pass| pass.running.as_ref());
        let Some((began, full)) = running.map(|running| (running.page_began, running.full)) else {
            return Ok(());
        };
        match result {
            Ok(page) => match self.frozen(&key.0, &key.1, page.as_they_came()) {
                Some(why) => {
                    self.page_failed(key, &why, now);
                    Ok(())
                }
                None => self.page_read(key, page, began, full, now),
            },
            Err(why) => {
                self.page_failed(key, &why, now);
                Ok(())
            }
        }
    }

    fn page_read(
        &mut self,
        key: &(SideName, CollectionName),
        mut shown: ShownPage,
        began: Time,
        full: bool,
        now: Now,
    ) -> Result<(), EngineError> {
        let (side, collection) = key;
        let (unread, known) = self.note_unread(key, std::mem::take(&mut shown.page.unread), now);
        for reason in &shown.page.unreadable {
            let (side, collection) = (side.clone(), collection.clone());
            self.tell(None, What::Unreadable { side, collection, reason: reason.clone() }, now);
        }
        let unreadable = shown.page.unreadable.len();
        self.counts.unreadable += unreadable as u64;
        // What a first listing shows is all new, and there is more to do for it.
        let first = full && self.passes.all.get(key).is_some_and(|pass| !pass.listed);
        if !first && !self.expects_all(side, collection) {
            self.notice_absences(key, shown.as_they_came(), now)?;
        }
        let (page, records) = shown.parts();
        let Some(pass) = self.passes.all.get_mut(key) else { return Ok(()) };
        let Some(running) = &mut pass.running else { return Ok(()) };
        running.page_came = now.wall;
        if running.asked.after.is_some() {
            (pass.failures, pass.trouble) = (0, None);
        }
        running.records += records.len().saturating_sub(page.shown_before);
        running.sound &= unreadable == 0 && !page.partial && known;
        running.unread.extend(unread);
        running.empty_is_meant |= page.empty_is_meant;
        if full && !running.blank {
            // What is passed over is there all the same.
            let links = page.passed_over.iter().map(|id| link_hash(side, collection.as_str(), id));
            links.for_each(|link| running.seen.put(link));
        }
        let Page { gone, next, cursor, age, .. } = page;
        let began = Looked { at: began.minus(age), aged: age > Duration::ZERO };
        // Of what is listed as a whole the next page is on its way while this one is taken in.
        let ahead = full && next.is_some();
        if ahead {
            let (collection, after) = (collection.clone(), next.clone());
            pass.waiting = Some(ReadRequest { collection, scope: Scope::Everything, after });
        }
        running.left = Some(Left { records: records.into_iter(), gone, began, next, cursor, ahead });
        // Most of what is not new stands as it did: the next page is asked for before it is looked at.
        if ahead && !first { Ok(()) } else { self.take_in(key, true, now) }
    }

    /// Goes on with the pages of which some is left, a little beside other work or more of them.
    pub(crate) fn read_on(&mut self, idle: bool, now: Now) -> Result<(), EngineError> {
        let left = self.passes.all.iter().filter(|(_, pass)| pass.is_in_page());
        let left: Vec<(SideName, CollectionName)> = left.map(|(key, _)| key.clone()).collect();
        left.iter().try_for_each(|key| self.go_on(key, idle, now))
    }

    /// Takes in more of a page, or begins with the one that came meanwhile.
    fn go_on(&mut self, key: &(SideName, CollectionName), idle: bool, now: Now) -> Result<(), EngineError> {
        let running = self.passes.all.get_mut(key).and_then(|pass| pass.running.as_mut());
        match running.filter(|running| running.left.is_none()).and_then(|running| running.came.take()) {
            Some(came) => self.page_came(key, *came, now),
            None => self.take_in(key, idle, now),
        }
    }

    /// Takes in a portion of what is left of a page. What is known to stand as it did counts for none.
    fn take_in(&mut self, key: &(SideName, CollectionName), idle: bool, now: Now) -> Result<(), EngineError> {
        let (side, collection) = key;
        let Some(pass) = self.passes.all.get_mut(key) else { return Ok(()) };
        let Some(running) = &mut pass.running else { return Ok(()) };
        let Some(mut left) = running.left.take() else { return Ok(()) };
        let (full, first, began) = (running.full, running.full && !pass.listed, left.began);
        let part = self.plan.collections.get(collection).and_then(|of| of.sides.get(side));
        let keeps = !running.blank && (full || part.is_none_or(|part| !part.abilities.fetch));
        let (mut seen, events, edits) = (Vec::new(), self.counts.events, self.counts.edits);
        let most = if idle || first { PAGE_STEP } else { PAGE_BESIDE };
        let mut looked_at = 0;
        while looked_at < most
            && let Some(record) = left.records.next()
        {
            let link = link_hash(side, collection.as_str(), record.id());
            seen.extend(keeps.then_some(link));
            let shown = if first { None } else { self.quiet.shown(&record) };
            if let Some(shown) = shown
                && (self.quiet.knows(link, shown) || self.was_quiet(key, record.id(), (link, shown))?)
            {
                self.counts.observations += 1;
                continue;
            }
            looked_at += 1;
            let (id, put_by) = (record.id().clone(), self.put_by);
            self.intake(side, collection, record, Source::Page, began, now)?;
            if let Some(shown) = shown.filter(|_| self.put_by == put_by) {
                self.note_quiet(side, collection, &id, shown)?;
            }
        }
        let Some(pass) = self.passes.all.get_mut(key) else { return Ok(()) };
        // What nobody heard of before the first pass of this process is no webhook's fault.
        if pass.hooked_at.is_some() && pass.current {
            self.counts.repairs += self.counts.edits.saturating_sub(edits);
        }
        let Some(running) = &mut pass.running else { return Ok(()) };
        seen.into_iter().for_each(|link| running.seen.put(link));
        running.news += self.counts.events.saturating_sub(events);
        if left.records.len() > 0 {
            running.left = Some(left);
            return Ok(());
        }
        for id in std::mem::take(&mut left.gone) {
            self.told_gone(key, id, now)?;
        }
        let Some(pass) = self.passes.all.get_mut(key) else { return Ok(()) };
        let Some(running) = &mut pass.running else { return Ok(()) };
        if left.cursor.is_some() {
            running.cursor.clone_from(&left.cursor);
        }
        match left.next {
            Some(next) => {
                let first = running.full && !pass.listed;
                let token = next.0.clone();
                if !left.ahead {
                    let scope = pass.cursor.clone().map_or(Scope::Everything, Scope::Since);
                    let collection = collection.clone();
                    pass.waiting = Some(ReadRequest { collection, scope, after: Some(next) });
                }
                // What is put by is still to be taken in: after a crash it is read again.
                let all_in = running.put_by.is_empty();
                match left.cursor {
                    Some(cursor) if !full && all_in => {
                        self.move_cursor(key, Some(cursor), Some(token), false, now)
                    }
                    _ if first => self.note_place(key, token, now),
                    _ => Ok(()),
                }
            }
            None => self.pass_ended(key, now),
        }
    }

    fn page_failed(&mut self, key: &(SideName, CollectionName), why: &ReadError, now: Now) {
        let (side, collection) = key.clone();
        let failures = self.passes.all.get(key).map_or(0, |pass| pass.failures);
        let mut wait = self.backoff(&READ_RETRY, failures).max(READ_RETRY.initial / 4);
        match why {
            ReadError::Later { after: Some(after), .. } => wait = wait.max(*after),
            ReadError::Later { .. } | ReadError::Broken { .. } => {}
            ReadError::Denied { .. } => wait = READ_RETRY.max,
        }
        let personal = self.plan.collections.get(&collection).is_some_and(|of| !of.personal.is_empty());
        let words = why.to_string();
        let words = if personal { mask_words(&words) } else { words };
        if let Some(pass) = self.passes.all.get_mut(key) {
            let again = pass.running.as_mut().and_then(|running| running.again(why, now.wall));
            if let (Some(running), Some(request)) = (&mut pass.running, again) {
                running.again_at = Some(now.mono.plus(wait));
                pass.waiting = Some(request);
                pass.failures = failures.saturating_add(1);
                pass.trouble = Some(words);
                let told = What::ReadFailed { side, collection, reason: why.to_string() };
                return self.tell(None, told, now);
            }
            let full = pass.running.take().is_some_and(|running| running.full);
            if !matches!(why, ReadError::Later { .. }) {
                // Perhaps because of where it went on from.
                pass.place = None;
            }
            pass.waiting = None;
            pass.failures = failures.saturating_add(1);
            pass.trouble = Some(words);
            let due = if full { &mut pass.next_full } else { &mut pass.next_poll };
            *due = Some(now.mono.plus(wait));
            if full && pass.next_poll.is_some() {
                pass.next_poll = Some(now.mono.plus(wait));
            }
        }
        self.tell(None, What::ReadFailed { side, collection, reason: why.to_string() }, now);
    }
}
