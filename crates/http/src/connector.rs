//! A side reached over HTTP.

use crate::batch::Batch;
use crate::deletions::Deletions;
use crate::error::SpecError;
use crate::guard::Guard;
use crate::key::RecordKey;
use crate::listing::{Family, Listing, Setup};
use crate::lookup::Lookup;
use crate::read;
use crate::request::{Ask, Parts};
use crate::select::Lens;
use crate::spec::{
    AnswerWhen, BaseUrl, ErrorHandler, FetchSpec, HttpCollection, HttpSpec, IdempotencySpec, RecordSelector,
    WriteSpec,
};
use crate::webhook::{Hook, Subscribe};
use crate::wire::{Verdicts, Wire};
use crate::write::{self, Doing, Manner, Means, Put};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use hms_sync_connector::{
    Abilities, Connector, Delivery, LookupRequest, Observation, Page, RawRequest, RawWebhook, ReadError,
    ReadRequest, Registration, Target, WebhookError, WriteRequest,
};
use hms_sync_model::{CollectionName, NativeId, Outcome, SideName, Time};
use http::{HeaderName, Method, StatusCode};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// A side reached over HTTP, ready for use.
#[derive(Debug)]
pub struct HttpConnector {
    side: SideName,
    wire: Wire,
    collections: BTreeMap<CollectionName, Collection>,
    /// For requests of handlers, which always carry a key.
    key_header: HeaderName,
}

#[derive(Debug)]
struct Collection {
    lens: Lens,
    listing: Option<Listing>,
    deletions: Option<Deletions>,
    fetch: Option<Ask>,
    lookup: Option<Lookup>,
    create: Option<Put>,
    update: Option<Put>,
    delete: Option<Put>,
    undelete: Option<Put>,
    manner: Manner,
    hook: Option<Hook>,
}

impl HttpConnector {
    /// Sets a side up; the error names the key that does not fit. Nothing is sent.
    #[expect(clippy::needless_pass_by_value, reason = "the spec and its secrets end here")]
    pub fn new(
        name: &SideName,
        spec: HttpSpec,
        collections: BTreeMap<CollectionName, HttpCollection>,
    ) -> Result<Self, SpecError> {
        let wire = Wire::new(&spec)?;
        let side_key = Key::new("idempotency_key", spec.idempotency_key.as_ref())?;
        let mut ready = BTreeMap::new();
        for (name, collection) in &collections {
            ready.insert(
                name.clone(),
                Collection::new(name, &wire, side_key.as_ref(), collection, &collections)?,
            );
        }
        let key_header = side_key.map_or(HeaderName::from_static("idempotency-key"), |key| key.header);
        Ok(Self { side: name.clone(), wire, collections: ready, key_header })
    }

    /// Has tokens that replace configured ones kept in `folder`, the one of the change
    /// log. Without it a side that replaces them is not asked for any.
    #[must_use]
    pub fn keeping_tokens_in(mut self, folder: &Path) -> Self {
        self.wire.keep_tokens_in(folder, self.side.as_str());
        self
    }

    fn collection(&self, name: &CollectionName) -> Result<&Collection, String> {
        self.collections.get(name).ok_or_else(|| format!("{} has no collection `{name}`", self.side))
    }

    fn subscribe(&self, name: &CollectionName) -> Option<&Subscribe> {
        self.collections.get(name)?.hook.as_ref()?.subscribe.as_ref()
    }

    fn denied<T>(reason: String) -> Result<T, ReadError> {
        Err(ReadError::Denied { reason })
    }

    /// Asks the side's own URL, where there is no listing to ask for.
    async fn knock(&self) -> Result<String, ReadError> {
        let url = self.wire.base().as_url().clone();
        let request = self.wire.request(Method::GET, url, &crate::spec::Headers::default());
        let request = request.map_err(|reason| ReadError::Denied { reason })?;
        match self.wire.send(request).await {
            Ok(answer) if matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                Self::denied(format!("{}: {}", self.wire.base(), answer.words()))
            }
            Ok(answer) => {
                Ok(format!("{} is there (it answers {})", self.wire.base(), answer.status.as_u16()))
            }
            Err(lost) => Err(ReadError::Later { reason: lost.reason().to_owned(), after: lost.after() }),
        }
    }
}

