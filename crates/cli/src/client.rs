//! Asks the process that runs the sync. The token is shown only to a process
//! that first shows itself to be the one which wrote the access file.

use crate::exit::{Exit, Failure, in_one_line};
use crate::source::failure;
use bytes::Bytes;
use hms_sync_management::{Access, name_fits};
use reqwest::{Client as Http, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long the process may take to say that it is there.
const HELLO_PATIENCE: Duration = Duration::from_secs(3);
/// What it says then, at most, in bytes.
const HELLO_MAX: usize = 4 << 10;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_mins(1);
/// The largest answer that is taken in, in bytes.
const ANSWER_MAX: usize = 256 << 20;

/// How long an answer of any length is waited for. It reads the whole log, as a verification does.
const STREAM: Waits = Waits { idle: Duration::from_mins(5), whole: Duration::from_hours(24) };

/// The longest address that is asked for, in bytes.
const URL_BYTES_MAX: usize = 28 << 10;

/// A way to ask a running sync.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: Http,
    access: Access,
}

impl Client {
    /// The process that wrote `access`, if it is still there.
    pub(crate) async fn reach(access: Access) -> Option<Self> {
        let http = Http::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().ok()?;
        let hello = http.get(format!("{}/healthz", access.url)).timeout(HELLO_PATIENCE).send().await.ok()?;
        // Who answers there is not known yet.
        let hello = body_of(hello, HELLO_MAX).await.ok()??;
        let hello: Json = serde_json::from_slice(&hello).ok()?;
        let same = hello.get("instance").and_then(Json::as_str) == Some(access.instance.as_str());
        same.then_some(Self { http, access })
    }

    /// Where and who it is.
    pub(crate) fn access(&self) -> &Access {
        &self.access
    }

    /// Asks a question.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, Failure> {
        self.get_within(path, query, PATIENCE).await
    }

    /// Asks a question whose answer may take its time.
    pub(crate) async fn get_within<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        patience: Duration,
    ) -> Result<T, Failure> {
        let request = self.http.get(self.url(path, query)?).bearer_auth(&self.access.token).timeout(patience);
        read(request.send().await).await
    }

    /// Asks for an answer of any length, piece by piece.
    pub(crate) async fn stream(&self, path: &str, query: &[(&str, &str)]) -> Result<Pieces, Failure> {
        let request = self.http.get(self.url(path, query)?).bearer_auth(&self.access.token);
        let Ok(answer) = timeout(STREAM.idle, request.send()).await else { return Err(STREAM.silent()) };
        match answer {
            Ok(answer) if answer.status().is_success() => Ok(Pieces::new(answer, STREAM)),
            other => match timeout(PATIENCE, read::<Json>(other)).await {
                Ok(Err(why)) => Err(why),
                Ok(Ok(_)) => Err(Failure::new(Exit::Failed, "the running sync gives no such answer")),
                Err(_) => Err(STREAM.silent()),
            },
        }
    }

    fn url(&self, path: &str, query: &[(&str, &str)]) -> Result<reqwest::Url, Failure> {
        let mut url = reqwest::Url::parse(&format!("{}{path}", self.access.url))
            .map_err(|why| Failure::new(Exit::Failed, format!("the access file's address is none: {why}")))?;
        for (_, name) in query.iter().filter(|(key, _)| matches!(*key, "name" | "record")) {
            name_fits(name).map_err(failure)?;
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let bytes = url.as_str().len();
        if bytes > URL_BYTES_MAX {
            let error = format!("the question takes {bytes} bytes, the running sync reads {URL_BYTES_MAX}");
            return Err(Failure::new(Exit::Failed, error).hint("ask for less at once"));
        }
        Ok(url)
    }

    /// Asks for something to be done.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        let url = format!("{}{path}", self.access.url);
        let request = self.http.post(url).bearer_auth(&self.access.token).timeout(PATIENCE).json(body);
        read(request.send().await).await
    }
}

