//! Real guests, built and booted by `../shared/rig`.

mod capture;
mod described;
mod libvirt;
mod migrate;
mod mounted;
mod vary;
mod verdict;

pub use capture::capture;
pub use libvirt::libvirt;
pub use migrate::migrate;
pub use vary::vary;

use crate::run::root;
use std::path::PathBuf;

/// The program that boots a guest and judges it.
fn judge() -> Result<PathBuf, String> {
    tool("boot-check")
}

/// A program of the rig.
fn tool(name: &str) -> Result<PathBuf, String> {
    let path = root().join("../shared/rig").join(name);
    match path.exists() {
        true => Ok(path),
        false => Err("../shared/rig is not there".to_owned()),
    }
}
