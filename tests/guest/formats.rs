//! The same guest in every container: the same files.

use super::larger;
use crate::run::{bytes, run};
use h2k_testkit::oracle;
use std::path::Path;

/// What is the same whatever the container: every name with everything known of it.
fn listing(dir: &Path, image: &str) -> Vec<u8> {
    bytes(dir, &["ls", "-q", "-lRA", &format!("{image}:/")])
}

#[test]
fn a_guest_looks_the_same_in_every_container() {
    let dir = tempfile::tempdir().unwrap();
    for guest in ["debian", "windows", "fedora-btrfs"] {
        let Some(raw) = larger(guest, dir.path()) else {
            return;
        };
        let name = raw.file_name().unwrap().to_str().unwrap().to_owned();
        let want = listing(dir.path(), &name);
        assert!(want.split(|b| *b == b'\n').count() > 20, "{guest}");
        for (format, options) in [
            ("qcow2", ""),
            ("qcow2", "compression_type=zlib"),
            ("vmdk", "subformat=monolithicSparse"),
            ("vmdk", "subformat=streamOptimized"),
            ("vmdk", "subformat=twoGbMaxExtentSparse"),
            ("vpc", "subformat=dynamic"),
            ("vpc", "subformat=fixed"),
            ("vhdx", ""),
            ("vdi", ""),
        ] {
            let compress = if options.starts_with("compression") {
                "-c"
            } else {
                "-q"
            };
            let options = if options.is_empty() {
                "preallocation=off"
            } else {
                options
            };
            let options = if matches!(format, "vhdx") {
                "subformat=dynamic"
            } else {
                options
            };
            let args = [
                "convert", "-q", compress, "-f", "raw", "-O", format, "-o", options, &name, "made",
            ];
            oracle::ok(
                "env",
                &[&["-C", dir.path().to_str().unwrap(), "qemu-img"][..], &args].concat(),
            );
            assert_eq!(listing(dir.path(), "made"), want, "{guest} in {format} {options}");
        }
        for target in ["ours.qcow2", "ours.vmdk", "ours.vhd", "ours.vhdx", "ours.vdi"] {
            run(dir.path(), &["convert", "-q", "--force", &name, target]).good();
            assert_eq!(listing(dir.path(), target), want, "{guest} in {target}");
        }
    }
}
