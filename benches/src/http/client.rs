//! A sender that costs as little as it can, so that what is measured is the
//! receiver: requests are made beforehand, answers are only looked at for their status.

use anyhow::{Context, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// The largest head of an answer that is expected.
const HEAD_MAX: usize = 8 * 1024;

/// Sends `requests` over `connections` connections, each of them one after the other.
/// Fails at the first answer that is not 200.
pub(super) async fn send(address: &str, requests: Vec<Vec<u8>>, connections: usize) -> anyhow::Result<()> {
    let mut shares: Vec<Vec<Vec<u8>>> = vec![Vec::new(); connections];
    for (n, request) in requests.into_iter().enumerate() {
        if let Some(share) = shares.get_mut(n % connections) {
            share.push(request);
        }
    }
    let mut tasks = JoinSet::new();
    for share in shares {
        let stream = TcpStream::connect(address).await.context("nobody listens")?;
        stream.set_nodelay(true)?;
        tasks.spawn(one_by_one(stream, share));
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

async fn one_by_one(mut stream: TcpStream, requests: Vec<Vec<u8>>) -> anyhow::Result<()> {
    let mut buffer = Vec::with_capacity(HEAD_MAX);
    for request in requests {
        stream.write_all(&request).await?;
        buffer.clear();
        answer(&mut stream, &mut buffer).await?;
    }
    Ok(())
}

/// Reads one answer to its end.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> anyhow::Result<()> {
    let head = loop {
        ensure!(stream.read_buf(buffer).await? > 0, "the connection was closed");
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        ensure!(buffer.len() < HEAD_MAX, "an answer's head has no end");
    };
    let text = String::from_utf8_lossy(buffer.get(..head).unwrap_or_default()).to_ascii_lowercase();
    if !text.starts_with("http/1.1 200") {
        bail!("answered {}", String::from_utf8_lossy(buffer));
    }
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length.context("an answer without length")?.trim().parse()?;
    while buffer.len() < head + length {
        ensure!(stream.read_buf(buffer).await? > 0, "the connection was closed");
    }
    Ok(())
}
