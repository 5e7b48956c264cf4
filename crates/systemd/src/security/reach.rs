//! Sockets, addresses and devices that a service is left with.

use crate::syntax::{Escapes, words};
use std::net::IpAddr;

/// `AF_INET` and its kin.
pub(super) type Family = &'static str;

/// Families of sockets that Linux knows besides the common ones: address_families(7).
pub(super) const OTHER_FAMILIES: &[Family] = &[
    "AF_ALG",
    "AF_APPLETALK",
    "AF_ASH",
    "AF_ATMPVC",
    "AF_ATMSVC",
    "AF_AX25",
    "AF_BLUETOOTH",
    "AF_BRIDGE",
    "AF_CAIF",
    "AF_CAN",
    "AF_DECnet",
    "AF_ECONET",
    "AF_IB",
    "AF_IEEE802154",
    "AF_IPX",
    "AF_IRDA",
    "AF_ISDN",
    "AF_IUCV",
    "AF_KCM",
    "AF_KEY",
    "AF_LLC",
    "AF_MPLS",
    "AF_NETBEUI",
    "AF_NETROM",
    "AF_NFC",
    "AF_PHONET",
    "AF_PPPOX",
    "AF_QIPCRTR",
    "AF_RDS",
    "AF_ROSE",
    "AF_RXRPC",
    "AF_SECURITY",
    "AF_SMC",
    "AF_SNA",
    "AF_TIPC",
    "AF_VSOCK",
    "AF_WANPIPE",
    "AF_X25",
    "AF_XDP",
];

const COMMON: [Family; 5] = ["AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK", "AF_PACKET"];

/// What `RestrictAddressFamilies=` says.
#[derive(Debug, Default)]
pub(super) struct Families {
    /// Whether those listed are the only ones allowed; `None` where none were ever listed.
    lists_allowed: Option<bool>,
    /// A bit for each family of `COMMON`, then of `OTHER_FAMILIES`.
    listed: u64,
}

impl Families {
    /// Another line of the setting.
    pub(super) fn add(&mut self, value: &str) {
        *self = match value {
            "" => Self::default(),
            "none" => Self {
                lists_allowed: Some(true),
                listed: NONE,
            },
            _ => return self.list(value),
        };
    }

    fn list(&mut self, value: &str) {
        let (inverted, rest) = match value.strip_prefix('~') {
            Some(rest) => (true, rest),
            None => (false, value),
        };
        if self.lists_allowed.is_none() || self.listed == NONE {
            *self = Self {
                lists_allowed: Some(!inverted),
                listed: 0,
            };
        }
        let lists = self.lists_allowed == Some(!inverted);
        for word in words(rest, Escapes::Keep).unwrap_or_default() {
            let bit = bit(&word);
            match lists {
                true => self.listed |= bit,
                false => self.listed &= !bit,
            }
        }
    }

    /// Whether one of `families` may be used; of a list of what is refused, one that is in it has to do for all.
    pub(super) fn any(&self, families: &[Family]) -> bool {
        let asked = families.iter().fold(0, |all, family| all | bit(family));
        let hit = self.listed & asked & !NONE != 0;
        match self.lists_allowed {
            Some(true) => hit,
            _ => !hit,
        }
    }
}

/// `none` was said: the next line begins a list of either sort.
const NONE: u64 = 1 << 63;

fn bit(name: &str) -> u64 {
    let name = if name.eq_ignore_ascii_case("AF_LOCAL") {
        "AF_UNIX"
    } else {
        name
    };
    let mut all = COMMON.iter().chain(OTHER_FAMILIES);
    let place = all.position(|family| family.eq_ignore_ascii_case(name));
    let place = place.and_then(|n| u32::try_from(n).ok());
    place.and_then(|n| 1_u64.checked_shl(n)).unwrap_or(0)
}

/// What `IPAddressAllow=` or `IPAddressDeny=` lists, as far as a check asks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Addresses {
    every_v4: bool,
    every_v6: bool,
    /// Some that are this machine's own.
    local: bool,
    /// Some that are not.
    other: bool,
}

impl Addresses {
    pub(super) fn add(&mut self, value: &str) {
        if value.is_empty() {
            *self = Self::default();
        }
        for word in words(value, Escapes::Keep).unwrap_or_default() {
            match word.as_str() {
                "any" => {
                    (self.every_v4, self.every_v6, self.other) = (true, true, true);
                }
                "localhost" => self.local = true,
                "link-local" | "multicast" => self.other = true,
                range => self.range(range),
            }
        }
    }

    fn range(&mut self, text: &str) {
        let (address, bits) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
        let Ok(address) = address.parse::<IpAddr>() else {
            return;
        };
        let most: u8 = if address.is_ipv4() { 32 } else { 128 };
        let Ok(bits) = bits.map_or(Ok(most), str::parse::<u8>) else {
            return;
        };
        if bits > most {
            return;
        }
        let local = match address {
            IpAddr::V4(address) => address.is_loopback() && bits >= 8,
            IpAddr::V6(address) => address.is_loopback() && bits == 128,
        };
        if local {
            self.local = true;
        } else {
            self.other = true;
        }
        self.every_v4 |= bits == 0 && address.is_ipv4();
        self.every_v6 |= bits == 0 && address.is_ipv6();
    }

    /// How bad it is that a service may talk to what `allowed` lists where `self` is refused.
    pub(super) fn badness(&self, allowed: &Self) -> u32 {
        match (self.every_v4 && self.every_v6, allowed.other, allowed.local) {
            (false, _, _) => 10,
            (true, true, _) => 5,
            (true, false, true) => 2,
            (true, false, false) => 0,
        }
    }
}

/// Whether `DeviceAllow=` would take this: a device or a class of them, and what may be done with it.
pub(super) fn is_device(value: &str) -> bool {
    let Some(words) = words(value, Escapes::Keep) else {
        return false;
    };
    let (device, rights) = match words.as_slice() {
        [device] => (device, "rwm"),
        [device, rights] => (device, rights.as_str()),
        _ => return false,
    };
    let node = ["/dev/", "/run/systemd/inaccessible/"];
    let plain = !device.split('/').any(|part| part == "..");
    let path = plain && node.iter().any(|start| device.starts_with(start));
    let class = device.starts_with("char-") || device.starts_with("block-");
    (path || class) && !rights.is_empty() && rights.chars().all(|c| "rwm".contains(c))
}
