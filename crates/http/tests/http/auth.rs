//! Authenticators against a side and an authorisation server that count.

use crate::sides::{collection, connector, first, serve, try_connector};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine;
use hms_sync_connector::{Connector, ReadRequest, Scope};
use hms_sync_http::HttpConnector;
use serde_json::{Value as Json, json};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the servers remember.
#[derive(Default)]
struct Memory {
    /// Bodies of requests for tokens.
    asked: Vec<String>,
    /// URI, headers and body of each request for data.
    heard: Vec<(String, HeaderMap, Bytes)>,
    /// The access token that is taken now; empty for any.
    taken: String,
    /// The refresh token that is taken now.
    refresh: String,
    /// Whether refresh tokens are replaced.
    rotates: bool,
    expires_in: Option<u64>,
}

type Shared = Arc<Mutex<Memory>>;

async fn token(State(memory): State<Shared>, body: String) -> Response {
    tokio::time::sleep(Duration::from_millis(20)).await;
    let mut memory = memory.lock().unwrap();
    memory.asked.push(body.clone());
    let given: std::collections::HashMap<String, String> =
        url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let n = memory.asked.len();
    if given.get("grant_type").is_some_and(|grant| grant == "refresh_token")
        && given["refresh_token"] != memory.refresh
    {
        let body = json!({ "error": "invalid_grant", "was": given["refresh_token"] }).to_string();
        return (StatusCode::BAD_REQUEST, body).into_response();
    }
    memory.taken = format!("access-token-{n}");
    let mut answer = json!({ "access_token": memory.taken, "token_type": "bearer" });
    if let Some(seconds) = memory.expires_in {
        answer["expires_in"] = json!(seconds);
    }
    if memory.rotates {
        memory.refresh = format!("refresh-token-{n}");
        answer["refresh_token"] = json!(memory.refresh);
    }
    answer.to_string().into_response()
}

async fn login(State(memory): State<Shared>, body: String) -> Response {
    let mut memory = memory.lock().unwrap();
    memory.asked.push(body);
    memory.taken = format!("session-{}", memory.asked.len());
    json!({ "session": { "id": memory.taken } }).to_string().into_response()
}

async fn data(State(memory): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let mut memory = memory.lock().unwrap();
    let shown = parts.headers.get("authorization").map(|v| v.to_str().unwrap().to_owned());
    memory.heard.push((parts.uri.to_string(), parts.headers, body));
    let good = memory.taken.is_empty() || shown == Some(format!("Bearer {}", memory.taken));
    if good { "[{\"id\":1}]".into_response() } else { StatusCode::UNAUTHORIZED.into_response() }
}

/// A side at one origin and its authorisation server at another.
async fn servers() -> (Shared, String, String) {
    let memory = Shared::default();
    let tokens = Router::new().route("/token", post(token)).route("/login", post(login));
    let tokens = serve(tokens.with_state(Arc::clone(&memory))).await;
    let side = serve(Router::new().fallback(data).with_state(Arc::clone(&memory))).await;
    (memory, side, tokens)
}

fn side(url: &str, authenticator: Json) -> HttpConnector {
    connector(&json!({ "url": url, "authenticator": authenticator }), &json!({ "read": { "path": "/p" } }))
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("hms-sync-{name}-{}", std::process::id()));
    std::fs::remove_dir_all(&folder).ok();
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

async fn reads(connector: &HttpConnector) -> Result<usize, String> {
    first(connector).await.map(|page| page.records.len()).map_err(|why| why.to_string())
}

