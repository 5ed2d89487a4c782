//! The request for a page.

use super::job::Told;
use super::{Listing, Of};
use crate::paging::{Progress, Style};
use crate::read::{good, later};
use crate::spot::{Put, Spot};
use crate::wire::{Answer, Urgency, Verdict, Wire};
use hms_sync_connector::ReadError;
use http::HeaderValue;
use minijinja::context;
use url::Url;

impl Listing {
    /// Asks for a page; answers with the address that was asked as well.
    pub(super) async fn ask_page(
        &self,
        wire: &Wire,
        progress: &Progress,
        (of, told): (Of<'_>, Option<&Told>),
        size: usize,
    ) -> Result<(Url, Answer), ReadError> {
        let request = self.request(wire, progress, (of, told), size).map_err(|why| self.denied(&why))?;
        let asked = request.url().clone();
        let answer = wire
            .send_as(urgency(progress), request, self.ask.own.as_ref())
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
        (of, told): (Of<'_>, Option<&Told>),
        size: usize,
    ) -> Result<reqwest::Request, String> {
        let with = self.names(progress, of, size, told);
        let values = self.puts(progress, of, size, told.is_none(), true);
        let mut request = match &progress.token {
            Some(token) if self.follow.is_address() => {
                let url = Url::parse(token).map_err(|e| format!("the next page's address: {e}"))?;
                wire.request(self.ask.method.clone(), url, &self.ask.headers)?
            }
            _ => {
                let more: Vec<(&str, &str)> = values.iter().filter_map(Put::parameter).collect();
                self.ask.request(wire, &with, &more)?
            }
        };
        put_headers(&mut request, &values)?;
        self.body.put(&mut request, &with, &values)?;
        Ok(request)
    }

    /// What goes where, besides what templates say: what is asked for, if the request `asks` for that,
    /// and which page of it, if it has `pages`.
    pub(super) fn puts<'l>(
        &'l self,
        progress: &'l Progress,
        of: Of<'l>,
        size: usize,
        asks: bool,
        pages: bool,
    ) -> Vec<Put<'l>> {
        let mut all = Vec::with_capacity(4);
        if let Some(since) = self.since.as_ref().filter(|_| asks) {
            let is_number = since.counts(progress);
            let ends = [(&since.spot, &progress.from), (&since.end, &progress.until)];
            let ends = ends.into_iter().filter_map(|(spot, text)| spot.as_ref().zip(text.as_deref()));
            all.extend(ends.map(|(spot, text)| Put { is_number, ..Put::text(spot, text) }));
        }
        let token = self.pages.token.as_ref().zip(progress.token.as_deref());
        if let Some((spot, token)) = token.filter(|_| pages) {
            all.push(Put { is_number: progress.token_is_number, ..Put::text(spot, token) });
        }
        // A header says to each request of an export of which partition it is.
        let of = of.into_iter().flat_map(|(namings, of)| namings.of(of));
        let of = of.filter_map(|(naming, piece)| Some(piece.put(naming.spot.as_ref()?)));
        all.extend(of.filter(|put| asks || matches!(put.spot, Spot::Header(_))));
        if !pages {
            return all;
        }
        all.extend(self.pages.at.as_ref().map(|spot| Put::number(spot, self.position(progress))));
        let size = u64::try_from(size).unwrap_or(u64::MAX);
        all.extend(self.pages.size.as_ref().map(|spot| Put::number(spot, size)));
        all
    }

    fn position(&self, progress: &Progress) -> u64 {
        match self.paging.style {
            Style::Numbered => self.pages.first.saturating_add(progress.at),
            Style::Whole | Style::Offset | Style::Keyset | Style::Token => progress.at,
        }
    }

    /// What templates are filled with.
    pub(super) fn names(
        &self,
        progress: &Progress,
        of: Of<'_>,
        size: usize,
        told: Option<&Told>,
    ) -> minijinja::Value {
        if of.is_none() && told.is_none() && !super::KNOWN.iter().any(|name| self.uses(name)) {
            return minijinja::Value::UNDEFINED;
        }
        let (cursor, id) = match &progress.key {
            Some((value, id)) => (value.as_str(), id.as_str()),
            None => (progress.from.as_deref().unwrap_or_default(), ""),
        };
        let token = progress.token.as_deref().unwrap_or_default();
        let cursor_end = progress.until.as_deref().unwrap_or_default();
        let part = of.map_or(minijinja::Value::UNDEFINED, |(_, of)| of.named(crate::template::value));
        let nothing = Told::default();
        let Told { creation_response, polling_response, download_target } = told.unwrap_or(&nothing);
        context! {
            creation_response, polling_response, download_target,
            cursor, cursor_end, cursor_id => id, page_size => size, next_page_token => token,
            stream_partition => part.clone(), stream_slice => part,
        }
    }
}

/// How urgent a request of a pass is: what changed before what there is.
pub(super) fn urgency(progress: &Progress) -> Urgency {
    if progress.since { Urgency::Read } else { Urgency::Backfill }
}

/// Puts values into headers.
pub(super) fn put_headers(request: &mut reqwest::Request, values: &[Put<'_>]) -> Result<(), String> {
    for Put { spot, text, .. } in values {
        if let Spot::Header(name) = spot {
            let value = HeaderValue::try_from(&**text)
                .map_err(|_| format!("{text:.60?} cannot be sent in the header `{name}`"))?;
            request.headers_mut().insert(name.clone(), value);
        }
    }
    Ok(())
}
