//! Bodies that are compressed, too large, cut or slow.

use crate::sides::{connector, first, serve};
use axum::Router;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use hms_sync_connector::{Page, ReadError};
use serde_json::json;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn file(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/bombs").join(name);
    std::fs::read(path).unwrap()
}

async fn read(url: &str, timeout: &str) -> Result<Page, ReadError> {
    let side = json!({ "url": url, "max_body_bytes": "1MiB", "timeout": timeout });
    first(&connector(&side, &json!({ "read": { "path": "/p" } }))).await
}

async fn compressed(coding: &'static str, body: Vec<u8>) -> Result<Page, ReadError> {
    let handle = move |headers: HeaderMap| async move {
        assert!(headers["accept-encoding"].to_str().unwrap().contains(coding));
        ([("content-encoding", coding)], body).into_response()
    };
    let url = serve(Router::new().fallback(handle)).await;
    read(&url, "20s").await
}

/// Memory in use at most so far, in kB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn compressed_answers_are_read() {
    for (coding, name) in [("gzip", "page.gz"), ("br", "page.br"), ("zstd", "page.zst")] {
        assert_eq!(compressed(coding, file(name)).await.unwrap().records.len(), 1, "{coding}");
    }
}

/// What is bounded is what comes out: half a gigabyte of nothing, or an eighth.
#[tokio::test]
async fn bombs_do_not_go_off() {
    for (coding, name) in [("gzip", "zeros.gz"), ("br", "zeros.br"), ("zstd", "zeros.zst")] {
        let (bomb, before, began) = (file(name), resident(), Instant::now());
        assert!(bomb.len() < 200_000);
        let why = compressed(coding, bomb).await.unwrap_err().to_string();
        assert!(why.contains("larger than 1048576 bytes (`max_body_bytes`)"), "{coding}: {why}");
        assert!(began.elapsed() < Duration::from_secs(2), "{coding}: {:?}", began.elapsed());
        // Other tests use some meanwhile.
        assert!(resident() - before < 80 << 10, "{coding}: {} kB", resident() - before);
    }
}

#[tokio::test]
async fn broken_compression_is_a_broken_answer() {
    for (coding, mut body) in [("gzip", file("page.gz")), ("br", file("page.br")), ("zstd", file("page.zst"))]
    {
        body.truncate(body.len() / 2);
        let why = compressed(coding, body).await.unwrap_err();
        assert!(matches!(why, ReadError::Broken { .. }), "{coding}: {why:?}");
    }
    let why = compressed("gzip", b"[{\"id\":1}]".to_vec()).await.unwrap_err();
    assert!(matches!(why, ReadError::Broken { .. }), "{why:?}");
}

/// A server that sends these bytes and then nothing, with the connection left open or not.
async fn raw(answer: &'static [u8], open: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut heard = [0; 4_096];
            assert!(stream.read(&mut heard).await.is_ok());
            stream.write_all(answer).await.ok();
            if open {
                tokio::spawn(async move {
                    // A byte now and then, for ever.
                    while stream.write_all(b" ").await.is_ok() {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                });
            }
        }
    });
    url
}

#[tokio::test]
async fn lengths_that_are_wrong_are_noticed() {
    let broken = |result: Result<Page, ReadError>| match result {
        Err(ReadError::Broken { reason } | ReadError::Later { reason, .. }) => reason,
        other => panic!("{other:?}"),
    };
    // Too short a body, and one that is cut where its length says so.
    let url =
        raw(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\nconnection: close\r\n\r\n[{\"id\":1}]", false).await;
    assert!(broken(read(&url, "5s").await).contains("broke off"));
    let url =
        raw(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\n[{\"id\":1}]", false).await;
    broken(read(&url, "5s").await);
    let url =
        raw(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\ncontent-length: 5\r\n\r\n[{\"id\":1}]", false).await;
    broken(read(&url, "5s").await);
    let url =
        raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n[]", false).await;
    broken(read(&url, "5s").await);
    // More than is taken, by its own words: not read at all.
    let url = raw(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n[", true).await;
    assert!(broken(read(&url, "5s").await).contains("larger than 1048576 bytes"));
}

/// However steadily it drips: the whole answer has one time limit.
#[tokio::test]
async fn slow_answers_end() {
    let began = Instant::now();
    for answer in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n["[..],
        b"HTTP/1.1 200 OK\r\nx-slow: ",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffff\r\n[",
    ] {
        let why = read(&raw(answer, true).await, "300ms").await.unwrap_err().to_string();
        assert!(why.contains("nothing within 300ms"), "{why}");
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}
