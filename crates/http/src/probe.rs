//! A look at a side before anything is known of it: one answer at a time, as it
//! came, through the same guarded client as everything else. Reads only.

use crate::decode;
use crate::error::SpecError;
use crate::request::below;
use crate::spec::{Headers, HttpSpec};
use crate::wire::Wire;
use http::Method;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Asks a side for whatever path it is told.
#[derive(Debug)]
pub struct Probe {
    wire: Wire,
}

/// What came back.
#[derive(Debug, Clone, PartialEq)]
pub struct Probed {
    /// The status.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body, if it is JSON.
    pub json: Option<Json>,
    /// The body in short, for people.
    pub words: String,
}

impl Probe {
    /// Sets it up; nothing is sent.
    pub fn new(spec: &HttpSpec) -> Result<Self, SpecError> {
        Ok(Self { wire: Wire::new(spec)? })
    }

    /// `GET` of a path below the side's URL, which begins with a slash and may have `?…`.
    /// The error says why there is no answer.
    pub async fn get(&self, path: &str) -> Result<Probed, String> {
        let url = below(self.wire.base().prefix(), path)?;
        let request = self.wire.request(Method::GET, url, &Headers::default())?;
        let answer = self.wire.send(request).await.map_err(|lost| lost.reason().to_owned())?;
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers =
            answer.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
        let json = answer.body.as_ref().ok().and_then(|body| decode::read(body).ok());
        Ok(Probed { status: answer.status.as_u16(), headers, json, words: answer.words() })
    }
}
