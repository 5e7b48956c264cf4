//! `os` of Linux and the BSDs.
//!
//! os-release(5) comes first. Older systems have a file of their own each; and what os-release leaves out of a version
//! (Debian, CentOS and Rocky Linux tell the first number alone) is read there as well.

mod arch;
mod bsd;
mod install;
mod names;
mod osinfo;
mod packaging;
mod release;

use crate::os::Os;
use crate::report::Asking;
use h2k_guest::{Look, SystemKind};

pub(crate) fn look(asking: &Asking<'_>, files: &Look<'_>) -> Os {
    let mut os = Os::default();
    match asking.system.kind {
        SystemKind::Linux => release::look(files, &mut os),
        kind => bsd::look(kind, files, &mut os),
    }
    os.architecture = arch::look(files);
    names::look(files, &mut os);
    osinfo::conclude(&mut os);
    packaging::look(files, &mut os);
    os.installed = install::look(asking, files);
    os
}
