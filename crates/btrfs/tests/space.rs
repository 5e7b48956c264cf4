//! Free space: what we call free may be overwritten without anybody noticing.

use crate::made::{TREE, Volume, bash};
use h2k_block::Kind;
use h2k_testkit::listing::{self, Options};
use h2k_testkit::oracle::ok;
use std::os::unix::fs::FileExt;

/// Both ends of a run, and places within.
fn overwrite(file: &std::fs::File, at: u64, end: u64) {
    let junk = [0xa5; 65536];
    let edge = (end - at).min(65536);
    file.write_all_at(&junk[..edge as usize], at).unwrap();
    file.write_all_at(&junk[..edge as usize], end - edge).unwrap();
    for at in (at + edge..end - edge).step_by(1 << 19) {
        file.write_all_at(&junk[..4096.min((end - at) as usize)], at)
            .unwrap();
    }
}

#[test]
fn free_space_can_be_overwritten_without_anybody_noticing() {
    let kinds: [(usize, &[&str], &str); 6] = [
        (1, &["-d", "single", "-m", "dup"], ""),
        (1, &["-M", "-n", "4096"], "compress-force=lzo"),
        (
            1,
            &["-O", "^skinny-metadata,^no-holes", "-R", "^free-space-tree"],
            "",
        ),
        (2, &["-d", "raid0", "-m", "raid1"], ""),
        (4, &["-d", "raid10", "-m", "raid10"], ""),
        (3, &["-d", "raid5", "-m", "raid1"], ""),
    ];
    for (devices, mkfs, options) in kinds {
        let mut volume = Volume::make(devices, "256M", mkfs);
        let Some(mounted) = volume.mount(options) else {
            return;
        };
        let tree = TREE.replace("seq 75", "seq 12");
        bash(&tree, mounted.path());
        // Free space between used space.
        bash(
            "seq -f 'many/fill-%g' 200 | xargs -I{} cp inline {}; rm many/fill-*5 random numbers",
            mounted.path(),
        );
        drop(mounted);
        let mut free = 0;
        let fs = volume.open();
        let before = listing::of_fs(&fs, Options::UNIX).unwrap();
        for (i, image) in volume.images.iter().enumerate() {
            let file = std::fs::File::options().write(true).open(image).unwrap();
            let (mut at, end) = (0, 256 << 20);
            while at < end {
                let e = fs.used_on(i, at, end).unwrap();
                assert!(e.start == at && e.len > 0 && e.end() <= end);
                if e.kind == Kind::Hole {
                    free += e.len;
                    overwrite(&file, at, e.end());
                }
                at = e.end();
            }
        }
        let all = (devices as u64) << 28;
        assert!(
            free > all / 2 && free < all - (4 << 20),
            "{mkfs:?}: {free} of {all} bytes are free"
        );
        let fs = volume.open();
        let after = listing::of_fs(&fs, Options::UNIX).unwrap();
        assert_eq!(listing::differences(&before.text, &after.text), None, "{mkfs:?}");
        let mounted = volume.mount("ro").unwrap();
        let theirs = listing::of_host(mounted.path(), Options::UNIX);
        assert_eq!(listing::differences(&theirs.text, &after.text), None, "{mkfs:?}");
        drop(mounted);
        // Reads every tree block and every checksummed sector.
        if devices == 1 {
            ok(
                "btrfs",
                &["check", "--check-data-csum", volume.images[0].to_str().unwrap()],
            );
        }
    }
}
