//! exFAT: the corpus, exfat-fuse, and damage.

use crate::door::knock_exfat;
use h2k_block::{Access, Class, FileDisk, Kind, Limits, MemDisk, Meter, Sharing};
use h2k_fat::exfat::{self, ExFat};
use h2k_fs::{FsRead, lookup_path};
use h2k_testkit::corpus::corpus;
use h2k_testkit::listing::{self, Options};
use h2k_testkit::mount::{Mount, fuse};
use h2k_testkit::mutate::Patched;
use h2k_testkit::oracle::ok;
use h2k_testkit::reads::borders;
use h2k_testkit::rng::Rng;
use std::path::Path;
use std::sync::Arc;

#[test]
fn every_tree_of_the_corpus_reads_as_recorded() {
    let Some(corpus) = corpus() else { return };
    let mut count = 0;
    for case in corpus
        .below("fs/other/exfat/")
        .chain(corpus.below("volumes/mbr/dfir-exfat"))
    {
        let dir = tempfile::tempdir().unwrap();
        let (disk, facts) = corpus.volume(case, dir.path());
        let fs = exfat::open(disk, &Limits::default()).unwrap_or_else(|e| panic!("{}: {e}", case.path));
        let ours = listing::of_fs(&fs, Options::PLAIN).unwrap();
        if case.path.contains("dfir-win_exfat_7") {
            // Linux refuses its main boot region; The Sleuth Kit, which read it, shows two tables as files.
            let theirs = corpus.listing(case).unwrap();
            let files: String = theirs
                .lines()
                .filter(|l| !l.starts_with('$'))
                .map(|l| format!("{l}\n"))
                .collect();
            assert_eq!(files, ours.text);
            assert!(fs.facts().warnings[0].contains("backup"));
            count += 1;
            continue;
        }
        listing::agrees_with(&corpus, case, facts, &ours);
        assert!(fs.usage().unwrap().free < fs.usage().unwrap().total);
        count += 1;
    }
    assert_eq!(count, 5);
}

/// What the checker's own test images are damaged in, and how that ends here.
#[test]
fn damaged_volumes_of_the_corpus_end_in_answers() {
    let Some(corpus) = corpus() else { return };
    let mut said = std::collections::BTreeMap::new();
    for case in corpus.below("corrupt/exfat/") {
        let dir = tempfile::tempdir().unwrap();
        let disk = corpus.disk(case, dir.path());
        let name = case.path.split(['-', '.']).nth(1).unwrap().to_owned();
        let fs = exfat::open(disk, &Limits::default());
        let words = fs.map_or_else(
            |e| e.to_string(),
            |fs| {
                let listing = listing::of_fs(&fs, Options::PLAIN).unwrap();
                format!("{:?} {:?}", listing.errors, fs.facts().warnings)
            },
        );
        said.insert(name, words);
    }
    for (name, words) in [
        ("bad_dentries", "checksum does not agree"),
        ("bad_file_size", "ends after 2 clusters, its size needs 4"),
        ("bad_first_clu", "checksum does not agree"),
        ("bad_num_chain", "marked bad"),
        ("bs_bad_csum", "backup was used"),
        ("de_bad_csum", "checksum does not agree"),
        ("file_invalid_clus", "marked free"),
        ("loop_chain", "circle"),
    ] {
        assert!(said[name].contains(words), "{name}: {}", said[name]);
    }
}

fn mount(image: &Path) -> Option<Mount> {
    fuse("mount.exfat-fuse", &[], image)
}

const FILL: &str = r#"
set -e
cd "$0"
mkdir -p deep/er/still 'Ünïcode näme ☃ 😀' many
for i in 0 1 511 512 513 4095 4096 4097 65537; do head -c $i /dev/urandom > size-$i; done
for i in $(seq 300); do echo $i > "many/a name long enough for three entries of it $i"; done
for i in $(seq 5 7 300); do rm "many/a name long enough for three entries of it $i"; done
for i in $(seq 60); do head -c 5000 /dev/urandom >> fragment-a; head -c 5000 /dev/urandom >> fragment-b; done
truncate -s 300000 longer; echo deep > deep/er/still/file
touch -d '2021-07-09 13:14:16 UTC' size-1
"#;

