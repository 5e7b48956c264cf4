//! UDF: the corpus, genisoimage's bridge discs, mkudffs, 7-Zip, and damage.

use crate::door::knock_udf;
use crate::makers::{FILL, borders, find, genisoimage, tree};
use h2k_block::{Access, BlockRead, Class, FileDisk, Limits, MemDisk, Sharing};
use h2k_fs::FsRead;
use h2k_iso::udf;
use h2k_testkit::corpus::corpus;
use h2k_testkit::listing::{self, Options};
use h2k_testkit::mutate::Patched;
use h2k_testkit::oracle::ok;
use h2k_testkit::rng::Rng;
use std::path::Path;
use std::sync::Arc;

#[test]
fn every_tree_of_the_corpus_reads_as_recorded() {
    let Some(corpus) = corpus() else { return };
    let mut count = 0;
    for case in corpus.below("fs/other/udf/") {
        let dir = tempfile::tempdir().unwrap();
        let disk = corpus.disk(case, dir.path());
        assert!(udf::probe(&*disk).unwrap() && h2k_iso::probe(&*disk).unwrap());
        let fs = h2k_iso::open(disk, &Limits::default()).unwrap_or_else(|e| panic!("{}: {e}", case.path));
        let ours = listing::of_fs(&*fs, Options::PLAIN).unwrap();
        println!("{} {:?}", case.path, fs.facts());
        listing::agrees(&corpus, case, &ours);
        count += 1;
    }
    assert_eq!(count, 2);
}

fn disk(image: &Path) -> Arc<FileDisk> {
    Arc::new(FileDisk::open(image, Access::Read, Sharing::Force).unwrap())
}

#[test]
fn a_bridge_disc_has_the_same_files_in_every_tree() {
    let dir = tree(FILL);
    let image = genisoimage(dir.path(), "-udf -J -joliet-long -D");
    let fs = h2k_iso::open(disk(&image), &Limits::default()).unwrap();
    assert_eq!(fs.facts().kind, "udf");
    // genisoimage leaves links out of trees without Rock Ridge.
    let theirs = listing::of_host(&dir.path().join("tree"), Options::PLAIN).text;
    let theirs: String = theirs
        .lines()
        .filter(|l| !l.contains("\tl\t"))
        .map(|l| format!("{l}\n"))
        .collect();
    let ours = listing::of_fs(&*fs, Options::PLAIN).unwrap();
    if let Some(difference) = listing::differences(&theirs, &ours.text) {
        panic!("{difference}");
    }
    let facts = fs.facts();
    assert_eq!(facts.label.as_deref(), Some(&b"LABEL"[..]));
    let blkid = ok(
        "blkid",
        &["-p", "-o", "value", "-s", "UUID", image.to_str().unwrap()],
    );
    assert_eq!(facts.uuid.as_deref(), Some(blkid.trim()));
    assert_eq!(facts.features, ["1.02"]);
    assert_eq!(facts.warnings, Vec::<String>::new());
    borders(&*fs, &dir.path().join("tree/size_65537"));
    assert!(find(&*fs, "no such name").is_none());
    // With Rock Ridge on the same disc, its modes and links are wanted more.
    let image = genisoimage(dir.path(), "-udf -J -R");
    let fs = h2k_iso::open(disk(&image), &Limits::default()).unwrap();
    assert_eq!(fs.facts().kind, "iso9660");
    assert!(find(&*fs, "link2").is_some());
}

