//! Trusted proxies: the server believes their `X-Forwarded-For`.
//!
//! A proxy appends the address that its request came from, so the nearest proxy wrote the rightmost
//! address. The client is the rightmost address that belongs to no trusted proxy: anyone may have
//! written the addresses left of it. If the next entry is no address, the client is the proxy that
//! let the entry through.

use hyper::header::HeaderMap;
use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// The header that proxies append to.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The leading bits of an IPv6 address that mark a mapped IPv4 address.
const MAPPED_BITS: u8 = 96;

/// One proxy by its address, or several by their network: `10.0.0.1`, `10.0.0.0/8`,
/// `2001:db8::/32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Proxies(IpNet);

/// A text is neither an address nor a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither an address nor a network, such as 10.0.0.1 or 10.0.0.0/8")]
pub struct InvalidProxies(String);

impl FromStr for Proxies {
    type Err = InvalidProxies;

    fn from_str(text: &str) -> Result<Proxies, InvalidProxies> {
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        let network = network.map_err(|_| InvalidProxies(text.to_owned()))?.trunc();
        // Mapped addresses are compared as IPv4 addresses.
        let mapped = match network {
            IpNet::V6(v6) if v6.prefix_len() >= MAPPED_BITS => {
                let v4 = v6.addr().to_ipv4_mapped();
                v4.and_then(|v4| Ipv4Net::new(v4, v6.prefix_len() - MAPPED_BITS).ok())
            }
            _ => None,
        };
        Ok(Proxies(mapped.map_or(network, IpNet::V4)))
    }
}

impl TryFrom<String> for Proxies {
    type Error = InvalidProxies;

    fn try_from(text: String) -> Result<Proxies, InvalidProxies> {
        text.parse()
    }
}

impl From<Proxies> for String {
    fn from(proxies: Proxies) -> String {
        proxies.to_string()
    }
}

impl fmt::Display for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether the address belongs to one of the proxies.
pub(crate) fn are_at(proxies: &[Proxies], address: IpAddr) -> bool {
    let address = address.to_canonical();
    proxies.iter().any(|Proxies(network)| network.contains(&address))
}

/// Returns the address of the client whose request came from `peer`.
pub(crate) fn client(proxies: &[Proxies], peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    let mut client = peer.to_canonical();
    let lines = headers.get_all(FORWARDED_FOR).iter().rev();
    for hop in lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b',')) {
        if !are_at(proxies, client) {
            break;
        }
        let Some(before) = address(hop) else { break };
        client = before;
    }
    client
}

/// Reads the address of one hop. Some proxies add the port, and brackets around an IPv6 address.
fn address(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?.trim();
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok();
    let address = text.parse::<IpAddr>().ok();
    let address = address.or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    address.or_else(|| bracketed().map(IpAddr::V6)).map(|address| address.to_canonical())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    /// The client of a request from this peer with these lines of the header.
    fn of(peer: &str, lines: &[&str]) -> String {
        let proxies = ["10.0.0.0/8", "192.0.2.1", "2001:db8::/32"].map(|text| text.parse().unwrap());
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        client(&proxies, peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn behind_a_proxy_the_client_is_the_rightmost_address_that_is_none() {
        assert_eq!(of("10.0.0.7", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(of("192.0.2.1", &["203.0.113.9, 10.1.2.3"]), "203.0.113.9");
        assert_eq!(
            of("10.0.0.7", &["203.0.113.9", "10.1.2.3,10.1.2.4"]),
            "203.0.113.9",
            "lines are one list"
        );
        assert_eq!(of("10.0.0.7", &["10.1.2.3, 10.1.2.4"]), "10.1.2.3", "where all are proxies, the first");
        assert_eq!(of("10.0.0.7", &[]), "10.0.0.7");
    }

    #[test]
    fn what_a_client_writes_itself_counts_for_nothing() {
        assert_eq!(of("203.0.113.9", &["198.51.100.1"]), "203.0.113.9", "no proxy of ours");
        assert_eq!(of("192.0.2.2", &["198.51.100.1"]), "192.0.2.2", "the address after that of one");
        assert_eq!(of("10.0.0.7", &["198.51.100.1, 203.0.113.9"]), "203.0.113.9");
        assert_eq!(
            of("10.0.0.7", &["10.9.9.9, 203.0.113.9, 10.1.2.3"]),
            "203.0.113.9",
            "it names a proxy of ours"
        );
        assert_eq!(of("10.0.0.7", &["198.51.100.1", "203.0.113.9"]), "203.0.113.9");
    }

    #[test]
    fn addresses_of_either_kind_are_read_as_proxies_write_them() {
        for hop in
            ["2001:0db8:0:0:ffff::1, 2001:DB9::5", "[2001:db9::5]", "[2001:db9::5]:4711", " 2001:db9::5\t"]
        {
            assert_eq!(of("2001:db8::1", &[hop]), "2001:db9::5", "{hop}");
        }
        for hop in ["203.0.113.9:4711", "::ffff:203.0.113.9", "[::ffff:203.0.113.9]:1"] {
            assert_eq!(of("::ffff:10.0.0.7", &[hop]), "203.0.113.9", "{hop}");
        }
    }

    #[test]
    fn garbage_makes_nobody_somebody_else() {
        for hop in [
            "",
            ",",
            "unknown",
            "_hidden",
            "203.0.113",
            "203.0.113.9.1",
            "256.0.0.1",
            "[203.0.113.9]",
            "::1::",
            "fe80::1%eth0",
            "1",
        ] {
            assert_eq!(of("10.0.0.7", &[hop]), "10.0.0.7", "{hop}");
            assert_eq!(of("10.0.0.7", &[&format!("198.51.100.1, {hop}")]), "10.0.0.7", "{hop}");
            assert_eq!(of("10.0.0.7", &[&format!("{hop}, 203.0.113.9")]), "203.0.113.9", "{hop}");
            assert_eq!(of("10.0.0.7", &[&format!("{hop}, 10.1.2.3")]), "10.1.2.3", "{hop}");
        }
        let mut headers = HeaderMap::new();
        headers.append(FORWARDED_FOR, hyper::header::HeaderValue::from_bytes(b"203.0.113.9, \xff").unwrap());
        let (proxy, peer) = ("10.0.0.0/8".parse().unwrap(), "10.0.0.7".parse().unwrap());
        assert_eq!(client(&[proxy], peer, &headers), peer);
        assert_eq!(client(&[], peer, &headers), peer);
    }

    #[test]
    fn proxies_are_addresses_or_networks() {
        for (text, shown) in [
            ("10.0.0.1", "10.0.0.1/32"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("2001:db8::1/64", "2001:db8::/64"),
            ("::ffff:10.1.2.3", "10.1.2.3/32"),
            ("::ffff:10.1.2.3/104", "10.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
        ] {
            let proxies: Proxies = text.parse().unwrap();
            assert_eq!(proxies.to_string(), shown);
            assert_eq!(shown.parse(), Ok(proxies));
        }
        for text in ["", "localhost", "10.0.0.0/33", "10.0.0", "10.0.0.1:80", "::/129", "10.0.0.0/8,10.0.0.1"]
        {
            let refused = text.parse::<Proxies>().unwrap_err().to_string();
            assert!(refused.starts_with(&format!("{text:?} is neither")), "{refused}");
        }
    }
}
