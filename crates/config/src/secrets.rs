//! Secrets that stand elsewhere: `{ file: … }` and `{ command: [ … ] }` in place of the
//! text, wherever an authenticator or a webhook has a value.
//!
//! A file is read and a command run when the config is read, each within bounds. What
//! comes out is text and nothing else, and no message shows it. A config alone runs
//! nothing: whoever starts hms-sync must allow commands in the environment.

use crate::node::{Entry, Kind, Node};
use crate::problem::{At, Problems};
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// The longest secret, in bytes. A private key has some thousand.
const MAX_BYTES: u64 = 64 * 1024;
/// The longest that a command may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The environment variable that allows commands, and its value.
const ALLOWED: (&str, &str) = ("HMS_SYNC_SECRET_COMMANDS", "allow");

type Lookup<'e> = &'e dyn Fn(&str) -> Option<String>;

/// Puts them in; what cannot be had is a problem each.
pub(crate) fn fill(root: &mut Node, env: Lookup<'_>, problems: &mut Problems<'_>) {
    for side in below(root, "sides") {
        inside(side, "authenticator", env, problems);
        if let Some(secret) = member(side, "secret") {
            each(secret, env, problems);
        }
    }
    for collection in below(root, "collections") {
        for side in below(collection, "sides") {
            inside(side, "webhook", env, problems);
        }
    }
}

/// What stands behind the keys of a map under `key`.
fn below<'n>(node: &'n mut Node, key: &str) -> impl Iterator<Item = &'n mut Node> {
    let found = member(node, key).and_then(|node| match &mut node.kind {
        Kind::Map(entries) => Some(entries),
        _ => None,
    });
    found.into_iter().flatten().map(|entry| &mut entry.value)
}

fn member<'n>(node: &'n mut Node, key: &str) -> Option<&'n mut Node> {
    match &mut node.kind {
        Kind::Map(entries) => entries.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.value),
        _ => None,
    }
}

fn inside(node: &mut Node, key: &str, env: Lookup<'_>, problems: &mut Problems<'_>) {
    let Some(Node { kind: Kind::Map(entries), .. }) = member(node, key) else { return };
    entries.iter_mut().for_each(|entry| each(&mut entry.value, env, problems));
}

fn each(node: &mut Node, env: Lookup<'_>, problems: &mut Problems<'_>) {
    let at = node.at;
    let found = match &mut node.kind {
        Kind::Map(entries) => match source(entries) {
            Some(source) => source.read(env),
            None => return entries.iter_mut().for_each(|entry| each(&mut entry.value, env, problems)),
        },
        Kind::List(nodes) => return nodes.iter_mut().for_each(|node| each(node, env, problems)),
        _ => return,
    };
    node.kind = match found {
        Ok(secret) => {
            problems.hide("secret", &secret);
            Kind::Text(secret)
        }
        Err(why) => {
            why.tell(at, problems);
            Kind::Spoilt
        }
    };
}

/// Where a secret stands.
enum Source {
    File(String),
    Command(Vec<String>),
    Unclear(&'static str),
}

/// Why it cannot be had, and what to do.
struct Refusal {
    why: String,
    hint: Option<String>,
}

impl Refusal {
    fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), hint: None }
    }

    fn tell(self, at: At, problems: &mut Problems<'_>) {
        problems.push(at, self.why, self.hint);
    }
}

fn source(entries: &[Entry]) -> Option<Source> {
    let [entry] = entries else { return None };
    match (entry.key.as_str(), &entry.value.kind) {
        ("file", Kind::Text(path)) => Some(Source::File(path.clone())),
        ("file", _) => Some(Source::Unclear("`file` is the path of a file")),
        ("command", Kind::List(words)) => {
            let words: Option<Vec<String>> = words.iter().map(text).collect();
            let words = words.filter(|words| !words.is_empty());
            Some(words.map_or(Source::Unclear("`command` is a list of texts"), Source::Command))
        }
        ("command", _) => Some(Source::Unclear("`command` is a list: the program and its arguments")),
        _ => None,
    }
}

fn text(node: &Node) -> Option<String> {
    match &node.kind {
        Kind::Text(text) => Some(text.clone()),
        Kind::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

impl Source {
    fn read(self, env: Lookup<'_>) -> Result<String, Refusal> {
        match self {
            Self::Unclear(why) => Err(Refusal::new(why)),
            Self::File(path) => {
                let bytes = from_file(Path::new(&path));
                secret(
                    bytes.map_err(|why| format!("the secret in `{path:.200}` cannot be read: {why}")),
                    &path,
                )
            }
            Self::Command(words) => {
                if env(ALLOWED.0).as_deref() != Some(ALLOWED.1) {
                    let why = "commands that print secrets are run only where that is allowed".to_owned();
                    let hint = Some(format!("set {}={} for who starts hms-sync", ALLOWED.0, ALLOWED.1));
                    return Err(Refusal { why, hint });
                }
                let program = words.first().cloned().unwrap_or_default();
                let bytes = from_command(&words);
                secret(
                    bytes.map_err(|why| format!("`{program:.200}`, which prints a secret, {why}")),
                    &program,
                )
            }
        }
    }
}

/// Text without the line's end behind it.
fn secret(bytes: Result<Vec<u8>, String>, from: &str) -> Result<String, Refusal> {
    let bytes = bytes.map_err(Refusal::new)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Refusal::new(format!("the secret from `{from:.200}` is longer than {MAX_BYTES} bytes")));
    }
    let text = String::from_utf8(bytes).map_err(|_| Refusal::new(format!("`{from:.200}` holds no text")))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(Refusal::new(format!("there is nothing in `{from:.200}`")));
    }
    Ok(text.to_owned())
}

fn from_file(path: &Path) -> Result<Vec<u8>, std::io::Error> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Runs it without a shell, without input, and without showing what it says beside.
fn from_command(words: &[String]) -> Result<Vec<u8>, String> {
    let (program, arguments) = words.split_first().ok_or("is nothing")?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|why| format!("cannot be run: {why}"))?;
    let ended = heard(&mut child);
    if ended.is_err() {
        // It may have ended meanwhile.
        child.kill().and_then(|()| child.wait()).ok();
    }
    ended
}

fn heard(child: &mut Child) -> Result<Vec<u8>, String> {
    let too_long = || format!("did not end within {} s", PATIENCE.as_secs());
    let until = Instant::now() + PATIENCE;
    let out = child.stdout.take().ok_or("has no output")?;
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = out.take(MAX_BYTES + 1).read_to_end(&mut bytes).map(|_| bytes);
        // Nobody listens any more if it took too long.
        tell.send(read).ok();
    });
    let read = told.recv_timeout(PATIENCE).map_err(|_| too_long())?;
    let bytes = read.map_err(|why| format!("cannot be listened to: {why}"))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("says more than {MAX_BYTES} bytes"));
    }
    loop {
        match child.try_wait().map_err(|why| why.to_string())? {
            Some(status) if status.success() => return Ok(bytes),
            Some(status) => return Err(format!("ended with {status}")),
            None if Instant::now() > until => return Err(too_long()),
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}