#[test]
fn volumes_of_every_revision_and_medium_open() {
    let dir = tempfile::tempdir().unwrap();
    for (options, feature) in [
        ("--media-type=hd --udfrev=0x0102 --blocksize=512", "1.02"),
        ("--media-type=hd --udfrev=0x0150 --blocksize=2048", "1.50"),
        ("--media-type=hd --udfrev=0x0201 --blocksize=4096", "2.01"),
        ("--media-type=dvdram --udfrev=0x0201", "2.01"),
        ("--media-type=cdrw --udfrev=0x0150", "sparable"),
        ("--media-type=dvdrw --udfrev=0x0201", "2.01"),
        ("--media-type=cdr --udfrev=0x0150", "virtual"),
        ("--media-type=dvdr --udfrev=0x0201", "virtual"),
    ] {
        let image = dir.path().join("u.udf");
        let path = image.to_str().unwrap();
        let make = format!(
            "rm -f {path}; truncate -s 64M {path}; LC_ALL=C.UTF-8 mkudffs --utf8 {options} --label='Läbel ☃' {path} >/dev/null 2>&1"
        );
        ok("bash", &["-c", &make]);
        if feature == "virtual" {
            // A disc written once ends where the table was written last.
            let bytes = std::fs::read(&image).unwrap();
            let end = bytes.iter().rposition(|b| *b != 0).unwrap() / 2048 * 2048 + 2048;
            std::fs::write(&image, &bytes[..end]).unwrap();
        }
        let fs = udf::open(disk(&image), &Limits::default()).unwrap_or_else(|e| panic!("{options}: {e}"));
        let facts = fs.facts();
        assert!(
            facts.features.iter().any(|f| f == feature),
            "{options}: {facts:?}"
        );
        assert_eq!(facts.label.as_deref(), Some("Läbel ☃".as_bytes()), "{options}");
        let blkid = ok("blkid", &["-p", "-o", "value", "-s", "UUID", path]);
        assert_eq!(facts.uuid.as_deref(), Some(blkid.trim()), "{options}");
        let listing = listing::of_fs(&fs, Options::PLAIN).unwrap();
        assert_eq!(listing.errors, Vec::<String>::new(), "{options}");
        let usage = fs.usage().unwrap();
        assert!(
            usage.free <= usage.total && usage.total <= 64 << 20,
            "{options}: {usage:?}"
        );
    }
}

#[test]
fn damage_is_named_and_the_reserve_descriptors_take_over() {
    let dir = tree(FILL);
    let good = std::fs::read(genisoimage(dir.path(), "-udf -J")).unwrap();
    let open = |bytes: Vec<u8>| udf::open(Arc::new(MemDisk::new(bytes)), &Limits::default());
    let want = listing::of_fs(&open(good.clone()).unwrap(), Options::PLAIN)
        .unwrap()
        .text;
    let main = u32::from_le_bytes(good[256 * 2048 + 20..][..4].try_into().unwrap()) as usize * 2048;
    let mut bytes = good.clone();
    bytes[main..main + 16 * 2048].fill(0);
    let fs = open(bytes).unwrap();
    assert_eq!(listing::of_fs(&fs, Options::PLAIN).unwrap().text, want);
    assert!(fs.facts().warnings[0].contains("reserve"), "{:?}", fs.facts());
    let mut bytes = good.clone();
    for sector in [
        256,
        good.len() / 2048 - 1,
        good.len() / 2048 - 257,
        good.len() / 2048 - 151,
    ] {
        bytes[sector * 2048] = 0;
    }
    let e = open(bytes).err().unwrap();
    assert_eq!(
        (e.class(), e.place().unwrap().structure),
        (Class::Corrupt, "anchor")
    );
    // A file entry whose checksum does not agree.
    let fs = open(good.clone()).unwrap();
    let node = find(&fs, "size_2049").unwrap();
    let part = 257 * 2048;
    let at = part + (node.0 & 0xffff_ffff) as usize * 2048;
    assert_eq!(
        u16::from_le_bytes([good[at], good[at + 1]]),
        261,
        "the entry lies where its node says"
    );
    let mut bytes = good;
    bytes[at + 60] ^= 1;
    let e = open(bytes).unwrap().stat(node).unwrap_err();
    assert!(e.to_string().contains("checksums"), "{e}");
}

#[test]
fn a_hundred_thousand_mutations_end_in_answers() {
    let dir = tree(&FILL.replace("seq 100", "seq 8"));
    let seed = Arc::new(std::fs::read(genisoimage(dir.path(), "-udf")).unwrap());
    let live: Vec<usize> = Patched::live(&seed)
        .into_iter()
        .filter(|at| (32 << 10..48 << 10).contains(at) || (64 << 10..700 << 10).contains(at))
        .collect();
    let mut rng = Rng::new(0x5544_4631);
    for _ in 0..100_000 {
        knock_udf(Arc::new(Resealed(Patched::new(&mut rng, &seed, &live))));
    }
}

/// Damage that checksums do not notice: tags are made to agree again when they are read.
struct Resealed(Patched);

impl BlockRead for Resealed {
    fn len(&self) -> u64 {
        self.0.len()
    }

    fn fetch(&self, offset: u64, buf: &mut [u8]) -> h2k_block::Result<()> {
        self.0.read_at(offset, buf)?;
        if offset.is_multiple_of(512) && buf.len() >= 512 && buf[0..2] != [0, 0] && buf[1] < 2 {
            // No body to sum up, and a header that does.
            buf[8..12].fill(0);
            buf[4] = 0;
            buf[4] = buf[..16].iter().fold(0, |sum: u8, b| sum.wrapping_add(*b));
        }
        Ok(())
    }
}