impl Collection {
    fn new(
        name: &CollectionName,
        wire: &Wire,
        side_key: Option<&Key>,
        spec: &HttpCollection,
        family: &Family,
    ) -> Result<Self, SpecError> {
        let key = |part: &str| format!("{name}.{part}");
        let base = wire.base();
        let lens = Lens::new(name.as_str(), spec)?;
        filters_only_listings(&key, spec)?;
        let put = |part: &str, doing, own: Option<&WriteSpec>, other: Option<&WriteSpec>| {
            let (part, spec) = match (own, other) {
                (Some(own), _) => (part, own),
                (None, Some(other)) => ("upsert", other),
                (None, None) => return Ok(None),
            };
            Put::new(&key(part), doing, base, spec, &lens.key).map(Some)
        };
        let upsert = spec.upsert.as_ref();
        let lookup = spec.lookup.as_ref().map(|s| Lookup::new(&key("lookup"), base, s)).transpose()?;
        let hook = spec.webhook.as_ref();
        let setup = Setup { base, family };
        let listing = spec.read.as_ref().map(|s| Listing::new(&key("read"), s, &lens, setup));
        let gone = spec.deletions.as_ref();
        let mut ready = Self {
            listing: listing.transpose()?,
            deletions: gone.map(|s| Deletions::new(&key("deletions"), spec, s, setup)).transpose()?,
            fetch: spec.fetch.as_ref().map(|s| fetch_ask(&key("fetch"), wire, s, &lens.key)).transpose()?,
            lookup,
            create: put("create", Doing::Create, spec.create.as_ref(), upsert)?,
            update: put("update", Doing::Update, spec.update.as_ref(), upsert)?,
            delete: put("delete", Doing::Delete, spec.delete.as_ref(), None)?,
            undelete: put("undelete", Doing::Undelete, spec.undelete.as_ref(), None)?,
            manner: manner(name, base, side_key, spec)?,
            hook: hook.map(|s| Hook::new(&key("webhook"), base, s, spec.fetch.is_some())).transpose()?,
            lens,
        };
        ready.judge(name, spec)?;
        if ready.undelete.as_ref().is_some_and(|put| !put.has_fields()) && ready.update.is_none() {
            let why = "sends no fields: it needs `body: whole`, or an `update` that sends them after it";
            return Err(SpecError::new(key("undelete"), why));
        }
        Ok(ready)
    }

