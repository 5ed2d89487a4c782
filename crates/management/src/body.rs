//! Bodies of requests, taken in with a bound on size and time, and answers in
//! the one form that all errors have: `{"error": …, "hint": …}`.

use crate::error::DeskError;
use axum::body::{Body, HttpBody};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Serialize;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Seconds after which a sender may try again while the sync is stopped.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");
/// The same while there are too many of them.
const RETRY_SOON: HeaderValue = HeaderValue::from_static("1");

/// A request that gets no answer but this.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) error: String,
    pub(crate) hint: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, error: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { status, error: error.into(), hint: hint.into() }
    }

    /// The sync does not take it now; nothing was kept.
    pub(crate) fn later() -> Self {
        let hint = "send it again later: nothing of it was taken in";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the sync is not running", hint)
    }

    /// There is no room for it now; nothing was kept.
    pub(crate) fn busy() -> Self {
        let hint = "send it again later: nothing of it was taken in";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too many webhooks at once", hint)
    }
}

#[derive(Serialize)]
struct Words<'a> {
    error: &'a str,
    hint: &'a str,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let words = Words { error: &self.error, hint: &self.hint };
        let mut response = (self.status, axum::Json(words)).into_response();
        let headers = response.headers_mut();
        match self.status {
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, RETRY_AFTER);
            }
            StatusCode::TOO_MANY_REQUESTS => {
                // What was not read of the body may still be under way.
                headers.insert(header::RETRY_AFTER, RETRY_SOON);
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            // What was not read of the body may still be under way.
            StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }
}

impl From<DeskError> for Refusal {
    fn from(why: DeskError) -> Self {
        let status = match &why {
            DeskError::NoSuchRecord { .. } | DeskError::NoSuchField { .. } | DeskError::NothingParked => {
                StatusCode::NOT_FOUND
            }
            DeskError::Invalid { .. } | DeskError::NoTime { .. } | DeskError::NameTooLong { .. } => {
                StatusCode::BAD_REQUEST
            }
            DeskError::Stale { .. } => StatusCode::PRECONDITION_FAILED,
            DeskError::Refused { .. }
            | DeskError::NotDecided { .. }
            | DeskError::NotTied { .. }
            | DeskError::Runs
            | DeskError::Archived { .. }
            | DeskError::NotErased { .. }
            | DeskError::NotTakenUp { .. }
            | DeskError::NoNotary
            | DeskError::Notary(_)
            | DeskError::Export(_) => StatusCode::CONFLICT,
            DeskError::NotRunning | DeskError::Stopped => StatusCode::SERVICE_UNAVAILABLE,
            DeskError::Engine(_) | DeskError::Log(_) | DeskError::CutOff { .. } => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        Self::new(status, in_one_line(&why), why.hint())
    }
}

/// An error with all its causes.
pub(crate) fn in_one_line(why: &dyn std::error::Error) -> String {
    let mut line = why.to_string();
    let mut cause = why.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    line
}

/// The whole body, counted while it comes in.
pub(crate) async fn read(body: Body, bytes_max: usize, patience: Duration) -> Result<Bytes, Refusal> {
    let whole = Limited::new(body, bytes_max).collect();
    match tokio::time::timeout(patience, whole).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(why)) if why.is::<LengthLimitError>() => Err(too_large(bytes_max)),
        Ok(Err(_)) => {
            Err(Refusal::new(StatusCode::BAD_REQUEST, "the body broke off", "send the request again"))
        }
        Err(_) => Err(too_slow()),
    }
}

/// The same within a budget that all bodies share: what has come of each takes its part
/// of it, for as long as the second value lives.
pub(crate) async fn read_within(
    mut body: impl HttpBody<Data = Bytes> + Unpin,
    bytes_max: usize,
    patience: Duration,
    kibibytes: &Semaphore,
) -> Result<(Bytes, Option<SemaphorePermit<'_>>), Refusal> {
    let whole = async {
        let mut parts: Vec<Bytes> = Vec::new();
        let (mut length, mut held) = (0_usize, None::<SemaphorePermit<'_>>);
        while let Some(frame) = body.frame().await {
            let broken =
                |_| Refusal::new(StatusCode::BAD_REQUEST, "the body broke off", "send the request again");
            let Ok(part) = frame.map_err(broken)?.into_data() else { continue };
            length = length.saturating_add(part.len());
            if length > bytes_max {
                return Err(too_large(bytes_max));
            }
            let (taken, wanted) =
                (held.as_ref().map_or(0, SemaphorePermit::num_permits), length.div_ceil(1_024));
            let more = u32::try_from(wanted.saturating_sub(taken)).unwrap_or(u32::MAX);
            let more = kibibytes.try_acquire_many(more).map_err(|_| Refusal::busy())?;
            match &mut held {
                Some(held) => held.merge(more),
                None => held = Some(more),
            }
            parts.push(part);
        }
        let whole = match parts.as_slice() {
            [] => Bytes::new(),
            [only] => only.clone(),
            parts => parts.concat().into(),
        };
        Ok((whole, held))
    };
    tokio::time::timeout(patience, whole).await.unwrap_or_else(|_| Err(too_slow()))
}

fn too_large(bytes_max: usize) -> Refusal {
    let error = format!("the body is larger than {bytes_max} bytes");
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, error, "send fewer records at once")
}

fn too_slow() -> Refusal {
    Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time", "send the request again")
}
