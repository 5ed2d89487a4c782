//! A server of made-up records, in a process of its own: as many as the path says, made
//! while they are asked for, so that a million of them take no room.
//!
//! `GET /records/1000000?offset=0&limit=1000` answers `{"items": […], "total": 1000000}`.
//! A page that was made is kept for who asks for it again.

use anyhow::Context;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query};
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use serde::Deserialize;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// The word by which the bench starts itself as this server.
pub const FEED: &str = "feed";

/// What a page is asked by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
struct Window {
    #[serde(default)]
    offset: usize,
    limit: usize,
}

/// The server, in a process of its own.
pub(super) struct Feed {
    pub(super) url: String,
    _child: Child,
}

impl Feed {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let (url, child) = itself(FEED).await?;
        Ok(Self { url: format!("http://{url}"), _child: child })
    }
}

/// Starts this program with one word more; answers with the line that it says first.
pub(super) async fn itself(word: &str) -> anyhow::Result<(String, Child)> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg(word)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let out = child.stdout.take().context("the server cannot be heard")?;
    let line = BufReader::new(out).lines().next_line().await?.context("the server ended")?;
    Ok((line, child))
}

/// A page that was made, and of what.
type Made = ((usize, Window), Bytes);

/// What that process is: says where it listens, then answers.
pub async fn feed_server() -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    crate::say(&listener.local_addr()?.to_string())?;
    let last: Arc<Mutex<Option<Made>>> = Arc::default();
    let answer = move |Path(total): Path<usize>, Query(window): Query<Window>| {
        let last = Arc::clone(&last);
        async move {
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            let page = match &*last {
                Some((of, page)) if *of == (total, window) => page.clone(),
                _ => Bytes::from(page(total, window)),
            };
            *last = Some(((total, window), page.clone()));
            ([(CONTENT_TYPE, "application/json")], page)
        }
    };
    Ok(axum::serve(listener, Router::new().route("/records/{total}", get(answer))).await?)
}

/// Some 310 bytes a record.
fn page(total: usize, window: Window) -> String {
    let end = window.offset.saturating_add(window.limit).min(total);
    let mut page = String::with_capacity(end.saturating_sub(window.offset) * 320 + 64);
    page.push_str("{\"items\":[");
    for n in window.offset..end {
        if n > window.offset {
            page.push(',');
        }
        // Writing to memory does not fail.
        let _written = write!(
            page,
            "{{\"id\":{n},\"permit_no\":\"P-{n:07}\",\"location\":{{\"address\":\"{n} Main Street\",\"city\":\
             \"Riverside\"}},\"applicant\":\"Applicant {n}\",\"status\":\"approved\",\"fee\":\"120.50\",\
             \"inspection_at\":null,\"inspector\":null,\"notes\":\"as it was laid down in the hearing\",\
             \"updated_at\":\"2026-11-{:02}T10:{:02}:{:02}Z\",\"tags\":[\"fire\",\"food\"]}}",
            1 + n / 86_400 % 25,
            n / 60 % 60,
            n % 60,
        );
    }
    let _written = write!(page, "],\"total\":{total}}}");
    page
}
