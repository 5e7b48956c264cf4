//! The calls of other libraries, against the tools they stand for.

use h2k_block::{Access, BlockRead, Class, FileDisk, Limits, MemDisk, Meter, Sharing};
use h2k_guest::calls::{Calls, statvfs, superblock};
use h2k_guest::{Guest, Tree};
use h2k_testkit::mutate::Patched;
use h2k_testkit::oracle;
use h2k_testkit::rng::Rng;
use h2k_volume::{Disk, scan};
use std::path::Path;
use std::sync::Arc;

/// A disk of `megabytes` that `program` formatted.
pub fn formatted(dir: &Path, megabytes: u64, program: &str, args: &[&str]) -> (String, Arc<dyn BlockRead>) {
    let path = dir.join("disk.img");
    std::fs::File::create(&path)
        .unwrap()
        .set_len(megabytes << 20)
        .unwrap();
    let path = path.to_str().unwrap().to_owned();
    oracle::ok(program, &[args, &[path.as_str()]].concat());
    let disk = disk(&path);
    (path, disk)
}

pub fn disk(path: &str) -> Arc<dyn BlockRead> {
    Arc::new(FileDisk::open(Path::new(path), Access::Read, Sharing::Force).unwrap())
}

pub fn guest(disk: &Arc<dyn BlockRead>) -> Guest {
    let volumes = scan(&[Disk::new(0, Arc::clone(disk))], &Limits::default()).unwrap();
    Guest::new(&volumes, &Limits::default())
}

#[test]
fn flags_of_files_are_those_that_lsattr_shows() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(root.join("plain"), "x").unwrap();
    std::fs::write(root.join("fixed"), "x").unwrap();
    let (path, _) = formatted(
        dir.path(),
        16,
        "mkfs.ext4",
        &["-q", "-F", "-d", root.to_str().unwrap()],
    );
    oracle::ok("debugfs", &["-w", "-R", "sif /fixed flags 0x800f8", &path]);
    let guest = guest(&disk(&path));
    let calls = Calls::new(&guest);
    let tree = Tree::new(
        "/dev/sda",
        guest.open(guest.device("/dev/sda").unwrap()).unwrap().fs,
    );
    let mount = h2k_testkit::mount::mount(Path::new(&path), "ext4", "ro").unwrap();
    for name in ["plain", "fixed"] {
        let said = oracle::ok("lsattr", &[mount.path().join(name).to_str().unwrap()]);
        let mut letters: Vec<char> = said
            .split(' ')
            .next()
            .unwrap()
            .chars()
            .filter(|c| *c != '-')
            .collect();
        letters.sort_unstable();
        let ours = calls
            .get_e2attrs(
                &tree,
                format!("/{name}").as_bytes(),
                &mut Meter::new(Limits::default()),
            )
            .unwrap();
        assert_eq!(ours, letters.into_iter().collect::<String>(), "{name}");
    }
    let full = statvfs(&tree, b"/", &mut Meter::new(Limits::default())).unwrap();
    assert_eq!(full.bsize, calls.blockdev_getbsz("/dev/sda").unwrap());
    assert!(full.bfree < full.blocks && full.ffree < full.files, "{full:?}");
    assert_eq!(
        calls.list_filesystems().unwrap(),
        [("/dev/sda".to_owned(), "ext4".to_owned())]
    );
    let uuid = oracle::ok("blkid", &["-p", "-o", "value", "-s", "UUID", &path]);
    assert_eq!(calls.vfs_uuid("/dev/sda").unwrap(), Some(uuid.trim()));
    for refused in [
        calls.blockdev_setrw("/dev/sda"),
        calls.set_e2attrs(b"/plain"),
        calls.xfs_growfs("/dev/sda"),
    ] {
        assert_eq!(refused.unwrap_err().class(), Class::Unsupported);
    }
    assert_eq!(
        calls.part_to_partnum("/dev/sda").unwrap_err().class(),
        Class::Invalid
    );
    assert_eq!(calls.vfs_type("/dev/sdz").unwrap_err().class(), Class::NotFound);
    let memory = Tree::new("x", Arc::new(h2k_fs::MemFs::new()));
    let none = calls.get_e2attrs(&memory, b"/", &mut Meter::new(Limits::default()));
    assert_eq!(none.unwrap_err().class(), Class::Unsupported);
}

#[test]
fn partitions_know_their_disk_and_their_number() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk.img");
    std::fs::File::create(&path).unwrap().set_len(64 << 20).unwrap();
    std::fs::write(dir.path().join("script"), "label: gpt\n,16M\n,16M\n").unwrap();
    let command = format!(
        "sfdisk -q {} < {}",
        path.display(),
        dir.path().join("script").display()
    );
    oracle::ok("sh", &["-c", &command]);
    let guest = guest(&disk(path.to_str().unwrap()));
    let calls = Calls::new(&guest);
    assert_eq!(calls.part_to_partnum("/dev/sda2").unwrap(), 2);
    assert_eq!(calls.part_to_dev("/dev/sda2").unwrap(), "/dev/sda");
    assert_eq!(calls.blockdev_getsize64("/dev/sda1").unwrap(), 16 << 20);
    assert_eq!(calls.blockdev_getsz("/dev/sda").unwrap(), 64 << 11);
    assert_eq!(calls.blockdev_getss("/dev/sda1").unwrap(), 512);
    assert!(calls.blockdev_getro("/dev/sda").unwrap());
    let all = calls.list_filesystems().unwrap();
    assert_eq!(
        all,
        ["/dev/sda1", "/dev/sda2"].map(|d| (d.to_owned(), "unknown".to_owned()))
    );
}

