//! The corpus, and images that qemu-img makes.

use crate::fill;
use h2k_image::{Format, Image};
use h2k_testkit::{corpus, hash};
use std::path::Path;

fn open_path(path: &Path) -> h2k_block::Result<Image> {
    fill::open_path(path, Format::Vhdx)
}

#[test]
fn every_image_of_the_corpus_reads_as_its_oracles_say() {
    let Some(corpus) = corpus::corpus() else { return };
    let mut seen = 0;
    for case in corpus.below("images/vhdx/") {
        let dir = fill::scratch();
        let image = open_path(&corpus.unpack(case, dir.path())).unwrap();
        let (size, nz64k, sha256) = match case.oracle.get("disk") {
            Some(disk) => (
                &disk["virtual_size"],
                &disk["content_nz64k"],
                &disk["content_sha256"],
            ),
            // qemu-img refuses differencing images; libvhdi (its second volume is the child) reads them.
            None => {
                let child = &case.oracle["libvhdi"]["vhdi2"];
                (&child["size"], &serde_json::Value::Null, &child["sha256"])
            }
        };
        assert_eq!(Some(image.disk.len()), size.as_u64(), "{}", case.path);
        if let Some(nz64k) = nz64k.as_str() {
            assert_eq!(hash::nz64k(&*image.disk).unwrap(), nz64k, "{}", case.path);
        }
        if image.disk.len() <= 1 << 30 {
            let found = hash::disk_sha256(&*image.disk).unwrap();
            assert_eq!(Some(found.as_str()), sha256.as_str(), "{}", case.path);
        }
        seen += 1;
    }
    assert!(seen >= 6);
}

#[test]
fn a_dirty_log_is_replayed_in_memory_and_the_file_stays_as_it_was() {
    let Some(corpus) = corpus::corpus() else { return };
    let mut seen = 0;
    for case in corpus.below("images/vhdx/").filter(|c| c.path.contains("log")) {
        let dir = fill::scratch();
        let path = corpus.unpack(case, dir.path());
        let before = hash::sha256(&std::fs::read(&path).unwrap());
        let image = open_path(&path).unwrap();
        hash::nz64k(&*image.disk).unwrap();
        drop(image.disk);
        assert_eq!(hash::sha256(&std::fs::read(&path).unwrap()), before);
        assert!(
            image.info.warnings.iter().any(|w| w.contains("log")),
            "{:?}",
            image.info.warnings
        );
        seen += 1;
    }
    assert_eq!(seen, 2);
}

#[test]
fn images_made_by_qemu_img_read_like_their_source() {
    let dir = fill::scratch();
    let raw = dir.path().join("source.raw");
    for (len, options, block) in [
        (40 << 20, "subformat=dynamic,block_size=1048576", 1 << 20),
        (40 << 20, "subformat=fixed,block_size=2097152", 2 << 20),
        (
            (33 << 20) + 512,
            "block_size=4194304,block_state_zero=off",
            4 << 20,
        ),
        (70 << 20, "block_size=33554432,log_size=4194304", 32 << 20),
        (3 << 20, "block_size=268435456", 256 << 20),
        // More than one chunk: 8192 blocks of 1 MiB lie between sector bitmap entries of 4096.
        ((9 << 30) + 4096, "block_size=1048576", 1 << 20),
    ] {
        let source = fill::noise(len, block, len);
        source.save(&raw);
        let vhdx = dir.path().join("target.vhdx");
        fill::qemu_convert(&raw, &vhdx, "vhdx", options);
        let image = open_path(&vhdx).unwrap();
        assert_eq!(image.info.grain, Some(block), "{options}");
        fill::same(&source, &*image.disk);
        fill::borders(&*image.disk, &source, block, 12);
    }
}
