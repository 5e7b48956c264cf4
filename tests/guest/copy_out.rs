use super::trees::{facts, same, xattrs};
use super::{ALONE, ext4_of, linux, mounted};
use crate::run::{names, run, start};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

fn copy(dir: &Path, more: &[&str]) -> crate::run::Ran {
    run(dir, &[&["copy-out"][..], &ALONE, more].concat())
}

#[test]
fn a_tree_is_copied_as_the_kernel_shows_it() {
    let dir = linux();
    copy(dir.path(), &["--devices", "sda.img:/", "out"]).good();
    let kernel = mounted(dir.path());
    let out = dir.path().join("out");
    let theirs = facts(kernel.path());
    assert!(theirs.len() > 40);
    same(&facts(&out), &theirs);
    assert_eq!(xattrs(&out), xattrs(kernel.path()));
    assert!(xattrs(&out).iter().any(|x| x.contains("user.bytes=0x00ff3d0a")));
    // Holes stay holes.
    let hole = out.join("sparse/hole").metadata().unwrap();
    assert_eq!(hole.len(), 2 << 20);
    assert!(hole.blocks() * 512 < 64 << 10, "{} blocks", hole.blocks());
}

#[test]
fn what_is_left_out_is_named() {
    let dir = linux();
    std::fs::create_dir(dir.path().join("out")).unwrap();
    let ran = run(
        dir.path(),
        &["copy-out", "-m", "/dev/sda2", "sda.img:/dev", "out"],
    )
    .good();
    assert!(
        ran.err
            .contains("dev/zero is left out: a device is made with --devices only"),
        "{ran:?}"
    );
    assert!(ran.err.contains("dev/pipe is left out"), "{ran:?}");
    assert_eq!(names(&dir.path().join("out/dev")), [""; 0]);
}

#[test]
fn sources_go_into_a_directory_or_get_a_new_name() {
    let dir = linux();
    std::fs::create_dir(dir.path().join("out")).unwrap();
    copy(
        dir.path(),
        &["sda.img:/etc/hostname", ":/links/climb", ":/home", "out"],
    )
    .good();
    assert_eq!(names(&dir.path().join("out")), ["climb", "home", "hostname"]);
    // A link that was named is followed, in the guest.
    assert_eq!(std::fs::read(dir.path().join("out/climb")).unwrap(), b"fixture\n");
    assert!(dir.path().join("out/climb").symlink_metadata().unwrap().is_file());
    copy(dir.path(), &["sda.img:/etc/hostname", "host"]).good();
    assert_eq!(std::fs::read(dir.path().join("host")).unwrap(), b"fixture\n");
    copy(dir.path(), &["sda.img:/home/", "new"]).good();
    assert_eq!(names(&dir.path().join("new")), ["one", "private", "two"]);
    let ran = copy(dir.path(), &["sda.img:/etc", ":/home", "nowhere"]);
    assert!(ran.code == 1 && ran.err.contains("mkdir nowhere"), "{ran:?}");
    assert_eq!(copy(dir.path(), &["sda.img:/gone", "out"]).code, 1);
}

