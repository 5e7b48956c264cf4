//! Drivers of X servers that are for the old machine's hardware.

use super::Fix;
use super::patch::{Line, Patch, lines, listed, part};
use crate::edit::Edit;
use crate::finding::Finding;
use crate::view::View;
use h2k_block::Result;
use h2k_guest::Source;
use std::ops::Range;

const FILES: [&str; 4] = [
    "/etc/X11/xorg.conf",
    "/etc/X11/XF86Config",
    "/etc/X11/XF86Config-4",
    "/etc/xorg.conf",
];

/// Where X servers keep their drivers.
const DRIVERS: [&str; 4] = [
    "/usr/lib/xorg/modules",
    "/usr/lib64/xorg/modules",
    "/usr/lib/x86_64-linux-gnu/xorg/modules",
    "/usr/X11R6/lib/modules",
];

/// Screens of other hypervisors.
const SCREENS: [&str; 4] = ["vmware", "vboxvideo", "cirrus", "hyperv_fb"];
/// Mice of other hypervisors.
const MICE: [&str; 2] = ["vmmouse", "vboxmouse"];

/// Replaces drivers of X that need the old machine's hardware.
pub(super) struct X11;

impl Fix for X11 {
    fn id(&self) -> &'static str {
        "linux.x11"
    }

    fn about(&self) -> &'static str {
        "replaces drivers of X that need the old machine's hardware"
    }

    fn look(&self, view: &View<'_>) -> Result<Vec<Finding>> {
        let mut paths: Vec<String> = FILES.iter().map(|p| (*p).to_owned()).collect();
        paths.extend(listed(view, "/etc/X11/xorg.conf.d", ".conf"));
        let found = paths.iter().filter_map(|path| {
            let bytes = view.look.bytes(path, 1 << 20)?;
            of_file(view, path, &bytes)
        });
        let mut findings: Vec<Finding> = found.collect();
        if findings.is_empty() {
            findings.push(Finding::leave("X is told no driver of another hypervisor"));
        }
        Ok(findings)
    }
}

/// What stands in place of a driver.
fn instead(view: &View<'_>, driver: &str) -> Option<&'static str> {
    let has = |file: &str| {
        let mut dirs = DRIVERS.iter();
        dirs.any(|dir| view.look.exists(format!("{dir}/{file}")))
    };
    let driver = driver.to_ascii_lowercase();
    if SCREENS.contains(&driver.as_str()) {
        // Servers before 1.17 have it only as a package; vesa is always there.
        let old = !has("drivers/modesetting_drv.so") && has("drivers/vesa_drv.so");
        return Some(if old { "vesa" } else { "modesetting" });
    }
    if MICE.contains(&driver.as_str()) {
        let all = ["libinput", "evdev", "mouse"];
        let found = all.into_iter().find(|name| has(&format!("input/{name}_drv.so")));
        return Some(found.unwrap_or("libinput"));
    }
    None
}

/// The keyword of a line, in small letters, and where its first string is, quotes left out.
fn entry(line: &Line<'_>) -> Option<(String, Option<Range<usize>>)> {
    if line.silent() {
        return None;
    }
    let text = line.text.trim_ascii_start();
    let indent = line.text.len().saturating_sub(text.len());
    let len = text
        .iter()
        .position(u8::is_ascii_whitespace)
        .unwrap_or(text.len());
    let key = String::from_utf8_lossy(text.get(..len)?)
        .to_ascii_lowercase()
        .replace('_', "");
    let open = text.iter().position(|b| *b == b'"');
    let string = open.and_then(|open| {
        let begin = open.saturating_add(1);
        let end = text.get(begin..)?.iter().position(|b| *b == b'"')?;
        let begin = line.start.saturating_add(indent).saturating_add(begin);
        Some(begin..begin.saturating_add(end))
    });
    Some((key, string))
}

fn of_file(view: &View<'_>, path: &str, bytes: &[u8]) -> Option<Finding> {
    let all: Vec<Line<'_>> = lines(bytes).collect();
    let mut patch = Patch::new(bytes);
    let (mut said, mut read) = (Vec::new(), Vec::new());
    for section in all.split_inclusive(|line| entry(line).is_some_and(|(key, _)| key == "endsection")) {
        let entries: Vec<_> = section.iter().filter_map(|l| Some((l, entry(l)?))).collect();
        let driver = entries.iter().find_map(|(_, (key, string))| {
            let range = string.as_ref().filter(|_| key == "driver")?;
            let name = String::from_utf8_lossy(part(bytes, range)).into_owned();
            Some((instead(view, &name)?, name))
        });
        let Some((new, old)) = driver else { continue };
        let screen = SCREENS.contains(&old.to_ascii_lowercase().as_str());
        for (line, (key, string)) in entries {
            match (key.as_str(), string) {
                ("driver", Some(range)) => patch.replace(range.clone(), new),
                // Of the card that was: a server that is told its bus looks nowhere else.
                ("busid" | "vendorname" | "boardname", _) if screen => patch.drop_line(line),
                _ => continue,
            }
            read.push(Source::line(path.as_bytes(), line.number));
        }
        said.push(format!("driver {old} becomes {new}"));
    }
    let why = format!("in {path}, {}", said.join("; "));
    let edit = || Edit::write(path, patch.done());
    patch
        .changed()
        .then(|| Finding::change(why, vec![edit()]).read(read))
}
