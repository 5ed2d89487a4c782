//! The promise of entity tags on a real calendar server: Radicale is listed by REPORT, in XML,
//! and written by PUT and DELETE that name the version that was read. Covered is one line of
//! plain text of each event (SUMMARY), put in and taken out by expressions: iCalendar itself is not decoded.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use hms_sync::{Running, Sync};
use hms_sync_doubles::Double;
use hms_sync_tests::{Radicale, until};
use serde_json::{Value as Json, json};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

const EVENTS: u64 = 8;

const YAML: &str = r#"
sync: Radicale
data_dir: ${DATA_DIR}
management: 127.0.0.1:0
sides:
  radicale:
    connector: http
    url: ${RADICALE_URL}
    authenticator: { type: basic, username: sync, password: demo }
    retry: { max_attempts: 4, initial: 10ms, max: 50ms }
  marshal:
    connector: http
    url: ${MARSHAL_URL}
    authenticator: { type: basic, username: sync, password: demo }
collections:
  event:
    identity: [uid]
    deletes: delete_wins
    sides:
      radicale:
        settle_window: 500ms
        primary_key: href
        version_tag: { header: ETag, field: propstat.prop.getetag }
        read:
          path: /sync/town/
          http_method: REPORT
          request_headers: { Depth: "1" }
          request_body_text: >-
            <C:calendar-query xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav">
            <D:prop><D:getetag/><C:calendar-data/></D:prop>
            <C:filter><C:comp-filter name="VCALENDAR"/></C:filter></C:calendar-query>
          decoder: { type: xml }
          record_selector: { field_path: [multistatus, response] }
          on_empty: sync
          poll_interval: 150ms
          full_interval: 300ms
        create:
          method: PUT
          path: "/sync/town/{{ record.href | split('/') | last }}"
          id_from: { template: "{{ record.href }}" }
          body: @EVENT@
        update:
          method: PUT
          path: "/sync/town/{{ id | split('/') | last }}"
          body: @EVENT@
        delete: { method: DELETE, path: "/sync/town/{{ id | split('/') | last }}" }
      marshal:
        settle_window: 500ms
        read:
          path: /inspections
          paginator: { type: offset, page_size: 20 }
          poll_interval: 100ms
          full_interval: 300ms
        fetch:  { path: "/inspections/{{ id }}" }
        create: { method: POST,   path: /inspections }
        update: { method: PATCH,  path: "/inspections/{{ id }}" }
        delete: { method: DELETE, path: "/inspections/{{ id }}" }
    fields:
      uid:
        type: string
        radicale: { path: href, to: "'/sync/town/' ~ value ~ '.ics'", from: "value | split('/') | last | replace('.ics', '')", samples: [E-1] }
        marshal: permitId
      title:
        type: string
        radicale:
          path: propstat.prop.C:calendar-data
          to: "value"
          samples: [Roof]
          from: "value | split('SUMMARY:') | last | split('\n') | first | trim"
        marshal: remarks
"#;

/// An event, written anew with each update.
const EVENT: &str = r#"{ format: text, content_type: text/calendar, text: "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//town//EN\r\nBEGIN:VEVENT\r\nUID:{{ record.href | split('/') | last | replace('.ics', '') }}\r\nDTSTART:20270102T090000Z\r\nDTSTAMP:20270101T000000Z\r\nSUMMARY:{{ record.propstat.prop['C:calendar-data'] }}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n" }"#;

/// What stands between us and Radicale: on the way of an update somebody else may change the event.
#[derive(Debug, Clone)]
struct Way {
    to: String,
    http: reqwest::Client,
    /// Methods and what was answered, with whether they named a version.
    heard: Arc<Mutex<Vec<(String, u16, bool)>>>,
    /// What somebody does there just before our next update.
    meanwhile: Arc<Mutex<Option<String>>>,
}

async fn pass_on(State(way): State<Way>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let named = parts.headers.contains_key("if-match") || parts.headers.contains_key("if-none-match");
    let before = if parts.method == "PUT" && parts.headers.contains_key("if-match") {
        way.meanwhile.lock().unwrap().take()
    } else {
        None
    };
    let url = format!("{}{}", way.to, parts.uri);
    if let Some(event) = before {
        let put = way.http.put(&url).basic_auth("sync", Some("demo"));
        let done = put.header("content-type", "text/calendar").body(event).send().await.unwrap();
        assert!(done.status().is_success());
    }
    let mut headers = parts.headers;
    headers.remove("host");
    let answer =
        way.http.request(parts.method.clone(), url).headers(headers).body(body).send().await.unwrap();
    let status = answer.status();
    way.heard.lock().unwrap().push((parts.method.to_string(), status.as_u16(), named));
    let mut said = Response::builder().status(status);
    for name in ["etag", "content-type"] {
        if let Some(value) = answer.headers().get(name) {
            said = said.header(name, value);
        }
    }
    said.body(Body::from(answer.bytes().await.unwrap())).unwrap()
}

