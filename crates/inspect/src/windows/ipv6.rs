//! Addresses of IPv6 that somebody gave by hand. They are not where those of IPv4 are, but in the store of the network
//! store interface, under the interface's locally unique identifier.
//!
//! `Control\Nsi\{eb004a01-…}\10` has a value for each address, named by 16 hexadecimal digits of the identifier and 32 of
//! the address. Its data begins with two lifetimes and two origins of four bytes each, then the length of the prefix in
//! one byte. Sources: "How to add persistent IPv6 address" on Stack Overflow (8155700), and gprovision's reading of the
//! same (BSD-3-Clause). An identifier is NET_LUID: 24 bits that are zero, 24 of `NetLuidIndex` and 16 of `*IfType` of
//! the adapter's class key, low bytes first; on hives of real machines the two agree.

use crate::linux::address_with;
use crate::network::IpAddress;
use h2k_guest::registry::{Hold, RegKey};
use h2k_guest::{Fact, Look};
use std::collections::BTreeMap;
use std::net::Ipv6Addr;

/// The store of persistent addresses of interfaces with IPv6.
const STORE: &str = "CurrentControlSet\\Control\\Nsi\\{eb004a01-9b1a-11d4-9123-0050047759bc}\\10";
/// Where the length of the prefix is.
const PREFIX: usize = 16;

/// Addresses by the interface's identifier, as the names of values spell it.
pub(super) type Static = BTreeMap<String, Vec<IpAddress>>;

pub(super) fn look(system: &Hold, look: &Look<'_>) -> Static {
    let mut found = Static::new();
    let store = system.key(look, STORE);
    for value in store.iter().flat_map(RegKey::values) {
        let name = value.name();
        let Some((luid, address)) = name.split_at_checked(16) else {
            continue;
        };
        let Some(address) = address_of(address) else {
            continue;
        };
        let length = value.data().and_then(|data| data.get(PREFIX).copied());
        let length = length.filter(|bits| *bits <= 128).map(|bits| bits.to_string());
        let fact = Fact::new(address.to_string(), value.source());
        let all = found.entry(luid.to_ascii_lowercase()).or_default();
        all.push(address_with(&fact, length.as_deref()));
    }
    found
}

fn address_of(digits: &str) -> Option<Ipv6Addr> {
    let all = digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let number = u128::from_str_radix(digits, 16).ok().filter(|_| all)?;
    Some(Ipv6Addr::from(number))
}

/// The identifier of the interface that an adapter's class key describes.
pub(super) fn luid(class: &RegKey<'_>) -> Option<String> {
    let number = |name: &str| class.number(name).and_then(|f| u32::try_from(f.value).ok());
    let (index, kind) = (number("NetLuidIndex")?, number("*IfType")?);
    let ([a, b, c, 0], [d, e, 0, 0]) = (index.to_le_bytes(), kind.to_le_bytes()) else {
        return None;
    };
    Some(
        [0, 0, 0, a, b, c, d, e]
            .map(|byte| format!("{byte:02x}"))
            .concat(),
    )
}

#[cfg(test)]
mod tests {
    use super::address_of;

    #[test]
    fn addresses_are_all_their_digits() {
        let found = address_of("20010db8000000000000000000000001").unwrap();
        assert_eq!(found.to_string(), "2001:db8::1");
        assert_eq!(address_of("2001"), None);
        assert_eq!(address_of("+0010db8000000000000000000000001"), None);
    }
}