/// How long an answer is waited for that comes piece by piece.
#[derive(Debug, Clone, Copy)]
struct Waits {
    /// From one piece to the next.
    idle: Duration,
    /// From the first to the end.
    whole: Duration,
}

impl Waits {
    fn silent(self) -> Failure {
        let idle = humantime::format_duration(self.idle);
        let error = format!("the export broke off: the running sync sent nothing for {idle}");
        Failure::new(Exit::Failed, error).hint("see whether its process is still there")
    }

    fn endless(self) -> Failure {
        let whole = humantime::format_duration(self.whole);
        let error = format!("the export broke off: it was not at its end after {whole}");
        Failure::new(Exit::Failed, error)
            .hint("ask for less at once, or stop the sync and export from its log")
    }
}

/// An answer of any length, on its way. Who sends nothing is not waited for, nor who never ends.
#[derive(Debug)]
pub(crate) struct Pieces {
    answer: Response,
    waits: Waits,
    ends: Instant,
}

impl Pieces {
    fn new(answer: Response, waits: Waits) -> Self {
        Self { answer, waits, ends: Instant::now() + waits.whole }
    }

    /// The next piece, or nothing at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        let left = self.ends.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(self.waits.endless());
        }
        match timeout(self.waits.idle.min(left), self.answer.chunk()).await {
            Ok(Ok(piece)) => Ok(piece),
            Ok(Err(why)) => {
                let error = format!("the export broke off: {}", in_one_line(&why));
                Err(Failure::new(Exit::Failed, error))
            }
            Err(_) if left <= self.waits.idle => Err(self.waits.endless()),
            Err(_) => Err(self.waits.silent()),
        }
    }
}