#[test]
fn the_superblock_of_xfs_is_printed_as_xfs_db_prints_it() {
    let dir = tempfile::tempdir().unwrap();
    for more in [&["-L", "data"][..], &["-m", "crc=0"]] {
        let (path, disk) = formatted(dir.path(), 320, "mkfs.xfs", &[&["-q", "-f"], more].concat());
        let said = oracle::ok("xfs_db", &["-r", "-c", "sb 0", "-c", "p", &path]);
        let theirs: Vec<(&str, &str)> = said.lines().filter_map(|line| line.split_once(" = ")).collect();
        let guest = guest(&disk);
        let calls = Calls::new(&guest);
        let ours = calls.xfs_db("/dev/sda").unwrap();
        assert!(ours.len() > 40);
        let mut compared = 0;
        for (name, value) in &ours {
            let Some((_, theirs)) = theirs.iter().find(|(n, _)| n == name) else {
                continue;
            };
            // Label and nothing behind it.
            let same = theirs.trim_end_matches("\\000").replace("\\000", "") == *value || theirs == value;
            assert!(same, "{name}: {value}, xfs_db says {theirs}");
            compared += 1;
        }
        assert!(compared > 40, "{compared}: {said}");
        let info = calls.xfs_info("/dev/sda").unwrap();
        assert_eq!(info.label, if more.contains(&"data") { "data" } else { "" });
        assert_eq!(
            u64::from(info.blocksize),
            calls.blockdev_getbsz("/dev/sda").unwrap()
        );
        assert_eq!(calls.vfs_uuid("/dev/sda").unwrap(), Some(info.uuid.as_str()));
    }
    let seed = {
        let (path, _) = formatted(dir.path(), 320, "mkfs.xfs", &["-q", "-f"]);
        let mut bytes = vec![0; 4096];
        disk(&path).read_at(0, &mut bytes).unwrap();
        Arc::new(bytes)
    };
    let live = Patched::live(&seed);
    let mut rng = Rng::new(0x7866_7364);
    let (mut good, mut bad) = (0, 0);
    for _ in 0..20_000 {
        match superblock(&Patched::new(&mut rng, &seed, &live)) {
            Ok(_) => good += 1,
            Err(_) => bad += 1,
        }
    }
    assert!(good > 100 && bad > 100, "{good} {bad}");
}

#[test]
fn ntfs_is_probed_as_ntfs_3g_does() {
    let dir = tempfile::tempdir().unwrap();
    let (path, disk) = formatted(
        dir.path(),
        16,
        "mkntfs",
        &["-q", "-F", "-s", "512", "-p", "0", "-H", "1", "-S", "1"],
    );
    let code = |rw: &str| oracle::run("ntfs-3g.probe", &[rw, &path]).status.code().unwrap();
    let guest = guest(&disk);
    let calls = Calls::new(&guest);
    assert_eq!(
        i32::from(calls.ntfs_3g_probe("/dev/sda", false).unwrap()),
        code("--readonly")
    );
    assert_eq!(
        i32::from(calls.ntfs_3g_probe("/dev/sda", true).unwrap()),
        code("--readwrite")
    );
    let empty: Arc<dyn BlockRead> = Arc::new(MemDisk::new(vec![0; 1 << 20]));
    let guest = self::guest(&empty);
    assert_eq!(Calls::new(&guest).ntfs_3g_probe("/dev/sda", true).unwrap(), 12);
}

#[test]
fn btrfs_shows_its_devices_and_subvolumes() {
    let dir = tempfile::tempdir().unwrap();
    let (path, disk) = formatted(dir.path(), 128, "mkfs.btrfs", &["-q", "-f", "-L", "pool"]);
    let guest = guest(&disk);
    let calls = Calls::new(&guest);
    let show = calls.btrfs_filesystem_show("/dev/sda").unwrap();
    assert_eq!(
        (show.label.as_deref(), show.total_devices),
        (Some(&b"pool"[..]), 1)
    );
    let said = oracle::ok("btrfs", &["filesystem", "show", &path]);
    assert!(said.contains(&show.uuid), "{said}");
    assert!(calls.btrfs_subvolume_list("/dev/sda").unwrap().is_empty());
    assert!(calls.zfs_pool_list().is_empty());
    assert_eq!(
        calls.zfs_dataset_list("tank").unwrap_err().class(),
        Class::Unsupported
    );
    assert!(calls.inspect_os().is_empty() && calls.inspect_filesystems().unwrap().is_empty());
}
