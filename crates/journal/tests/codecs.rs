//! Values compressed as older systems did it: xz and LZ4. No program here writes such journals any more, but
//! journalctl still reads them; so values of a journal are packed in place, and journalctl is asked.

use crate::common::{FORMS, journalctl, many, open_bytes, ours, same, write};
use h2k_journal::{Journal, Query};
use h2k_testkit::oracle;
use std::path::Path;

/// Packs one payload.
type Pack<'a> = dyn Fn(&[u8]) -> Vec<u8> + 'a;

fn le64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// Walks the objects of an uncompressed journal and packs every value of more than 512 bytes.
fn repack(bytes: &mut [u8], flag: u8, pack: &Pack<'_>) -> usize {
    let tail = le64(bytes, 136) as usize;
    let mut at = le64(bytes, 88) as usize;
    let mut count = 0;
    while at <= tail {
        let size = le64(bytes, at + 8) as usize;
        if bytes[at] == 1 && size > 64 + 512 {
            let packed = pack(&bytes[at + 64..at + size]);
            if packed.len() + 64 < size {
                bytes[at + 64..at + 64 + packed.len()].copy_from_slice(&packed);
                bytes[at + 1] = flag;
                bytes[at + 8..at + 16].copy_from_slice(&(64 + packed.len() as u64).to_le_bytes());
                count += 1;
            }
        }
        at += size.next_multiple_of(8);
    }
    // The header's bits are 1, 2 and 8 where an object's are 1, 2 and 4.
    bytes[12] = if flag == 4 { 8 } else { flag };
    count
}

/// Output of a program that packs the file it is given.
fn packed(dir: &Path, payload: &[u8], program: &str, args: &[&str]) -> Vec<u8> {
    let path = dir.join("payload");
    std::fs::write(&path, payload).unwrap();
    let out = oracle::run(program, &[args, &[path.to_str().unwrap()]].concat());
    assert!(out.status.success());
    out.stdout
}

#[test]
fn xz_lz4_and_zstd_values_read_as_journalctl_reads_them() {
    let dir = tempfile::tempdir().unwrap();
    let plain = dir.path().join("plain.journal");
    write(&plain, &many(7, 1, 120, 1_700_000_000_000_000), FORMS[0]);
    let bytes = std::fs::read(&plain).unwrap();
    let want = journalctl(&[plain], &[]);
    let lz4 = |payload: &[u8]| {
        let block = lz4_flex::block::compress(payload);
        [(payload.len() as u64).to_le_bytes().as_slice(), &block].concat()
    };
    let xz = |payload: &[u8]| packed(dir.path(), payload, "xz", &["-c", "-0", "--check=none"]);
    let zstd = |payload: &[u8]| packed(dir.path(), payload, "zstd", &["-c", "-q"]);
    let cases: [(&str, u8, &Pack<'_>); 3] = [("xz", 1, &xz), ("lz4", 2, &lz4), ("zstd", 4, &zstd)];
    for (name, flag, pack) in cases {
        let mut bytes = bytes.clone();
        assert!(repack(&mut bytes, flag, pack) >= 10, "{name}");
        let path = dir.path().join(format!("{name}.journal"));
        std::fs::write(&path, &bytes).unwrap();
        same(&journalctl(&[path], &[]), &want, &format!("journalctl on {name}"));
        let journal = Journal::new(vec![open_bytes(bytes)]);
        same(&ours(&journal, &Query::all()), &want, name);
        // Through the hash table too: the payload is unpacked before it is compared.
        let long = "compress me 22 ".repeat(300);
        assert_eq!(
            journal.entries(&Query::all().with("LONG", long)).count(),
            1,
            "{name}"
        );
    }
}
