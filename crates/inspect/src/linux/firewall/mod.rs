//! Firewalls of Linux, one reader for each tool.

mod firewalld;
mod iptables;
mod nftables;
mod ufw;

use super::started::Started;
use crate::firewall::{Firewall, Firewalls, Rule, Zone};
use crate::report::Asking;
use h2k_guest::Look;

pub(crate) fn look(_: &Asking<'_>, look: &Look<'_>) -> Firewalls {
    let started = Started::new(look);
    let mut firewalls = Vec::new();
    firewalls.extend(firewalld::look(look, &started));
    firewalls.extend(nftables::look(look, &started));
    firewalls.extend(iptables::look(look, &started));
    firewalls.extend(ufw::look(look, &started));
    firewalls.extend(susefirewall(look, &started));
    Firewalls { firewalls }
}

/// SuSEfirewall2 of SLES up to 12: a file of shell variables, `FW_SERVICES_EXT_TCP="22 http"`.
fn susefirewall(look: &Look<'_>, started: &Started) -> Option<Firewall> {
    let text = look.text("/etc/sysconfig/SuSEfirewall2")?;
    let mut found = Firewall::new("susefirewall2");
    found.enabled = started
        .state("SuSEfirewall2")
        .or_else(|| started.state("SuSEfirewall2_setup"));
    for name in ["EXT", "INT", "DMZ"] {
        let said = |key: &str| text.assigned(key).filter(|f| !f.value.is_empty());
        let words = |key: String| -> Vec<String> {
            let said = text.assigned(&key);
            said.iter()
                .flat_map(|f| f.value.split_whitespace())
                .map(str::to_owned)
                .collect()
        };
        let device = said(&format!("FW_DEV_{name}"));
        let source = device.map_or_else(|| text.source(), |f| f.source);
        let mut zone = Zone::new(name, source);
        zone.interfaces = words(format!("FW_DEV_{name}"));
        for protocol in ["tcp", "udp"] {
            let key = format!("FW_SERVICES_{name}_{}", protocol.to_uppercase());
            zone.ports
                .extend(words(key).into_iter().map(|port| format!("{port}/{protocol}")));
        }
        zone.protocols = words(format!("FW_SERVICES_{name}_IP"));
        for rule in words(format!("FW_CONFIGURATIONS_{name}")) {
            zone.rules
                .push(Rule::new(format!("configuration {rule}"), text.source()));
        }
        found.zones.push(zone);
    }
    for key in [
        "FW_PROTECT_FROM_INT",
        "FW_ROUTE",
        "FW_MASQUERADE",
        "FW_TRUSTED_NETS",
        "FW_FORWARD",
    ] {
        let said = text.assigned(key).filter(|f| !f.value.is_empty());
        found
            .settings
            .extend(said.map(|f| f.map(|value| format!("{key}={value}"))));
    }
    Some(found)
}
