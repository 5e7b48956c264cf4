//! A commit and the power failing at every step of it.

use h2k_block::{BlockRead, BlockWrite, Class, HostFile, Limits, MemDisk, Overlay, commit, pending, recover};
use h2k_testkit::rng::Rng;
use h2k_testkit::volatile::Volatile;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

const LEN: usize = 64 * 1024 + 512;
/// More calls than a commit makes.
const ENOUGH: u64 = 1_000;

/// A disk, edits of it (bytes across pages, zeros, the short page at the end), and the disk after them.
fn edited() -> (Vec<u8>, Overlay, Vec<u8>) {
    let mut old = vec![0; LEN];
    Rng::new(1).fill(&mut old);
    let overlay = Overlay::new(Arc::new(MemDisk::new(old.clone())));
    let mut new = old.clone();
    for (at, len, byte) in [(100, 10, 1), (4000, 200, 2), (30_000, 9_000, 3), (LEN - 5, 5, 4)] {
        new[at..at + len].fill(byte);
        overlay.write_at(at as u64, &vec![byte; len]).unwrap();
    }
    new[45_056..57_344].fill(0);
    overlay.store_zeros(45_056..57_344).unwrap();
    (old, overlay, new)
}

#[test]
fn a_commit_lands_and_leaves_no_work_behind() {
    let (old, edits, new) = edited();
    let (disk, log) = (MemDisk::new(old), MemDisk::default());
    commit(&edits, &disk, &log).unwrap();
    assert_eq!(disk.to_vec(), new);
    assert!(!pending(&log).unwrap());
    assert!(!recover(&disk, &log, Limits::default()).unwrap());
    // The same log serves again.
    commit(&edits, &disk, &log).unwrap();
    assert_eq!(disk.to_vec(), new);
}

#[test]
fn no_edits_are_no_work() {
    let edits = Overlay::new(Arc::new(MemDisk::new(vec![7; 100])));
    let (disk, log) = (MemDisk::new(vec![7; 100]), MemDisk::default());
    commit(&edits, &disk, &log).unwrap();
    assert_eq!(log.len(), 0);
}

/// Cuts the power after every call of a commit, lets every flush-less write survive or vanish sector by sector,
/// cuts the power again while recovering, and finishes: the disk is old or new, and new once the log was whole.
#[test]
fn the_power_may_fail_at_every_step() {
    let (old, edits, new) = edited();
    let mut rng = Rng::new(2);
    let (mut stayed_old, mut became_new, mut torn) = (0, 0, 0);
    for cut in 0..ENOUGH {
        let fuse = AtomicU64::new(cut);
        let disk = Volatile::new(old.clone(), &fuse);
        let log = Volatile::new(Vec::new(), &fuse);
        let finished = commit(&edits, &disk, &log).is_ok();
        for round in 0..24 {
            let everything = |_| true;
            let nothing = |_| false;
            let (mut disk_left, mut log_left) = match round {
                0 => (
                    disk.after_power_loss(everything),
                    log.after_power_loss(everything),
                ),
                1 => (disk.after_power_loss(nothing), log.after_power_loss(nothing)),
                2 => (disk.after_power_loss(nothing), log.after_power_loss(everything)),
                3 => (disk.after_power_loss(everything), log.after_power_loss(nothing)),
                _ => (disk.one_loss(&mut rng), log.one_loss(&mut rng)),
            };
            // The recovery is interrupted as well, twice.
            for _ in 0..2 {
                let fuse = AtomicU64::new(rng.below(20));
                let disk = Volatile::new(disk_left.clone(), &fuse);
                let log = Volatile::new(log_left.clone(), &fuse);
                if recover(&disk, &log, Limits::default()).is_ok() {
                    break;
                }
                (disk_left, log_left) = (disk.one_loss(&mut rng), log.one_loss(&mut rng));
            }
            if disk_left != old && disk_left != new {
                torn += 1;
            }
            let (disk, log) = (MemDisk::new(disk_left), MemDisk::new(log_left));
            recover(&disk, &log, Limits::default()).unwrap();
            let now = disk.to_vec();
            assert!(
                now == old || now == new,
                "cut after {cut} calls, round {round}: in between"
            );
            assert!(!finished || now == new, "a finished commit was undone");
            assert!(!pending(&log).unwrap());
            if now == new {
                became_new += 1;
            } else {
                stayed_old += 1;
            }
        }
        if finished {
            assert!(
                stayed_old > 0 && became_new > 0 && torn > 0,
                "{stayed_old} {became_new} {torn}"
            );
            println!("{cut} calls; old {stayed_old}, new {became_new}, torn before recovery {torn}");
            return;
        }
    }
    panic!("the commit never ended");
}

