//! firewalld: firewalld.conf(5), firewalld.zone(5), firewalld.service(5), firewalld.direct(5).

use crate::firewall::{Chain, Firewall, Rule, Service, Zone};
use crate::linux::started::Started;
use crate::linux::xml;
use h2k_guest::look::{join, lossy};
use h2k_guest::{Fact, Look, Source, Text};
use roxmltree::{Document, Node};
use std::collections::BTreeMap;

const OWN: &str = "/etc/firewalld";
const SHIPPED: &str = "/usr/lib/firewalld";
/// How many services are looked up; there are some two hundred.
const SERVICES: usize = 4096;

pub(super) fn look(look: &Look<'_>, started: &Started) -> Option<Firewall> {
    let config = look.text(format!("{OWN}/firewalld.conf"));
    if config.is_none() && !look.is_dir(OWN) {
        return None;
    }
    let mut found = Firewall::new("firewalld");
    found.enabled = started.state("firewalld");
    found.default_zone = config.as_ref().and_then(|c| c.assigned("DefaultZone"));
    for key in ["LogDenied", "FirewallBackend", "IndividualCalls", "Lockdown"] {
        let said = config.as_ref().and_then(|c| c.assigned(key));
        found
            .settings
            .extend(said.map(|f| f.map(|value| format!("{key}={value}"))));
    }
    let default = found.default_zone.as_ref().map(|f| f.value.as_bytes().to_vec());
    // A zone nobody changed is in force only where it is the default one.
    let mut files: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    for (dir, own) in [(OWN, true), (SHIPPED, false)] {
        let dir = format!("{dir}/zones");
        for name in look.names(&dir) {
            let Some(stem) = name.strip_suffix(b".xml") else {
                continue;
            };
            if own || default.as_deref() == Some(stem) {
                files
                    .entry(stem.to_vec())
                    .or_insert_with(|| join(dir.as_bytes(), &name));
            }
        }
    }
    let mut services = BTreeMap::new();
    for (name, path) in files {
        let Some(file) = look.text(&path) else { continue };
        let Some(document) = read(look, &file) else {
            continue;
        };
        found
            .zones
            .push(zone(look, &lossy(&name), &file, &document, &mut services));
    }
    if let Some(file) = look.text(format!("{OWN}/direct.xml")) {
        direct(look, &file, &mut found);
    }
    Some(found)
}

fn read<'t>(look: &Look<'_>, text: &'t Text) -> Option<Document<'t>> {
    match xml::read(text.as_str()) {
        Ok(document) => Some(document),
        Err(e) => {
            look.failed(text.source(), &e);
            None
        }
    }
}

fn attribute(node: Node<'_, '_>, name: &str) -> Option<String> {
    node.attribute(name).map(str::to_owned)
}

/// Where each element begins is found by counting lines once.
struct Lines<'t> {
    file: &'t Text,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn new(file: &'t Text) -> Self {
        let ends = file.as_str().match_indices('\n').map(|(at, _)| at);
        Self {
            file,
            starts: ends.collect(),
        }
    }

    fn of(&self, node: Node<'_, '_>) -> Source {
        let before = self.starts.partition_point(|end| *end < node.range().start);
        Source::line(self.file.path(), before.saturating_add(1))
    }
}

