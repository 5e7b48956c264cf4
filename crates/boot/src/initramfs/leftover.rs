//! What in an image belongs to the machine it was made on.

use super::collect::Contents;
use super::inside;
use h2k_guest::look::Line;
use h2k_guest::{Fact, Source};
use schemars::JsonSchema;
use serde::Serialize;

/// What kind of thing names a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LeftoverKind {
    /// A parameter of the kernel: `root=`, `rd.lvm.lv=`.
    Parameter,
    /// Where to resume from.
    Resume,
    /// A device that is waited for: without it, the boot stops.
    Awaited,
    /// A line of a crypttab.
    Crypttab,
    /// A line of an fstab.
    Fstab,
    /// A list of the devices that LVM may use.
    LvmDevices,
    /// Names that multipath gave to disks by their serial numbers.
    Multipath,
}

/// A device that an image names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Leftover {
    /// What names it.
    pub kind: LeftoverKind,
    /// What it says: `root=/dev/sda2`, `/dev/disk/by-path/…`.
    pub text: String,
    /// The device.
    pub device: String,
    /// The file in the image.
    pub source: Source,
}

fn at(image: &str, line: &Line<'_>) -> Source {
    Source::named(format!("{image}:{}", line.source()))
}

/// What says that the image has the drivers of one machine only.
pub(super) fn host_only(contents: &Contents, image: &str) -> Option<Source> {
    if let Some(mark) = contents
        .marks
        .iter()
        .find(|m| m.starts_with("lib/dracut/hostonly"))
    {
        return Some(inside(image, mark));
    }
    for text in contents.files_in("lib/dracut/build-parameter.txt") {
        let words = |line: &Line<'_>| {
            let mut words = line.text.split(|c: char| c.is_whitespace() || c == '\'');
            words.any(|w| w == "--hostonly" || w == "-H")
        };
        if let Some(line) = text.lines().find(words) {
            return Some(at(image, &line));
        }
    }
    // conf.d is read after initramfs.conf, and the last assignment counts.
    let texts = contents
        .files_in("conf/initramfs.conf")
        .chain(contents.files_in("conf/conf.d/"));
    let modules = texts.filter_map(|text| text.assigned("MODULES")).last();
    if let Some(modules) = modules.filter(|m| m.value == "dep" || m.value == "list") {
        return Some(Source::named(format!("{image}:{}", modules.source)));
    }
    let config = contents.file("buildconfig")?;
    let line = config
        .spoken()
        .find(|l| l.text.starts_with("HOOKS=") && l.text.contains("autodetect"))?;
    Some(at(image, &line))
}

/// Modules that `modprobe.d` keeps from being loaded.
pub(super) fn blocked(contents: &Contents, image: &str) -> Vec<Fact<String>> {
    let mut all = Vec::new();
    for text in contents
        .files_in("etc/modprobe.d/")
        .chain(contents.files_in("lib/modprobe.d/"))
    {
        all.extend(
            text.spoken()
                .filter_map(|line| Some(Fact::new(blocks(line.text)?, at(image, &line)))),
        );
    }
    all
}

/// The module that a line of `modprobe.d` keeps from being loaded: `blacklist x`, `install x /bin/false`.
pub(crate) fn blocks(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    let module = match words.next()? {
        "blacklist" => words.next()?,
        "install" => {
            let module = words.next()?;
            let program = words.next()?.rsplit('/').next()?;
            ["false", "true", ":"].contains(&program).then_some(module)?
        }
        _ => return None,
    };
    Some(module.replace('-', "_"))
}

