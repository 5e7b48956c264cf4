//! Extended attributes of one file, as our readers and as the host's tools give them.

use crate::oracle::ok;
use h2k_block::{Limits, Meter};
use h2k_fs::{FsRead, lookup_path};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

/// Value by name.
pub type Attributes = BTreeMap<Vec<u8>, Vec<u8>>;

/// What our reader says of `path`.
///
/// # Panics
/// When it is not there or cannot be read.
#[must_use]
pub fn of_fs(fs: &dyn FsRead, path: &str) -> Attributes {
    let mut meter = Meter::new(Limits::default());
    let node = lookup_path(fs, path.as_bytes(), false, &mut meter)
        .expect("a file that can be found")
        .expect("a file that is there");
    let mut all = Attributes::new();
    fs.xattrs(node, &mut |name, value| {
        all.insert(name.to_vec(), value.to_vec());
        ControlFlow::Continue(())
    })
    .expect("attributes that can be read");
    all
}

/// What `getfattr` says of `path` of the host, a link itself.
///
/// # Panics
/// When `getfattr` fails.
#[must_use]
pub fn of_host(path: &Path) -> Attributes {
    let args = ["-d", "-m", "-", "-e", "hex", "--absolute-names", "-h"];
    let mut args: Vec<&std::ffi::OsStr> = args.iter().map(AsRef::as_ref).collect();
    args.push(path.as_os_str());
    let text = ok("getfattr", &args);
    let pairs = text.lines().filter_map(|l| l.split_once('='));
    pairs
        .map(|(name, value)| {
            let hex = value.strip_prefix("0x").unwrap_or_default().as_bytes().chunks(2);
            let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap_or_default(), 16);
            let bytes: Result<Vec<u8>, _> = hex.map(byte).collect();
            (
                name.as_bytes().to_vec(),
                bytes.expect("getfattr writes hexadecimal"),
            )
        })
        .collect()
}
