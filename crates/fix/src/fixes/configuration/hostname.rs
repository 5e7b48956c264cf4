//! The guest's own name.

use super::checks;
use crate::edit::Edit;
use crate::finding::Finding;
use crate::fixes::Fix;
use crate::fixes::text::{Becomes, lines, read, write};
use crate::view::View;
use h2k_block::Result;
use std::net::IpAddr;

/// Gives the guest its name.
pub(in crate::fixes) struct Hostname;

impl Fix for Hostname {
    fn id(&self) -> &'static str {
        "linux.hostname"
    }

    fn about(&self) -> &'static str {
        "gives the guest the name that is configured"
    }

    fn look(&self, view: &View<'_>) -> Result<Vec<Finding>> {
        let wish = &view.options.configuration.hostname;
        let whole = wish.fqdn.clone().or_else(|| {
            let name = wish.hostname.clone()?;
            Some(match &wish.domain {
                Some(domain) => format!("{name}.{domain}"),
                None => name,
            })
        });
        if whole.is_none() && wish.hosts.is_empty() {
            return Ok(vec![Finding::leave("no name is configured")]);
        }
        let bad = whole
            .iter()
            .chain(wish.hostname.iter())
            .find(|name| !checks::host(name));
        if let Some(bad) = bad {
            return Ok(vec![Finding::blocked(format!(
                "{bad:?} cannot be the name of a host"
            ))]);
        }
        for (address, name) in &wish.hosts {
            let named = checks::plain_text(name)
                && name.split_whitespace().count() > 0
                && name.split_whitespace().all(checks::host);
            if address.parse::<IpAddr>().is_err() || !named {
                let why = format!("{address:?} with {name:?} cannot be a line of the hosts file");
                return Ok(vec![Finding::blocked(why)]);
            }
        }
        let mut edits = Vec::new();
        if let Some(whole) = &whole {
            let short = wish.hostname.as_deref().unwrap_or(whole);
            let short = short.split('.').next().unwrap_or(short);
            edits.extend(named(view, short, whole));
        }
        edits.extend(hosts(view, whole.as_deref()));
        let name = whole.as_deref().unwrap_or("hosts");
        Ok(vec![if edits.is_empty() {
            Finding::leave(format!("{name}: the guest has these names already"))
        } else {
            Finding::change(format!("{name}: the name that is configured"), edits)
        }])
    }
}

/// The files that hold the name, each as its system reads it.
fn named(view: &View<'_>, short: &str, whole: &str) -> Vec<Edit> {
    let mut edits = Vec::new();
    let mut known = false;
    // Red Hat keeps the whole name before systemd; the others the short one.
    for (path, key, name) in [
        ("/etc/sysconfig/network", "HOSTNAME", whole),
        ("/etc/conf.d/hostname", "hostname", short),
    ] {
        let Some(text) = read(view, path) else { continue };
        let mut found = false;
        let content = lines(&text, |line| match line.trim().split_once('=') {
            Some((k, _)) if k == key => {
                found = true;
                Becomes::This(format!("{key}=\"{name}\""))
            }
            _ => Becomes::Same,
        });
        known |= found;
        edits.extend(content.map(|content| Edit::write(path, content)));
    }
    for path in ["/etc/hostname", "/etc/HOSTNAME"] {
        let there = view.look.exists(path);
        if there || (path == "/etc/hostname" && !known && !view.look.exists("/etc/HOSTNAME")) {
            edits.extend(write(view, path, format!("{short}\n"), 0o644));
        }
    }
    edits
}

/// The hosts file: the own name on 127.0.1.1 where there is such a line, and lines for others. What is there stays.
fn hosts(view: &View<'_>, whole: Option<&str>) -> Option<Edit> {
    const PATH: &str = "/etc/hosts";
    let before = read(view, PATH);
    let mut text = before
        .clone()
        .unwrap_or_else(|| "127.0.0.1 localhost\n::1 localhost\n".to_owned());
    let mut wanted: Vec<(String, String)> = Vec::new();
    if let Some(whole) = whole {
        let short = whole.split('.').next().unwrap_or(whole);
        let names = if short == whole {
            whole.to_owned()
        } else {
            format!("{whole} {short}")
        };
        let mut found = false;
        let replaced = lines(&text, |line| {
            if line.split_whitespace().next() != Some("127.0.1.1") {
                return Becomes::Same;
            }
            found = true;
            let told: Vec<&str> = line.split_whitespace().skip(1).collect();
            if told.join(" ") == names {
                return Becomes::Same;
            }
            Becomes::This(format!("127.0.1.1 {names}"))
        });
        text = replaced.unwrap_or(text);
        if !found {
            wanted.push(("127.0.1.1".to_owned(), names));
        }
    }
    let more = &view.options.configuration.hostname.hosts;
    wanted.extend(more.iter().map(|(address, name)| (address.clone(), name.clone())));
    for (address, names) in wanted {
        let there = text.lines().any(|line| {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let same = words.next() == Some(address.as_str());
            let told: Vec<&str> = words.collect();
            same && names.split_whitespace().all(|name| told.contains(&name))
        });
        if !there {
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(&format!("{address} {names}\n"));
        }
    }
    (before.as_deref() != Some(text.as_str())).then(|| Edit::write(PATH, text))
}