/// A log that passed the point of no return, the disk as it was before, and after.
fn interrupted() -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let (old, edits, new) = edited();
    for cut in 0..ENOUGH {
        let fuse = AtomicU64::new(cut);
        let disk = Volatile::new(old.clone(), &fuse);
        let log = Volatile::new(Vec::new(), &fuse);
        let _cut = commit(&edits, &disk, &log);
        let left = log.after_power_loss(|_| false);
        if pending(&MemDisk::new(left.clone())).unwrap() {
            return (left, old, new);
        }
    }
    panic!("no commit passed the point of no return");
}

#[test]
fn a_log_of_another_disk_is_refused() {
    let (log, old, new) = interrupted();
    let refused = |disk: Vec<u8>, why: &str| {
        let (disk, log) = (MemDisk::new(disk), MemDisk::new(log.clone()));
        let before = disk.to_vec();
        let e = recover(&disk, &log, Limits::default()).unwrap_err();
        assert_eq!(e.class(), Class::Invalid, "{why}: {e}");
        assert_eq!(disk.to_vec(), before, "{why}: the disk was touched");
        assert!(pending(&log).unwrap(), "{why}: the log was forgotten");
    };
    refused(vec![0; LEN], "another disk of the same size");
    refused(old[..LEN - 512].to_vec(), "a shorter disk");
    let mut touched = old.clone();
    touched[20_000] ^= 1;
    refused(touched, "a disk somebody wrote to meanwhile");
    // And the right one is not.
    let (disk, log) = (MemDisk::new(old), MemDisk::new(log.clone()));
    assert!(recover(&disk, &log, Limits::default()).unwrap());
    assert_eq!(disk.to_vec(), new);
}

#[test]
fn a_second_commit_does_not_bury_an_unfinished_one() {
    let (log, old, _) = interrupted();
    let edits = Overlay::new(Arc::new(MemDisk::new(old.clone())));
    edits.write_at(0, &[9]).unwrap();
    let (disk, log) = (MemDisk::new(old), MemDisk::new(log));
    let e = commit(&edits, &disk, &log).unwrap_err();
    assert_eq!(e.class(), Class::Invalid);
    assert!(e.advice().unwrap().contains("recover"));
}

#[test]
fn a_damaged_log_is_never_redone() {
    let (whole, old, new) = interrupted();
    let mut rng = Rng::new(3);
    for _ in 0..20_000 {
        let mut bytes = whole.clone();
        h2k_testkit::mutate::damage(&mut rng, &mut bytes, 0..whole.len());
        let cut = if rng.below(4) == 0 {
            rng.below(bytes.len() as u64) as usize
        } else {
            bytes.len()
        };
        bytes.truncate(cut);
        let same = bytes == whole;
        let disk = MemDisk::new(old.clone());
        let done = recover(&disk, &MemDisk::new(bytes), Limits::default());
        let now = disk.to_vec();
        match done {
            Ok(true) => assert!(same && now == new),
            Ok(false) | Err(_) => assert_eq!(now, old),
        }
    }
}

#[test]
fn a_file_that_is_no_log_is_no_work() {
    let disk = MemDisk::new(vec![0; 512]);
    for bytes in [vec![], vec![0; 10], vec![0; 4096], vec![0xff; 4096]] {
        assert!(!recover(&disk, &MemDisk::new(bytes), Limits::default()).unwrap());
    }
}

#[test]
fn zeros_of_any_length_cost_the_log_one_record() {
    let len = 1_u64 << 40;
    let below = Arc::new(
        h2k_block::Joined::new(vec![h2k_block::Part {
            disk: None,
            offset: 0,
            len,
        }])
        .unwrap(),
    );
    let edits = Overlay::new(below);
    edits.store_zeros(4096..len - 4096).unwrap();
    let log = MemDisk::default();
    /// Takes zeros and nothing else.
    struct Target(u64, std::sync::Mutex<Vec<std::ops::Range<u64>>>);
    impl BlockRead for Target {
        fn len(&self) -> u64 {
            self.0
        }
        fn fetch(&self, _: u64, buf: &mut [u8]) -> h2k_block::Result<()> {
            buf.fill(0);
            Ok(())
        }
    }
    impl BlockWrite for Target {
        fn store(&self, _: u64, _: &[u8]) -> h2k_block::Result<()> {
            panic!("only zeros were edited")
        }
        fn flush(&self) -> h2k_block::Result<()> {
            Ok(())
        }
        fn store_zeros(&self, range: std::ops::Range<u64>) -> h2k_block::Result<()> {
            self.1.lock().unwrap().push(range);
            Ok(())
        }
    }
    let target = Target(len, std::sync::Mutex::default());
    commit(&edits, &target, &log).unwrap();
    assert_eq!(
        target.1.lock().unwrap().as_slice(),
        std::slice::from_ref(&(4096..len - 4096))
    );
    assert!(log.len() < 200);
    log.set_len(0).unwrap();
}
