//! Which addresses may be dialled, decided where they are dialled.
//!
//! A name is looked up here, all that comes back is judged, and the connection goes
//! to an address that was judged: nothing is looked up a second time. Always refused,
//! in whatever notation they come, are link-local addresses and those where clouds
//! keep credentials. Private and loopback addresses are dialled only where the
//! config says so (docs/decisions/0021).

use crate::spec::Network;
use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use url::Host;

/// The most addresses of one name that are looked at.
const ADDRESSES_MAX: usize = 64;

/// Turns a name into addresses.
pub(crate) type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// The machine's own way of looking names up.
pub(crate) fn system() -> Lookup {
    Arc::new(|name| {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).take(ADDRESSES_MAX).collect())
        })
    })
}

/// What an address is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Public,
    /// Of a network that is not the world's.
    Private,
    /// This machine.
    Loopback,
    /// Never dialled.
    Refused(&'static str),
}

const METADATA: Kind = Kind::Refused("where clouds keep credentials");
const LINK_LOCAL: Kind = Kind::Refused("link-local, where clouds keep credentials");
const NOBODY: Kind = Kind::Refused("nobody's");

fn kind(address: IpAddr) -> Kind {
    match address {
        IpAddr::V4(v4) => kind_4(v4),
        IpAddr::V6(v6) => kind_6(v6),
    }
}

fn kind_4(v4: Ipv4Addr) -> Kind {
    match v4.octets() {
        [169, 254, _, _] => LINK_LOCAL,
        // Alibaba, Azure, Oracle.
        [100, 100, 100, 200] | [168, 63, 129, 16] | [192, 0, 0, _] => METADATA,
        [0 | 224..=255, _, _, _] => NOBODY,
        [127, _, _, _] => Kind::Loopback,
        [10, _, _, _] | [172, 16..=31, _, _] | [192, 168, _, _] => Kind::Private,
        // Behind a carrier's translation; for measurements.
        [100, 64..=127, _, _] | [198, 18..=19, _, _] => Kind::Private,
        _ => Kind::Public,
    }
}

fn kind_6(v6: Ipv6Addr) -> Kind {
    if let Some(v4) = inside(v6) {
        // Loopback in disguise is no way to write it.
        return match kind_4(v4) {
            Kind::Loopback => Kind::Private,
            kind => kind,
        };
    }
    match v6.segments() {
        [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254] | [0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254] => METADATA,
        [0, 0, 0, 0, 0, 0, 0, 1] => Kind::Loopback,
        [0, 0, 0, 0, 0, 0, 0, 0] | [0xff00..=0xffff, ..] => NOBODY,
        [0xfe80..=0xfebf, ..] => LINK_LOCAL,
        // Teredo: a tunnel to an address that the other end chose.
        [0x2001, 0, ..] => NOBODY,
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] => Kind::Private,
        _ => Kind::Public,
    }
}

/// The IPv4 address that an IPv6 one leads to: mapped, compatible, translated
/// (NAT64, SIIT), 6to4, ISATAP.
fn inside(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => v4(high, low),
        [0x64, 0xff9b, _, _, _, _, high, low] => v4(high, low),
        [0x2002, high, low, ..] => v4(high, low),
        [_, _, _, _, 0 | 0x0200, 0x5efe, high, low] => v4(high, low),
        _ => None,
    }
}

/// What the config says of addresses.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    networks: Arc<[Network]>,
}

impl Guard {
    pub(crate) fn new(networks: &[Network]) -> Self {
        Self { networks: networks.into() }
    }

    /// Whether a host that stands in the config may be dialled, as far as that shows
    /// before it is looked up. Nobody looks up an address that is written out.
    pub(crate) fn written(&self, host: Option<Host<&str>>) -> Result<(), String> {
        let address = match host {
            Some(Host::Ipv4(v4)) => IpAddr::V4(v4),
            Some(Host::Ipv6(v6)) => IpAddr::V6(v6),
            Some(Host::Domain(_)) | None => return Ok(()),
        };
        self.judge(address, true).map_err(|why| format!("{address} {why}"))
    }

    /// Whether a name may be dialled at these addresses: all of them or none, so that
    /// it is never a matter of chance.
    fn named(&self, name: &str, addresses: &[IpAddr]) -> Result<(), String> {
        let own = name.trim_end_matches('.').to_ascii_lowercase();
        let own = own == "localhost" || own.ends_with(".localhost");
        for address in addresses {
            self.judge(*address, own).map_err(|why| format!("`{name}` is at {address}, which {why}"))?;
        }
        Ok(())
    }

    fn judge(&self, address: IpAddr, own: bool) -> Result<(), String> {
        let listed = || {
            let inner = match address {
                IpAddr::V4(_) => None,
                IpAddr::V6(v6) => inside(v6).map(IpAddr::V4),
            };
            let addresses = [Some(address), inner];
            self.networks.iter().any(|network| addresses.iter().flatten().any(|one| network.contains(*one)))
        };
        let what = match kind(address) {
            Kind::Public => return Ok(()),
            Kind::Refused(why) => return Err(format!("is {why}: it is never dialled")),
            Kind::Loopback if own => return Ok(()),
            Kind::Loopback => "this machine",
            Kind::Private => "a private address",
        };
        if listed() {
            return Ok(());
        }
        Err(format!(
            "is {what}; if that is meant, list its network at the side: `allow_networks: [{address}]`"
        ))
    }
}

