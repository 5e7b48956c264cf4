//! Every format into every other, judged by qemu-img.

use crate::run::{raw_disk, run};
use h2k_testkit::{corpus, oracle};
use std::path::Path;

/// A target: its name, qemu-img's name for its format, and what has to be said to get it.
const TARGETS: [(&str, &str, &[&str]); 14] = [
    ("plain.raw", "raw", &[]),
    ("plain.qcow2", "qcow2", &[]),
    ("zlib.qcow2", "qcow2", &["--compress", "zlib"]),
    ("zstd.qcow2", "qcow2", &["--compress", "zstd=3"]),
    (
        "small.qcow2",
        "qcow2",
        &["--cluster-size", "4K", "--lazy-refcounts"],
    ),
    ("meta.qcow2", "qcow2", &["--preallocation", "metadata"]),
    ("sparse.vmdk", "vmdk", &[]),
    (
        "stream.vmdk",
        "vmdk",
        &[
            "--subformat",
            "streamOptimized",
            "--adapter",
            "ide",
            "--hw-version",
            "10",
        ],
    ),
    ("flat.vmdk", "vmdk", &["--subformat", "monolithicFlat"]),
    ("dynamic.vhd", "vpc", &[]),
    ("azure.vhd", "vpc", &["--subformat", "azure"]),
    ("plain.vhdx", "vhdx", &["--cluster-size", "1M"]),
    ("dynamic.vdi", "vdi", &[]),
    ("static.vdi", "vdi", &["--subformat", "static"]),
];

/// The targets this build can make: without C it has no zstd encoder, and says so (`a_build_without_zstd_says_so`).
fn targets() -> impl Iterator<Item = (&'static str, &'static str, &'static [&'static str])> {
    TARGETS
        .into_iter()
        .filter(|(name, ..)| cfg!(feature = "fast") || !name.starts_with("zstd"))
}

