//! A side's part in a collection: its requests, what stands below
//! `collections.<collection>.sides.<side>` in YAML, under the same names.

use hms_sync_config::{Draft, DraftValue};
use hms_sync_http::spec::{BodyShape, Payload};
use std::time::Duration;

/// Where a collection's records are on one side, and how they are listed, read
/// and written there. What it has no request for, the side cannot do.
///
/// Texts with `{{ … }}` are templates, as in YAML.
#[derive(Debug, Clone, Default)]
pub struct Endpoint {
    keys: Draft,
    read: Draft,
    incremental_sync: Draft,
    lookup: Option<Request>,
    selector: Option<DraftValue>,
    exists_when: Vec<Draft>,
}

impl Endpoint {
    /// A side that can do nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What most APIs have: records are listed at `path` with GET and made there
    /// with POST; each is at `path/{{ id }}` for GET, PATCH and DELETE.
    pub fn rest(path: &str) -> Self {
        let one = format!("{path}/{{{{ id }}}}");
        Self::new()
            .read(Request::get(path))
            .fetch(Request::get(&one))
            .create(Request::post(path))
            .update(Request::patch(&one))
            .delete(Request::delete(&one))
    }

    fn with(mut self, key: &str, value: impl Into<DraftValue>) -> Self {
        self.keys.set(key, value);
        self
    }

    fn listed(mut self, key: &str, value: impl Into<DraftValue>) -> Self {
        self.read.set(key, value);
        self
    }

    fn since(mut self, key: &str, value: impl Into<DraftValue>) -> Self {
        self.incremental_sync.set(key, value);
        self
    }

    /// Where a record's id is; dots step into objects. `id`, if nothing is said.
    #[must_use]
    pub fn primary_key(self, path: &str) -> Self {
        self.with("primary_key", path)
    }

    /// The header of an answer that holds a record's version. `ETag`, if nothing is said.
    #[must_use]
    pub fn version_tag_header(self, name: &str) -> Self {
        self.with("version_tag", Draft::of("header", name))
    }

    /// The field that holds a record's version. Writes can then not be made to
    /// depend on what was read.
    #[must_use]
    pub fn version_tag_field(self, path: &str) -> Self {
        self.with("version_tag", Draft::of("field", path))
    }

    /// Where a record says when it was last changed. The cursor field, if nothing
    /// is said and that holds a time.
    #[must_use]
    pub fn modified(self, path: &str) -> Self {
        self.with("modified", path)
    }

    /// That the side carries out a repeated request with the same key once;
    /// `header` carries the key. As the side says, if nothing is said here.
    #[must_use]
    pub fn idempotency_key(self, header: &str) -> Self {
        self.with("idempotency_key", Draft::of("header", header))
    }

    /// How records are listed.
    #[must_use]
    pub fn read(mut self, request: Request) -> Self {
        for (key, value) in request.parts() {
            self.read.set(key, value);
        }
        self
    }

