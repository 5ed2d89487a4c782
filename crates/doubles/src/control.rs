//! The same for a double in a process of its own: below `/_double`, JSON, no
//! authentication, and no fault touches it.
//!
//! | request | does |
//! |---|---|
//! | `GET /_double/records` | all records |
//! | `GET /_double/effects` | every write that the API carried out |
//! | `GET /_double/summary` | `records`, `effects`, `doubled`, and the counts |
//! | `PUT /_double/faults` | sets [`Faults`](crate::Faults) |
//! | `PUT /_double/hook` | sets the [`Hook`](crate::Hook), `null` for none |
//! | `POST /_double/edits` | `{"operation": "update", "id": "7", "body": {…}}`, by a user |

use crate::answer::{self, Answer};
use crate::double::Shared;
use crate::effect::{Operation, doubled};
use crate::faults::Faults;
use crate::hook::Hook;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use std::sync::Arc;

pub(crate) const PREFIX: &str = "/_double/";
const MAX_BODY: usize = 1 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    operation: Operation,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    body: Json,
}

pub(crate) async fn handle(shared: &Arc<Shared>, request: Request<Incoming>) -> Response<Answer> {
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
        return answer::json(StatusCode::PAYLOAD_TOO_LARGE, "");
    };
    match answer(shared, &parts.method, parts.uri.path().trim_start_matches(PREFIX), &body.to_bytes()) {
        Ok(response) => response,
        Err(message) => answer::json(StatusCode::BAD_REQUEST, json!({ "error": message }).to_string()),
    }
}

fn answer(
    shared: &Arc<Shared>,
    method: &Method,
    path: &str,
    body: &[u8],
) -> Result<Response<Answer>, String> {
    let ok = |json: Json| Ok(answer::json(StatusCode::OK, json.to_string()));
    match (method, path) {
        (&Method::GET, "records") => Ok(answer::json(StatusCode::OK, joined(&shared.store().snapshot()))),
        (&Method::GET, "effects") => {
            let effects = shared.store().effects().to_vec();
            Ok(answer::json(StatusCode::OK, serde_json::to_vec(&effects).map_err(|e| e.to_string())?))
        }
        (&Method::GET, "summary") => {
            let counts = shared.counts();
            let store = shared.store();
            let effects = store.effects();
            ok(json!({
                "records": store.len(), "effects": effects.len(), "doubled": doubled(effects), "counts": counts,
            }))
        }
        (&Method::PUT, "faults") => {
            shared.set_faults(parse::<Faults>(body)?);
            ok(json!({}))
        }
        (&Method::PUT, "hook") => {
            shared.set_hook(parse::<Option<Hook>>(body)?.as_ref()).map_err(|e| e.to_string())?;
            ok(json!({}))
        }
        (&Method::POST, "edits") => {
            let edit: Edit = parse(body)?;
            let reply = shared.edit(edit.operation, edit.id.as_deref(), &edit.body);
            Ok(answer::json(reply.status, reply.body))
        }
        _ => Err(format!("no {method} {PREFIX}{path}")),
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|e| e.to_string())
}

fn joined(records: &[Bytes]) -> Vec<u8> {
    let mut all = vec![b'['];
    for (i, record) in records.iter().enumerate() {
        if i > 0 {
            all.push(b',');
        }
        all.extend_from_slice(record);
    }
    all.push(b']');
    all
}
