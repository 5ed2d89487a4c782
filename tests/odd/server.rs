//! HTTP as an API speaks it on a bad day: answers are written byte by byte as told, so that
//! they can break off, lie about their length, or come slowly.

use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A request, taken apart.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// How an answer is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Delivery {
    #[default]
    Whole,
    /// Piece by piece.
    Drip,
    /// The connection breaks in the middle of the body.
    Cut,
    /// The connection breaks before anything is said.
    Nothing,
    /// `Content-Length` says more than comes.
    SaysMore,
    /// `Content-Length` says less than there is.
    SaysLess,
}

/// An answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) delivery: Delivery,
}

/// A server that asks `answer` what to say. It ends with this.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) url: String,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) async fn start(answer: Arc<dyn Fn(Asked) -> Said + Send + Sync>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(connection(stream, Arc::clone(&answer)));
                while connections.try_join_next().is_some() {}
            }
        });
        Self { url, task }
    }
}

/// A connection that broke, or was broken, just ends.
async fn connection(stream: TcpStream, answer: Arc<dyn Fn(Asked) -> Said + Send + Sync>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut stream = BufReader::new(stream);
    loop {
        let asked = asked(&mut stream).await?;
        let said = answer(asked);
        say(stream.get_mut(), &said).await?;
    }
}

async fn asked(stream: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    let url = reqwest::Url::parse(&format!("http://here{target}")).ok()?;
    let query = url.query_pairs().into_owned().collect();
    let path = url.path().to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Asked { method, path, query, headers, body })
}

/// Nothing once the connection is to be closed.
async fn say(stream: &mut TcpStream, said: &Said) -> Option<()> {
    let body = &said.body;
    let (length, sent) = match said.delivery {
        Delivery::Nothing => return None,
        Delivery::Whole | Delivery::Drip => (body.len(), body.len()),
        Delivery::Cut => (body.len(), body.len() / 2),
        Delivery::SaysMore => (body.len() + 7, body.len()),
        Delivery::SaysLess => (body.len() * 2 / 3, body.len()),
    };
    let mut bytes = format!("HTTP/1.1 {} As Told\r\ncontent-length: {length}\r\n", said.status).into_bytes();
    for (name, value) in &said.headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body.get(..sent)?);
    let piece = if said.delivery == Delivery::Drip { bytes.len() / 5 + 1 } else { bytes.len() };
    for part in bytes.chunks(piece) {
        stream.write_all(part).await.ok()?;
        tokio::task::yield_now().await;
    }
    matches!(said.delivery, Delivery::Whole | Delivery::Drip).then_some(())
}
