//! Finding records by their identity.

use crate::error::{SpecError, quote};
use crate::fill::{self, Filling, Names};
use crate::read::{body, good, later};
use crate::request::{Ask, Parts};
use crate::select::{self, Lens};
use crate::spec::{self, BaseUrl, LookupSpec, RequestBody};
use crate::wire::Wire;
use hms_sync_connector::{Observation, ReadError};
use hms_sync_model::NativeId;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, StatusCode};
use serde_json::Value as Json;

/// A lookup by identity, set up.
#[derive(Debug)]
pub(crate) struct Lookup {
    pub(crate) ask: Ask,
    body: Option<Asked>,
}

/// A body that says what to look for.
#[derive(Debug)]
struct Asked {
    value: Filling,
    form: bool,
}

impl Lookup {
    /// As configured, with the names it may use.
    pub(crate) fn new(key: &str, base: &BaseUrl, spec: &LookupSpec) -> Result<Self, SpecError> {
        let parts = Parts {
            path: &spec.path,
            parameters: &spec.request_parameters,
            headers: &spec.request_headers,
            selector: spec.record_selector.as_ref(),
        };
        let method = match spec.method {
            None => Method::GET,
            Some(spec::Method::Post) => Method::POST,
            Some(_) => return Err(SpecError::new(format!("{key}.method"), "can only be `POST`")),
        };
        if spec.request_body.is_some() && method == Method::GET {
            return Err(SpecError::new(format!("{key}.request_body"), "needs `method: POST`"));
        }
        let mut ask = Ask::new(key, method, base, &parts, &["identity"])?;
        ask.decode(&format!("{key}.decoder"), &spec.decoder)?;
        let body = spec.request_body.as_ref().map(|body| {
            let (value, form) = match body {
                RequestBody::Json { value } => (value, false),
                RequestBody::Form { value } => (value, true),
            };
            Filling::new(value, &["identity"]).map(|value| Asked { value, form })
        });
        let body = body.transpose().map_err(|e| SpecError::new(format!("{key}.request_body"), e))?;
        if !ask.uses("identity") && !body.as_ref().is_some_and(|body| body.value.uses("identity")) {
            let reason =
                "names no field of the identity, as `{{ identity.permit_no }}`: it would find any record";
            return Err(SpecError::new(key, reason));
        }
        Ok(Self { ask, body })
    }

    fn request(&self, wire: &Wire, identity: &Json) -> Result<reqwest::Request, String> {
        let names = Names([("identity".to_owned(), identity.clone())].into_iter().collect());
        let with = names.value();
        let mut request = self.ask.request(wire, &with, &[])?;
        if let Some(Asked { value, form }) = &self.body {
            let json = value.fill(&names, &with)?;
            if *form {
                Wire::put(&mut request, fill::form(&json, fill::Lists::Repeated).into_bytes());
                let form = HeaderValue::from_static("application/x-www-form-urlencoded");
                request.headers_mut().insert(CONTENT_TYPE, form);
            } else {
                Wire::put(&mut request, serde_json::to_vec(&json).map_err(|e| e.to_string())?);
            }
        }
        Ok(request)
    }

    /// Records by their identity. What comes back must carry it: a side that
    /// ignores the filter shows any record, and taking that for ours would join two
    /// things, or hide the one we look for.
    pub(crate) async fn find(
        &self,
        wire: &Wire,
        lens: &Lens,
        identity: &Json,
    ) -> Result<Vec<Observation>, ReadError> {
        let ask = &self.ask;
        let request = self.request(wire, identity);
        let request = request.map_err(|why| ReadError::Denied { reason: format!("{}: {why}", ask.label) })?;
        let answer = ask.send(wire, request).await.map_err(|lost| later(ask, &lost))?;
        if answer.status == StatusCode::NOT_FOUND && !answer.is_judged() {
            return Ok(Vec::new());
        }
        let answer = good(ask, answer)?;
        let broken = |why: String| ReadError::Broken { reason: format!("{}: {why}", ask.label) };
        let json = ask.decoder.parse(body(ask, &answer)?, wire.body_max()).map_err(broken)?;
        let (all, found) = if let Some(One { shown, id, record }) = one(lens, ask, &json) {
            let found = carries(shown, identity).then(|| lens.observe(id, record, Some(&answer)));
            (1, found.into_iter().collect())
        } else {
            let records = select::records(json, ask.selector.as_ref(), ask.decoder.is_xml());
            let (records, mut found) = (records.map_err(broken)?.0, Vec::new());
            let all = records.len();
            for record in records.into_iter().filter(|record| carries(record, identity)) {
                let record = lens.made(record).map_err(|why| broken(format!("a record found {why}")))?;
                let id = lens.id(&record).map_err(|why| broken(format!("a record found {why}")))?;
                found.push(lens.observe(id, record, None));
            }
            (all, found)
        };
        if found.is_empty() && all > 0 {
            let identity = quote(identity.to_string().as_bytes(), 120);
            return Err(broken(format!(
                "none of the {all} records found carries {identity}; is the filter right?"
            )));
        }
        Ok(found)
    }
}

/// A record that is an answer of its own.
struct One<'a> {
    /// As it came.
    shown: &'a Json,
    id: NativeId,
    /// What is made of it.
    record: Json,
}

/// The record, where the answer is one and no list: the side has it at an address that is
/// made of the identity.
fn one<'a>(lens: &Lens, ask: &Ask, json: &'a Json) -> Option<One<'a>> {
    let shown = match &ask.selector {
        Some(path) => path.get(json)?,
        None => json,
    };
    let record = shown.is_object().then(|| lens.made(shown.clone()).ok()).flatten()?;
    let id = lens.id(&record).ok()?;
    Some(One { shown, id, record })
}

/// Whether a record shows this identity, as far as it shows it at all. Upper and
/// lower case and digits as text are the side's affair.
fn carries(record: &Json, identity: &Json) -> bool {
    match (record, identity) {
        (Json::Object(record), Json::Object(identity)) => {
            identity.iter().all(|(name, wanted)| record.get(name).is_none_or(|there| carries(there, wanted)))
        }
        (there, wanted) => there == wanted || text(there).is_some() && text(there) == text(wanted),
    }
}

fn text(json: &Json) -> Option<String> {
    match json {
        Json::String(text) => Some(text.trim().to_lowercase()),
        Json::Number(n) => Some(n.to_string()),
        _ => None,
    }
}
