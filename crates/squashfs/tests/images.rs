//! Known answers, images of every method, and damage.

use crate::door::knock;
use h2k_block::{Access, Class, FileDisk, Limits, MemDisk, Meter, Sharing};
use h2k_fs::{FsRead, lookup_path};
use h2k_squashfs::Squash;
use h2k_testkit::corpus::corpus;
use h2k_testkit::listing::{self, Options};
use h2k_testkit::mount;
use h2k_testkit::mutate::Patched;
use h2k_testkit::oracle::ok;
use h2k_testkit::reads::borders;
use h2k_testkit::rng::Rng;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

#[test]
fn every_tree_of_the_corpus_reads_as_recorded() {
    let Some(corpus) = corpus() else { return };
    let mut count = 0;
    for case in corpus.below("fs/other/squashfs/") {
        let dir = tempfile::tempdir().unwrap();
        let opened = h2k_squashfs::open(corpus.disk(case, dir.path()), &Limits::default());
        if case.path.contains("lzma") || case.path.contains("v3_be") {
            let e = opened.err().unwrap();
            assert_eq!(e.class(), Class::Unsupported, "{}: {e}", case.path);
            continue;
        }
        let ours = listing::of_fs(&opened.unwrap(), Options::UNIX).unwrap();
        listing::agrees(&corpus, case, &ours);
        count += 1;
    }
    assert_eq!(count, 4);
}

const FILL: &str = r#"
set -e; cd "$0"; mkdir -p t/many t/d/e
for i in 0 1 4095 4096 4097 131071 131072 131073 300001; do head -c $i /dev/urandom > t/size-$i; done
seq 60000 > t/numbers; truncate -s 5M t/sparse; echo end >> t/sparse
for i in $(seq 1500); do echo $i > "t/many/a name of some length $i"; done
ln -s ../numbers t/d/link; ln t/numbers t/d/hard; mkfifo t/fifo; mknod t/null c 1 3; mknod t/b b 8 300
chmod 4755 t/size-1; chown 1234:70000 t/size-4096; touch -d '2021-07-09 13:14:16 UTC' t/size-1
setfattr -n user.short -v value t/numbers; setfattr -n user.long -v "$(head -c 3000 /dev/zero | tr '\0' x)" t/d
setfattr -n user.long -v "$(head -c 3000 /dev/zero | tr '\0' x)" t/size-0; setfattr -n trusted.t -v 1 t/size-0
"#;

fn filled() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    ok("bash", &["-c", FILL, dir.path().to_str().unwrap()]);
    dir
}

fn make(dir: &Path, options: &str) -> std::path::PathBuf {
    let image = dir.join("i.sqfs");
    let script =
        format!("cd \"$0\"; rm -f i.sqfs; mksquashfs t i.sqfs -quiet -no-progress -processors 1 {options}");
    ok("bash", &["-c", &script, dir.to_str().unwrap()]);
    image
}

fn open(image: &Path) -> Squash {
    let disk = FileDisk::open(image, Access::Read, Sharing::Force).unwrap();
    h2k_squashfs::open(Arc::new(disk), &Limits::default()).unwrap()
}

