//! The routes for auditors. An export is sent while it is made, one at a time.
//!
//! What never happens here: a whole export in memory, or waiting for ever for who reads it.

use super::{Answer, Ask, asked, told};
use crate::audit::ExportAsk;
use crate::body::{Refusal, in_one_line};
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::response::Response;
use bytes::Bytes;
use hms_sync_notary::NotaryStatus;
use http::StatusCode;
use serde::Deserialize;
use std::io::{self, Write};
use std::time::Duration;
use tokio::sync::mpsc;

/// Bytes sent in one piece.
const PIECE_BYTES: usize = 64 << 10;
/// Pieces that wait for the reader.
const PIECES: usize = 8;
/// How long a reader may take nothing.
const PATIENCE: Duration = Duration::from_mins(1);

type Piece = Result<Bytes, io::Error>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Why {
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewOrigin {
    reason: String,
    origin: Option<String>,
}

pub(super) async fn checkpoint(State(room): Ask) -> Answer<crate::CheckpointReport> {
    super::in_time(&room, room.desk.checkpoint()).await
}

pub(super) async fn rotate_key(State(room): Ask, request: Request) -> Answer<NotaryStatus> {
    let Why { reason } = told(&room, request).await?;
    super::in_time(&room, room.desk.rotate_key(&reason)).await
}

pub(super) async fn new_origin(State(room): Ask, request: Request) -> Answer<NotaryStatus> {
    let NewOrigin { reason, origin } = told(&room, request).await?;
    super::in_time(&room, room.desk.new_origin(origin.as_deref(), &reason)).await
}

pub(super) async fn export(
    State(room): Ask,
    query: Result<Query<ExportAsk>, QueryRejection>,
) -> Result<Response, Refusal> {
    let ask = asked(query)?;
    let (send, mut pieces) = mpsc::channel::<Piece>(PIECES);
    let (desk, out) = (room.desk.clone(), Pieces { send: send.clone(), piece: Vec::new() });
    tokio::spawn(async move {
        let Ok(_one) = room.exporting.try_lock() else {
            return drop(send.send(Err(io::Error::other("an export is being made already"))).await);
        };
        if let Err(why) = desk.export(&ask, out).await {
            let words = in_one_line(&why);
            // Who has gone needs no answer.
            drop(send.send(Err(io::Error::other(words))).await);
        }
    });
    // What fails before the first piece is an answer in words.
    let first = match pieces.recv().await {
        Some(Ok(first)) => first,
        Some(Err(why)) => {
            let hint = "`hms-sync status FILE` shows how it stands with checkpoints";
            return Err(Refusal::new(StatusCode::CONFLICT, why.to_string(), hint));
        }
        None => Bytes::new(),
    };
    let first = futures_util::stream::iter([Ok::<_, io::Error>(first)]);
    let rest =
        futures_util::stream::unfold(
            pieces,
            |mut pieces| async move { Some((pieces.recv().await?, pieces)) },
        );
    let body = Body::from_stream(futures_util::StreamExt::chain(first, rest));
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/x-ndjson"));
    Ok(response)
}

/// Cuts what is written into pieces, and waits while the reader is behind.
struct Pieces {
    send: mpsc::Sender<Piece>,
    piece: Vec<u8>,
}

impl Pieces {
    fn hand_on(&mut self) -> io::Result<()> {
        let piece = Bytes::from(std::mem::take(&mut self.piece));
        let gone = || io::Error::new(io::ErrorKind::BrokenPipe, "nobody reads the export any more");
        let send = self.send.send_timeout(Ok(piece), PATIENCE);
        tokio::runtime::Handle::current().block_on(send).map_err(|_| gone())
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE_BYTES {
            self.hand_on()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() { Ok(()) } else { self.hand_on() }
    }
}