/// Some sides repeat what they were asked in the address of the next page.
#[tokio::test]
async fn no_key_is_kept_with_the_address_of_the_next_page() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (hear, own) = (Arc::clone(&heard), Arc::new(Mutex::new(String::new())));
    let at = Arc::clone(&own);
    let url = serve(Router::new().fallback(move |request: Request| async move {
        hear.lock().unwrap().push(request.uri().to_string());
        let next = match request.uri().query() {
            Some(query) if query.contains("at=2") => Json::Null,
            query => json!(format!("{}/p?{}&at=2", at.lock().unwrap(), query.unwrap_or_default())),
        };
        json!({ "items": [{ "id": hear.lock().unwrap().len() }], "next": next }).to_string()
    }))
    .await;
    own.lock().unwrap().clone_from(&url);
    let authenticator = json!({ "type": "api_key", "api_key": "k&y 1", "name": "key", "location": "query" });
    let read = json!({ "path": "/p", "request_parameters": { "sort": "no" },
        "paginator": { "type": "next_url", "next_url_path": "next" } });
    let side = connector(&json!({ "url": url, "authenticator": authenticator }), &json!({ "read": read }));
    let page = first(&side).await.unwrap();
    let token = page.next.unwrap();
    assert!(token.0.contains("at=2") && token.0.contains("sort=no"), "{token:?}");
    assert!(!token.0.contains("key=") && !token.0.contains("k%26y"), "{token:?}");
    let request = ReadRequest { collection: collection(), scope: Scope::Everything, after: Some(token) };
    assert_eq!(side.read(request).await.unwrap().next, None);
    assert_eq!(*heard.lock().unwrap(), ["/p?sort=no&key=k%26y+1", "/p?sort=no&at=2&key=k%26y+1"]);
}

#[tokio::test]
async fn keys_go_where_they_are_put() {
    let (memory, url, _) = servers().await;
    let airbyte = |place: &str| {
        json!({ "type": "ApiKeyAuthenticator", "api_token": "k&y 1",
            "inject_into": { "type": "RequestOption", "inject_into": place, "field_name": "X-Key" } })
    };
    let dlt = |location: &str| json!({ "type": "api_key", "api_key": "k&y 1", "name": "X-Key", "location": location });
    for authenticator in [
        airbyte("header"),
        airbyte("request_parameter"),
        airbyte("body_json"),
        airbyte("body_data"),
        dlt("query"),
        dlt("cookie"),
    ] {
        assert_eq!(reads(&side(&url, authenticator)).await, Ok(1));
    }
    let heard = memory.lock().unwrap().heard.clone();
    assert_eq!(heard[0].1["x-key"], "k&y 1");
    assert_eq!(heard[1].0, "/p?X-Key=k%26y+1");
    assert_eq!(heard[2].2, "{\"X-Key\":\"k&y 1\"}");
    assert_eq!(heard[3].2, "X-Key=k%26y+1");
    assert_eq!(heard[4].0, "/p?X-Key=k%26y+1");
    assert_eq!(heard[5].1["cookie"], "X-Key=k&y 1");
    for (authenticator, told) in [
        (json!({ "type": "api_key", "api_token": "k" }), "`authenticator.inject_into`: is needed"),
        (airbyte("nowhere"), "unknown variant `nowhere`"),
        (json!({ "type": "api_key", "api_key": "a\r\nb", "name": "X-Key" }), "a header cannot carry"),
        (json!({ "type": "api_key", "api_key": "a", "name": "Host" }), "set by the connector itself"),
        (
            json!({ "type": "api_key", "api_key": "a", "name": "a;b", "location": "cookie" }),
            "no name of a cookie",
        ),
    ] {
        let side = json!({ "url": url, "authenticator": authenticator });
        let why = try_connector(&side, &json!({ "read": { "path": "/p" } })).unwrap_err();
        assert!(why.contains(told), "{why}");
    }
}

#[tokio::test]
async fn a_key_in_the_address_is_in_no_message() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let authenticator =
        json!({ "type": "api_key", "api_key": "canary-123", "name": "key", "location": "query" });
    let connector = side(&format!("http://{closed}"), authenticator);
    let why = reads(&connector).await.unwrap_err();
    assert!(why.contains("cannot connect") && !why.contains("canary"), "{why}");
    assert!(!format!("{connector:?}").contains("canary"));
}

fn oauth(tokens: &str, more: Json) -> Json {
    let mut all = json!({ "type": "OAuthAuthenticator", "token_refresh_endpoint": format!("{tokens}/token"),
        "client_id": "hms", "client_secret": "cl1ent-secret" });
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    all
}

