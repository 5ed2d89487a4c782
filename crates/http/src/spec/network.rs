//! Networks, and how a side's certificates are judged.

use super::Template;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de::Error};
use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

/// A network, as `10.0.0.0/8` or `fd12:3456::/32`; a bare address is a network of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    bits: u32,
}

impl Network {
    /// Reads one. Bits behind the prefix must be zero, so that it says what it covers.
    pub fn try_new(text: &str) -> Result<Self, String> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(a, bits)| (a, Some(bits)));
        let first: IpAddr = address.parse().map_err(|_| format!("`{text:.60}` is no network"))?;
        let most = if first.is_ipv4() { 32 } else { 128 };
        let digits = |bits: &str| bits.bytes().all(|b| b.is_ascii_digit()).then(|| bits.parse().ok())?;
        let bits = bits.map_or(Some(most), digits).filter(|bits| *bits <= most);
        let bits = bits.ok_or_else(|| format!("`{text:.60}` is no network: at most /{most}"))?;
        let network = Self { first, bits };
        if network.base(first) != first {
            let base = network.base(first);
            return Err(format!("`{text:.60}` begins at {base}: write `{base}/{bits}`"));
        }
        Ok(network)
    }

    /// Whether `address` is in it; an IPv4 address written as IPv6 is that IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4() && self.base(address) == self.first
    }

    fn base(&self, address: IpAddr) -> IpAddr {
        match address {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(32 - self.bits).unwrap_or(0);
                Ipv4Addr::from_bits(v4.to_bits() & mask).into()
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(128 - self.bits).unwrap_or(0);
                Ipv6Addr::from_bits(v6.to_bits() & mask).into()
            }
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_new(&Cow::<str>::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl JsonSchema for Network {
    fn schema_name() -> Cow<'static, str> {
        "Network".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "a network, as `10.0.0.0/8`, or one address" })
    }
}

/// How a side's certificate is judged, and what we show of ours. It is always judged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsSpec {
    /// A PEM file of the authorities that are believed, instead of the machine's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// A PEM file with the certificate we show, and those between it and its authority.
    #[serde(default)]
    pub client_certificate: Option<PathBuf>,
    /// A PEM file with the certificate's private key.
    #[serde(default)]
    pub client_key: Option<PathBuf>,
    /// The oldest version that is spoken. Default: `1.2`.
    #[serde(default)]
    pub min_version: TlsVersion,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, JsonSchema)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[default]
    #[schemars(rename = "1.2")]
    V12,
    /// TLS 1.3.
    #[schemars(rename = "1.3")]
    V13,
}

impl<'de> Deserialize<'de> for TlsVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Without quotes it is a number to YAML.
        match Template::deserialize(deserializer)?.as_str() {
            "1.2" => Ok(Self::V12),
            "1.3" => Ok(Self::V13),
            other => {
                Err(D::Error::custom(format!("TLS is spoken from `1.2` or `1.3` on, not `{other:.20}`")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::Network;

    #[test]
    fn networks_cover_what_they_say() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("0.0.0.0/0", "255.1.1.1", "::1"),
            ("192.168.7.9", "192.168.7.9", "192.168.7.8"),
            ("fd12:3456::/32", "fd12:3456:ffff::1", "fd12:3457::"),
            ("::/0", "fe80::1", "10.0.0.1"),
            ("192.0.2.0/24", "::ffff:192.0.2.7", "::ffff:192.0.3.7"),
        ] {
            let read = Network::try_new(network).unwrap();
            assert!(read.contains(inside.parse().unwrap()), "{network} {inside}");
            assert!(!read.contains(outside.parse().unwrap()), "{network} {outside}");
        }
        for bad in
            ["10.0.0.0/33", "10.0.0.1/8", "ten", "10.0.0.0/-1", "10.0.0.0/+8", "fd00::/129", "10.0.0/8", ""]
        {
            Network::try_new(bad).unwrap_err();
        }
        assert!(Network::try_new("10.1.2.3/8").unwrap_err().contains("write `10.0.0.0/8`"));
    }
}
