//! The door hostile files come through: the same function serves the mutation tests and the fuzz target.

use h2k_block::{Limits, MemDisk, Meter};
use h2k_boot::kernel::KernelImage;
use h2k_boot::kmod::Index;
use h2k_boot::{GrubEnv, Initramfs, Uki, grub_script};
use h2k_guest::Text;

/// What hostile input may cost here.
pub const LIMITS: Limits = Limits {
    bytes: 4 << 20,
    steps: 20_000,
    depth: 16,
};

/// Reads `bytes` as everything that boots. Errors are the expected answer. Says how many answers were good.
pub fn knock(bytes: &[u8]) -> usize {
    let (_, errors) = Initramfs::read(&MemDisk::new(bytes.to_vec()), "x", &LIMITS);
    let mut good = usize::from(errors.is_empty());
    if let Ok(index) = Index::open(bytes.to_vec()) {
        let _ = index.get("virtio_blk");
        good += usize::from(index.all(&mut Meter::new(LIMITS), &mut |_, _| {}).is_ok());
    }
    good += usize::from(Uki::read(&MemDisk::new(bytes.to_vec())).is_ok());
    good += usize::from(KernelImage::read(bytes).release().is_some());
    let text = Text::new(b"x", bytes);
    let script = grub_script(&text, &[("a", "b")]);
    assert!(script.entries.len() <= 4096);
    let _ = GrubEnv::read(&text);
    good + script.entries.len()
}