#[tokio::test]
async fn one_request_for_a_token_however_many_wait_for_it() {
    let (memory, url, tokens) = servers().await;
    let connector = Arc::new(side(&url, oauth(&tokens, json!({ "scopes": ["read", "write"] }))));
    let all: Vec<_> = (0..40)
        .map(|_| {
            let connector = Arc::clone(&connector);
            tokio::spawn(async move { reads(&connector).await })
        })
        .collect();
    for one in all {
        assert_eq!(one.await.unwrap(), Ok(1));
    }
    let asked = memory.lock().unwrap().asked.clone();
    assert_eq!(
        asked,
        ["grant_type=client_credentials&scope=read+write&client_id=hms&client_secret=cl1ent-secret"]
    );
    // Taken back: all find out at once, one asks.
    memory.lock().unwrap().taken = "another".into();
    let all: Vec<_> = (0..40)
        .map(|_| {
            let connector = Arc::clone(&connector);
            tokio::spawn(async move { reads(&connector).await })
        })
        .collect();
    for one in all {
        assert_eq!(one.await.unwrap(), Ok(1));
    }
    let memory = memory.lock().unwrap();
    assert_eq!(memory.asked.len(), 2);
    assert!(memory.heard.iter().all(|(_, _, body)| body.is_empty()), "no secret went to the side");
}

#[tokio::test]
async fn tokens_are_renewed_before_they_end() {
    let (memory, url, tokens) = servers().await;
    memory.lock().unwrap().expires_in = Some(1);
    let connector = side(&url, oauth(&tokens, json!({ "client_authentication": "basic" })));
    assert_eq!(reads(&connector).await, Ok(1));
    assert_eq!(reads(&connector).await, Ok(1));
    assert_eq!(memory.lock().unwrap().asked.len(), 1);
    tokio::time::sleep(Duration::from_millis(920)).await;
    assert_eq!(reads(&connector).await, Ok(1));
    let memory = memory.lock().unwrap();
    assert_eq!(memory.asked, ["grant_type=client_credentials"; 2]);
    assert!(memory.heard.len() == 3, "no request was refused in between");
}

