//! The body of a listing's requests. A request has one: JSON, a form or text; which, is
//! settled when the listing is set up, and not asked again.

use super::Listing;
use crate::error::SpecError;
use crate::fill;
use crate::shape::{self, Shape};
use crate::spec::{JobMethod, JobRequester, ReadMethod, ReadSpec, Template};
use crate::spot::{Carries, Put, Spot};
use crate::template::Compiled;
use crate::wire::Wire;
use minijinja::Value;
use serde_json::{Map, Value as Json};

/// What requests carry besides their address.
#[derive(Debug)]
pub(super) enum Carried {
    Nothing,
    /// A `POST` of which nothing is said: JSON of what is put into it.
    Empty,
    Json(Shape),
    /// Of what is put into it alone, where there is no shape.
    Form(Option<Shape>),
    /// A body that is no JSON.
    Text(Compiled),
}

/// What is said of a body.
struct Bodies<'s> {
    json: Option<&'s Json>,
    data: Option<&'s Json>,
    text: Option<&'s Template>,
    /// Whether a request of this kind has any.
    any: bool,
    /// Whether it may be JSON or a form.
    posts: bool,
    /// What it is if nothing is said.
    usual: Carried,
}

impl Carried {
    pub(super) fn new(key: &str, spec: &ReadSpec, known: &[&str]) -> Result<Self, SpecError> {
        let is_post = spec.http_method == ReadMethod::Post;
        let bodies = Bodies {
            json: spec.request_body_json.as_ref(),
            data: spec.request_body_data.as_ref(),
            text: spec.request_body_text.as_ref(),
            any: spec.http_method != ReadMethod::Get,
            posts: is_post,
            usual: if is_post { Self::Empty } else { Self::Nothing },
        };
        Self::of(key, bodies, known)
    }

    /// Of a request of an export: nothing if nothing is said.
    pub(super) fn of_job(key: &str, spec: &JobRequester, known: &[&str]) -> Result<Self, SpecError> {
        let any = spec.http_method != JobMethod::Get;
        let bodies = Bodies {
            json: spec.request_body_json.as_ref(),
            data: spec.request_body_data.as_ref(),
            text: spec.request_body_text.as_ref(),
            any,
            posts: any,
            usual: Self::Nothing,
        };
        Self::of(key, bodies, known)
    }

    fn of(key: &str, spec: Bodies<'_>, known: &[&str]) -> Result<Self, SpecError> {
        let bad = |name: &str, why: String| SpecError::new(format!("{key}.{name}"), why);
        let all = [
            ("request_body_json", spec.json.is_some()),
            ("request_body_data", spec.data.is_some()),
            ("request_body_text", spec.text.is_some()),
        ];
        let said: Vec<&str> = all.iter().filter(|(_, said)| *said).map(|(name, _)| *name).collect();
        if let [first, .., last] = said.as_slice() {
            return Err(bad(last, format!("does not go with `{first}`: a request has one body")));
        }
        if let Some((name, _)) = all.iter().take(2).find(|(_, said)| *said && !spec.posts) {
            return Err(bad(name, "needs `http_method: POST`".to_owned()));
        }
        if let Some(json) = spec.json {
            return Shape::new(json, known).map(Self::Json).map_err(|why| bad("request_body_json", why));
        }
        if let Some(json) = spec.data {
            if !json.is_object() {
                return Err(bad("request_body_data", "must be a map of names and values".to_owned()));
            }
            let shape = Shape::new(json, known).map(Some);
            return shape.map(Self::Form).map_err(|why| bad("request_body_data", why));
        }
        let Some(template) = spec.text else { return Ok(spec.usual) };
        if !spec.any {
            return Err(bad("request_body_text", "needs another `http_method` than GET".to_owned()));
        }
        let text = Compiled::asking(template.as_str(), known);
        text.map(Self::Text).map_err(|e| bad("request_body_text", e.to_string()))
    }

    /// What can be put into it.
    pub(super) fn carries(&self) -> Carries {
        match self {
            Self::Nothing => Carries::Nothing,
            Self::Empty => Carries::Either,
            Self::Json(_) => Carries::Json,
            Self::Form(_) => Carries::Form,
            Self::Text(_) => Carries::Text,
        }
    }

    fn shape(&self) -> Option<&Shape> {
        match self {
            Self::Json(shape) | Self::Form(Some(shape)) => Some(shape),
            Self::Nothing | Self::Empty | Self::Form(None) | Self::Text(_) => None,
        }
    }

    /// Whether any template of it names `name`.
    pub(super) fn uses(&self, name: &str) -> bool {
        match self {
            Self::Text(text) => text.uses(name),
            other => other.shape().is_some_and(|shape| shape.uses(name)),
        }
    }

    /// The members of `name` that its templates name.
    pub(super) fn members_of(&self, name: &str) -> Vec<String> {
        match self {
            Self::Text(text) => text.members_of(name),
            other => other.shape().map_or_else(Vec::new, |shape| shape.members_of(name)),
        }
    }

    /// Its templates, as they were written.
    pub(super) fn sources(&self) -> Vec<&str> {
        match self {
            Self::Text(text) => vec![text.source()],
            other => other.shape().map_or_else(Vec::new, Shape::sources),
        }
    }

    /// Puts it into a request, with the values that go there.
    pub(super) fn put(
        &self,
        request: &mut reqwest::Request,
        with: &Value,
        values: &[Put<'_>],
    ) -> Result<(), String> {
        let name = match self {
            Self::Nothing => return Ok(()),
            Self::Text(text) => {
                let text = text.fill(with).map_err(|why| format!("`request_body_text`: {why}"))?;
                Wire::put_text(request, text.into_owned());
                return Ok(());
            }
            Self::Empty | Self::Json(_) => "request_body_json",
            Self::Form(_) => "request_body_data",
        };
        let filled = self.shape().map(|shape| shape.fill(with)).transpose();
        let filled = filled.map_err(|why| format!("`{name}`: {why}"))?;
        let mut json = filled.unwrap_or_else(|| Json::Object(Map::new()));
        for value in values {
            if let Spot::Body(path) | Spot::Form(path) = value.spot {
                shape::put(&mut json, path.parts(), value.json());
            }
        }
        if let Self::Form(_) = self {
            Wire::put_form(request, fill::form(&json, fill::Lists::Repeated));
        } else {
            Wire::put(request, serde_json::to_vec(&json).map_err(|e| e.to_string())?);
        }
        Ok(())
    }
}

impl Listing {
    /// Settles which body a request has that nothing but its values is said of.
    pub(super) fn settle_body(&mut self, key: &str) -> Result<(), SpecError> {
        let (mut json, mut form) = (false, false);
        for spot in self.places() {
            json |= matches!(spot, Spot::Body(_));
            form |= matches!(spot, Spot::Form(_));
        }
        if json && form {
            let why =
                "puts values into JSON (`body_json`) and into a form (`body_data`): a request has one body";
            return Err(SpecError::new(key, why));
        }
        if form && matches!(self.body, Carried::Empty) {
            self.body = Carried::Form(None);
        }
        Ok(())
    }

    /// Wherever values go.
    fn places(&self) -> impl Iterator<Item = &Spot> {
        let since = self.since.iter().flat_map(|since| [since.spot.as_ref(), since.end.as_ref()]);
        let pages = [&self.pages.size, &self.pages.at, &self.pages.token].map(Option::as_ref);
        let routers = self.router.iter().flat_map(|router| router.namings.iter());
        since.chain(pages).flatten().chain(routers.filter_map(|naming| naming.spot.as_ref()))
    }
}
