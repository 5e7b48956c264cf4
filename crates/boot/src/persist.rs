//! What a guest's own tools have to be told, so that the next initramfs they make has the drivers, too: an addition to
//! an image goes away with it when a kernel is updated.
//!
//! Follows dracut.conf(5), initramfs-tools(7), mkinitcpio.conf(5), mkinitfs.conf, SUSE's `/etc/sysconfig/kernel` and
//! modprobe.conf(5) of Red Hat up to 5. Files are read and their new texts handed back; nothing is written here.

use crate::kernel::{Kernel, Presence};
use h2k_guest::{Fact, Look, Source};
use schemars::JsonSchema;
use serde::Serialize;

/// The drivers a guest needs on KVM from its first second on.
const DRIVERS: [&str; 5] = [
    "virtio_blk",
    "virtio_scsi",
    "virtio_pci",
    "virtio_net",
    "virtio_console",
];

/// Drivers of Xen's old kernels, which no KVM guest needs.
const XEN: [&str; 4] = ["xennet", "xen-vnif", "xenblk", "xen-vbd"];

/// The drop-in of dracut.
const DRACUT: &str = "/etc/dracut.conf.d/50-hyper2kvm-virtio.conf";

/// What a larger file is, is no configuration.
const TEXT: u64 = 1 << 20;

/// A file of a guest with its new text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Text {
    /// The file.
    pub path: String,
    /// Whether there is no such file yet.
    pub new: bool,
    /// All of what it shall say.
    pub text: String,
    /// Which tool reads it, and what says that the guest has that tool.
    pub reader: Fact<String>,
}

