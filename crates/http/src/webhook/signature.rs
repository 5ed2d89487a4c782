//! Is it theirs? What a side signs its webhooks with, or shows with them.
//!
//! Digests are compared in constant time and only with digests of the same length.
//! That something is wrong is all that is said, to the sender and in our own log.

use super::{Spot, once};
use crate::decode;
use crate::error::SpecError;
use crate::spec::{Algorithm, Encoding, Secrets, Signature, WebhookSpec};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::VerifyingKey;
use hmac::{Hmac, KeyInit, Mac};
use hms_sync_connector::RawWebhook;
use http::HeaderName;
use http::header::AUTHORIZATION;
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;

pub(super) const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const HUB_SIGNATURE: HeaderName = HeaderName::from_static("x-hub-signature-256");
const STRIPE_SIGNATURE: HeaderName = HeaderName::from_static("stripe-signature");
const SLACK_SIGNATURE: HeaderName = HeaderName::from_static("x-slack-signature");
const SLACK_TIMESTAMP: HeaderName = HeaderName::from_static("x-slack-request-timestamp");

/// Signatures that are looked at in one header.
const SIGNATURES_MAX: usize = 16;
/// The longest message id, in bytes.
pub(super) const ID_MAX: usize = 256;
/// The shortest secret, in bytes, that cannot be guessed.
const SECRET_MIN: usize = 16;

/// How a webhook is told from a forged one.
pub(super) struct Verifier {
    kind: Kind,
    /// Seconds that the sender's clock may be from ours.
    tolerance: u64,
}

enum Kind {
    /// Unsigned, by explicit wish.
    None,
    Standard(Vec<StandardKey>),
    Stripe(Vec<Key>),
    Slack(Vec<Key>),
    Body {
        keys: Vec<Key>,
        header: HeaderName,
        encoding: Encoding,
        prefix: String,
    },
    Shown {
        digests: Vec<[u8; 32]>,
        at: Spot,
        scheme: &'static str,
    },
}

enum StandardKey {
    Shared(Box<Key>),
    Public(Box<VerifyingKey>),
}

/// Signs what we send, as Standard Webhooks has it.
pub(crate) struct Signer(Vec<Key>);

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Signer").field(&self.0.len()).finish()
    }
}

impl Signer {
    /// With all of these: while a secret is being changed, the other end may have either.
    pub(crate) fn new(secrets: &Secrets) -> Result<Self, &'static str> {
        let each = secrets.iter().flat_map(str::split_whitespace).map(|secret| match standard_key(secret)? {
            StandardKey::Shared(key) => Ok(*key),
            StandardKey::Public(_) => Err("is a public key: what we sign with is a `whsec_…`"),
        });
        let keys = each.collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() { Err("is needed, as `whsec_…`: webhooks are signed") } else { Ok(Self(keys)) }
    }

    /// The value of `webhook-signature`.
    pub(crate) fn sign(&self, id: &str, at: &str, body: &[u8]) -> String {
        let head = format!("{id}.{at}.");
        let parts = [head.as_bytes(), body];
        let all: Vec<String> =
            self.0.iter().map(|key| format!("v1,{}", STANDARD.encode(key.sign(&parts)))).collect();
        all.join(" ")
    }
}

/// The key of an HMAC, ready for use.
enum Key {
    Sha256(Hmac<Sha256>),
    Sha512(Hmac<Sha512>),
}

impl Verifier {
    /// The error names the key of the spec.
    pub(super) fn new(key: &str, spec: &WebhookSpec) -> Result<Self, SpecError> {
        let bad = |name: &str, why: &str| SpecError::new(format!("{key}.{name}"), why);
        let secrets: Vec<&str> = spec.secret.iter().collect();
        let tolerance = match &spec.signature {
            Signature::StandardWebhooks { tolerance }
            | Signature::Stripe { tolerance }
            | Signature::Slack { tolerance } => tolerance.0.as_secs(),
            Signature::Github {}
            | Signature::Hmac { .. }
            | Signature::Basic {}
            | Signature::Bearer {}
            | Signature::Token { .. } => 0,
        };
        match (secrets.is_empty(), spec.unsigned) {
            (true, false) => {
                Err(bad("secret", "is needed: without it anybody could send; or say `unsigned: true`"))
            }
            (false, true) => Err(bad("unsigned", "does not go with a secret")),
            (true, true) => Ok(Self { kind: Kind::None, tolerance }),
            (false, false) => Ok(Self { kind: kind(key, &spec.signature, &secrets)?, tolerance }),
        }
    }

    /// How many secrets there are, for people.
    pub(super) fn secrets(&self) -> usize {
        match &self.kind {
            Kind::None => 0,
            Kind::Standard(keys) => keys.len(),
            Kind::Stripe(keys) | Kind::Slack(keys) | Kind::Body { keys, .. } => keys.len(),
            Kind::Shown { digests, .. } => digests.len(),
        }
    }

