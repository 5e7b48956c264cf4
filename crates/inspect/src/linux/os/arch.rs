//! The processor a system's programs are made for, by the header of one of them.

use h2k_guest::{Fact, Look, Source};

/// Programs every system has one of. The last are for systems whose `/bin` is made when they start.
const PROGRAMS: &[&str] = &[
    "/bin/bash",
    "/bin/ls",
    "/bin/echo",
    "/bin/rm",
    "/bin/sh",
    "/usr/bin/bash",
    "/usr/bin/ls",
    "/usr/bin/sh",
    "/usr/lib/systemd/systemd",
    "/sbin/init",
    "/bin/busybox",
    "/nix/var/nix/profiles/system/sw/bin/bash",
    "/nix/var/nix/profiles/system/systemd/lib/systemd/systemd",
    "/bin/init",
];

pub(super) fn look(files: &Look<'_>) -> Option<Fact<String>> {
    PROGRAMS.iter().find_map(|path| {
        let head = files.head(path, 20)?;
        let machine = machine(&head)?;
        // What was read is what the links lead to.
        let place = files.canonical(path);
        let source = Source::file(place.as_deref().unwrap_or(path.as_bytes()));
        Some(Fact::new(machine, source))
    })
}

/// The machine an ELF header names, in libguestfs' words.
fn machine(head: &[u8]) -> Option<String> {
    let rest = head.strip_prefix(b"\x7fELF")?;
    let wide = *rest.first()? == 2;
    let little = match rest.get(1)? {
        1 => true,
        2 => false,
        _ => return None,
    };
    let pair = [*head.get(18)?, *head.get(19)?];
    let number = if little {
        u16::from_le_bytes(pair)
    } else {
        u16::from_be_bytes(pair)
    };
    let word = match (number, wide, little) {
        (2 | 18, ..) => "sparc",
        (3 | 6, ..) => "i386",
        (4, ..) => "m68k",
        (8, false, false) => "mips",
        (8, false, true) => "mipsel",
        (8, true, false) => "mips64",
        (8, true, true) => "mips64el",
        (15, ..) => "parisc",
        (20, ..) => "ppc",
        (21, _, false) => "ppc64",
        (21, _, true) => "ppc64le",
        (22, true, _) => "s390x",
        (22, false, _) => "s390",
        (40, ..) => "arm",
        (42, ..) => "sh",
        (43, ..) => "sparc64",
        (50, ..) => "ia64",
        (62, ..) => "x86_64",
        (183, ..) => "aarch64",
        (243, true, _) => "riscv64",
        (243, false, _) => "riscv32",
        (258, true, _) => "loongarch64",
        (0x9026, ..) => "alpha",
        _ => return Some(format!("elf-machine-{number}")),
    };
    Some(word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::machine;

    #[test]
    fn the_machine_is_read_in_the_order_of_bytes_the_header_has() {
        let elf = |class: u8, data: u8, machine: [u8; 2]| {
            let mut head = b"\x7fELF".to_vec();
            head.extend([class, data]);
            head.resize(18, 0);
            head.extend(machine);
            head
        };
        let cases = [
            (elf(2, 1, [62, 0]), "x86_64"),
            (elf(1, 1, [3, 0]), "i386"),
            (elf(2, 2, [0, 22]), "s390x"),
            (elf(1, 2, [0, 22]), "s390"),
            (elf(2, 1, [21, 0]), "ppc64le"),
            (elf(2, 2, [0, 21]), "ppc64"),
            (elf(2, 1, [2, 1]), "loongarch64"),
            (elf(2, 1, [0x77, 7]), "elf-machine-1911"),
        ];
        for (head, word) in cases {
            assert_eq!(machine(&head).as_deref(), Some(word));
        }
        assert_eq!(machine(b"#!/bin/sh\n          "), None);
        assert_eq!(machine(b"\x7fELF\x02\x01"), None);
        assert_eq!(machine(&elf(2, 3, [62, 0])), None);
    }
}
