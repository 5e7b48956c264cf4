//! How a Linux system is connected, whichever of a dozen tools its configuration is for.
//!
//! ```text
//!  keyfiles ─ nm        netplan ─ YAML     ifcfg-* ─ ifcfg, suse     resolv.conf, hosts ─ dns
//!  .network ─ networkd  cloud-init ─ cloud interfaces ─ interfaces   udev's rules, .link ─ names
//! ```
//!
//! Each tool has a reader of its own that answers with connections. None of them decides which tool is in charge: what
//! the system starts is told beside. Files in `/run` are on a disk only by accident, yet they are read where their tool
//! would read them. Secrets are never kept; that there are some is.

mod cloud;
mod dns;
pub(super) mod glob;
mod ifcfg;
mod interfaces;
mod leases;
mod names;
mod netplan;
mod networkd;
mod nm;
mod others;
mod parse;
mod suse;
mod tools;

pub(crate) use dns::hosts;
pub(crate) use parse::{address_with, network as with_length};

use crate::network::Network;
use crate::report::Asking;
use h2k_guest::Look;

pub(crate) fn look(_: &Asking<'_>, look: &Look<'_>) -> Network {
    read(look)
}

/// How a Linux system is connected, by its files: for whoever wants that alone.
#[must_use]
pub fn read(look: &Look<'_>) -> Network {
    let mut connections = nm::look(look);
    connections.extend(netplan::look(look));
    connections.extend(networkd::look(look));
    connections.extend(ifcfg::look(look));
    connections.extend(suse::look(look));
    connections.extend(interfaces::look(look));
    let (told, silenced) = cloud::look(look);
    connections.extend(told);
    connections.extend(others::look(look));
    Network {
        tools: tools::look(look, silenced.as_ref()),
        connections,
        names: names::rules(look),
        name_switches: names::switches(look),
        last_leases: leases::look(look),
        dns: dns::look(look),
    }
}
