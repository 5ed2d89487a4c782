//! Writing: what an answer means, and that nothing which may have been carried
//! out is called refused.

use crate::parrot::{Parrot, request, word};
use crate::sides::{collection, id, key, of};
use hms_sync_connector::{Connector, RawRequest, Target};
use hms_sync_doubles::{BadAnswer, Double, Down, Faults, Kind};
use hms_sync_model::{Outcome, Tag};
use serde_json::{Value as Json, json};
use std::time::Duration;

#[tokio::test]
async fn every_status_has_its_outcome() {
    let parrot = Parrot::new(|_| {}).await;
    let (update, delete) = (Target::Update(id("7"), None), Target::Delete(id("7"), None));
    for (status, create_is, update_is, delete_is) in [
        (400, "rejected", "rejected", "rejected"),
        (401, "side later", "side later", "side later"),
        (403, "rejected", "rejected", "rejected"),
        (404, "rejected", "gone", "noop"),
        (408, "later", "later", "later"),
        (409, "exists", "conflict", "conflict"),
        (410, "rejected", "gone", "noop"),
        (412, "rejected", "conflict", "conflict"),
        (413, "rejected", "rejected", "rejected"),
        (422, "rejected", "rejected", "rejected"),
        (423, "later", "later", "later"),
        (425, "later", "later", "later"),
        (429, "side later", "side later", "side later"),
        (500, "unknown", "unknown", "unknown"),
        (501, "rejected", "rejected", "rejected"),
        (502, "unknown", "unknown", "unknown"),
        (503, "later", "later", "later"),
        (504, "unknown", "unknown", "unknown"),
        (307, "rejected", "rejected", "rejected"),
    ] {
        for (target, expected) in
            [(Target::Create, create_is), (update.clone(), update_is), (delete.clone(), delete_is)]
        {
            let outcome = parrot.write(target, status, &[], "{}").await;
            assert_eq!(word(&outcome), expected, "{status}: {outcome:?}");
        }
    }
    let busy = parrot.write(Target::Create, 503, &[("retry-after", "9")], "").await;
    let Outcome::RetryLater { after, side_wide: true, .. } = busy else { panic!("{busy:?}") };
    assert_eq!(after, Some(Duration::from_secs(9)));
}

#[tokio::test]
async fn a_refusal_is_quoted_on_one_line() {
    let parrot = Parrot::new(|_| {}).await;
    let said = format!("no\n\u{1b}[31m{}", "x".repeat(1_000));
    let Outcome::Rejected { reason } = parrot.write(Target::Create, 422, &[], &said).await else { panic!() };
    assert!(
        reason.starts_with("POST /p: answered 422 Unprocessable Entity: no\\n\\u{1b}[31mxxx"),
        "{reason}"
    );
    assert!(reason.chars().count() < 400 && !reason.chars().any(char::is_control));
    let away = parrot.write(Target::Create, 302, &[("location", "http://169.254.169.254/")], "").await;
    assert!(
        matches!(&away, Outcome::Rejected { reason } if reason.contains("points to http://169.254.169.254/"))
    );
}

#[tokio::test]
async fn ids_come_from_the_answer_or_from_location() {
    let parrot = Parrot::new(|_| {}).await;
    for (headers, body, found) in [
        (&[][..], "{\"id\": 12, \"a\": 1}", Some("12")),
        (&[("location", "https://elsewhere/x/p/a%2Fb?x=1")][..], "", Some("a/b")),
        (&[("location", "/p/9/")][..], "created", Some("9")),
        (&[][..], "{\"ok\": true}", None),
    ] {
        let outcome = parrot.write(Target::Create, 201, headers, body).await;
        match (outcome, found) {
            (Outcome::Applied(written), Some(found)) => {
                assert_eq!(written.id, id(found));
                assert_eq!(written.stored.is_some(), found == "12");
            }
            (Outcome::Unknown { reason }, None) => assert!(reason.contains("without an id"), "{reason}"),
            (outcome, _) => panic!("{outcome:?}"),
        }
    }
    // A message is not the record, nor is another record.
    for body in ["{\"ok\":true}", "{\"id\": 8}", "", "<p>"] {
        let outcome = parrot.write(Target::Update(id("7"), None), 200, &[("etag", "\"3\"")], body).await;
        let Outcome::Applied(written) = outcome else { panic!("{outcome:?}") };
        assert_eq!((written.id, written.stored, written.tag), (id("7"), None, Tag::try_new("\"3\"").ok()));
    }
}

#[tokio::test]
async fn duplicates_may_be_told_in_other_ways() {
    let parrot = Parrot::new(|permits| {
        permits["exists_when"] = json!([{ "status": 400, "body_contains": "validation_not_unique" }]);
    })
    .await;
    let body = "{\"code\":\"validation_not_unique\"}";
    assert_eq!(word(&parrot.write(Target::Create, 400, &[], body).await), "exists");
    assert_eq!(word(&parrot.write(Target::Create, 400, &[], "{}").await), "rejected");
    assert_eq!(word(&parrot.write(Target::Update(id("7"), None), 400, &[], body).await), "rejected");
}

