//! Host files and block devices.

use h2k_block::{Access, BlockRead, BlockWrite, Class, FileDisk, HostFile, Kind, RawSpan, Sharing, extents};
use h2k_testkit::oracle::run;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

fn open(path: &Path, access: Access) -> h2k_block::Result<FileDisk> {
    FileDisk::open(path, access, Sharing::Careful)
}

#[test]
fn a_sparse_file_shows_its_holes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sparse");
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(16 << 20).unwrap();
    file.write_all_at(&[1; 4096], 1 << 20).unwrap();
    file.write_all_at(&[2; 4096], (16 << 20) - 4096).unwrap();
    drop(file);
    let disk = open(&path, Access::Read).unwrap();
    let map: Vec<_> = extents(&disk, 0..disk.len()).map(Result::unwrap).collect();
    let data: u64 = map.iter().filter(|e| e.kind == Kind::Data).map(|e| e.len).sum();
    assert_eq!(map.iter().map(|e| e.len).sum::<u64>(), 16 << 20);
    // File systems round to their own blocks; none of them keeps 16 MiB for two pages.
    assert!((8192..1 << 20).contains(&data), "{map:?}");
    for e in map.iter().filter(|e| e.kind != Kind::Data) {
        let mut buf = vec![1; e.len as usize];
        disk.read_at(e.start, &mut buf).unwrap();
        assert!(h2k_block::is_zero(&buf));
    }
    assert!(disk.allocated().unwrap() < 1 << 20);
}

#[test]
fn a_file_that_shrinks_is_an_error_and_names_itself() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shrinking");
    std::fs::write(&path, vec![1; 8192]).unwrap();
    let disk = open(&path, Access::Read).unwrap();
    std::fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(100)
        .unwrap();
    let mut buf = [0; 512];
    let e = disk.read_at(4096, &mut buf).unwrap_err();
    assert_eq!(e.class(), Class::Io);
    assert!(
        e.to_string().contains("shrinking") && e.to_string().contains("0x64"),
        "{e}"
    );
    // The map does not turn what vanished into a hole, which would read as zeros.
    assert_eq!(disk.extent_at(4096, 8192).unwrap().kind, Kind::Data);
}

#[test]
fn what_is_no_disk_is_said_so() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    assert!(run("mkfifo", &[&pipe]).status.success());
    for path in [dir.path(), &pipe, Path::new("/dev/null")] {
        let e = open(path, Access::Read).unwrap_err();
        assert_eq!(e.class(), Class::Unsupported, "{e}");
        assert!(e.to_string().starts_with(&path.display().to_string()), "{e}");
    }
    let e = open(&dir.path().join("absent"), Access::Read).unwrap_err();
    assert_eq!(e.class(), Class::NotFound);
}

#[test]
fn a_file_opened_for_reading_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("source");
    std::fs::write(&path, [1; 512]).unwrap();
    let disk = open(&path, Access::Read).unwrap();
    assert_eq!(disk.write_at(0, &[2]).unwrap_err().class(), Class::ReadOnly);
    assert_eq!(disk.store_zeros(0..1).unwrap_err().class(), Class::ReadOnly);
    assert_eq!(disk.set_len(0).unwrap_err().class(), Class::ReadOnly);
    assert_eq!(disk.flush().unwrap_err().class(), Class::ReadOnly);
    assert_eq!(std::fs::read(&path).unwrap(), [1; 512]);
}

