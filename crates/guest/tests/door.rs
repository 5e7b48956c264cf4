//! The door hostile guests come through: the same functions serve the mutation tests and the fuzz target.

use h2k_block::{BlockRead, Limits, Meter};
use h2k_fs::{FileKind, MemFs};
use h2k_guest::{Device, Guest, Next, Tree, Walk};
use h2k_volume::{Disk, scan};
use std::sync::Arc;

/// What hostile input may cost here.
pub const LIMITS: Limits = Limits {
    bytes: 16 << 20,
    steps: 20_000,
    depth: 16,
};

/// Puts the guest on `disk` together and asks everything of its first files. Errors are the expected answer.
pub fn knock(disk: Arc<dyn BlockRead>) {
    let Ok(volumes) = scan(&[Disk::new(0, disk)], &LIMITS) else {
        return;
    };
    let guest = Guest::new(&volumes, &LIMITS);
    for system in guest.systems().found {
        if let Ok(assembled) = guest.assemble(&system) {
            ask(&assembled.tree);
        }
    }
    if let Ok(assembled) = guest.root() {
        ask(&assembled.tree);
    }
}

/// The same for a guest whose fstab and crypttab say `text`.
pub fn knock_fstab(text: &[u8]) {
    let mut fs = MemFs::new();
    fs.file("/etc/fstab", text).unwrap();
    fs.file("/etc/crypttab", text).unwrap();
    fs.dir("/boot/efi").unwrap();
    fs.link("/usr", "boot").unwrap();
    let mut plain = Device::with_fs("/dev/mapper/luks-1", MemFs::new());
    plain.plain_of = Some("/dev/sda3".to_owned());
    let devices = vec![
        Device::with_fs("/dev/sda1", fs),
        Device::with_fs("/dev/sda2", MemFs::new()),
        Device::without_files("/dev/sda3", "crypto_LUKS"),
        plain,
    ];
    let guest = Guest::of(devices, &LIMITS);
    let assembled = guest.root().unwrap();
    assert!(assembled.tree.mounts().len() <= text.len() + 1);
    ask(&assembled.tree);
}

fn ask(tree: &Tree) {
    let mut left = 200;
    let mut buf = vec![0; 4096];
    let mut each = |visit: h2k_guest::Visit<'_>| {
        left -= 1;
        for name in visit.path.split(|b| *b == b'/') {
            assert!(
                !matches!(name, b"." | b"..") && !name.contains(&0),
                "{:?}",
                visit.path
            );
        }
        let mut meter = Meter::new(LIMITS);
        let _ = tree.lookup(visit.path, true, &mut meter);
        let _ = tree.xattrs(visit.place, &mut meter);
        match visit.stat {
            Ok(stat) if stat.kind == FileKind::Link => drop(tree.target(visit.place)),
            Ok(stat) if stat.kind == FileKind::File && stat.len > 0 => {
                let _ = tree.read_at(visit.place, 0, &mut buf);
                let _ = tree.extent_at(visit.place, 0, stat.len);
            }
            _ => {}
        }
        Ok(if left > 0 { Next::Enter } else { Next::Stop })
    };
    let _ = tree.walk(
        tree.root(),
        Walk::default(),
        &mut Meter::new(LIMITS),
        &mut each,
        &mut |_, _| {},
    );
}
