//! A network: an address and how many of its bits count.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use std::borrow::Cow;
use std::net::IpAddr;

/// A network, as `192.0.2.0/24`, `2001:db8::/32`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: u128,
    mask: u128,
    is_v4: bool,
}

impl Network {
    /// Reads one; the error says what it should be.
    pub fn try_new(text: &str) -> Result<Self, &'static str> {
        const WRONG: &str = "is no network, as `192.0.2.0/24` or `2001:db8::/32`";
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| WRONG)?;
        let width: u32 = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => {
                bits.parse().map_err(|_| WRONG)?
            }
            Some(_) => return Err(WRONG),
            None => width,
        };
        if bits > width {
            return Err(WRONG);
        }
        let mask = match bits {
            0 => 0,
            bits => (u128::MAX >> (128 - width)) & (u128::MAX << (width - bits)),
        };
        let whole = number(address);
        if whole & !mask != 0 {
            return Err("has bits set beyond its length: write the network's first address");
        }
        Ok(Self { address: whole, mask, is_v4: address.is_ipv4() })
    }

    /// Whether the address is in it; an IPv4 address written as IPv6 is that IPv4 address.
    pub fn has(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.is_v4 && number(address) & self.mask == self.address
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::try_new(&text).map_err(|why| {
            let shown: String = text.chars().take(60).collect();
            de::Error::custom(format!("`{shown}` {why}"))
        })
    }
}

impl JsonSchema for Network {
    fn schema_name() -> Cow<'static, str> {
        "Network".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "a network, as `192.0.2.0/24` or `2001:db8::/32`" })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::Network;

    #[test]
    fn what_is_in_a_network() {
        for (network, address, inside) in [
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("192.0.2.0/24", "::ffff:192.0.2.7", true),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "2001:db9::1", true),
            ("::/0", "192.0.2.7", false),
        ] {
            let found = Network::try_new(network).unwrap().has(address.parse().unwrap());
            assert_eq!(found, inside, "{address} in {network}");
        }
        for bad in ["", "all", "192.0.2.0/33", "192.0.2.0/", "192.0.2.0/+8", "192.0.2.1/24", "2001:db8::/129"]
        {
            Network::try_new(bad).unwrap_err();
        }
    }
}