    /// Where in the answers to `read` and `lookup` the records are: members to
    /// step into, from the outside. The answer itself if it is a list, else its
    /// only member that is one, if nothing is said.
    #[must_use]
    pub fn record_selector<'a>(mut self, field_path: impl IntoIterator<Item = &'a str>) -> Self {
        let selector = selector(field_path);
        self.read.set("record_selector", selector.clone());
        self.selector = Some(selector);
        self
    }

    /// How a listing is cut into pages. Not at all, if nothing is said.
    #[must_use]
    pub fn paginator(self, paginator: Paginator) -> Self {
        self.listed("paginator", paginator.0)
    }

    /// The field of a record that grows with each change, a time or a number: a
    /// poll asks for what is beyond the largest one seen.
    #[must_use]
    pub fn cursor_field(self, path: &str) -> Self {
        self.since("cursor_field", path)
    }

    /// A poll asks for what changed since the last complete one began, by our clock.
    #[must_use]
    pub fn cursor_last_run(self) -> Self {
        self.since("cursor", "last_run")
    }

    /// The parameter that carries the cursor, as `since`.
    #[must_use]
    pub fn start_time_option(self, field_name: &str) -> Self {
        self.since("start_time_option", Draft::of("field_name", field_name))
    }

    /// The form of the cursor's times: a `strftime` pattern, `epoch_s` or
    /// `epoch_ms`. As the side writes them, if nothing is said.
    #[must_use]
    pub fn datetime_format(self, format: &str) -> Self {
        self.since("datetime_format", format)
    }

    /// How far before the cursor each poll starts again, for what was written
    /// late. Two seconds for times, if nothing is said.
    #[must_use]
    pub fn lookback_window(self, window: Duration) -> Self {
        self.since("lookback_window", window)
    }

    /// How often to ask for what changed. Never after the first load, if nothing is said.
    #[must_use]
    pub fn poll_interval(self, interval: Duration) -> Self {
        self.listed("poll_interval", interval)
    }

    /// How often to read everything, which finds deletes and drift. Once, at the
    /// start, if nothing is said.
    #[must_use]
    pub fn full_interval(self, interval: Duration) -> Self {
        self.listed("full_interval", interval)
    }

    /// How one record is read; knows `{{ id }}`.
    #[must_use]
    pub fn fetch(self, request: Request) -> Self {
        self.with("fetch", request.draft())
    }

    /// How records are found by their identity: `{{ identity.permitId }}` is a
    /// field of it in the side's own shape.
    #[must_use]
    pub fn lookup(mut self, request: Request) -> Self {
        self.lookup = Some(request);
        self
    }

    /// How a record is made.
    #[must_use]
    pub fn create(self, request: Request) -> Self {
        self.with("create", request.draft())
    }

    /// How a record is changed; knows `{{ id }}`.
    #[must_use]
    pub fn update(self, request: Request) -> Self {
        self.with("update", request.draft())
    }

    /// How a record is deleted; knows `{{ id }}`.
    #[must_use]
    pub fn delete(self, request: Request) -> Self {
        self.with("delete", request.draft())
    }

    /// An answer to a create that means: there is such a record already. 409 always does.
    #[must_use]
    pub fn exists_when(mut self, status: u16, body_contains: &str) -> Self {
        let mut when = Draft::of("status", u64::from(status));
        when.add("body_contains", body_contains);
        self.exists_when.push(when);
        self
    }

    /// How the side tells us of changes by itself.
    #[must_use]
    pub fn webhook(self, webhook: Webhook) -> Self {
        self.with("webhook", webhook.0)
    }

    /// How long after a write a read may still show what was there before it. 30
    /// seconds, if nothing is said.
    #[must_use]
    pub fn settle_window(self, window: Duration) -> Self {
        self.with("settle_window", window)
    }

    /// Allows `union` and `counter` where a write cannot be made to depend on what was read.
    #[must_use]
    pub fn accept_lost_updates(self) -> Self {
        self.with("accept_lost_updates", true)
    }

    /// As it would stand in YAML.
    pub(crate) fn draft(self) -> Draft {
        let Self { mut keys, mut read, incremental_sync, lookup, selector, exists_when } = self;
        if !incremental_sync.is_empty() {
            read.add("incremental_sync", incremental_sync);
        }
        if !read.is_empty() {
            keys.add("read", read);
        }
        if let Some(lookup) = lookup {
            let mut lookup = lookup.draft();
            if let Some(selector) = selector.filter(|_| !lookup.has("record_selector")) {
                lookup.add("record_selector", selector);
            }
            keys.add("lookup", lookup);
        }
        if !exists_when.is_empty() {
            keys.add("exists_when", DraftValue::list(exists_when));
        }
        keys
    }
}

fn selector<'a>(field_path: impl IntoIterator<Item = &'a str>) -> DraftValue {
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

    fn parts(self) -> Vec<(&'static str, DraftValue)> {
        let Self { mut keys, parameters, headers } = self;
        for (key, map) in [("request_parameters", parameters), ("request_headers", headers)] {
            if !map.is_empty() {
                keys.push((key, map.into()));
            }
        }
        keys
    }

    fn draft(self) -> Draft {
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
