use h2k_block::{Class, Limits, Meter};
use h2k_fs::{FileKind, MemFs};
use h2k_guest::{Next, Tree, Walk};
use std::sync::Arc;

fn meter() -> Meter {
    Meter::new(Limits::default())
}

fn root() -> MemFs {
    let mut fs = MemFs::new();
    fs.file("/etc/fstab", "root").unwrap();
    fs.dir("/boot/efi").unwrap();
    fs.dir("/home").unwrap();
    fs
}

fn content(tree: &Tree, path: &[u8]) -> Vec<u8> {
    let file = tree.find(path, &mut meter()).unwrap();
    tree.read_file(file, &mut meter()).unwrap()
}

#[test]
fn a_path_crosses_mounts_down_and_up_again() {
    let mut boot = MemFs::new();
    boot.file("/vmlinuz", "kernel").unwrap();
    boot.dir("/efi").unwrap();
    let mut efi = MemFs::new();
    efi.file("/EFI/x", "loader").unwrap();
    let mut tree = Tree::new("/dev/sda3", Arc::new(root()));
    tree.mount(b"/boot", "/dev/sda2", Arc::new(boot), &mut meter())
        .unwrap();
    tree.mount(b"/boot/efi", "/dev/sda1", Arc::new(efi), &mut meter())
        .unwrap();
    assert_eq!(content(&tree, b"/boot/vmlinuz"), b"kernel");
    assert_eq!(content(&tree, b"/boot/efi/EFI/x"), b"loader");
    assert_eq!(content(&tree, b"/boot/efi/EFI/../../../etc/fstab"), b"root");
    assert_eq!(content(&tree, b"//boot/./efi/../vmlinuz"), b"kernel");
    assert_eq!(content(&tree, b"../../../etc/fstab"), b"root");
    let points: Vec<&[u8]> = tree.mounts().iter().map(|m| m.point.as_slice()).collect();
    assert_eq!(points, [&b"/"[..], b"/boot", b"/boot/efi"]);
}

#[test]
fn links_are_followed_inside_the_guest_and_across_mounts() {
    let mut fs = root();
    fs.link("/boot/up", "../etc/fstab").unwrap();
    fs.link("/abs", "/home/deep/file").unwrap();
    fs.link("/climb", "../../../../../../etc/fstab").unwrap();
    fs.link("/usr", "home/deep").unwrap();
    let mut home = MemFs::new();
    home.file("/deep/file", "here").unwrap();
    home.link("/deep/out", "/etc/fstab").unwrap();
    home.link("/deep/over", "../../etc/fstab").unwrap();
    let mut tree = Tree::new("/dev/sda1", Arc::new(fs));
    tree.mount(b"/home", "/dev/sdb", Arc::new(home), &mut meter())
        .unwrap();
    for (path, want) in [
        ("/abs", "here"),
        ("/climb", "root"),
        ("/boot/up", "root"),
        ("/usr/file", "here"),
        ("/usr/out", "root"),
        ("/home/deep/over", "root"),
    ] {
        assert_eq!(content(&tree, path.as_bytes()), want.as_bytes(), "{path}");
    }
    assert_eq!(
        tree.canonical(b"/usr/file", &mut meter()).unwrap().unwrap(),
        b"/home/deep/file"
    );
    let link = tree.find_itself(b"/abs", &mut meter()).unwrap();
    assert_eq!(tree.stat(link).unwrap().kind, FileKind::Link);
}

#[test]
fn links_that_go_round_in_circles_end_with_an_error() {
    let mut fs = root();
    fs.link("/a", "b").unwrap();
    fs.link("/b", "/a").unwrap();
    fs.link("/self", "self/self").unwrap();
    fs.link("/nowhere", "gone").unwrap();
    let tree = Tree::new("/dev/sda1", Arc::new(fs));
    for path in [&b"/a"[..], b"/self", b"/a/x"] {
        assert_eq!(tree.find(path, &mut meter()).unwrap_err().class(), Class::Limit);
    }
    for path in [&b"/nowhere"[..], b"/etc/fstab/x", b"/none"] {
        assert_eq!(
            tree.find(path, &mut meter()).unwrap_err().class(),
            Class::NotFound
        );
    }
}

