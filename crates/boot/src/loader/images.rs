//! Unified kernel images among the kernels.

use super::Entry;
use super::uki::{Uki, Window};
use crate::initramfs::Initramfs;
use h2k_guest::{Look, Source};
use std::collections::BTreeMap;

/// The unified kernel images that entries name.
#[derive(Debug)]
pub(crate) struct Images<'a> {
    all: BTreeMap<String, Uki>,
    look: &'a Look<'a>,
}

impl<'a> Images<'a> {
    pub(crate) fn new(look: &'a Look<'a>, entries: &[Entry]) -> Self {
        let mut all = BTreeMap::new();
        for path in entries.iter().filter_map(|e| e.kernel_path.as_ref()) {
            if path.to_ascii_lowercase().ends_with(".efi")
                && !all.contains_key(path)
                && let Some(file) = look.file(path)
                && let Ok(uki) = Uki::read(&file)
            {
                all.insert(path.clone(), uki);
            }
        }
        Self { all, look }
    }

    /// The image at that path, if it is one.
    pub(crate) fn uki(&self, path: &str) -> Option<Uki> {
        self.all.get(path).cloned()
    }

    /// The initramfs inside an image.
    pub(crate) fn embedded(&self, look: &Look<'_>, path: &str, uki: &Uki) -> Option<Initramfs> {
        let section = uki.section(".initrd")?;
        let file = self.look.file(path)?;
        let window = Window { disk: &file, section };
        let shown = format!("{path}:.initrd");
        let (image, errors) = Initramfs::read(&window, &shown, look.limits());
        for error in errors {
            look.failed(Source::named(shown.clone()), &error);
        }
        Some(image)
    }
}
