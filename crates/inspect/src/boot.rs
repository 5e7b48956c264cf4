//! How a system boots.

use crate::report::Asking;
use h2k_boot::Boot;
use h2k_guest::{Look, SystemKind};

pub(crate) fn look(asking: &Asking<'_>, files: &Look<'_>) -> Boot {
    let (boot, unread) = match asking.system.kind {
        SystemKind::Windows => h2k_boot::read_firmware(files, asking.guest),
        _ => h2k_boot::read(files, asking.guest),
    };
    files.remember(unread);
    boot
}
