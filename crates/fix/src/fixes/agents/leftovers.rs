//! What agents and hypervisors leave in configuration: package sources, programs that start with a desktop.

use crate::edit::Edit;
use crate::finding::Finding;
use crate::fixes::text::{Becomes, files, lines, read, shown};
use crate::view::View;
use h2k_guest::Source;

pub(super) fn look(view: &View<'_>) -> Vec<Finding> {
    let mut findings = repositories(view);
    findings.extend(autostart(view));
    findings
}

fn changed(path: &[u8], content: String, why: String) -> Finding {
    Finding::change(why, vec![Edit::write(path, content)]).read([Source::file(path)])
}

/// Package sources at VMware, which fail or wait without its network.
fn repositories(view: &View<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for dir in ["/etc/yum.repos.d", "/etc/zypp/repos.d"] {
        for (path, text) in files(view, dir, &[".repo"]) {
            if let Some(content) = disabled(&text) {
                let why = format!("{} has packages of VMware, and is switched off", shown(&path));
                findings.push(changed(&path, content, why));
            }
        }
    }
    findings
}

/// A file of sources with those at VMware switched off.
fn disabled(text: &str) -> Option<String> {
    let vmware = |line: &str| {
        let (key, value) = line.split_once('=')?;
        let host = value.trim().split_once("://")?.1;
        let host = host.split(['/', ':']).next()?;
        let key = key.trim();
        let from = matches!(key, "baseurl" | "mirrorlist" | "metalink");
        (from && (host == "vmware.com" || host.ends_with(".vmware.com"))).then_some(())
    };
    // Sections first: a switch may stand before or after the address.
    let mut theirs = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with('[') {
            theirs.push(false);
        } else if vmware(line).is_some()
            && let Some(last) = theirs.last_mut()
        {
            *last = true;
        }
    }
    let has_switch = switches(text);
    let mut at = 0_usize;
    lines(text, |line| {
        let said = line.trim();
        if said.starts_with('[') {
            let number = at;
            at = at.saturating_add(1);
            if theirs.get(number) == Some(&true) && has_switch.get(number) == Some(&false) {
                return Becomes::This(format!("{line}\nenabled=0"));
            }
            return Becomes::Same;
        }
        let mine = at.checked_sub(1).and_then(|n| theirs.get(n)) == Some(&true);
        match said.split_once('=') {
            Some((key, value)) if mine && key.trim() == "enabled" && value.trim() != "0" => {
                Becomes::This("enabled=0".to_owned())
            }
            _ => Becomes::Same,
        }
    })
}

/// Whether each section says if it is on.
fn switches(text: &str) -> Vec<bool> {
    let mut all = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            all.push(false);
        } else if line
            .split_once('=')
            .is_some_and(|(key, _)| key.trim() == "enabled")
            && let Some(last) = all.last_mut()
        {
            *last = true;
        }
    }
    all
}

/// What starts with every desktop.
fn autostart(view: &View<'_>) -> Option<Finding> {
    const PATH: &str = "/etc/xdg/autostart/vboxclient.desktop";
    let text = read(view, PATH)?;
    if text.lines().any(|line| line.trim() == "Hidden=true") {
        return None;
    }
    let mut done = false;
    let content = lines(&text, |line| {
        if line.trim() == "[Desktop Entry]" && !done {
            done = true;
            return Becomes::This(format!("{line}\nHidden=true"));
        }
        Becomes::Same
    })?;
    let why = "the client of VirtualBox starts with every desktop, and is hidden from it".to_owned();
    Some(changed(PATH.as_bytes(), content, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_at_vmware_are_switched_off_wherever_the_switch_stands() {
        let text = "[a]\nenabled=1\nbaseurl=https://packages.vmware.com/tools/x\n[b]\nbaseurl=http://example.org/vmware.com\nenabled=1\n[c]\nbaseurl = http://packages.vmware.com:80/\n";
        let after = "[a]\nenabled=0\nbaseurl=https://packages.vmware.com/tools/x\n[b]\nbaseurl=http://example.org/vmware.com\nenabled=1\n[c]\nenabled=0\nbaseurl = http://packages.vmware.com:80/\n";
        assert_eq!(disabled(text).as_deref(), Some(after));
        assert_eq!(disabled(after), None);
        assert_eq!(disabled("[b]\nbaseurl=http://notvmware.com/\n"), None);
    }
}
