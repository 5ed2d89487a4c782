//! A side's part in a collection: its requests, what stands below
//! `collections.<collection>.sides.<side>` in YAML, under the same names.

use crate::contract::SchemaContract;
use crate::request::{Paginator, Request, Webhook, selector};
use hms_sync_config::{Draft, DraftValue, OnAltered, OnMissing};
use serde_json::Value as Json;
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
    more: Vec<(String, Json)>,
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

    /// Where the parts of a record's id are, if only together they tell records apart. In
    /// templates they are `{{ id.part }}`, at their paths.
    #[must_use]
    pub fn primary_keys<'a>(self, paths: impl IntoIterator<Item = &'a str>) -> Self {
        self.with("primary_key", DraftValue::list(paths))
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
        self.listed("paginator", paginator.draft())
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

    /// How a record that was deleted is brought back under its old id; knows `{{ id }}`. It
    /// is made anew, if nothing is said.
    #[must_use]
    pub fn undelete(self, request: Request) -> Self {
        self.with("undelete", request.draft())
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
        self.with("webhook", webhook.draft())
    }

    /// How long after a write a read may still show what was there before it. 30
    /// seconds, if nothing is said.
    #[must_use]
    pub fn settle_window(self, window: Duration) -> Self {
        self.with("settle_window", window)
    }

    /// What is done when the side stores something else than it was sent. Ours is kept, if
    /// nothing is said.
    #[must_use]
    pub fn on_altered(self, what: OnAltered) -> Self {
        let word = match what {
            OnAltered::KeepOurs => "keep_ours",
            OnAltered::TakeTheirs => "take_theirs",
            OnAltered::Park => "park",
        };
        self.with("on_altered", word)
    }

    /// What it means that an update finds no record there. That it was deleted, if nothing
    /// is said.
    #[must_use]
    pub fn on_missing(self, what: OnMissing) -> Self {
        let word = match what {
            OnMissing::Deleted => "deleted",
            OnMissing::Recreate => "recreate",
            OnMissing::Park => "park",
            OnMissing::Unlink => "unlink",
        };
        self.with("on_missing", word)
    }

    /// Reads the record after a write whose answer does not show it.
    #[must_use]
    pub fn read_back(self) -> Self {
        self.with("read_back", true)
    }

    /// What is done when its records are of another shape than the fields say. As the
    /// collection says, if nothing is said here.
    #[must_use]
    pub fn schema_contract(self, contract: SchemaContract) -> Self {
        self.with("schema_contract", contract.draft())
    }

    /// Allows `union` and `counter` where a write cannot be made to depend on what was read.
    #[must_use]
    pub fn accept_lost_updates(self) -> Self {
        self.with("accept_lost_updates", true)
    }

    /// Any key of the [reference](../../../docs/reference/http.md) by its dotted path, over what
    /// the other methods say: `set("read.on_empty", "skip")`,
    /// `set("read.partition_router", json!({ "type": "list", … }))`.
    #[must_use]
    pub fn set(mut self, path: &str, value: impl Into<Json>) -> Self {
        self.more.push((path.to_owned(), value.into()));
        self
    }

    /// As it would stand in YAML.
    pub(crate) fn draft(self) -> Draft {
        let Self { mut keys, mut read, incremental_sync, lookup, selector, exists_when, more } = self;
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
        more.into_iter().for_each(|(path, value)| keys.put(&path, value));
        keys
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::Endpoint;
    use crate::{Api, Collection, Field, Request, Sync};
    use hms_sync_http::spec::{OnEmpty, PartitionRouter};
    use serde_json::json;

    fn tasks(of: Endpoint) -> Collection {
        let budget = json!({ "policies": [{ "type": "fixed_window", "call_limit": 5, "period": "1s" }] });
        let hub = Api::http("http://127.0.0.1:1").set("api_budget", budget);
        let login = json!({ "type": "bearer", "api_token": "hush-hush" });
        let desk = Api::http("http://127.0.0.1:2").set("authenticator", login);
        assert!(!format!("{:?}", desk.draft()).contains("hush-hush"));
        let sync = Sync::init("Tasks").api("hub", hub).api("desk", desk);
        sync.collection("task")
            .identity(["no"])
            .side("hub", of)
            .side("desk", Endpoint::rest("/tasks"))
            .field(Field::string("no").at("hub", "no").at("desk", "no"))
    }

    #[test]
    fn any_key_is_set_by_its_path() {
        let router = json!({ "type": "list", "values": ["a"], "partition_field": "board" });
        let of = Endpoint::new()
            .read(Request::get("/boards/{{ stream_partition.board }}"))
            .create(Request::post("/tasks"))
            .update(Request::patch("/tasks/{{ id }}"))
            .set("read.partition_router", router)
            .set("read.on_empty", "skip")
            .set("error_handler.backoff_strategies", json!([{ "type": "exponential" }]));
        let config = tasks(of).check().unwrap();
        let task = config.collections.values().next().unwrap();
        let (_, hub) = task.sides.iter().find(|(name, _)| name.as_str() == "hub").unwrap();
        let (_, api) = config.sides.iter().find(|(name, _)| name.as_str() == "hub").unwrap();
        let read = hub.http.read.as_ref().unwrap();
        assert_eq!(read.on_empty, OnEmpty::Skip);
        assert!(matches!(read.partition_router, Some(PartitionRouter::List(_))));
        assert!(hub.http.error_handler.is_some() && api.http.api_budget.is_some());
    }

    #[test]
    fn a_key_that_there_is_not_is_told_by_its_path() {
        let why =
            tasks(Endpoint::rest("/tasks").set("read.on_emty", "skip")).check().unwrap_err().to_string();
        assert!(
            why.contains("collections.task.sides.hub.read.on_emty") && why.contains("`on_empty`"),
            "{why}"
        );
    }
}
