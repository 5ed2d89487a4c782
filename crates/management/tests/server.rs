//! The server from outside, over a real socket: who gets in, what is bounded,
//! and that a webhook is durable before its sender hears of it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]

mod bench;

use bench::{Bench, TOKENLESS, limits};
use hms_sync_changelog::Log;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn every_api_route_wants_the_token() {
    let bench = Bench::start(limits()).await;
    let routes = hms_sync_management::api_routes();
    assert!(routes.len() >= 8);
    for (method, path) in routes {
        for auth in ["", "Authorization: Bearer 00\r\n", "Authorization: Basic eDp5\r\n"] {
            let answer = bench.ask(&method, path, auth, "{}").await;
            assert_eq!(answer.status, 401, "{method} {path} with {auth:?}");
            assert!(answer.body.contains("hint"), "{}", answer.body);
        }
        let answer = bench.ask(&method, path, &bench.auth(), "{}").await;
        assert!(!matches!(answer.status, 401 | 405), "{method} {path}: {}", answer.body);
    }
    assert_eq!(bench.ask("GET", "/api/nothing", TOKENLESS, "").await.status, 401);
    assert_eq!(bench.ask("GET", "/api/nothing", &bench.auth(), "").await.status, 404);
    assert_eq!(bench.ask("GET", "/healthz", TOKENLESS, "").await.status, 200);
}

#[tokio::test]
async fn numbers_are_told_without_the_token_and_under_no_other_name() {
    let bench = Bench::start(limits()).await;
    let answer = bench.ask("GET", "/metrics", TOKENLESS, "").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.body.contains("state=\"open\"} 0\n"), "{}", answer.body);
    assert!(answer.body.ends_with("# EOF\n"), "{}", answer.body);
    let led = "GET /metrics HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert_eq!(bench.raw(led.as_bytes()).await.status, 421);
}

#[tokio::test]
async fn a_get_route_takes_no_other_method_and_the_other_way_round() {
    let bench = Bench::start(limits()).await;
    assert_eq!(bench.ask("POST", "/api/status", &bench.auth(), "{}").await.status, 405);
    assert_eq!(bench.ask("GET", "/api/poll", &bench.auth(), "").await.status, 405);
}

#[tokio::test]
async fn a_page_led_here_under_another_name_is_refused() {
    let bench = Bench::start(limits()).await;
    let asked = |host: &str| {
        format!("GET /api/status HTTP/1.1\r\nHost: {host}\r\n{}Connection: close\r\n\r\n", bench.auth())
    };
    for host in ["evil.example", "127.0.0.1.evil.example", "10.0.0.1", ""] {
        let answer = bench.raw(asked(host).as_bytes()).await;
        assert_eq!(answer.status, 421, "{host:?}");
    }
    for host in ["localhost", "LOCALHOST:1", "127.0.0.1:9", "[::1]:80"] {
        assert_eq!(bench.raw(asked(host).as_bytes()).await.status, 200, "{host:?}");
    }
}

#[tokio::test]
async fn the_access_file_opens_the_door_and_goes_at_the_end() {
    let bench = Bench::start(limits()).await;
    let access = hms_sync_management::Access::read(bench.dir.path()).unwrap().unwrap();
    assert_eq!(&access, bench.serving.access());
    let dir = bench.dir;
    bench.serving.stop().await;
    assert_eq!(hms_sync_management::Access::read(dir.path()).unwrap(), None);
}

