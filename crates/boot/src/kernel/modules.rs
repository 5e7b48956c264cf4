//! The modules that a kernel has in the guest's files: `/lib/modules/RELEASE`.

use crate::bytes::shown;
use h2k_guest::look::join;
use h2k_guest::{Look, Source, Text};
use std::collections::{BTreeMap, BTreeSet};

/// How many files are looked at where no index lists them.
const FILES: usize = 20_000;

/// The name a kernel knows a module by: the file's name, without what says how it is packed, with `_` for `-`. `None`
/// for a file that is no module.
#[must_use]
pub fn module_name(path: &str) -> Option<String> {
    let file = path.rsplit('/').next().unwrap_or(path);
    let packed = [".gz", ".xz", ".zst", ".bz2"];
    let file = packed
        .iter()
        .find_map(|end| file.strip_suffix(end))
        .unwrap_or(file);
    let name = file.strip_suffix(".ko").or_else(|| {
        // Kernels up to 2.4; an object file elsewhere is no module.
        file.strip_suffix(".o").filter(|_| path.contains("/kernel/"))
    })?;
    (!name.is_empty()).then(|| name.replace('-', "_"))
}

/// A module's file, and what it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleFile {
    /// Its path below the directory.
    pub path: String,
    /// Names of the modules it needs, by depmod's order.
    pub needs: Vec<String>,
}

/// The modules of one kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Modules {
    /// Its directory.
    pub dir: Vec<u8>,
    /// Modules that are part of the kernel itself, and where that is said.
    pub builtin: BTreeMap<String, Source>,
    /// Modules by name.
    pub files: BTreeMap<String, ModuleFile>,
    /// What listed the files: `modules.dep`, or the directory.
    pub listed: Option<Source>,
    /// Whether there are the indexes that tell which module serves a device.
    pub alias: bool,
}

impl Modules {
    /// The modules below `dir`.
    #[must_use]
    pub fn read(look: &Look<'_>, dir: &[u8]) -> Self {
        let mut modules = Self {
            dir: dir.to_vec(),
            ..Self::default()
        };
        if let Some(text) = look.text(join(dir, b"modules.builtin")) {
            for line in text.spoken() {
                if let Some(name) = module_name(line.text) {
                    modules.builtin.insert(name, line.source());
                }
            }
        }
        modules.alias = [&b"modules.alias.bin"[..], b"modules.alias"]
            .iter()
            .any(|name| look.is_file(join(dir, name)));
        match look.text(join(dir, b"modules.dep")) {
            Some(text) if text.spoken().next().is_some() => {
                modules.files = dependencies(&text);
                modules.listed = Some(text.source());
            }
            _ => {
                modules.files = walked(look, dir);
                modules.listed = Some(Source::file(dir));
            }
        }
        modules
    }

    /// The modules that have to be loaded for `name`, itself last, without what is built in. `None` where there is no
    /// such module.
    #[must_use]
    pub fn closure(&self, name: &str) -> Option<Vec<String>> {
        let file = self.files.get(name)?;
        // depmod lists what is needed by what is needed as well.
        let mut all: Vec<String> = Vec::new();
        let mut seen = BTreeSet::new();
        for need in file.needs.iter().rev() {
            if !self.builtin.contains_key(need) && seen.insert(need) {
                all.push(need.clone());
            }
        }
        all.push(name.to_owned());
        Some(all)
    }

    /// Where the file of `name` lies in the guest.
    #[must_use]
    pub fn path(&self, name: &str) -> Option<String> {
        let file = self.files.get(name)?;
        if file.path.starts_with('/') {
            return Some(file.path.clone());
        }
        Some(format!("{}/{}", shown(&self.dir), file.path))
    }
}

/// The lines of a `modules.dep`: `path: needed-path needed-path`.
#[must_use]
pub fn dependencies(text: &Text) -> BTreeMap<String, ModuleFile> {
    let mut all = BTreeMap::new();
    for line in text.spoken() {
        let Some((path, needs)) = line.text.split_once(':') else {
            continue;
        };
        if let Some(name) = module_name(path) {
            let needs = needs.split_whitespace().filter_map(module_name).collect();
            let path = path.to_owned();
            all.insert(name, ModuleFile { path, needs });
        }
    }
    all
}

/// Every module below `dir`, where no index lists them. What they need is then not known.
fn walked(look: &Look<'_>, dir: &[u8]) -> BTreeMap<String, ModuleFile> {
    let mut all = BTreeMap::new();
    let mut left = FILES;
    let mut open = vec![(String::new(), 0_u8)];
    let mut seen = BTreeSet::new();
    while let Some((below, depth)) = open.pop() {
        let here = join(dir, below.as_bytes());
        for name in look.names(&here) {
            left = left.saturating_sub(1);
            if left == 0 {
                return all;
            }
            let path = format!("{below}{}", shown(&name));
            if let Some(module) = module_name(&path) {
                let needs = Vec::new();
                all.insert(module, ModuleFile { path, needs });
                continue;
            }
            let linked = name == b"build" || name == b"source" || name.contains(&b'.');
            if linked || depth > 8 {
                continue;
            }
            let full = join(dir, path.as_bytes());
            let place = look.place(&full);
            if look.is_dir(&full) && place.is_some_and(|place| seen.insert(place)) {
                open.push((format!("{path}/"), depth.saturating_add(1)));
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_have_one_name_however_they_are_packed() {
        for (path, name) in [
            ("kernel/drivers/block/virtio_blk.ko", Some("virtio_blk")),
            ("kernel/drivers/net/xen-netfront.ko.xz", Some("xen_netfront")),
            ("extra/a.ko.zst", Some("a")),
            ("/lib/modules/2.4.21/kernel/drivers/scsi/sd_mod.o", Some("sd_mod")),
            ("usr/lib/crt1.o", None),
            (".ko", None),
            ("modules.dep", None),
        ] {
            assert_eq!(module_name(path).as_deref(), name, "{path}");
        }
    }

    #[test]
    fn what_a_module_needs_comes_before_it() {
        let text = Text::new(
            b"/x/modules.dep",
            b"kernel/a.ko: kernel/b.ko kernel/c-d.ko\nkernel/b.ko: kernel/c-d.ko\nkernel/c-d.ko:\n",
        );
        let mut modules = Modules {
            files: dependencies(&text),
            ..Modules::default()
        };
        assert_eq!(
            modules.closure("a"),
            Some(vec!["c_d".into(), "b".into(), "a".into()])
        );
        modules.builtin.insert("b".into(), text.source());
        assert_eq!(modules.closure("a"), Some(vec!["c_d".into(), "a".into()]));
        assert_eq!(modules.closure("z"), None);
    }
}
