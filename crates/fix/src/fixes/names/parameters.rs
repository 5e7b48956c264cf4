//! Devices in what kernels are told.

use super::{Asked, Book, Renamed, Renamer, Use};
use crate::edit::Edit;
use crate::finding::Finding;
use crate::fixes::Fix;
use crate::fixes::cmdline::{Change, Home, Kind, homes, told_by_default, value, with};
use crate::fixes::patch::{Patch, lines, part};
use crate::view::View;
use h2k_block::Result;
use h2k_boot::naming::{Naming, of};
use std::ops::Range;

/// Parameters whose value is a device.
const KEYS: [&[u8]; 5] = [b"root", b"real_root", b"boot", b"crypt_root", b"crypt_swap"];

/// Names disks in one kind of files by what lies on them.
pub(in crate::fixes) struct Parameters(pub(in crate::fixes) Kind);

impl Fix for Parameters {
    fn id(&self) -> &'static str {
        match self.0 {
            Kind::GrubDefault => "linux.grub-default",
            Kind::GrubCfg => "linux.grub-cfg",
            Kind::Bls => "linux.bls",
            Kind::GrubEnv => "linux.grubenv",
            Kind::KernelCmdline => "linux.kernel-cmdline",
            Kind::GrubLegacy => "linux.grub-legacy",
            Kind::Extlinux => "linux.extlinux",
        }
    }

    fn about(&self) -> &'static str {
        match self.0 {
            Kind::GrubDefault => "names disks by what lies on them in what grub-mkconfig makes grub.cfg from",
            Kind::GrubCfg => "names disks by what lies on them in the scripts of GRUB 2",
            Kind::Bls => "names disks by what lies on them in entries of loader/entries",
            Kind::GrubEnv => "names disks by what lies on them in GRUB's environment block",
            Kind::KernelCmdline => "names disks by what lies on them in /etc/kernel/cmdline",
            Kind::GrubLegacy => "names disks by what lies on them in the menu of GRUB 0.97",
            Kind::Extlinux => "names disks by what lies on them in the configuration of SYSLINUX",
        }
    }

    fn look(&self, view: &View<'_>) -> Result<Vec<Finding>> {
        if view.options.no_grub {
            return Ok(vec![Finding::leave("boot loaders are to be left as they are")]);
        }
        let homes = homes(view, self.0);
        if homes.is_empty() {
            let why = format!("there is no {}", self.0.word());
            return Ok(vec![Finding::leave(why)]);
        }
        Ok(homes.iter().flat_map(|home| of_home(view, home)).collect())
    }
}

fn of_home(view: &View<'_>, home: &Home) -> Vec<Finding> {
    let mut book = Book::new(Renamer::new(view), &home.path);
    let edit = home.edit(&mut |line, words| {
        let words = words.iter().enumerate();
        words
            .filter_map(|(at, word)| {
                let word = renamed(view, home, &mut book, line.number, word)?;
                Some(Change::Replace(at, word))
            })
            .collect()
    });
    kopt(&mut book, home);
    let edit = match edit {
        Ok(edit) => without_switch(&mut book, home, edit),
        Err(why) => {
            let finding = Finding::blocked(format!("{} cannot be changed: {why}", home.path));
            book.tell(1, finding);
            None
        }
    };
    book.close_with(edit)
}

