//! Webhooks: the official vector, every way to get it wrong, and what they say.

use crate::sides::{collection, connector, id, try_connector};
use bytes::Bytes;
use hms_sync_connector::{Connector, Content, Delivery, RawWebhook, Registration, WebhookError};
use hms_sync_http::HttpConnector;
use hms_sync_model::Time;
use serde_json::{Value as Json, json};
use standardwebhooks::Webhook;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const MESSAGE: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const AT: i64 = 1_614_265_330;
const BODY: &str = "{\"test\": 2432232314}";
const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

fn hook(change: impl FnOnce(&mut Json)) -> HttpConnector {
    let mut permits = json!({
        "primary_key": "test",
        "fetch": { "path": "/p/{{ id }}" },
        "webhook": { "path": "/hooks/clerk", "secret": SECRET },
    });
    change(&mut permits);
    connector(&json!({ "url": "http://127.0.0.1:1" }), &permits)
}

fn raw(headers: &[(&'static str, &str)], body: &str, received: i64) -> RawWebhook {
    let headers =
        headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
    RawWebhook::new(headers, Bytes::copy_from_slice(body.as_bytes()), Time(received * 1_000_000))
}

fn official(signature: &str, body: &str, received: i64) -> RawWebhook {
    let at = AT.to_string();
    raw(
        &[("webhook-id", MESSAGE), ("webhook-timestamp", &at), ("webhook-signature", signature)],
        body,
        received,
    )
}

#[test]
fn the_official_vector() {
    let hook = hook(|_| {});
    for received in [AT, AT + 300, AT - 300] {
        let delivery = hook.webhook(&collection(), &official(SIGNATURE, BODY, received)).unwrap();
        assert_eq!(delivery.message.as_deref(), Some(MESSAGE));
        assert_eq!(delivery.hints, [id("2432232314")], "nothing but an id is a hint");
    }
    let several = format!("v1a,abc v1,AAAA {SIGNATURE}");
    hook.webhook(&collection(), &official(&several, BODY, AT)).unwrap();
}

#[test]
fn every_way_to_get_it_wrong() {
    let hook = hook(|_| {});
    let at = AT.to_string();
    let mut wrong = vec![
        official(SIGNATURE, BODY, AT + 301),
        official(SIGNATURE, BODY, AT - 301),
        official(SIGNATURE, "{\"test\": 2432232315}", AT),
        official("", BODY, AT),
        official("v1,", BODY, AT),
        official("v1", BODY, AT),
        official(&SIGNATURE[3..], BODY, AT),
        official(&SIGNATURE.replace("v1,", "v2,"), BODY, AT),
        official(&format!("{SIGNATURE}="), BODY, AT),
        raw(&[], BODY, AT),
        raw(&[("webhook-id", MESSAGE), ("webhook-signature", SIGNATURE)], BODY, AT),
        raw(&[("webhook-id", MESSAGE), ("webhook-timestamp", &at)], BODY, AT),
        raw(&[("webhook-timestamp", &at), ("webhook-signature", SIGNATURE)], BODY, AT),
        raw(
            &[("webhook-id", "msg_2"), ("webhook-timestamp", &at), ("webhook-signature", SIGNATURE)],
            BODY,
            AT,
        ),
        raw(
            &[("webhook-id", MESSAGE), ("webhook-timestamp", "soon"), ("webhook-signature", SIGNATURE)],
            BODY,
            AT,
        ),
    ];
    let mut twice = official(SIGNATURE, BODY, AT);
    twice.headers.append("webhook-id", "other".parse().unwrap());
    let mut extreme = official(SIGNATURE, BODY, AT);
    extreme.received = Time::MIN;
    wrong.extend([twice, extreme]);
    for raw in wrong {
        assert_eq!(hook.webhook(&collection(), &raw), Err(WebhookError::Unauthorised), "{raw:?}");
    }
}

/// No change of a single bit of body or signature is let in.
#[test]
fn no_mutation_is_let_in() {
    let hook = hook(|_| {});
    let mut rng = fastrand::Rng::with_seed(3);
    for _ in 0..10_000 {
        let mut raw = official(SIGNATURE, BODY, AT);
        if rng.bool() {
            let mut body = BODY.as_bytes().to_vec();
            body[rng.usize(..BODY.len())] ^= 1 << rng.u8(..8);
            raw.body = body.into();
        } else {
            let mut signature = SIGNATURE.as_bytes().to_vec();
            signature[rng.usize(..SIGNATURE.len())] ^= 1 << rng.u8(..7);
            let Ok(signature) = http::HeaderValue::from_bytes(&signature) else { continue };
            raw.headers.insert("webhook-signature", signature);
        }
        assert_eq!(hook.webhook(&collection(), &raw), Err(WebhookError::Unauthorised), "{raw:?}");
    }
}

#[test]
fn secrets_can_be_changed_without_a_gap() {
    let other = "whsec_ZGVtby1zZWNyZXQtZGVtby1zZWNyZXQ=";
    let both = hook(|permits| permits["webhook"]["secret"] = json!(format!("{other} {SECRET}")));
    let new = Webhook::new(other).unwrap().sign(MESSAGE, AT, BODY.as_bytes()).unwrap();
    for signature in [SIGNATURE, new.as_str()] {
        both.webhook(&collection(), &official(signature, BODY, AT)).unwrap();
    }
    assert!(!format!("{both:?}").contains("MfKQ9r8G"));
}

fn open(change: impl FnOnce(&mut Json), body: &Json) -> Result<Delivery, WebhookError> {
    let hook = hook(|permits| {
        permits["primary_key"] = json!("id");
        permits["webhook"] = json!({ "path": "/h", "unsigned": true });
        change(&mut permits["webhook"]);
    });
    hook.webhook(&collection(), &raw(&[], &body.to_string(), AT))
}

#[test]
fn what_webhooks_say() {
    let record = json!({ "id": 7, "a": 1 });
    let whole =
        |delivery: Delivery| delivery.records.into_iter().map(|seen| seen.content).collect::<Vec<_>>();
    for body in [
        record.clone(),
        json!([record]),
        json!({ "type": "p.updated", "data": record }),
        json!({ "data": [record] }),
        // The event has an id of its own, and is no record.
        json!({ "id": 2, "type": "p.updated", "data": record }),
        json!({ "id": "evt_9", "type": "p.updated", "data": [record] }),
    ] {
        assert_eq!(whole(open(|_| {}, &body).unwrap()), [Content::Whole(record.clone())], "{body}");
    }
    let selected = open(
        |hook| hook["record_selector"] = json!({ "field_path": "event.now" }),
        &json!({ "event": { "now": record } }),
    );
    assert_eq!(whole(selected.unwrap()).len(), 1);
    // A record may have such members itself.
    for own in [json!({ "id": 7, "data": { "id": 8 } }), json!({ "id": 7, "type": "p", "data": "x" })] {
        assert_eq!(whole(open(|_| {}, &own).unwrap()), [Content::Whole(own.clone())]);
    }
    let own = json!({ "id": 7, "type": "p", "data": { "id": 8 } });
    let itself = open(|hook| hook["record_selector"] = json!({ "field_path": [] }), &own).unwrap();
    assert_eq!(whole(itself), [Content::Whole(own)]);
    let partial = open(|hook| hook["payload"] = json!("partial"), &record).unwrap();
    assert_eq!(whole(partial), [Content::Partial(record.clone())]);
    for (payload, body) in [
        ("hint", record.clone()),
        ("hint", json!([7])),
        ("whole", json!({ "id": 7 })),
        ("whole", json!({ "type": "p.deleted", "data": record })),
    ] {
        let delivery = open(|hook| hook["payload"] = json!(payload), &body).unwrap();
        assert_eq!((delivery.records.len(), delivery.hints), (0, vec![id("7")]), "{body}");
    }
}

#[test]
fn what_cannot_be_understood_is_said() {
    for (body, said) in [
        (json!("text"), "the record is no object"),
        (json!([{ "id": 1, "a": 1 }, { "a": 1 }]), "record 2 has no id at `id`"),
        (json!({ "a": 1 }), "the record has no id"),
        (
            json!({ "id": "evt_1", "type": "p.x", "data": { "object": { "id": 7 } } }),
            "say by `record_selector`",
        ),
    ] {
        let Err(WebhookError::Malformed { reason }) = open(|_| {}, &body) else { panic!("{body}") };
        assert!(reason.contains(said), "{reason} does not say {said}");
    }
    let none = connector(&json!({ "url": "http://127.0.0.1:1" }), &json!({}));
    assert_eq!(none.webhook(&collection(), &raw(&[], "", AT)), Err(WebhookError::NotConfigured));
}

/// One message, or what each of a list says.
fn events(hook: &Json, headers: &[(&'static str, &str)], body: &Json) -> Result<Delivery, String> {
    let permits = json!({ "webhook": hook });
    let hook = connector(&json!({ "url": "http://127.0.0.1:1" }), &permits);
    hook.webhook(&collection(), &raw(headers, &body.to_string(), AT)).map_err(|why| why.to_string())
}

#[test]
fn what_is_not_asked_for_is_passed_over_and_a_delete_is_believed_where_nothing_can_be_read() {
    let hook = json!({
        "path": "/h", "unsigned": true, "id": { "header": "X-Delivery" },
        "event_type": [{ "header": "X-Event" }, { "field": "action" }],
        "events": ["permit.*"], "deleted_when": ["permit.removed"],
        "record_selector": { "field_path": "permit" },
    });
    let send = |event: &str, action: &str| {
        let body = json!({ "action": action, "permit": { "id": 7, "status": "open" } });
        events(&hook, &[("x-event", event), ("x-delivery", "d-1")], &body)
    };
    let seen = send("permit", "edited").unwrap();
    assert_eq!(seen.message.as_deref(), Some("d-1"));
    assert!(matches!(&seen.records[..], [seen] if matches!(seen.content, Content::Whole(_))));
    let gone = send("permit", "removed").unwrap();
    assert!(matches!(&gone.records[..], [seen] if seen.content == Content::Gone && seen.id == id("7")));
    let nothing = send("applicant", "edited").unwrap();
    assert_eq!((nothing.message, nothing.records.len(), nothing.hints.len()), (None, 0, 0));
    // Its own word for it: "deleted" says nothing else here.
    assert_eq!(send("permit", "undeleted").unwrap().records.len(), 1);
    let silent = events(&hook, &[("x-delivery", "d-1")], &json!({ "permit": { "id": 7 } }));
    assert!(silent.unwrap_err().contains("does not say what happened at header `x-event` or `action`"));
    let no_id = events(&hook, &[("x-event", "permit")], &json!({ "permit": { "id": 7 } }));
    assert!(no_id.unwrap_err().contains("no message id at header `x-delivery`"));
}

#[test]
fn a_delete_is_looked_for_where_it_can_be() {
    let hook = hook(|permits| {
        permits["primary_key"] = json!("id");
        permits["webhook"] = json!({ "path": "/h", "unsigned": true, "deleted_when": ["removed"] });
    });
    let body = json!({ "type": "removed", "data": { "id": 7, "status": "open" } }).to_string();
    let delivery = hook.webhook(&collection(), &raw(&[], &body, AT)).unwrap();
    assert_eq!((delivery.records.len(), delivery.hints), (0, vec![id("7")]));
}

#[test]
fn a_list_of_messages() {
    let hook = json!({
        "path": "/h", "unsigned": true, "batch": "events", "id": { "field": "event" },
        "event_type": { "field": "kind" }, "events": ["changed"], "record_selector": { "field_path": "now" },
    });
    let event =
        |n: u64, kind: &str| json!({ "event": n, "kind": kind, "now": { "id": n, "status": "open" } });
    let body = json!({ "events": [event(1, "changed"), event(2, "viewed"), event(3, "changed")] });
    let delivery = events(&hook, &[], &body).unwrap();
    let ids: Vec<_> = delivery.records.iter().map(|seen| seen.id.as_str().to_owned()).collect();
    assert_eq!(ids, ["1", "3"]);
    let message = delivery.message.unwrap();
    assert!(message.starts_with("batch:"), "{message}");
    assert_eq!(events(&hook, &[], &body).unwrap().message, Some(message.clone()), "sent again");
    let other = json!({ "events": [event(1, "changed"), event(4, "changed")] });
    assert_ne!(events(&hook, &[], &other).unwrap().message, Some(message));
    let broken = json!({ "events": [event(1, "changed"), { "event": 2, "kind": "changed", "now": {} }] });
    assert!(events(&hook, &[], &broken).unwrap_err().contains("record 2 has no id"));
    assert!(events(&hook, &[], &json!({ "events": {} })).unwrap_err().contains("no list of messages"));
    let long = json!({ "events": [{ "event": "x".repeat(257), "kind": "changed", "now": { "id": 1 } }] });
    assert!(events(&hook, &[], &long).unwrap_err().contains("longer than 256 bytes"));
}

/// What is asked, how, and what is answered.
fn asked(hook: &Json, method: &str, query: Option<&str>, body: &str) -> Option<Result<String, String>> {
    let hook = connector(&json!({ "url": "http://127.0.0.1:1" }), &json!({ "webhook": hook }));
    let mut raw = raw(&[], body, AT);
    raw.method = method.parse().unwrap();
    raw.query = query.map(str::to_owned);
    hook.handshake(&collection(), &raw).map(|answer| answer.map_err(|why| why.to_string()))
}

#[test]
fn questions_whether_we_listen() {
    let open = |challenge: Json| json!({ "path": "/h", "unsigned": true, "challenge": challenge });
    let slack = open(json!({ "type": "slack" }));
    let question = json!({ "type": "url_verification", "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P" });
    let said = asked(&slack, "POST", None, &question.to_string()).unwrap();
    assert_eq!(said.unwrap(), "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P");
    assert_eq!(asked(&slack, "POST", None, r#"{"type":"event_callback","url_verification":1}"#), None);
    assert!(asked(&slack, "POST", None, r#"{"type":"url_verification"}"#).unwrap().is_err());
    let mut signed = slack.clone();
    signed["unsigned"] = json!(false);
    signed["secret"] = json!("8f742231b10e8888abcd99yyyzzz85a5");
    signed["signature"] = json!({ "type": "slack" });
    assert!(asked(&signed, "POST", None, &question.to_string()).unwrap().is_err(), "it must be signed");

    let meta = open(json!({ "type": "meta", "verify_token": "ours" }));
    let query = |token: &str| format!("hub.mode=subscribe&hub.challenge=11%2058&hub.verify_token={token}");
    assert_eq!(asked(&meta, "GET", Some(&query("ours")), ""), Some(Ok("11 58".to_owned())));
    assert!(asked(&meta, "GET", Some(&query("theirs")), "").unwrap().is_err());
    assert!(asked(&meta, "GET", Some("hub.mode=subscribe"), "").unwrap().is_err());
    assert_eq!(asked(&meta, "GET", None, ""), None);
    assert_eq!(asked(&meta, "POST", Some(&query("ours")), ""), None);

    let graph = open(json!({ "type": "microsoft_graph" }));
    let said = asked(&graph, "POST", Some("validationToken=Validation%3A+Testing"), "");
    assert_eq!(said, Some(Ok("Validation: Testing".to_owned())));
    assert_eq!(asked(&graph, "POST", None, "{}"), None);
    let long = format!("validationToken={}", "x".repeat(3_000));
    assert!(asked(&graph, "POST", Some(&long), "").unwrap().is_err());
}

#[test]
fn a_hook_that_is_set_up_wrong_is_said() {
    for (hook, said) in [
        (json!({ "unsigned": true, "challenge": { "type": "meta" } }), "challenge.verify_token"),
        (
            json!({ "unsigned": true, "trusted_proxies": ["10.0.0.0/8"] }),
            "of no use without `allow_networks`",
        ),
        (json!({ "allow_networks": ["10.0.0.0/8"] }), "secret` is needed"),
        (json!({ "unsigned": true, "allow_networks": ["10.0.0.1/8"] }), "begins at 10.0.0.0"),
        (json!({ "unsigned": true, "id": { "header": "a b" } }), "no name of a header"),
        (json!({ "unsigned": true, "event_type": [] }), "names no place"),
        (json!({ "unsigned": true, "event_type": "type" }), "a place, as"),
        (json!({ "secret": "x", "signature": { "type": "rot13" } }), "unknown variant `rot13`"),
    ] {
        let mut whole = json!({ "path": "/h" });
        whole.as_object_mut().unwrap().extend(hook.as_object().unwrap().clone());
        let error = try_connector(&json!({ "url": "http://127.0.0.1:1" }), &json!({ "webhook": whole }));
        let error = error.unwrap_err().replace("webhook.secret`: is", "webhook.secret` is");
        assert!(error.contains(said), "{error} does not say {said}");
    }
}

/// A side that is asked for webhooks: what it was asked, and what it answers.
async fn asked_side(
    answer: Json,
    status: u16,
) -> (String, std::sync::Arc<std::sync::Mutex<Vec<(String, Json)>>>) {
    let asked = std::sync::Arc::<std::sync::Mutex<Vec<(String, Json)>>>::default();
    let seen = std::sync::Arc::clone(&asked);
    let handler = move |method: axum::http::Method, uri: axum::http::Uri, body: Bytes| async move {
        let body = serde_json::from_slice(&body).unwrap_or_default();
        seen.lock().unwrap().push((format!("{method} {uri}"), body));
        let gone = method == "PATCH" && status != 200;
        let status = if gone { status } else { 200 };
        (axum::http::StatusCode::from_u16(status).unwrap(), axum::Json(answer))
    };
    let url = crate::sides::serve(axum::Router::new().fallback(handler)).await;
    (url, asked)
}

fn subscribing(url: &str) -> HttpConnector {
    let subscribe = json!({
        "callback_url": "https://sync.example/hooks/clerk",
        "create": { "method": "POST", "path": "/subscriptions", "json": {
            "to": "{{ callback_url }}", "key": "{{ secret }}", "until": ["{{ ends_at }}"], "all": true,
        } },
        "renew": { "method": "PATCH", "path": "/subscriptions/{{ id }}", "json": { "until": "{{ ends_at }}" } },
        "expires": "ends", "lifetime": "2h", "renew_before": "30m",
    });
    let permits = json!({ "webhook": { "path": "/h", "secret": SECRET, "subscribe": subscribe } });
    connector(&json!({ "url": url }), &permits)
}

#[tokio::test]
async fn a_side_is_asked_for_its_webhooks_and_again_before_it_stops() {
    let now = Time(AT * 1_000_000);
    let (url, asked) = asked_side(json!({ "id": 7, "ends": "2021-02-25T16:02:10Z" }), 200).await;
    let side = subscribing(&url);
    assert!(side.registers(&collection()) && !hook(|_| {}).registers(&collection()));
    let made = side.register(collection(), None, now).await.unwrap();
    assert_eq!((made.id.as_str(), made.renew_at), ("7", Some(now.plus(std::time::Duration::from_mins(30)))));
    assert!(side.is_registered(&collection(), &made));
    let renewed = side.register(collection(), Some(made.clone()), now).await.unwrap();
    assert_eq!(renewed, made);
    // Of another address: asked for anew.
    let elsewhere = Registration { callback_url: "https://old.example/".to_owned(), ..made };
    assert!(!side.is_registered(&collection(), &elsewhere));
    side.register(collection(), Some(elsewhere), now).await.unwrap();
    let asked = asked.lock().unwrap();
    let lines: Vec<&str> = asked.iter().map(|(line, _)| line.as_str()).collect();
    assert_eq!(lines, ["POST /subscriptions", "PATCH /subscriptions/7", "POST /subscriptions"]);
    let until = "2021-02-25T17:02:10.000Z";
    let body =
        json!({ "to": "https://sync.example/hooks/clerk", "key": SECRET, "until": [until], "all": true });
    assert_eq!(asked[0].1, body);
    assert_eq!(asked[1].1, json!({ "until": until }));
    assert!(!format!("{side:?}").contains("MfKQ9r8G"));
}

#[tokio::test]
async fn what_a_side_does_not_know_any_more_is_asked_for_anew() {
    let now = Time(AT * 1_000_000);
    let (url, asked) = asked_side(json!({ "id": "s-2" }), 404).await;
    let side = subscribing(&url);
    let callback_url = "https://sync.example/hooks/clerk".to_owned();
    let known = Registration { id: "s-1".to_owned(), callback_url, renew_at: None };
    let made = side.register(collection(), Some(known.clone()), now).await.unwrap();
    // It does not say when it ends: what it was asked for holds.
    assert_eq!(
        (made.id.as_str(), made.renew_at),
        ("s-2", Some(now.plus(std::time::Duration::from_mins(90))))
    );
    assert_eq!(asked.lock().unwrap().len(), 2);
    let (url, _) = asked_side(json!({}), 503).await;
    let why = subscribing(&url).register(collection(), Some(known), now).await.unwrap_err();
    assert!(why.is_retryable() && why.to_string().contains("503"), "{why}");
    let why = subscribing(&url).register(collection(), None, now).await.unwrap_err();
    assert!(why.to_string().contains("no id at `id`"), "{why}");
}

#[test]
fn a_webhook_may_nest_so_deep_and_no_deeper() {
    let hook = hook(|permits| permits["webhook"] = json!({ "path": "/hooks/clerk", "unsigned": true }));
    // The record is a level, and the list around it.
    let body =
        |depth: usize| format!("[{{\"test\":1,\"a\":{}{}}}]", "[".repeat(depth - 2), "]".repeat(depth - 2));
    assert_eq!(hook.webhook(&collection(), &raw(&[], &body(64), AT)).unwrap().records.len(), 1);
    let why = hook.webhook(&collection(), &raw(&[], &body(65), AT)).unwrap_err();
    let WebhookError::Malformed { reason } = why else { panic!("{why:?}") };
    assert!(reason.starts_with("the webhook nests deeper than 64 levels at byte 77: "), "{reason}");
}
