//! The request for a page.

use super::{Listing, Of};
use crate::paging::{Progress, Style};
use crate::read::{good, later};
use crate::shape;
use crate::spot::Spot;
use crate::wire::{Answer, Urgency, Verdict, Wire};
use hms_sync_connector::ReadError;
use http::HeaderValue;
use minijinja::context;
use serde_json::Value as Json;
use url::Url;

impl Listing {
    /// Asks for a page; answers with the address that was asked as well.
    pub(super) async fn ask_page(
        &self,
        wire: &Wire,
        progress: &Progress,
        of: Of<'_>,
        size: usize,
    ) -> Result<(Url, Answer), ReadError> {
        let request = self.request(wire, progress, of, size).map_err(|why| self.denied(&why))?;
        let asked = request.url().clone();
        let urgency = if progress.since { Urgency::Read } else { Urgency::Backfill };
        let answer = wire
            .send_as(urgency, request, self.ask.own.as_ref())
            .await
            .map_err(|lost| later(&self.ask, &lost))?;
        if Self::unread(of, &answer).is_some() || answer.judged.verdict == Verdict::Reset {
            return Ok((asked, answer));
        }
        Ok((asked, good(&self.ask, answer)?))
    }

    pub(super) fn request(
        &self,
        wire: &Wire,
        progress: &Progress,
        of: Of<'_>,
        size: usize,
    ) -> Result<reqwest::Request, String> {
        let with = self.names(progress, of, size);
        let mut request = match &progress.token {
            Some(token) if self.follow.is_address() => {
                let url = Url::parse(token).map_err(|e| format!("the next page's address: {e}"))?;
                wire.request(self.ask.method.clone(), url, &self.ask.headers)?
            }
            _ => {
                let (at, size) = (self.position(progress).to_string(), size.to_string());
                let mut more: Vec<(&str, &str)> = Vec::with_capacity(4);
                for (spot, text) in self.spots(progress, of) {
                    if let Spot::Parameter(name) = spot {
                        more.push((name, text));
                    }
                }
                more.extend(self.pages.at.as_deref().map(|name| (name, at.as_str())));
                more.extend(self.pages.size.as_deref().map(|name| (name, size.as_str())));
                self.ask.request(wire, &with, &more)?
            }
        };
        for (spot, text) in self.spots(progress, of) {
            if let Spot::Header(name) = spot {
                let value = HeaderValue::try_from(text)
                    .map_err(|_| format!("{text:.60?} cannot be sent in the header `{name}`"))?;
                request.headers_mut().insert(name.clone(), value);
            }
        }
        if let Some(text) = &self.text {
            let text = text.fill(&with).map_err(|why| format!("`request_body_text`: {why}"))?;
            Wire::put_text(&mut request, text.into_owned());
        } else if self.is_post() {
            let json = self.json(progress, of, &with)?;
            Wire::put(&mut request, serde_json::to_vec(&json).map_err(|e| e.to_string())?);
        }
        Ok(request)
    }

    fn json(&self, progress: &Progress, of: Of<'_>, with: &minijinja::Value) -> Result<Json, String> {
        let mut json = match &self.body {
            Some(body) => body.fill(with).map_err(|why| format!("`request_body_json`: {why}"))?,
            None => Json::Object(serde_json::Map::new()),
        };
        for (spot, text) in self.spots(progress, of) {
            if let Spot::Body(path) = spot {
                shape::put(&mut json, path.parts(), Json::String(text.to_owned()));
            }
        }
        Ok(json)
    }

    /// What goes where, besides what templates say.
    fn spots<'l>(&'l self, progress: &'l Progress, of: Of<'l>) -> impl Iterator<Item = (&'l Spot, &'l str)> {
        let since = self.since.as_ref();
        let start = since.and_then(|since| Some((since.spot.as_ref()?, progress.from.as_deref()?)));
        let end = since.and_then(|since| Some((since.end.as_ref()?, progress.until.as_deref()?)));
        let token = self.pages.token.as_ref().zip(progress.token.as_deref());
        let of = of.into_iter().flat_map(|(namings, of)| namings.of(of));
        let of = of.filter_map(|(naming, piece)| Some((naming.spot.as_ref()?, piece.key.as_str())));
        start.into_iter().chain(end).chain(token).chain(of)
    }

    fn position(&self, progress: &Progress) -> u64 {
        match self.paging.style {
            Style::Numbered => self.pages.first.saturating_add(progress.at),
            Style::Whole | Style::Offset | Style::Keyset | Style::Token => progress.at,
        }
    }

    /// What templates are filled with.
    fn names(&self, progress: &Progress, of: Of<'_>, size: usize) -> minijinja::Value {
        if of.is_none() && !super::KNOWN.iter().any(|name| self.uses(name)) {
            return minijinja::Value::UNDEFINED;
        }
        let (cursor, id) = match &progress.key {
            Some((value, id)) => (value.as_str(), id.as_str()),
            None => (progress.from.as_deref().unwrap_or_default(), ""),
        };
        let token = progress.token.as_deref().unwrap_or_default();
        let cursor_end = progress.until.as_deref().unwrap_or_default();
        let part = of.map_or(minijinja::Value::UNDEFINED, |(_, of)| of.named());
        context! {
            cursor, cursor_end, cursor_id => id, page_size => size, next_page_token => token,
            stream_partition => part.clone(), stream_slice => part,
        }
    }
}
