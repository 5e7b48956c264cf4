//! Guests on several disks, on logical volumes, behind keys.

use super::ext4_of;
use crate::run::run;
use h2k_testkit::oracle;
use std::path::{Path, PathBuf};

/// A loop device; given back when dropped.
struct Loop(String);

impl Loop {
    fn new(file: &Path) -> Self {
        let said = oracle::ok("losetup", &["-f".as_ref(), "--show".as_ref(), file.as_os_str()]);
        Self(said.trim().to_owned())
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        oracle::run("losetup", &["-d", &self.0]);
    }
}

const MIB: u64 = 1 << 20;

/// Two disks of one volume group; its only volume lies on both. LVM's own tools make it, from metadata as they back it
/// up, since making a volume the usual way needs the kernel's device mapper.
pub(super) fn volume_group(dir: &Path, filesystem: &Path) {
    let disks: Vec<PathBuf> = ["a.img", "b.img"].map(|name| dir.join(name)).into();
    for disk in &disks {
        std::fs::File::create(disk).unwrap().set_len(16 * MIB).unwrap();
    }
    {
        let loops: Vec<Loop> = disks.iter().map(|d| Loop::new(d)).collect();
        let (a, b) = (loops[0].0.as_str(), loops[1].0.as_str());
        let config = format!(
            "devices{{filter=[\"a|^{a}$|\",\"a|^{b}$|\",\"r|.*|\"] use_devicesfile=0}} \
             activation{{udev_sync=0 udev_rules=0 monitoring=0}} backup{{backup=0 archive=0}}"
        );
        let meta = dir.join("meta");
        let meta = meta.to_str().unwrap();
        let vg = format!("h2k{}", std::process::id());
        oracle::ok("lvm", &["pvcreate", "-y", "--config", &config, a, b]);
        oracle::ok(
            "lvm",
            &["vgcreate", "-y", "-s", "1M", "--config", &config, &vg, a, b],
        );
        oracle::ok("lvm", &["vgcfgbackup", "--config", &config, "-f", meta, &vg]);
        let text = std::fs::read_to_string(meta).unwrap();
        let end = text.rfind('}').unwrap();
        let segment = |n: u32, start: u32, count: u32, pv: &str, at: u32| {
            format!(
                "segment{n} {{ start_extent = {start} extent_count = {count} type = \"striped\" stripe_count = 1 \
                 stripes = [ \"{pv}\", {at} ] }}\n"
            )
        };
        let volume = format!(
            "logical_volumes {{ root {{ id = \"Vroot1-aaaa-bbbb-cccc-dddd-eeee-ffffff\"\n\
             status = [\"READ\", \"WRITE\", \"VISIBLE\"]\nflags = []\nsegment_count = 2\n{}{} }} }}\n",
            segment(1, 0, 10, "pv1", 3),
            segment(2, 10, 6, "pv0", 2)
        );
        std::fs::write(meta, format!("{}{volume}{}", &text[..end], &text[end..])).unwrap();
        oracle::ok("lvm", &["vgcfgrestore", "--config", &config, "-f", meta, &vg]);
    }
    // The volume's content, where those segments lie: the first extent begins at 1 MiB.
    use std::os::unix::fs::FileExt;
    let content = std::fs::read(filesystem).unwrap();
    assert_eq!(content.len() as u64, 16 * MIB);
    let (first, second) = content.split_at((10 * MIB) as usize);
    let open = |disk: &Path| std::fs::File::options().write(true).open(disk).unwrap();
    open(&disks[1]).write_all_at(first, (1 + 3) * MIB).unwrap();
    open(&disks[0]).write_all_at(second, (1 + 2) * MIB).unwrap();
}

