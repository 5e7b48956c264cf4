//! Files that are damaged at random: every fix answers, and what it changes once is left afterwards.

use crate::door::{FILES, guest, knock};
use crate::lab::Lab;
use h2k_testkit::rng::Rng;

fn damaged(rng: &mut Rng, text: &str) -> Vec<u8> {
    const PIECES: [&[u8]; 12] = [
        b"\"",
        b"'",
        b"\\",
        b"\n",
        b" ",
        b"#",
        b"=",
        b",",
        b"/dev/sda1",
        b"[",
        b"\xff\0",
        b"root=",
    ];
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..rng.below(4) {
        let at = usize::try_from(rng.below(bytes.len() as u64 + 1)).unwrap();
        let len = usize::try_from(rng.below(6)).unwrap().min(bytes.len() - at);
        let piece = PIECES[usize::try_from(rng.below(12)).unwrap()];
        let with = if rng.below(3) == 0 { &b""[..] } else { piece };
        bytes.splice(at..at + len, with.iter().copied());
    }
    bytes
}

#[test]
fn damaged_files_are_changed_once_at_most() {
    let mut rng = Rng::new(77);
    for round in 0..600 {
        let mut lab = guest();
        if round % 3 == 0 {
            lab.options.enable = vec!["linux.serial-console".to_owned()];
        }
        for (path, _, text) in FILES {
            let content = damaged(&mut rng, text);
            lab.fs.file(path, content).unwrap();
        }
        // Asks twice, and nothing may be left to do.
        lab.fix("linux");
    }
}

#[test]
fn each_of_a_hundred_thousand_damaged_files_is_changed_once_at_most() {
    let mut rng = Rng::new(78);
    for round in 0..100_000 {
        let number = round % FILES.len();
        let (.., text) = FILES[number];
        let mut bytes = vec![u8::try_from(number).unwrap()];
        bytes.extend(damaged(&mut rng, text));
        knock(&bytes);
    }
}

/// Files that say one thing very often: what is looked at again for each of many lines or words would never end.
#[test]
fn files_of_one_thing_over_and_over_are_looked_at_once() {
    let many = |n: u32, each: &dyn Fn(u32) -> String| (0..n).map(each).collect::<String>();
    let words = many(50_000, &|n| format!(" console=hvc{n}"));
    let files = [
        ("/boot/grub/grub.cfg", "\\\n".repeat(100_000)),
        (
            "/boot/grub2/grub.cfg",
            format!("linux /v root=/dev/sda1{words}\n"),
        ),
        ("/boot/grub2/custom.cfg", "set kernelopts=\"\n".repeat(4000)),
        (
            "/etc/fstab",
            many(10_000, &|n| format!("/dev/sdz{n} /m{n} ext4 defaults 0 0\n")),
        ),
        (
            "/etc/crypttab",
            format!(
                "a /dev/disk/by-path/{} /dev/disk/by-path/{}\n",
                "x",
                ":".repeat(50_000)
            ),
        ),
    ];
    for (path, text) in files {
        let begin = std::time::Instant::now();
        let mut lab = Lab::new(&[(path, &text)]);
        lab.disk("/dev/sda");
        let done = lab.fix("linux");
        assert!(!done.proposal.findings.is_empty(), "{path}");
        println!("{path}: {:?}", begin.elapsed());
    }
}
