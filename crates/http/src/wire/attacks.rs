//! Names that lead where they must not, against a listener that counts who comes.
//! Each attack has a twin that is allowed and does arrive: else the count proves nothing.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use super::dial::Lookup;
use super::{Lost, Wire};
use crate::spec::{BaseUrl, Headers, HttpSpec, Network, Span};
use http::Method;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Serves `[]` on `address`, closing after each answer; counts connections.
async fn listener(address: &str) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(address).await.unwrap();
    let (port, count) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let mut heard = [0; 4_096];
            assert!(stream.read(&mut heard).await.is_ok_and(|n| n < heard.len()));
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n[]";
            stream.write_all(answer).await.ok();
        }
    });
    (port, count)
}

/// Answers each lookup with the next of `answers`, the last for ever.
fn leads_to(answers: &[&[&str]]) -> Lookup {
    let mut answers: Vec<Vec<IpAddr>> =
        answers.iter().rev().map(|ips| ips.iter().map(|ip| ip.parse().unwrap()).collect()).collect();
    let last = answers.first().cloned().unwrap_or_default();
    let answers = Mutex::new(std::mem::take(&mut answers));
    Arc::new(move |_| {
        let next = answers.lock().unwrap().pop().unwrap_or_else(|| last.clone());
        Box::pin(async move { Ok(next) })
    })
}

fn wire(host: &str, port: u16, networks: &[&str], lookup: Lookup) -> Wire {
    let mut spec = HttpSpec::new(BaseUrl::try_new(&format!("http://{host}:{port}")).unwrap());
    spec.timeout = Span::seconds(2);
    spec.allow_networks = networks.iter().map(|text| Network::try_new(text).unwrap()).collect();
    Wire::with_lookup(&spec, lookup).unwrap()
}

async fn ask(wire: &Wire) -> Result<u16, String> {
    let url = wire.base().as_url().join("/p").unwrap();
    let request = wire.request(Method::GET, url, &Headers::default()).unwrap();
    match wire.send(request).await {
        Ok(answer) => Ok(answer.status.as_u16()),
        Err(Lost::NotSent(why) | Lost::Held(why, _)) => Err(why),
        Err(Lost::Sent(why)) => panic!("something was sent: {why}"),
    }
}

/// Names whose addresses all lead to the machine itself, or would.
#[tokio::test]
async fn no_name_leads_home() {
    let (port, came) = listener("127.0.0.1:0").await;
    let (port6, came6) = listener("[::1]:0").await;
    for addresses in [
        &["127.0.0.1"][..],
        &["127.0.0.1", "93.184.216.34"],
        &["93.184.216.34", "127.0.0.1"],
        &["0.0.0.0"],
        &["::"],
        &["::1"],
        &["::ffff:127.0.0.1"],
        &["::127.0.0.1"],
        &["64:ff9b::7f00:1"],
        &["2002:7f00:1::"],
        &["169.254.169.254", "127.0.0.1"],
    ] {
        for host in ["clerk.example", "clerk.example.", "localhost.example", "metadata.google.internal"] {
            for port in [port, port6] {
                let why = ask(&wire(host, port, &["10.0.0.0/8"], leads_to(&[addresses]))).await.unwrap_err();
                assert!(why.contains("is at"), "{host} {addresses:?}: {why}");
            }
        }
    }
    assert_eq!((came.load(Ordering::SeqCst), came6.load(Ordering::SeqCst)), (0, 0));
    let listed = wire("clerk.example", port, &["127.0.0.0/8"], leads_to(&[&["127.0.0.1"]]));
    assert_eq!((ask(&listed).await, came.load(Ordering::SeqCst)), (Ok(200), 1));
    let own = wire("localhost", port6, &[], leads_to(&[&["::1"]]));
    assert_eq!((ask(&own).await, came6.load(Ordering::SeqCst)), (Ok(200), 1));
}

/// The address that was judged is the one that is dialled, each time anew.
#[tokio::test]
async fn a_name_that_changes_its_mind_is_judged_again() {
    let (port, evil) = listener("127.0.0.1:0").await;
    let good = TcpListener::bind(("127.0.0.2", port)).await;
    let good_came = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&good_came);
    let good = good.unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = good.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let mut heard = [0; 4_096];
            assert!(stream.read(&mut heard).await.is_ok_and(|n| n < heard.len()));
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n[]")
                .await
                .ok();
        }
    });
    let lookup = leads_to(&[&["127.0.0.2"], &["127.0.0.1"]]);
    let wire = wire("clerk.example", port, &["127.0.0.2/32"], lookup);
    assert_eq!(ask(&wire).await, Ok(200));
    for _ in 0..3 {
        let why = ask(&wire).await.unwrap_err();
        assert!(why.contains("`clerk.example` is at 127.0.0.1"), "{why}");
    }
    assert_eq!((good_came.load(Ordering::SeqCst), evil.load(Ordering::SeqCst)), (1, 0));
}

/// What is written out is judged before anything is sent.
#[test]
fn addresses_in_the_config_need_their_network() {
    for (host, told) in [
        ("169.254.169.254", "never dialled"),
        ("0xa9fea9fe", "never dialled"),
        ("[::ffff:169.254.169.254]", "never dialled"),
        ("10.1.2.3", "`allow_networks: [10.1.2.3]`"),
        ("[fd00::1]", "`allow_networks: [fd00::1]`"),
    ] {
        let spec = HttpSpec::new(BaseUrl::try_new(&format!("http://{host}/")).unwrap());
        let why = Wire::new(&spec).unwrap_err();
        assert_eq!(why.key, "url");
        assert!(why.reason.contains(told), "{host}: {why}");
    }
}