fn zone(
    look: &Look<'_>,
    name: &str,
    file: &Text,
    document: &Document<'_>,
    services: &mut BTreeMap<String, Service>,
) -> Zone {
    let root = document.root_element();
    let lines = Lines::new(file);
    let mut zone = Zone::new(name, file.source());
    zone.target = attribute(root, "target").map(|t| t.trim_matches('%').to_ascii_lowercase());
    for node in root.children().filter(Node::is_element) {
        match node.tag_name().name() {
            "interface" => zone.interfaces.extend(attribute(node, "name")),
            "source" => {
                let keys = ["address", "mac", "ipset"];
                zone.sources
                    .extend(keys.iter().find_map(|key| attribute(node, key)));
            }
            "service" => {
                if let Some(name) = attribute(node, "name") {
                    zone.services.push(service(look, name, services));
                }
            }
            "port" => zone.ports.extend(port(node)),
            "source-port" => zone.ports.extend(port(node).map(|p| format!("source {p}"))),
            "protocol" => zone.protocols.extend(attribute(node, "value")),
            "masquerade" => zone.masquerade = attribute(node, "enabled").is_none_or(|e| e != "no"),
            "forward-port" => {
                let to = [attribute(node, "to-addr"), attribute(node, "to-port")];
                let to: Vec<String> = to.into_iter().flatten().collect();
                let from = port(node).unwrap_or_default();
                zone.forwards.push(format!("{from} to {}", to.join(":")));
            }
            "rule" => zone.rules.push(Rule::new(rich(node), lines.of(node))),
            "icmp-block" | "icmp-block-inversion" | "forward" => {
                zone.rules.push(Rule::new(rich(node), lines.of(node)));
            }
            _ => {}
        }
    }
    zone
}

fn port(node: Node<'_, '_>) -> Option<String> {
    Some(format!(
        "{}/{}",
        node.attribute("port")?,
        node.attribute("protocol")?
    ))
}

fn service(look: &Look<'_>, name: String, known: &mut BTreeMap<String, Service>) -> Service {
    if let Some(service) = known.get(&name) {
        return service.clone();
    }
    let mut found = Service {
        name: name.clone(),
        ports: Vec::new(),
        defined: None,
    };
    let plain = !name.contains('/') && known.len() < SERVICES;
    let paths = [OWN, SHIPPED].map(|dir| format!("{dir}/services/{name}.xml"));
    let file = paths.iter().filter(|_| plain).find_map(|path| look.text(path));
    if let Some(file) = file
        && let Some(document) = read(look, &file)
    {
        let nodes = document.root_element().children();
        let ports = nodes.filter(|n| n.has_tag_name("port")).filter_map(port);
        found.ports = ports.map(|p| p.trim_start_matches('/').to_owned()).collect();
        found.defined = Some(file.source());
    }
    known.insert(name, found.clone());
    found
}

/// A rich rule in the words of firewalld.richlanguage(5): elements and their attributes, in order.
fn rich(rule: Node<'_, '_>) -> String {
    let mut words = Vec::new();
    for node in rule.descendants().filter(Node::is_element) {
        words.push(node.tag_name().name().to_owned());
        words.extend(
            node.attributes()
                .map(|a| format!("{}=\"{}\"", a.name(), a.value())),
        );
    }
    words.join(" ")
}

fn direct(look: &Look<'_>, file: &Text, found: &mut Firewall) {
    let Some(document) = read(look, file) else { return };
    let lines = Lines::new(file);
    let mut chains: BTreeMap<(String, String), Chain> = BTreeMap::new();
    for node in document.root_element().children().filter(Node::is_element) {
        let said = |key: &str| attribute(node, key).unwrap_or_default();
        let body = node.text().unwrap_or_default().trim();
        match node.tag_name().name() {
            "rule" | "chain" => {
                let table = format!("{} {}", said("ipv"), said("table"));
                let chain = chains
                    .entry((table.clone(), said("chain")))
                    .or_insert_with(|| Chain {
                        table,
                        name: said("chain"),
                        hook: None,
                        policy: None,
                        rules: Vec::new(),
                        source: lines.of(node),
                    });
                if node.tag_name().name() == "rule" {
                    chain.rules.push(Rule::new(body, lines.of(node)));
                }
            }
            "passthrough" => {
                let rule = format!("passthrough {} {body}", said("ipv"));
                found.rules.push(Rule::new(rule, lines.of(node)));
            }
            _ => {}
        }
    }
    found.chains.extend(chains.into_values());
    found
        .settings
        .push(Fact::new("direct rules".to_owned(), file.source()));
}
