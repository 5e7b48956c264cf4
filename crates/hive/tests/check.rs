//! What the structural check says of each kind of damage, done to a hive that has none.

use crate::fixture::bytes;
use h2k_block::Limits;
use h2k_hive::{Hive, Severity};

/// The content of a cell in the file.
fn cell(id: u32) -> usize {
    4096 + id as usize + 4
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn set(bytes: &mut [u8], at: usize, new: u32) {
    bytes[at..at + 4].copy_from_slice(&new.to_le_bytes());
}

/// Where things lie in the hive.
struct Places {
    root: usize,
    data: usize,
    class: usize,
    four: usize,
    big: usize,
    leaf: usize,
    security: usize,
    other: usize,
}

impl Places {
    fn of(hive: &Hive) -> Self {
        let bytes = hive.bytes();
        let key = |path: &str| cell(hive.find(path).unwrap().unwrap().id());
        let value = |name: &str| {
            cell(
                hive.find("data")
                    .unwrap()
                    .unwrap()
                    .value(name)
                    .unwrap()
                    .unwrap()
                    .id(),
            )
        };
        // The index root's first leaf.
        let root = cell(word(bytes, key("list") + 28));
        Self {
            root: key(""),
            data: key("data"),
            class: key("Größe"),
            four: value("four"),
            big: value("40000"),
            leaf: cell(word(bytes, root + 4)),
            security: cell(word(bytes, key("") + 44)),
            other: cell(word(bytes, key("Ключ") + 44)),
        }
    }
}

/// The first free cell of the file: its size field.
fn free(bytes: &[u8]) -> usize {
    let mut at = 4096 + 32;
    while (word(bytes, at) as i32) < 0 {
        at += (word(bytes, at) as i32).unsigned_abs() as usize;
    }
    at
}

type Damage = fn(&mut Vec<u8>, &Places);

#[test]
fn each_kind_of_damage_is_found_and_named() {
    let clean = bytes("by-hand-1.5");
    let open = |bytes: Vec<u8>| Hive::open(bytes, &[], &Limits::default()).unwrap();
    let places = Places::of(&open(clean.clone()));
    let (error, leak, warning) = (Severity::Error, Severity::Leak, Severity::Warning);
    let cases: [(&str, Severity, Damage); 23] = [
        ("checksum", error, |b, _| b[508] ^= 1),
        ("a write was not finished", error, |b, _| b[4] ^= 1),
        ("references,", error, |b, p| b[p.security + 12] += 1),
        ("does not point back", error, |b, p| b[p.other + 8] ^= 8),
        ("not on the ring", error, |b, p| {
            for item in [p.security, p.other] {
                let own = (item - 4100) as u32;
                set(b, item + 4, own);
                set(b, item + 8, own);
            }
        }),
        ("a descriptor with", warning, |b, p| b[p.other + 20] = 2),
        ("a broken owner", warning, |b, p| b[p.other + 20 + 5] = 0xff),
        ("a descriptor of", error, |b, p| b[p.other + 18] = 1),
        ("comes behind", error, |b, p| {
            let (one, two) = (word(b, p.leaf + 4), word(b, p.leaf + 12));
            set(b, p.leaf + 4, two);
            set(b, p.leaf + 12, one);
        }),
        ("beside the name", error, |b, p| b[p.leaf + 8] ^= 1),
        ("a cell that is a key node already", error, |b, p| {
            let first = word(b, p.leaf + 4);
            set(b, p.leaf + 12, first);
        }),
        ("its lists have", error, |b, p| b[p.leaf + 2] -= 1),
        ("elements, the cell has room for", error, |b, p| b[p.leaf + 3] = 1),
        ("no allocated cell begins here", error, |b, p| b[p.root + 28] += 8),
        ("parent", error, |b, p| b[p.data + 16] ^= 8),
        ("more values than the cell has room for", error, |b, p| {
            b[p.data + 36] += 4
        }),
        ("a second value called", error, |b, p| {
            b[p.four + 20..p.four + 24].copy_from_slice(b"FIVE");
        }),
        ("a name with a backslash", warning, |b, p| b[p.data + 76] = b'\\'),
        ("bytes, the cell has", error, |b, p| b[p.class + 75] = 1),
        ("segments, expected", error, |b, p| {
            let record = cell(word(b, p.big + 8));
            b[record + 2] = 2;
        }),
        ("runs past its hive bin", error, |b, _| {
            let at = free(b);
            b[at + 1] += 0x10;
        }),
        ("that nothing uses", leak, |b, _| {
            let at = free(b);
            let size = word(b, at).wrapping_neg();
            set(b, at, size);
        }),
        ("two free cells side by side", warning, |b, _| {
            let at = free(b);
            let size = word(b, at);
            set(b, at, 16);
            set(b, at + 16, size - 16);
        }),
    ];
    for (message, severity, damage) in &cases {
        let mut bytes = clean.clone();
        damage(&mut bytes, &places);
        assert_ne!(bytes, clean, "{message}");
        let checked = open(bytes).check().unwrap();
        let found = checked
            .findings
            .iter()
            .any(|f| f.severity == *severity && f.message.contains(message));
        assert!(found, "{message}: {:#?}", checked.findings);
    }
}
