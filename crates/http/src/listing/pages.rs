//! How a listing is cut into pages, set up: the style, and where in a request each of a
//! paginator's values goes.

use super::Listing;
use crate::error::SpecError;
use crate::paging::Style;
use crate::spec::{Paginator, RequestOption};
use crate::spot::Spot;

/// Where in a request a paginator's values go.
#[derive(Debug, Default)]
pub(super) struct Pages {
    pub(super) size: Option<Spot>,
    pub(super) at: Option<Spot>,
    pub(super) token: Option<Spot>,
    pub(super) first: u64,
}

/// A place that may be said in two ways: by the name of a parameter, or by an option.
struct Said<'s> {
    name: &'static str,
    parameter: Option<&'s String>,
    option: Option<&'s RequestOption>,
    /// The key of the option.
    instead: &'static str,
    usual: Option<&'static str>,
}

impl<'s> Said<'s> {
    fn size(name: &'static str, parameter: Option<&'s String>, option: Option<&'s RequestOption>) -> Self {
        Self { name, parameter, option, instead: "page_size_option", usual: None }
    }

    fn token(name: &'static str, parameter: Option<&'s String>, option: Option<&'s RequestOption>) -> Self {
        Self { name, parameter, option, instead: "page_token_option", usual: None }
    }

    fn usually(self, name: &'static str) -> Self {
        Self { usual: Some(name), ..self }
    }
}

type Cut = (Style, usize, Option<u32>, Pages);

impl Listing {
    /// Sets up how it is cut into pages.
    pub(super) fn page_by(&mut self, key: &str, spec: &Paginator) -> Result<(), SpecError> {
        let (style, asked, most, pages) = self.pages(key, spec)?;
        let bad = |name: &str| SpecError::new(format!("{key}.{name}"), "must be 1 at least");
        let counted = matches!(style, Style::Offset | Style::Numbered | Style::Keyset);
        if asked == 0 && (counted || pages.size.is_some()) {
            return Err(bad("page_size"));
        }
        self.paging.style = style;
        self.paging.asked = asked;
        self.paging.stop_after_empty = matches!(spec, Paginator::Cursor(spec) if spec.stop_after_empty_page);
        self.paging.max_pages = match most {
            Some(0) => return Err(bad("max_pages")),
            Some(most) => most,
            None => self.paging.max_pages,
        };
        self.pages = pages;
        Ok(())
    }

    /// The style, how many records are asked for, the most pages, and where its values go.
    fn pages(&self, key: &str, spec: &Paginator) -> Result<Cut, SpecError> {
        let size = |n: &u32| usize::try_from(*n).unwrap_or(usize::MAX);
        let optional = |n: &Option<u32>| n.as_ref().map_or(0, size);
        let spot = |said: Said<'_>| self.spot(key, said);
        Ok(match spec {
            Paginator::None => (Style::Whole, 0, None, Pages::default()),
            Paginator::Offset {
                page_size,
                offset_param,
                page_token_option,
                limit_param,
                page_size_option,
                max_pages,
                ..
            } => {
                let at = Said::token("offset_param", offset_param.as_ref(), page_token_option.as_ref());
                let limit = Said::size("limit_param", limit_param.as_ref(), page_size_option.as_ref());
                let (at, limit) = (spot(at.usually("offset"))?, spot(limit.usually("limit"))?);
                (Style::Offset, size(page_size), *max_pages, Pages { size: limit, at, ..Pages::default() })
            }
            Paginator::Page {
                page_size,
                page_param,
                page_token_option,
                page_size_param,
                page_size_option,
                start_from,
                max_pages,
                ..
            } => {
                let at = Said::token("page_param", page_param.as_ref(), page_token_option.as_ref());
                let told = Said::size("page_size_param", page_size_param.as_ref(), page_size_option.as_ref());
                let (at, told) = (spot(at.usually("page"))?, spot(told.usually("per_page"))?);
                let pages = Pages { size: told, at, first: *start_from, ..Pages::default() };
                (Style::Numbered, size(page_size), *max_pages, pages)
            }
            Paginator::Keyset { page_size, limit_param, page_size_option, max_pages, .. } => {
                let told = spot(Said::size("limit_param", limit_param.as_ref(), page_size_option.as_ref()))?;
                let pages = Pages { size: told, ..Pages::default() };
                (Style::Keyset, size(page_size), *max_pages, pages)
            }
            Paginator::LinkHeader { page_size, limit_param, page_size_option, max_pages, .. } => {
                let told = Said::size("limit_param", limit_param.as_ref(), page_size_option.as_ref());
                let told = spot(told.usually("per_page"))?.filter(|_| page_size.is_some());
                (Style::Token, optional(page_size), *max_pages, Pages { size: told, ..Pages::default() })
            }
            Paginator::NextUrl { page_size, limit_param, page_size_option, max_pages, .. } => {
                let told = Said::size("limit_param", limit_param.as_ref(), page_size_option.as_ref());
                let told = spot(told.usually("limit"))?.filter(|_| page_size.is_some());
                (Style::Token, optional(page_size), *max_pages, Pages { size: told, ..Pages::default() })
            }
            Paginator::Cursor(spec) => {
                let token =
                    Said::token("cursor_param", spec.cursor_param.as_ref(), spec.page_token_option.as_ref());
                // A template may put it somewhere.
                let token = if self.uses("next_page_token") { token } else { token.usually("cursor") };
                let told =
                    Said::size("limit_param", spec.limit_param.as_ref(), spec.page_size_option.as_ref());
                let told = spot(told.usually("limit"))?.filter(|_| spec.page_size.is_some());
                let pages = Pages { size: told, token: spot(token)?, ..Pages::default() };
                (Style::Token, optional(&spec.page_size), spec.max_pages, pages)
            }
        })
    }

    /// Where a value goes; empty text is nowhere.
    fn spot(&self, key: &str, said: Said<'_>) -> Result<Option<Spot>, SpecError> {
        match (said.parameter, said.option) {
            (Some(_), Some(_)) => {
                let why = format!("has both `{}` and `{}`; one is enough", said.name, said.instead);
                Err(SpecError::new(key, why))
            }
            (Some(name), None) if name.is_empty() => Ok(None),
            (Some(name), None) => Ok(Some(Spot::Parameter(name.clone()))),
            (None, Some(option)) => {
                Spot::new(&format!("{key}.{}", said.instead), option, self.body.carries()).map(Some)
            }
            (None, None) => Ok(said.usual.map(|name| Spot::Parameter(name.to_owned()))),
        }
    }
}
