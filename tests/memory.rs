//! What a conversion may take of memory: 64 MiB, and 8 MiB for each worker.

use crate::run;
use h2k_testkit::rng::Rng;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

const MIB: u64 = 1 << 20;

/// 5 GiB with data here and there: much more of it than all buffers together.
fn disk(path: &Path) {
    let file = File::create(path).unwrap();
    file.set_len(5 << 30).unwrap();
    let mut rng = Rng::new(7);
    let mut at = 3 * MIB;
    for _ in 0..12 {
        // Half noise, half something to compress.
        let mut bytes = vec![0x5a_u8; 5 << 20];
        rng.fill(&mut bytes[..5 << 19]);
        file.write_all_at(&bytes, at).unwrap();
        at += 397 * MIB;
    }
}

#[test]
fn memory_depends_on_the_workers_and_not_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    disk(&dir.path().join("disk.raw"));
    let large = ["--to", "qcow2", "--compress", "zlib", "--cluster-size", "2M"];
    for workers in [1_u64, 2, 8] {
        let count = workers.to_string();
        let convert = |words: &[&str], from: &str, to: &str| {
            let mut all = vec!["convert", "--quiet", "--force", "--workers", &count];
            all.extend(words);
            all.extend([from, to]);
            let peak = run::peak(dir.path(), &all);
            let most = 64 * MIB + workers * 8 * MIB;
            assert!(
                peak <= most,
                "{all:?} took {} KiB, {} are allowed",
                peak >> 10,
                most >> 10
            );
        };
        convert(&["--to", "qcow2"], "disk.raw", "plain.qcow2");
        // The largest units there are, out of and into a codec.
        convert(&large, "disk.raw", "large.qcow2");
        convert(&large, "large.qcow2", "again.qcow2");
    }
}
