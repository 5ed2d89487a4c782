//! A side that tries to send us elsewhere: nobody goes there, and no secret does.

use crate::sides::{collection, connector, first, id, key, serve};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use hms_sync_connector::{Connector, LookupRequest, RawRequest, Shaped, Target, WriteRequest};
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpListener;

/// A listener that must never be reached; answers where it is and who came.
async fn elsewhere() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (at, came) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&came);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    (at.to_string(), came)
}

fn permits() -> Json {
    json!({
        "read": { "path": "/p" },
        "fetch": { "path": "/p/{{ id }}" },
        "lookup": { "path": "/p", "request_parameters": { "a": "{{ identity.a }}" } },
        "create": { "method": "POST", "path": "/p" },
        "update": { "method": "PATCH", "path": "/p/{{ id }}" },
        "delete": { "method": "DELETE", "path": "/p/{{ id }}" },
    })
}

#[tokio::test]
async fn no_redirect_is_followed_by_any_request() {
    let (at, came) = elsewhere().await;
    let authenticator = json!({ "type": "bearer", "api_token": "canary-1234" });
    let mut asked = 0;
    for status in [301_u16, 302, 303, 307, 308] {
        for to in [
            format!("http://{at}/"),
            format!("//{at}/x"),
            format!("http://user:pass@{at}/"),
            format!("http://127.0.0.1.:{}/", at.rsplit(':').next().unwrap()),
            format!("http://2130706433:{}/", at.rsplit(':').next().unwrap()),
        ] {
            let answer = (StatusCode::from_u16(status).unwrap(), [("location", to.clone())], "");
            let url = serve(Router::new().fallback(move || async move { answer.clone() })).await;
            let side = connector(&json!({ "url": url, "authenticator": authenticator }), &permits());
            assert!(first(&side).await.unwrap_err().to_string().contains("redirects are not followed"));
            side.check(&collection()).await.unwrap_err();
            side.fetch(collection(), id("1")).await.unwrap_err();
            let identity = json!({ "a": 1 });
            side.lookup(LookupRequest { collection: collection(), identity }).await.unwrap_err();
            for target in [Target::Create, Target::Update(id("1"), None), Target::Delete(id("1"), None)] {
                let fields = Shaped::from(json!({ "a": 1 }));
                let whole = fields.clone();
                let request = WriteRequest {
                    collection: collection(),
                    target,
                    changed: fields,
                    whole,
                    former: None,
                    key: key("k"),
                };
                assert!(matches!(side.write(request).await, hms_sync_model::Outcome::Rejected { .. }));
            }
            let raw =
                RawRequest { method: "POST".into(), path: "/p".into(), body: "{}".into(), key: key("k") };
            assert!(matches!(side.send(raw).await, hms_sync_model::Outcome::Rejected { .. }));
            asked += 8;
        }
    }
    assert_eq!((asked, came.load(Ordering::SeqCst)), (200, 0));
}

/// What asks for tokens, logs in or asks for webhooks is no other client: it follows nothing,
/// and what it shows goes nowhere else.
#[tokio::test]
async fn neither_tokens_nor_logins_nor_registrations_follow_redirects() {
    let (at, came) = elsewhere().await;
    let asked = Arc::new(AtomicUsize::new(0));
    for status in [301_u16, 302, 303, 307, 308] {
        let answer = (StatusCode::from_u16(status).unwrap(), [("location", format!("http://{at}/"))], "");
        let count = Arc::clone(&asked);
        let url = serve(Router::new().fallback(move || async move {
            count.fetch_add(1, Ordering::SeqCst);
            answer.clone()
        }))
        .await;
        let oauth = json!({ "type": "oauth", "token_refresh_endpoint": format!("{url}/token"),
            "client_id": "hms", "client_secret": "canary-client-secret" });
        let session = json!({ "type": "session_token", "session_token_path": "token",
            "login_requester": { "url": format!("{url}/login"), "request_body": { "password": "canary" } } });
        for authenticator in [oauth, session] {
            let side = connector(&json!({ "url": url, "authenticator": authenticator }), &permits());
            let why = first(&side).await.unwrap_err().to_string();
            assert!(why.contains(&status.to_string()) && !why.contains("canary"), "{why}");
        }
        let mut hooked = permits();
        hooked["webhook"] = json!({ "path": "/h", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "subscribe": { "callback_url": "https://sync.example/h",
                "create": { "method": "POST", "path": "/subscriptions", "json": { "key": "{{ secret }}" } } } });
        let side = connector(&json!({ "url": url }), &hooked);
        let why = side.register(collection(), None, hms_sync_model::Time(0)).await.unwrap_err().to_string();
        assert!(why.contains(&status.to_string()) && !why.contains("MfKQ"), "{why}");
    }
    assert_eq!((asked.load(Ordering::SeqCst), came.load(Ordering::SeqCst)), (15, 0));
}

/// Neither ids nor handlers' paths lead to another host.
#[tokio::test]
async fn what_comes_from_data_stays_below_the_url() {
    async fn note(State(hosts): State<Arc<AtomicUsize>>, headers: HeaderMap) -> impl IntoResponse {
        hosts.fetch_add(1, Ordering::SeqCst);
        assert_eq!(headers["authorization"], "Bearer canary-1234");
        StatusCode::NOT_FOUND
    }
    let (at, came) = elsewhere().await;
    let heard = Arc::new(AtomicUsize::new(0));
    let url =
        serve(Router::new().route("/api/{*rest}", axum::routing::any(note)).with_state(Arc::clone(&heard)));
    let side = json!({
        "url": format!("{}/api", url.await),
        "authenticator": { "type": "bearer", "api_token": "canary-1234" },
    });
    let side = connector(&side, &permits());
    for path in [
        format!("http://{at}/"),
        format!("//{at}/"),
        format!("\\\\{at}\\"),
        format!("@{at}/"),
        format!(":80@{at}/"),
        format!("/../../{at}"),
        format!("/%2e%2e/{at}"),
        format!("/.%2E/@{at}"),
        format!("/\t/{at}/"),
        format!("?x=http://{at}/"),
    ] {
        let _page = side.fetch(collection(), id(&path)).await;
        let raw =
            RawRequest { method: "POST".into(), path: path.clone(), body: String::new(), key: key("k") };
        let outcome = side.send(raw).await;
        assert!(matches!(outcome, hms_sync_model::Outcome::Rejected { .. }), "{path}: {outcome:?}");
    }
    assert_eq!(came.load(Ordering::SeqCst), 0);
    assert!(heard.load(Ordering::SeqCst) >= 8, "the ids were asked for where they belong");
}
