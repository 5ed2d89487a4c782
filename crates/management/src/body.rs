//! Bodies of requests, taken in with a bound on size and time, and answers in
//! the one form that all errors have: `{"error": …, "hint": …}`.

use crate::error::DeskError;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Serialize;
use std::time::Duration;

/// Seconds after which a sender may try again while the sync is stopped.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

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
            DeskError::Invalid { .. } | DeskError::NoTime { .. } => StatusCode::BAD_REQUEST,
            DeskError::Refused { .. }
            | DeskError::Runs
            | DeskError::Archived { .. }
            | DeskError::NotErased { .. }
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
        Ok(Err(why)) if why.is::<LengthLimitError>() => {
            let error = format!("the body is larger than {bytes_max} bytes");
            Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, error, "send fewer records at once"))
        }
        Ok(Err(_)) => {
            Err(Refusal::new(StatusCode::BAD_REQUEST, "the body broke off", "send the request again"))
        }
        Err(_) => {
            let error = "the body did not come in time";
            Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, error, "send the request again"))
        }
    }
}