#[test]
fn a_guest_on_a_volume_group_across_two_disks_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    std::fs::create_dir_all(tree.join("etc")).unwrap();
    std::fs::create_dir_all(tree.join("usr")).unwrap();
    let vg = format!("h2k{}", std::process::id());
    std::fs::write(
        tree.join("etc/fstab"),
        format!("/dev/mapper/{vg}-root / ext4 defaults 0 1\n"),
    )
    .unwrap();
    let noise: Vec<u8> = (0..6_000_000_u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    std::fs::write(tree.join("noise"), &noise).unwrap();
    let fs = dir.path().join("fs.img");
    ext4_of(&tree, &fs, "16M");
    volume_group(dir.path(), &fs);
    let want = h2k_testkit::hash::sha256(&noise);
    for order in [["a.img", "b.img"], ["b.img", "a.img"]] {
        let args = ["checksum", "-a", order[0], "-a", order[1], "/noise"];
        let sum = run(dir.path(), &args).good();
        assert_eq!(sum.out, format!("{want}  /noise\n"));
        assert_eq!(sum.err, "");
    }
    let volume = format!("/dev/{vg}/root");
    let report = run(dir.path(), &["filesystems", "--json", "a.img", "b.img"])
        .good()
        .json();
    assert_eq!(report["filesystems"][0]["source"], volume);
    assert_eq!(report["filesystems"][0]["mount-points"][0], "/");
    // One disk of two: what is missing is named.
    let ran = run(dir.path(), &["ls", "a.img:/"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let ran = run(dir.path(), &["partitions", "a.img"]).good();
    assert!(ran.err.contains(&vg), "{ran:?}");
}

/// The encrypted disks of `fixtures/volumes/luks`, in `dir`.
fn encrypted(dir: &Path) {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/volumes/luks");
    for disk in ["sda", "sde"] {
        let packed = std::fs::read(home.join(format!("{disk}.zst"))).unwrap();
        let bytes = h2k_testkit::corpus::unzstd(&packed);
        h2k_testkit::corpus::sparse_write(&dir.join(format!("{disk}.img")), &bytes);
    }
}

#[test]
fn keys_come_from_files_the_environment_and_descriptors() {
    let dir = tempfile::tempdir().unwrap();
    encrypted(dir.path());
    std::fs::write(dir.path().join("key"), b"\x01\x02\x00binary\nkey").unwrap();
    std::fs::write(dir.path().join("passphrase"), "correct horse\n").unwrap();
    let locked = run(dir.path(), &["partitions", "--json", "sda.img", "sde.img"])
        .good()
        .json();
    let luks = |json: &serde_json::Value| -> Vec<bool> {
        let all = json["devices"].as_array().unwrap().iter();
        all.filter(|d| !d["luks"].is_null())
            .map(|d| d["luks"]["unlocked"].as_bool().unwrap())
            .collect()
    };
    assert_eq!(luks(&locked), [false, false]);
    let ran = run(dir.path(), &["ls", "sda.img:/"]);
    assert!(
        ran.code == 1 && ran.err.contains("--key /dev/sda:file:PATH"),
        "{ran:?}"
    );
    // A passphrase from an editor ends with a line end, which is not part of it; a key file may hold anything.
    let args = [
        "partitions",
        "--json",
        "sda.img",
        "sde.img",
        "--key",
        "/dev/sda:file:passphrase",
        "--key",
        "/dev/sdb:file:key",
    ];
    let open = run(dir.path(), &args).good().json();
    assert_eq!(luks(&open), [true, true]);
    let inside = |d: &serde_json::Value| d["device"] == "/dev/vgc/lv";
    assert!(open["devices"].as_array().unwrap().iter().any(inside), "{open}");
    let script = |line: &str| {
        let out = std::process::Command::new("sh")
            .args(["-c", line, env!("CARGO_BIN_EXE_hyper2kvm")])
            .current_dir(dir.path())
            .output()
            .unwrap();
        assert!(out.status.success(), "{line}: {out:?}");
        String::from_utf8(out.stdout).unwrap()
    };
    for line in [
        "SECRET='correct horse' \"$0\" partitions sda.img --key /dev/sda:env:SECRET",
        "printf 'correct horse' | \"$0\" partitions sda.img --key all:fd:0",
        "\"$0\" partitions sda.img --key /dev/sda:fd:7 7< passphrase",
    ] {
        assert!(script(line).contains("(open)"), "{line}");
    }
    std::fs::write(dir.path().join("wrong"), "wrong").unwrap();
    let ran = run(
        dir.path(),
        &["partitions", "sda.img", "--key", "/dev/sda:file:wrong"],
    );
    assert!(
        ran.code == 2 && ran.err.contains("opens with this secret"),
        "{ran:?}"
    );
    let ran = run(
        dir.path(),
        &["partitions", "sda.img", "--key", "/dev/sdz:file:passphrase"],
    );
    assert!(
        ran.code == 1 && ran.err.contains("encrypted are: /dev/sda"),
        "{ran:?}"
    );
}
