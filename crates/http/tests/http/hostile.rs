//! Webhooks whose bodies and questions are of any kind: taken in, or refused in words.

use crate::sides::{collection, connector};
use bytes::Bytes;
use hms_sync_connector::{Connector, RawWebhook, WebhookError};
use hms_sync_hostile::Reader;
use hms_sync_model::Time;
use serde_json::{Value as Json, json};

fn hook(webhook: &Json) -> hms_sync_http::HttpConnector {
    let permits = json!({ "primary_key": "id", "fetch": { "path": "/p/{{ id }}" }, "webhook": webhook });
    connector(&json!({ "url": "http://127.0.0.1:1" }), &permits)
}

fn told<T>(result: Result<T, WebhookError>) -> bool {
    if let Err(why) = &result {
        let words = why.to_string();
        assert!(words.len() < 2_000 && !words.chars().any(char::is_control), "{words:?}");
    }
    result.is_ok()
}

#[test]
fn hostile_webhook_bodies() {
    let plain = hook(&json!({ "path": "/h", "unsigned": true }));
    let listed = hook(&json!({
        "path": "/h", "unsigned": true, "batch": "value", "record_selector": { "field_path": "data.r" },
        "id": { "field": "event.id" }, "event_type": [{ "field": "event.type" }],
        "events": ["permit.*"], "deleted_when": ["permit.deleted"],
    }));
    Reader::new("webhook bodies")
        .sound([
            r#"{"data":{"id":"7","name":"a"},"type":"permit.updated"}"#,
            r#"[{"id":7},{"id":"8","n":1.5}]"#,
            r#"{"value":[{"event":{"id":"m1","type":"permit.deleted"},"data":{"r":[{"id":1},{"id":2}]}}]}"#,
        ])
        .words([
            "{",
            "}",
            "[",
            "]",
            "\"",
            ":",
            ",",
            "\"id\":",
            "\"data\":{",
            "\"value\":[",
            "\"event\":{",
            "\"r\":",
            "null",
            "\"type\":\"permit.",
            "deleted\"",
            "1e99",
            "\\u0000",
        ])
        .bytes(|body| {
            let raw = RawWebhook::new(http::HeaderMap::new(), Bytes::copy_from_slice(body), Time(0));
            let taken = [&plain, &listed].map(|hook| told(hook.webhook(&collection(), &raw)));
            taken.contains(&true)
        });
}

#[test]
fn hostile_questions_whether_we_listen() {
    let all = [
        json!({ "type": "slack" }),
        json!({ "type": "microsoft_graph" }),
        json!({ "type": "meta", "verify_token": "a-token-of-some-length" }),
    ]
    .map(|challenge| hook(&json!({ "path": "/h", "unsigned": true, "challenge": challenge })));
    Reader::new("challenges")
        .sound([
            "\n{\"type\":\"url_verification\",\"challenge\":\"3eZbrw1aB\"}",
            "validationToken=Validation%3A+Testing",
            "hub.mode=subscribe&hub.verify_token=a-token-of-some-length&hub.challenge=1158201444",
        ])
        .words([
            "&",
            "=",
            "%",
            "%25",
            "+",
            "hub.challenge=",
            "validationToken=",
            "url_verification",
            "\"",
            "\n",
            "{",
            "}",
        ])
        .texts(|text| {
            let (query, body) = text.split_once('\n').unwrap_or((text, ""));
            let mut raw =
                RawWebhook::new(http::HeaderMap::new(), Bytes::copy_from_slice(body.as_bytes()), Time(0));
            raw.query = Some(query.to_owned());
            let mut answered = false;
            for method in [http::Method::POST, http::Method::GET] {
                raw.method = method;
                let answers = all.iter().filter_map(|hook| hook.handshake(&collection(), &raw));
                answers.for_each(|answer| answered |= told(answer));
            }
            answered
        });
}
