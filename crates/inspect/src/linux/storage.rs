//! Swap, encryption, LVM, MD, btrfs: what the disks have, and what the system is told of it.

use super::cmdline::{self, values};
use super::ini::{self, Dialect};
use crate::report::Asking;
use crate::storage::{
    Array, BtrfsSubvolume, CryptLine, Encrypted, LogicalVolume, Storage, Swap, VolumeGroup,
};
use h2k_guest::look::lossy;
use h2k_guest::{Crypttab, Device, Fact, Guest, Look, Source, Text, fstab};
use h2k_volume::Kind;
use std::collections::BTreeMap;

/// How many lines of a table are looked up. Each costs a walk through all devices.
const LINES: usize = 4096;

pub(crate) fn look(asking: &Asking<'_>, look: &Look<'_>) -> Storage {
    let crypttab = look.text("/etc/crypttab");
    let lines: Vec<CryptLine> = crypttab.iter().flat_map(crypt_lines).take(LINES).collect();
    let names = crypttab.map(|text| Crypttab::read(text.as_str().as_bytes()));
    let names = names.unwrap_or_default();
    let resolve = |spec: &str| asking.guest.resolve(spec.as_bytes(), &names).ok();
    Storage {
        swap: swap(asking.guest, look, resolve),
        encrypted: encrypted(asking.guest, lines, resolve),
        volume_groups: groups(asking.guest),
        arrays: arrays(asking.guest, look),
        subvolumes: subvolumes(asking, look),
        multipath: multipath(look),
        lvm_filters: lvm_filters(look),
        resume: resume(look),
    }
}

/// What lies on a device, for facts that no file tells.
fn on(what: &str, device: &Device) -> Source {
    Source::named(format!("{what} on {}", device.name))
}

fn swap<'g>(guest: &'g Guest, look: &Look<'_>, resolve: impl Fn(&str) -> Option<&'g Device>) -> Vec<Swap> {
    let mut found = Vec::new();
    let mut told: Vec<&str> = Vec::new();
    let table = look.text("/etc/fstab");
    let lines = table.iter().flat_map(Text::lines);
    let entries = lines.flat_map(|line| fstab(line.text.as_bytes()).into_iter().map(move |e| (line, e)));
    for (line, entry) in entries.filter(|(_, e)| e.kind == b"swap").take(LINES) {
        let spec = lossy(&entry.spec);
        let file = (!spec.starts_with("/dev/")).then(|| look.stat(&spec)).flatten();
        let device = resolve(&spec);
        told.extend(device.map(|d| d.name.as_str()));
        let options = entry.options.iter().map(|o| lossy(o));
        let mut swap = device.map_or_else(|| no_device(line.source()), |d| on_device(d, line.source()));
        swap.options = options.filter(|o| o != "defaults" && o != "sw").collect();
        if let (None, Some(stat)) = (device, file) {
            swap.kind = "file".to_owned();
            swap.device = Some(spec.clone());
            swap.size = Some(stat.len);
        }
        swap.spec = Some(spec);
        found.push(swap);
    }
    for device in guest.devices() {
        if matches!(device.kind, Some("swap" | "swsuspend")) && !told.contains(&device.name.as_str()) {
            found.push(on_device(device, on("the swap header", device)));
        }
    }
    found.extend(zram(look));
    found
}

fn no_device(source: Source) -> Swap {
    Swap {
        kind: "device".to_owned(),
        spec: None,
        device: None,
        size: None,
        uuid: None,
        label: None,
        options: Vec::new(),
        hibernated: false,
        source,
    }
}

fn on_device(device: &Device, source: Source) -> Swap {
    Swap {
        device: Some(device.name.clone()),
        size: Some(device.size),
        uuid: device.uuid.clone(),
        label: device.label.as_deref().map(lossy),
        hibernated: device.kind == Some("swsuspend"),
        ..no_device(source)
    }
}

/// zram-generator, zram-tools of Debian, zramswap of others.
fn zram(look: &Look<'_>) -> Vec<Swap> {
    let mut found = Vec::new();
    let ram = |source: Source, options: Vec<String>| Swap {
        kind: "zram".to_owned(),
        options,
        ..no_device(source)
    };
    let said = |entries: Vec<(String, Fact<String>)>| {
        let all = entries.into_iter();
        all.map(|(key, value)| format!("{key}={}", value.value)).collect()
    };
    let generator = [
        "/etc/systemd/zram-generator.conf",
        "/run/systemd/zram-generator.conf",
        "/usr/local/lib/systemd/zram-generator.conf",
        "/usr/lib/systemd/zram-generator.conf",
    ];
    if let Some(text) = look.first_text(generator) {
        for group in ini::groups(&text, Dialect::Systemd) {
            if group.name.starts_with("zram") && group.get("mount-point").is_none() {
                found.push(ram(group.source, said(group.entries)));
            }
        }
    }
    for path in [
        "/etc/default/zramswap",
        "/etc/default/zram-config",
        "/etc/conf.d/zram-init",
    ] {
        if let Some(text) = look.text(path) {
            let all = text.assignments().map(|(key, value)| (key.to_owned(), value));
            found.push(ram(text.source(), said(all.collect())));
        }
    }
    found
}

