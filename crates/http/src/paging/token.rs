//! Listings of which the side says where the next page is: by a cursor or a URL.
//!
//! A token alone may come again, as where a side keeps the place itself; with the
//! same records it means that the listing goes round.

use super::order::hash;
use super::{Facts, Paging, Progress, Turn};
use crate::error::quote;
use crate::stamp::Scale;
use url::Url;

/// The longest token that is carried on. URLs are cut off by servers much earlier.
pub(crate) const TOKEN_MAX: usize = 16 << 10;

impl Paging {
    /// `next` has been told of the page already; `print` is what it is recognised by.
    pub(super) fn by_token(
        &self,
        mut next: Progress,
        now: &Progress,
        page: &Facts,
        scale: Option<&Scale>,
        print: u64,
    ) -> Result<Turn, String> {
        let Some(token) = page.next.as_ref().filter(|_| page.more != Some(false)) else {
            return match (page.more, page.total) {
                (Some(true), _) => Err(format!(
                    "page {}: the side says that there is more, but not where; is the paginator the right one?",
                    next.pages
                )),
                (None, Some(total))
                    if next.pages == 1 && total > u64::try_from(page.len).unwrap_or(total) =>
                {
                    Err(format!(
                        "page 1 shows {} of {total} records and does not say where the next page is; \
                         is the paginator the right one?",
                        page.len
                    ))
                }
                _ => Ok(Turn::end(next, self.style, scale)),
            };
        };
        let stays = now.token.as_ref() == Some(token);
        if page.len == 0 && (self.stop_after_empty || stays && page.more.is_none()) {
            return Ok(Turn::end(next, self.style, scale));
        }
        if token.len() > TOKEN_MAX {
            let size = token.len();
            return Err(format!(
                "page {} goes on with a token of {size} bytes, {}; {TOKEN_MAX} is the most",
                next.pages,
                shown(token)
            ));
        }
        let here = hash(&(token, print));
        if now.anchor == Some(here) {
            return Err(format!(
                "page {} shows the same records as an earlier page and goes on with {} again: the listing \
                 goes round; is the token sent as the side expects it?",
                next.pages,
                shown(token)
            ));
        }
        if next.pages.is_power_of_two() {
            next.anchor = Some(here);
        }
        next.token = Some(token.clone());
        next.token_is_number = page.next_is_number;
        Ok(Turn::on(next))
    }

    /// Words for a listing that does not end.
    pub(super) fn endless(&self, now: &Progress) -> String {
        let at = match (&now.token, &now.key) {
            (Some(token), _) => format!("now at {}", shown(token)),
            (None, Some((value, id))) => {
                format!("now after {} {}", quote(value.as_bytes(), 60), quote(id.as_bytes(), 60))
            }
            (None, None) => format!("now at {}", now.at),
        };
        let most = self.max_pages;
        format!("the listing goes on after {most} pages, {at}; it never ends, or `max_pages` is too small")
    }
}

/// A token, for people. A URL may repeat secrets that we sent.
pub(crate) fn shown(token: &str) -> String {
    let Ok(url) = Url::parse(token) else { return format!("`{}`", quote(token.as_bytes(), 60)) };
    if !url.has_host() {
        return format!("`{}`", quote(token.as_bytes(), 60));
    }
    let mut text = url.path().to_owned();
    for (index, (name, value)) in url.query_pairs().enumerate() {
        let lower = name.to_ascii_lowercase();
        let secret = SECRETS.iter().any(|part| lower.contains(part)) || matches!(&*lower, "key" | "sig");
        text.push(if index == 0 { '?' } else { '&' });
        text.push_str(&name);
        text.push('=');
        text.push_str(if secret { "…" } else { &value });
    }
    format!("`{}`", quote(text.as_bytes(), 120))
}

/// Parts of names of parameters that hold secrets.
const SECRETS: [&str; 9] =
    ["secret", "password", "passwd", "signature", "api_key", "apikey", "api-key", "access_token", "auth"];
