//! What an [`Endpoint`](crate::Endpoint) is made of: its requests, how a listing
//! is cut into pages, how the side calls us.

use hms_sync_config::{Draft, DraftValue};
use hms_sync_http::spec::{BodyShape, Payload};

/// `record_selector`.
pub(crate) fn selector<'a>(field_path: impl IntoIterator<Item = &'a str>) -> DraftValue {
    Draft::of("field_path", DraftValue::list(field_path)).into()
}

/// One kind of request.
#[derive(Debug, Clone)]
pub struct Request {
    keys: Vec<(&'static str, DraftValue)>,
    parameters: Draft,
    headers: Draft,
}

impl Request {
    fn new(method: Option<&str>, path: &str) -> Self {
        let mut keys = Vec::new();
        keys.extend(method.map(|method| ("method", method.into())));
        keys.push(("path", path.into()));
        Self { keys, parameters: Draft::new(), headers: Draft::new() }
    }

    /// GET, for reading.
    pub fn get(path: &str) -> Self {
        Self::new(None, path)
    }

    /// POST.
    pub fn post(path: &str) -> Self {
        Self::new(Some("POST"), path)
    }

    /// PUT. An update by PUT sends all fields, unless `body` says otherwise.
    pub fn put(path: &str) -> Self {
        Self::new(Some("PUT"), path)
    }

    /// PATCH.
    pub fn patch(path: &str) -> Self {
        Self::new(Some("PATCH"), path)
    }

    /// DELETE.
    pub fn delete(path: &str) -> Self {
        Self::new(Some("DELETE"), path)
    }

    /// Adds to what follows the `?`; one that comes out empty is left out.
    #[must_use]
    pub fn request_parameter(mut self, name: &str, template: &str) -> Self {
        self.parameters.set(name, template);
        self
    }

    /// A header sent with this request. Its value is shown nowhere.
    #[must_use]
    pub fn request_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.set(name, DraftValue::secret(value));
        self
    }

    /// The fields a write sends. All to create, those that differ to update, none
    /// to delete, if nothing is said.
    #[must_use]
    pub fn body(mut self, body: BodyShape) -> Self {
        let word = match body {
            BodyShape::Changed => "changed",
            BodyShape::Whole => "whole",
            BodyShape::None => "none",
        };
        self.keys.push(("body", word.into()));
        self
    }

    /// Where in the answer the record is: members to step into, from the outside.
    #[must_use]
    pub fn record_selector<'a>(mut self, field_path: impl IntoIterator<Item = &'a str>) -> Self {
        self.keys.push(("record_selector", selector(field_path)));
        self
    }

    pub(crate) fn parts(self) -> Vec<(&'static str, DraftValue)> {
        let Self { mut keys, parameters, headers } = self;
        for (key, map) in [("request_parameters", parameters), ("request_headers", headers)] {
            if !map.is_empty() {
                keys.push((key, map.into()));
            }
        }
        keys
    }

    pub(crate) fn draft(self) -> Draft {
        let mut draft = Draft::new();
        for (key, value) in self.parts() {
            draft.set(key, value);
        }
        draft
    }
}

/// How a listing is cut into pages. It ends with an empty page, or a short one
/// where pages are known to be longer.
#[derive(Debug, Clone)]
pub struct Paginator(Draft);

impl Paginator {
    fn of(kind: &str, page_size: u32) -> Self {
        Self(Draft::of("type", kind)).with("page_size", u64::from(page_size))
    }

    fn with(mut self, key: &str, value: impl Into<DraftValue>) -> Self {
        self.0.set(key, value);
        self
    }

    pub(crate) fn draft(self) -> Draft {
        self.0
    }

    /// Records are skipped: `?offset=200&limit=100`.
    pub fn offset(page_size: u32) -> Self {
        Self::of("offset", page_size)
    }

    /// Pages are numbered: `?page=3&per_page=100`.
    pub fn page(page_size: u32) -> Self {
        Self::of("page", page_size)
    }

    /// Each page is asked for by the last record of the one before it, which the
    /// parameters of `read` name as `{{ cursor }}` and `{{ cursor_id }}`.
    pub fn keyset(page_size: u32) -> Self {
        Self::of("keyset", page_size)
    }