    /// Whether it was sent by whom it should be, and not too long ago.
    pub(super) fn is_genuine(&self, raw: &RawWebhook) -> bool {
        let headers = &raw.headers;
        match &self.kind {
            Kind::None => true,
            Kind::Standard(keys) => self.standard(keys, raw).unwrap_or(false),
            Kind::Stripe(keys) => self.stripe(keys, raw).unwrap_or(false),
            Kind::Slack(keys) => self.slack(keys, raw).unwrap_or(false),
            Kind::Body { keys, header, encoding, prefix } => {
                let given = once(headers, header).and_then(|text| text.strip_prefix(prefix.as_str()));
                let given = given.and_then(|text| decoded(text, *encoding));
                given.is_some_and(|given| any(keys, &[&raw.body], &given))
            }
            Kind::Shown { digests, at, scheme } => {
                let given = match at {
                    Spot::Header(name) => once(headers, name).map(str::to_owned),
                    Spot::Field(path) => decode::parse(&raw.body)
                        .ok()
                        .and_then(|json| path.get(&json)?.as_str().map(str::to_owned)),
                };
                let given = given.as_deref().and_then(|given| given.strip_prefix(scheme));
                given.is_some_and(|given| is_shown(digests, given))
            }
        }
    }

    /// The time that was signed, if it is near enough.
    fn near(&self, text: &str, raw: &RawWebhook) -> Option<()> {
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let at: i64 = text.parse().ok()?;
        let received = raw.received.0.div_euclid(1_000_000);
        (received.abs_diff(at) <= self.tolerance).then_some(())
    }

    fn standard(&self, keys: &[StandardKey], raw: &RawWebhook) -> Option<bool> {
        let id = once(&raw.headers, &WEBHOOK_ID).filter(|id| !id.is_empty() && id.len() <= ID_MAX)?;
        let at = once(&raw.headers, &WEBHOOK_TIMESTAMP)?;
        self.near(at, raw)?;
        let parts = [id.as_bytes(), b".", at.as_bytes(), b".", &raw.body];
        let mut genuine = false;
        for given in once(&raw.headers, &WEBHOOK_SIGNATURE)?.split(' ').take(SIGNATURES_MAX) {
            let Some((version, text)) = given.split_once(',') else { continue };
            let Some(given) = decoded(text, Encoding::Base64) else { continue };
            for key in keys {
                genuine |= match (key, version) {
                    (StandardKey::Shared(key), "v1") => key.signed(&parts, &given),
                    (StandardKey::Public(key), "v1a") => signed(key, &parts, &given),
                    _ => false,
                };
            }
        }
        Some(genuine)
    }

    fn stripe(&self, keys: &[Key], raw: &RawWebhook) -> Option<bool> {
        let header = once(&raw.headers, &STRIPE_SIGNATURE)?;
        let parts = || header.split(',').filter_map(|part| part.trim().split_once('='));
        let mut times = parts().filter(|(name, _)| *name == "t").map(|(_, value)| value);
        let (Some(at), None) = (times.next(), times.next()) else { return None };
        self.near(at, raw)?;
        let head = format!("{at}.");
        let given = parts().filter(|(name, _)| *name == "v1").take(SIGNATURES_MAX);
        let mut genuine = false;
        for given in given.filter_map(|(_, text)| decoded(text, Encoding::Hex)) {
            genuine |= any(keys, &[head.as_bytes(), &raw.body], &given);
        }
        Some(genuine)
    }

    fn slack(&self, keys: &[Key], raw: &RawWebhook) -> Option<bool> {
        let at = once(&raw.headers, &SLACK_TIMESTAMP)?;
        self.near(at, raw)?;
        let given = once(&raw.headers, &SLACK_SIGNATURE)?.strip_prefix("v0=")?;
        let given = decoded(given, Encoding::Hex)?;
        Some(any(keys, &[b"v0:", at.as_bytes(), b":", &raw.body], &given))
    }
}

