//! Where a value goes in a request.

use crate::error::SpecError;
use crate::spec::{FieldPath, InjectInto, RequestOption};
use http::HeaderName;

/// A place in a request, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Spot {
    Parameter(String),
    Header(HeaderName),
    Body(FieldPath),
}

impl Spot {
    /// `key` is where it stands in the config; only a `POST` has a body.
    pub(crate) fn new(key: &str, option: &RequestOption, is_post: bool) -> Result<Self, SpecError> {
        let bad = |name: &str, why: String| SpecError::new(format!("{key}.{name}"), why);
        let name = option.field_name.to_string();
        if name.is_empty() {
            return Err(bad("field_name", "names nothing".to_owned()));
        }
        match option.inject_into {
            InjectInto::RequestParameter => Ok(Self::Parameter(name)),
            InjectInto::Header => HeaderName::try_from(&name)
                .map(Self::Header)
                .map_err(|_| bad("field_name", format!("`{name}` is no name of a header"))),
            InjectInto::BodyJson if is_post => Ok(Self::Body(option.field_name.clone())),
            InjectInto::BodyJson => Err(bad("inject_into", "a body needs `http_method: POST`".to_owned())),
        }
    }
}
