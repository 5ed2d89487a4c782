//! The client that all requests of a side go through: guarded, verified, following
//! nothing, believing no proxy.

use super::answer::Lost;
use super::body;
use super::dial::{Guard, Lookup, Resolver};
use super::identity::same_origin;
use crate::error::SpecError;
use crate::spec::{BaseUrl, HttpSpec, TlsSpec, TlsVersion};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use reqwest::{Certificate, ClientBuilder, Identity, tls};
use std::error::Error;
use std::path::Path;
use std::time::Duration;
use url::Url;

/// A key or a certificate has some thousand bytes; a machine's authorities some hundred thousand.
const PEM_MAX: u64 = 4 << 20;

/// Sends requests and reads what comes back, to a bound.
#[derive(Debug)]
pub(crate) struct Asker {
    client: reqwest::Client,
    body_max: usize,
    timeout: Duration,
}

impl Asker {
    /// For all `origins` that are ever asked.
    pub(crate) fn new(
        spec: &HttpSpec,
        origins: &[(&'static str, &Url)],
        lookup: Lookup,
    ) -> Result<Self, SpecError> {
        let client = build(spec, origins, lookup)?;
        let body_max = usize::try_from(spec.max_body_bytes.0).unwrap_or(usize::MAX);
        Ok(Self { client, body_max, timeout: spec.timeout.0 })
    }

    /// The most bytes of an answer, once it is unpacked.
    pub(crate) fn body_max(&self) -> usize {
        self.body_max
    }

    /// Sends one request to `origin`, and reads the answer to its end or to our bound.
    pub(crate) async fn ask(
        &self,
        request: reqwest::Request,
        origin: &BaseUrl,
    ) -> Result<(StatusCode, HeaderMap, Result<Bytes, String>), Lost> {
        if !same_origin(origin, request.url()) {
            return Err(Lost::NotSent(format!("the address leaves {origin}")));
        }
        let mut response = self.client.execute(request).await.map_err(|e| self.lost(&e, origin))?;
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        let body = body::read(response, self.body_max, |e| self.words(e)).await;
        Ok((status, headers, body.and_then(|body| body::unpacked(body, self.body_max))))
    }

    fn lost(&self, error: &reqwest::Error, origin: &BaseUrl) -> Lost {
        if error.is_connect() {
            Lost::NotSent(format!("cannot connect to {origin}: {}", self.words(error)))
        } else if error.is_builder() {
            Lost::NotSent(describe(error))
        } else {
            Lost::Sent(format!("no answer from {origin}: {}", self.words(error)))
        }
    }

    fn words(&self, error: &reqwest::Error) -> String {
        if error.is_timeout() {
            format!("nothing within {}", humantime::format_duration(self.timeout))
        } else {
            describe(error)
        }
    }
}

/// The innermost cause: the outer ones only repeat the URL, which may hold a secret.
fn describe(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    if std::ptr::addr_eq(cause, error) { "the request failed".to_owned() } else { cause.to_string() }
}

/// Builds it, for all `origins` that are ever asked.
fn build(
    spec: &HttpSpec,
    origins: &[(&'static str, &Url)],
    lookup: Lookup,
) -> Result<reqwest::Client, SpecError> {
    let guard = Guard::new(&spec.allow_networks);
    for (key, url) in origins {
        guard.written(url.host()).map_err(|why| SpecError::new(*key, why))?;
    }
    let encrypted = origins.iter().any(|(_, url)| url.scheme() == "https");
    let mut client = reqwest::Client::builder();
    match &spec.tls {
        Some(tls) if encrypted => client = secured(client, tls)?,
        Some(_) => return Err(SpecError::new("tls", "goes with `https://` only")),
        // Nothing there is encrypted: no need to read the machine's certificates.
        None if !encrypted => client = client.tls_certs_only(std::iter::empty()),
        None => client = client.tls_version_min(tls::Version::TLS_1_2),
    }
    client
        .dns_resolver(std::sync::Arc::new(Resolver { guard, lookup }))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .user_agent(concat!("hms-sync/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(spec.timeout.0.min(Duration::from_secs(10)))
        .timeout(spec.timeout.0)
        .pool_max_idle_per_host(usize::from(spec.max_concurrency))
        .tcp_nodelay(true)
        // Whoever has a request sent sends it again if need be; below it none is kept for that.
        .retry(reqwest::retry::never().max_retries_per_request(0))
        .build()
        .map_err(|e| SpecError::new("url", describe(&e)))
}

fn secured(mut client: ClientBuilder, spec: &TlsSpec) -> Result<ClientBuilder, SpecError> {
    client = client.tls_version_min(match spec.min_version {
        TlsVersion::V12 => tls::Version::TLS_1_2,
        TlsVersion::V13 => tls::Version::TLS_1_3,
    });
    if let Some(path) = &spec.ca_file {
        let pem = pem("tls.ca_file", path)?;
        let authorities = Certificate::from_pem_bundle(&pem).unwrap_or_default();
        if authorities.is_empty() {
            return Err(none_there("tls.ca_file", path, "certificate"));
        }
        client = client.tls_certs_only(authorities);
    }
    match (&spec.client_certificate, &spec.client_key) {
        (None, None) => Ok(client),
        (Some(certificate), Some(key)) => {
            let mut both = pem("tls.client_certificate", certificate)?;
            both.push(b'\n');
            both.extend(pem("tls.client_key", key)?);
            let identity = Identity::from_pem(&both);
            Ok(client.identity(identity.map_err(|_| none_there("tls.client_key", key, "private key"))?))
        }
        (Some(_), None) => Err(SpecError::new("tls.client_key", "is needed beside `client_certificate`")),
        (None, Some(_)) => Err(SpecError::new("tls.client_certificate", "is needed beside `client_key`")),
    }
}

/// The words of the system never hold what is in the file.
fn pem(key: &str, path: &Path) -> Result<Vec<u8>, SpecError> {
    let failed = |why: std::io::Error| SpecError::new(key, format!("{}: {why}", path.display()));
    if std::fs::metadata(path).map_err(failed)?.len() > PEM_MAX {
        return Err(SpecError::new(key, format!("{} is larger than {PEM_MAX} bytes", path.display())));
    }
    std::fs::read(path).map_err(failed)
}

fn none_there(key: &str, path: &Path, what: &str) -> SpecError {
    SpecError::new(key, format!("there is no {what} in {} that can be used, in PEM", path.display()))
}
