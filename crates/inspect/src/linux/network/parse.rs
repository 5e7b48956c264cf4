//! Addresses and lists, as several tools write them.

use crate::network::{Connection, IpAddress, Route};
use h2k_guest::{Fact, Source};
use std::net::{IpAddr, Ipv4Addr};

/// `10.0.0.5/24`, `fe80::1`; what is no address is kept as it is written, so that nothing goes missing.
pub(super) fn address(fact: &Fact<String>) -> IpAddress {
    let (address, prefix) = split_prefix(&fact.value);
    IpAddress {
        address,
        prefix,
        label: None,
        source: fact.source.clone(),
    }
}

/// As [`address`], with a length or mask that stands elsewhere and counts where the address has none.
pub(crate) fn address_with(fact: &Fact<String>, mask: Option<&str>) -> IpAddress {
    let mut found = address(fact);
    found.prefix = found.prefix.or_else(|| mask.and_then(prefix));
    found
}

/// `24`, `255.255.255.0`, `ffff:ffff::`.
pub(super) fn prefix(mask: &str) -> Option<u8> {
    let mask = mask.trim().trim_start_matches('/');
    if let Ok(bits) = mask.parse::<u8>() {
        return (bits <= 128).then_some(bits);
    }
    let (leading, whole) = match mask.parse().ok()? {
        IpAddr::V4(v4) => {
            let bits = u32::from(v4);
            (bits.leading_ones(), bits.count_ones())
        }
        IpAddr::V6(v6) => {
            let bits = u128::from(v6);
            (bits.leading_ones(), bits.count_ones())
        }
    };
    // A mask with holes is no length.
    (leading == whole).then(|| u8::try_from(leading).ok()).flatten()
}

fn split_prefix(text: &str) -> (String, Option<u8>) {
    match text.trim().split_once('/') {
        Some((address, mask)) => (address.trim().to_owned(), prefix(mask)),
        None => (text.trim().to_owned(), None),
    }
}

/// Whether this is an IPv6 address, with or without its length.
pub(super) fn is_v6(text: &str) -> bool {
    text.contains(':')
}

/// A hardware address in lower case with colons; `None` for other words.
pub(super) fn mac(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.trim().split([':', '-']).collect();
    let byte = |part: &&str| (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_hexdigit());
    // 6 of Ethernet, 8 and 20 of InfiniBand.
    let right = matches!(parts.len(), 6 | 8 | 20) && parts.iter().all(byte);
    right.then(|| {
        let all: Vec<String> = parts
            .iter()
            .map(|p| format!("{p:0>2}").to_ascii_lowercase())
            .collect();
        all.join(":")
    })
}

/// As [`mac`], or the word as it stands: `random`, `preserve`.
pub(super) fn mac_or_word(text: &str) -> String {
    mac(text).unwrap_or_else(|| text.trim().to_owned())
}

/// Whether a route leads everywhere.
pub(super) fn is_default(destination: &str) -> bool {
    matches!(
        destination.trim(),
        "default" | "0.0.0.0/0" | "::/0" | "0/0" | "0.0.0.0/0.0.0.0" | "::"
    )
}

/// A route to `destination`, `default` where it leads everywhere.
pub(super) fn route(destination: &str, gateway: Option<&str>, source: Source) -> Route {
    let destination = if is_default(destination) {
        "default".to_owned()
    } else {
        destination.trim().to_owned()
    };
    let none = |g: &&str| g.is_empty() || *g == "0.0.0.0" || *g == "::" || *g == "-";
    Route {
        destination,
        gateway: gateway.map(str::trim).filter(|g| !none(g)).map(str::to_owned),
        metric: None,
        table: None,
        source,
    }
}

/// Takes a route in: a default route of the main table is a gateway.
pub(super) fn add_route(found: &mut Connection, route: Route) {
    match &route.gateway {
        Some(gateway) if route.destination == "default" && route.table.is_none() => {
            found.gateways.push(Fact::new(gateway.clone(), route.source));
        }
        _ => found.routes.push(route),
    }
}

/// `10.0.0.0` and `255.0.0.0` as `10.0.0.0/8`.
pub(crate) fn network(address: &str, mask: Option<&str>) -> String {
    match mask.and_then(prefix) {
        Some(bits) if !address.contains('/') => format!("{}/{bits}", address.trim()),
        _ => address.trim().to_owned(),
    }
}

/// What `ip route add` is told, as SUSE, RHEL and interfaces(5) have it: `10.0.0.0/8 via 10.1.1.1 dev eth0 metric 5`.
pub(super) fn ip_route(text: &str, source: &Source) -> Option<Route> {
    let mut words = text.split_whitespace().peekable();
    while matches!(words.peek(), Some(&("-4" | "-6" | "unicast" | "to"))) {
        words.next();
    }
    let mut found = route(words.next()?, None, source.clone());
    while let Some(word) = words.next() {
        match word {
            "via" => {
                let next = words.next().filter(|w| !matches!(*w, "inet" | "inet6"));
                found.gateway = next.or_else(|| words.next()).map(str::to_owned);
            }
            "metric" | "priority" => found.metric = words.next().and_then(|w| w.parse().ok()),
            "table" => found.table = words.next().map(str::to_owned),
            "dev" | "src" | "proto" | "scope" | "mtu" | "advmss" => {
                words.next();
            }
            _ => {}
        }
    }
    Some(found)
}

/// Whether `other` lies in the network of an address.
pub(super) fn reaches(address: &IpAddress, other: IpAddr) -> bool {
    let Some(prefix) = address.prefix.map(u32::from) else {
        return false;
    };
    let differing = match (address.address.parse(), other) {
        (Ok(IpAddr::V4(a)), IpAddr::V4(b)) => (u32::from(a) ^ u32::from(b)).leading_zeros(),
        (Ok(IpAddr::V6(a)), IpAddr::V6(b)) => (u128::from(a) ^ u128::from(b)).leading_zeros(),
        _ => return false,
    };
    differing >= prefix
}

/// Class A, B or C: the length an address had before lengths were written.
pub(super) fn classful(address: &str) -> Option<u8> {
    let first = *address.parse::<Ipv4Addr>().ok()?.octets().first()?;
    Some(match first {
        0..128 => 8,
        128..192 => 16,
        _ => 24,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_lengths_unless_they_have_holes() {
        assert_eq!(prefix("255.255.252.0"), Some(22));
        assert_eq!(prefix("/64"), Some(64));
        assert_eq!(prefix("255.0.255.0"), None);
        assert_eq!(prefix("129"), None);
        assert_eq!(prefix("ffff:ffff::"), Some(32));
        assert_eq!(classful("172.16.0.1"), Some(16));
    }

    #[test]
    fn hardware_addresses_are_written_in_one_way() {
        assert_eq!(mac("00-50-56-AB-CD-EF").unwrap(), "00:50:56:ab:cd:ef");
        assert_eq!(mac("0:50:56:ab:cd:ef").unwrap(), "00:50:56:ab:cd:ef");
        assert_eq!(mac("random"), None);
    }

    #[test]
    fn routes_of_ip_route_are_read() {
        let source = Source::file(b"/f");
        let found = ip_route("default via inet6 fe80::1 dev eth0 metric 5 table 7", &source).unwrap();
        assert_eq!(
            (found.destination.as_str(), found.gateway.as_deref()),
            ("default", Some("fe80::1"))
        );
        assert_eq!((found.metric, found.table.as_deref()), (Some(5), Some("7")));
    }
}
