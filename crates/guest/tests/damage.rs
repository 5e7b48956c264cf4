//! Damaged guests: an answer or an error, and nothing else.

use crate::door::{knock, knock_fstab};
use h2k_block::MemDisk;
use h2k_testkit::mutate::{Patched, damage};
use h2k_testkit::rng::Rng;
use std::path::Path;
use std::sync::Arc;

fn fixture() -> Vec<u8> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/guests/linux/sda.zst");
    h2k_testkit::corpus::unzstd(&std::fs::read(home).unwrap())
}

#[test]
fn a_damaged_disk_is_no_catastrophe() {
    let base = Arc::new(fixture());
    let live = Patched::live(&base);
    knock(Arc::new(MemDisk::new(base.to_vec())));
    let mut rng = Rng::new(0x6e57);
    for _ in 0..3000 {
        knock(Arc::new(Patched::new(&mut rng, &base, &live)));
    }
}

#[test]
fn a_damaged_fstab_is_no_catastrophe() {
    let text = b"UUID=1 /boot/efi vfat ro\n/dev/mapper/x /usr/efi ext4 subvol=a,subvolid=9\n/boot /boot/efi none bind\n\
                 x /dev/sda3 none luks\n/dev/disk/by-id/dm-name-x / auto\n/dev/nvme0n1p2 /usr auto defaults 0 0\n\
                 / /boot/efi none rbind\n/dev/disk/by-path/a-part2 /boot ext4\nLABEL=\"a\\040b\" swap swap\n";
    knock_fstab(text);
    let mut rng = Rng::new(0xf57a);
    for _ in 0..100_000 {
        let mut bytes = text.to_vec();
        let len = bytes.len();
        damage(&mut rng, &mut bytes, 0..len);
        knock_fstab(&bytes);
    }
}