/// Devices that files of the image name.
pub(super) fn find(contents: &Contents, image: &str) -> Vec<Leftover> {
    let mut all = Vec::new();
    for text in contents.files_in("etc/cmdline.d/") {
        for line in text.spoken() {
            all.extend(parameters(line.text).map(|(kind, text, device)| Leftover {
                kind,
                text,
                device,
                source: at(image, &line),
            }));
        }
    }
    for text in contents
        .files_in("conf/conf.d/")
        .chain(contents.files_in("conf/param.conf"))
    {
        for (key, value) in text.assignments() {
            let kind = match key {
                "RESUME" | "resume" => LeftoverKind::Resume,
                "ROOT" => LeftoverKind::Parameter,
                _ => continue,
            };
            if value.value.is_empty() || ["auto", "none"].contains(&value.value.as_str()) {
                continue;
            }
            all.push(Leftover {
                kind,
                text: format!("{key}={}", value.value),
                device: value.value,
                source: Source::named(format!("{image}:{}", value.source)),
            });
        }
    }
    for mark in &contents.marks {
        if let Some(device) = awaited(mark) {
            all.push(Leftover {
                kind: LeftoverKind::Awaited,
                text: device.clone(),
                device,
                source: inside(image, mark),
            });
        }
    }
    let tables = [
        ("etc/crypttab", LeftoverKind::Crypttab, 1),
        ("cryptroot/crypttab", LeftoverKind::Crypttab, 1),
        ("etc/fstab", LeftoverKind::Fstab, 0),
    ];
    for (file, kind, field) in tables {
        let Some(text) = contents.file(file) else { continue };
        for line in text.spoken() {
            if let Some(device) = line.text.split_whitespace().nth(field) {
                all.push(Leftover {
                    kind,
                    text: line.text.to_owned(),
                    device: device.to_owned(),
                    source: at(image, &line),
                });
            }
        }
    }
    for text in contents.files_in("etc/lvm/devices/system.devices") {
        for line in text.spoken() {
            let mut fields = line.text.split_whitespace();
            if let Some(name) = fields.find_map(|f| f.strip_prefix("DEVNAME=")) {
                all.push(Leftover {
                    kind: LeftoverKind::LvmDevices,
                    text: line.text.to_owned(),
                    device: name.to_owned(),
                    source: at(image, &line),
                });
            }
        }
    }
    for text in contents.files_in("etc/multipath/wwids") {
        for line in text.spoken() {
            let device = line.text.trim_matches('/').to_owned();
            all.push(Leftover {
                kind: LeftoverKind::Multipath,
                text: line.text.to_owned(),
                device,
                source: at(image, &line),
            });
        }
    }
    all
}

/// The devices that parameters of a command line name.
pub(crate) fn parameters(text: &str) -> impl Iterator<Item = (LeftoverKind, String, String)> {
    text.split_whitespace().filter_map(|word| {
        let word = word.trim_matches(['"', '\'']);
        let (key, value) = word.split_once('=')?;
        let kind = match key {
            "resume" => LeftoverKind::Resume,
            "root" | "rd.luks.name" | "rd.luks.uuid" | "rd.md.uuid" | "rd.lvm.lv" | "cryptdevice"
            | "real_root" => LeftoverKind::Parameter,
            _ => return None,
        };
        Some((kind, word.to_owned(), value.to_owned()))
    })
}

/// The device that a hook of dracut, or a unit of systemd, waits for.
pub(super) fn awaited(mark: &str) -> Option<String> {
    if let Some((_, name)) = mark.split_once("initqueue/finished/devexists-") {
        let name = name.strip_suffix(".sh")?;
        return Some(unescaped(name));
    }
    let required = ["initrd.target.wants/", "initrd.target.requires/"];
    let (_, unit) = required.iter().find_map(|dir| mark.split_once(dir))?;
    let name = unit.strip_suffix(".device")?;
    Some(format!("/{}", unescaped(&name.replace('-', "/"))))
}

/// `\x2d`, as systemd and dracut escape what a name may not have. dracut writes `/` so, systemd writes `-`.
fn unescaped(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find("\\x") {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let byte = escape.get(2..4).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match byte {
            Some(byte) if byte.is_ascii() => {
                out.push(char::from(byte));
                rest = escape.get(4..).unwrap_or_default();
            }
            _ => {
                out.push_str("\\x");
                rest = escape.get(2..).unwrap_or_default();
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_that_are_waited_for_have_their_names_back() {
        for (mark, device) in [
            (
                "lib/dracut/hooks/initqueue/finished/devexists-\\x2fdev\\x2fdisk\\x2fby-uuid\\x2f12-34.sh",
                "/dev/disk/by-uuid/12-34",
            ),
            (
                "etc/systemd/system/initrd.target.wants/dev-disk-by\\x2duuid-12\\x2d34.device",
                "/dev/disk/by-uuid/12-34",
            ),
            (
                "etc/systemd/system/initrd.target.requires/dev-sda2.device",
                "/dev/sda2",
            ),
        ] {
            assert_eq!(awaited(mark).as_deref(), Some(device), "{mark}");
        }
        assert_eq!(awaited("etc/systemd/system/dev-sda2.device.d/timeout.conf"), None);
    }

    #[test]
    fn modules_are_blocked_by_name_or_by_a_command_that_does_nothing() {
        assert_eq!(blocks("blacklist virtio-blk").as_deref(), Some("virtio_blk"));
        assert_eq!(
            blocks("install virtio_scsi /bin/false").as_deref(),
            Some("virtio_scsi")
        );
        assert_eq!(
            blocks("install sound /sbin/modprobe --ignore-install sound"),
            None
        );
        assert_eq!(blocks("options virtio_blk x=1"), None);
    }
}
