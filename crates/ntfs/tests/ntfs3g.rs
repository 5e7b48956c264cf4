//! Differential: volumes made by mkntfs and filled through ntfs-3g, compared with ntfs-3g's own view.

use h2k_block::{FileDisk, Kind, Limits, Sharing};
use h2k_fs::{FsRead, lookup_path};
use h2k_testkit::listing::{self, Options};
use h2k_testkit::mount::{Mount, fuse};
use h2k_testkit::oracle::ok;
use std::path::Path;
use std::sync::Arc;

pub fn open(image: &Path) -> h2k_ntfs::Ntfs {
    let disk = FileDisk::open(image, h2k_block::Access::Read, Sharing::Force).unwrap();
    h2k_ntfs::open(Arc::new(disk), &Limits::default()).unwrap()
}

pub fn mount(image: &Path, options: &str) -> Option<Mount> {
    fuse("ntfs-3g", &["-o", options], image)
}

const FILL: &str = r#"
set -e
cd "$0"
mkdir small large 'Ünïcode ☃' compressed
for i in 1 2 3; do echo $i > small/f$i; done
for i in $(seq 3000); do : > "large/a name long enough to make index blocks split $i"; done
for i in $(seq 5 7 3000); do rm "large/a name long enough to make index blocks split $i"; done
head -c 200000 /dev/urandom > random
head -c 700 /dev/urandom > resident
truncate -s 5M sparse; echo end >> sparse; echo mid | dd of=sparse bs=1 seek=2000000 conv=notrunc status=none
for i in $(seq 400); do head -c 5000 /dev/urandom >> fragment-a; head -c 5000 /dev/urandom >> fragment-b; sync -d fragment-a; done
echo stream > 'small/f1:one'; head -c 100000 /dev/urandom > 'small/f1:two'; echo dir > 'small:on-a-directory'
setfattr -h -n system.ntfs_attrib -v 0x00080000 compressed 2>/dev/null || setfattr -h -n system.ntfs_attrib_be -v 0x00000800 compressed
seq 200000 > compressed/numbers
head -c 300000 /dev/urandom > compressed/noise
{ seq 3000; head -c 100000 /dev/zero; head -c 70000 /dev/urandom; seq 5000; } > compressed/mixed
truncate -s 2M compressed/hole; echo x >> compressed/hole
ln random hard-link
ln -s small/f1 link
touch "$(printf 'trailing dot.')" 'CaSe'
"#;

#[test]
fn volumes_of_many_cluster_sizes_read_as_ntfs_3g_reads_them() {
    for cluster in ["512", "4096", "65536"] {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("ntfs.img");
        ok("truncate", &["-s", "300M", image.to_str().unwrap()]);
        ok(
            "mkntfs",
            &[
                "-q",
                "-F",
                "-Q",
                "-L",
                "Läbel",
                "-c",
                cluster,
                image.to_str().unwrap(),
            ],
        );
        let Some(mounted) = mount(&image, "streams_interface=windows,compression") else {
            return;
        };
        ok("bash", &["-c", FILL, mounted.path().to_str().unwrap()]);
        drop(mounted);
        let mounted = mount(&image, "ro,streams_interface=windows").unwrap();
        let theirs = listing::of_host(mounted.path(), Options::PLAIN);
        let fs = open(&image);
        let ours = listing::of_fs(&fs, Options::PLAIN).unwrap();
        if let Some(difference) = listing::differences(&theirs.text, &ours.text) {
            panic!("clusters of {cluster}:\n{difference}");
        }
        assert_eq!(fs.facts().label.as_deref(), Some("Läbel".as_bytes()));
        let usage = fs.usage().unwrap();
        let counted = ok(
            "stat",
            &["-f", "-c", "%S %b %f", mounted.path().to_str().unwrap()],
        );
        let ours = format!(
            "{} {} {}",
            usage.block,
            usage.total / usage.block,
            usage.free / usage.block
        );
        assert_eq!(ours, counted.trim(), "clusters of {cluster}");
        used_sums_up(&fs, usage.free, 300 << 20);
        same_streams(&fs, mounted.path());
        let find =
            |p: &[u8]| lookup_path(&fs, p, false, &mut h2k_block::Meter::new(Limits::default())).unwrap();
        assert_eq!(
            find(b"case"),
            find(b"CaSe"),
            "names are equal whatever their case"
        );
        assert!(find("ÜNÏCODE ☃".as_bytes()).is_some());
        assert!(find(b"no such name").is_none());
    }
}

fn same_streams(fs: &h2k_ntfs::Ntfs, at: &Path) {
    for (path, names) in [
        ("small/f1", &["one", "two"][..]),
        ("small", &["on-a-directory"]),
        ("random", &[]),
    ] {
        let node = lookup_path(
            fs,
            path.as_bytes(),
            true,
            &mut h2k_block::Meter::new(Limits::default()),
        )
        .unwrap();
        let mut found = Vec::new();
        fs.streams(node.unwrap(), &mut |s| {
            found.push((String::from_utf8(s.name.to_vec()).unwrap(), s.node));
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(
            found.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>(),
            names,
            "{path}"
        );
        for (name, stream) in found {
            let want = std::fs::read(at.join(format!("{path}:{name}"))).unwrap();
            let mut got = vec![0; want.len() + 1];
            assert_eq!(fs.read_at(stream, 0, &mut got).unwrap(), want.len());
            assert_eq!(got[..want.len()], want, "{path}:{name}");
        }
    }
}

fn used_sums_up(fs: &h2k_ntfs::Ntfs, free: u64, len: u64) {
    let (mut at, mut holes) = (0, 0);
    while at < len {
        let extent = fs.used_at(at, len).unwrap();
        if extent.kind == Kind::Hole {
            holes += extent.len;
        }
        at = extent.end();
    }
    assert_eq!(holes, free);
}

#[test]
fn every_position_of_a_compressed_file_reads_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("ntfs.img");
    ok("truncate", &["-s", "100M", image.to_str().unwrap()]);
    ok("mkntfs", &["-q", "-F", "-Q", image.to_str().unwrap()]);
    let Some(mounted) = mount(&image, "streams_interface=windows,compression") else {
        return;
    };
    let script = "cd \"$0\"; mkdir c; setfattr -h -n system.ntfs_attrib_be -v 0x00000800 c; seq 60000 > c/n";
    ok("bash", &["-c", script, mounted.path().to_str().unwrap()]);
    let want = std::fs::read(mounted.path().join("c/n")).unwrap();
    drop(mounted);
    let fs = open(&image);
    let node = lookup_path(&fs, b"c/n", true, &mut h2k_block::Meter::new(Limits::default()))
        .unwrap()
        .unwrap();
    assert!(
        fs.file_extent_at(node, 0, want.len() as u64)
            .unwrap()
            .run
            .compressed
    );
    for border in (0..want.len()).step_by(4096) {
        for start in [border.saturating_sub(1), border, border + 1] {
            for len in [1, 2, 4096, 65537] {
                let mut buf = vec![0; len];
                let n = fs.read_at(node, start as u64, &mut buf).unwrap();
                let end = (start + len).min(want.len());
                assert_eq!(buf[..n], want[start.min(end)..end], "{start}+{len}");
            }
        }
    }
}
