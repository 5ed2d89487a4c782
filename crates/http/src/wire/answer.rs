//! What a side answered, or why it did not.

use crate::error::quote;
use crate::wire::hidden::Hidden;
use crate::wire::verdict::{Judged, Verdict};
use crate::wire::wait;
use bytes::Bytes;
use http::header::{LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderName, StatusCode};
use std::time::Duration;

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// The whole body, or why it could not be read to its end.
    pub(crate) body: Result<Bytes, String>,
    /// What it means, by the side's `error_handler`.
    pub(crate) judged: Judged,
    /// What must not be repeated of it.
    pub(crate) hidden: Hidden,
}

/// Why nothing came back.
#[derive(Debug)]
pub(crate) enum Lost {
    /// The request did not leave us.
    NotSent(String),
    /// The side takes no more requests for so long.
    Held(String, Duration),
    /// It did, and what became of it is not known.
    Sent(String),
}

impl Lost {
    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::NotSent(reason) | Self::Held(reason, _) | Self::Sent(reason) => reason,
        }
    }

    /// How long the side wants to be left alone.
    pub(crate) fn after(&self) -> Option<Duration> {
        match self {
            Self::Held(_, after) => Some(*after),
            Self::NotSent(_) | Self::Sent(_) => None,
        }
    }
}

impl Answer {
    /// What it says, short, for people, and without any secret of ours.
    pub(crate) fn words(&self) -> String {
        let said = match &self.body {
            Ok(body) => quote(&self.hidden.out_of(body), 300),
            Err(reason) => reason.clone(),
        };
        let status = self.status.as_u16();
        let before = self.judged.said.as_ref().map_or(String::new(), |said| format!("{said}; it "));
        if self.status.is_redirection() {
            let to = self.headers.get(LOCATION).map_or(&[][..], |to| to.as_bytes());
            return format!(
                "{before}answered {status} and points to {}; redirects are not followed",
                quote(&self.hidden.out_of(to), 200)
            );
        }
        let name = self.status.canonical_reason().unwrap_or("no known status");
        if said.is_empty() {
            format!("{before}answered {status} {name}")
        } else {
            format!("{before}answered {status} {name}: {said}")
        }
    }

    /// Whether it is what was asked for.
    pub(crate) fn is_success(&self) -> bool {
        match self.judged.verdict {
            Verdict::Success => true,
            Verdict::Unsaid => self.status.is_success(),
            _ => false,
        }
    }

    /// Whether a filter speaks of it, and not only its status.
    pub(crate) fn is_judged(&self) -> bool {
        self.judged.verdict != Verdict::Unsaid
    }

    /// Whether it says that our token is no longer taken.
    pub(crate) fn refuses_the_token(&self) -> bool {
        match self.judged.verdict {
            Verdict::Refresh => true,
            Verdict::Unsaid => self.status == StatusCode::UNAUTHORIZED,
            _ => false,
        }
    }

    /// A header of one line of text.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A header of this name.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// How long the side asked us to stay away; the longest of several.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        // Hardly an answer says so: its date is read only then.
        self.headers.get(RETRY_AFTER)?;
        let values = self.headers.get_all(RETRY_AFTER).iter();
        let now = wait::clock(&self.headers);
        values.filter_map(|value| wait::time(value.to_str().ok()?, now)).max().map(wait::clamped)
    }
}
