//! Damaged files end in answers, soon and in bounded memory.

use crate::door::{cpio, knock};
use h2k_testkit::mutate::damage;
use h2k_testkit::rng::Rng;
use h2k_testkit::uki::uki;

/// A small image.
pub fn archive() -> Vec<u8> {
    cpio(&[
        ("conf/initramfs.conf", b"MODULES=most\n"),
        ("lib/modules/6/a.ko", b"elf"),
        ("lib/modules/6/modules.dep", b"a.ko:\n"),
    ])
}

const SCRIPT: &[u8] = b"set default=\"${saved}\"\nif [ x$a = xb ]; then set t=5; else set t=6; fi\n\
    menuentry 'One' --id one {\n linux /vmlinuz root=$r ro\n initrd /a /b\n}\n\
    submenu \"More\" {\n menuentry Two { linux /two; }\n}\nfunction f {\n set x=y\n}\nblscfg\n";

#[test]
fn a_hundred_thousand_mutations_end_in_answers() {
    let modules = crate::kmod::made();
    let index = std::fs::read(modules.path().join("lib/modules/1.0/modules.alias.bin")).unwrap();
    let archive = archive();
    let dep = std::fs::read(modules.path().join("lib/modules/1.0/modules.dep.bin")).unwrap();
    let tied = cpio(&[
        (
            "usr/lib/dracut/hooks/initqueue/finished/devexists-\\x2fdev\\x2fsda2.sh",
            b"[ -e x ]\n",
        ),
        ("etc/modprobe.d/x.conf", b"blacklist virtio_blk\n"),
        ("etc/cmdline.d/x.conf", b"root=/dev/sda1 resume=/dev/sda2\n"),
        ("etc/crypttab", b"a /dev/sda1 none luks\n"),
        ("usr/lib/modules/6/modules.dep.bin", &dep),
    ]);
    let seeds = [
        archive.clone(),
        tied,
        crate::common::packed("gzip", &["-n"], &archive),
        crate::common::packed("xz", &["--check=crc32"], &archive),
        crate::common::packed("xz", &["--format=lzma"], &archive),
        crate::common::packed("lz4", &["-l"], &archive),
        crate::common::packed("lzop", &[], &archive),
        crate::common::packed("zstd", &["-q"], &archive),
        index,
        SCRIPT.to_vec(),
        uki(&[(".uname", b"6.1"), (".linux", b"MZ"), (".initrd", &archive)]),
        crate::common::kernel("6.1.0 (x) #1"),
    ];
    for seed in &seeds {
        assert!(knock(seed) > 0, "the seeds are whole");
    }
    let mut rng = Rng::new(0x626f_6f74);
    let (mut good, mut bad) = (0, 0);
    for n in 0..100_000_usize {
        let mut bytes = seeds[n % seeds.len()].clone();
        let len = bytes.len();
        damage(&mut rng, &mut bytes, 0..len);
        match knock(&bytes) {
            0 => bad += 1,
            _ => good += 1,
        }
    }
    assert!(
        good > 1000 && bad > 1000,
        "{good} good, {bad} bad: the damage does not bite"
    );
}

#[test]
fn variables_that_double_each_other_stay_small() {
    let script = b"set a=0123456789\n".iter().copied();
    let script: Vec<u8> = script.chain(b"set a=\"$a$a$a$a\"\n".repeat(200)).collect();
    let text = h2k_guest::Text::new(b"x", &script);
    let read = h2k_boot::grub_script(&text, &[]);
    assert!(read.variables["a"].0.len() <= 4096);
}
