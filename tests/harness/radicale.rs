//! A Radicale of our own: a calendar server with entity tags, which lists in XML and keeps
//! iCalendar text. A child on a free loopback port, its files in a temporary folder, both gone
//! with the handle.

use crate::program::{free_port, server};
use crate::wait::until;
use reqwest::header::{CONTENT_TYPE, HeaderValue, IF_MATCH};
use reqwest::{Client, Method, StatusCode};
use std::process::Stdio;
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// A running Radicale with an empty calendar `/sync/town/`.
#[derive(Debug)]
pub struct Radicale {
    url: String,
    http: Client,
    _server: Child,
    _folder: TempDir,
}

/// An event as Radicale writes it.
pub fn event(uid: &str, title: &str) -> String {
    format!(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//town//EN\r\nBEGIN:VEVENT\r\nUID:{uid}\r\n\
         DTSTART:20270102T090000Z\r\nDTSTAMP:20270101T000000Z\r\nSUMMARY:{title}\r\nEND:VEVENT\r\n\
         END:VCALENDAR\r\n"
    )
}

impl Radicale {
    /// Starts one.
    pub async fn start() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let port = free_port();
        let file = folder.path().join("config");
        let settings = format!(
            "[server]\nhosts = 127.0.0.1:{port}\n[auth]\ntype = none\n[web]\ntype = none\n\
             [storage]\nfilesystem_folder = {}\n",
            folder.path().join("files").display()
        );
        std::fs::write(&file, settings).expect("a file for its settings");
        let server = Command::new(server("radicale"))
            .arg("--config")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("Radicale can be started");
        let http = Client::builder().no_proxy().build().expect("a client");
        let url = format!("http://127.0.0.1:{port}");
        let calendar = Method::from_bytes(b"MKCALENDAR").expect("a method");
        until("Radicale makes a calendar", 60, || async {
            let made = http.request(calendar.clone(), format!("{url}/sync/town/"));
            let made = made.basic_auth("sync", Some("demo")).send().await.ok()?;
            made.status().is_success().then_some(())
        })
        .await;
        Self { url, http, _server: server, _folder: folder }
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    async fn ask(
        &self,
        method: Method,
        uid: &str,
        body: Option<String>,
        tag: Option<&str>,
    ) -> (StatusCode, String) {
        let mut request = self.http.request(method, format!("{}/sync/town/{uid}.ics", self.url));
        request = request.basic_auth("sync", Some("demo"));
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, HeaderValue::from_static("text/calendar")).body(body);
        }
        if let Some(tag) = tag {
            request = request.header(IF_MATCH, tag);
        }
        let answer = request.send().await.expect("Radicale answers");
        (answer.status(), answer.text().await.expect("an answer"))
    }

    /// Somebody makes an event, or gives one another title.
    pub async fn put(&self, uid: &str, title: &str) {
        let (status, said) = self.ask(Method::PUT, uid, Some(event(uid, title)), None).await;
        assert!(status.is_success(), "{status} {said}");
    }

    /// Somebody changes an event if it is this version still: what Radicale says to that.
    pub async fn put_if(&self, uid: &str, title: &str, tag: &str) -> StatusCode {
        self.ask(Method::PUT, uid, Some(event(uid, title)), Some(tag)).await.0
    }

    /// Somebody deletes an event.
    pub async fn delete(&self, uid: &str) {
        let (status, said) = self.ask(Method::DELETE, uid, None, None).await;
        assert!(status.is_success(), "{status} {said}");
    }

    /// An event's title; nothing if there is none.
    pub async fn title(&self, uid: &str) -> Option<String> {
        let (status, text) = self.ask(Method::GET, uid, None, None).await;
        let title = text.lines().find_map(|line| line.strip_prefix("SUMMARY:")).map(str::to_owned);
        title.filter(|_| status.is_success())
    }
}