    /// Has answers judged by the handlers of the request and of the collection.
    fn judge(&mut self, name: &CollectionName, spec: &HttpCollection) -> Result<(), SpecError> {
        let own = |part: &str, own: Option<&ErrorHandler>| {
            let common = (format!("{name}.error_handler"), spec.error_handler.as_ref());
            Verdicts::of_request([(format!("{name}.{part}.error_handler"), own), common])
        };
        if let (Some(listing), Some(read)) = (&mut self.listing, &spec.read) {
            listing.judge_by(own("read", read.error_handler.as_ref())?);
            if let Some(job) = &read.job {
                listing.judge_job_by(job, |part, of| own(&format!("read.job.{part}"), of))?;
            }
        }
        if let (Some(ask), Some(fetch)) = (&mut self.fetch, &spec.fetch) {
            ask.own = own("fetch", fetch.error_handler.as_ref())?;
        }
        if let (Some(lookup), Some(of)) = (&mut self.lookup, &spec.lookup) {
            lookup.ask.own = own("lookup", of.error_handler.as_ref())?;
        }
        let upsert = spec.upsert.as_ref();
        for (part, put, of) in [
            ("create", &mut self.create, spec.create.as_ref().or(upsert)),
            ("update", &mut self.update, spec.update.as_ref().or(upsert)),
            ("delete", &mut self.delete, spec.delete.as_ref()),
            ("undelete", &mut self.undelete, spec.undelete.as_ref()),
        ] {
            if let (Some(put), Some(of)) = (put, of) {
                put.ask.own = own(part, of.error_handler.as_ref())?;
            }
        }
        if let Some(batch) = &mut self.manner.batch {
            batch.ask.own = own("batch", None)?;
        }
        Ok(())
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            read: self.listing.is_some(),
            incremental: self.listing.as_ref().is_some_and(Listing::is_incremental),
            fetch: self.fetch.is_some(),
            lookup: self.lookup.is_some(),
            create: self.create.is_some(),
            update: self.update.is_some(),
            delete: self.delete.is_some(),
            idempotency_key: self.manner.key.is_some()
                && self.manner.batch.as_ref().is_none_or(Batch::carries_keys),
            precondition: !matches!(self.manner.guard, Guard::None),
            key_valid_for: self.manner.key_valid_for,
        }
    }

    /// A record that was deleted comes back under its old id. If the side has forgotten
    /// it, it is made anew.
    async fn bring_back(&self, means: Means<'_>, undelete: &Put, request: &WriteRequest) -> Outcome {
        let id = match undelete.write(means, Doing::Undelete, request).await {
            Outcome::Gone => {
                return match &self.create {
                    Some(create) => create.write(means, Doing::Create, request).await,
                    None => Outcome::Rejected { reason: "no `create` is configured".to_owned() },
                };
            }
            Outcome::Applied(written) if !undelete.has_fields() => written.id,
            other => return other,
        };
        let Some(update) = &self.update else {
            return Outcome::Rejected { reason: "no `update` is configured".to_owned() };
        };
        let changed = request.whole.clone();
        let request = WriteRequest { target: Target::Update(id, None), changed, ..request.clone() };
        match update.write(means, Doing::Update, &request).await {
            done @ (Outcome::Applied(_) | Outcome::Rejected { .. }) => done,
            // It is there again, with what it was: to be found by a look.
            other => Outcome::Unknown { reason: format!("it was brought back, but not changed: {other:?}") },
        }
    }
}

fn fetch_ask(key: &str, wire: &Wire, spec: &FetchSpec, record_key: &RecordKey) -> Result<Ask, SpecError> {
    let parts = Parts {
        path: &spec.path,
        parameters: &spec.request_parameters,
        headers: &spec.request_headers,
        selector: spec.record_selector.as_ref(),
    };
    let mut ask = Ask::new(key, Method::GET, wire.base(), &parts, &["id"])?;
    ask.decode(&format!("{key}.decoder"), &spec.decoder)?;
    if !ask.uses("id") {
        return Err(SpecError::new(format!("{key}.path"), "does not say which record, as `{{ id }}` does"));
    }
    if let Some(why) = record_key.lacking(&ask.members_of("id")) {
        return Err(SpecError::new(format!("{key}.path"), why));
    }
    Ok(ask)
}

/// Only of a listing is it known that what was passed over is there.
fn filters_only_listings(key: &impl Fn(&str) -> String, spec: &HttpCollection) -> Result<(), SpecError> {
    let writes = [("create", &spec.create), ("update", &spec.update), ("delete", &spec.delete)];
    let mut selectors = vec![
        ("fetch", spec.fetch.as_ref().and_then(|spec| spec.record_selector.as_ref())),
        ("lookup", spec.lookup.as_ref().and_then(|spec| spec.record_selector.as_ref())),
        ("webhook", spec.webhook.as_ref().and_then(|spec| spec.record_selector.as_ref())),
    ];
    selectors.extend(
        writes.map(|(name, spec)| (name, spec.as_ref().and_then(|spec| spec.record_selector.as_ref()))),
    );
    let filters = |one: &RecordSelector| {
        let turned = one.transform_before_filtering.then_some("transform_before_filtering");
        one.record_filter.as_ref().map(|_| "record_filter").or(turned)
    };
    match selectors.iter().find_map(|(name, selector)| Some((name, selector.and_then(filters)?))) {
        Some((name, part)) => {
            let key = key(&format!("{name}.record_selector.{part}"));
            Err(SpecError::new(key, "only a listing can be filtered, in `read`"))
        }
        None => Ok(()),
    }
}

