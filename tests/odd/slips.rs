//! Slips that a natural first draft makes where a sync meets its APIs. Each is made between the
//! machine and the connectors, or in the configuration, in the thread that asks for it. What
//! never happens here: a slip unless [`with`] is at work.

use hms_sync_connector::{Content, Observation, Page, ReadError, ReadRequest, Scope, Target, WriteRequest};
use hms_sync_model::Outcome;
use std::cell::Cell;

/// A slip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slip {
    /// A poll begins where the last one ended.
    NoLookback,
    /// A write whose answer is lost has not been carried out.
    LostMeansNotDone,
    /// A listing that breaks off has come to its end.
    BrokenMeansEnded,
    /// What cannot be asked for is gone.
    GoneUnasked,
    /// A write says nothing of the version it was made for.
    NoPrecondition,
    /// When a side wants us back is not looked at.
    ComesBackAtOnce,
    /// Nobody counts requests.
    NoBudget,
    /// After what is there at the start only changes are read.
    NoListings,
}

thread_local! {
    static MADE: Cell<Option<Slip>> = const { Cell::new(None) };
}

/// Does something with a slip made in this thread.
pub(crate) fn with<T>(slip: Slip, act: impl FnOnce() -> T) -> T {
    MADE.set(Some(slip));
    let done = act();
    MADE.set(None);
    done
}

fn made(slip: Slip) -> bool {
    MADE.get() == Some(slip)
}

/// What is so, or what is so with the slip.
pub(crate) fn slipped<T>(slip: Slip, sound: T, with_it: T) -> T {
    if made(slip) { with_it } else { sound }
}

/// What the machine is told of a page, so many microseconds after the start.
pub(crate) fn read(
    request: &ReadRequest,
    since: i64,
    result: Result<Page, ReadError>,
) -> Result<Page, ReadError> {
    let later = since > 10_000_000 && request.scope == Scope::Everything;
    match result {
        Ok(_) if later && made(Slip::NoListings) => Ok(Page { partial: true, ..Page::default() }),
        Err(_) if made(Slip::BrokenMeansEnded) && request.after.is_some() => Ok(Page::default()),
        Err(ReadError::Later { reason, .. }) if made(Slip::ComesBackAtOnce) => {
            Err(ReadError::Later { reason, after: None })
        }
        other => other,
    }
}

/// What the machine is told of a record that it asked for.
pub(crate) fn fetched(result: Result<Observation, ReadError>) -> Result<Observation, ReadError> {
    result.map(
        |shown| {
            if made(Slip::GoneUnasked) { Observation { content: Content::Gone, ..shown } } else { shown }
        },
    )
}

/// What is sent of a write.
pub(crate) fn write(mut request: WriteRequest) -> WriteRequest {
    if let (Target::Update(_, tag) | Target::Delete(_, tag), true) =
        (&mut request.target, made(Slip::NoPrecondition))
    {
        *tag = None;
    }
    request
}

/// What the machine is told of a write.
pub(crate) fn wrote(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Unknown { reason } if made(Slip::LostMeansNotDone) => {
            Outcome::RetryLater { reason, after: None, side_wide: false }
        }
        Outcome::RetryLater { reason, side_wide, .. } if made(Slip::ComesBackAtOnce) => {
            Outcome::RetryLater { reason, after: None, side_wide }
        }
        other => other,
    }
}
