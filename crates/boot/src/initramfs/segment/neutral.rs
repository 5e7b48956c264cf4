//! What in an image keeps it from starting on another machine, and the files that take their place.
//!
//! Nothing can be removed by adding to an image: a file gets another content, and what waits for a device of the old
//! machine is told to wait no longer.

use super::{Image, Left, Options, Step};
use crate::bytes::shown;
use crate::initramfs::leftover::{awaited, blocks, parameters};
use crate::initramfs::{LeftoverKind, inside};
use crate::ladder::blocked_by_parameter;
use crate::naming;
use std::collections::{BTreeMap, BTreeSet};

/// Files of an image that are new or get another content.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// By place: the content, and what for.
    pub(super) files: BTreeMap<Vec<u8>, (Vec<u8>, String)>,
    pub(super) left: Vec<Left>,
}

impl Changes {
    /// Gives the file at `path` this content, unless it has it.
    pub(super) fn change(&mut self, image: &Image, path: &str, content: Vec<u8>, why: &str) -> Step<()> {
        let place = image.place(path)?;
        if image.content(&place) != Some(content.as_slice()) {
            self.files.insert(place, (content, why.to_owned()));
        }
        Ok(())
    }

    fn left(&mut self, image: &Image, file: &str, says: &str, why: &str) {
        let what = format!("{}: {}", inside(&image.facts.path, file), says.trim());
        let why = why.to_owned();
        self.left.push(Left { what, why });
    }
}

/// What an edit of a line finds.
enum Edit {
    Keep,
    Becomes(String),
    /// It names a device that is lost, and no other name is known.
    Lost,
}

/// What has to change in `image`, so that these modules are loaded and no device of the old machine is waited for.
pub(super) fn find(image: &Image, modules: &BTreeSet<String>, options: &Options<'_>) -> Changes {
    let mut changes = Changes::default();
    let lost = |device: &str| options.buses.iter().any(|bus| !naming::stays(device, *bus));
    let renamed = |device: &str| (options.stable)(device).filter(|name| !lost(name));
    for (place, bytes) in &image.contents.files {
        let (path, Ok(text)) = (shown(place), std::str::from_utf8(bytes)) else {
            continue;
        };
        let plain = path.strip_prefix("usr/").unwrap_or(&path);
        let in_dir = |dir: &str| plain.starts_with(dir);
        let mut edit = |why: &str, line: &mut dyn FnMut(&str) -> Edit| {
            edit_lines(&mut changes, image, (place, &path), text, why, line);
        };
        if in_dir("etc/modprobe.d/") || in_dir("lib/modprobe.d/") {
            edit(
                "it kept modules from being loaded",
                &mut |line| match blocks(line).filter(|m| modules.contains(m)) {
                    Some(_) => Edit::Becomes(format!("# not on KVM: {line}")),
                    None => Edit::Keep,
                },
            );
        } else if in_dir("etc/cmdline.d/") {
            edit("it named devices of the old machine", &mut |line| {
                words(line, &lost, &renamed)
            });
        } else if in_dir("conf/conf.d/") || plain == "conf/param.conf" {
            edit("it named devices of the old machine", &mut |line| {
                assignment(line, &lost, &renamed)
            });
        } else if let Some(field) = table(plain) {
            edit("it named devices of the old machine", &mut |line| match line
                .split_whitespace()
                .nth(field)
                .filter(|d| lost(d))
            {
                None => Edit::Keep,
                Some(device) => {
                    renamed(device).map_or(Edit::Lost, |to| Edit::Becomes(line.replacen(device, &to, 1)))
                }
            });
        } else if plain.contains("/initqueue/finished/devexists-") {
            let device = awaited(plain).filter(|d| lost(d));
            if device.is_some() && bytes != WAITS_NO_MORE {
                let why = "it waited for a device of the old machine".to_owned();
                changes.files.insert(place.clone(), (WAITS_NO_MORE.to_vec(), why));
            }
        } else if plain == "etc/lvm/devices/system.devices" {
            devices_file(&mut changes, image, text);
        }
    }
    units(&mut changes, image, &lost);
    for module in modules {
        if blocked_by_parameter(options.command_line, module) {
            let what = format!("the command line of the kernel: {module}");
            let why = "what the kernel is told is not in the image".to_owned();
            changes.left.push(Left { what, why });
        }
    }
    changes
}

/// The body of a hook that finds its device there.
const WAITS_NO_MORE: &[u8] = b"true\n";

/// Which field of a table's lines names the device, counted from 0.
fn table(plain: &str) -> Option<usize> {
    match plain {
        "etc/fstab" => Some(0),
        "etc/crypttab" | "cryptroot/crypttab" => Some(1),
        _ => None,
    }
}