/// An idempotency key, as a side takes it.
#[derive(Debug, Clone)]
struct Key {
    header: HeaderName,
    valid_for: Option<Duration>,
    in_progress_when: Vec<AnswerWhen>,
}

impl Key {
    fn new(key: &str, spec: Option<&IdempotencySpec>) -> Result<Option<Self>, SpecError> {
        let Some(spec) = spec else { return Ok(None) };
        let header = HeaderName::try_from(&spec.header).map_err(|_| {
            SpecError::new(format!("{key}.header"), format!("`{}` is no name of a header", spec.header))
        })?;
        let valid_for = spec.valid_for.map(|span| span.0);
        if valid_for.is_some_and(|span| span.is_zero()) {
            return Err(SpecError::new(format!("{key}.valid_for"), "must be longer than nothing"));
        }
        // `idempotency` or `Idempotency`: their words are English in any case.
        let usual = || vec![AnswerWhen { status: 409, body_contains: "dempotency".to_owned() }];
        let in_progress_when = spec.in_progress_when.clone().unwrap_or_else(usual);
        Ok(Some(Self { header, valid_for, in_progress_when }))
    }
}

fn manner(
    name: &CollectionName,
    base: &BaseUrl,
    side_key: Option<&Key>,
    spec: &HttpCollection,
) -> Result<Manner, SpecError> {
    let guard = Guard::new(&format!("{name}.precondition"), spec)?;
    let own_key = Key::new(&format!("{name}.idempotency_key"), spec.idempotency_key.as_ref())?;
    let key = own_key.or_else(|| side_key.cloned());
    let batch = spec.batch.as_ref().map(|batch| Batch::new(&format!("{name}.batch"), base, batch));
    Ok(Manner {
        key_valid_for: key.as_ref().and_then(|key| key.valid_for),
        in_progress_when: key.as_ref().map(|key| key.in_progress_when.clone()).unwrap_or_default(),
        key: key.map(|key| key.header),
        guard,
        exists_when: spec.exists_when.clone(),
        gone_when: spec.gone_when.clone(),
        conflict_when: spec.conflict_when.clone(),
        field_names: spec.field_names.clone(),
        batch: batch.transpose()?,
    })
}

impl Connector for HttpConnector {
    fn abilities(&self, collection: &CollectionName) -> Abilities {
        self.collections.get(collection).map(Collection::abilities).unwrap_or_default()
    }

    fn filled_by_listing(&self, collection: &CollectionName) -> Vec<Vec<String>> {
        let listing = self.collections.get(collection).and_then(|of| of.listing.as_ref());
        listing.map(Listing::filled).unwrap_or_default()
    }

