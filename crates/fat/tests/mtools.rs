//! Differential: volumes made by mkfs.fat and filled by mtools, compared with the tree they were filled from.

use h2k_block::{Access, FileDisk, Kind, Limits, Meter, Sharing};
use h2k_fat::Fat;
use h2k_fs::{FsRead, lookup_path};
use h2k_testkit::listing::{self, Options};
use h2k_testkit::oracle::ok;
use h2k_testkit::reads::borders;
use std::path::Path;
use std::sync::Arc;

pub fn disk(image: &Path) -> Arc<FileDisk> {
    Arc::new(FileDisk::open(image, Access::Read, Sharing::Force).unwrap())
}

pub fn open(image: &Path) -> Fat {
    h2k_fat::open(disk(image), &Limits::default()).unwrap()
}

/// Files that cross clusters, names of every kind mtools can write, a directory of several clusters.
pub const FILL: &str = r#"
set -e
cd "$0"
mkdir -p tree/deep/er/still 'tree/Ünïcode näme ☃'
for i in 0 1 511 512 513 4095 4096 4097 65537; do head -c $i /dev/urandom > tree/size-$i; done
echo x > tree/UPPER.TXT; echo x > tree/lower.txt; echo x > tree/Mixed.Txt; echo x > tree/base.EXT
echo x > 'tree/a name of thirteen'; echo x > tree/thirteen.long; echo x > 'tree/with.many.dots.in it'
for i in $(seq 300); do echo $i > "tree/deep/a name long enough for three entries of it $i"; done
echo deep > tree/deep/er/still/file
"#;

fn fill(image: &Path, from: &Path) {
    let tree = from.join("tree");
    let script =
        r#"set -e; export LC_ALL=C.UTF-8 MTOOLS_SKIP_CHECK=1; cd "$0"; mcopy -s -Q -m -i "$1" ./* ::/"#;
    ok(
        "bash",
        &["-c", script, tree.to_str().unwrap(), image.to_str().unwrap()],
    );
}

#[test]
fn volumes_of_every_type_read_as_they_were_filled() {
    let dir = tempfile::tempdir().unwrap();
    ok("bash", &["-c", FILL, dir.path().to_str().unwrap()]);
    let theirs = listing::of_host(&dir.path().join("tree"), Options::PLAIN);
    for (bits, size, options, serial) in [
        ("12", "2M", "-s1 -f1", "0BAD-CAFE"),
        ("12", "6M", "-s8 -S512 -f2 -r512", "0000-0001"),
        ("16", "40M", "-s2 -f2", "1234-ABCD"),
        ("16", "300M", "-s4 -S4096 -f2", "1234-ABCD"),
        ("32", "300M", "-s1 -f2", "FFFF-FFFF"),
        ("32", "100M", "-s1 -S1024 -f1 -R40 -b8", "1234-ABCD"),
    ] {
        let image = dir.path().join(format!("fat{bits}-{size}.img"));
        let path = image.to_str().unwrap();
        ok("truncate", &["-s", size, path]);
        let make = format!(
            "mkfs.fat -F{bits} {options} -n 'MY LABEL' -i {} {path}",
            serial.replace('-', "")
        );
        ok("bash", &["-c", &make]);
        fill(&image, dir.path());
        let fs = open(&image);
        let ours = listing::of_fs(&fs, Options::PLAIN).unwrap();
        if let Some(difference) = listing::differences(&theirs.text, &ours.text) {
            panic!("{make}:\n{difference}");
        }
        let facts = fs.facts();
        assert_eq!(facts.label.as_deref(), Some(&b"MY LABEL"[..]));
        assert_eq!(facts.uuid.as_deref(), Some(serial), "{make}");
        assert_eq!(facts.features, [format!("fat{bits}")], "{make}");
        assert_eq!(facts.warnings, Vec::<String>::new(), "{make}");
        let blkid = ok("blkid", &["-p", "-o", "value", "-s", "UUID", path]);
        assert_eq!(blkid.trim(), serial);
        // mdir counts what is free in its last line.
        let mdir = ok(
            "bash",
            &["-c", &format!("MTOOLS_SKIP_CHECK=1 mdir -i {path} ::/ | tail -2")],
        );
        let digits: String = mdir
            .lines()
            .find(|l| l.contains("free"))
            .unwrap()
            .chars()
            .filter(char::is_ascii_digit)
            .collect();
        let usage = fs.usage().unwrap();
        assert_eq!(digits, usage.free.to_string(), "{make}");
        let mut free = 0;
        let len = std::fs::metadata(&image).unwrap().len();
        let mut at = 0;
        while at < len {
            let extent = fs.used_at(at, len).unwrap();
            if extent.kind == Kind::Hole {
                free += extent.len;
            }
            at = extent.end();
        }
        assert_eq!(free, usage.free, "{make}");
        finds_names(&fs);
        positions(&fs, &dir.path().join("tree/size-65537"));
    }
}

fn finds_names(fs: &Fat) {
    let find = |p: &str| lookup_path(fs, p.as_bytes(), false, &mut Meter::new(Limits::default())).unwrap();
    let file = find("DEEP/er/STILL/File");
    assert!(
        file.is_some() && file == find("deep/ER/still/file"),
        "names are equal whatever their case"
    );
    assert!(find("ünïcode NÄME ☃").is_some());
    assert_eq!(
        find("ANAMEO~1"),
        find("a name of thirteen"),
        "the short name is a name too"
    );
    assert!(find("ANAMEO~1").is_some());
    assert_eq!(
        find("upper.txt."),
        find("UPPER.TXT"),
        "dots at the end do not count"
    );
    assert!(find("no such name").is_none());
}

/// Reads across every border of a cluster agree, and extents lead to the bytes.
fn positions(fs: &Fat, original: &Path) {
    let whole = std::fs::read(original).unwrap();
    let node = lookup_path(fs, b"size-65537", false, &mut Meter::new(Limits::default()))
        .unwrap()
        .unwrap();
    borders(fs, node, &whole, 512);
    let mut at = 0;
    let len = whole.len() as u64;
    while at < len {
        let extent = fs.file_extent_at(node, at, len).unwrap();
        assert!(extent.run.len > 0 && extent.run.kind == Kind::Data);
        at = extent.run.end();
    }
    assert_eq!(at, len);
}

#[test]
fn times_are_those_mdir_shows() {
    let dir = tempfile::tempdir().unwrap();
    let (image, file) = (dir.path().join("t.img"), dir.path().join("f"));
    let script = r#"truncate -s 2M "$0"; mkfs.fat "$0" >/dev/null; echo x > "$1"; touch -d '2021-07-09 13:14:16 UTC' "$1"; TZ=UTC mcopy -m -i "$0" "$1" ::f"#;
    ok(
        "bash",
        &["-c", script, image.to_str().unwrap(), file.to_str().unwrap()],
    );
    let fs = open(&image);
    let node = fs.lookup(fs.root(), b"F").unwrap().unwrap();
    let stat = fs.stat(node).unwrap();
    assert_eq!((stat.modified.seconds, stat.modified.nanos), (1_625_836_456, 0));
    assert_eq!((stat.len, stat.mode, stat.uid), (2, None, None));
}
