//! What people and senders of webhooks ask for.

use crate::error::EngineError;
use crate::machine::Machine;
use crate::state::RecordState;
use crate::stream::{REMEMBERED, keys_stream, parse_stream, stream_of};
use crate::wake::{Command, Now, Reply, ReplyTo};
use hms_sync_connector::Delivery;
use hms_sync_model::{
    Body, CollectionName, Lane, NativeId, RecordId, Released, SideName, Source, WebhookMessage,
};

/// After so many webhooks, so many of those that are known are looked at: more than have
/// come since, so that what is remembered does not grow for ever.
const FORGET_EVERY: u64 = 64;
const FORGET_AT_ONCE: usize = 256;

impl Machine {
    /// Takes in a webhook. What it says is durable before it is answered; its
    /// sender's retries are answered and change nothing.
    pub(crate) fn webhook(
        &mut self,
        side: &SideName,
        collection: &CollectionName,
        delivery: Delivery,
        reply: ReplyTo,
        now: Now,
    ) -> Result<(), EngineError> {
        let stream = stream_of(side, collection)?;
        let message = delivery.message;
        if let Some(message) = &message
            && self.views.received(&stream, message)?.is_some()
        {
            self.counts.duplicate_webhooks += 1;
            self.reply(reply, Reply::Done);
            return Ok(());
        }
        self.counts.webhooks += 1;
        self.passes.hooked(&(side.clone(), collection.clone()), now);
        if self.counts.webhooks.is_multiple_of(FORGET_EVERY) {
            self.views.forget_messages(now.wall.minus(REMEMBERED), now.wall, FORGET_AT_ONCE)?;
        }
        // Of one record alone its own event tells of the message, and both are durable or neither.
        // Of several the message is known once all of them are: a power cut may come between them,
        // and then it is sent again. The stream begins with the first message, so that what is
        // carried over finds it.
        let alone = delivery.records.len() + delivery.hints.len() == 1;
        let told = message.clone().map(if alone { WebhookMessage::Whole } else { WebhookMessage::Part });
        let (noted, begun) = (self.views.messages_noted(), self.views.has_stream(&stream)?);
        for record in delivery.records {
            let source = Source::Webhook(told.clone());
            self.intake(side, collection, record.into(), source, now.wall.into(), now)?;
        }
        for id in delivery.hints {
            self.hint(side, collection, id, told.clone(), now)?;
        }
        if let Some(message) = message.filter(|_| self.views.messages_noted() == noted || !begun) {
            self.emit_stream(&stream, Body::Received { message }, now)?;
        }
        self.reply(reply, Reply::Done);
        Ok(())
    }

    /// A record may have changed: it is to be read.
    fn hint(
        &mut self,
        side: &SideName,
        collection: &CollectionName,
        id: NativeId,
        message: Option<WebhookMessage>,
        now: Now,
    ) -> Result<(), EngineError> {
        let (record, mut entry) = match self.views.linked(side, collection, &id)? {
            Some(record) => {
                let entry = self.views.take(&record)?;
                (record, entry)
            }
            None => self.record_of_new_id(side, collection, &id)?,
        };
        let words = "a webhook named it".to_owned();
        self.emit(
            &record,
            &mut entry,
            Body::Doubted { side: side.clone(), stale: false, id: Some(id), message, words },
            now,
        )?;
        self.finish(record, entry, now)
    }

    /// Does what a person asks for.
    pub(crate) fn command(&mut self, command: Command, reply: ReplyTo, now: Now) -> Result<(), EngineError> {
        let answer = match command {
            Command::Release { record, lane, action } if record.is_own_stream() => {
                self.release_stream(&record, lane, action, now)?
            }
            Command::Release { action: Released::PushOurs | Released::TakeTheirs, .. } => Reply::Count(0),
            Command::Release { record, lane, action } => self.release(&record, lane, action, now)?,
            Command::Choose(choice) => self.choose(choice, now)?,
            Command::Tie(tie) => self.tie(tie, now)?,
            Command::Retell { side, after } => self.retell(side, after),
            Command::Subscribe { side, wanted, by, reason } => {
                self.subscribe(&side, wanted, (&by, &reason), now)?
            }
            Command::TakeUp { record, by, reason } => self.take_up_held(&record, by, reason, now)?,
            Command::Erase { record, by, reason } => return self.erase(&record, by, reason, reply, now),
            Command::Poll { side, collection, full } => {
                if self.ask_pass(&side, &collection, full) {
                    Reply::Done
                } else {
                    Reply::Refused(format!("{side} has no collection {collection:?} that is read"))
                }
            }
            Command::Signing { key, before, words, last } => {
                self.emit_stream(&keys_stream()?, Body::Signing { key, before, words, last }, now)?;
                Reply::Done
            }
        };
        self.reply(reply, answer);
        Ok(())
    }

    fn release(
        &mut self,
        record: &RecordId,
        lane: Option<Lane>,
        action: Released,
        now: Now,
    ) -> Result<Reply, EngineError> {
        let mut entry = self.views.take(record)?;
        let parked = parked_lanes(&entry.state);
        let wanted: Vec<Lane> =
            parked.into_iter().filter(|l| lane.as_ref().is_none_or(|lane| lane == l)).collect();
        let count = wanted.len();
        for lane in wanted {
            if let Lane::Side(side) = &lane {
                self.lanes.close(record, &crate::lane::Track::Deliver(side.clone()));
            }
            self.emit(record, &mut entry, Body::Released { lane, action }, now)?;
        }
        self.finish(record.clone(), entry, now)?;
        Ok(Reply::Count(count))
    }

    /// Deletes that the guard held back: let them pass, or leave the records.
    fn release_stream(
        &mut self,
        stream: &RecordId,
        lane: Option<Lane>,
        action: Released,
        now: Now,
    ) -> Result<Reply, EngineError> {
        let Some((side, collection)) = parse_stream(stream) else { return Ok(Reply::Count(0)) };
        let state = self.views.stream(stream)?;
        let whole_side = matches!(action, Released::PushOurs | Released::TakeTheirs);
        let waits = if whole_side {
            state.regressed.is_some()
        } else {
            state.held.is_some() || state.withheld.is_some()
        };
        if !waits {
            return Ok(Reply::Count(0));
        }
        let lane = lane.unwrap_or_else(|| Lane::Side(side.clone()));
        self.emit_stream(stream, Body::Released { lane, action }, now)?;
        let key = (side.clone(), collection.clone());
        self.know_absences(&key, stream)?;
        self.know_regression(&key, stream)?;
        // What was shown and passed over is to be looked at again.
        self.quiet.clear();
        if action == Released::Replay || whole_side {
            self.ask_pass(&side, &collection, true);
        }
        if whole_side {
            // What waited may be read again.
            self.look_at_all();
        }
        Ok(Reply::Count(1))
    }
}

/// What of a record is parked.
pub fn parked_lanes(state: &RecordState) -> Vec<Lane> {
    let sides = state.sides.iter().filter(|(_, part)| part.parked.is_some());
    let jobs = state.jobs.iter().filter(|(_, job)| job.parked.is_some());
    let requests = state.requests.iter().filter(|(_, request)| request.parked.is_some());
    sides
        .map(|(side, _)| Lane::Side(side.clone()))
        .chain(jobs.map(|(job, _)| Lane::Job(job.clone())))
        .chain(requests.map(|(version, _)| Lane::Request(*version)))
        .collect()
}
