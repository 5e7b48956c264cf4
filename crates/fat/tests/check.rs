//! The structural check beside fsck.vfat, on damaged volumes; what writers leave is judged by both in `write`.

use crate::damage::sample;
use h2k_block::{Class, Findings, Limits, MemDisk, Severity};
use h2k_testkit::corpus::sparse_write;
use h2k_testkit::findings::words;
use h2k_testkit::mutate;
use h2k_testkit::oracle;
use h2k_testkit::rng::Rng;
use std::sync::Arc;

/// The three widths, and how many damages of each are shown to fsck.vfat.
const WIDTHS: [(&str, u64); 3] = [("12", 150), ("16", 150), ("32", 60)];

fn found(bytes: &[u8]) -> Findings {
    h2k_fat::check(Arc::new(MemDisk::new(bytes.to_vec())), &Limits::default()).unwrap()
}

/// What fsck.vfat judges wrong it exits with 1 for; where it does not, there may be warnings and nothing else.
#[test]
fn damages_are_found_where_fsck_vfat_finds_some() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("judged.img");
    let mut differ = Vec::new();
    let (mut sound, mut damaged) = (0, 0);
    for (bits, rounds) in WIDTHS {
        let whole = sample(bits);
        assert_eq!(words(&found(&whole)), [""; 0], "FAT{bits}");
        // Tables and directories: the files hold numbers.
        let text = |b: &u8| b.is_ascii_digit() || matches!(b, b'\n' | 0);
        let sectors = 0..whole.len() / 512;
        let live: Vec<usize> = sectors
            .filter(|n| !whole[n * 512..][..512].iter().all(text))
            .collect();
        let mut rng = Rng::new(u64::from(bits.as_bytes()[0]));
        for round in 0..rounds {
            let mut bytes = whole.clone();
            let at = live[rng.below(live.len() as u64) as usize] * 512;
            mutate::damage(&mut rng, &mut bytes, at..at + 512);
            if bytes == whole {
                continue;
            }
            sparse_write(&image, &bytes);
            let ran = oracle::run("fsck.vfat", &["-n", image.to_str().unwrap()]);
            let clean = ran.status.success();
            let ours = h2k_fat::check(Arc::new(MemDisk::new(bytes.clone())), &Limits::default());
            let agree = match &ours {
                Ok(ours) if clean => ours.is_clean(),
                Ok(ours) => *ours != Findings::default(),
                Err(e) => e.class() == Class::Unsupported,
            };
            sound += i32::from(clean);
            damaged += i32::from(!clean);
            if !agree {
                let at = bytes.iter().zip(&whole).position(|(a, b)| a != b);
                let said = String::from_utf8_lossy(&ran.stdout);
                let ours = ours.as_ref().map(words);
                differ.push(format!(
                    "FAT{bits} {round} {at:x?}: clean {clean}\n{said}\n{ours:#?}"
                ));
            }
        }
    }
    println!("{sound} sound, {damaged} damaged");
    assert!(
        differ.is_empty(),
        "{} differ: {}",
        differ.len(),
        differ.join("\n")
    );
    assert!(sound > 40 && damaged > 60, "{sound} {damaged}");
}

/// Where the first entry of the root directory called `name` lies.
fn entry(bytes: &[u8], name: &[u8; 11]) -> usize {
    let at = (0..bytes.len() / 32).find(|n| bytes[n * 32..].starts_with(name));
    at.unwrap() * 32
}

#[test]
fn each_damage_is_called_by_its_name() {
    let whole = sample("16");
    let fat = usize::from(u16::from_le_bytes([whole[14], whole[15]])) * 512;
    let len = usize::from(u16::from_le_bytes([whole[22], whole[23]])) * 512;
    let file = entry(&whole, b"NUMBERS    ");
    let first = usize::from(u16::from_le_bytes([whole[file + 26], whole[file + 27]]));
    let sub = entry(&whole, b".          ");
    type Change<'a> = &'a dyn Fn(&mut Vec<u8>);
    let link = |bytes: &mut Vec<u8>, cluster: usize, value: u16| {
        for table in [fat, fat + len] {
            bytes[table + cluster * 2..][..2].copy_from_slice(&value.to_le_bytes());
        }
    };
    let cases: [(&str, Severity, Change<'_>); 13] = [
        ("comes back", Severity::Error, &|b| {
            link(b, first + 2, first as u16)
        }),
        ("marked free", Severity::Error, &|b| link(b, first + 2, 0)),
        ("marked bad", Severity::Error, &|b| link(b, first + 2, 0xfff7)),
        ("goes to cluster", Severity::Error, &|b| {
            link(b, first + 2, 0xfff0)
        }),
        ("something else, too", Severity::Error, &|b| {
            let of_last = entry(b, b"THELAS~1   ");
            let other = u16::from_le_bytes([b[of_last + 26], b[of_last + 27]]);
            link(b, first + 2, other);
        }),
        ("needs", Severity::Error, &|b| b[file + 29] ^= 0x40),
        ("nothing uses it", Severity::Leak, &|b| link(b, 8000, 0xffff)),
        ("differs from the first", Severity::Error, &|b| {
            b[fat + len + first * 2] ^= 1
        }),
        ("is not . with", Severity::Error, &|b| b[sub + 26] ^= 1),
        ("is not .. with", Severity::Error, &|b| b[sub + 32 + 26] ^= 1),
        ("characters that none", Severity::Error, &|b| b[file + 1] = b'*'),
        ("not unmounted cleanly", Severity::Error, &|b| link(b, 1, 0x7fff)),
        ("checksum is not", Severity::Warning, &|b| {
            let at = entry(b, b"THELAS~1   ");
            b[at - 32 + 13] ^= 1;
        }),
    ];
    for (word, severity, change) in cases {
        let mut bytes = whole.clone();
        change(&mut bytes);
        let found = found(&bytes);
        let told = found
            .findings
            .iter()
            .any(|f| f.severity == severity && f.what.contains(word));
        assert!(told, "{word}: {:#?}", words(&found));
    }
}

#[test]
fn what_cannot_be_checked_is_said() {
    let mut bytes = sample("32");
    bytes[42] = 1;
    let e = h2k_fat::check(Arc::new(MemDisk::new(bytes)), &Limits::default()).unwrap_err();
    assert_eq!(e.class(), Class::Unsupported, "{e}");
    let mut bytes = sample("32");
    // The backup stands in for a boot sector that is none, and that is told; FSInfo counts wrongly.
    bytes[11] = 7;
    bytes[512 + 488] ^= 1;
    let told = words(&found(&bytes)).join("\n");
    assert!(
        told.contains("its backup was used") && told.contains("free clusters"),
        "{told}"
    );
    let nothing = found(&[0; 512]);
    assert_eq!(nothing.errors, 1);
    let limits = Limits {
        steps: 100,
        ..Limits::default()
    };
    let e = h2k_fat::check(Arc::new(MemDisk::new(sample("12"))), &limits).unwrap_err();
    assert_eq!(e.class(), Class::Limit);
}
