//! How many connections each address has at the moment, so that none has them all.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The first half of an IPv6 address is a network; a sender has the other half to itself.
const HALF: u128 = u128::MAX << 64;

/// Counts by address. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Addresses {
    counts: Arc<Mutex<HashMap<IpAddr, usize>>>,
    most: usize,
    spares_loopback: bool,
}

/// One connection of an address, until it is dropped.
#[derive(Debug)]
pub(super) struct Guest(Option<(Addresses, IpAddr)>);

impl Addresses {
    pub(super) fn new(most: usize, spares_loopback: bool) -> Self {
        Self { counts: Arc::default(), most: most.max(1), spares_loopback }
    }

    /// Nothing for an address that has as many as it may.
    pub(super) fn enter(&self, address: IpAddr) -> Option<Guest> {
        if self.spares_loopback && address.is_loopback() {
            return Some(Guest(None));
        }
        let address = one_sender(address);
        let mut counts = self.counts();
        let count = counts.entry(address).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Guest(Some((self.clone(), address))))
    }

    fn leave(&self, address: IpAddr) {
        let mut counts = self.counts();
        if let Some(count) = counts.get_mut(&address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&address);
            }
        }
    }

    /// Numbers cannot be left half-changed.
    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if let Some((addresses, address)) = self.0.take() {
            addresses.leave(address);
        }
    }
}

fn one_sender(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & HALF).into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::Addresses;

    #[test]
    fn no_address_has_more_than_its_share() {
        let addresses = Addresses::new(2, true);
        let enter = |text: &str| addresses.enter(text.parse().unwrap());
        let (first, second) = (enter("192.0.2.1"), enter("192.0.2.1"));
        assert!(first.is_some() && second.is_some());
        assert!(enter("192.0.2.1").is_none());
        let other = enter("192.0.2.2");
        assert!(other.is_some(), "the others are not held up");
        drop(first);
        let again = enter("192.0.2.1");
        assert!(again.is_some() && enter("192.0.2.1").is_none());
        // One sender has as many addresses of its network as it likes.
        let (_a, _b) = (enter("2001:db8::1"), enter("2001:db8::2"));
        assert!(enter("2001:db8::3").is_none() && enter("2001:db8:0:1::3").is_some());
        let loopback: Vec<_> = (0..9).map(|_| enter("127.0.0.1")).collect();
        assert!(loopback.iter().all(Option::is_some));
        drop((second, other, again));
        assert_eq!(addresses.counts().len(), 1, "who has left is forgotten");
    }
}