    fn check(&self, collection: &CollectionName) -> BoxFuture<'_, Result<String, ReadError>> {
        match self.collection(collection) {
            Ok(Collection { listing: Some(listing), lens, .. }) => {
                let collection = collection.clone();
                async move { listing.check(&self.wire, lens, &collection).await }.boxed()
            }
            Ok(_) => self.knock().boxed(),
            Err(reason) => ready(Self::denied(reason)).boxed(),
        }
    }

    fn read(&self, request: ReadRequest) -> BoxFuture<'_, Result<Page, ReadError>> {
        match self.collection(&request.collection) {
            Ok(Collection { listing: Some(listing), deletions: Some(deletions), lens, .. }) => {
                deletions.page((listing, lens), &self.wire, request).boxed()
            }
            Ok(Collection { listing: Some(listing), lens, .. }) => {
                listing.page(&self.wire, lens, request).boxed()
            }
            Ok(_) => ready(Self::denied("no `read` is configured".to_owned())).boxed(),
            Err(reason) => ready(Self::denied(reason)).boxed(),
        }
    }

    fn fetch(
        &self,
        collection: CollectionName,
        id: NativeId,
    ) -> BoxFuture<'_, Result<Observation, ReadError>> {
        match self.collection(&collection) {
            Ok(Collection { fetch: Some(ask), lens, .. }) => read::fetch(ask, &self.wire, lens, id).boxed(),
            Ok(_) => ready(Self::denied("no `fetch` is configured".to_owned())).boxed(),
            Err(reason) => ready(Self::denied(reason)).boxed(),
        }
    }

    fn lookup(&self, request: LookupRequest) -> BoxFuture<'_, Result<Vec<Observation>, ReadError>> {
        match self.collection(&request.collection) {
            Ok(Collection { lookup: Some(lookup), lens, .. }) => {
                async move { lookup.find(&self.wire, lens, &request.identity).await }.boxed()
            }
            Ok(_) => ready(Self::denied("no `lookup` is configured".to_owned())).boxed(),
            Err(reason) => ready(Self::denied(reason)).boxed(),
        }
    }

    fn write(&self, request: WriteRequest) -> BoxFuture<'_, Outcome> {
        let collection = match self.collection(&request.collection) {
            Ok(collection) => collection,
            Err(reason) => return ready(Outcome::Rejected { reason }).boxed(),
        };
        let (put, doing, name) = match request.target {
            Target::Create => (&collection.create, Doing::Create, "create"),
            Target::Update(..) => (&collection.update, Doing::Update, "update"),
            Target::Delete(..) => (&collection.delete, Doing::Delete, "delete"),
        };
        let means = Means { wire: &self.wire, lens: &collection.lens, manner: &collection.manner };
        match (&collection.undelete, put) {
            (Some(undelete), _) if doing == Doing::Create && request.former.is_some() => {
                async move { collection.bring_back(means, undelete, &request).await }.boxed()
            }
            (_, Some(put)) => async move { put.write(means, doing, &request).await }.boxed(),
            (_, None) => ready(Outcome::Rejected { reason: format!("no `{name}` is configured") }).boxed(),
        }
    }

    fn send(&self, request: RawRequest) -> BoxFuture<'_, Outcome> {
        async move { write::send(&self.wire, &self.key_header, &request).await }.boxed()
    }

    fn registers(&self, collection: &CollectionName) -> bool {
        self.subscribe(collection).is_some()
    }

    fn is_registered(&self, collection: &CollectionName, known: &Registration) -> bool {
        self.subscribe(collection).is_some_and(|subscribe| subscribe.is_of(known))
    }

    fn register(
        &self,
        collection: CollectionName,
        known: Option<Registration>,
        now: Time,
    ) -> BoxFuture<'_, Result<Registration, ReadError>> {
        match self.subscribe(&collection) {
            Some(subscribe) => {
                async move { subscribe.register(&self.wire, known.as_ref(), now).await }.boxed()
            }
            None => ready(Self::denied("no `webhook.subscribe` is configured".to_owned())).boxed(),
        }
    }

    fn handshake(
        &self,
        collection: &CollectionName,
        raw: &RawWebhook,
    ) -> Option<Result<String, WebhookError>> {
        self.collections.get(collection)?.hook.as_ref()?.handshake(raw)
    }

    fn webhook(&self, collection: &CollectionName, raw: &RawWebhook) -> Result<Delivery, WebhookError> {
        let collection = self.collections.get(collection).ok_or(WebhookError::NotConfigured)?;
        collection.hook.as_ref().ok_or(WebhookError::NotConfigured)?.open(&collection.lens, raw)
    }
}
