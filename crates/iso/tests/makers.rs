//! Differential: discs made by genisoimage and xorriso, compared with the tree they were made from.

use h2k_block::{Access, FileDisk, Limits, Meter, Sharing};
use h2k_fs::{FileKind, FsRead, Node, lookup_path};
use h2k_iso::iso9660::{self, Iso, Names, Options, View};
use h2k_testkit::listing;
use h2k_testkit::oracle::ok;
use h2k_testkit::reads;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files around sectors, names of many kinds, links, devices, more directories than a plain disc may nest.
pub const FILL: &str = r#"
set -e; umask 022
cd "$0"
mkdir -p tree/d1/d2/d3/d4/d5/d6/d7/d8/d9 'tree/Ünïcode näme ☃' tree/many tree/empty
for i in 0 1 2047 2048 2049 65537; do head -c $i /dev/urandom > tree/size_$i; done
seq 20000 > tree/compressible; head -c 70000 /dev/zero > tree/zeros
echo deep > tree/d1/d2/d3/d4/d5/d6/d7/d8/d9/file
for i in $(seq 100); do echo $i > "tree/many/a name that is rather long for ISO 9660 as it was meant $i"; done
ln -s ../size_1 tree/d1/link; ln -s /absolute/./../x tree/link2; ln -s "$(printf 'long/%.0s' $(seq 30))end" tree/link3
chmod 4751 tree/size_1; chmod 700 tree/d1; chown 1234:5678 tree/size_2049
touch -h -d '2021-07-09 13:14:16 UTC' tree/size_1
"#;

/// What genisoimage waits for when it makes Joliet.
const SPECIAL: &str = r#"cd "$0"; mkfifo tree/fifo; mknod tree/null c 1 3; mknod tree/block b 8 30"#;

pub fn tree(fill: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    ok("bash", &["-c", fill, dir.path().to_str().unwrap()]);
    dir
}

pub fn genisoimage(dir: &Path, options: &str) -> PathBuf {
    let image = dir.join("g.iso");
    let script = format!(
        "cd \"$0\"; LC_ALL=C.UTF-8 genisoimage -quiet -input-charset utf-8 -V LABEL {options} -o g.iso tree 2>&1"
    );
    ok("bash", &["-c", &script, dir.to_str().unwrap()]);
    image
}

fn xorriso(dir: &Path, options: &str) -> PathBuf {
    let image = dir.join("x.iso");
    let script = format!("cd \"$0\"; LC_ALL=C.UTF-8 xorrisofs -quiet -V LABEL {options} -o x.iso tree 2>&1");
    ok("bash", &["-c", &script, dir.to_str().unwrap()]);
    image
}

pub fn open(image: &Path, view: View) -> Iso {
    let disk = FileDisk::open(image, Access::Read, Sharing::Force).unwrap();
    let options = Options {
        view,
        names: Names::Mapped,
        session: 0,
    };
    iso9660::open_with(Arc::new(disk), &Limits::default(), options).unwrap()
}

pub fn find(fs: &dyn FsRead, path: &str) -> Option<Node> {
    lookup_path(fs, path.as_bytes(), false, &mut Meter::new(Limits::default())).unwrap()
}

#[test]
fn rock_ridge_gives_back_the_tree_it_was_made_from() {
    let dir = tree(FILL);
    for (maker, options) in [
        (genisoimage as fn(&Path, &str) -> PathBuf, "-R -J"),
        (genisoimage, "-R -D"),
        (xorriso, "-R -J"),
        (xorriso, "-R -iso-level 3"),
    ] {
        let image = maker(dir.path(), options);
        let theirs = listing::of_host(&dir.path().join("tree"), listing::Options::UNIX);
        let fs = open(&image, View::Best);
        let ours = listing::of_fs(&fs, listing::Options::UNIX).unwrap();
        // genisoimage moves what nests too deep into a directory of its own, which it leaves on the disc, empty.
        let text: String = ours
            .text
            .lines()
            .filter(|l| !l.starts_with("rr_moved\t"))
            .map(|l| format!("{l}\n"))
            .collect();
        if let Some(difference) = listing::differences(&theirs.text, &text) {
            panic!("{}:\n{difference}", image.display());
        }
        let stat = fs.stat(find(&fs, "size_1").unwrap()).unwrap();
        assert_eq!(stat.modified.seconds, 1_625_836_456);
        assert_eq!(stat.mode, Some(0o4751));
        let owned = fs.stat(find(&fs, "size_2049").unwrap()).unwrap();
        assert_eq!((owned.uid, owned.gid), (Some(1234), Some(5678)));
        assert!(find(&fs, "SIZE_1").is_none(), "Rock Ridge minds the case");
        let facts = fs.facts();
        assert_eq!(
            (facts.label.as_deref(), facts.kind),
            (Some(&b"LABEL"[..]), "iso9660")
        );
        let blkid = ok(
            "blkid",
            &["-p", "-o", "value", "-s", "UUID", image.to_str().unwrap()],
        );
        assert_eq!(facts.uuid.as_deref(), Some(blkid.trim()));
        borders(&fs, &dir.path().join("tree/size_65537"));
        if options == "-R -D" {
            ok("bash", &["-c", SPECIAL, dir.path().to_str().unwrap()]);
        }
    }
}

