#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]
use super::{Key, Kind, Verifier};
use crate::spec::{Algorithm, WebhookSpec};
use bytes::Bytes;
use hms_sync_connector::RawWebhook;
use hms_sync_hostile::Reader;
use hms_sync_model::Time;
use serde_json::{Value as Json, json};

fn verifier(signature: Json, secret: Json) -> Result<Verifier, String> {
    let mut spec = json!({ "path": "/h", "secret": secret });
    if !signature.is_null() {
        spec["signature"] = signature;
    }
    let spec: WebhookSpec = serde_json::from_value(spec).unwrap();
    Verifier::new("webhook", &spec).map_err(|why| why.to_string())
}

fn raw(headers: &[(&str, &str)], body: &str, received: i64) -> RawWebhook {
    let headers = headers
        .iter()
        .map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap()))
        .collect();
    RawWebhook::new(headers, Bytes::copy_from_slice(body.as_bytes()), Time(received * 1_000_000))
}

/// From GitHub's documentation, "Validating webhook deliveries".
fn github() -> (Verifier, RawWebhook) {
    let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let raw = raw(&[("X-Hub-Signature-256", signature)], "Hello, World!", 0);
    (verifier(json!({ "type": "github" }), json!("It's a Secret to Everybody")).unwrap(), raw)
}

const STRIPE_AT: i64 = 1_533_204_620;
const STRIPE_BODY: &str = r#"{
  "id": "evt_123",
  "object": "event",
  "account": "acct_123",
  "api_version": "2017-05-25",
  "created": 1533204620,
  "data": {
    "object": {
      "id": "cus_123",
      "object": "customer",
      "created": 123456789,
      "email": "test@stripe.com",
      "livemode": false,
      "metadata": {}
    }
  },
  "livemode": false,
  "pending_webhooks": 1,
  "request": {
    "id": "req_123",
    "idempotency_key": "idempotency-key-123"
  },
  "type": "customer.created"
}
"#;

/// The vector of Stripe's own libraries; their secret is shorter than we allow one to be.
fn stripe() -> (Verifier, RawWebhook) {
    let header = "t=1533204620,v1=2220f87ef101a04665f11cdf770523143f875572008577fa0f20882ddb9cc3c7,\
                  v0=63f3a72374a733066c4be69ed7f8e5ac85c22c9f0a6a612ab9a025a9e4ee7eef";
    let keys = vec![Key::new(Algorithm::Sha256, b"webhook_secret").unwrap()];
    let verifier = Verifier { kind: Kind::Stripe(keys), tolerance: 300 };
    (verifier, raw(&[("Stripe-Signature", header)], STRIPE_BODY, STRIPE_AT))
}

const SLACK_AT: i64 = 1_531_420_618;

/// From Slack's documentation, "Verifying requests from Slack".
fn slack() -> (Verifier, RawWebhook) {
    let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V\
                &channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=\
                &response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554\
                %2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let headers = [
        ("X-Slack-Request-Timestamp", "1531420618"),
        ("X-Slack-Signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"),
    ];
    let verifier = verifier(json!({ "type": "slack" }), json!("8f742231b10e8888abcd99yyyzzz85a5")).unwrap();
    (verifier, raw(&headers, body, SLACK_AT))
}

const STANDARD_AT: i64 = 1_614_265_330;

/// Signed by OpenSSL with the first key of RFC 8032.
fn public_key() -> (Verifier, RawWebhook) {
    let headers = [
        ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("webhook-timestamp", "1614265330"),
        (
            "webhook-signature",
            "v1a,fldxM4gAKugP6nnt1hdz3sgGfZ6d99nzrMFnZOELIxbzEHoVmAb2ADpkJK7zgPePmPsle0zV9jSeGlHFG2NVAw==",
        ),
    ];
    let key = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    let verifier = verifier(json!({ "type": "standard_webhooks" }), json!(key)).unwrap();
    (verifier, raw(&headers, "{\"test\": 2432232314}", STANDARD_AT))
}

