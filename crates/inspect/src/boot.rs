//! How a system boots.

use crate::report::Asking;
use h2k_boot::Boot;
use h2k_guest::Look;

pub(crate) fn look(asking: &Asking<'_>, files: &Look<'_>) -> Boot {
    let (boot, unread) = h2k_boot::read(files, asking.guest);
    files.remember(unread);
    boot
}
