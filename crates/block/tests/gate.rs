//! The gate: nothing outside the allowed directories is ever opened.

use h2k_block::{Access, Class, DirHost, Host, HostFile, Identity, Sharing};
use h2k_testkit::oracle::run;
use h2k_testkit::rng::Rng;
use std::collections::BTreeSet;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

fn identity(path: &Path) -> Option<Identity> {
    let stat = std::fs::metadata(path).ok()?;
    Some(Identity {
        device: stat.dev(),
        inode: stat.ino(),
    })
}

/// A directory `in` (allowed) with an image in it, and a directory `out` (not allowed) with a secret.
struct Place {
    _dir: tempfile::TempDir,
    inside: PathBuf,
    outside: PathBuf,
    image: PathBuf,
}

fn place() -> Place {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let (inside, outside) = (root.join("in"), root.join("out"));
    std::fs::create_dir_all(inside.join("sub/deep")).unwrap();
    std::fs::create_dir_all(&outside).unwrap();
    for file in ["image", "base", "sub/base", "sub/deep/base"] {
        std::fs::write(inside.join(file), "inside").unwrap();
    }
    std::fs::write(outside.join("secret"), "outside").unwrap();
    Place {
        image: inside.join("image"),
        _dir: dir,
        inside,
        outside,
    }
}

fn gate(place: &Place) -> DirHost {
    DirHost::beside(&place.image, Sharing::Careful)
}

fn class(got: h2k_block::Result<Arc<dyn HostFile>>) -> Option<Class> {
    got.err().map(|e| e.class())
}

#[test]
fn siblings_open_and_strangers_are_refused() {
    let place = place();
    let gate = gate(&place);
    let open = |name: &str| gate.open(&place.image, Path::new(name), Access::Read);
    for name in [
        "base",
        "./base",
        "sub/../base",
        "sub/deep/../../base",
        "../in/base",
        "sub/base",
        place.inside.join("base").to_str().unwrap(),
        place.inside.join("sub/../base").to_str().unwrap(),
    ] {
        let file = open(name).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(file.identity(), identity(&place.inside.join(name)), "{name}");
    }
    for name in [
        "../out/secret",
        "sub/../../out/secret",
        "/etc/passwd",
        "../../../../../../../../etc/passwd",
        place.outside.join("secret").to_str().unwrap(),
        "..",
        "",
        "/",
    ] {
        let e = open(name).err().unwrap_or_else(|| panic!("{name} was opened"));
        assert_eq!(e.class(), Class::Refused, "{name}: {e}");
        assert!(e.advice().unwrap().contains("--allow-dir"));
        assert!(e.to_string().contains("image"), "{e}");
    }
    assert_eq!(class(open("absent")), Some(Class::NotFound));
    assert_eq!(class(open("base/x")), Some(Class::Io));
}

#[test]
fn an_allowed_directory_opens_another_door_and_no_more() {
    let place = place();
    let mut gate = gate(&place);
    gate.allow(place.outside.clone());
    let open = |name: &str| gate.open(&place.image, Path::new(name), Access::Read);
    assert!(open("../out/secret").is_ok());
    assert!(open(place.outside.join("secret").to_str().unwrap()).is_ok());
    assert!(open("base").is_ok());
    assert_eq!(class(open("../other")), Some(Class::Refused));
}