/// Looks names up and judges what comes back.
pub(crate) struct Resolver {
    pub(crate) guard: Guard,
    pub(crate) lookup: Lookup,
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").field("guard", &self.guard).finish_non_exhaustive()
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (guard, name) = (self.guard.clone(), name.as_str().to_owned());
        let found = (self.lookup)(name.clone());
        Box::pin(async move {
            let found = found.await.map_err(|why| format!("`{name}` cannot be looked up: {why}"))?;
            guard.named(&name, &found)?;
            let found: Addrs = Box::new(found.into_iter().map(|ip| SocketAddr::new(ip, 0)));
            Ok(found)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::{Guard, Kind, kind};
    use crate::spec::Network;
    use std::net::IpAddr;
    use url::Url;

    fn guard(networks: &[&str]) -> Guard {
        let networks: Vec<_> = networks.iter().map(|text| Network::try_new(text).unwrap()).collect();
        Guard::new(&networks)
    }

    fn written(guard: &Guard, host: &str) -> Result<(), String> {
        let url = Url::parse(&format!("http://{host}:8080/")).unwrap();
        guard.written(url.host())
    }

    /// Whatever is listed, and however it is written.
    #[test]
    fn metadata_is_refused_in_every_notation() {
        let everything = guard(&["0.0.0.0/0", "::/0"]);
        for host in [
            "169.254.169.254",
            "169.254.169.254.",
            "2852039166",
            "0xa9fea9fe",
            "0xA9.0xFE.0xA9.0xFE",
            "0251.0376.0251.0376",
            "0251.254.0xa9fe",
            "169.254.43518",
            "169.16689662",
            "①⑥⑨.②⑤④.①⑥⑨.②⑤④",
            "169。254。169。254",
            "%31%36%39.254.169.254",
            "[::ffff:169.254.169.254]",
            "[::ffff:a9fe:a9fe]",
            "[0:0:0:0:0:ffff:a9fe:a9fe]",
            "[::169.254.169.254]",
            "[::ffff:0:a9fe:a9fe]",
            "[64:ff9b::a9fe:a9fe]",
            "[64:ff9b:1::a9fe:a9fe]",
            "[2002:a9fe:a9fe::]",
            "[2002:a9fe:a9fe::1]",
            "[2001:db8::5efe:a9fe:a9fe]",
            "[fe80::5efe:a9fe:a9fe]",
            "[2001:0:a9fe:a9fe::]",
            "[fe80::1]",
            "[fe80::a9fe:a9fe]",
            "[febf::1]",
            "[fd00:ec2::254]",
            "[fd00:0ec2:0:0:0:0:0:254]",
            "[fd20:ce::254]",
            "100.100.100.200",
            "[::ffff:100.100.100.200]",
            "168.63.129.16",
            "192.0.0.192",
            "0.0.0.0",
            "0",
            "0.1.2.3",
            "[::]",
            "[::ffff:0.0.0.0]",
            "255.255.255.255",
            "224.0.0.1",
            "[ff02::1]",
        ] {
            let why = written(&everything, host).expect_err(host);
            assert!(why.contains("never dialled"), "{host}: {why}");
        }
    }

    #[test]
    fn private_addresses_need_their_network() {
        let (none, ten) = (guard(&[]), guard(&["10.0.0.0/8", "fd12::/16"]));
        for (host, listed) in [
            ("10.1.2.3", true),
            ("0x0a010203", true),
            ("[::ffff:10.1.2.3]", true),
            ("[64:ff9b::a01:203]", true),
            ("[fd12::1]", true),
            ("[fd13::1]", false),
            ("172.16.0.1", false),
            ("172.31.255.255", false),
            ("192.168.0.1", false),
            ("100.64.0.1", false),
            ("198.18.0.1", false),
            ("[fec0::1]", false),
            ("[::ffff:127.0.0.1]", false),
            ("[64:ff9b::7f00:1]", false),
            ("[2002:7f00:1::]", false),
        ] {
            let why = written(&none, host).expect_err(host);
            assert!(why.contains("allow_networks: ["), "{host}: {why}");
            assert_eq!(written(&ten, host).is_ok(), listed, "{host}");
        }
        for host in
            ["9.9.9.9", "172.32.0.1", "[2606:4700::1]", "127.0.0.1", "127.8.8.8", "[::1]", "017700000001"]
        {
            written(&none, host).unwrap();
        }
    }

    #[test]
    fn names_are_judged_by_all_their_addresses() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let none = guard(&[]);
        none.named("localhost", &[ip("127.0.0.1"), ip("::1")]).unwrap();
        none.named("clerk.LocalHost.", &[ip("127.0.0.1")]).unwrap();
        none.named("clerk.example", &[ip("93.184.216.34")]).unwrap();
        for (name, addresses) in [
            ("clerk.example", vec![ip("127.0.0.1")]),
            ("localhost.example", vec![ip("127.0.0.1")]),
            ("clerk.example", vec![ip("93.184.216.34"), ip("10.0.0.1")]),
            ("clerk.example", vec![ip("93.184.216.34"), ip("169.254.169.254")]),
            ("localhost", vec![ip("127.0.0.1"), ip("169.254.169.254")]),
        ] {
            let why = none.named(name, &addresses).expect_err(name);
            assert!(why.contains(&format!("`{name}` is at ")), "{why}");
        }
        guard(&["127.0.0.0/8"]).named("clerk.example", &[ip("127.0.0.1")]).unwrap();
    }

    proptest::proptest! {
        /// An address and the same one mapped are the same, but for loopback.
        #[test]
        fn a_disguise_makes_no_difference(bits: u32) {
            let v4 = std::net::Ipv4Addr::from_bits(bits);
            let plain = match kind(v4.into()) { Kind::Loopback => Kind::Private, kind => kind };
            proptest::prop_assert_eq!(kind(v4.to_ipv6_mapped().into()), plain);
        }
    }
}
