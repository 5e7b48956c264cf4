//! Archives that GNU tar makes, manifests that sha256sum and its kin make, streams that gzip makes.

use crate::known::VIRTUALBOX;
use h2k_block::{Access, Class, FileDisk, Host, HostFile, Limits, MemDisk, MemHost, Sharing};
use h2k_machine::File;
use h2k_machine::ova::{Manifest, Ova, open_file};
use h2k_testkit::oracle;
use h2k_testkit::rng::Rng;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

static GO: AtomicBool = AtomicBool::new(false);

fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    Rng::new(seed).fill(&mut bytes);
    bytes
}

/// A folder with the files of a package, and a manifest by `tool`.
fn package(tool: &str, word: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
    put("lab.ovf", VIRTUALBOX);
    put("lab-disk001.vmdk", &noise(7, 700_001));
    let mut manifest = String::new();
    for name in ["lab.ovf", "lab-disk001.vmdk"] {
        let said = oracle::ok(tool, &[dir.path().join(name)]);
        manifest += &format!("{word}({name})= {}\n", said.split_whitespace().next().unwrap());
    }
    put("lab.mf", manifest.as_bytes());
    put("lab.cert", b"-----BEGIN CERTIFICATE-----\n");
    dir
}

/// Packs `names` of `dir` with GNU tar.
fn tar(dir: &Path, how: &[&str], names: &[&str]) -> PathBuf {
    let archive = dir.join("lab.ova");
    let mut args = vec!["-C", dir.to_str().unwrap()];
    args.extend(how);
    args.extend(["-cf", archive.to_str().unwrap()]);
    args.extend(names);
    oracle::ok("tar", &args);
    archive
}

fn open(path: &Path) -> h2k_block::Result<Ova> {
    let file: Arc<dyn HostFile> = Arc::new(FileDisk::open(path, Access::Read, Sharing::Careful)?);
    Ova::open(file, &Limits::default())
}

fn all(file: &dyn HostFile) -> Vec<u8> {
    let mut bytes = vec![0; file.len() as usize];
    file.read_at(0, &mut bytes).unwrap();
    bytes
}

const NAMES: [&str; 4] = ["lab.ovf", "lab.mf", "lab.cert", "lab-disk001.vmdk"];

#[test]
fn members_are_read_where_they_lie_and_manifests_agree() {
    for (tool, word) in [
        ("sha1sum", "SHA1"),
        ("sha256sum", "SHA256"),
        ("sha512sum", "SHA512"),
    ] {
        for format in ["ustar", "gnu", "pax", "v7", "oldgnu"] {
            let dir = package(tool, word);
            let archive = tar(dir.path(), &["--format", format], &NAMES);
            if format == "v7" {
                // Told by its checksums alone; nothing in it says that it is an archive.
                assert_eq!(
                    h2k_machine::Kind::of(&MemDisk::new(std::fs::read(&archive).unwrap())).unwrap(),
                    None
                );
            }
            let ova = open(&archive).unwrap();
            let names: Vec<&str> = ova.members().iter().map(|m| m.name.as_str()).collect();
            assert_eq!(names, NAMES, "{format}");
            let limits = Limits::default();
            assert_eq!(ova.descriptor(&limits).unwrap(), ("lab.ovf", VIRTUALBOX.to_vec()));
            assert_eq!(ova.certificate(), Some("lab.cert"));
            let disk = ova
                .open(&ova.referrer(), Path::new("lab-disk001.vmdk"), Access::Read)
                .unwrap();
            assert_eq!(all(&*disk), noise(7, 700_001));
            assert!(disk.name().ends_with("lab.ova/lab-disk001.vmdk"));
            let manifest = ova.manifest(&limits).unwrap().unwrap();
            assert!(manifest.names("lab.ovf") && !manifest.names("lab.cert"));
            let read = manifest.verify(&ova, &ova.referrer(), &GO).unwrap();
            assert_eq!(read, 700_001 + VIRTUALBOX.len() as u64);
        }
    }
}