#[test]
fn links_are_followed_inside_and_nowhere_else() {
    let place = place();
    let link = |target: &Path, name: &str| symlink(target, place.inside.join(name)).unwrap();
    link(Path::new("base"), "near");
    link(Path::new("sub/deep/../base"), "winding");
    link(&place.inside.join("base"), "absolute");
    link(Path::new("sub"), "folder");
    link(Path::new("../out/secret"), "climbing");
    link(&place.outside.join("secret"), "pointing");
    link(Path::new(".."), "up");
    link(Path::new("/"), "top");
    link(Path::new("loop-b"), "loop-a");
    link(Path::new("loop-a"), "loop-b");
    link(Path::new("/proc/self/fd/0"), "magic");
    link(Path::new("/dev/null"), "null");
    let gate = gate(&place);
    let open = |name: &str| gate.open(&place.image, Path::new(name), Access::Read);
    for name in ["near", "winding", "absolute", "folder/base", "folder/../base"] {
        let file = open(name).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(file.identity(), identity(&place.inside.join(name)), "{name}");
    }
    for name in [
        "climbing",
        "pointing",
        "up/out/secret",
        "up/in/base",
        "top/etc/passwd",
        "magic",
        "null",
        "folder/../../out/secret",
    ] {
        assert_eq!(class(open(name)), Some(Class::Refused), "{name}");
    }
    assert_eq!(class(open("loop-a")), Some(Class::Io));
}

#[test]
fn a_linked_directory_may_be_allowed() {
    let place = place();
    let alias = place.outside.parent().unwrap().join("alias");
    symlink(&place.inside, &alias).unwrap();
    let image = alias.join("image");
    let gate = DirHost::beside(&image, Sharing::Careful);
    for name in [
        PathBuf::from("base"),
        place.inside.join("base"),
        PathBuf::from("../in/base"),
    ] {
        let file = gate
            .open(&image, &name, Access::Read)
            .unwrap_or_else(|e| panic!("{}: {e}", name.display()));
        assert_eq!(file.identity(), identity(&place.inside.join("base")));
    }
    assert_eq!(
        class(gate.open(&image, Path::new("../out/secret"), Access::Read)),
        Some(Class::Refused)
    );
}

#[test]
fn pipes_devices_and_directories_are_refused_without_waiting() {
    let place = place();
    let made = run("mkfifo", &[place.inside.join("pipe")]);
    assert!(made.status.success());
    let _socket = std::os::unix::net::UnixListener::bind(place.inside.join("socket")).unwrap();
    let mut names = vec!["pipe", "socket"];
    if run(
        "mknod",
        &[place.inside.join("zero").to_str().unwrap(), "c", "1", "5"],
    )
    .status
    .success()
    {
        names.push("zero");
    }
    let gate = gate(&place);
    for name in names {
        for access in [Access::Read, Access::Edit] {
            let (gate, image) = (gate.clone(), place.image.clone());
            let (tell, told) = std::sync::mpsc::channel();
            // In a thread of its own: a pipe opened the wrong way waits for ever.
            std::thread::spawn(move || tell.send(class(gate.open(&image, Path::new(name), access))));
            let got = told
                .recv_timeout(Duration::from_secs(20))
                .unwrap_or_else(|_| panic!("{name} hangs"));
            assert_eq!(got, Some(Class::Refused), "{name}");
        }
    }
    assert_eq!(
        class(gate.open(&place.image, Path::new("sub"), Access::Read)),
        Some(Class::Io)
    );
}

#[test]
fn a_file_is_created_inside_and_nowhere_else() {
    let place = place();
    symlink(place.outside.join("new"), place.inside.join("dangling")).unwrap();
    let gate = gate(&place);
    let create = |name: &str| gate.open(&place.image, Path::new(name), Access::Create);
    create("sub/new").unwrap();
    assert!(place.inside.join("sub/new").is_file());
    assert_eq!(class(create("sub/new")), Some(Class::Exists));
    assert_eq!(class(create("dangling")), Some(Class::Exists));
    assert_eq!(class(create("../out/new")), Some(Class::Refused));
    assert!(!place.outside.join("new").exists());
}

#[test]
fn a_deep_name_ends() {
    let place = place();
    let gate = gate(&place);
    let deep = "sub/../".repeat(400) + "base";
    assert!(gate.open(&place.image, Path::new(&deep), Access::Read).is_ok());
    let mut at = place.inside.clone();
    for _ in 0..200 {
        at.push("d");
    }
    std::fs::create_dir_all(&at).unwrap();
    std::fs::write(at.join("file"), "").unwrap();
    let name = at.join("file");
    assert_eq!(
        class(gate.open(&place.image, &name, Access::Read)),
        Some(Class::Io)
    );
}