fn kind(key: &str, signature: &Signature, secrets: &[&str]) -> Result<Kind, SpecError> {
    let bad = |name: &str, why: &str| SpecError::new(format!("{key}.{name}"), why);
    let long = |secret: &&str| {
        if secret.len() < SECRET_MIN {
            Err(bad("secret", "is too short: 16 characters at least"))
        } else {
            Ok(())
        }
    };
    let keys = |algorithm| {
        secrets.iter().try_for_each(long)?;
        Ok(secrets.iter().filter_map(|secret| Key::new(algorithm, secret.as_bytes())).collect())
    };
    let shown = |at, scheme| {
        secrets.iter().try_for_each(long)?;
        let digest = |secret: &&str| match signature {
            Signature::Basic {} => Sha256::digest(STANDARD.encode(secret)).into(),
            _ => Sha256::digest(secret).into(),
        };
        Ok(Kind::Shown { digests: secrets.iter().map(digest).collect(), at, scheme })
    };
    match signature {
        Signature::StandardWebhooks { .. } => {
            let each = secrets.iter().flat_map(|secret| secret.split_whitespace());
            let keys: Result<_, _> = each.map(standard_key).collect();
            Ok(Kind::Standard(keys.map_err(|why| bad("secret", why))?))
        }
        Signature::Stripe { .. } => Ok(Kind::Stripe(keys(Algorithm::Sha256)?)),
        Signature::Slack { .. } => Ok(Kind::Slack(keys(Algorithm::Sha256)?)),
        Signature::Github {} => Ok(Kind::Body {
            keys: keys(Algorithm::Sha256)?,
            header: HUB_SIGNATURE,
            encoding: Encoding::Hex,
            prefix: "sha256=".to_owned(),
        }),
        Signature::Hmac { header, algorithm, encoding, prefix } => Ok(Kind::Body {
            keys: keys(*algorithm)?,
            header: super::header_name(header).map_err(|why| bad("signature.header", &why))?,
            encoding: *encoding,
            prefix: prefix.clone(),
        }),
        Signature::Basic {} if secrets.iter().any(|secret| !secret.contains(':')) => {
            Err(bad("secret", "is no `user:password`"))
        }
        Signature::Basic {} => shown(Spot::Header(AUTHORIZATION), "Basic "),
        Signature::Bearer {} => shown(Spot::Header(AUTHORIZATION), "Bearer "),
        Signature::Token { at } => shown(Spot::new(at).map_err(|why| bad("signature.at.header", &why))?, ""),
    }
}

fn standard_key(secret: &str) -> Result<StandardKey, &'static str> {
    if let Some(public) = secret.strip_prefix("whpk_") {
        let bytes: Option<[u8; 32]> = STANDARD.decode(public).ok().and_then(|bytes| bytes.try_into().ok());
        let bytes = bytes.ok_or("is no key of 32 bytes in base64, as `whpk_…` has it")?;
        let key = VerifyingKey::from_bytes(&bytes).ok().filter(|key| !key.is_weak());
        return key.map(|key| StandardKey::Public(Box::new(key))).ok_or("is no Ed25519 key");
    }
    if secret.starts_with("whsk_") {
        return Err("is the sender's own key: take the public one, `whpk_…`");
    }
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap_or(secret));
    let key = key.map_err(|_| "is no base64, as `whsec_…` has it")?;
    if key.len() < SECRET_MIN {
        return Err("is too short: 16 bytes at least, in base64");
    }
    Key::new(Algorithm::Sha256, &key).map(|key| StandardKey::Shared(Box::new(key))).ok_or("cannot be used")
}

impl Key {
    /// Of whatever length: an HMAC takes any.
    fn new(algorithm: Algorithm, secret: &[u8]) -> Option<Self> {
        match algorithm {
            Algorithm::Sha256 => Hmac::new_from_slice(secret).ok().map(Self::Sha256),
            Algorithm::Sha512 => Hmac::new_from_slice(secret).ok().map(Self::Sha512),
        }
    }

    /// The digest of these parts, one after the other.
    fn sign(&self, parts: &[&[u8]]) -> Vec<u8> {
        fn of<M: Mac + Clone>(mac: &M, parts: &[&[u8]]) -> Vec<u8> {
            let mut mac = mac.clone();
            parts.iter().for_each(|part| mac.update(part));
            mac.finalize().into_bytes().to_vec()
        }
        match self {
            Self::Sha256(mac) => of(mac, parts),
            Self::Sha512(mac) => of(mac, parts),
        }
    }

    /// Whether `given` is the digest of these parts, one after the other.
    fn signed(&self, parts: &[&[u8]], given: &[u8]) -> bool {
        fn of<M: Mac + Clone>(mac: &M, parts: &[&[u8]], given: &[u8]) -> bool {
            let mut mac = mac.clone();
            parts.iter().for_each(|part| mac.update(part));
            mac.verify_slice(given).is_ok()
        }
        match self {
            Self::Sha256(mac) => of(mac, parts, given),
            Self::Sha512(mac) => of(mac, parts, given),
        }
    }
}

/// Looks at all of them, whichever fits.
fn any(keys: &[Key], parts: &[&[u8]], given: &[u8]) -> bool {
    keys.iter().fold(false, |found, key| found | key.signed(parts, given))
}

fn signed(key: &VerifyingKey, parts: &[&[u8]], given: &[u8]) -> bool {
    let signature = ed25519_dalek::Signature::from_slice(given);
    signature.is_ok_and(|signature| key.verify_strict(&parts.concat(), &signature).is_ok())
}

/// Digests, so that all are of one length.
fn is_shown(digests: &[[u8; 32]], given: &str) -> bool {
    let given = Sha256::digest(given);
    let found = digests.iter().fold(subtle::Choice::from(0), |found, digest| found | digest.ct_eq(&given));
    found.into()
}

fn decoded(text: &str, encoding: Encoding) -> Option<Vec<u8>> {
    match encoding {
        Encoding::Base64 => STANDARD.decode(text).ok(),
        Encoding::Hex => {
            let digits: Option<Vec<u8>> = text.bytes().map(digit).collect();
            let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
            Some(digits.chunks_exact(2).filter_map(|pair| Some(pair.first()? << 4 | pair.last()?)).collect())
        }
    }
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
