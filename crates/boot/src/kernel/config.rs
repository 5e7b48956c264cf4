//! A kernel's configuration, as distributions leave it at `/boot/config-RELEASE`.

use super::drivers;
use h2k_guest::{Fact, Look, Source};
use std::collections::BTreeMap;

/// The options that matter here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    /// Option without `CONFIG_`: `y` or `m`.
    pub(crate) options: BTreeMap<String, Fact<char>>,
    /// The file.
    pub(crate) source: Source,
}

/// Kernels of the 2.6.16 and 2.6.18 era that run on Xen only. `CONFIG_XEN` alone is a kernel that runs anywhere.
const XEN_ONLY: [&str; 2] = ["X86_XEN", "X86_64_XEN"];

impl Config {
    pub(crate) fn read(look: &Look<'_>, paths: &[String]) -> Option<Self> {
        let text = look.first_text(paths)?;
        let wanted: Vec<&str> = drivers::options().chain(XEN_ONLY).collect();
        let mut options = BTreeMap::new();
        for line in text.lines() {
            let Some((name, value)) = line.text.strip_prefix("CONFIG_").and_then(|l| l.split_once('='))
            else {
                continue;
            };
            let value = match value.trim() {
                "y" => 'y',
                "m" => 'm',
                _ => continue,
            };
            if wanted.contains(&name) {
                options.insert(name.to_owned(), line.fact(value));
            }
        }
        let source = text.source();
        Some(Self { options, source })
    }

    /// What says that this kernel runs on Xen alone.
    pub(crate) fn xen_only(&self) -> Option<Source> {
        let option = XEN_ONLY.iter().find_map(|name| self.options.get(*name))?;
        Some(option.source.clone())
    }
}