#[test]
fn what_is_there_is_kept_unless_force_is_said() {
    let dir = linux();
    let out = dir.path().join("out");
    std::fs::create_dir_all(out.join("etc")).unwrap();
    std::fs::write(out.join("etc/hostname"), "mine").unwrap();
    std::fs::write(out.join("etc/other"), "mine").unwrap();
    let ran = copy(dir.path(), &["sda.img:/etc", "out"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.err.contains("/etc: there is something of this name already"),
        "{ran:?}"
    );
    assert_eq!(std::fs::read(out.join("etc/hostname")).unwrap(), b"mine");
    copy(dir.path(), &["--force", "sda.img:/etc", "out"]).good();
    assert_eq!(std::fs::read(out.join("etc/hostname")).unwrap(), b"fixture\n");
    assert_eq!(std::fs::read(out.join("etc/other")).unwrap(), b"mine");
    // Twice is like once, hard links and all.
    copy(dir.path(), &["--force", "sda.img:/home", "out"]).good();
    copy(dir.path(), &["--force", "sda.img:/home", "out"]).good();
    assert_eq!(names(&out.join("home")), ["one", "private", "two"]);
    assert_eq!(out.join("home/one").metadata().unwrap().nlink(), 2);
}

#[test]
fn links_of_the_host_in_the_destination_are_never_followed() {
    let dir = linux();
    let out = dir.path().join("out");
    let outside = dir.path().join("outside");
    std::fs::create_dir_all(&out).unwrap();
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(dir.path().join("victim"), "mine").unwrap();
    symlink(&outside, out.join("etc")).unwrap();
    for force in [&[][..], &["--force"]] {
        let ran = copy(dir.path(), &[force, &["sda.img:/etc", "out"]].concat());
        assert_eq!(ran.code, 1, "{ran:?}");
        assert_eq!(names(&outside), [""; 0]);
    }
    // A file's link is replaced, and not what it leads to.
    std::fs::create_dir(out.join("odd")).unwrap();
    symlink(dir.path().join("victim"), out.join("odd/case")).unwrap();
    copy(dir.path(), &["--force", "sda.img:/odd", "out"]).good();
    assert_eq!(std::fs::read(dir.path().join("victim")).unwrap(), b"mine");
    assert_eq!(std::fs::read(out.join("odd/case")).unwrap(), b"case");
}

#[test]
fn without_owners_nothing_runs_as_somebody_else() {
    let dir = linux();
    copy(dir.path(), &["--no-owner", "sda.img:/", "out"]).good();
    let me = rustix::process::geteuid().as_raw();
    let one = dir.path().join("out/home/one").metadata().unwrap();
    assert_eq!(one.uid(), me);
    let hello = dir.path().join("out/usr/bin/hello").metadata().unwrap();
    assert_eq!(hello.permissions().mode() & 0o7777, 0o755);
}

#[test]
fn json_counts_what_was_copied() {
    let dir = linux();
    let json = run(
        dir.path(),
        &["copy-out", "--json", "-m", "/dev/sda2", "sda.img:/", "out"],
    )
    .good()
    .json();
    assert_eq!(json["symlinks"], 9);
    assert_eq!(json["hard-links"], 2);
    assert_eq!(json["skipped"].as_array().unwrap().len(), 3);
    assert_eq!(json["errors"], serde_json::json!([]));
}

#[test]
fn a_copy_that_is_stopped_leaves_no_half_files() {
    use std::os::unix::fs::FileExt;
    let dir = linux();
    // Much to copy: a filesystem with one large file of noise.
    let tree = dir.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    let file = std::fs::File::create(tree.join("large")).unwrap();
    for i in 0..400_u64 {
        file.write_all_at(&vec![(i % 255) as u8 + 1; 1 << 20], i << 20)
            .unwrap();
    }
    let image = dir.path().join("large.img");
    ext4_of(&tree, &image, "500M");
    std::fs::create_dir(dir.path().join("out")).unwrap();
    let mut child = start(dir.path(), &["copy-out", "large.img:/large", "out"]);
    // As soon as it writes, it is stopped.
    let out = dir.path().join("out");
    while names(&out).is_empty() && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    let pid = rustix::process::Pid::from_raw(child.id() as i32).unwrap();
    if child.try_wait().unwrap().is_none() {
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    }
    let ended = child.wait_with_output().unwrap();
    // It may have been done a moment before; then it is whole.
    match ended.status.code() {
        Some(130) => assert_eq!(names(&out), [""; 0]),
        Some(0) => assert_eq!(out.join("large").metadata().unwrap().len(), 400 << 20),
        other => panic!("{other:?} {ended:?}"),
    }
}