#[test]
fn a_mount_needs_a_directory_and_a_second_one_hides_the_first() {
    let mut tree = Tree::new("/dev/sda1", Arc::new(root()));
    let with = |text: &str| {
        let mut fs = MemFs::new();
        fs.file("/f", text).unwrap();
        Arc::new(fs)
    };
    let refused = tree.mount(b"/none", "x", with(""), &mut meter()).unwrap_err();
    assert_eq!(refused.class(), Class::NotFound);
    let refused = tree
        .mount(b"/etc/fstab", "x", with(""), &mut meter())
        .unwrap_err();
    assert_eq!(refused.class(), Class::Invalid);
    tree.mount(b"/home", "one", with("1"), &mut meter()).unwrap();
    tree.mount(b"/home", "two", with("2"), &mut meter()).unwrap();
    assert_eq!(content(&tree, b"/home/f"), b"2");
    tree.mount(b"/", "over all", with("3"), &mut meter()).unwrap();
    assert_eq!(content(&tree, b"/f"), b"3");
}

#[test]
fn a_bind_mount_shows_a_directory_twice_and_makes_no_loop() {
    let mut fs = root();
    fs.file("/srv/data/f", "x").unwrap();
    fs.dir("/srv/data/again").unwrap();
    let mut tree = Tree::new("/dev/sda1", Arc::new(fs));
    tree.bind(b"/srv/data", b"/home", &mut meter()).unwrap();
    tree.bind(b"/srv", b"/srv/data/again", &mut meter()).unwrap();
    assert_eq!(content(&tree, b"/home/f"), b"x");
    assert_eq!(content(&tree, b"/home/../etc/fstab"), b"root");
    let mut count = 0;
    let mut each = |_: h2k_guest::Visit<'_>| {
        count += 1;
        Ok(Next::Enter)
    };
    let walk = Walk::default();
    tree.walk(tree.root(), walk, &mut meter(), &mut each, &mut |_, e| {
        panic!("{e}")
    })
    .unwrap();
    assert!(count < 30, "{count}");
}

fn paths(tree: &Tree, walk: Walk, pass: &[u8]) -> (Vec<String>, Vec<String>) {
    let (mut seen, mut bad) = (Vec::new(), Vec::new());
    let mut each = |visit: h2k_guest::Visit<'_>| {
        let mark = if visit.stat.is_err() { "!" } else { "" };
        seen.push(format!("{}{mark}", String::from_utf8_lossy(visit.path)));
        Ok(if visit.path == pass {
            Next::Pass
        } else {
            Next::Enter
        })
    };
    tree.walk(tree.root(), walk, &mut meter(), &mut each, &mut |path, _| {
        bad.push(String::from_utf8_lossy(path).into_owned());
    })
    .unwrap();
    (seen, bad)
}

#[test]
fn a_walk_shows_everything_in_order_and_damage_hides_no_sibling() {
    let mut fs = MemFs::new();
    fs.file("/b/2", "").unwrap();
    fs.file("/b/1", "").unwrap();
    let bad = fs.file("/a/bad", "").unwrap();
    fs.file("/a/good", "").unwrap();
    fs.damage(bad, "torn").unwrap();
    fs.dir("/mnt").unwrap();
    let mut other = MemFs::new();
    other.file("/x", "").unwrap();
    let mut tree = Tree::new("/dev/sda1", Arc::new(fs));
    tree.mount(b"/mnt", "/dev/sdb", Arc::new(other), &mut meter())
        .unwrap();
    let (all, _) = paths(&tree, Walk::default(), b"-");
    assert_eq!(
        all,
        ["", "a", "a/bad!", "a/good", "b", "b/1", "b/2", "mnt", "mnt/x"]
    );
    let one = Walk {
        one_filesystem: true,
        ..Walk::default()
    };
    assert_eq!(
        paths(&tree, one, b"b").0,
        ["", "a", "a/bad!", "a/good", "b", "mnt"]
    );
    let flat = Walk {
        max_depth: Some(1),
        ..Walk::default()
    };
    assert_eq!(paths(&tree, flat, b"-").0, ["", "a", "b", "mnt"]);
}

#[test]
fn a_walk_over_more_than_the_meter_allows_ends() {
    let mut fs = MemFs::new();
    for i in 0..100 {
        fs.file(&format!("/{i}"), "").unwrap();
    }
    let tree = Tree::new("x", Arc::new(fs));
    let small = Limits {
        steps: 50,
        ..Limits::default()
    };
    let walked = tree.walk(
        tree.root(),
        Walk::default(),
        &mut Meter::new(small),
        &mut |_| Ok(Next::Enter),
        &mut |_, _| {},
    );
    assert_eq!(walked.unwrap_err().class(), Class::Limit);
}
