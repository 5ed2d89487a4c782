//! The JSON API: every question of the desk under `/api`, for whoever has the
//! token. A GET never writes; an error is always `{"error": …, "hint": …}`.

mod audit;
mod conflicts;
mod links;
mod subscribers;

use crate::answers::ParkedFilter;
use crate::body::{Refusal, read};
use crate::desk::{EVENTS_MAX, PARKED_MAX};
use crate::serve::Room;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router};
use http::{Method, StatusCode, header};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// How long `/healthz` waits for the engine.
const HEALTH_PATIENCE: Duration = Duration::from_secs(2);

/// Where the numbers are. They name sides and collections and say nothing of records, so
/// no token is asked for: whoever watches would need a new one after each start.
pub(crate) const METRICS: &str = "/metrics";

pub(crate) type Answer<T> = Result<Json<T>, Refusal>;
pub(crate) type Ask = State<Arc<Room>>;

/// Every route of the API, with its method.
pub(crate) fn routes() -> Vec<(Method, &'static str, MethodRouter<Arc<Room>>)> {
    vec![
        (Method::GET, "/api/status", get(status)),
        (Method::GET, "/api/parked", get(parked)),
        (Method::POST, "/api/parked/release", post(release)),
        (Method::GET, "/api/conflicts", get(conflicts::list)),
        (Method::GET, "/api/conflicts/record", get(conflicts::of_record)),
        (Method::POST, "/api/conflicts/resolve", post(conflicts::resolve)),
        (Method::POST, "/api/conflicts/restore", post(conflicts::restore)),
        (Method::POST, "/api/links/unlink", post(links::unlink)),
        (Method::GET, "/api/links/preview", get(links::preview)),
        (Method::POST, "/api/links/relink", post(links::relink)),
        (Method::POST, "/api/links/join", post(links::join)),
        (Method::POST, "/api/subscribers/replay", post(subscribers::replay)),
        (Method::POST, "/api/subscribers/subscribe", post(subscribers::subscribe)),
        (Method::POST, "/api/subscribers/unsubscribe", post(subscribers::unsubscribe)),
        (Method::GET, "/api/record", get(record)),
        (Method::GET, "/api/history", get(history)),
        (Method::GET, "/api/explain", get(explain)),
        (Method::GET, "/api/as-of", get(as_of)),
        (Method::GET, "/api/diff", get(diff)),
        (Method::GET, "/api/log", get(log_list)),
        (Method::GET, "/api/verify", get(verify)),
        (Method::GET, "/api/log/stats", get(log_stats)),
        (Method::POST, "/api/poll", post(poll)),
        (Method::GET, "/api/audit/export", get(audit::export)),
        (Method::POST, "/api/audit/checkpoint", post(audit::checkpoint)),
        (Method::POST, "/api/audit/rotate-key", post(audit::rotate_key)),
        (Method::POST, "/api/audit/new-origin", post(audit::new_origin)),
        (Method::POST, "/api/erase", post(erase)),
        (Method::POST, "/api/take-up", post(take_up)),
    ]
}

/// Every route of the API by method and path: for docs and tests.
pub fn api_routes() -> Vec<(String, &'static str)> {
    routes().into_iter().map(|(method, path, _)| (method.to_string(), path)).collect()
}

/// The whole router but for webhooks, which do not come by it: API, health and numbers.
pub(crate) fn router(room: Arc<Room>) -> Router {
    let mut router = Router::new().route("/healthz", get(healthz)).route(METRICS, get(metrics));
    for (_, path, method) in routes() {
        router = router.route(path, method.fallback(other_method));
    }
    let guard = axum::middleware::from_fn_with_state(Arc::clone(&room), guard);
    router.fallback(crate::hooks::nothing_here).layer(guard).with_state(room)
}

async fn other_method() -> Refusal {
    let hint = "questions are asked with GET, changes with POST";
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "not with this method", hint)
}

