//! Where a value goes in a request, and in which form it goes there. Nothing is filled
//! in here, and a place that the request does not have is refused when it is set up.

use crate::error::SpecError;
use crate::spec::{FieldPath, InjectInto, RequestOption};
use http::HeaderName;
use serde_json::Value as Json;
use std::borrow::Cow;

/// A place in a request, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Spot {
    Parameter(String),
    Header(HeaderName),
    /// In JSON.
    Body(FieldPath),
    /// In a form.
    Form(FieldPath),
}

/// What a request can carry besides its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carries {
    /// It is no `POST`.
    Nothing,
    /// Nothing is said of it.
    Either,
    Json,
    Form,
    Text,
}

impl Spot {
    /// `key` is where it stands in the config.
    pub(crate) fn new(key: &str, option: &RequestOption, carries: Carries) -> Result<Self, SpecError> {
        let bad = |name: &str, why: String| SpecError::new(format!("{key}.{name}"), why);
        let name = option.field_name.to_string();
        if name.is_empty() {
            return Err(bad("field_name", "names nothing".to_owned()));
        }
        let other = match (option.inject_into, carries) {
            (InjectInto::RequestParameter, _) => return Ok(Self::Parameter(name)),
            (InjectInto::Header, _) => {
                return HeaderName::try_from(&name)
                    .map(Self::Header)
                    .map_err(|_| bad("field_name", format!("`{name}` is no name of a header")));
            }
            (InjectInto::BodyJson, Carries::Json | Carries::Either) => {
                return Ok(Self::Body(option.field_name.clone()));
            }
            (InjectInto::BodyData, Carries::Form | Carries::Either) => {
                return Ok(Self::Form(option.field_name.clone()));
            }
            (InjectInto::BodyJson | InjectInto::BodyData, Carries::Nothing) => {
                return Err(bad("inject_into", "a body needs `http_method: POST`".to_owned()));
            }
            (InjectInto::BodyData, Carries::Json) => {
                "`request_body_json` makes it JSON: `inject_into: body_json`"
            }
            (InjectInto::BodyJson, Carries::Form) => {
                "`request_body_data` makes it a form: `inject_into: body_data`"
            }
            (InjectInto::BodyJson | InjectInto::BodyData, Carries::Text) => {
                "`request_body_text` is all of it: name the value in a template there"
            }
        };
        Err(bad("inject_into", format!("a request has one body, and {other}")))
    }
}

/// A value on its way into a request.
#[derive(Debug)]
pub(crate) struct Put<'l> {
    pub(crate) spot: &'l Spot,
    pub(crate) text: Cow<'l, str>,
    /// Whether it is a number, where there are any.
    pub(crate) is_number: bool,
}

impl<'l> Put<'l> {
    pub(crate) fn text(spot: &'l Spot, text: &'l str) -> Self {
        Self { spot, text: Cow::Borrowed(text), is_number: false }
    }

    pub(crate) fn number(spot: &'l Spot, number: u64) -> Self {
        Self { spot, text: Cow::Owned(number.to_string()), is_number: true }
    }

    /// The parameter, and what it is, where it goes into one.
    pub(crate) fn parameter(&self) -> Option<(&str, &str)> {
        match self.spot {
            Spot::Parameter(name) => Some((name, &self.text)),
            Spot::Header(_) | Spot::Body(_) | Spot::Form(_) => None,
        }
    }

    /// As it stands in JSON. What is no number after all stays text.
    pub(crate) fn json(&self) -> Json {
        let number = || self.text.parse::<serde_json::Number>().ok();
        let number = if self.is_number { number() } else { None };
        number.map_or_else(|| Json::String(self.text.clone().into_owned()), Json::Number)
    }
}
