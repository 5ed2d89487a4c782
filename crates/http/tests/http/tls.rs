//! TLS: certificates are always judged, by the machine's authorities or our own.

use crate::sides::{connector, first, try_connector};
use serde_json::{Value as Json, json};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion, version};

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls").join(name)
}

fn certificate(name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(file(name)).unwrap()
}

/// A side with one record that shows `certificate`; answers its port.
async fn serve(
    certificate_file: &str,
    key: &str,
    asks: bool,
    versions: &[&'static SupportedProtocolVersion],
) -> u16 {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_protocol_versions(versions).unwrap();
    let builder = if asks {
        let mut authorities = RootCertStore::empty();
        authorities.add(certificate("ca.pem")).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(authorities.into(), provider);
        builder.with_client_cert_verifier(verifier.build().unwrap())
    } else {
        builder.with_no_client_auth()
    };
    let key = PrivateKeyDer::from_pem_file(file(key)).unwrap();
    let config = builder.with_single_cert(vec![certificate(certificate_file)], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut heard = [0; 4_096];
            if stream.read(&mut heard).await.is_ok_and(|n| n > 0) {
                let answer =
                    b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\nconnection: close\r\n\r\n[{\"id\":1}]";
                stream.write_all(answer).await.ok();
                stream.shutdown().await.ok();
            }
        }
    });
    port
}

fn side(port: u16, tls: Json) -> Json {
    json!({ "url": format!("https://localhost:{port}"), "tls": tls, "timeout": "5s" })
}

fn listing() -> Json {
    json!({ "read": { "path": "/p" } })
}

async fn said(port: u16, tls: Json) -> Result<usize, String> {
    let page = first(&connector(&side(port, tls), &listing())).await;
    page.map(|page| page.records.len()).map_err(|why| why.to_string())
}

#[tokio::test]
async fn an_authority_of_our_own_is_believed() {
    let port = serve("server.pem", "server.key", false, &[&version::TLS13]).await;
    assert_eq!(said(port, json!({ "ca_file": file("ca.pem") })).await, Ok(1));
    assert_eq!(said(port, json!({ "ca_file": file("ca.pem"), "min_version": "1.3" })).await, Ok(1));
}

#[tokio::test]
async fn certificates_that_are_not_right_are_refused() {
    let all = &[&version::TLS12, &version::TLS13];
    for (shown, key, word) in [
        ("expired.pem", "expired.key", "expired"),
        ("elsewhere.pem", "elsewhere.key", "not valid for"),
        ("self-signed.pem", "server.key", "certificate"),
        ("unknown.pem", "unknown.key", "UnknownIssuer"),
    ] {
        let port = serve(shown, key, false, all).await;
        let why = said(port, json!({ "ca_file": file("ca.pem") })).await.expect_err(shown);
        assert!(why.contains("cannot connect to https://localhost"), "{shown}: {why}");
        assert!(why.contains(word), "{shown}: {why}");
    }
    // Nor does the machine know our authority.
    let port = serve("server.pem", "server.key", false, all).await;
    said(port, json!({})).await.unwrap_err();
}

#[tokio::test]
async fn old_versions_are_refused() {
    let port = serve("server.pem", "server.key", false, &[&version::TLS12]).await;
    assert_eq!(said(port, json!({ "ca_file": file("ca.pem") })).await, Ok(1));
    said(port, json!({ "ca_file": file("ca.pem"), "min_version": "1.3" })).await.unwrap_err();
    // One that answers in TLS 1.1, to whatever it hears.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut heard = [0; 4_096];
            assert!(stream.read(&mut heard).await.is_ok_and(|n| n < heard.len()));
            let mut hello = vec![2, 0, 0, 38, 3, 2];
            hello.extend([7; 32]);
            hello.extend([0, 0xc0, 0x13, 0]);
            let mut record = vec![22, 3, 2, 0, u8::try_from(hello.len()).unwrap()];
            record.extend(hello);
            stream.write_all(&record).await.ok();
        }
    });
    let why = said(port, json!({ "ca_file": file("ca.pem") })).await.unwrap_err();
    assert!(why.contains("cannot connect"), "{why}");
}

#[tokio::test]
async fn who_asks_for_our_certificate_is_shown_it() {
    let port = serve("server.pem", "server.key", true, &[&version::TLS12]).await;
    let ours = json!({
        "ca_file": file("ca.pem"), "client_certificate": file("client.pem"), "client_key": file("client.key"),
    });
    assert_eq!(said(port, ours).await, Ok(1));
    said(port, json!({ "ca_file": file("ca.pem") })).await.unwrap_err();
}

#[test]
fn what_cannot_be_used_is_named() {
    for (tls, told) in [
        (json!({ "ca_file": "/nowhere/ca.pem" }), "`tls.ca_file`: /nowhere/ca.pem: No such file"),
        (json!({ "ca_file": file("README.md") }), "there is no certificate in"),
        (json!({ "client_certificate": file("client.pem") }), "`tls.client_key`: is needed"),
        (json!({ "client_key": file("client.key") }), "`tls.client_certificate`: is needed"),
        (
            json!({ "client_certificate": file("client.pem"), "client_key": file("client.pem") }),
            "there is no private key in",
        ),
        (json!({ "min_version": 1.1 }), "from `1.2` or `1.3` on, not `1.1`"),
        (json!({ "verify": false }), "unknown field `verify`"),
    ] {
        let why = try_connector(&side(1, tls), &listing()).unwrap_err();
        assert!(why.contains(told), "{why}");
    }
    let plain = json!({ "url": "http://localhost", "tls": {} });
    assert!(try_connector(&plain, &listing()).unwrap_err().contains("`tls`: goes with `https://` only"));
}