#[test]
fn a_changed_byte_is_found_by_the_manifest_and_a_missing_file_is_named() {
    let dir = package("sha256sum", "SHA256");
    let archive = tar(dir.path(), &[], &NAMES);
    let start = open(&archive).unwrap().members()[3].start;
    let mut bytes = std::fs::read(&archive).unwrap();
    bytes[start as usize + 700_000] ^= 1;
    let limits = Limits::default();
    let ova = Ova::open(Arc::new(MemDisk::named("lab.ova", bytes)), &limits).unwrap();
    let manifest = ova.manifest(&limits).unwrap().unwrap();
    let error = manifest.verify(&ova, &ova.referrer(), &GO).unwrap_err();
    assert_eq!(error.class(), Class::Corrupt);
    assert!(error.to_string().contains("lab-disk001.vmdk"), "{error}");
    let ova = open(&tar(dir.path(), &[], &["lab.ovf", "lab.mf"])).unwrap();
    let manifest = ova.manifest(&limits).unwrap().unwrap();
    let error = manifest.verify(&ova, &ova.referrer(), &GO).unwrap_err();
    assert_eq!(error.class(), Class::NotFound, "{error}");
    let stop = AtomicBool::new(true);
    assert_eq!(
        manifest.verify(&ova, &ova.referrer(), &stop).unwrap_err().class(),
        Class::Cancelled
    );
}

#[test]
fn manifests_of_directories_go_through_the_gate() {
    let dir = package("sha256sum", "SHA256");
    let manifest = Manifest::parse(&std::fs::read(dir.path().join("lab.mf")).unwrap()).unwrap();
    let ovf = dir.path().join("lab.ovf");
    let host = h2k_block::DirHost::beside(&ovf, Sharing::Careful);
    manifest.verify(&host, &ovf, &GO).unwrap();
    let away = Manifest::parse(format!("SHA256(/etc/passwd)= {}\n", "0".repeat(64)).as_bytes()).unwrap();
    assert_eq!(away.verify(&host, &ovf, &GO).unwrap_err().class(), Class::Refused);
}

#[test]
fn names_are_names_and_never_paths() {
    let dir = package("sha256sum", "SHA256");
    let sub = dir.path().join("sub");
    std::fs::create_dir(&sub).unwrap();
    std::fs::write(sub.join("inner.vmdk"), b"x").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link.vmdk")).unwrap();
    let long = "l".repeat(180) + ".vmdk";
    std::fs::write(dir.path().join(&long), b"long").unwrap();
    for format in ["gnu", "pax"] {
        let how = [
            "-P",
            "--format",
            format,
            "--transform",
            "s,^lab.mf$,../../lab.mf,",
        ];
        let names = ["./lab.ovf", "lab.mf", "sub", "link.vmdk", "/etc/hostname", &long];
        let ova = open(&tar(dir.path(), &how, &names)).unwrap();
        let kept: Vec<&str> = ova.members().iter().map(|m| m.name.as_str()).collect();
        assert_eq!(kept, ["lab.ovf", &long], "{format}");
        let passed = ova.passed_over();
        for name in [
            "../../lab.mf",
            "sub/",
            "sub/inner.vmdk",
            "link.vmdk",
            "/etc/hostname",
        ] {
            assert!(passed.iter().any(|p| p == name), "{name}: {passed:?}");
        }
        let open = |name: &str| {
            ova.open(&ova.referrer(), Path::new(name), Access::Read)
                .map(|_| ())
                .unwrap_err()
                .class()
        };
        for name in ["../lab.ovf", "/etc/passwd", "sub/inner.vmdk", "", ".."] {
            assert_eq!(open(name), Class::Refused, "{name}");
        }
        assert_eq!(open("link.vmdk"), Class::NotFound);
        let long = ova
            .open(&ova.referrer(), Path::new(&format!("./{long}")), Access::Read)
            .unwrap();
        assert_eq!(all(&*long), b"long");
        assert_eq!(long.write_at(0, b"x").unwrap_err().class(), Class::ReadOnly);
        let edit = ova.open(&ova.referrer(), Path::new("lab.ovf"), Access::Edit);
        assert_eq!(edit.map(|_| ()).unwrap_err().class(), Class::ReadOnly);
    }
}

#[test]
fn archives_that_are_none_or_lie_are_refused() {
    let dir = package("sha256sum", "SHA256");
    let archive = tar(dir.path(), &["--format", "ustar"], &NAMES);
    let bytes = std::fs::read(&archive).unwrap();
    let limits = Limits::default();
    let class = |bytes: Vec<u8>| {
        Ova::open(Arc::new(MemDisk::new(bytes)), &limits)
            .map(|_| ())
            .unwrap_err()
            .class()
    };
    assert_eq!(class(Vec::new()), Class::Corrupt);
    assert_eq!(class(vec![0; 10240]), Class::Corrupt);
    assert_eq!(class(noise(1, 2048)), Class::Corrupt);
    assert_eq!(
        class(bytes[..600_000].to_vec()),
        Class::Corrupt,
        "cut off within a member"
    );
    let mut twice = bytes[..512 + VIRTUALBOX.len().next_multiple_of(512)].to_vec();
    twice.extend_from_slice(&bytes);
    assert_eq!(class(twice), Class::Corrupt);
    let holes = dir.path().join("holes.vmdk");
    let file = std::fs::File::create(&holes).unwrap();
    file.set_len(64 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"x", 32 << 20).unwrap();
    drop(file);
    for format in ["gnu", "pax"] {
        let archive = tar(
            dir.path(),
            &["--sparse", "--format", format],
            &["lab.ovf", "holes.vmdk"],
        );
        assert_eq!(
            class(std::fs::read(&archive).unwrap()),
            Class::Unsupported,
            "{format}"
        );
    }
    let none = tar(dir.path(), &[], &["lab.mf"]);
    assert_eq!(
        open(&none).unwrap().descriptor(&limits).unwrap_err().class(),
        Class::Corrupt
    );
    std::fs::copy(dir.path().join("lab.ovf"), dir.path().join("two.OVF")).unwrap();
    let two = tar(dir.path(), &[], &["lab.ovf", "two.OVF"]);
    assert_eq!(
        open(&two).unwrap().descriptor(&limits).unwrap_err().class(),
        Class::Unsupported
    );
}