/// Lets nobody near the API without the token, nor a page in a browser that was
/// led here under another host's name.
async fn guard(State(room): Ask, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let open = path == METRICS;
    if !open && path != "/api" && !path.starts_with("/api/") {
        return next.run(request).await;
    }
    if !host_fits(&request, room.address.ip()) {
        let hint = "use the address that `hms-sync run` shows";
        return Refusal::new(StatusCode::MISDIRECTED_REQUEST, "this is not the host asked for", hint)
            .into_response();
    }
    if open {
        return next.run(request).await;
    }
    let given = request.headers().get(header::AUTHORIZATION).map(http::HeaderValue::as_bytes);
    let given = given.and_then(|value| value.strip_prefix(b"Bearer "));
    if !given.is_some_and(|token| room.access.admits(token)) {
        let hint = "send `Authorization: Bearer …` with the token in management.json of the data folder";
        return Refusal::new(StatusCode::UNAUTHORIZED, "token missing or not valid", hint).into_response();
    }
    next.run(request).await
}

/// Whether the request names us: a loopback name, or the address listened on.
fn host_fits(request: &Request, ours: IpAddr) -> bool {
    let named = request.headers().get(header::HOST).and_then(|value| value.to_str().ok());
    let Some(named) = named.and_then(|host| host.parse::<http::uri::Authority>().ok()) else { return false };
    let host = named.host().trim_start_matches('[').trim_end_matches(']');
    if host.eq_ignore_ascii_case("localhost") {
        return true;
    }
    // Listening on all addresses means being asked under any of them, but by number.
    host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback() || ip == ours || ours.is_unspecified())
}

fn asked<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Refusal> {
    let Query(query) = query.map_err(|why| {
        Refusal::new(StatusCode::BAD_REQUEST, why.body_text(), "see docs/cli.md for the API's parameters")
    })?;
    Ok(query)
}

async fn told<T: DeserializeOwned>(room: &Room, request: Request) -> Result<T, Refusal> {
    let body = read(request.into_body(), room.limits.body_bytes_max, room.limits.body_patience).await?;
    serde_json::from_slice(&body).map_err(|why| {
        let hint = "see docs/cli.md for what the API takes";
        Refusal::new(StatusCode::BAD_REQUEST, format!("the body cannot be read: {why}"), hint)
    })
}

/// Cuts off an answer that does not come. Work already begun may go on.
async fn in_time<T>(
    room: &Room,
    answer: impl Future<Output = Result<T, crate::DeskError>>,
) -> Result<Json<T>, Refusal> {
    match tokio::time::timeout(room.limits.answer_patience, answer).await {
        Ok(answer) => Ok(Json(answer?)),
        Err(_) => Err(Refusal::new(StatusCode::GATEWAY_TIMEOUT, "no answer in time", "ask again")),
    }
}

#[derive(Serialize)]
struct Health {
    sync: &'static str,
    instance: String,
}

async fn healthz(State(room): Ask) -> Response {
    let Some(engine) = room.desk.engine() else { return Refusal::later().into_response() };
    match tokio::time::timeout(HEALTH_PATIENCE, engine.look(|_| ())).await {
        Ok(Ok(())) => {
            Json(Health { sync: "running", instance: room.access.instance.clone() }).into_response()
        }
        Ok(Err(_)) | Err(_) => Refusal::later().into_response(),
    }
}

async fn status(State(room): Ask) -> Answer<crate::StatusReport> {
    in_time(&room, room.desk.status()).await
}

async fn metrics(State(room): Ask) -> Result<Response, Refusal> {
    let Json(report) = in_time(&room, room.desk.status()).await?;
    match crate::metrics::text(&report.status) {
        Ok(text) => Ok(([(header::CONTENT_TYPE, crate::metrics::CONTENT_TYPE)], text).into_response()),
        Err(_) => Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "no text", "ask `/api/status`")),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ParkedQuery {
    record: Option<String>,
    lane: Option<String>,
    side: Option<String>,
    reason: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}

