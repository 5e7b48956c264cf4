//! Where the boot loader of Windows is. What it can start is in its store, which is a hive.

use super::esp::Esp;
use super::{Loader, LoaderKind};
use h2k_guest::{Guest, Look, Tree};

/// The boot managers that are there: on the EFI system partition, beside Windows, or on a partition of their own.
pub(crate) fn find(look: &Look<'_>, guest: &Guest, esp: Option<&Esp>) -> Vec<Loader> {
    let loader = |kind, config: String, program: String| Loader {
        kind,
        config,
        default: None,
        timeout: None,
        files: vec![program],
    };
    let mut all = Vec::new();
    if let Some((device, program)) = esp.and_then(|e| Some((&e.device, e.windows.clone()?))) {
        let config = format!("{device}:/EFI/Microsoft/Boot/BCD");
        all.push(loader(LoaderKind::WindowsBootManager, config, program));
    }
    let mut on = |name: &str, look: &Look<'_>| {
        for (kind, program, config) in [
            (LoaderKind::WindowsBootManager, "/bootmgr", "/Boot/BCD"),
            (LoaderKind::Ntldr, "/ntldr", "/boot.ini"),
        ] {
            if look.is_file(program) {
                all.push(loader(
                    kind,
                    format!("{name}{config}"),
                    format!("{name}{program}"),
                ));
            }
        }
    };
    on("", look);
    let root = look.tree().mounts().first().map(|m| m.source.clone());
    let others = guest
        .filesystems()
        .filter(|d| matches!(d.kind, Some("ntfs" | "vfat")) && Some(&d.name) != root.as_ref());
    for device in others.take(16) {
        if let Ok(opened) = guest.open(device) {
            let tree = Tree::new(device.name.clone(), opened.fs);
            on(&format!("{}:", device.name), &Look::new(&tree, look.limits()));
        }
    }
    all
}