#[tokio::test]
async fn any_id_is_one_segment_and_any_tag_one_header() {
    let parrot = Parrot::new(|_| {}).await;
    for (native, path) in [
        ("a/../b", "/api/p/a%2F..%2Fb"),
        ("x?y#z", "/api/p/x%3Fy%23z"),
        ("ü %2F", "/api/p/%C3%BC%20%252F"),
        ("a\r\nX: 1", "/api/p/a%0D%0AX:%201"),
        ("...", "/api/p/..."),
    ] {
        parrot.write(Target::Update(id(native), None), 200, &[], "").await;
        assert_eq!(parrot.last().0, path);
    }
    let heard = parrot.heard.lock().unwrap().len();
    for native in [".", ".."] {
        let outcome = parrot.write(Target::Update(id(native), None), 200, &[], "").await;
        assert_eq!(word(&outcome), "rejected", "{outcome:?}");
    }
    let tag = |text: &str| Some(Tag::try_new(text).unwrap());
    let outcome = parrot.write(Target::Update(id("7"), tag("a\r\nX: 1")), 200, &[], "").await;
    assert_eq!(word(&outcome), "rejected", "{outcome:?}");
    assert_eq!(parrot.heard.lock().unwrap().len(), heard, "nothing was sent");
    parrot.write(Target::Update(id("7"), tag("\"v1\"")), 200, &[], "").await;
    assert_eq!(parrot.last().1["if-match"], "\"v1\"");
    parrot.write(Target::Update(id("7"), tag("W/\"v1\"")), 200, &[], "").await;
    assert!(!parrot.last().1.contains_key("if-match"));
    assert!(!parrot.last().1.contains_key("idempotency-key"), "not claimed, not sent");
}

#[tokio::test]
async fn keys_headers_and_bodies_are_as_configured() {
    let parrot = Parrot::new(|permits| {
        permits["idempotency_key"] = json!({ "header": "X-Once" });
        permits["version_tag"] = json!({ "field": "rev" });
        permits["create"]["request_headers"] = json!({ "X-Api-Version": 2 });
        permits["create"]["path"] = json!("/owners/{{ identity.a }}/p");
    })
    .await;
    let abilities = parrot.connector.abilities(&collection());
    assert!(abilities.idempotency_key && !abilities.precondition && !abilities.fetch);
    let outcome = parrot.write(Target::Create, 201, &[("etag", "x")], "{\"id\":1,\"rev\":5}").await;
    let Outcome::Applied(written) = outcome else { panic!("{outcome:?}") };
    assert_eq!(written.tag, Tag::try_new("5").ok());
    let (uri, headers) = parrot.last();
    assert_eq!(uri, "/api/owners/1/p");
    assert_eq!(
        (&headers["x-once"], &headers["x-api-version"]),
        (&"k-1".parse().unwrap(), &"2".parse().unwrap())
    );
    parrot.write(Target::Update(id("7"), Tag::try_new("5").ok()), 200, &[], "").await;
    assert!(!parrot.last().1.contains_key("if-match"));
}

#[tokio::test]
async fn what_may_have_been_done_is_unknown() {
    let marshal = Double::marshal().await.unwrap();
    let connector = of(&marshal);
    let create = || connector.write(request(Target::Create, Kind::Marshal.sample(1)));
    marshal.set_faults(Faults { lost: 1.0, ..Faults::default() });
    assert_eq!(word(&create().await), "unknown");
    marshal.set_faults(Faults::default());
    let outcome = create().await;
    assert_eq!((word(&outcome), marshal.len(), marshal.doubled()), ("applied", 1, 0), "the key makes it one");
    marshal.set_faults(Faults { unavailable: 1.0, ..Faults::default() });
    assert_eq!(word(&create().await), "later");
    marshal.set_faults(Faults {
        answer: Some(BadAnswer::Redirect("http://10.0.0.1/".into())),
        ..Faults::default()
    });
    assert_eq!(word(&create().await), "rejected");
    marshal.set_faults(Faults { down: Some(Down::Refused), ..Faults::default() });
    // The first may still have met an open connection; refused ones never left us.
    let mut outcome = create().await;
    while word(&outcome) != "side later" {
        assert_eq!(word(&outcome), "unknown");
        outcome = create().await;
    }
    assert_eq!(marshal.len(), 1);
}

#[tokio::test]
async fn requests_of_handlers() {
    let marshal = Double::marshal().await.unwrap();
    let connector = of(&marshal);
    let raw = |method: &str, path: &str, body: &Json, k: &str| RawRequest {
        method: method.to_owned(),
        path: path.to_owned(),
        body: if body.is_null() { String::new() } else { body.to_string() },
        key: key(k),
    };
    let post = raw("POST", "/inspections", &Kind::Marshal.sample(1), "job-1");
    for _ in 0..2 {
        let Outcome::Applied(written) = connector.send(post.clone()).await else { panic!() };
        assert_eq!(written.id, id("INS-1"));
    }
    assert_eq!(marshal.effects().len(), 1);
    let Outcome::Applied(written) =
        connector.send(raw("DELETE", "/inspections/INS-1", &Json::Null, "job-2")).await
    else {
        panic!()
    };
    assert_eq!(written.id, id("job-2"));
    for (method, path) in
        [("GET", "/inspections"), ("POST", "inspections"), ("POST", "/../x"), ("POST", "//evil/x\u{0}")]
    {
        let outcome = connector.send(raw(method, path, &json!({}), "job-3")).await;
        assert!(matches!(word(&outcome), "rejected"), "{method} {path}: {outcome:?}");
    }
}
