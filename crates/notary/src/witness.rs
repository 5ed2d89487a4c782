//! Asking witnesses (C2SP tlog-witness, `add-checkpoint`): each is shown the checkpoint
//! and that it continues what that witness saw last, and answers with its signature.
//!
//! What never happens here: waiting long, reading much, or believing a signature that is
//! not the configured key's. A witness that is away, slow or lying changes nothing but
//! its line in `status`.

use crate::error::NotaryError;
use crate::notary::{Notary, Signed, WitnessStatus};
use crate::settings::WitnessSettings;
use hms_sync_changelog::Log;
use hms_sync_proof::{Checkpoint, NoteSignature, Trust};
use std::time::Duration;

/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 16 << 10;

/// What a witness answered.
enum Answer {
    Lines(String),
    /// It has seen a checkpoint of this size.
    Conflict(u64),
}

/// A client for all witnesses: no proxy, no redirects.
pub(crate) fn client(patience: Duration) -> Result<reqwest::Client, reqwest::Error> {
    let none = reqwest::redirect::Policy::none();
    reqwest::Client::builder().no_proxy().redirect(none).timeout(patience).build()
}

/// Shows a checkpoint to all witnesses at once, and keeps it with their signatures.
pub(crate) async fn ask_all(notary: &Notary, log: &Log, http: &reqwest::Client, signed: Signed) {
    let witnesses = notary.settings().witnesses.iter().enumerate();
    let asked = futures_util::future::join_all(witnesses.map(|(n, witness)| {
        let signed = &signed;
        async move { (n, ask(notary, log, http, n, witness, signed).await) }
    }));
    let (mut cosigned, mut some) = (signed.clone(), false);
    for (n, said) in asked.await {
        let (size, trouble) = match said {
            Ok(line) => match cosigned.note.add(line) {
                Ok(()) => (Some(signed.head.size), None),
                Err(why) => (None, Some(why.to_string())),
            },
            Err(why) => (None, Some(why)),
        };
        some |= size.is_some();
        if let Some(why) = &trouble {
            tracing::warn!(witness = n, why, "a witness did not sign the checkpoint");
        }
        if let Some(witness) = notary.state().witnesses.get_mut(n) {
            (witness.size, witness.trouble) = (size.or(witness.size), trouble);
        }
    }
    if some {
        let (notary, kept) = (notary.clone(), cosigned);
        let kept = tokio::task::spawn_blocking(move || notary.keep_cosigned(&kept)).await;
        if let Ok(Err(why)) = kept {
            tracing::warn!(why = why.in_one_line(), "cosignatures could not be kept");
        }
    }
}

/// One witness's signature, or why there is none.
async fn ask(
    notary: &Notary,
    log: &Log,
    http: &reqwest::Client,
    n: usize,
    witness: &WitnessSettings,
    signed: &Signed,
) -> Result<NoteSignature, String> {
    let seen = notary.state().witnesses.get(n).and_then(|WitnessStatus { size, .. }| *size).unwrap_or(0);
    match show(log, http, witness, signed, seen.min(signed.head.size)).await? {
        Answer::Lines(lines) => believed(notary, witness, signed, &lines),
        // It knows better what it has seen; once.
        Answer::Conflict(size) if size > signed.head.size => {
            Err(format!("it says that it has seen {size} entries, more than there are"))
        }
        Answer::Conflict(size) => match show(log, http, witness, signed, size).await? {
            Answer::Lines(lines) => believed(notary, witness, signed, &lines),
            Answer::Conflict(_) => Err("it does not say twice the same of what it has seen".to_owned()),
        },
    }
}

/// The request of tlog-witness: the size it has seen, the proof from there, the note.
async fn show(
    log: &Log,
    http: &reqwest::Client,
    witness: &WitnessSettings,
    signed: &Signed,
    seen: u64,
) -> Result<Answer, String> {
    let (log, size) = (log.clone(), signed.head.size);
    let proof = tokio::task::spawn_blocking(move || log.consistency(seen, size)).await;
    let proof = proof.map_err(|why| why.to_string())?.map_err(|why| why.to_string())?;
    let head = [format!("old {seen}")];
    let lines: Vec<String> = head.into_iter().chain(proof.path.iter().map(ToString::to_string)).collect();
    let body = format!("{}\n\n{}", lines.join("\n"), signed.note);
    let url = format!("{}/add-checkpoint", witness.url.trim_end_matches('/'));
    let sent = http.post(url).body(body).send().await.map_err(|why| words(&why))?;
    let status = sent.status();
    let answer = read(sent).await?;
    match status.as_u16() {
        200 => Ok(Answer::Lines(answer)),
        409 => match answer.trim_end().parse() {
            Ok(size) => Ok(Answer::Conflict(size)),
            Err(_) => Err("it answered 409 without the size it has seen".to_owned()),
        },
        403 => Err("it does not know the log's key (403)".to_owned()),
        404 => Err("it does not know the log (404)".to_owned()),
        422 => Err("it takes the consistency proof for a wrong one (422)".to_owned()),
        other => Err(format!("it answered {other}")),
    }
}

/// An answer of bounded size.
async fn read(mut answer: reqwest::Response) -> Result<String, String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|why| words(&why))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > ANSWER_BYTES_MAX {
            return Err("its answer is too large".to_owned());
        }
    }
    String::from_utf8(bytes).map_err(|_| "its answer is not text".to_owned())
}

/// The one line that is the witness's own signature of this checkpoint.
fn believed(
    notary: &Notary,
    witness: &WitnessSettings,
    signed: &Signed,
    lines: &str,
) -> Result<NoteSignature, String> {
    let wrong = |why: &dyn std::fmt::Display| format!("its answer is not to be believed: {why}");
    let keys = notary.keys();
    let origin = keys.first().ok_or("the log has no key")?.name().to_string();
    let trust = Trust::new(&origin, keys, [witness.key.clone()]).map_err(|why| wrong(&why))?;
    let checkpoint = Checkpoint::new(&origin, signed.head).map_err(|why| wrong(&why))?;
    for line in NoteSignature::parse_lines(lines).map_err(|why| wrong(&why))? {
        if trust.cosignature(&checkpoint, &line).map_err(|why| wrong(&why))?.is_some() {
            return Ok(line);
        }
    }
    Err("its answer has no signature of the configured key".to_owned())
}

fn words(why: &reqwest::Error) -> String {
    let (mut words, mut cause) = (why.to_string(), std::error::Error::source(why));
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}

impl From<reqwest::Error> for NotaryError {
    fn from(why: reqwest::Error) -> Self {
        let source = std::io::Error::other(words(&why));
        Self::Io { doing: "make a client for", path: "witnesses".into(), source }
    }
}
