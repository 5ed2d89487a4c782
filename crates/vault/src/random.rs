//! Where keys and nonces come from. An argument, so that a simulation can be repeated.

use crate::error::VaultError;
use std::fmt;

type Fill = dyn FnMut(&mut [u8]) -> Result<(), String> + Send;

/// A source of random bytes.
pub struct Random(Box<Fill>);

impl Random {
    /// The operating system's: the only one for real keys.
    pub fn system() -> Self {
        Self(Box::new(|bytes| getrandom::fill(bytes).map_err(|why| why.to_string())))
    }

    /// Any other, for tests that must be repeatable.
    pub fn of(fill: impl FnMut(&mut [u8]) -> Result<(), String> + Send + 'static) -> Self {
        Self(Box::new(fill))
    }

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) -> Result<(), VaultError> {
        (self.0)(bytes).map_err(VaultError::Random)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], VaultError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random")
    }
}
