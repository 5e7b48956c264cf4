//! Guests that cannot be moved: each is told why and what to do, and nothing is written.

use super::{Place, RELEASE, clean, content, copy, digest, disk_of, fixed, put};
use crate::guest::{ext4_of, larger, stack};
use crate::run::{names, run};
use h2k_testkit::mount::mount;
use std::path::Path;

/// No command makes anything of these disks, and each says `why`; `plan` says what to do.
fn refused(dir: &Path, disks: &[&str], why: &str, remedy: &str) {
    let before = names(dir);
    let digests: Vec<String> = before.iter().map(|name| digest(&dir.join(name))).collect();
    let sources: Vec<&str> = disks.iter().flat_map(|disk| ["-a", disk]).collect();
    let plan = run(dir, &[&["plan"], &sources[..]].concat());
    assert_eq!(plan.code, 4, "{plan:?}");
    assert!(plan.out.contains(why), "{why}: {plan:#?}");
    let overlays: Vec<String> = disks
        .iter()
        .map(|disk| format!("--overlay={disk}.over"))
        .collect();
    let mut over = vec!["fix"];
    over.extend(overlays.iter().map(String::as_str));
    for args in [&["migrate", "-o", "out"][..], &["fix", "--in-place"], &over] {
        let ran = run(dir, &[args, &sources[..]].concat());
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.err.contains("class: refused"), "{ran:?}");
        assert!(ran.err.contains(why), "{why}: {ran:#?}");
        let told = format!("{}{}", plan.out, ran.err);
        assert!(told.contains(remedy), "{remedy}: {told}");
        assert_eq!(names(dir), before, "{args:?}");
    }
    let after: Vec<String> = before.iter().map(|name| digest(&dir.join(name))).collect();
    assert_eq!(after, digests, "a source was written to");
}

fn refused_one(place: &Place, why: &str, remedy: &str) {
    refused(place.path(), &["a.img"], why, remedy);
    place.untouched();
}

#[test]
fn a_guest_without_a_kernel() {
    let place = Place::changed(|tree| {
        std::fs::remove_file(tree.join(format!("boot/vmlinuz-{RELEASE}"))).unwrap();
        std::fs::remove_file(tree.join(format!("boot/initrd.img-{RELEASE}"))).unwrap();
    });
    refused_one(&place, "there is no kernel", "install a kernel in the guest");
}

#[test]
fn an_initramfs_of_no_known_kind() {
    let place = Place::changed(|tree| {
        put(
            tree,
            &format!("boot/initrd.img-{RELEASE}"),
            [0x3d, 0xf8, 0x53].repeat(2000),
        );
    });
    refused_one(
        &place,
        "no archive begins with",
        "make an initramfs with virtio drivers",
    );
    // Who knows better goes on, and the rest is fixed.
    let dir = place.path();
    run(dir, &["migrate", "-q", "--allow-partial", "a.img", "-o", "out"]).good();
    place.untouched();
    clean(&place.file("out/a.qcow2"), "qcow2");
    assert!(content(dir, "out/a.qcow2", "/etc/fstab").starts_with(b"UUID="));
}

#[test]
fn a_filesystem_without_room() {
    let big = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(big.path(), vec![7; 32 << 20]).unwrap();
    let place = Place::debugged(&[&format!("write {} /big", big.path().display())]);
    refused_one(&place, "has no free blocks left", "remove files inside the guest");
}

#[test]
fn a_filesystem_with_recorded_errors() {
    let place = Place::debugged(&["set_super_value state 2"]);
    refused_one(&place, "the kernel recorded errors in this filesystem", "fsck");
    // With leave it is copied, and not written.
    let dir = place.path();
    let args = [
        "migrate",
        "-q",
        "--allow-partial",
        "--prove",
        "a.img",
        "-o",
        "out",
    ];
    run(dir, &args).good();
    run(dir, &["compare", "-q", "a.img", "out/a.qcow2"]).good();
}

#[test]
fn damage_that_was_there_before_is_told_apart() {
    let place = Place::debugged(&["set_inode_field /etc/os-release links_count 5"]);
    let plan = run(place.path(), &["plan", "--json", "a.img"]);
    assert_eq!(plan.code, 3, "{plan:?}");
    let check = &plan.json()["checks"][0];
    assert_eq!(check["checked"], true);
    assert_eq!(check["findings"].as_array().map(Vec::len), Some(0), "{check}");
    let before = check["before"].to_string();
    assert!(before.contains("5 links, counted 1"), "{before}");
    place.untouched();
}

#[test]
fn a_disk_without_a_system_and_one_that_is_empty() {
    let place = Place::with(|disk| {
        std::fs::File::create(disk).unwrap().set_len(8 << 20).unwrap();
    });
    refused_one(
        &place,
        "there is no operating system on these disks",
        "plan shows all of it",
    );
    let tree = tempfile::tempdir().unwrap();
    put(tree.path(), "notes", "nothing");
    disk_of(tree.path(), super::UUID, &place.file("a.img"));
    refused(
        place.path(),
        &["a.img"],
        "there is no operating system",
        "plan shows",
    );
}

