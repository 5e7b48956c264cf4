//! The kernel that is started when nobody chooses, where that one runs under Xen alone.

use super::Fix;
use super::cmdline::{Kind, homes};
use super::patch::{Patch, lines};
use crate::edit::Edit;
use crate::finding::Finding;
use crate::view::View;
use h2k_block::Result;
use h2k_boot::{Entry, Kernel, LoaderKind};

/// Has a kernel started that runs on KVM.
pub(super) struct DefaultKernel;

impl Fix for DefaultKernel {
    fn id(&self) -> &'static str {
        "linux.default-kernel"
    }

    fn about(&self) -> &'static str {
        "has another kernel started, where the default one runs under Xen alone"
    }

    fn look(&self, view: &View<'_>) -> Result<Vec<Finding>> {
        let boot = view.boot;
        let Some((kernel, xen)) = boot
            .kernels
            .iter()
            .find(|k| k.default)
            .and_then(|k| Some((k, k.xen_only.clone()?)))
        else {
            return Ok(vec![Finding::leave("the default kernel does not need Xen")]);
        };
        let Some(loader) = boot.default_entry().map(|e| e.loader) else {
            return Ok(vec![Finding::leave("no entry of a boot loader is the default")]);
        };
        let runs = |k: &&Kernel| k.xen_only.is_none() && !k.rescue;
        let others = boot.kernels.iter().filter(runs);
        let mut others = others.filter_map(|k| Some((k, boot.entry_of(k).filter(|e| e.loader == loader)?)));
        let Some((other, entry)) = others.next() else {
            let why = format!(
                "{} runs under Xen alone, and there is no other kernel to start",
                kernel.path
            );
            let advice = "install a kernel for real machines before the move: kernel or kernel-PAE (Red Hat), \
                          kernel-default or kernel-pae (SUSE), linux-image (Debian)";
            return Ok(vec![Finding::blocked(why).advise(advice).read([xen])]);
        };
        let edits = match loader {
            LoaderKind::GrubLegacy => legacy(view, entry),
            LoaderKind::Grub => second(view, entry),
            _ => Vec::new(),
        };
        let why = format!("{} runs under Xen alone; {} runs on KVM", kernel.path, other.path);
        // What cannot be said to a boot loader with an edit of what it says now is the user's.
        let finding = if edits.is_empty() || view.options.no_grub {
            let why = format!("{why}, and {} is not told so", loader.word());
            Finding::blocked(why).advise("make it the default before the move")
        } else {
            let sysconfig = sysconfig(view, other);
            Finding::change(
                format!("{why}, and is started from now on"),
                [edits, sysconfig].concat(),
            )
        };
        Ok(vec![finding.read([xen])])
    }
}

/// `default N` counts the entries from 0.
fn legacy(view: &View<'_>, entry: &Entry) -> Vec<Edit> {
    let entries = view
        .boot
        .entries
        .iter()
        .filter(|e| e.loader == LoaderKind::GrubLegacy);
    let Some(number) = entries.into_iter().position(|e| e == entry) else {
        return Vec::new();
    };
    let home = homes(view, Kind::GrubLegacy);
    let Some(home) = home.first() else {
        return Vec::new();
    };
    let bytes = home.bytes();
    let mut patch = Patch::new(bytes);
    for line in lines(bytes) {
        let text = line.text.trim_ascii_start();
        let rest = text.strip_prefix(b"default").unwrap_or_default();
        if rest.first().is_some_and(|b| matches!(b, b' ' | b'\t' | b'=')) {
            let value = rest.trim_ascii_start();
            let value = value.strip_prefix(b"=").unwrap_or(value).trim_ascii_start();
            let end = line.range().end;
            let begin = end.saturating_sub(value.len());
            let end = begin.saturating_add(value.trim_ascii_end().len());
            patch.replace(begin..end, number.to_string());
            break;
        }
    }
    if !patch.changed() {
        patch.replace(0..0, format!("default={number}\n"));
    }
    vec![Edit::write(home.path.clone(), patch.done())]
}

/// GRUB 2 takes an entry's identifier or title, after those of its menus; from the environment block where the script
/// asks that, or from the script itself.
fn second(view: &View<'_>, entry: &Entry) -> Vec<Edit> {
    let own = entry.id.as_deref().unwrap_or(&entry.title);
    let mut names: Vec<&str> = entry.menus.iter().map(String::as_str).collect();
    names.push(own);
    let name = names.join(">");
    if name.contains(['"', '\n', '$', '\\', '\'']) {
        return Vec::new();
    }
    let mut edits = Vec::new();
    for (kind, begin) in [(Kind::GrubEnv, "saved_entry="), (Kind::GrubCfg, "set default=")] {
        for home in homes(view, kind) {
            let mut patch = Patch::new(home.bytes());
            for line in lines(home.bytes()) {
                let text = line.text.trim_ascii_start();
                let Some(value) = text.strip_prefix(begin.as_bytes()) else {
                    continue;
                };
                if value.contains(&b'$') {
                    continue;
                }
                let end = line.range().end;
                let quoted = match kind {
                    Kind::GrubCfg => format!("\"{name}\""),
                    _ => name.clone(),
                };
                patch.replace(end.saturating_sub(value.len())..end, quoted);
            }
            if let Some(content) = patch.changed().then(|| home.written(patch.done()).ok()).flatten() {
                edits.push(Edit::write(home.path.clone(), content));
            }
        }
    }
    edits
}

/// Red Hat's `DEFAULTKERNEL`, by which the next update chooses.
fn sysconfig(view: &View<'_>, kernel: &Kernel) -> Vec<Edit> {
    const PATH: &str = "/etc/sysconfig/kernel";
    let Some(bytes) = view.look.bytes(PATH, 1 << 20) else {
        return Vec::new();
    };
    let package = if kernel.name().ends_with("PAE") {
        "kernel-PAE"
    } else {
        "kernel"
    };
    let mut patch = Patch::new(&bytes);
    for line in lines(&bytes) {
        let text = line.text.strip_prefix(b"DEFAULTKERNEL=").unwrap_or_default();
        let plain = text.trim_ascii().to_vec();
        if [&b"kernel-xen"[..], b"\"kernel-xen\"", b"kernel-xenU"].contains(&plain.as_slice()) {
            let begin = line.range().end.saturating_sub(text.len());
            patch.replace(begin..line.range().end, package);
        }
    }
    match patch.changed() {
        true => vec![Edit::write(PATH, patch.done())],
        false => Vec::new(),
    }
}