/// Content that compresses, with a hole in its middle.
fn content() -> Vec<u8> {
    let mut bytes = noise(3, 300_000);
    bytes.extend(vec![0; 3 << 20]);
    bytes.extend(noise(4, 100_001));
    bytes
}

fn spill() -> h2k_block::Result<Arc<dyn HostFile>> {
    Ok(Arc::new(MemDisk::named("spill", Vec::new())))
}

#[test]
fn chunks_are_joined_and_streams_inflated() {
    let dir = tempfile::tempdir().unwrap();
    let plain = dir.path().join("d.vmdk");
    std::fs::write(&plain, content()).unwrap();
    oracle::ok("gzip", &["--keep", plain.to_str().unwrap()]);
    let packed = std::fs::read(dir.path().join("d.vmdk.gz")).unwrap();
    let host = MemHost::default();
    host.put("whole", content());
    host.put("gz", packed.clone());
    host.put("two", [packed.as_slice(), &packed].concat());
    let cut = |name: &str, bytes: &[u8], size: usize| {
        for (n, chunk) in bytes.chunks(size).enumerate() {
            host.put(format!("{name}.{n:09}"), chunk.to_vec());
        }
    };
    cut("cut", &content(), 100_000);
    cut("both", &packed, 99_999);
    cut("even", &content()[..300_000], 100_000);
    let open = |file: &File| open_file(&host, Path::new("x.ovf"), file, &mut spill, &GO);
    let file = |name: &str, gzip: bool, chunk: Option<u64>, size: Option<usize>| File {
        gzip,
        chunk,
        size: size.map(|s| s as u64),
        ..File::named(name)
    };
    let len = content().len();
    for known in [false, true] {
        let size = |n: usize| known.then_some(n);
        let same = |f: File, want: &[u8]| {
            let opened = open(&f).unwrap();
            assert!(all(&*opened) == want, "{f:?}");
            let put_together = f.gzip || f.chunk.is_some();
            assert!(
                !put_together || opened.set_len(0).is_err(),
                "what was put together is only read"
            );
        };
        same(file("whole", false, None, None), &content());
        same(file("gz", true, None, size(packed.len())), &content());
        same(file("two", true, None, None), &[content(), content()].concat());
        same(file("cut", false, Some(100_000), size(len)), &content());
        same(file("both", true, Some(99_999), size(packed.len())), &content());
        same(
            file("even", false, Some(100_000), size(300_000)),
            &content()[..300_000],
        );
    }
    let class = |f: File| open(&f).map(|_| ()).unwrap_err().class();
    assert_eq!(class(file("cut", false, Some(100_001), None)), Class::Corrupt);
    assert_eq!(class(file("cut", false, Some(99_999), None)), Class::Corrupt);
    assert_eq!(
        class(file("cut", false, Some(100_000), Some(len + 1))),
        Class::Corrupt
    );
    assert_eq!(class(file("none", false, Some(100_000), None)), Class::NotFound);
    assert_eq!(class(file("whole", true, None, None)), Class::Corrupt);
    host.put("torn", packed[..packed.len() / 2].to_vec());
    assert_eq!(class(file("torn", true, None, None)), Class::Corrupt);
    cut("dust", &[1; 600], 1);
    assert_eq!(class(file("dust", false, Some(1), None)), Class::Limit);
    let stop = AtomicBool::new(true);
    let stopped = open_file(
        &host,
        Path::new("x.ovf"),
        &file("gz", true, None, None),
        &mut spill,
        &stop,
    );
    assert_eq!(stopped.map(|_| ()).unwrap_err().class(), Class::Cancelled);
}
