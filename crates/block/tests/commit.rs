//! A commit and the power failing at every step of it.

use h2k_block::{
    BlockRead, BlockWrite, Class, HostFile, Limits, Logged, MemDisk, Member, Overlay, commit, commit_all,
    logged, pending, recover, recover_all,
};
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

/// A second disk of another length, its edits, and the disk after them.
fn other() -> (Vec<u8>, Overlay, Vec<u8>) {
    let mut old = vec![0; 20_000];
    Rng::new(7).fill(&mut old);
    let overlay = Overlay::new(Arc::new(MemDisk::new(old.clone())));
    let mut new = old.clone();
    new[5_000..14_000].fill(9);
    overlay.write_at(5_000, &[9; 9_000]).unwrap();
    (old, overlay, new)
}

/// Disks with their edits: what they are before, and after.
type Disks = Vec<(Vec<u8>, Overlay, Vec<u8>)>;

fn committed(disks: &Disks, files: &[Volatile<'_>], log: &Volatile<'_>) -> bool {
    let names: [&[u8]; 2] = [b"first", b"second"];
    let members: Vec<Member<'_>> = disks
        .iter()
        .zip(files)
        .zip(names)
        .map(|(((_, edits, _), disk), name)| Member { edits, disk, name })
        .collect();
    match members.as_slice() {
        [one] => commit(one.edits, one.disk, log).is_ok(),
        all => commit_all(all, log).is_ok(),
    }
}

fn recovered<D: BlockWrite>(disks: &[D], log: &dyn HostFile) -> h2k_block::Result<bool> {
    let all: Vec<&dyn BlockWrite> = disks.iter().map(|disk| disk as &dyn BlockWrite).collect();
    recover_all(&all, log, Limits::default())
}

/// Cuts the power after every call of a commit, lets every flush-less write survive or vanish sector by sector,
/// cuts the power again while recovering, and finishes: all disks are old or all are new, and new once the log was
/// whole.
fn the_power_fails_at_every_step(disks: &Disks) {
    let mut rng = Rng::new(2);
    let (mut stayed_old, mut became_new, mut torn) = (0, 0, 0);
    let olds: Vec<Vec<u8>> = disks.iter().map(|(old, ..)| old.clone()).collect();
    let news: Vec<Vec<u8>> = disks.iter().map(|(.., new)| new.clone()).collect();
    for cut in 0..ENOUGH {
        let fuse = AtomicU64::new(cut);
        let files: Vec<Volatile<'_>> = olds.iter().map(|old| Volatile::new(old.clone(), &fuse)).collect();
        let log = Volatile::new(Vec::new(), &fuse);
        let finished = committed(disks, &files, &log);
        for round in 0..24 {
            let all = |of: bool| {
                files
                    .iter()
                    .map(|f| f.after_power_loss(|_| of))
                    .collect::<Vec<_>>()
            };
            let (mut left, mut log_left) = match round {
                0 => (all(true), log.after_power_loss(|_| true)),
                1 => (all(false), log.after_power_loss(|_| false)),
                2 => (all(false), log.after_power_loss(|_| true)),
                3 => (all(true), log.after_power_loss(|_| false)),
                _ => (
                    files.iter().map(|f| f.one_loss(&mut rng)).collect(),
                    log.one_loss(&mut rng),
                ),
            };
            // The recovery is interrupted as well, twice.
            for _ in 0..2 {
                let fuse = AtomicU64::new(rng.below(20));
                let files: Vec<Volatile<'_>> = left
                    .iter()
                    .map(|left| Volatile::new(left.clone(), &fuse))
                    .collect();
                let log = Volatile::new(log_left.clone(), &fuse);
                if recovered(&files, &log).is_ok() {
                    break;
                }
                left = files.iter().map(|f| f.one_loss(&mut rng)).collect();
                log_left = log.one_loss(&mut rng);
            }
            if left != olds && left != news {
                torn += 1;
            }
            let (files, log): (Vec<MemDisk>, _) = (
                left.into_iter().map(MemDisk::new).collect(),
                MemDisk::new(log_left),
            );
            recovered(&files, &log).unwrap();
            let now: Vec<Vec<u8>> = files.iter().map(MemDisk::to_vec).collect();
            assert!(
                now == olds || now == news,
                "cut after {cut} calls, round {round}: in between"
            );
            assert!(!finished || now == news, "a finished commit was undone");
            assert!(!pending(&log).unwrap());
            if now == news {
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

#[test]
fn the_power_may_fail_at_every_step() {
    the_power_fails_at_every_step(&vec![edited()]);
}

#[test]
fn the_power_may_fail_at_every_step_of_two_disks_that_change_together() {
    the_power_fails_at_every_step(&vec![edited(), other()]);
}

/// A log that passed the point of no return.
fn begun(disks: &Disks) -> Vec<u8> {
    for cut in 0..ENOUGH {
        let fuse = AtomicU64::new(cut);
        let files: Vec<Volatile<'_>> = disks
            .iter()
            .map(|(old, ..)| Volatile::new(old.clone(), &fuse))
            .collect();
        let log = Volatile::new(Vec::new(), &fuse);
        let _cut = committed(disks, &files, &log);
        let left = log.after_power_loss(|_| false);
        if pending(&MemDisk::new(left.clone())).unwrap() {
            return left;
        }
    }
    panic!("no commit passed the point of no return");
}

/// A log that passed the point of no return, the disk as it was before, and after.
fn interrupted() -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let disks = vec![edited()];
    let (old, _, new) = &disks[0];
    (begun(&disks), old.clone(), new.clone())
}

#[test]
fn a_log_of_several_disks_is_for_all_of_them() {
    let disks = vec![edited(), other()];
    let log = MemDisk::new(begun(&disks));
    let told = logged(&log, Limits::default()).unwrap().unwrap();
    let named = |name: &[u8], len: usize| Logged {
        name: name.to_vec(),
        len: len as u64,
    };
    assert_eq!(told, [named(b"first", LEN), named(b"second", 20_000)]);
    let of = |numbers: &[usize]| -> Vec<MemDisk> {
        numbers
            .iter()
            .map(|n| MemDisk::new(disks[*n].0.clone()))
            .collect()
    };
    for wrong in [vec![], vec![0], vec![1, 0], vec![0, 1, 1]] {
        let files = of(&wrong);
        let e = recovered(&files, &log).unwrap_err();
        assert_eq!(e.class(), Class::Invalid, "{wrong:?}: {e}");
        for (file, n) in files.iter().zip(&wrong) {
            assert!(file.to_vec() == disks[*n].0, "{wrong:?} was touched");
        }
    }
    let files = of(&[0, 1]);
    files[1].write_at(19_000, &[1]).unwrap();
    assert_eq!(recovered(&files, &log).unwrap_err().class(), Class::Invalid);
    assert!(
        files[0].to_vec() == disks[0].0,
        "one was redone without the other"
    );
    let files = of(&[0, 1]);
    assert!(recovered(&files, &log).unwrap());
    assert!(files[0].to_vec() == disks[0].2 && files[1].to_vec() == disks[1].2);
    assert_eq!(logged(&log, Limits::default()).unwrap(), None);
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
    let mut rng = Rng::new(3);
    for disks in [vec![edited()], vec![edited(), other()]] {
        let whole = begun(&disks);
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
            let files: Vec<MemDisk> = disks.iter().map(|(old, ..)| MemDisk::new(old.clone())).collect();
            let done = recovered(&files, &MemDisk::new(bytes));
            for (file, (old, _, new)) in files.iter().zip(&disks) {
                let now = file.to_vec();
                match done {
                    Ok(true) => assert!(same && now == *new),
                    Ok(false) | Err(_) => assert!(now == *old),
                }
            }
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