/// crypttab(5).
fn crypt_lines(table: &Text) -> Vec<CryptLine> {
    table
        .spoken()
        .filter_map(|line| {
            let mut words = line.text.split_whitespace();
            let (name, spec) = (words.next()?, words.next()?);
            let key = words.next().unwrap_or("none");
            let options = words.next().unwrap_or_default().split(',');
            Some(CryptLine {
                name: name.to_owned(),
                spec: spec.to_owned(),
                key: if key == "-" { "none" } else { key }.to_owned(),
                options: options.filter(|o| !o.is_empty()).map(str::to_owned).collect(),
                source: line.source(),
            })
        })
        .collect()
}

fn encrypted<'g>(
    guest: &'g Guest,
    lines: Vec<CryptLine>,
    resolve: impl Fn(&str) -> Option<&'g Device>,
) -> Vec<Encrypted> {
    let mut by_device: BTreeMap<String, Vec<CryptLine>> = BTreeMap::new();
    let mut lost = Vec::new();
    for line in lines {
        match resolve(&line.spec) {
            Some(device) => by_device.entry(device.name.clone()).or_default().push(line),
            None => lost.push(line),
        }
    }
    let mut found = Vec::new();
    for device in guest.devices() {
        let mut configured = by_device.remove(&device.name).unwrap_or_default();
        let Some(luks) = &device.encryption else {
            lost.append(&mut configured);
            continue;
        };
        let slots = luks
            .slots
            .iter()
            .map(|slot| format!("{}: {}", slot.number, slot.kdf));
        let machine = |word: &String| word.contains("tpm2") || word == "clevis";
        found.push(Encrypted {
            device: Some(device.name.clone()),
            format: Some(format!("luks{}", luks.version)),
            uuid: Some(luks.uuid.clone()),
            label: Some(luks.label.clone()).filter(|l| !l.is_empty()),
            cipher: Some(luks.cipher.clone()),
            key_bits: u32::try_from(luks.key_bits).ok(),
            openers: slots.chain(luks.tokens.iter().cloned()).collect(),
            bound_to_machine: luks.tokens.iter().any(machine),
            unlocked: !device.locked,
            configured,
            source: on("the LUKS header", device),
        });
    }
    found.extend(lost.into_iter().map(|line| {
        let plain = line
            .options
            .iter()
            .any(|o| o == "plain" || o == "swap" || o == "tmp");
        let device = resolve(&line.spec);
        Encrypted {
            device: device.map(|d| d.name.clone()),
            format: plain.then(|| "plain".to_owned()),
            uuid: None,
            label: None,
            cipher: option(&line, "cipher"),
            key_bits: option(&line, "size").and_then(|bits| bits.parse().ok()),
            openers: Vec::new(),
            bound_to_machine: line.options.iter().any(|o| o.starts_with("tpm2-device=")),
            unlocked: false,
            source: line.source.clone(),
            configured: vec![line],
        }
    }));
    found
}

fn option(line: &CryptLine, key: &str) -> Option<String> {
    let value = |o: &String| o.strip_prefix(key)?.strip_prefix('=').map(str::to_owned);
    line.options.iter().find_map(value)
}

fn groups(guest: &Guest) -> Vec<VolumeGroup> {
    let mut found: BTreeMap<&str, VolumeGroup> = BTreeMap::new();
    for device in guest.devices() {
        let Some(Kind::LogicalVolume(lv)) = &device.form else {
            continue;
        };
        let group = found.entry(&lv.group_id).or_insert_with(|| VolumeGroup {
            name: lv.group.clone(),
            uuid: lv.group_id.clone(),
            devices: Vec::new(),
            volumes: Vec::new(),
            source: Source::named(format!("the metadata of LVM on {}", device.below.join(" "))),
        });
        for below in &device.below {
            if !group.devices.contains(below) {
                group.devices.push(below.clone());
            }
        }
        group.volumes.push(LogicalVolume {
            name: lv.name.clone(),
            uuid: lv.uuid.clone(),
            size: device.size,
            layout: lv.layout.clone(),
            skip_activation: lv.skip_activation,
            devices: device.below.clone(),
        });
    }
    found.into_values().collect()
}