/// What an answer says; nothing if that is more than `most` bytes.
async fn body_of(mut answer: Response, most: usize) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if chunk.len() > most.saturating_sub(body.len()) {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

async fn read<T: DeserializeOwned>(answer: Result<Response, reqwest::Error>) -> Result<T, Failure> {
    let broken = |why: reqwest::Error| {
        let error = format!("the running sync does not answer: {}", in_one_line(&why));
        Failure::new(Exit::Failed, error).hint("see whether its process is still there")
    };
    let answer = answer.map_err(broken)?;
    let status = answer.status();
    let Some(body) = body_of(answer, ANSWER_MAX).await.map_err(broken)? else {
        return Err(Failure::new(Exit::Failed, "the answer is too large"));
    };
    let unreadable =
        |why: serde_json::Error| Failure::new(Exit::Failed, format!("the answer cannot be read: {why}"));
    if status.is_success() {
        return serde_json::from_slice(&body).map_err(unreadable);
    }
    let words: Json = serde_json::from_slice(&body).map_err(unreadable)?;
    let word = |key: &str| words.get(key).and_then(Json::as_str).map(str::to_owned);
    let error = word("error").unwrap_or_else(|| format!("the running sync answered {status}"));
    Err(Failure { exit: Exit::Failed, error, hint: word("hint") })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::{Client, Pieces, Waits};
    use futures_util::{Stream, StreamExt, stream};
    use hms_sync_management::Access;
    use reqwest::{Body, Response};
    use std::convert::Infallible;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::time::{Duration, Instant};

    /// What is asked, to the end of its head.
    fn question(stream: &mut TcpStream) -> String {
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            asked.push(byte[0]);
        }
        String::from_utf8(asked).unwrap()
    }

    /// Answers one question with `body`, and goes on with spaces for as long as they are taken,
    /// up to `most`. Answers how many there were.
    fn talker(listener: &TcpListener, body: &str, most: usize) -> usize {
        let (mut stream, _) = listener.accept().unwrap();
        question(&mut stream);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len() + most);
        stream.write_all(head.as_bytes()).unwrap();
        let (piece, mut told) = ([b' '; 16 << 10], 0);
        while told < most {
            match stream.write(piece.get(..(most - told).min(piece.len())).unwrap()) {
                Ok(taken) => told += taken,
                Err(_) => break,
            }
        }
        told
    }

    fn reach(most: usize) -> (bool, usize) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let access = Access { url, token: "t".into(), pid: 7, instance: "i".into() };
        let talker = std::thread::spawn(move || talker(&listener, r#"{"instance":"i"}"#, most));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let reached = runtime.block_on(Client::reach(access));
        let is_there = reached.is_some();
        drop((reached, runtime));
        (is_there, talker.join().unwrap())
    }

    #[test]
    fn who_does_not_stop_talking_is_not_listened_to() {
        assert_eq!(reach(100), (true, 100));
        let (is_there, told) = reach(1 << 30);
        assert!(!is_there);
        // What fits into the buffers of a connection.
        assert!(told < 64 << 20, "{told} bytes were taken");
    }

    /// Whoever has the port since: it is asked who it is, and nothing else.
    fn stranger(answer: String) -> (bool, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let access = Access { url, token: "hush".into(), pid: 7, instance: "i".into() };
        let stranger = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut heard = question(&mut stream);
            stream.write_all(answer.as_bytes()).unwrap();
            // Until the one who asks has gone.
            let _gone = stream.read_to_string(&mut heard);
            heard
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let is_there = runtime.block_on(Client::reach(access)).is_some();
        drop(runtime);
        (is_there, stranger.join().unwrap())
    }

    #[test]
    fn the_token_is_not_shown_to_another_process() {
        let said = |body: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        for body in
            [r#"{"instance":"j"}"#, r#"{"sync":"running"}"#, r#"{"instance":null}"#, "[]", "<html>", ""]
        {
            let (is_there, heard) = stranger(said(body));
            assert!(!is_there, "{body}");
            assert!(heard.starts_with("GET /healthz ") && !heard.contains("hush"), "{heard}");
        }
    }

    #[test]
    fn nobody_is_asked_whom_the_answer_names() {
        let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
        elsewhere.set_nonblocking(true).unwrap();
        let to = elsewhere.local_addr().unwrap();
        let (is_there, _) =
            stranger(format!("HTTP/1.1 302 Found\r\nLocation: http://{to}/\r\nContent-Length: 0\r\n\r\n"));
        assert!(!is_there);
        assert!(elsewhere.accept().is_err(), "it was asked");
    }

    type Piece = Result<&'static str, Infallible>;

    /// Reads what is sent to its end, or to the error; answers with both, and how many pieces came.
    fn taken(
        sent: impl Stream<Item = Piece> + Send + Sync + 'static,
        idle: Duration,
        whole: Duration,
    ) -> (usize, Option<String>) {
        let answer = Response::from(http::Response::new(Body::wrap_stream(sent)));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (mut pieces, mut many) = (Pieces::new(answer, Waits { idle, whole }), 0);
            loop {
                match pieces.next().await {
                    Ok(Some(_)) => many += 1,
                    Ok(None) => return (many, None),
                    Err(why) => return (many, Some(why.error)),
                }
            }
        })
    }

    const SHORT: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_hours(1);

    #[test]
    fn an_answer_in_pieces_is_read_to_its_end() {
        let sent = stream::iter(["a", "b"].map(Ok));
        assert_eq!(taken(sent, SHORT, LONG), (2, None));
    }

    #[test]
    fn who_falls_silent_in_an_answer_is_not_waited_for() {
        let silent = || stream::iter([Ok("a")]).chain(stream::pending());
        let said = |words: &str| (1, Some(format!("the export broke off: {words}")));
        assert_eq!(taken(silent(), SHORT, LONG), said("the running sync sent nothing for 50ms"));
        assert_eq!(taken(silent(), LONG, SHORT), said("it was not at its end after 50ms"));
    }

    /// A piece is always there, so it is never silent.
    #[test]
    fn who_never_comes_to_an_end_is_not_listened_to() {
        let began = Instant::now();
        let (many, why) = taken(stream::repeat(Ok("a")), LONG, SHORT);
        assert_eq!(why.as_deref(), Some("the export broke off: it was not at its end after 50ms"));
        assert!(many > 0 && began.elapsed() >= SHORT, "{many}");
    }
}