#[test]
fn images_of_every_method_read_as_they_were_made_and_as_the_kernel_reads_them() {
    let dir = filled();
    let theirs = listing::of_host(&dir.path().join("t"), Options::UNIX);
    for options in [
        "-comp gzip",
        "-comp xz -b 64K",
        "-comp zstd",
        "-comp lz4",
        "-comp lzo -b 1M",
        "-comp gzip -noI -noD -noF -noX -no-fragments",
        "-comp zstd -b 4K -always-use-fragments",
    ] {
        let image = make(dir.path(), options);
        let fs = open(&image);
        let ours = listing::of_fs(&fs, Options::UNIX).unwrap();
        if let Some(difference) = listing::differences(&theirs.text, &ours.text) {
            panic!("{options}:\n{difference}");
        }
        match mount::mount(&image, "squashfs", "ro") {
            Ok(mounted) => {
                let kernel = listing::of_host(mounted.path(), Options::UNIX);
                assert_eq!(listing::differences(&kernel.text, &ours.text), None, "{options}");
            }
            Err(why) => println!("skipped: this host cannot mount it ({why})"),
        }
        let find = |p: &str| {
            let found = lookup_path(&fs, p.as_bytes(), false, &mut Meter::new(Limits::default()));
            found.unwrap().unwrap()
        };
        let stat = fs.stat(find("size-4096")).unwrap();
        assert_eq!((stat.uid, stat.gid), (Some(1234), Some(70000)));
        let stat = fs.stat(find("size-1")).unwrap();
        assert_eq!((stat.modified.seconds, stat.mode), (1_625_836_456, Some(0o4755)));
        assert_eq!(fs.stat(find("numbers")).unwrap().links, 2);
        assert_eq!(fs.stat(find("b")).unwrap().device, Some((8, 300)));
        let attributes = |p: &str| {
            let mut found = BTreeMap::new();
            fs.xattrs(find(p), &mut |name, value| {
                found.insert(String::from_utf8(name.to_vec()).unwrap(), value.len());
                ControlFlow::Continue(())
            })
            .unwrap();
            found
        };
        assert_eq!(
            attributes("numbers"),
            BTreeMap::from([("user.short".to_owned(), 5)])
        );
        assert_eq!(attributes("d"), BTreeMap::from([("user.long".to_owned(), 3000)]));
        let both = BTreeMap::from([("trusted.t".to_owned(), 1), ("user.long".to_owned(), 3000)]);
        assert_eq!(attributes("size-0"), both);
        borders(
            &fs,
            find("size-300001"),
            &std::fs::read(dir.path().join("t/size-300001")).unwrap(),
            4096,
        );
        borders(
            &fs,
            find("numbers"),
            &std::fs::read(dir.path().join("t/numbers")).unwrap(),
            4096,
        );
    }
}

#[test]
fn a_hundred_thousand_mutations_end_in_answers() {
    let dir = tempfile::tempdir().unwrap();
    let script = r#"set -e; cd "$0"; mkdir -p t/d; for i in 1 2 3 4 5 6 7 8; do seq 900 > "t/d/file $i"; done; seq 3000 > t/numbers; ln -s x t/l; setfattr -n user.a -v b t/numbers"#;
    ok("bash", &["-c", script, dir.path().to_str().unwrap()]);
    // Without compression damage reaches the structures; with it, the codecs.
    let seeds = [
        "-noI -noD -noF -noX -b 4K",
        "-comp gzip -b 4K",
        "-comp zstd -b 4K",
        "-comp xz -b 4K",
        "-comp lz4 -b 4K",
        "-comp lzo -b 4K",
    ]
    .map(|options| {
        let seed = std::fs::read(make(dir.path(), options)).unwrap();
        (Patched::live(&seed), Arc::new(seed))
    });
    let mut rng = Rng::new(0x7371_7368);
    for n in 0..100_000_usize {
        let (live, seed) = &seeds[if n % 2 == 0 { 0 } else { n / 2 % seeds.len() }];
        knock(Arc::new(Patched::new(&mut rng, seed, live)));
    }
}

#[test]
fn damage_is_named() {
    let dir = filled();
    let good = std::fs::read(make(dir.path(), "-comp gzip")).unwrap();
    let open = |bytes: Vec<u8>| h2k_squashfs::open(Arc::new(MemDisk::new(bytes)), &Limits::default());
    let mut bytes = good.clone();
    bytes[12..16].copy_from_slice(&3_u32.to_le_bytes());
    let e = open(bytes).err().unwrap();
    assert_eq!(
        (e.class(), e.place().unwrap().structure),
        (Class::Corrupt, "superblock")
    );
    let mut bytes = good.clone();
    bytes[20] = 2;
    assert!(open(bytes).err().unwrap().to_string().contains("lzma"));
    let mut bytes = good.clone();
    bytes[28] = 3;
    assert!(open(bytes).err().unwrap().to_string().contains("version 3.0"));
    let cut = good[..good.len() / 2].to_vec();
    assert_eq!(open(cut).err().unwrap().class(), Class::Corrupt);
}