#[test]
fn joliet_and_the_plain_tree_show_what_linux_shows() {
    let dir = tree(FILL);
    let image = genisoimage(dir.path(), "-J -joliet-long -l -allow-lowercase");
    let fs = open(&image, View::Best);
    assert_eq!(fs.facts().features, ["joliet:3"]);
    assert!(find(&fs, "Ünïcode näme ☃").is_some());
    assert!(
        find(&fs, "ünïcode NÄME ☃").is_some(),
        "Joliet does not mind the case"
    );
    let names = |fs: &Iso| {
        let text = listing::of_fs(fs, listing::Options::PLAIN).unwrap().text;
        text.lines().filter(|l| l.starts_with("many/")).count()
    };
    assert_eq!(names(&fs), 100);
    borders(&fs, &dir.path().join("tree/size_65537"));
    let plain = open(&image, View::Plain);
    assert_eq!(names(&plain), 100);
    let stat = plain.stat(find(&plain, "size_2049").unwrap()).unwrap();
    assert_eq!((stat.kind, stat.len, stat.mode), (FileKind::File, 2049, None));
}

#[test]
fn zisofs_is_unpacked_with_rock_ridge_and_left_alone_without() {
    let dir = tree(FILL);
    let script = r#"cd "$0"; LC_ALL=C.UTF-8 xorriso -outdev z.iso -rockridge on -zisofs default -map tree / -set_filter_r --zisofs / -- 2>&1"#;
    ok("bash", &["-c", script, dir.path().to_str().unwrap()]);
    let image = dir.path().join("z.iso");
    let fs = open(&image, View::Best);
    let theirs = listing::of_host(&dir.path().join("tree"), listing::Options::UNIX);
    let ours = listing::of_fs(&fs, listing::Options::UNIX).unwrap();
    assert_eq!(listing::differences(&theirs.text, &ours.text), None);
    let node = find(&fs, "compressible").unwrap();
    let len = fs.stat(node).unwrap().len;
    assert!(fs.file_extent_at(node, 0, len).unwrap().run.compressed);
    borders(&fs, &dir.path().join("tree/compressible"));
    borders(&fs, &dir.path().join("tree/zeros"));
}

#[test]
fn a_disc_says_what_it_boots() {
    let dir = tree(
        "set -e; cd \"$0\"; mkdir tree; head -c 2048 /dev/zero > tree/bios; head -c 4096 /dev/zero > tree/efi",
    );
    let image = xorriso(
        dir.path(),
        "-R -b bios -no-emul-boot -boot-load-size 4 -eltorito-alt-boot -e efi -no-emul-boot",
    );
    let features = open(&image, View::Best).facts().features;
    assert!(
        features
            .iter()
            .any(|f| f.starts_with("eltorito:x86@") && f.ends_with("+4")),
        "{features:?}"
    );
    assert!(
        features.iter().any(|f| f.starts_with("eltorito:efi@")),
        "{features:?}"
    );
}

#[test]
fn files_of_several_sections_are_one_file() {
    let dir = tree(
        "set -e; cd \"$0\"; mkdir tree; truncate -s 4200M tree/big; echo end >> tree/big; echo x > tree/after",
    );
    let image = xorriso(dir.path(), "-R -iso-level 3");
    let fs = open(&image, View::Best);
    let node = find(&fs, "big").unwrap();
    let len = fs.stat(node).unwrap().len;
    assert_eq!(len, (4200 << 20) + 4);
    let mut buf = [0xa5; 16];
    assert_eq!(fs.read_at(node, len - 6, &mut buf).unwrap(), 6);
    assert_eq!(&buf[..6], b"\0\0end\n");
    let first = fs.file_extent_at(node, 0, len).unwrap().run.len;
    assert!(first < len);
    assert_eq!(fs.read_at(node, first - 8, &mut buf).unwrap(), 16);
    assert_eq!(buf, [0; 16]);
    assert!(find(&fs, "after").is_some());
}

#[test]
fn a_later_session_is_read_where_it_begins() {
    let dir = tree("set -e; cd \"$0\"; mkdir tree more; echo one > tree/one; echo two > more/two");
    genisoimage(dir.path(), "-R");
    let script = r#"set -e; cd "$0"; n=$(( ($(stat -c %s g.iso) / 2048 + 31) / 32 * 32 )); truncate -s $((n * 2048)) g.iso
genisoimage -quiet -R -C 0,$n -M g.iso -o s2.iso more 2>&1; cat s2.iso >> g.iso; echo $n"#;
    let said = ok("bash", &["-c", script, dir.path().to_str().unwrap()]);
    let session = said.lines().last().unwrap().parse().unwrap();
    let disk = FileDisk::open(&dir.path().join("g.iso"), Access::Read, Sharing::Force).unwrap();
    let disk = Arc::new(disk);
    let list = |session| {
        let options = Options {
            session,
            ..Options::default()
        };
        let fs = iso9660::open_with(disk.clone(), &Limits::default(), options).unwrap();
        listing::of_fs(&fs, listing::Options::PLAIN).unwrap().counts[&'f']
    };
    assert_eq!((list(0), list(session)), (1, 2));
}

/// Reads across every border of a sector give what a read of everything gives.
pub fn borders(fs: &dyn FsRead, original: &Path) {
    let whole = std::fs::read(original).unwrap();
    let node = find(fs, original.file_name().unwrap().to_str().unwrap()).unwrap();
    reads::borders(fs, node, &whole, 2048);
}
