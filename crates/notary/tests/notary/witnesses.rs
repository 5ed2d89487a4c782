//! Witnesses, good and bad: their signatures are kept where they are right, their trouble
//! is told where not, and the log is signed and let go of all the same.

use crate::common::{Office, settings};
use hms_sync_notary::{Settings, WitnessSettings, begin};
use hms_sync_proof::{Checkpoint, Signer, SigningKey, Trust};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn signer(seed: u8) -> Signer {
    Signer::new("witness.example/w".parse().unwrap(), SigningKey::from_seed(&[seed; 32]))
}

/// What a witness does with the n-th request: what it is asked, and the answer's status and
/// body; nothing for no answer at all.
type Answers = dyn Fn(usize, &str) -> Option<(u16, String)> + Send + Sync;

struct Double {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

async fn double(answer: impl Fn(usize, &str) -> Option<(u16, String)> + Send + Sync + 'static) -> Double {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (heard, answer): (_, Arc<Answers>) = (Arc::clone(&asked), Arc::new(answer));
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (heard, answer) = (Arc::clone(&heard), Arc::clone(&answer));
            tokio::spawn(async move {
                let mut bytes = Vec::new();
                let body = loop {
                    let mut some = [0; 4_096];
                    let n = stream.read(&mut some).await.unwrap();
                    bytes.extend_from_slice(&some[..n]);
                    let text = String::from_utf8(bytes.clone()).unwrap();
                    if let Some((head, body)) = text.split_once("\r\n\r\n") {
                        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                        if body.len() == length.unwrap().parse::<usize>().unwrap() {
                            assert!(head.starts_with("POST /add-checkpoint HTTP/1.1"));
                            break body.to_owned();
                        }
                    }
                };
                let n = {
                    let mut heard = heard.lock().unwrap();
                    heard.push(body.clone());
                    heard.len()
                };
                match answer(n, &body) {
                    Some((status, body)) => {
                        let head = format!(
                            "HTTP/1.1 {status} .\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                            body.len()
                        );
                        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
                    }
                    None => std::future::pending().await,
                }
            });
        }
    });
    Double { url, asked }
}

/// The signature that an honest witness gives.
fn honest(seed: u8, asked: &str) -> String {
    let (_, note) = asked.split_once("\n\n").unwrap();
    let (text, _) = note.split_once("\n\n").unwrap();
    let checkpoint: Checkpoint = format!("{text}\n").parse().unwrap();
    format!("{}\n", signer(seed).cosign(&checkpoint, 1_700_000_000).unwrap())
}

fn asking(url: &str, patience: Duration) -> Settings {
    let witness = WitnessSettings { key: signer(7).cosigner_key(), url: url.to_owned() };
    Settings { witnesses: vec![witness], witness_patience: patience, every: Duration::ZERO, ..settings() }
}

/// Runs the task until `done`, and answers the status then.
async fn run(
    office: &Office,
    mut done: impl FnMut(&hms_sync_notary::NotaryStatus) -> bool,
) -> hms_sync_notary::NotaryStatus {
    let signing = begin(office.notary.clone(), office.log.clone());
    let found = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            let status = office.notary.status();
            if done(&status) {
                return status;
            }
            tokio::task::yield_now().await;
        }
    });
    let status = found.await.unwrap();
    signing.stop().await;
    status
}

#[tokio::test]
async fn a_good_witness_signs_what_continues_what_it_saw() {
    let double = double(|_, asked| Some((200, honest(7, asked)))).await;
    let office = Office::with(asking(&double.url, Duration::from_secs(10)));
    office.grow(10, "words");
    for grown in [0, 30] {
        office.grow(grown, "words");
        let size = office.log.head();
        let status = run(&office, |status| status.witnesses[0].size == Some(size)).await;
        assert_eq!((status.trouble, status.witnesses[0].trouble.clone()), (None, None));
        let shown = std::fs::read(office.file("checkpoint")).unwrap();
        let trust =
            Trust::new("log.example/permits", office.notary.keys(), [signer(7).cosigner_key()]).unwrap();
        let opened = trust.open(&shown).unwrap();
        assert_eq!((opened.witnesses().len(), opened.checkpoint().head().size), (1, size));
    }
    let asked = double.asked.lock().unwrap().clone();
    assert!(asked[0].starts_with("old 0\n\n") && asked.last().unwrap().starts_with("old 11\n"), "{asked:?}");
    let disk = office.disk.clone();
    office
        .again(disk)
        .notary
        .sign(&hms_sync_changelog::Log::on(hms_sync_changelog::MemoryDisk::new()).unwrap())
        .unwrap_err();
}

#[tokio::test]
async fn one_that_has_seen_more_says_so_and_is_shown_from_there() {
    let double = double(|n, asked| match n {
        1 => Some((409, "5\n".to_owned())),
        _ => Some((200, honest(7, asked))),
    })
    .await;
    let office = Office::with(asking(&double.url, Duration::from_secs(10)));
    office.grow(10, "words");
    run(&office, |status| status.witnesses[0].size == Some(11)).await;
    let asked = double.asked.lock().unwrap().clone();
    assert!(asked[1].starts_with("old 5\n"));
    let proof: Vec<_> = asked[1]
        .lines()
        .skip(1)
        .take_while(|line| !line.is_empty())
        .map(|line| line.parse().unwrap())
        .collect();
    let proof = hms_sync_proof::ConsistencyProof { path: proof };
    proof.verify(&office.log.prover().head(5).unwrap(), &office.log.tree_head()).unwrap();
}

#[tokio::test]
async fn a_bad_witness_changes_nothing_and_is_told() {
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}", dead.local_addr().unwrap());
    drop(dead);
    let huge = "x".repeat(1 << 20);
    let cases: Vec<(&str, String)> = vec![
        ("does not know the log's key", double(|_, _| Some((403, String::new()))).await.url),
        ("does not know the log (404)", double(|_, _| Some((404, String::new()))).await.url),
        ("takes the consistency proof", double(|_, _| Some((422, String::new()))).await.url),
        ("without the size", double(|_, _| Some((409, "many".into()))).await.url),
        ("more than there are", double(|_, _| Some((409, "999".into()))).await.url),
        ("does not say twice the same", double(|_, _| Some((409, "3".into()))).await.url),
        ("it answered 500", double(|_, _| Some((500, String::new()))).await.url),
        ("it answered 302", double(|_, _| Some((302, String::new()))).await.url),
        ("not to be believed", double(|_, _| Some((200, "thanks".into()))).await.url),
        // Of another key with the same name; and of another checkpoint.
        ("no signature of the configured key", double(|_, asked| Some((200, honest(8, asked)))).await.url),
        (
            "not to be believed",
            double(|_, asked| Some((200, honest(7, &asked.replace("\n11\n", "\n12\n"))))).await.url,
        ),
        ("too large", double(move |_, _| Some((200, huge.clone()))).await.url),
        ("timed out", double(|_, _| None).await.url),
        ("error sending request", nobody),
    ];
    for (words, url) in cases {
        let office = Office::with(asking(&url, Duration::from_millis(400)));
        office.grow(10, "words");
        let status = run(&office, |status| status.witnesses[0].trouble.is_some()).await;
        let said = status.witnesses[0].trouble.clone().unwrap();
        assert!(said.contains(words), "{words}: {said}");
        assert_eq!((status.size, status.trouble, status.witnesses[0].size), (Some(11), None, None));
        let shown = std::fs::read_to_string(office.file("checkpoint")).unwrap();
        assert_eq!(shown.matches("\u{2014} ").count(), 1, "only the log's own signature");
    }
}