#[test]
fn a_disk_that_is_encrypted() {
    let dir = tempfile::tempdir().unwrap();
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/volumes/luks");
    let packed = std::fs::read(home.join("sda.zst")).unwrap();
    let bytes = h2k_testkit::corpus::unzstd(&packed);
    h2k_testkit::corpus::sparse_write(&dir.path().join("sda.img"), &bytes);
    refused(
        dir.path(),
        &["sda.img"],
        "/dev/sda: it is encrypted, and no key was given",
        "--key",
    );
}

#[test]
fn a_volume_group_that_lacks_a_disk() {
    let dir = tempfile::tempdir().unwrap();
    let tree = tempfile::tempdir().unwrap();
    put(tree.path(), "etc/os-release", "ID=debian\n");
    let fs = tree.path().with_extension("fs");
    ext4_of(tree.path(), &fs, "16M");
    stack::volume_group(dir.path(), &fs);
    std::fs::remove_file(&fs).unwrap();
    refused(
        dir.path(),
        &["a.img"],
        "physical volume",
        "name every disk of the machine",
    );
}

#[test]
fn a_windows_that_no_fix_knows_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let Some(_disk) = larger("windows", dir.path()) else {
        return;
    };
    let plan = run(dir.path(), &["plan", "--json", "windows.img"]);
    assert_eq!(plan.code, 4, "{plan:?}");
    let plan = plan.json();
    assert_eq!(plan["systems"][0]["kind"], "windows");
    assert_eq!(plan["outcome"], "blocked");
    let ran = run(dir.path(), &["migrate", "windows.img", "-o", "out"]);
    assert!(ran.code == 1 && ran.err.contains("class: refused"), "{ran:?}");
    assert_eq!(names(dir.path()), ["windows.img"]);
}

#[test]
fn a_journal_that_was_not_written_back_is_replayed_and_the_disk_fixed() {
    let place = Place::new();
    {
        let live = place.file("live.img");
        copy(&place.file("a.img"), &live);
        let options = format!("rw,offset={}", super::START);
        let mounted = match mount(&live, "ext4", &options) {
            Ok(mounted) => mounted,
            Err(why) => {
                println!("skipped: {why}");
                return;
            }
        };
        std::fs::write(mounted.path().join("etc/fresh"), "written last\n").unwrap();
        h2k_testkit::oracle::ok("sync", &["-f", mounted.path().to_str().unwrap()]);
        copy(&live, &place.file("dirty.img"));
    }
    let dir = place.path();
    std::fs::remove_file(place.file("live.img")).unwrap();
    let features = |disk: &Path| h2k_testkit::oracle::ok("dumpe2fs", &["-h", &super::at_partition(disk)]);
    let dirty = place.file("dirty.img");
    assert!(features(&dirty).contains("needs_recovery"));
    let before = digest(&dirty);
    run(dir, &["migrate", "-q", "--prove", "dirty.img", "-o", "out"]).good();
    assert_eq!(digest(&dirty), before, "the source was written to");
    run(dir, &["fix", "-q", "--in-place", "dirty.img"]).good();
    assert!(!features(&dirty).contains("needs_recovery"));
    for (disk, format) in [("out/dirty.qcow2", "qcow2"), ("dirty.img", "raw")] {
        clean(&place.file(disk), format);
        fixed(dir, disk);
        assert_eq!(content(dir, disk, "/etc/fresh"), b"written last\n");
    }
}

#[test]
fn two_systems_are_each_fixed_on_their_own_disk() {
    let place = Place::new();
    let second = place.file("b.img");
    let other = "99999999-2222-3333-4444-555555555555";
    disk_of(super::TREE.path(), other, &second);
    let dir = place.path();
    let args = ["-a", "a.img", "-a", "b.img"];
    let plan = run(dir, &[&["plan", "--json"], &args[..]].concat());
    let roots: Vec<String> = plan.json()["systems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["root"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        (plan.code, roots),
        (3, vec!["/dev/sda1".to_owned(), "/dev/sdb1".to_owned()])
    );
    let before = (digest(&place.file("a.img")), digest(&second));
    run(
        dir,
        &[&["migrate", "-q", "--prove", "-o", "out"], &args[..]].concat(),
    )
    .good();
    assert_eq!((digest(&place.file("a.img")), digest(&second)), before);
    assert_eq!(
        names(&place.file("out")),
        ["a-1.qcow2", "a-2.qcow2", "a.xml", "report.json"]
    );
    for disk in ["out/a-1.qcow2", "out/a-2.qcow2"] {
        clean(&place.file(disk), "qcow2");
        assert!(content(dir, disk, "/etc/fstab").starts_with(b"UUID="), "{disk}");
    }
    run(dir, &[&["fix", "-q", "--in-place"], &args[..]].concat()).good();
    for disk in ["a.img", "b.img"] {
        clean(&place.file(disk), "raw");
        assert!(content(dir, disk, "/etc/fstab").starts_with(b"UUID="), "{disk}");
    }
    assert_eq!(names(dir), ["a.img", "b.img", "out"]);
}