async fn parked(
    State(room): Ask,
    query: Result<Query<ParkedQuery>, QueryRejection>,
) -> Answer<crate::ParkedPage> {
    let ParkedQuery { record, lane, side, reason, after, limit } = asked(query)?;
    let filter = ParkedFilter { record, lane, side, reason };
    in_time(&room, room.desk.parked(&filter, after.as_deref(), limit.unwrap_or(PARKED_MAX))).await
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Replay,
    Discard,
    PushOurs,
    TakeTheirs,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReleaseBody {
    action: Action,
    /// An open filter is meant only if this says so.
    #[serde(default)]
    all: bool,
    #[serde(default)]
    filter: ParkedFilter,
}

async fn release(State(room): Ask, request: Request) -> Answer<crate::Released> {
    let ReleaseBody { action, all, filter } = told(&room, request).await?;
    if filter.is_open() && !all {
        let hint = "name a record, lane, side or reason, or say \"all\": true";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "nothing says what to release", hint));
    }
    let action = match action {
        Action::Replay => hms_sync_model::Released::Replay,
        Action::Discard => hms_sync_model::Released::Discard,
        Action::PushOurs => hms_sync_model::Released::PushOurs,
        Action::TakeTheirs => hms_sync_model::Released::TakeTheirs,
    };
    in_time(&room, room.desk.release(&filter, action)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HistoryQuery {
    name: String,
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExplainQuery {
    name: String,
    field: Option<String>,
    at: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AsOfQuery {
    name: String,
    at: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DiffQuery {
    name: String,
    from: String,
    to: String,
}

async fn record(
    State(room): Ask,
    query: Result<Query<Named>, QueryRejection>,
) -> Answer<hms_sync_engine::RecordReport> {
    let asked = asked(query)?;
    in_time(&room, room.desk.record(&asked.name)).await
}

async fn history(
    State(room): Ask,
    query: Result<Query<HistoryQuery>, QueryRejection>,
) -> Answer<crate::History> {
    let asked = asked(query)?;
    in_time(&room, room.desk.history(&asked.name, asked.after, asked.limit.unwrap_or(EVENTS_MAX))).await
}

async fn explain(
    State(room): Ask,
    query: Result<Query<ExplainQuery>, QueryRejection>,
) -> Answer<crate::Explanation> {
    let asked = asked(query)?;
    in_time(&room, room.desk.explain(&asked.name, asked.field.as_deref(), asked.at.as_deref())).await
}

async fn as_of(State(room): Ask, query: Result<Query<AsOfQuery>, QueryRejection>) -> Answer<crate::AsOf> {
    let asked = asked(query)?;
    in_time(&room, room.desk.as_of(&asked.name, &asked.at)).await
}

async fn diff(State(room): Ask, query: Result<Query<DiffQuery>, QueryRejection>) -> Answer<crate::Diff> {
    let asked = asked(query)?;
    in_time(&room, room.desk.diff(&asked.name, &asked.from, &asked.to)).await
}

async fn log_list(
    State(room): Ask,
    query: Result<Query<crate::LogQuery>, QueryRejection>,
) -> Answer<crate::LogPage> {
    let asked = asked(query)?;
    in_time(&room, room.desk.log_list(&asked)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VerifyQuery {
    heads: Option<String>,
}

/// Takes as long as it takes, one at a time.
async fn verify(
    State(room): Ask,
    query: Result<Query<VerifyQuery>, QueryRejection>,
) -> Answer<crate::Verified> {
    let heads = asked(query)?.heads.map_or(Ok(Vec::new()), |heads| crate::audit::read_heads(&heads))?;
    let Ok(_one) = room.verifying.try_lock() else {
        let hint = "wait until it is done";
        return Err(Refusal::new(StatusCode::CONFLICT, "the log is being verified already", hint));
    };
    Ok(Json(room.desk.verify_against(heads).await?))
}

async fn log_stats(State(room): Ask) -> Answer<crate::StatsReport> {
    in_time(&room, room.desk.log_stats()).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PollBody {
    side: String,
    collection: String,
    #[serde(default)]
    full: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordAndWhy {
    record: String,
    by: String,
    reason: String,
}

async fn erase(State(room): Ask, request: Request) -> Answer<crate::Erased> {
    let RecordAndWhy { record, by, reason } = told(&room, request).await?;
    in_time(&room, room.desk.erase(&record, &by, &reason)).await
}

async fn take_up(State(room): Ask, request: Request) -> Answer<crate::TakenUp> {
    let RecordAndWhy { record, by, reason } = told(&room, request).await?;
    in_time(&room, room.desk.take_up(&record, &by, &reason)).await
}

#[derive(Serialize)]
struct Asked {
    asked: bool,
}

async fn poll(State(room): Ask, request: Request) -> Answer<Asked> {
    let PollBody { side, collection, full } = told(&room, request).await?;
    let poll = room.desk.poll(&side, &collection, full);
    in_time(&room, async { poll.await.map(|()| Asked { asked: true }) }).await
}

#[cfg(test)]
mod hostile;