#[test]
fn volumes_of_many_cluster_sizes_read_as_exfat_fuse_reads_them() {
    for cluster in ["512", "4K", "128K"] {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("x.img");
        let path = image.to_str().unwrap();
        ok("truncate", &["-s", "100M", path]);
        let make = format!("LC_ALL=C.UTF-8 mkfs.exfat -c {cluster} -L Läbel {path}");
        ok("bash", &["-c", &make]);
        let Some(mounted) = mount(&image) else { return };
        ok("bash", &["-c", FILL, mounted.path().to_str().unwrap()]);
        drop(mounted);
        let mounted = mount(&image).unwrap();
        let theirs = listing::of_host(mounted.path(), Options::PLAIN);
        let whole = std::fs::read(mounted.path().join("fragment-a")).unwrap();
        drop(mounted);
        let disk = FileDisk::open(&image, Access::Read, Sharing::Force).unwrap();
        let fs = exfat::open(Arc::new(disk), &Limits::default()).unwrap();
        let ours = listing::of_fs(&fs, Options::PLAIN).unwrap();
        if let Some(difference) = listing::differences(&theirs.text, &ours.text) {
            panic!("clusters of {cluster}:\n{difference}");
        }
        let facts = fs.facts();
        assert_eq!(facts.warnings, Vec::<String>::new());
        assert_eq!(facts.label.as_deref(), Some("Läbel".as_bytes()));
        let blkid = ok("blkid", &["-p", "-o", "value", "-s", "UUID", path]);
        assert_eq!(facts.uuid.as_deref(), Some(blkid.trim()));
        let find =
            |p: &str| lookup_path(&fs, p.as_bytes(), false, &mut Meter::new(Limits::default())).unwrap();
        assert_eq!(find("DEEP/er/STILL/File"), find("deep/ER/still/file"));
        assert!(find("ünïcode NÄME ☃ 😀").is_some() && find("no such name").is_none());
        assert_eq!(
            fs.stat(find("size-1").unwrap()).unwrap().modified.seconds,
            1_625_836_456
        );
        let usage = fs.usage().unwrap();
        let (mut at, mut free) = (0, 0);
        while at < 100 << 20 {
            let extent = fs.used_at(at, 100 << 20).unwrap();
            free += if extent.kind == Kind::Hole { extent.len } else { 0 };
            at = extent.end();
        }
        assert_eq!(free, usage.free, "clusters of {cluster}");
        borders(&fs, find("fragment-a").unwrap(), &whole, 512);
    }
}

/// A small volume; its files are put in through FUSE where the host can, else it has none.
fn sample() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("s.img");
    let path = image.to_str().unwrap();
    ok("truncate", &["-s", "2M", path]);
    ok("mkfs.exfat", &["-c", "512", "-b", "4K", "-L", "Small", path]);
    if let Some(mounted) = mount(&image) {
        let script = r#"cd "$0"; mkdir sub; for i in 1 2 3 4 5 6 7; do seq 900 > "sub/a name of several entries $i"; seq 300 >> a; seq 300 >> b; done"#;
        ok("bash", &["-c", script, mounted.path().to_str().unwrap()]);
    }
    std::fs::read(&image).unwrap()
}

fn open(bytes: Vec<u8>) -> h2k_block::Result<ExFat> {
    exfat::open(Arc::new(MemDisk::new(bytes)), &Limits::default())
}

#[test]
fn a_hundred_thousand_mutations_end_in_answers() {
    let seed = Arc::new(sample());
    let live = Patched::live(&seed);
    // The up-case table fills a dozen sectors and its checksum covers it; the rest is directories and FAT.
    let heap = u32::from_le_bytes(seed[88..92].try_into().unwrap()) as usize * 512;
    let boot: Vec<usize> = live.iter().copied().filter(|at| *at < heap).collect();
    let rest: Vec<usize> = live.iter().copied().filter(|at| *at >= heap).collect();
    let mut rng = Rng::new(0x4558_4641);
    for n in 0..100_000_usize {
        let disk = Patched::new(&mut rng, &seed, if n % 2 == 0 { &boot } else { &rest });
        knock_exfat(Arc::new(disk));
    }
}

#[test]
fn damage_is_named_and_copies_take_over() {
    let good = sample();
    let list = |fs: &ExFat| listing::of_fs(fs, Options::PLAIN).unwrap();
    let want = list(&open(good.clone()).unwrap()).text;
    let mut bytes = good.clone();
    bytes[80] ^= 1;
    let fs = open(bytes.clone()).unwrap();
    assert_eq!(list(&fs).text, want);
    assert!(fs.facts().warnings[0].contains("backup"), "{:?}", fs.facts());
    bytes[3..11].fill(0);
    bytes[12 * 512 + 3] = 0;
    let e = open(bytes).err().unwrap();
    assert_eq!(
        (e.class(), e.place().unwrap().structure),
        (Class::Corrupt, "main boot sector")
    );
    let mut bytes = good.clone();
    bytes[106] |= 2;
    let fs = open(bytes).unwrap();
    assert!(
        fs.facts().warnings[0].contains("not unmounted cleanly"),
        "{:?}",
        fs.facts()
    );
    // The up-case table: found by its first units, 0, 1, 2, 3.
    let table = good
        .windows(8)
        .position(|w| w == [0, 0, 1, 0, 2, 0, 3, 0])
        .unwrap();
    let mut bytes = good;
    bytes[table + 1] = 9;
    let fs = open(bytes).unwrap();
    assert!(fs.facts().warnings[0].contains("up-case"), "{:?}", fs.facts());
    assert_eq!(list(&fs).text, want);
    // A name that was changed under its checksum.
    if let Some(at) = want
        .contains("sub/")
        .then(|| fs.lookup(fs.root(), b"a").unwrap().unwrap().0 as usize)
    {
        let mut bytes = sample();
        bytes[(at & !1) << 4 | 8] ^= 1;
        let fs = open(bytes).unwrap();
        let node = fs.lookup(fs.root(), b"a").unwrap().unwrap();
        let e = fs.stat(node).unwrap_err();
        assert!(e.to_string().contains("checksum"), "{e}");
    }
}