/// The word with another device in it; `None` where it stays.
fn renamed(view: &View<'_>, home: &Home, book: &mut Book<'_>, line: usize, word: &[u8]) -> Option<Vec<u8>> {
    let (key, range) = value(word)?;
    let range = device(view, key, word, range)?;
    let spec = part(word, &range);
    let key = String::from_utf8_lossy(key).into_owned();
    let root = matches!(key.as_str(), "root" | "real_root");
    let text = String::from_utf8_lossy(spec).into_owned();
    let by_default = root && told_by_default(view, &key, &text);
    let what = format!("{key}=");
    // nash, dracut and the kernel itself take UUID= or PARTUUID=; the initramfs of old SUSE systems takes paths.
    let suse = home.kind == Kind::GrubLegacy && view.look.exists("/etc/SuSE-release");
    let asked = Asked {
        spec,
        usage: if suse { Use::Path } else { Use::Kernel },
        what: &what,
        line,
        needed: by_default,
    };
    let mut renamed = book.names.rename(spec, asked.usage);
    // What is started by default is this system.
    if renamed == Renamed::Lost
        && by_default
        && let Some(device) = book.names.root()
    {
        renamed = book.names.stable(device, &text, asked.usage);
    }
    let new = book.note(&asked, renamed)?;
    Some(with(word, &range, &new))
}

/// Where in a word a device is named.
fn device(view: &View<'_>, key: &[u8], word: &[u8], range: Range<usize>) -> Option<Range<usize>> {
    let said = part(word, &range);
    if KEYS.contains(&key) {
        let path = said.starts_with(b"/dev/") && said != b"/dev/nfs" && said != b"/dev/ram0";
        if said.windows(9).any(|w| w == b"PARTNROFF") {
            return None;
        }
        // `boot=` is a word of others, too: `boot=live`.
        let tag = said.contains(&b'=') && key != b"boot";
        return (path || tag).then_some(range);
    }
    let start = match key {
        b"cryptdevice" | b"cryptkey" => 0,
        b"cryptopts" => {
            let at = said.windows(7).position(|w| w == b"source=")?;
            at.saturating_add(7)
        }
        _ => return None,
    };
    let rest = said.get(start..)?;
    let rest = rest.split(|b| *b == b',').next().unwrap_or_default();
    if !rest.starts_with(b"/dev/") {
        return None;
    }
    let device = super::crypttab::device_of(view, rest);
    let start = range.start.saturating_add(start);
    Some(start..start.saturating_add(device.len()))
}

/// Debian's `update-grub` reads `# kopt=root=/dev/sda1` and writes the menu anew from it. It is a comment all the same.
fn kopt(book: &mut Book<'_>, home: &Home) {
    if home.kind != Kind::GrubLegacy {
        return;
    }
    for line in lines(home.bytes()) {
        let text = String::from_utf8_lossy(line.text);
        let words = text
            .strip_prefix("# kopt=")
            .unwrap_or_default()
            .split_whitespace();
        let machine = |spec: &str| matches!(of(spec), Naming::Order(_) | Naming::Place);
        let specs = words.filter_map(|word| word.strip_prefix("root="));
        if let Some(spec) = specs.into_iter().find(|spec| machine(spec)) {
            let why = format!("update-grub would write {spec} into the menu again, after # kopt=");
            book.tell(
                line.number,
                Finding::warn(why).advise("correct it before update-grub runs in the guest"),
            );
        }
    }
}

/// `GRUB_DISABLE_LINUX_UUID=true` would have the next `grub-mkconfig` write names like `/dev/vda1`.
fn without_switch(book: &mut Book<'_>, home: &Home, edit: Option<Edit>) -> Option<Edit> {
    if home.kind != Kind::GrubDefault {
        return edit;
    }
    let content = match &edit {
        Some(Edit::Write { content, .. }) => content.clone(),
        _ => home.bytes().to_vec(),
    };
    let mut patch = Patch::new(&content);
    for line in lines(&content) {
        let Some(rest) = line.text.strip_prefix(b"GRUB_DISABLE_LINUX_UUID=") else {
            continue;
        };
        let Some(at) = rest.windows(4).position(|w| w == b"true").filter(|at| *at < 2) else {
            continue;
        };
        let start = line.range().end.saturating_sub(rest.len()).saturating_add(at);
        patch.replace(start..start.saturating_add(4), "false");
        book.change(
            line.number,
            "GRUB_DISABLE_LINUX_UUID: true becomes false".to_owned(),
        );
    }
    if !patch.changed() {
        return edit;
    }
    Some(Edit::write(home.path.clone(), patch.done()))
}