fn edit_lines(
    changes: &mut Changes,
    image: &Image,
    (place, path): (&[u8], &str),
    text: &str,
    why: &str,
    edit: &mut dyn FnMut(&str) -> Edit,
) {
    let mut out = String::with_capacity(text.len());
    for whole in text.split_inclusive('\n') {
        let line = whole.strip_suffix('\n').unwrap_or(whole);
        let said = !line.trim().is_empty() && !line.trim_start().starts_with('#');
        match if said { edit(line) } else { Edit::Keep } {
            Edit::Keep => out.push_str(line),
            Edit::Becomes(other) => out.push_str(&other),
            Edit::Lost => {
                changes.left(image, path, line, "no lasting name of the device is known");
                out.push_str(line);
            }
        }
        out.push_str(whole.get(line.len()..).unwrap_or_default());
    }
    if out != text {
        changes
            .files
            .insert(place.to_vec(), (out.into_bytes(), why.to_owned()));
    }
}

/// A line of parameters. Where to resume from is left out where it is lost: there is nothing to resume.
fn words(line: &str, lost: &dyn Fn(&str) -> bool, renamed: &dyn Fn(&str) -> Option<String>) -> Edit {
    let mut out = String::with_capacity(line.len());
    let mut gone = false;
    for piece in line.split_inclusive(char::is_whitespace) {
        let named = parameters(piece).next().filter(|(_, _, device)| lost(device));
        match named {
            None => out.push_str(piece),
            Some((kind, _, device)) => match renamed(&device) {
                Some(to) => out.push_str(&piece.replacen(&device, &to, 1)),
                None if kind == LeftoverKind::Resume => {}
                None => {
                    gone = true;
                    out.push_str(piece);
                }
            },
        }
    }
    match (gone, out == line) {
        (true, _) => Edit::Lost,
        (false, true) => Edit::Keep,
        (false, false) => Edit::Becomes(out),
    }
}

/// A line of the shell files of initramfs-tools.
fn assignment(line: &str, lost: &dyn Fn(&str) -> bool, renamed: &dyn Fn(&str) -> Option<String>) -> Edit {
    let Some((key, value)) = line.split_once('=') else {
        return Edit::Keep;
    };
    let key = key.trim();
    let device = value.trim().trim_matches(['"', '\'']);
    if !["RESUME", "resume", "ROOT"].contains(&key) || !lost(device) {
        return Edit::Keep;
    }
    match renamed(device) {
        Some(to) => Edit::Becomes(format!("{key}={to}")),
        // initramfs.conf(5): `none` resumes from nowhere.
        None if key != "ROOT" => Edit::Becomes(format!("{key}=none")),
        None => Edit::Lost,
    }
}

/// A list of the devices that LVM may use knows disks by serial numbers, which they have not on another machine. An empty
/// list would mean that there are none: lvm.conf(5) has a switch.
fn devices_file(changes: &mut Changes, image: &Image, text: &str) {
    const SWITCH: &str = "devices/use_devicesfile = 0";
    if text
        .lines()
        .all(|l| l.trim().is_empty() || l.trim_start().starts_with('#'))
    {
        return;
    }
    let path = "etc/lvm/lvmlocal.conf";
    let Ok(place) = image.place(path) else { return };
    let old = String::from_utf8_lossy(image.content(&place).unwrap_or_default()).into_owned();
    if !old.lines().any(|l| l.trim() == SWITCH) {
        let line = if old.is_empty() || old.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        let why = "a list of devices knew the disks of the old machine only".to_owned();
        changes
            .files
            .insert(place, (format!("{old}{line}{SWITCH}\n").into_bytes(), why));
    }
}

/// Units of systemd that wait for a device: where the target only wants them, they may give up soon.
fn units(changes: &mut Changes, image: &Image, lost: &dyn Fn(&str) -> bool) {
    for mark in &image.contents.marks {
        let Some(device) = awaited(mark).filter(|d| lost(d)) else {
            continue;
        };
        let Some((dir, unit)) = mark
            .rsplit_once('/')
            .filter(|(_, unit)| unit.ends_with(".device"))
        else {
            continue;
        };
        if dir.ends_with(".requires") {
            changes.left(image, mark, &device, "the start of the image depends on it");
            continue;
        }
        // Behind `timeout.conf`, which dracut puts there.
        let path = format!("etc/systemd/system/{unit}.d/zz-hyper2kvm.conf");
        let content = b"[Unit]\nJobTimeoutSec=1\nJobRunningTimeoutSec=1\n".to_vec();
        if changes
            .change(image, &path, content, "it waited for a device of the old machine")
            .is_err()
        {
            changes.left(image, mark, &device, "links lead nowhere");
        }
    }
}