#[cfg(not(feature = "fast"))]
#[test]
fn a_build_without_zstd_says_so() {
    let dir = tempfile::tempdir().unwrap();
    raw_disk(&dir.path().join("a.raw"), 1 << 20, 1 << 19, 5);
    let ran = run(dir.path(), &["convert", "--compress", "zstd", "a.raw", "b.qcow2"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.err.contains("no zstd encoder") && ran.err.contains("unsupported"),
        "{ran:?}"
    );
    assert!(!dir.path().join("b.qcow2").exists());
}

fn convert_to_all(dir: &Path, source: &str, source_format: &str) {
    for (name, format, options) in targets() {
        let args = [&["convert", "--verify", "--quiet", source, name], options].concat();
        run(dir, &args).good();
        oracle::qemu_same(&dir.join(source), source_format, &dir.join(name), format);
        if matches!(format, "qcow2" | "vhdx" | "vdi" | "vmdk") && name != "flat.vmdk" {
            oracle::qemu_check(&dir.join(name), format);
        }
        run(dir, &["compare", "--quiet", source, name]).good();
        run(dir, &["check", "--quiet", name]).good();
    }
}

#[test]
fn a_raw_disk_becomes_every_format_and_every_format_becomes_qcow2() {
    let dir = tempfile::tempdir().unwrap();
    raw_disk(&dir.path().join("a.raw"), 24 << 20, 3 << 20, 1);
    convert_to_all(dir.path(), "a.raw", "raw");
    for (name, ..) in targets() {
        let back = format!("back-from-{name}.qcow2");
        run(dir.path(), &["convert", "--quiet", name, &back]).good();
        oracle::qemu_same(&dir.path().join("a.raw"), "raw", &dir.path().join(back), "qcow2");
    }
}

#[test]
fn real_vmdks_become_every_format() {
    let Some(corpus) = corpus::corpus() else {
        return;
    };
    for path in [
        "images/vmdk/vmdkrs-streamOptimized.vmdk.zst",
        "images/vmdk/vmdkrs-monolithicSparse.vmdk.zst",
        "images/vmdk/scalibr-gpt-ext4-exfat-fat32-ntfs.vmdk.zst",
        "images/vmdk/bw-t2-monolithicFlat/image_t2.vmdk.zst",
    ] {
        let dir = tempfile::tempdir().unwrap();
        let case = corpus
            .below(path)
            .next()
            .unwrap_or_else(|| panic!("{path} is not in the corpus"));
        let image = corpus.unpack(case, dir.path());
        let name = image.file_name().unwrap().to_str().unwrap();
        convert_to_all(dir.path(), name, "vmdk");
        // The digest of our pass is what the manifest's independent tools said.
        if let Some(said) = case.oracle["disk"]["content_sha256"].as_str() {
            let json = run(dir.path(), &["digest", "--kind", "sha256", "--json", name])
                .good()
                .json();
            assert_eq!(json["digest"]["value"], said, "{path}");
        }
    }
}

#[test]
fn the_bytes_of_every_format_are_the_same_whatever_the_number_of_workers() {
    let dir = tempfile::tempdir().unwrap();
    raw_disk(&dir.path().join("a.raw"), 24 << 20, 5 << 20, 9);
    for (name, _, options) in targets() {
        let mut first: Option<Vec<u8>> = None;
        for workers in ["1", "2", "8"] {
            let args = [
                &["convert", "-q", "--force", "--workers", workers, "a.raw", name],
                options,
            ]
            .concat();
            run(dir.path(), &args).good();
            let bytes = std::fs::read(dir.path().join(name)).unwrap();
            assert!(
                *first.get_or_insert_with(|| bytes.clone()) == bytes,
                "{name} with {workers} workers"
            );
        }
    }
}

#[test]
fn what_measure_says_is_enough_and_not_much_more() {
    let dir = tempfile::tempdir().unwrap();
    raw_disk(&dir.path().join("a.raw"), 24 << 20, 3 << 20, 1);
    for (name, format, options) in targets() {
        let to = if format == "vpc" { "vhd" } else { format };
        let args = [&["measure", "--json", "--to", to, "a.raw"], options].concat();
        let said = run(dir.path(), &args).good().json();
        run(dir.path(), &[&["convert", "-q", "a.raw", name], options].concat()).good();
        use std::os::unix::fs::MetadataExt;
        let mut files = vec![name.to_owned()];
        if name == "flat.vmdk" {
            files.push("flat-flat.vmdk".to_owned());
        }
        let metadata = files.iter().map(|f| dir.path().join(f).metadata().unwrap());
        let (taken, len) = metadata.fold((0, 0), |(t, l), m| (t + m.blocks() * 512, l + m.len()));
        let required = said["required"].as_u64().unwrap();
        assert!(
            taken <= required + 8192,
            "{name}: took {taken}, measured {required}"
        );
        assert!(
            required < taken + (1 << 20),
            "{name}: took {taken}, measured {required}"
        );
        if !name.contains("zlib") && !name.contains("zstd") && !name.contains("stream") {
            // The descriptor of a flat VMDK has its name in it.
            assert!(
                len <= said["length"].as_u64().unwrap() + 64,
                "{name}: {len} bytes long, measured {said}"
            );
        }
        assert!(
            said["fully-allocated"].as_u64().unwrap() >= 24 << 20,
            "{name}: {said}"
        );
    }
}

#[test]
fn measure_agrees_with_qemu_img_about_qcow2() {
    let dir = tempfile::tempdir().unwrap();
    raw_disk(&dir.path().join("a.raw"), 100 << 20, 3 << 20, 1);
    let ours = run(dir.path(), &["measure", "--json", "a.raw"]).good().json();
    let path = dir.path().join("a.raw");
    let args = [
        "measure",
        "-f",
        "raw",
        "-O",
        "qcow2",
        "--output=json",
        path.to_str().unwrap(),
    ];
    let theirs: serde_json::Value = serde_json::from_str(&oracle::ok("qemu-img", &args)).unwrap();
    assert_eq!(ours["fully-allocated"], theirs["fully-allocated"]);
    assert!(
        ours["length"].as_u64() <= theirs["required"].as_u64(),
        "{ours} {theirs}"
    );
    // Too large to be tried out, so it is worked out: never below what is needed, and close to it.
    let ours = run(dir.path(), &["measure", "--json", "--size", "16T"])
        .good()
        .json();
    let args = ["measure", "-O", "qcow2", "--size", "16T", "--output=json"];
    let theirs: serde_json::Value = serde_json::from_str(&oracle::ok("qemu-img", &args)).unwrap();
    let (ours, theirs) = (
        ours["fully-allocated"].as_u64().unwrap(),
        theirs["fully-allocated"].as_u64().unwrap(),
    );
    assert!((theirs..theirs + (64 << 20)).contains(&ours), "{ours} {theirs}");
}

#[test]
fn sizes_at_the_edges_convert() {
    let dir = tempfile::tempdir().unwrap();
    for len in [0_u64, 512, 1536, 65536 + 512, (1 << 20) - 512] {
        let bytes: Vec<u8> = (0..len).map(|i| (i % 251) as u8 + 1).collect();
        std::fs::write(dir.path().join("a.raw"), bytes).unwrap();
        for (name, format, options) in targets() {
            let args = [&["convert", "-q", "--force", "--verify", "a.raw", name], options].concat();
            let ran = run(dir.path(), &args);
            if len == 0 && ran.code != 0 {
                // A format without room for nothing says so.
                assert!(ran.err.starts_with("error: "), "{name}: {ran:?}");
                continue;
            }
            ran.good();
            if len > 0 {
                oracle::qemu_same(&dir.path().join("a.raw"), "raw", &dir.path().join(name), format);
            }
        }
    }
}

#[test]
fn enormous_sparse_disks_take_no_time() {
    let dir = tempfile::tempdir().unwrap();
    // ext4 has no larger files; what is in them can be larger.
    let file = std::fs::File::create(dir.path().join("a.raw")).unwrap();
    file.set_len(15 << 40).unwrap();
    use std::os::unix::fs::FileExt;
    file.write_all_at(b"end", (15 << 40) - 3).unwrap();
    run(dir.path(), &["convert", "-q", "--verify", "a.raw", "b.raw"]).good();
    for name in ["b.qcow2", "b.vhdx"] {
        run(
            dir.path(),
            &["convert", "-q", "--verify", "--resize", "16T", "a.raw", name],
        )
        .good();
        run(dir.path(), &["compare", "-q", "a.raw", name]).good();
        let info = run(dir.path(), &["info", "--json", name]).good().json();
        assert_eq!(info["virtual-size"], 16_u64 << 40);
    }
    let ran = run(dir.path(), &["convert", "a.raw", "b.vhd"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("class: unsupported"), "{ran:?}");
    assert!(!dir.path().join("b.vhd").exists() && !dir.path().join("b.vhd.part").exists());
}

#[test]
fn wishes_a_format_does_not_have_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    raw_disk(&dir.path().join("a.raw"), 1 << 20, 1000, 1);
    for (args, word) in [
        (&["b.vdi", "--compress", "zlib"][..], "compression"),
        (&["b.raw", "--cluster-size", "64K"], "unit of allocation"),
        (&["b.vhd", "--lazy-refcounts"], "reference counts"),
        (&["b.vmdk", "--compress", "zstd"], "zlib"),
        (&["b.vmdk", "--subformat", "fixed"], "monolithicSparse"),
        (
            &["b.vhd", "--subformat", "monolithicFlat"],
            "dynamic, fixed, azure",
        ),
        (&["b.raw", "--preallocation", "metadata"], "tables"),
        (&["b.qcow2", "--adapter", "ide"], "adapter"),
        (&["b.qcow2", "--cluster-size", "3000"], "power of two"),
    ] {
        let ran = run(dir.path(), &[&["convert", "a.raw"], args].concat());
        assert_eq!(ran.code, 2, "{args:?}: {ran:?}");
        assert!(ran.err.contains(word), "{args:?}: {ran:?}");
        assert_eq!(crate::run::names(dir.path()), ["a.raw"], "{args:?}");
    }
}