fn arrays(guest: &Guest, look: &Look<'_>) -> Vec<Array> {
    let mut told = Vec::new();
    for path in ["/etc/mdadm/mdadm.conf", "/etc/mdadm.conf"] {
        let Some(text) = look.text(path) else { continue };
        // A line that begins with white space goes on with the one before.
        let mut all: Vec<(String, Source)> = Vec::new();
        for line in text.lines() {
            let said = line.text.split('#').next().unwrap_or_default();
            match all.last_mut() {
                Some((last, _)) if said.starts_with([' ', '\t']) => last.push_str(said),
                _ => all.push((said.to_owned(), line.source())),
            }
        }
        told.extend(all.into_iter().filter_map(|(line, source)| {
            let mut words = line.split_whitespace();
            let keyword = words.next()?;
            keyword.eq_ignore_ascii_case("array").then_some(())?;
            let name = words.next()?.to_owned();
            let uuid =
                words.find_map(|w| Some(w.split_once('=')?).filter(|(k, _)| k.eq_ignore_ascii_case("uuid")));
            Some((Fact::new(name, source), uuid.map(|(_, v)| digits(v))))
        }));
    }
    let mut found = Vec::new();
    for device in guest.devices() {
        let Some(Kind::Raid(raid)) = &device.form else {
            continue;
        };
        let at = told.iter().position(|(name, uuid)| match uuid {
            Some(uuid) => *uuid == digits(&raid.uuid),
            None => device.is_named(&name.value),
        });
        found.push(Array {
            device: Some(device.name.clone()),
            configured_as: at.map(|at| told.remove(at).0),
            level: Some(raid.level.clone()),
            version: Some(raid.version.to_owned()),
            uuid: Some(raid.uuid.clone()),
            name: Some(raid.name.clone()).filter(|n| !n.is_empty()),
            devices: device.below.clone(),
            members: u32::try_from(raid.members).ok(),
            present: u32::try_from(raid.present).ok(),
            source: Source::named(format!("the superblocks on {}", device.below.join(" "))),
        });
    }
    found.extend(told.into_iter().map(|(name, uuid)| Array {
        device: None,
        source: name.source.clone(),
        configured_as: Some(name),
        level: None,
        version: None,
        uuid,
        name: None,
        devices: Vec::new(),
        members: None,
        present: None,
    }));
    found
}

/// A UUID's digits: mdadm writes colons where blkid writes hyphens, in other places.
fn digits(uuid: &str) -> String {
    let kept = uuid.chars().filter(char::is_ascii_hexdigit);
    kept.map(|c| c.to_ascii_lowercase()).collect()
}

/// The subvolumes of the filesystems that the system's files lie on.
fn subvolumes(asking: &Asking<'_>, look: &Look<'_>) -> Vec<BtrfsSubvolume> {
    let mut found = Vec::new();
    let mut seen = Vec::new();
    for device in asking.guest.devices() {
        // One filesystem may lie on several devices.
        let btrfs = device.kind == Some("btrfs") && device.holds_files;
        if !btrfs || seen.contains(&&device.uuid) {
            continue;
        }
        seen.push(&device.uuid);
        match asking.guest.subvolumes(device) {
            Ok(all) => found.extend(
                all.into_iter()
                    .filter(|s| !s.path.is_empty())
                    .map(|s| BtrfsSubvolume {
                        device: device.name.clone(),
                        path: lossy(&s.path),
                        id: s.id,
                        snapshot: s.snapshot,
                        read_only: s.read_only,
                        default: s.default,
                        source: on("the trees of btrfs", device),
                    }),
            ),
            Err(e) => look.failed(on("the trees of btrfs", device), &e),
        }
    }
    found
}

/// The lines that say something.
fn multipath(look: &Look<'_>) -> Vec<Fact<String>> {
    let said = |path: &str| {
        look.text(path)
            .map(|t| t.spoken().map(|l| l.fact(l.text.to_owned())).collect())
    };
    let lines: Vec<Fact<String>> = said("/etc/multipath.conf").unwrap_or_default();
    lines
        .into_iter()
        .chain(said("/etc/multipath/wwids").unwrap_or_default())
        .collect()
}

/// What of lvm.conf(5) hides devices, and the devices that the file of devices admits.
fn lvm_filters(look: &Look<'_>) -> Vec<Fact<String>> {
    let mut found = Vec::new();
    let keys = [
        "filter",
        "global_filter",
        "use_devicesfile",
        "devicesfile",
        "use_lvmetad",
    ];
    for path in ["/etc/lvm/lvm.conf", "/etc/lvm/lvmlocal.conf"] {
        let Some(text) = look.text(path) else { continue };
        let lines = text.spoken().filter(|line| {
            let key = line.text.split(['=', ' ', '\t']).next().unwrap_or_default();
            keys.contains(&key)
        });
        found.extend(lines.map(|line| line.fact(line.text.to_owned())));
    }
    for text in look.texts_in("/etc/lvm/devices", "") {
        let lines = text.spoken().filter(|line| line.text.starts_with("IDTYPE="));
        found.extend(lines.map(|line| line.fact(line.text.to_owned())));
    }
    found
}

/// resume= of the kernel, of initramfs-tools, of dracut.
fn resume(look: &Look<'_>) -> Vec<Fact<String>> {
    let mut found: Vec<Fact<String>> = Vec::new();
    let words = cmdline::words(look);
    for (value, word) in values(&words, "resume") {
        if !found.iter().any(|f| f.value == value) {
            found.push(Fact::new(value.to_owned(), word.source.clone()));
        }
    }
    for path in [
        "/etc/initramfs-tools/conf.d/resume",
        "/etc/initramfs-tools/initramfs.conf",
    ] {
        found.extend(look.text(path).and_then(|text| text.assigned("RESUME")));
    }
    found
}
