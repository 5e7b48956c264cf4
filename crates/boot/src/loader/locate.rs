//! From the names of files that boot loaders use to paths of the guest.

use super::esp::Mounted;
use super::{Entry, LoaderKind};
use h2k_guest::Look;

/// Finds files by the names of boot loaders, which begin at the root of a filesystem, not of the guest.
pub(super) struct Locate<'a> {
    look: &'a Look<'a>,
    /// Where the names may begin, the most likely first.
    roots: Vec<String>,
}

impl<'a> Locate<'a> {
    pub(super) fn new(look: &'a Look<'a>, esp: Option<&Mounted>) -> Self {
        let apart = look.tree().mounts().iter().any(|m| m.point == b"/boot");
        let mut roots = match apart {
            true => vec!["/boot".to_owned(), String::new()],
            false => vec![String::new(), "/boot".to_owned()],
        };
        roots.extend(esp.map(|e| e.point.clone()));
        Self { look, roots }
    }

    /// The same, for the names of a loader that lies on the EFI partition.
    pub(super) fn on_esp(&self, esp: &Mounted) -> Self {
        let mut roots = vec![esp.point.clone()];
        roots.extend(self.roots.iter().filter(|r| **r != esp.point).cloned());
        Self {
            look: self.look,
            roots,
        }
    }

    /// The path of a file that a boot loader calls `name`; `None` where there is none.
    pub(super) fn path(&self, name: &str) -> Option<String> {
        // `(hd0,1)/vmlinuz`, `($root)/vmlinuz`.
        let name = match name.strip_prefix('(') {
            Some(rest) => rest.split_once(')').map_or(name, |(_, path)| path),
            None => name,
        };
        let name = name.replace('\\', "/");
        let name = format!("/{}", name.trim_start_matches('/'));
        // A subvolume of btrfs is a directory for a boot loader: `/@/boot/vmlinuz`.
        let inner = name
            .get(1..)
            .and_then(|n| n.find('/'))
            .and_then(|at| name.get(at.saturating_add(1)..));
        for name in std::iter::once(name.as_str()).chain(inner) {
            let found = self.roots.iter().map(|root| format!("{root}{name}"));
            if let Some(path) = found.into_iter().find(|path| self.look.is_file(path)) {
                return Some(path);
            }
        }
        None
    }

    /// Fills in the paths of an entry.
    pub(super) fn resolve(&self, mut entry: Entry) -> Entry {
        entry.kernel_path = entry.kernel.as_deref().and_then(|name| self.path(name));
        entry.initramfs_paths = entry
            .initramfs
            .iter()
            .filter_map(|name| self.path(name))
            .collect();
        entry.marked()
    }
}

/// Marks the entry that `wanted` names, by its identifier, title or number; the first one where nothing else fits.
pub(super) fn choose(entries: &mut [Entry], loader: LoaderKind, wanted: Option<&str>) {
    let chosen = wanted.and_then(|wanted| {
        let named = entries
            .iter()
            .position(|e| e.id.as_deref() == Some(wanted) || e.title == wanted);
        named.or_else(|| wanted.parse::<usize>().ok().filter(|n| *n < entries.len()))
    });
    let chosen = chosen.unwrap_or(0);
    if let Some(entry) = entries.get_mut(chosen) {
        debug_assert!(entry.loader == loader, "entries of one loader");
        entry.default = true;
    }
}
