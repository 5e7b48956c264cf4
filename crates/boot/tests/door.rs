//! The door hostile files come through: the same function serves the mutation tests and the fuzz target.

use h2k_block::{Limits, MemDisk, Meter};
use h2k_boot::initramfs::segment::{Options, Outcome, plan};
use h2k_boot::kernel::KernelImage;
use h2k_boot::kmod::Index;
use h2k_boot::{GrubEnv, Initramfs, Uki, grub_script};
use h2k_fs::MemFs;
use h2k_guest::{Device, Guest, Look, Text, Tree};
use std::sync::Arc;

/// What hostile input may cost here.
pub const LIMITS: Limits = Limits {
    bytes: 4 << 20,
    steps: 20_000,
    depth: 16,
};

/// Reads `bytes` as everything that boots. Errors are the expected answer. Says how many answers were good.
pub fn knock(bytes: &[u8]) -> usize {
    let planned = usize::from(planned(bytes));
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
    good + script.entries.len() + planned
}

/// Plans what to put behind `bytes` as an image, or, where they are an index or a module, with them. Whatever it comes
/// to, an image that was added to has to be one that is read, and that needs nothing more.
pub fn planned(bytes: &[u8]) -> bool {
    let plain = cpio(&[("scripts/functions", b"")]);
    let image = if bytes.starts_with(&[0xb0, 7]) {
        &plain
    } else {
        bytes
    };
    let added = match outcome(image, bytes) {
        Outcome::Append(added) => added,
        Outcome::Capable => return true,
        Outcome::Cannot(_) => return false,
    };
    assert_eq!(added.old_length, image.len() as u64);
    let whole = [image, &added.bytes].concat();
    let again = outcome(&whole, bytes);
    let limit = matches!(again, Outcome::Cannot(_));
    assert!(
        again == Outcome::Capable || limit,
        "{added:?}\nand then {again:?}"
    );
    true
}

/// An archive of cpio, made by hand.
pub fn cpio(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, content) in files.iter().chain(&[("TRAILER!!!", &b""[..])]) {
        let numbers = [
            1,
            0o100_644,
            0,
            0,
            1,
            0,
            content.len(),
            0,
            0,
            0,
            0,
            name.len() + 1,
            0,
        ];
        out.extend(b"070701");
        out.extend(numbers.iter().flat_map(|n| format!("{n:08x}").into_bytes()));
        out.extend(name.bytes());
        out.push(0);
        out.resize(out.len().next_multiple_of(4), 0);
        out.extend(*content);
        out.resize(out.len().next_multiple_of(4), 0);
    }
    out
}

fn outcome(image: &[u8], index: &[u8]) -> Outcome {
    let mut fs = MemFs::new();
    let mut file = |path: &str, content: &[u8]| drop(fs.file(path, content.to_vec()));
    let mut kernel = vec![0; 0x900];
    kernel.splice(0x202..0x206, *b"HdrS");
    kernel.splice(0x20f..0x210, [6]);
    kernel.splice(0x800..0x804, *b"6 x\0");
    file("/boot/vmlinuz-6", &kernel);
    file("/boot/initrd.img-6", image);
    let names = ["virtio_pci", "virtio_blk", "virtio_scsi", "sd_mod"];
    let list: String = names.iter().map(|n| format!("kernel/{n}.ko:\n")).collect();
    file("/lib/modules/6/modules.dep", list.as_bytes());
    file("/lib/modules/6/modules.alias.bin", index);
    for name in names {
        file(&format!("/lib/modules/6/kernel/{name}.ko"), b"\x7fELF");
    }
    let tree = Tree::new("/dev/sda1", Arc::new(fs));
    let guest = Guest::of(vec![Device::with_fs("/dev/sda1", MemFs::new())], &LIMITS);
    let look = Look::new(&tree, &LIMITS);
    let (boot, _) = h2k_boot::read(&look, &guest);
    plan(&look, &boot.kernels[0], &Options::default())
}