/// The official vector of Standard Webhooks.
fn standard() -> (Verifier, RawWebhook) {
    let headers = [
        ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("webhook-timestamp", "1614265330"),
        ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    ];
    let verifier = verifier(Json::Null, json!("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
    (verifier.unwrap(), raw(&headers, "{\"test\": 2432232314}", STANDARD_AT))
}

fn shopify() -> (Verifier, RawWebhook) {
    // echo -n '{"id":7}' | openssl sha512 -hmac 'a-secret-of-24-characters' -binary | base64
    let spec = json!({
        "type": "hmac", "header": "X-Signed", "algorithm": "sha512", "encoding": "base64", "prefix": "h=",
    });
    let raw = raw(&[("X-Signed", &format!("h={SHA512}"))], "{\"id\":7}", 0);
    (verifier(spec, json!(["another-secret-of-some-length", "a-secret-of-24-characters"])).unwrap(), raw)
}

const SHA512: &str =
    "br7ZUjuUnL309rIS4Z+qlQ7Pnt7mL/9W8GHuks2P3zFigr+Fe5TNg2eDyXpO0rSL72Ph29woQ+xb0ZqGpRxz9Q==";

#[test]
fn published_vectors() {
    for (verifier, raw) in [github(), stripe(), slack(), public_key(), standard(), shopify()] {
        assert!(verifier.is_genuine(&raw), "{raw:?}");
    }
}

#[test]
fn a_signed_time_is_believed_within_the_tolerance_either_way() {
    for (at, (verifier, raw)) in
        [(STRIPE_AT, stripe()), (SLACK_AT, slack()), (STANDARD_AT, public_key()), (STANDARD_AT, standard())]
    {
        for (off, genuine) in [(-301, false), (-300, true), (0, true), (300, true), (301, false)] {
            let mut raw = raw.clone();
            raw.received = Time((at + off) * 1_000_000);
            assert_eq!(verifier.is_genuine(&raw), genuine, "{off} {raw:?}");
        }
    }
    let (_, mut late) = standard();
    late.received = Time((STANDARD_AT + 3_000) * 1_000_000);
    let patient = verifier(
        json!({ "type": "standard_webhooks", "tolerance": "1h" }),
        json!("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
    );
    assert!(patient.unwrap().is_genuine(&late));
}

/// A hundred thousand forged ones: a bit of the body or of a header is turned, a header is
/// missing, there twice, cut off, or the key is another one.
#[test]
fn nothing_forged_is_let_in() {
    let mut rng = fastrand::Rng::with_seed(7);
    let (verifier, mut newest) = stripe();
    // The older version beside it may say what it likes.
    let header = newest.headers["stripe-signature"].to_str().unwrap().split(",v0").next().unwrap().to_owned();
    newest.headers.insert("stripe-signature", header.parse().unwrap());
    for (rounds, (verifier, genuine)) in [
        (22_000, github()),
        (22_000, (verifier, newest)),
        (22_000, slack()),
        (22_000, standard()),
        (11_500, shopify()),
        (500, public_key()),
    ] {
        let names: Vec<_> = genuine.headers.keys().cloned().collect();
        for _ in 0..rounds {
            let mut raw = genuine.clone();
            let name = &names[rng.usize(..names.len())];
            let value = raw.headers[name].as_bytes().to_vec();
            match rng.u8(..8) {
                0 => drop(raw.headers.remove(name)),
                1 => drop(raw.headers.append(name, raw.headers[name].clone())),
                2 => {
                    let short = value[..rng.usize(..value.len())].to_vec();
                    raw.headers.insert(name, short.try_into().unwrap());
                }
                3 | 4 => {
                    let mut body = raw.body.to_vec();
                    let at = rng.usize(..body.len());
                    body[at] ^= 1 << rng.u8(..8);
                    raw.body = body.into();
                }
                _ => {
                    let mut value = value;
                    let at = rng.usize(..value.len());
                    value[at] ^= 1 << rng.u8(..7);
                    let Ok(value) = http::HeaderValue::from_bytes(&value) else { continue };
                    raw.headers.insert(name, value);
                }
            }
            assert!(!verifier.is_genuine(&raw), "{raw:?}");
        }
    }
}

#[test]
fn another_key_does_not_open() {
    let (_, raw) = github();
    let other = verifier(json!({ "type": "github" }), json!("It's a Secret to Nobody")).unwrap();
    assert!(!other.is_genuine(&raw));
    // A public key does not pass for a shared one, nor the other way round.
    let (shared, by_key) = (standard().0, public_key().1);
    assert!(!shared.is_genuine(&by_key));
    assert!(!public_key().0.is_genuine(&standard().1));
}

#[test]
fn secrets_that_are_shown() {
    let of = |signature: Json, secret: Json| verifier(signature, secret).unwrap();
    let bearer =
        of(json!({ "type": "bearer" }), json!(["first-token-of-some-length", "second-token-of-some"]));
    let basic = of(json!({ "type": "basic" }), json!("clerk:a long password"));
    let token =
        of(json!({ "type": "token", "at": { "header": "X-Gitlab-Token" } }), json!("a-token-of-some-length"));
    let member = json!({ "type": "token", "at": { "field": "value.0.clientState" } });
    let member = of(member, json!("a-token-of-some-length"));
    let body = r#"{"value":[{"clientState":"a-token-of-some-length"}]}"#;
    for (verifier, headers, body, genuine) in [
        (&bearer, &[("authorization", "Bearer first-token-of-some-length")][..], "", true),
        (&bearer, &[("authorization", "Bearer second-token-of-some")], "", true),
        (&bearer, &[("authorization", "Bearer second-token-of-som")], "", false),
        (&bearer, &[("authorization", "second-token-of-some")], "", false),
        (&bearer, &[], "", false),
        (&basic, &[("authorization", "Basic Y2xlcms6YSBsb25nIHBhc3N3b3Jk")], "", true),
        (&basic, &[("authorization", "Basic Y2xlcms6YSBsb25nIHBhc3N3b3J=")], "", false),
        (&basic, &[("authorization", "Bearer Y2xlcms6YSBsb25nIHBhc3N3b3Jk")], "", false),
        (&token, &[("x-gitlab-token", "a-token-of-some-length")], "", true),
        (&token, &[("x-gitlab-token", "")], "", false),
        (&member, &[], body, true),
        (&member, &[], r#"{"value":[{"clientState":"another"}]}"#, false),
        (&member, &[], "not json", false),
    ] {
        assert_eq!(verifier.is_genuine(&raw(headers, body, 0)), genuine, "{headers:?} {body}");
    }
}

#[test]
fn secrets_that_will_not_do() {
    for (signature, secret, said) in [
        (Json::Null, json!("whsec_c2hvcnQ="), "too short"),
        (Json::Null, json!("whsec_?"), "no base64"),
        (Json::Null, json!("whpk_c2hvcnQ="), "no key of 32 bytes"),
        (Json::Null, json!(format!("whpk_{}=", "A".repeat(43))), "no Ed25519 key"),
        (Json::Null, json!("whsk_c2hvcnQ="), "the sender's own key"),
        (Json::Null, json!(" "), "is needed"),
        (json!({ "type": "github" }), json!([]), "is needed"),
        (json!({ "type": "github" }), json!("short"), "16 characters"),
        (json!({ "type": "bearer" }), json!(["long-enough-it-is-really", "short"]), "16 characters"),
        (json!({ "type": "basic" }), json!("a-long-password-without-user"), "no `user:password`"),
        (
            json!({ "type": "hmac", "header": "a b" }),
            json!("long-enough-it-is-really"),
            "no name of a header",
        ),
    ] {
        let error = verifier(signature, secret).err().unwrap();
        assert!(error.contains(said), "{error} does not say {said}");
    }
}

/// What stands in the headers of every kind of sender.
#[test]
fn hostile_signatures() {
    let all = [github(), stripe(), slack(), public_key(), standard(), shopify()];
    let headers = |raw: &RawWebhook| {
        let line = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            format!("{name}: {}\n", value.to_str().unwrap())
        };
        raw.headers.iter().map(line).collect::<String>()
    };
    let genuine = |verifier: &Verifier, raw: &RawWebhook, text: &str| {
        let mut raw = raw.clone();
        raw.headers.clear();
        for (name, value) in text.lines().filter_map(|line| line.split_once(": ")) {
            if let (Ok(name), Ok(value)) =
                (name.parse::<http::HeaderName>(), http::HeaderValue::from_str(value))
            {
                raw.headers.append(name, value);
            }
        }
        verifier.is_genuine(&raw)
    };
    Reader::new("signatures")
        .sound(all.iter().map(|(_, raw)| headers(raw)))
        .words([
            "v1,",
            "v1=",
            "v0=",
            "t=",
            "sha256=",
            "h=",
            ",",
            " ",
            "=",
            "==",
            "\n",
            ": ",
            "webhook-signature: ",
        ])
        .texts(|text| all.iter().any(|(verifier, raw)| genuine(verifier, raw, text)));
}