    /// Each answer carries, at `cursor_path`, the token that the next page is asked for by.
    pub fn cursor(cursor_path: &str) -> Self {
        Self(Draft::of("type", "cursor")).with("cursor_path", cursor_path)
    }

    /// Each answer says in the header `Link` where the next page is.
    pub fn link_header() -> Self {
        Self(Draft::of("type", "link_header"))
    }

    /// Each answer says, at `next_url_path`, where the next page is.
    pub fn next_url(next_url_path: &str) -> Self {
        Self(Draft::of("type", "next_url")).with("next_url_path", next_url_path)
    }

    /// Of `cursor`: the parameter that carries the token. `cursor`, if nothing is said.
    #[must_use]
    pub fn cursor_param(self, name: &str) -> Self {
        self.with("cursor_param", name)
    }

    /// Of `cursor`, `link_header` and `next_url`: records asked for at once. As the side likes,
    /// if nothing is said.
    #[must_use]
    pub fn page_size(self, records: u32) -> Self {
        self.with("page_size", u64::from(records))
    }

    /// Of all but `keyset` and `link_header`: where the answer says whether there is more.
    #[must_use]
    pub fn has_more_path(self, path: &str) -> Self {
        self.with("has_more_path", path)
    }

    /// A listing with more pages is an error. 100,000, if nothing is said.
    #[must_use]
    pub fn max_pages(self, pages: u32) -> Self {
        self.with("max_pages", u64::from(pages))
    }

    /// Of `offset`: the parameter that says how many to skip. `offset`, if nothing is said.
    #[must_use]
    pub fn offset_param(self, name: &str) -> Self {
        self.with("offset_param", name)
    }

    /// Of `offset` and `keyset`: the parameter that says how many are wanted.
    /// `limit` for `offset`, none for `keyset`, if nothing is said.
    #[must_use]
    pub fn limit_param(self, name: &str) -> Self {
        self.with("limit_param", name)
    }

    /// Of `page`: the parameter that names the page. `page`, if nothing is said.
    #[must_use]
    pub fn page_param(self, name: &str) -> Self {
        self.with("page_param", name)
    }

    /// Of `page`: the parameter that says how many are wanted. `per_page`, if nothing is said.
    #[must_use]
    pub fn page_size_param(self, name: &str) -> Self {
        self.with("page_size_param", name)
    }

    /// Of `page`: the number of the first one. 1, if nothing is said.
    #[must_use]
    pub fn start_from(self, page: u64) -> Self {
        self.with("start_from", page)
    }

    /// Of `keyset`: the field that records are sorted by. The cursor field, if nothing is said.
    #[must_use]
    pub fn key_field(self, path: &str) -> Self {
        self.with("key_field", path)
    }
}

/// How a side tells us of changes by itself, at the sync's own address.
#[derive(Debug, Clone)]
pub struct Webhook(Draft);

impl Webhook {
    pub(crate) fn draft(self) -> Draft {
        self.0
    }

    /// Comes in at `path`, signed with `secret` as Standard Webhooks has it.
    pub fn signed(path: &str, secret: impl Into<String>) -> Self {
        let mut keys = Draft::of("path", path);
        keys.add("secret", DraftValue::secret(secret));
        Self(keys)
    }

    /// Comes in at `path`; anybody who reaches it is believed.
    pub fn unsigned(path: &str) -> Self {
        let mut keys = Draft::of("path", path);
        keys.add("unsigned", true);
        Self(keys)
    }

    /// What a delivery is worth. Whole records, if nothing is said.
    #[must_use]
    pub fn payload(mut self, payload: Payload) -> Self {
        let word = match payload {
            Payload::Whole => "whole",
            Payload::Partial => "partial",
            Payload::Hint => "hint",
        };
        self.0.set("payload", word);
        self
    }

    /// Where in a delivery the record or the records are: members to step into,
    /// from the outside. The delivery itself, or its member `data`, if nothing is said.
    #[must_use]
    pub fn record_selector<'a>(mut self, field_path: impl IntoIterator<Item = &'a str>) -> Self {
        self.0.set("record_selector", selector(field_path));
        self
    }
}