/// A tool: its name, what shows that the guest has it, the file it reads, and what that shall say.
type Tool = (&'static str, &'static [&'static str], &'static str, Edit);

/// The new text of a file, of which there may be none yet; `None` where nothing is to be done.
type Edit = fn(Option<&str>, &[&str]) -> Option<String>;

const TOOLS: [Tool; 6] = [
    (
        "dracut",
        &["/usr/bin/dracut", "/usr/sbin/dracut", "/sbin/dracut"],
        DRACUT,
        dracut,
    ),
    (
        "initramfs-tools",
        &["/usr/sbin/update-initramfs"],
        "/etc/initramfs-tools/modules",
        initramfs_tools,
    ),
    (
        "mkinitcpio",
        &["/usr/bin/mkinitcpio", "/etc/mkinitcpio.conf"],
        "/etc/mkinitcpio.conf",
        mkinitcpio,
    ),
    (
        "mkinitrd (SUSE)",
        &["/etc/sysconfig/kernel"],
        "/etc/sysconfig/kernel",
        suse,
    ),
    (
        "mkinitfs",
        &["/etc/mkinitfs/mkinitfs.conf"],
        "/etc/mkinitfs/mkinitfs.conf",
        mkinitfs,
    ),
    (
        "mkinitrd (Red Hat)",
        &["/etc/modprobe.conf"],
        "/etc/modprobe.conf",
        modprobe_conf,
    ),
];

/// The new texts of the files that the tools of the guest read which make initramfs images, for the drivers that are
/// modules of one of `kernels`. Asked once more of the result, there are none. A file that is not UTF-8 is left as it
/// is, and remembered by `look`.
#[must_use]
pub fn persist(look: &Look<'_>, kernels: &[Kernel]) -> Vec<Text> {
    let module = |name: &&str| {
        let drivers = kernels.iter().filter_map(|k| k.driver(name));
        drivers.into_iter().any(|d| d.presence == Presence::Module)
    };
    let names: Vec<&str> = DRIVERS.iter().copied().filter(module).collect();
    if names.is_empty() {
        return Vec::new();
    }
    let mut texts = Vec::new();
    for (tool, signs, path, edit) in TOOLS {
        let Some(sign) = signs.iter().find(|sign| look.is_file(sign)) else {
            continue;
        };
        let old = match look.bytes(path, TEXT).map(String::from_utf8) {
            None if look.exists(path) => continue,
            None => None,
            Some(Ok(text)) => Some(text),
            Some(Err(_)) => {
                let error = h2k_block::Error::unsupported("it is no UTF-8, and not changed");
                look.failed(Source::file(path.as_bytes()), &error);
                continue;
            }
        };
        if let Some(text) = edit(old.as_deref(), &names).filter(|new| old.as_ref() != Some(new)) {
            texts.push(Text {
                path: path.to_owned(),
                new: old.is_none(),
                text,
                reader: Fact::new(tool.to_owned(), Source::file(sign.as_bytes())),
            });
        }
    }
    texts
}

/// A file of its own. The spaces inside the quotes are needed: what is there is joined as it is.
fn dracut(_: Option<&str>, names: &[&str]) -> Option<String> {
    Some(format!(
        "# Drivers of KVM, for every initramfs.\nadd_drivers+=\" {} \"\n",
        names.join(" ")
    ))
}

/// `old` with more lines behind it.
fn with_lines(old: &str, lines: &[String]) -> Option<String> {
    if lines.is_empty() {
        return None;
    }
    let end = if old.is_empty() || old.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    Some(format!("{old}{end}{}\n", lines.join("\n")))
}

/// A name a line, arguments behind it.
fn initramfs_tools(old: Option<&str>, names: &[&str]) -> Option<String> {
    let old = old.unwrap_or_default();
    let there = |name: &str| {
        spoken(old).any(|l| {
            l.split_whitespace()
                .next()
                .is_some_and(|w| w.replace('-', "_") == name)
        })
    };
    let lines: Vec<String> = names
        .iter()
        .filter(|n| !there(n))
        .map(|n| (*n).to_owned())
        .collect();
    with_lines(old, &lines)
}

fn spoken(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(str::trim)
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
}

/// `MODULES=(…)`, a list of the shell, or a text in quotes as old versions had it.
fn mkinitcpio(old: Option<&str>, names: &[&str]) -> Option<String> {
    let old = old?;
    let assigned =
        |line: &str| line.trim_start().starts_with("MODULES=") || line.trim_start().starts_with("MODULES+=");
    if !old.lines().any(assigned) {
        return with_lines(old, &[format!("MODULES=({})", names.join(" "))]);
    }
    let mut commented = false;
    let edited = edit_last(old, assigned, '(', ')', &mut |list| {
        // What seems to close the list may be part of a comment in it.
        commented = list.contains('#');
        more(list, names, &[]).filter(|_| !commented)
    });
    match commented {
        true => with_lines(old, &[format!("MODULES+=({})", names.join(" "))]),
        false => edited,
    }
}

/// `INITRD_MODULES="…"`. `DOMU_INITRD_MODULES` is for guests of Xen.
fn suse(old: Option<&str>, names: &[&str]) -> Option<String> {
    let old = old?;
    let line = |key: &'static str| move |line: &str| line.trim_start().starts_with(key);
    let text = edit_last(old, line("INITRD_MODULES="), '"', '"', &mut |list| {
        more(list, names, &XEN)
    })?;
    let domu = edit_last(&text, line("DOMU_INITRD_MODULES="), '"', '"', &mut |list| {
        more(list, &[], &XEN)
    });
    Some(domu.unwrap_or(text))
}

/// `features="…"`: one of them is virtio.
fn mkinitfs(old: Option<&str>, _: &[&str]) -> Option<String> {
    let line = |line: &str| line.trim_start().starts_with("features=");
    edit_last(old?, line, '"', '"', &mut |list| more(list, &["virtio"], &[]))
}

/// Aliases: mkinitrd takes what `scsi_hostadapter` stands for.
fn modprobe_conf(old: Option<&str>, names: &[&str]) -> Option<String> {
    let mut out = String::new();
    let old = old?;
    let (mut used, mut stands) = (Vec::new(), Vec::new());
    for whole in old.split_inclusive('\n') {
        let words: Vec<&str> = whole.split_whitespace().collect();
        match words.as_slice() {
            ["alias", name, module, ..] if name.starts_with("scsi_hostadapter") => {
                used.push((*name).to_owned());
                stands.push(module.replace('-', "_"));
                out.push_str(whole);
            }
            ["alias", name, module, ..] if eth(name) && names.contains(&"virtio_net") => {
                let at = whole.rfind(module).unwrap_or(0);
                let (before, after) = whole.split_at(at);
                out.push_str(before);
                out.push_str("virtio_net");
                out.push_str(after.get(module.len()..).unwrap_or_default());
            }
            _ => out.push_str(whole),
        }
    }
    let mut lines = Vec::new();
    for name in names.iter().filter(|n| ["virtio_blk", "virtio_scsi"].contains(n)) {
        if stands.iter().any(|s| s == name) {
            continue;
        }
        let free = (0_u32..).map(|n| match n {
            0 => "scsi_hostadapter".to_owned(),
            _ => format!("scsi_hostadapter{n}"),
        });
        if let Some(alias) = free.into_iter().find(|alias| !used.contains(alias)) {
            lines.push(format!("alias {alias} {name}"));
            used.push(alias);
        }
    }
    with_lines(&out, &lines).or(Some(out))
}

/// `eth0`.
fn eth(name: &str) -> bool {
    name.strip_prefix("eth")
        .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// A list of words with `add` and without `drop`; `None` where nothing changes.
fn more(list: &str, add: &[&str], drop: &[&str]) -> Option<String> {
    let mut words: Vec<&str> = list.split_whitespace().filter(|w| !drop.contains(w)).collect();
    let missing = add
        .iter()
        .filter(|a| !words.iter().any(|w| w.replace('-', "_") == **a));
    let missing: Vec<&str> = missing.copied().collect();
    if missing.is_empty() && words.len() == list.split_whitespace().count() {
        return None;
    }
    if words.len() == list.split_whitespace().count() {
        // Nothing goes: what is there keeps its form, also over several lines.
        let between = if list.trim().is_empty() || list.ends_with(char::is_whitespace) {
            ""
        } else {
            " "
        };
        return Some(format!("{list}{between}{}", missing.join(" ")));
    }
    words.extend(missing);
    Some(words.join(" "))
}

/// Edits the list of the last line that assigns it, between `open` and `close` or between quotes: of several
/// assignments the last one counts.
fn edit_last(
    text: &str,
    line: impl Fn(&str) -> bool,
    open: char,
    close: char,
    edit: &mut dyn FnMut(&str) -> Option<String>,
) -> Option<String> {
    let mut at = 0_usize;
    let mut start = None;
    for whole in text.split_inclusive('\n') {
        if line(whole) {
            start = Some(at);
        }
        at = at.saturating_add(whole.len());
    }
    let (before, rest) = text.split_at(start?);
    let (key, value) = rest.split_at(rest.find('=')?.saturating_add(1));
    let first = value.chars().next()?;
    let close = match first {
        _ if first == open => close,
        '"' | '\'' => first,
        _ => return None,
    };
    let inner = value.get(1..)?;
    let (list, after) = inner.split_at(inner.find(close)?);
    Some(format!("{before}{key}{first}{}{after}", edit(list)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 3] = ["virtio_blk", "virtio_scsi", "virtio_net"];

    /// What is made of `old`; and nothing more of that.
    fn edited(edit: Edit, old: &str) -> Option<String> {
        let once = edit(Some(old), &NAMES).filter(|new| new != old);
        let stays = once.as_deref().unwrap_or(old);
        let twice = edit(Some(stays), &NAMES).filter(|new| new != stays);
        assert_eq!(twice, None, "asked twice it leaves");
        once
    }

    #[test]
    fn lists_grow_where_they_are_and_once() {
        let cases: [(Edit, &str, &str); 10] = [
            (
                initramfs_tools,
                "# x\nvirtio-blk a=1",
                "# x\nvirtio-blk a=1\nvirtio_scsi\nvirtio_net\n",
            ),
            (initramfs_tools, "", "virtio_blk\nvirtio_scsi\nvirtio_net\n"),
            (
                mkinitcpio,
                "# MODULES=(no)\nMODULES=(ext4)\nHOOKS=(base udev)\n",
                "# MODULES=(no)\nMODULES=(ext4 virtio_blk virtio_scsi virtio_net)\nHOOKS=(base udev)\n",
            ),
            (
                mkinitcpio,
                "MODULES=(\n  ext4\n)\n",
                "MODULES=(\n  ext4\nvirtio_blk virtio_scsi virtio_net)\n",
            ),
            (
                mkinitcpio,
                "MODULES=(\n  ext4 # (root)\n)\n",
                "MODULES=(\n  ext4 # (root)\n)\nMODULES+=(virtio_blk virtio_scsi virtio_net)\n",
            ),
            (
                mkinitcpio,
                "MODULES=\"\"\n",
                "MODULES=\"virtio_blk virtio_scsi virtio_net\"\n",
            ),
            (
                mkinitcpio,
                "HOOKS=(base)\n",
                "HOOKS=(base)\nMODULES=(virtio_blk virtio_scsi virtio_net)\n",
            ),
            (
                suse,
                "INITRD_MODULES=\"mptspi xenblk ext3\"\nDOMU_INITRD_MODULES=\"xennet xenblk\"\n",
                "INITRD_MODULES=\"mptspi ext3 virtio_blk virtio_scsi virtio_net\"\nDOMU_INITRD_MODULES=\"\"\n",
            ),
            (
                mkinitfs,
                "features=\"ata base scsi\"\n",
                "features=\"ata base scsi virtio\"\n",
            ),
            (
                modprobe_conf,
                "alias eth0 vmxnet\nalias scsi_hostadapter mptspi\nalias net-pf-10 off\n",
                "alias eth0 virtio_net\nalias scsi_hostadapter mptspi\nalias net-pf-10 off\nalias scsi_hostadapter1 virtio_blk\nalias scsi_hostadapter2 virtio_scsi\n",
            ),
        ];
        for (edit, old, new) in cases {
            assert_eq!(edited(edit, old).as_deref(), Some(new), "{old}");
        }
    }

    #[test]
    fn what_says_it_already_stays() {
        let known = dracut(None, &NAMES).unwrap();
        let cases: [(Edit, &str); 6] = [
            (initramfs_tools, "virtio-blk\nvirtio_scsi\nvirtio_net\n"),
            (mkinitcpio, "MODULES=(virtio_net virtio-blk virtio_scsi)\n"),
            (suse, "NO_KMS=no\n"),
            (mkinitfs, "features=\"virtio\"\n"),
            (mkinitfs, "features=$other\n"),
            (dracut, &known),
        ];
        for (edit, old) in cases {
            assert_eq!(edited(edit, old), None, "{old}");
        }
    }
}