struct World {
    radicale: Radicale,
    marshal: Double,
    way: Way,
    sync: Running,
    _folder: TempDir,
}

impl World {
    async fn start() -> Self {
        let (radicale, marshal) = (Radicale::start().await, Double::marshal().await.unwrap());
        for n in 1..=EVENTS {
            radicale.put(&format!("E-{n}"), &format!("Visit {n}")).await;
        }
        let way = Way {
            to: radicale.url().to_owned(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            heard: Arc::default(),
            meanwhile: Arc::default(),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let between = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(pass_on).with_state(way.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let folder = TempDir::new().unwrap();
        let data = folder.path().join("data").display().to_string();
        let marshal_url = marshal.url();
        let env = move |name: &str| match name {
            "DATA_DIR" => Some(data.clone()),
            "RADICALE_URL" => Some(between.clone()),
            "MARSHAL_URL" => Some(marshal_url.clone()),
            _ => None,
        };
        let sync = Sync::from_yaml(&YAML.replace("@EVENT@", EVENT), &env)
            .await
            .unwrap_or_else(|why| panic!("{why}"));
        Self { radicale, marshal, way, sync, _folder: folder }
    }

    fn inspection(&self, uid: &str) -> Option<Json> {
        self.marshal.find(uid).pop()
    }

    fn id(&self, uid: &str) -> String {
        self.inspection(uid).unwrap()["id"].as_str().unwrap().to_owned()
    }

    async fn both_say(&self, uid: &str, title: &str) {
        until(&format!("{uid} is {title}"), 30, || async {
            let there = self.radicale.title(uid).await? == title;
            (there && self.inspection(uid)?["remarks"] == title).then_some(())
        })
        .await;
    }

    /// How often a method was answered so, and whether each of those named a version.
    fn heard(&self, method: &str, status: std::ops::RangeInclusive<u16>) -> (usize, bool) {
        let all = self.way.heard.lock().unwrap();
        let found: Vec<_> = all.iter().filter(|(of, s, _)| of == method && status.contains(s)).collect();
        (found.len(), found.iter().all(|(_, _, named)| *named))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn radicale_is_kept_in_step_by_versions() {
    let world = World::start().await;
    until("the first load", 30, || async { (world.marshal.len() as u64 == EVENTS).then_some(()) }).await;
    world.both_say("E-3", "Visit 3").await;
    assert_eq!(world.heard("PUT", 0..=999).0, 0, "nothing is written back");

    // Edits both ways, one made and one deleted on each side.
    world.radicale.put("E-1", "Roof").await;
    world.marshal.update(&world.id("E-2"), &json!({ "remarks": "Stairs" })).unwrap();
    world.radicale.put("E-90", "From the calendar").await;
    let made = json!({ "permitId": "E-91", "remarks": "From the marshal", "state": "PENDING" });
    world.marshal.create(&made).unwrap();
    world.both_say("E-1", "Roof").await;
    world.both_say("E-2", "Stairs").await;
    world.both_say("E-90", "From the calendar").await;
    world.both_say("E-91", "From the marshal").await;
    world.marshal.delete(&world.id("E-4")).unwrap();
    world.radicale.delete("E-5").await;
    until("both deletes come over", 30, || async {
        (world.radicale.title("E-4").await.is_none() && world.inspection("E-5").is_none()).then_some(())
    })
    .await;
    assert_eq!(
        world.heard("PUT", 200..=299),
        (2, true),
        "each write names the version, or that there is none"
    );
    assert_eq!(world.heard("DELETE", 200..=299), (1, true));
    assert_eq!(
        world.radicale.put_if("E-1", "lost", "\"another\"").await.as_u16(),
        412,
        "Radicale minds them"
    );

    // Somebody changes it just before our write: that is refused, and both edits are merged.
    *world.way.meanwhile.lock().unwrap() = Some(hms_sync_tests::event("E-6", "Theirs"));
    world.marshal.update(&world.id("E-6"), &json!({ "remarks": "Ours" })).unwrap();
    until("ours is refused", 30, || async { (world.heard("PUT", 412..=412).0 > 0).then_some(()) }).await;
    until("both are the same again", 30, || async {
        let there = world.radicale.title("E-6").await?;
        let here = world.inspection("E-6")?;
        let idle = world.sync.desk().status().await.ok()?.status.pending == 0;
        (idle && here["remarks"] == there && (there == "Ours" || there == "Theirs")).then_some(())
    })
    .await;
    let story = world.sync.desk().history("event/E-6", 0, 100).await.unwrap();
    let story = serde_json::to_string(&story).unwrap();
    assert!(story.contains("Theirs") && story.contains("Ours"), "neither edit is lost: {story}");
    assert_eq!(world.sync.desk().status().await.unwrap().status.parked, 0);
    world.sync.stop().await.unwrap();
}
