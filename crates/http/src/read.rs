//! Reading one record; what an answer means to a reader.

use crate::request::Ask;
use crate::select::Lens;
use crate::spec::HttpCollection;
use crate::stamp::Scale;
use crate::template;
use crate::wire::{Answer, Lost, Verdict, Wire};
use bytes::Bytes;
use hms_sync_connector::{Content, Observation, ReadError};
use hms_sync_model::NativeId;
use http::StatusCode;
use minijinja::context;

/// One record by its id.
pub(crate) async fn fetch(
    ask: &Ask,
    wire: &Wire,
    lens: &Lens,
    id: NativeId,
) -> Result<Observation, ReadError> {
    let request = ask.request(wire, &context! { id => template::value(&lens.key.shown(&id)) }, &[]);
    let request = request.map_err(|why| ReadError::Denied { reason: format!("{}: {why}", ask.label) })?;
    let answer = ask.send(wire, request).await.map_err(|lost| later(ask, &lost))?;
    if matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::GONE) && !answer.is_judged() {
        return Ok(Observation { id, tag: None, modified: None, content: Content::Gone });
    }
    let answer = good(ask, answer)?;
    let broken =
        |why: String| ReadError::Broken { reason: format!("{} for {:.60}: {why}", ask.label, id.as_str()) };
    let json = ask.decoder.parse(body(ask, &answer)?, wire.body_max()).map_err(broken)?;
    let record = match &ask.selector {
        Some(path) => {
            path.take(json).ok_or_else(|| broken(format!("there is nothing at `{path}` in the answer")))?
        }
        None => json,
    };
    let record = lens.made(record).map_err(|why| broken(format!("the record {why}")))?;
    let found = lens.id(&record).map_err(|why| broken(format!("the record {why}")))?;
    if found != id {
        return Err(broken(format!("the answer is another record, {:.60}", found.as_str())));
    }
    Ok(lens.observe(id, record, Some(&answer)))
}

pub(crate) fn later(ask: &Ask, lost: &Lost) -> ReadError {
    ReadError::Later { reason: format!("{}: {}", ask.label, lost.reason()), after: lost.after() }
}

pub(crate) fn body<'a>(ask: &Ask, answer: &'a Answer) -> Result<&'a Bytes, ReadError> {
    answer.body.as_ref().map_err(|why| ReadError::Broken { reason: format!("{}: {why}", ask.label) })
}

/// Lets answers with records through; makes errors of the others.
pub(crate) fn good(ask: &Ask, answer: Answer) -> Result<Answer, ReadError> {
    let status = answer.status;
    if answer.is_success() {
        return Ok(answer);
    }
    let (reason, after) = (format!("{}: {}", ask.label, answer.words()), answer.judged.after);
    Err(match answer.judged.verdict {
        Verdict::Retry { .. } | Verdict::RateLimited => ReadError::Later { reason, after },
        Verdict::Fail | Verdict::Refresh | Verdict::Reset => ReadError::Denied { reason },
        // Of one record it tells nothing, which is not that there is none.
        Verdict::Ignore => ReadError::Broken { reason },
        Verdict::Success | Verdict::Unsaid => match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ReadError::Denied { reason },
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY => {
                ReadError::Later { reason, after }
            }
            _ if status.is_server_error() => ReadError::Later { reason, after },
            _ if status.is_client_error() => ReadError::Denied { reason },
            _ => ReadError::Broken { reason },
        },
    })
}

/// What a listing is polled by, for the times of records. Forms that cannot be read are
/// told where the listing is set up.
pub(crate) fn modified(spec: &HttpCollection) -> Option<Scale> {
    let sync = spec.read.as_ref().and_then(|read| read.incremental_sync.as_ref());
    let field = spec.modified.clone().or_else(|| sync?.cursor_field.clone())?;
    let scale = Scale::new(field, sync.and_then(|sync| sync.datetime_format.as_deref()), None).ok()?;
    scale.read_also(sync.map_or(&[], |sync| &sync.cursor_datetime_formats)).ok()
}
