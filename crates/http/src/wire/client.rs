//! The client that all requests of a side go through: guarded, verified, following
//! nothing, believing no proxy.

use super::describe;
use super::dial::{Guard, Lookup, Resolver};
use crate::error::SpecError;
use crate::spec::{HttpSpec, TlsSpec, TlsVersion};
use reqwest::{Certificate, ClientBuilder, Identity, tls};
use std::path::Path;
use std::time::Duration;
use url::Url;

/// A key or a certificate has some thousand bytes; a machine's authorities some hundred thousand.
const PEM_MAX: u64 = 4 << 20;

/// Builds it, for all `origins` that are ever asked.
pub(crate) fn build(
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