#[tokio::test]
async fn a_refresh_token_that_is_replaced_is_kept() {
    let (memory, url, tokens) = servers().await;
    let folder = folder("kept");
    (memory.lock().unwrap().refresh, memory.lock().unwrap().rotates) = ("refresh-0".into(), true);
    let authenticator = oauth(&tokens, json!({ "refresh_token": "refresh-0" }));
    let open = || side(&url, authenticator.clone()).keeping_tokens_in(&folder);
    let connector = open();
    assert_eq!(reads(&connector).await, Ok(1));
    let file = folder.join("tokens/side.json");
    assert!(std::fs::read_to_string(&file).unwrap().contains("refresh-token-1"));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    // After a restart the kept one counts, not the one in the config.
    drop(connector);
    let connector = open();
    assert_eq!(reads(&connector).await, Ok(1));
    // Another process has replaced it meanwhile.
    assert_eq!(reads(&open()).await, Ok(1));
    assert_eq!(reads(&connector).await, Ok(1));
    assert_eq!(memory.lock().unwrap().asked.len(), 4);
    // Taken back altogether: a person has to act, and is told what to do, without the token.
    (memory.lock().unwrap().refresh, memory.lock().unwrap().taken) = ("none".into(), "none".into());
    let why = reads(&connector).await.unwrap_err();
    assert!(why.contains("somebody has to give us another `refresh_token`"), "{why}");
    assert!(why.contains("\"was\":\"(secret)\""), "{why}");
    // Another one in the config counts more than what is kept.
    memory.lock().unwrap().refresh = "fresh-one".into();
    let again = side(&url, oauth(&tokens, json!({ "refresh_token": "fresh-one" })));
    assert_eq!(reads(&again.keeping_tokens_in(&folder)).await, Ok(1));
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Where it cannot be kept it is not used: neither it nor what came with it.
#[tokio::test]
async fn a_refresh_token_is_durable_before_it_is_used() {
    let (memory, url, tokens) = servers().await;
    let folder = folder("durable");
    (memory.lock().unwrap().refresh, memory.lock().unwrap().rotates) = ("refresh-0".into(), true);
    let authenticator = oauth(&tokens, json!({ "refresh_token": "refresh-0" }));
    let why = reads(&side(&url, authenticator.clone())).await.unwrap_err();
    assert!(why.contains("no place to keep"), "{why}");
    assert_eq!(memory.lock().unwrap().asked.len(), 0, "nothing was asked for");
    let connector = side(&url, authenticator).keeping_tokens_in(&folder);
    // A folder is in the way of the new file.
    std::fs::create_dir_all(folder.join("tokens/side.new/x")).unwrap();
    let why = reads(&connector).await.unwrap_err();
    assert!(why.contains("the new refresh token cannot be kept in"), "{why}");
    assert_eq!(memory.lock().unwrap().heard.len(), 0, "nothing was sent with it");
    // Once it can be, it goes on with the one that was not lost.
    std::fs::remove_dir_all(folder.join("tokens/side.new")).unwrap();
    tokio::time::sleep(Duration::from_millis(1_050)).await;
    assert_eq!(reads(&connector).await, Ok(1));
    let memory = memory.lock().unwrap();
    assert!(memory.asked[1].contains("refresh-token-1"), "{:?}", memory.asked);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn sessions_begin_with_a_login_and_anew_when_they_end() {
    let (memory, url, tokens) = servers().await;
    let connector = side(
        &url,
        json!({
            "type": "SessionTokenAuthenticator",
            "login_requester": {
                "url": format!("{tokens}/login"), "request_body_json": { "user": "sync", "password": "pa55word" },
            },
            "session_token_path": ["session", "id"],
            "expiration_duration": "PT1H",
            "request_authentication": { "type": "Bearer" },
        }),
    );
    assert_eq!((reads(&connector).await, reads(&connector).await), (Ok(1), Ok(1)));
    memory.lock().unwrap().taken = "another".into();
    assert_eq!(reads(&connector).await, Ok(1));
    let memory = memory.lock().unwrap();
    assert_eq!(memory.asked, ["{\"password\":\"pa55word\",\"user\":\"sync\"}"; 2]);
    assert_eq!(memory.heard.len(), 4, "the refused one was sent once more");
    assert!(memory.heard.iter().all(|(_, _, body)| body.is_empty()));
}

#[tokio::test]
async fn our_own_tokens_are_signed() {
    let (memory, url, _) = servers().await;
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls");
    let ec = std::fs::read_to_string(data.join("server.key")).unwrap();
    for (algorithm, key) in [("HS256", "shared-secret"), ("ES256", ec.as_str())] {
        let connector = side(
            &url,
            json!({
                "type": "JwtAuthenticator", "algorithm": algorithm, "secret_key": key,
                "token_duration": 600, "header_prefix": "JWT",
                "jwt_headers": { "kid": "k1" }, "jwt_payload": { "iss": "hms", "aud": "clerk" },
            }),
        );
        assert_eq!(reads(&connector).await, Ok(1));
    }
    for (n, (_, headers, _)) in memory.lock().unwrap().heard.iter().enumerate() {
        let token = headers["authorization"].to_str().unwrap().strip_prefix("JWT ").unwrap();
        let parts: Vec<&str> = token.split('.').collect();
        let decode = |part: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap();
        let header: Json = serde_json::from_slice(&decode(parts[0])).unwrap();
        let claims: Json = serde_json::from_slice(&decode(parts[1])).unwrap();
        assert_eq!(header["kid"], "k1");
        assert_eq!((&claims["iss"], &claims["aud"]), (&json!("hms"), &json!("clerk")));
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 600);
        if n == 0 {
            let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::HS256);
            validation.set_audience(&["clerk"]);
            let key = jsonwebtoken::DecodingKey::from_secret(b"shared-secret");
            jsonwebtoken::decode::<Json>(token, &key, &validation).unwrap();
        }
    }
    let bad = json!({ "url": url, "authenticator": {
        "type": "jwt", "algorithm": "RS256", "secret_key": "no key at all" } });
    let why = try_connector(&bad, &json!({ "read": { "path": "/p" } })).unwrap_err();
    assert_eq!(why, "`authenticator.secret_key`: is no RSA key in PEM");
}

/// A token endpoint is dialled under the same guard as a side.
#[test]
fn endpoints_of_tokens_are_guarded() {
    for (endpoint, told) in [
        ("http://169.254.169.254/latest/api/token", "never dialled"),
        ("http://10.0.0.1/token", "allow_networks: [10.0.0.1]"),
        ("http://user:pw@idp.example/token", "must not carry a user"),
    ] {
        let side = json!({ "url": "http://localhost", "authenticator": {
            "type": "oauth", "token_refresh_endpoint": endpoint, "client_id": "a", "client_secret": "b" } });
        let why = try_connector(&side, &json!({ "read": { "path": "/p" } })).unwrap_err();
        assert!(why.contains(told), "{why}");
    }
}
