//! Webhooks: the official vector, every way to get it wrong, and what they say.

use crate::sides::{collection, connector, id};
use bytes::Bytes;
use hms_sync_connector::{Connector, Content, Delivery, RawWebhook, WebhookError};
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
    RawWebhook {
        headers,
        body: Bytes::copy_from_slice(body.as_bytes()),
        received: Time(received * 1_000_000),
    }
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
    ] {
        assert_eq!(whole(open(|_| {}, &body).unwrap()), [Content::Whole(record.clone())], "{body}");
    }
    let selected = open(
        |hook| hook["record_selector"] = json!({ "field_path": "event.now" }),
        &json!({ "event": { "now": record } }),
    );
    assert_eq!(whole(selected.unwrap()).len(), 1);
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
    ] {
        let Err(WebhookError::Malformed { reason }) = open(|_| {}, &body) else { panic!("{body}") };
        assert!(reason.contains(said), "{reason} does not say {said}");
    }
    let none = connector(&json!({ "url": "http://127.0.0.1:1" }), &json!({}));
    assert_eq!(none.webhook(&collection(), &raw(&[], "", AT)), Err(WebhookError::NotConfigured));
}
