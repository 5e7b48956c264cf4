use super::trees::{facts, same, xattrs};
use super::{ALONE, ext4_of, linux, mounted};
use crate::run::{bytes, run};
use h2k_testkit::oracle;
use std::path::{Path, PathBuf};

fn archive(dir: &Path, more: &[&str]) -> PathBuf {
    let args = [
        &["tar-out", "--force"][..],
        &ALONE,
        more,
        &["sda.img:/", "made.tar"],
    ]
    .concat();
    run(dir, &args).good();
    dir.join("made.tar")
}

/// What GNU tar says when it extracts `tar` into `to`, made for it.
fn untar(option: &str, tar: &Path, to: &Path) -> String {
    std::fs::create_dir(to).unwrap();
    let script = format!("tar --xattrs {option} --numeric-owner -xpf \"$1\" -C \"$2\" 2>&1");
    let args = [
        "-c".as_ref(),
        script.as_ref(),
        "sh".as_ref(),
        tar.as_os_str(),
        to.as_os_str(),
    ];
    oracle::ok("sh", &args)
}

fn extracted(tar: &Path, to: &Path) {
    let said = untar("--xattrs-include='*'", tar, to);
    assert_eq!(said, "", "GNU tar has something to say");
}

#[test]
fn an_archive_unpacks_to_what_the_kernel_shows() {
    let dir = linux();
    let kernel = mounted(dir.path());
    for (options, sparse) in [(&[][..], true), (&["--no-sparse"], false)] {
        let tar = archive(dir.path(), options);
        let to = dir.path().join(format!("out-{sparse}"));
        extracted(&tar, &to);
        same(&facts(&to), &facts(kernel.path()));
        assert_eq!(xattrs(&to), xattrs(kernel.path()));
        use std::os::unix::fs::MetadataExt;
        let blocks = to.join("sparse/hole").metadata().unwrap().blocks() * 512;
        assert_eq!(blocks < 64 << 10, sparse, "{blocks}");
    }
}

#[test]
fn the_same_guest_makes_the_same_archive_also_through_a_pipe() {
    let dir = linux();
    let one = std::fs::read(archive(dir.path(), &[])).unwrap();
    let two = std::fs::read(archive(dir.path(), &[])).unwrap();
    assert!(one == two);
    let args = [&["tar-out"][..], &ALONE, &["sda.img:/", "-"]].concat();
    assert!(bytes(dir.path(), &args) == one);
    assert_eq!(one.len() % 512, 0);
}

#[test]
fn long_names_and_targets_and_large_numbers_go_through() {
    use std::os::unix::ffi::OsStrExt;
    let dir = linux();
    let tree = dir.path().join("tree");
    // 300 bytes of path, none of it UTF-8, and a target as long.
    let odd = std::ffi::OsStr::from_bytes(b"\xff-long");
    let long = tree.join("d".repeat(150)).join("e".repeat(150)).join(odd);
    std::fs::create_dir_all(&long).unwrap();
    std::fs::write(long.join("file"), "content").unwrap();
    std::os::unix::fs::symlink("t".repeat(300), long.join("link")).unwrap();
    std::fs::hard_link(long.join("file"), long.join("twin")).unwrap();
    let owned = tree.join("owned");
    std::fs::write(&owned, "x").unwrap();
    std::os::unix::fs::chown(&owned, Some(4_000_000_000), Some(3_000_000_000)).unwrap();
    let file = std::fs::File::create(tree.join("huge")).unwrap();
    file.set_len(9 << 30).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"end", (9 << 30) - 3).unwrap();
    drop(file);
    let image = dir.path().join("odd.img");
    ext4_of(&tree, &image, "64M");
    run(dir.path(), &["tar-out", "-q", "odd.img:/", "odd.tar"]).good();
    let to = dir.path().join("out");
    untar("--warning=no-unknown-keyword", &dir.path().join("odd.tar"), &to);
    let mut end = [0; 3];
    let huge = std::fs::File::open(to.join("huge")).unwrap();
    std::os::unix::fs::FileExt::read_exact_at(&huge, &mut end, (9 << 30) - 3).unwrap();
    assert_eq!(&end, b"end");
    let kernel = h2k_testkit::mount::mount(&image, "ext4", "ro,noload").unwrap();
    same(&facts(&to), &facts(kernel.path()));
}

#[test]
fn an_archive_is_there_whole_or_not_at_all() {
    let dir = linux();
    std::fs::write(dir.path().join("made.tar"), "mine").unwrap();
    let args = [&["tar-out"][..], &ALONE, &["sda.img:/", "made.tar"]].concat();
    let ran = run(dir.path(), &args);
    assert!(
        ran.code == 1 && ran.err.contains("made.tar exists already"),
        "{ran:?}"
    );
    let ran = run(dir.path(), &["tar-out", "sda.img:/gone", "new.tar"]);
    assert_eq!(ran.code, 1);
    assert!(!dir.path().join("new.tar").exists() && !dir.path().join("new.tar.part").exists());
    assert_eq!(run(dir.path(), &["tar-out", "--json", "sda.img:/", "-"]).code, 2);
}
