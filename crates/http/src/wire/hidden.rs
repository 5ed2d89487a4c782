//! What must not be repeated: a side that quotes our secret back at us finds it masked
//! in every message.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock};

/// Shorter texts would blot out unrelated ones, and are no secrets.
const LEAST: usize = 4;
/// How much of a body is looked at: more than is ever quoted, and the longest secret.
const LOOKED_AT: usize = 64 << 10;
/// So many forms of tokens that come and go are remembered.
const PASSING_MAX: usize = 32;

/// The secrets of one side, in the forms in which they are met.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hidden(Arc<RwLock<Known>>);

#[derive(Debug, Default)]
struct Known {
    lasting: Vec<SecretString>,
    passing: Vec<SecretString>,
}

impl Hidden {
    /// From now on `secret` is masked.
    pub(crate) fn add(&self, secret: &SecretString) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.lasting.extend(forms(secret));
    }

    /// The same for one that will be replaced.
    pub(crate) fn add_passing(&self, secret: &SecretString) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.passing.extend(forms(secret));
        let old = known.passing.len().saturating_sub(PASSING_MAX);
        known.passing.drain(..old);
    }

    /// The start of `text` without them.
    pub(crate) fn out_of<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        let start = text.get(..LOOKED_AT).unwrap_or(text);
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let all = known.lasting.iter().chain(&known.passing).map(ExposeSecret::expose_secret);
        let mut all: Vec<&str> = all.collect();
        // One may begin with another.
        all.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        let mut out = Cow::Borrowed(start);
        for secret in all.iter().map(|secret| secret.as_bytes()) {
            if out.windows(secret.len()).any(|part| part == secret) {
                let text = String::from_utf8_lossy(&out).into_owned();
                let secret = String::from_utf8_lossy(secret).into_owned();
                out = Cow::Owned(text.replace(&secret, "(secret)").into_bytes());
            }
        }
        out
    }
}

fn forms(secret: &SecretString) -> Vec<SecretString> {
    let plain = secret.expose_secret();
    if plain.len() < LEAST {
        return Vec::new();
    }
    let url: String = url::form_urlencoded::byte_serialize(plain.as_bytes()).collect();
    let forms = [plain.to_owned(), url, STANDARD.encode(plain), URL_SAFE_NO_PAD.encode(plain)];
    forms.map(SecretString::from).into()
}

#[cfg(test)]
mod tests {
    use super::Hidden;

    #[test]
    fn secrets_are_masked_in_all_forms() {
        let hidden = Hidden::default();
        hidden.add(&"s3cret/token".into());
        hidden.add(&"abc".into());
        for (said, told) in [
            ("no s3cret/token here", "no (secret) here"),
            ("x=s3cret%2Ftoken", "x=(secret)"),
            ("Basic czNjcmV0L3Rva2Vu", "Basic (secret)"),
            ("abc", "abc"),
        ] {
            assert_eq!(hidden.out_of(said.as_bytes()), told.as_bytes());
        }
    }
}