/// Random trees of directories, files and links of every kind, and random names: whatever opens is a file inside,
/// is the file the kernel would have opened, and whatever the kernel finds beneath the directory
/// (`RESOLVE_BENEATH`) opens.
#[test]
fn no_name_and_no_link_leads_out() {
    let mut rng = Rng::new(11);
    let (mut opened, mut refused, mut agreed) = (0, 0, 0);
    for _ in 0..60 {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap();
        let inside = top.join("in");
        let words = ["a", "b", "c", "in", "out", "..", "."];
        let name = |rng: &mut Rng, longest: u64| {
            let mut name = match rng.below(8) {
                0 => top.clone(),
                1 => inside.clone(),
                _ => PathBuf::new(),
            };
            for _ in 0..=rng.below(longest) {
                name.push(words[rng.below(7) as usize]);
            }
            // Without a last `.`: behind a file the kernel minds it.
            name.components().collect::<PathBuf>()
        };
        for place in ["in", "in/a", "in/b", "in/a/c", "out", "out/a"] {
            std::fs::create_dir_all(top.join(place)).unwrap();
        }
        for _ in 0..40 {
            let folder = ["in", "in/a", "in/b", "in/a/c", "out", "out/a"][rng.below(6) as usize];
            let path = top
                .join(folder)
                .join(["a", "b", "c", "x", "y"][rng.below(5) as usize]);
            if rng.below(3) == 0 {
                // What is there already stays.
                let _there = std::fs::File::options().write(true).create_new(true).open(&path);
            } else {
                let _there = symlink(name(&mut rng, 4), &path);
            }
        }
        std::fs::write(inside.join("image"), "").unwrap();
        let allowed: BTreeSet<_> = files(&inside).iter().filter_map(|path| identity(path)).collect();
        let image = inside.join("image");
        let gate = DirHost::beside(&image, Sharing::Careful);
        let beneath = std::fs::File::open(&inside).unwrap();
        for _ in 0..300 {
            let mut wanted = name(&mut rng, 5);
            if rng.below(2) == 0 {
                wanted.push(["x", "y", "a", "b", "c"][rng.below(5) as usize]);
            }
            let by_kernel = rustix::fs::openat2(
                &beneath,
                &wanted,
                rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NONBLOCK,
                rustix::fs::Mode::empty(),
                rustix::fs::ResolveFlags::BENEATH | rustix::fs::ResolveFlags::NO_MAGICLINKS,
            );
            let by_kernel = by_kernel.ok().and_then(|fd| {
                let stat = rustix::fs::fstat(&fd).ok()?;
                let regular =
                    rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::RegularFile;
                regular.then_some(Identity {
                    device: stat.st_dev,
                    inode: stat.st_ino,
                })
            });
            match gate.open(&image, &wanted, Access::Read) {
                Ok(file) => {
                    let found = file.identity().unwrap();
                    assert!(allowed.contains(&found), "{} opened a stranger", wanted.display());
                    assert_eq!(
                        Some(found),
                        identity(&inside.join(&wanted)),
                        "{}",
                        wanted.display()
                    );
                    assert_eq!(file.len(), 0);
                    opened += 1;
                    agreed += u32::from(by_kernel == Some(found));
                }
                Err(e) => {
                    assert_eq!(by_kernel, None, "{}: {e}", wanted.display());
                    refused += u32::from(e.class() == Class::Refused);
                }
            }
        }
    }
    println!("opened {opened}, of those beneath by the kernel {agreed}, refused {refused}");
    assert!(
        opened > 300 && agreed > 200 && refused > 1000,
        "{opened} {agreed} {refused}"
    );
}

/// The regular files below `dir`, without following links.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                todo.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    found
}