#[tokio::test]
async fn a_webhook_is_durable_when_its_sender_hears_of_it() {
    let bench = Bench::start(limits()).await;
    let answer = bench.hook(r#"{"id":"7","status":"revoked"}"#).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    // The power goes this moment; nothing unsynced survives.
    bench.disk.crash(0);
    let log = Log::on(bench.disk.clone()).unwrap();
    let events = log.events(1, 10).unwrap();
    let told = format!("{events:?}");
    assert!(told.contains("revoked"), "{told}");
}

#[tokio::test]
async fn what_cannot_be_made_durable_is_not_acknowledged() {
    let bench = Bench::start(limits()).await;
    bench.disk.fail_next_sync();
    for _ in 0..2 {
        let answer = bench.hook(r#"{"id":"7"}"#).await;
        assert_eq!(answer.status, 503, "{}", answer.body);
        assert!(answer.head.to_lowercase().contains("retry-after:"), "{}", answer.head);
    }
    assert_eq!(bench.ask("GET", "/healthz", TOKENLESS, "").await.status, 503);
    assert_eq!(bench.ask("GET", "/api/status", &bench.auth(), "").await.status, 503);
}

#[tokio::test]
async fn the_connector_judges_a_webhook() {
    let bench = Bench::start(limits()).await;
    let forged = "X-Signature: wrong\r\n";
    let refused = bench.ask("POST", "/hooks/clerk", forged, r#"{"id":"7"}"#).await;
    assert_eq!(refused.status, 401);
    // Which paths there are is not found out by trying.
    for (method, body, status) in
        [("POST", r#"{"id":"7"}"#, 401), ("GET", "", 405), ("POST", &"x".repeat(5_000), 413)]
    {
        let there = bench.ask(method, "/hooks/clerk", forged, body).await;
        let nowhere = bench.ask(method, "/hooks/other", forged, body).await;
        assert_eq!((there.status, &there.body), (status, &nowhere.body));
        let undated = |head: &str| {
            head.lines().filter(|line| !line.starts_with("date:")).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(undated(&there.head), undated(&nowhere.head));
    }
    let malformed = bench.hook("not json").await;
    assert_eq!(malformed.status, 400);
    assert!(malformed.body.contains("is not JSON"), "{}", malformed.body);
    assert_eq!(bench.ask("POST", "/other", TOKENLESS, "{}").await.status, 404);
    assert_eq!(bench.ask("GET", "/hooks/clerk", TOKENLESS, "").await.status, 405);
    assert_eq!(bench.engine.log().unwrap().head(), 0);
}

#[tokio::test]
async fn bodies_are_bounded_whatever_their_length_claims() {
    let bench = Bench::start(limits()).await;
    let large = format!(r#"{{"id":"7","note":"{}"}}"#, "x".repeat(5_000));
    assert_eq!(bench.hook(&large).await.status, 413);
    let mut chunked = b"POST /hooks/clerk HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..20 {
        chunked.extend_from_slice(b"190\r\n");
        chunked.extend_from_slice(&[b'x'; 400]);
        chunked.extend_from_slice(b"\r\n");
    }
    assert_eq!(bench.raw(&chunked).await.status, 413);
    assert_eq!(bench.engine.log().unwrap().head(), 0);
}

/// A request within the body of another, as a proxy that counts otherwise would pass it on,
/// and requests that one may read in two ways: none of them is a webhook.
#[tokio::test]
async fn what_can_be_read_in_two_ways_is_not_taken_in() {
    const HIDDEN: &str = "POST /hooks/clerk HTTP/1.1\r\nHost: h\r\nX-Signature: right\r\nContent-Length: 10\r\n\r\n{\"id\":\"9\"}";
    let bench = Bench::start(limits()).await;
    let mut cases = Vec::new();
    for headers in [
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Content-Length: 0\r\nTransfer-Encoding: chunked",
        "Content-Length: 999\r\nTransfer-Encoding: Chunked",
        "Transfer-Encoding: gzip, chunked\r\nContent-Length: 5",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity\r\nContent-Length: 5",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding : chunked\r\nContent-Length: 5",
        "Transfer-Encoding:\u{b}chunked\r\nContent-Length: 5",
        " Transfer-Encoding: chunked\r\nContent-Length: 5",
        "X-A: b\r\n Transfer-Encoding: chunked",
        "Transfer-Encoding\r\n : chunked",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 6",
        "Content-Length: +5",
        "Content-Length: -5",
        "Content-Length: 0x5",
        "Content-Length: 5 5",
        "Content-Length: 99999999999999999999",
        "Content-Length: \u{665}",
    ] {
        cases.push(format!("POST /hooks/clerk HTTP/1.1\r\nHost: h\r\n{headers}\r\n\r\n0\r\n\r\n{HIDDEN}"));
    }
    for size in ["-1", "0x0", "FFFFFFFFFFFFFFFFF0", "g", ""] {
        let head =
            "POST /hooks/clerk HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nX-Signature: right";
        cases.push(format!("{head}\r\n\r\n{size}\r\n\r\n{HIDDEN}"));
    }
    for line in [
        "POST /hooks/clerk HTTP/1.1 x",
        "POST /hooks/clerk HTTP/3.0",
        "POST /hooks/clerk",
        "POST /hooks/clerk\0 HTTP/1.1",
        "PO ST /hooks/clerk HTTP/1.1",
        "post /hooks/clerk HTTP/1.1",
        "POST http://h/hooks/other HTTP/1.1",
        "POST //hooks/clerk HTTP/1.1",
        "POST /hooks/./clerk HTTP/1.1",
        "POST /hooks/clerk/ HTTP/1.1",
        "POST /hooks%2Fclerk HTTP/1.1",
        "CONNECT h:80 HTTP/1.1",
    ] {
        cases.push(HIDDEN.replace("POST /hooks/clerk HTTP/1.1", line));
    }
    for signature in ["X-Signature : right", "X-A: b\r\n X-Signature: right", "X-Signature: right\rX-A: b"] {
        cases.push(HIDDEN.replace("X-Signature: right", signature));
    }
    assert!(cases.len() >= 40);
    for case in cases {
        let answer = bench.raw(case.as_bytes()).await;
        assert!((400..500).contains(&answer.status), "{case:?}: {}", answer.head);
        assert!(!answer.body.contains("HTTP/1.1 200"), "{case:?}: {}", answer.body);
        assert_eq!(bench.engine.log().unwrap().head(), 0, "{case:?}");
    }
    assert_eq!(
        bench.raw(HIDDEN.replace("Host: h", "Host: h\r\nConnection: close").as_bytes()).await.status,
        200
    );
}

#[tokio::test]
async fn slow_senders_are_cut_off_and_hold_up_nobody() {
    let bench = Bench::start(limits()).await;
    let began = Instant::now();
    let slow_head = bench.raw(b"POST /hooks/clerk HTTP/1.1\r\nHost: h\r\nX-Slow: ");
    let slow_body = bench.raw(b"POST /hooks/clerk HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n{\"id\"");
    let (head, body, other) = tokio::join!(slow_head, slow_body, bench.hook(r#"{"id":"8"}"#));
    assert_eq!(other.status, 200);
    assert!(matches!(head.status, 0 | 408), "{}", head.head);
    assert_eq!(body.status, 408);
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn connections_are_bounded_and_those_that_wait_get_their_turn() {
    let bench = Bench::start(hms_sync_management::Limits { connections_max: 2, ..limits() }).await;
    let idle = futures_util::future::join_all((0..2).map(|_| bench.raw(b"GET ")));
    let (_, answer) = tokio::join!(idle, bench.hook(r#"{"id":"9"}"#));
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_question_whether_we_listen_is_answered_in_plain_text() {
    let bench = Bench::start(limits()).await;
    for method in ["GET", "POST"] {
        let answer = bench.ask(method, "/hooks/clerk?asked=hello", TOKENLESS, "").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "hello from Some(127.0.0.1);"));
        let head = answer.head.to_lowercase();
        assert!(head.contains("text/plain") && head.contains("nosniff"), "{head}");
    }
    assert_eq!(bench.engine.log().unwrap().head(), 0);
}

#[tokio::test]
async fn more_webhooks_than_there_are_places_for_are_sent_away_in_words() {
    let patient = hms_sync_management::Limits { body_patience: Duration::from_secs(10), ..limits() };
    let bench = Bench::start(hms_sync_management::Limits { hooks_max: 1, ..patient }).await;
    let body = r#"{"id":"7","status":"revoked"}"#;
    let mut slow = tokio::net::TcpStream::connect(bench.serving.addr()).await.unwrap();
    let (start, rest) = body.split_at(5);
    let head = format!(
        "POST /hooks/clerk HTTP/1.1\r\nHost: h\r\nX-Signature: right\r\nContent-Length: {}\r\n\r\n{start}",
        body.len()
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    // Whichever comes first has the place; the slow one has it in the end.
    let refused = loop {
        let answer = bench.hook(r#"{"id":"8"}"#).await;
        if answer.status != 200 {
            break answer;
        }
    };
    assert_eq!(refused.status, 429, "{}", refused.body);
    assert!(refused.head.to_lowercase().contains("retry-after: 1"), "{}", refused.head);
    assert!(refused.body.contains("nothing of it was taken in"), "{}", refused.body);
    slow.write_all(rest.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    slow.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    assert_eq!(bench.hook(r#"{"id":"8"}"#).await.status, 200);
}

#[tokio::test]
async fn bodies_share_a_budget_of_memory() {
    let bench = Bench::start(hms_sync_management::Limits { hook_bytes_max: 2_048, ..limits() }).await;
    let of = |length: usize| format!(r#"{{"id":"7","note":"{}"}}"#, "x".repeat(length));
    assert_eq!(bench.hook(&of(2_100)).await.status, 429);
    for _ in 0..4 {
        assert_eq!(bench.hook(&of(1_000)).await.status, 200, "what was held is given back");
    }
}

#[tokio::test]
async fn one_address_cannot_have_all_connections() {
    let few = hms_sync_management::Limits { connections_per_address_max: 2, ..limits() };
    let bench = Bench::start(hms_sync_management::Limits { spares_loopback: false, ..few }).await;
    let mut idle = Vec::new();
    for _ in 0..2 {
        let mut stream = tokio::net::TcpStream::connect(bench.serving.addr()).await.unwrap();
        stream.write_all(b"GET /").await.unwrap();
        idle.push(stream);
    }
    assert_eq!(bench.hook(r#"{"id":"9"}"#).await.status, 0, "closed without a word");
    drop(idle);
    // The server notices that they are gone; it is asked until it has.
    while bench.hook(r#"{"id":"9"}"#).await.status != 200 {}
}

#[tokio::test]
async fn who_does_not_read_is_let_go() {
    let bench = Bench::start(hms_sync_management::Limits { connections_max: 1, ..limits() }).await;
    let mut deaf = tokio::net::TcpStream::connect(bench.serving.addr()).await.unwrap();
    deaf.write_all(b"GET /hooks/clerk?asked=much HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    let began = Instant::now();
    assert_eq!(bench.hook(r#"{"id":"9"}"#).await.status, 200);
    assert!(began.elapsed() < Duration::from_secs(5));
}

/// Twice as many as there are places for, each a byte at a time, for as long as it is let.
#[tokio::test]
async fn those_who_dribble_hold_up_nobody_for_long() {
    let bench = Bench::start(limits()).await;
    let address = bench.serving.addr();
    let dribble = |n: usize| async move {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let head = if n.is_multiple_of(2) {
            "GET /healthz HTTP/1.1\r\nX-Slow: "
        } else {
            "POST /hooks/clerk HTTP/1.1\r\nHost: h\r\nContent-Length: 4000\r\n\r\n"
        };
        let mut cut_off = stream.write_all(head.as_bytes()).await.is_err();
        let began = Instant::now();
        while !cut_off && began.elapsed() < Duration::from_secs(20) {
            tokio::time::sleep(Duration::from_millis(25)).await;
            cut_off = stream.write_all(b"x").await.is_err();
        }
        cut_off
    };
    let mut all = tokio::task::JoinSet::new();
    (0..128).for_each(|n| drop(all.spawn(dribble(n))));
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        let began = Instant::now();
        assert_eq!(bench.hook(r#"{"id":"8"}"#).await.status, 200);
        slowest = slowest.max(began.elapsed());
    }
    assert!(slowest < Duration::from_secs(3), "{slowest:?}");
    assert!(all.join_all().await.into_iter().all(|cut_off| cut_off));
}

#[tokio::test]
async fn two_webhooks_cannot_share_a_path() {
    for path in ["/hooks/clerk", "/api/status", "/healthz"] {
        let why = Bench::with_hooks(&["/hooks/clerk", path]).await.unwrap_err();
        assert!(why.to_string().contains(path), "{why}");
    }
}

#[tokio::test]
async fn the_api_answers_what_the_desk_knows() {
    let bench = Bench::start(limits()).await;
    assert_eq!(bench.hook(r#"{"id":"7","status":"revoked"}"#).await.status, 200);
    let status = bench.get("/api/status").await;
    assert_eq!(status["running"], "live");
    assert_eq!(status["sync"], "Test");
    let history = bench.get("/api/history?name=clerk:7").await;
    assert_eq!(history["events"][0]["kind"], "edited");
    assert_eq!(history["events"][0]["side"], "clerk");
    let words = history["events"][0]["words"].as_str().unwrap();
    assert!(words.starts_with("clerk has it as its 7"), "{words}");
    assert_eq!(history["events"][0]["detail"]["id"], "7");
    let explained = bench.get("/api/explain?name=clerk:7&field=document").await;
    assert_eq!(explained["fields"][0]["value"]["status"], "revoked");
    assert_eq!(explained["edits"].as_array().unwrap().len(), 1);
    let at = history["events"][0]["at"].as_str().unwrap();
    let stood = bench.get(&format!("/api/as-of?name=clerk:7&at={at}")).await;
    assert_eq!((&stood["version"], &stood["fields"][0]["value"]["status"]), (&1.into(), &"revoked".into()));
    assert_eq!(stood["sides"][0]["holds"]["document"]["status"], "revoked");
    let differs = bench.get("/api/diff?name=clerk:7&from=v0&to=now").await;
    assert_eq!(differs["fields"][0]["events"][0]["version"], 1);
    assert_eq!(differs["fields"][0].get("before"), None);
    let listed = bench.get("/api/log?kind=edited,received&side=clerk&reverse=true&limit=5").await;
    assert_eq!((&listed["events"][0]["seq"], &listed["looked_at"]), (&1.into(), &1.into()));
    let then = bench.get(&format!("/api/explain?name=clerk:7&at={at}")).await;
    // Nobody has to be believed: the hash is that of what was sent.
    let sent = blake3::hash(br#"{"id":"7","status":"revoked"}"#).to_hex().to_string();
    assert_eq!(then["stories"][0]["values"][0]["edit"]["raw"], sent);
    assert_eq!(then["stories"][0]["values"][0]["edit"]["source"], "webhook");
    let verified = bench.get("/api/verify").await;
    assert_eq!(verified["sound"], true);
    let unseen =
        r#"{"record":"clerk:7","field":"document","pick":"winner","version":0,"by":"ann","reason":"x"}"#;
    let stale = bench.ask("POST", "/api/conflicts/resolve", &bench.auth(), unseen).await;
    assert_eq!(stale.status, 412, "{}", stale.body);
    assert!(stale.body.contains("since then v1 clerk has it"), "{}", stale.body);
    let parked = bench.get("/api/parked").await;
    assert_eq!(parked["items"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn mistakes_are_told_with_a_hint() {
    let bench = Bench::start(limits()).await;
    let check = async |method: &str, path: &str, body: &str, status: u16, words: &str| {
        let answer = bench.ask(method, path, &bench.auth(), body).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        let json: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert!(json["error"].as_str().unwrap().contains(words), "{json}");
        assert!(!json["hint"].as_str().unwrap().is_empty(), "{json}");
    };
    check("GET", "/api/history?name=clerk:404", "", 404, "clerk:404").await;
    check("GET", "/api/history", "", 400, "name").await;
    check("GET", "/api/conflicts?colour=red", "", 400, "colour").await;
    check("GET", "/api/conflicts/record?name=clerk:404", "", 404, "clerk:404").await;
    let unsaid = r#"{"record":"clerk:7","field":"document","pick":"winner","by":"ann","reason":"x"}"#;
    check("POST", "/api/conflicts/resolve", unsaid, 400, "version").await;
    check("GET", "/api/history?name=a&colour=red", "", 400, "colour").await;
    check("POST", "/api/poll", r#"{"side":"nobody","collection":"permit"}"#, 409, "nobody").await;
    check("GET", "/api/as-of?name=clerk:7&at=soon", "", 400, "no time").await;
    check("GET", "/api/log?kind=all", "", 400, "kind").await;
    check("GET", "/api/log?color=red", "", 400, "color").await;
    check("GET", "/api/diff?name=clerk:404&from=1&to=2", "", 404, "clerk:404").await;
    check("POST", "/api/poll", "{", 400, "body").await;
    check("POST", "/api/parked/release", r#"{"action":"replay"}"#, 400, "what to release").await;
    check("POST", "/api/parked/release", r#"{"action":"replay","all":true}"#, 404, "parked").await;
    check("POST", "/api/parked/release", r#"{"action":"push_ours","all":true}"#, 404, "parked").await;
    check("POST", "/api/parked/release", r#"{"action":"take_ours","all":true}"#, 400, "take_theirs").await;
}
