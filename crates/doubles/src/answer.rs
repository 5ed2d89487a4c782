//! The bodies of answers: whole, or made while they are sent.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use hyper::body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum Answer {
    Whole(Option<Bytes>),
    /// The same piece again and again, so many bytes in all.
    Repeat {
        piece: Bytes,
        left: u64,
    },
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = match self.get_mut() {
            Self::Whole(bytes) => bytes.take().filter(|bytes| !bytes.is_empty()),
            Self::Repeat { left: 0, .. } => None,
            Self::Repeat { piece, left } => {
                let length = usize::try_from(*left).unwrap_or(usize::MAX).min(piece.len());
                *left = left.saturating_sub(length as u64);
                Some(piece.slice(..length))
            }
        };
        Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Self::Repeat { left, .. } => *left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            // Not announced, so that the reader has to count.
            Self::Repeat { .. } => SizeHint::default(),
        }
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// JSON text with a status.
pub(crate) fn json(status: StatusCode, body: impl Into<Bytes>) -> Response<Answer> {
    let mut response = Response::new(Answer::Whole(Some(body.into())));
    *response.status_mut() = status;
    if status != StatusCode::NO_CONTENT {
        response.headers_mut().insert(CONTENT_TYPE, JSON);
    }
    response
}

/// A body of `length` bytes of JSON that never gets to its end.
pub(crate) fn huge(length: u64) -> Response<Answer> {
    let mut response = json(StatusCode::OK, "");
    let piece =
        "[".to_owned() + &"\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",[".repeat(1_024);
    *response.body_mut() = Answer::Repeat { piece: piece.into(), left: length };
    response
}

pub(crate) fn tagged(mut response: Response<Answer>, stamp: i64) -> Response<Answer> {
    if let Ok(tag) = HeaderValue::try_from(format!("\"{stamp}\"")) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

pub(crate) fn come_back(mut response: Response<Answer>, seconds: u32) -> Response<Answer> {
    response.headers_mut().insert(RETRY_AFTER, seconds.into());
    response
}
