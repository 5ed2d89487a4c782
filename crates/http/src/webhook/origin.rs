//! Where a webhook came from: by its connection, or by what a proxy that we trust
//! says of it.

use crate::spec::Network;
use hms_sync_connector::RawWebhook;
use http::{HeaderMap, HeaderName};
use std::net::{IpAddr, SocketAddr};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Addresses that are looked at, from the nearest on.
const HOPS_MAX: usize = 16;

/// Networks that webhooks may come from.
pub(super) struct Origin {
    /// None: any.
    allowed: Vec<Network>,
    proxies: Vec<Network>,
}

impl Origin {
    pub(super) fn new(allowed: &[Network], proxies: &[Network]) -> Self {
        Self { allowed: allowed.to_vec(), proxies: proxies.to_vec() }
    }

    /// Whether a webhook may come from where it came from.
    pub(super) fn admits(&self, raw: &RawWebhook) -> bool {
        if self.allowed.is_empty() {
            return true;
        }
        let sender = raw.peer.and_then(|peer| self.sender(peer, &raw.headers));
        sender.is_some_and(|sender| self.allowed.iter().any(|network| network.contains(sender)))
    }

    /// The first on the way back that is no proxy of ours. Beyond it, everything may be made up.
    fn sender(&self, peer: IpAddr, headers: &HeaderMap) -> Option<IpAddr> {
        // An IPv4 address written as IPv6 is that address.
        let peer = peer.to_canonical();
        let is_ours = |address| self.proxies.iter().any(|network| network.contains(address));
        if !is_ours(peer) {
            return Some(peer);
        }
        let lines = headers.get_all(FORWARDED_FOR).iter().rev();
        let hops = lines.flat_map(|line| line.to_str().unwrap_or("?").rsplit(','));
        for hop in hops.take(HOPS_MAX) {
            let address = address(hop.trim())?;
            if !is_ours(address) {
                return Some(address);
            }
        }
        None
    }
}

/// With or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::Origin;
    use crate::spec::Network;
    use bytes::Bytes;
    use hms_sync_connector::RawWebhook;
    use hms_sync_hostile::Reader;
    use hms_sync_model::Time;

    fn raw(peer: &str, forwarded: &[&str]) -> RawWebhook {
        let mut raw = RawWebhook::new(http::HeaderMap::new(), Bytes::new(), Time(0));
        raw.peer = peer.parse().ok();
        for line in forwarded {
            raw.headers.append("x-forwarded-for", line.parse().unwrap());
        }
        raw
    }

    #[test]
    fn a_sender_is_known_by_its_connection_or_by_a_trusted_proxy() {
        let network = |text| Network::try_new(text).unwrap();
        let origin = Origin::new(&[network("192.0.2.0/24")], &[network("10.0.0.0/8")]);
        for (peer, forwarded, admitted) in [
            ("192.0.2.7", &[][..], true),
            ("::ffff:192.0.2.7", &[], true),
            ("203.0.113.1", &[], false),
            // Who is no proxy of ours may say what he likes.
            ("203.0.113.1", &["192.0.2.7"], false),
            ("192.0.2.7", &["203.0.113.1"], true),
            ("10.0.0.1", &["192.0.2.7"], true),
            ("10.0.0.1", &["192.0.2.7:4711"], true),
            ("10.0.0.1", &["192.0.2.7, 10.0.0.2"], true),
            ("10.0.0.1", &["192.0.2.7", "10.0.0.2"], true),
            // What stands before the sender is of its own making.
            ("10.0.0.1", &["192.0.2.7, 203.0.113.1"], false),
            ("10.0.0.1", &["192.0.2.7", "203.0.113.1, 10.0.0.2"], false),
            ("10.0.0.1", &["unknown"], false),
            ("10.0.0.1", &["192.0.2.7, unknown"], false),
            ("10.0.0.1", &[], false),
            ("", &[], false),
        ] {
            assert_eq!(origin.admits(&raw(peer, forwarded)), admitted, "{peer} {forwarded:?}");
        }
        assert!(Origin::new(&[], &[]).admits(&raw("", &[])));
    }

    #[test]
    fn hostile_ways_of_proxies() {
        let network = |text| Network::try_new(text).unwrap();
        let origin =
            Origin::new(&[network("192.0.2.0/24"), network("2001:db8::/32")], &[network("10.0.0.0/8")]);
        Reader::new("X-Forwarded-For")
            .sound([
                "192.0.2.7",
                "203.0.113.9, 192.0.2.7:4711,10.0.0.2",
                "[2001:db8::7]:80",
                "::ffff:192.0.2.7",
            ])
            .words([",", ".", ":", "::", "[", "]", "10.0.0.1", "192.0.2.1", "unknown", "%eth0", "_hidden"])
            .texts(|text| {
                let Ok(line) = http::HeaderValue::from_str(text) else { return false };
                let mut raw = raw("10.0.0.1", &[]);
                raw.headers.append("x-forwarded-for", line);
                origin.admits(&raw)
            });
    }
}