#[test]
fn every_way_of_writing_ends_at_the_files_length() {
    let dir = tempfile::tempdir().unwrap();
    let disk = open(&dir.path().join("new"), Access::Create).unwrap();
    let source = dir.path().join("source");
    std::fs::write(&source, [5; 4096]).unwrap();
    let span = RawSpan {
        file: Arc::new(open(&source, Access::Read).unwrap()),
        offset: 0,
        len: 4096,
    };
    disk.set_len(6000).unwrap();
    assert_eq!(
        disk.write_at(5999, &[1; 2]).unwrap_err().class(),
        Class::OutOfBounds
    );
    assert_eq!(disk.store_zeros(0..6001).unwrap_err().class(), Class::OutOfBounds);
    assert_eq!(
        disk.take_from(2000, &span).unwrap_err().class(),
        Class::OutOfBounds
    );
    disk.write_at(0, &[9; 6000]).unwrap();
    disk.store_zeros(10..5000).unwrap();
    let taken = disk.take_from(1000, &span).unwrap() as usize;
    let mut want = vec![9; 6000];
    want[10..5000].fill(0);
    want[1000..1000 + taken].fill(5);
    let mut got = vec![0; 6000];
    disk.read_at(0, &mut got).unwrap();
    assert!(got == want);
    assert_eq!(disk.len(), 6000);
    disk.reserve(0..20_000).unwrap();
    assert_eq!(disk.len(), 20_000);
    assert!(disk.allocated().unwrap() >= 20_000);
}

#[test]
fn a_full_disk_is_no_space() {
    // /dev/full is a device; the class is what the host's error becomes.
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let e = h2k_block::Error::from(full.write_all_at(&[1], 0).unwrap_err());
    assert_eq!(e.class(), Class::NoSpace);
}

/// A loop device over a file, where the host allows one.
struct Loop(String);

impl Loop {
    fn over(file: &Path) -> Option<Self> {
        let out = run(
            "losetup",
            &["--find".as_ref(), "--show".as_ref(), file.as_os_str()],
        );
        let name = String::from_utf8_lossy(&out.stdout).trim().to_owned();
        (out.status.success() && !name.is_empty()).then_some(Self(name))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        run("losetup", &["--detach", &self.0]);
    }
}

#[test]
fn a_block_device_is_read_and_written_like_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("behind");
    let content: Vec<u8> = (0..1 << 20).map(|i: u32| (i / 512) as u8).collect();
    std::fs::write(&path, &content).unwrap();
    let Some(device) = Loop::over(&path) else {
        println!("skipped: no loop devices here");
        return;
    };
    let disk = open(Path::new(&device.0), Access::Read).unwrap();
    assert_eq!(disk.len(), 1 << 20);
    let mut got = vec![0; 1 << 20];
    disk.read_at(0, &mut got).unwrap();
    assert!(got == content);
    let covered: u64 = extents(&disk, 0..disk.len()).map(|e| e.unwrap().len).sum();
    assert_eq!(covered, 1 << 20);
    drop(disk);
    let disk = open(Path::new(&device.0), Access::Edit).unwrap();
    disk.write_at(513, &[0xab; 1000]).unwrap();
    disk.flush().unwrap();
    drop(disk);
    assert_eq!(std::fs::read(&path).unwrap()[513..1513], [0xab; 1000]);
}

#[test]
fn a_map_asked_piece_by_piece_is_the_same_map() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sparse");
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(4 << 20).unwrap();
    file.write_all_at(&[1; 1 << 20], 0).unwrap();
    file.write_all_at(&[2; 1 << 20], 2 << 20).unwrap();
    drop(file);
    let disk = open(&path, Access::Edit).unwrap();
    // Forwards, then backwards: the run found last must not speak for bytes outside it.
    let kind = |mib: u64| disk.extent_at(mib << 20, (mib + 1) << 20).unwrap().kind;
    let forwards: Vec<Kind> = (0..4).map(kind).collect();
    let mut backwards: Vec<Kind> = (0..4).rev().map(kind).collect();
    backwards.reverse();
    assert_eq!(forwards, [Kind::Data, Kind::Hole, Kind::Data, Kind::Hole]);
    assert_eq!(backwards, forwards);
    // A hole punched into the run found last is seen.
    assert_eq!(kind(2), Kind::Data);
    disk.store_zeros(2 << 20..3 << 20).unwrap();
    assert_eq!(kind(2), Kind::Hole);
}
