//! Edits: what others read of them, what they leave alone, what they take back.

use crate::dump::dump;
use crate::fixture::{VERSIONS, bytes, set};
use crate::oracle::{agreed, hivex, reglookup, sound};
use h2k_block::{Class, Limits};
use h2k_hive::{Hive, Kind, State, Version};
use h2k_testkit::corpus::corpus;
use std::ops::Range;

const NOW: u64 = 0x01da_0000_0000_0000;

fn new(version: Version) -> Hive {
    Hive::create(version, NOW)
}

/// Edits and seals.
fn edited(hive: &mut Hive, work: impl FnOnce(&mut h2k_hive::Editor<'_>)) {
    let mut edit = hive.edit(NOW + 1).unwrap();
    work(&mut edit);
    edit.finish();
}

#[test]
fn a_new_hive_is_one_that_others_read() {
    for version in [Version::V1_3, Version::V1_5] {
        let hive = new(version);
        sound(hive.bytes());
        assert_eq!(hive.bytes().len(), 8192);
        agreed(&hive);
        assert_eq!(reglookup(hive.bytes()).0, 1);
    }
}

#[test]
fn names_and_kinds_of_every_sort_are_read_the_same_by_others() {
    for version in [Version::V1_3, Version::V1_5] {
        let mut hive = new(version);
        edited(&mut hive, |edit| {
            for path in [
                "Software",
                "Software\\Größe",
                "Software\\Ключ",
                "Software\\😀 key",
                "a",
                "a\\b\\c\\d",
            ] {
                let key = edit.create(path).unwrap();
                edit.set(key, "", Kind::SZ, b"d\0e\0\0\0").unwrap();
                edit.set(key, "größe \"x\" \\ y", Kind::DWORD, &7_u32.to_le_bytes())
                    .unwrap();
                edit.set(key, "значение", Kind(0xffff_0011), b"").unwrap();
                edit.set(key, "five", Kind::BINARY, b"12345").unwrap();
                edit.set(key, "many", Kind::MULTI_SZ, &[b'm', 0].repeat(8000))
                    .unwrap();
            }
        });
        let read = sound(hive.bytes());
        agreed(&read);
        assert_eq!(reglookup(hive.bytes()), (9, 30));
        // In any case, as Windows folds it.
        assert!(read.find("SOFTWARE\\GRÖSSE").unwrap().is_none());
        let key = read.find("software\\GRÖßE").unwrap().unwrap();
        assert_eq!(key.value("ЗНАЧЕНИЕ").unwrap().unwrap().kind(), Kind(0xffff_0011));
        assert_eq!(key.written(), NOW + 1);
    }
}

#[test]
fn data_of_every_length_around_the_borders_comes_back() {
    for version in [Version::V1_3, Version::V1_5] {
        let mut hive = new(version);
        let lengths = [
            0,
            1,
            3,
            4,
            5,
            8,
            4096,
            16343,
            16344,
            16345,
            32688,
            32689,
            100_000,
            1 << 20,
        ];
        edited(&mut hive, |edit| {
            let key = edit.create("k").unwrap();
            for len in lengths {
                let data: Vec<u8> = (0..len).map(|i: usize| (i % 251) as u8).collect();
                edit.set(key, &format!("{len}"), Kind::BINARY, &data).unwrap();
            }
        });
        let read = sound(hive.bytes());
        agreed(&read);
        // From each length to each other one, and back to nothing: no cell is left behind.
        edited(&mut hive, |edit| {
            let key = edit.create("k").unwrap();
            for (i, len) in lengths.iter().enumerate() {
                let other = lengths[(i * 5 + 3) % lengths.len()];
                edit.set(key, &format!("{len}"), Kind::BINARY, &vec![0x5a; other])
                    .unwrap();
            }
        });
        let read = sound(hive.bytes());
        agreed(&read);
        edited(&mut hive, |edit| assert!(edit.delete("K").unwrap()));
        sound(hive.bytes());
        assert_eq!(hive.bytes().len(), 8192);
    }
    let mut hive = new(Version::V1_3);
    let mut edit = hive.edit(NOW).unwrap();
    let key = edit.create("k").unwrap();
    let e = edit
        .set(key, "large", Kind::BINARY, &vec![0; (1 << 20) + 1])
        .unwrap_err();
    assert_eq!(e.class(), Class::Unsupported);
}

#[test]
fn a_hive_grows_to_many_bins_and_lists_of_lists_and_shrinks_to_one_bin() {
    for version in [Version::V1_3, Version::V1_5] {
        let mut hive = new(version);
        edited(&mut hive, |edit| {
            // In an order that is neither up nor down.
            for i in 0..3000_u32 {
                let key = edit.create(&format!("list\\key {:04}", i * 7 % 3000)).unwrap();
                edit.set(key, "n", Kind::DWORD, &i.to_le_bytes()).unwrap();
            }
        });
        assert!(hive.bytes().len() > 40 * 4096);
        let read = sound(hive.bytes());
        let list = read.find("LIST").unwrap().unwrap();
        assert_eq!(list.subkeys().count(), 3000);
        assert!(list.subkey("KEY 2999").unwrap().is_some());
        agreed(&read);
        assert_eq!(reglookup(hive.bytes()), (3002, 3000));
        edited(&mut hive, |edit| {
            for i in (0..3000).filter(|i| i % 3 != 0) {
                assert!(edit.delete(&format!("list\\key {i:04}")).unwrap());
            }
        });
        let read = sound(hive.bytes());
        agreed(&read);
        edited(&mut hive, |edit| {
            assert!(!edit.delete("list\\key 0001").unwrap());
            for i in (0..3000).step_by(3) {
                assert!(edit.delete(&format!("list\\key {i:04}")).unwrap());
            }
        });
        let read = sound(hive.bytes());
        assert_eq!(read.find("list").unwrap().unwrap().subkey_count(), 0);
        assert_eq!(hive.bytes().len(), 8192);
    }
}

#[test]
fn classes_and_security_are_shared_counted_and_taken_back() {
    let mut hive = new(Version::V1_5);
    let before = hive.root().unwrap().security().unwrap().unwrap().to_vec();
    let other = [&before[..], &[1, 2, 3, 4]].concat();
    edited(&mut hive, |edit| {
        for path in ["a", "b", "c\\d"] {
            let key = edit.create(path).unwrap();
            edit.set_class(key, Some("Klasse ß")).unwrap();
            edit.set_security(key, &other).unwrap();
        }
        let key = edit.create("b").unwrap();
        edit.set_class(key, Some("")).unwrap();
    });
    let read = sound(hive.bytes());
    assert_eq!(read.check().unwrap().securities, 2);
    assert_eq!(
        read.find("a").unwrap().unwrap().class().unwrap().as_deref(),
        Some("Klasse ß")
    );
    assert_eq!(read.find("b").unwrap().unwrap().class().unwrap(), None);
    assert_eq!(
        read.find("c").unwrap().unwrap().security().unwrap(),
        Some(&before[..])
    );
    assert_eq!(
        read.find("c\\d").unwrap().unwrap().security().unwrap(),
        Some(&other[..])
    );
    agreed(&read);
    edited(&mut hive, |edit| {
        // A subkey of "a" shares what "a" has.
        edit.create("a\\new").unwrap();
        edit.delete("c").unwrap();
        let key = edit.create("b").unwrap();
        edit.set_security(key, &before).unwrap();
    });
    assert_eq!(sound(hive.bytes()).check().unwrap().securities, 2);
    edited(&mut hive, |edit| assert!(edit.delete("a").unwrap()));
    assert_eq!(sound(hive.bytes()).check().unwrap().securities, 1);
}

#[test]
fn what_is_not_sealed_or_fails_changes_nothing() {
    let mut hive = new(Version::V1_5);
    edited(&mut hive, |edit| {
        edit.create("a\\b").unwrap();
    });
    let before = hive.bytes().to_vec();
    {
        let mut edit = hive.edit(NOW + 9).unwrap();
        let key = edit.create("x\\y\\z").unwrap();
        edit.set(key, "v", Kind::BINARY, &[1; 50_000]).unwrap();
        edit.delete("a").unwrap();
    }
    assert!(hive.bytes() == before);
    // Asked twice for the same, the second time does nothing.
    let mut edit = hive.edit(NOW + 9).unwrap();
    edit.create("A\\B").unwrap();
    assert!(!edit.changed());
    edit.finish();
    assert!(hive.bytes() == before);
    // A failure in the middle: the second key's name is too long.
    let mut edit = hive.edit(NOW + 9).unwrap();
    let long = "n".repeat(256);
    assert_eq!(
        edit.create(&format!("new\\{long}")).unwrap_err().class(),
        Class::Invalid
    );
    assert_eq!(edit.delete("").unwrap_err().class(), Class::Invalid);
    assert!(!edit.changed());
    edit.create("new").unwrap();
    edit.finish();
    sound(hive.bytes());
}

#[test]
fn growth_ends_where_the_limits_do() {
    let hive = new(Version::V1_5);
    let limits = Limits {
        bytes: 64 << 10,
        ..Limits::default()
    };
    let mut hive = Hive::open(hive.into_bytes(), &[], &limits).unwrap();
    let before = hive.bytes().to_vec();
    let mut edit = hive.edit(NOW).unwrap();
    let root = edit.create("").unwrap();
    let e = edit.set(root, "v", Kind::BINARY, &[0; 100_000]).unwrap_err();
    assert_eq!(e.class(), Class::Limit);
    edit.finish();
    assert!(hive.bytes() == before);
}

#[test]
fn only_what_an_edit_means_changes() {
    let Some(corpus) = corpus() else { return };
    let case = corpus.below("hives/dissect/SYSTEM").next().unwrap();
    let before = corpus.bytes(case);
    let mut hive = Hive::open(before.clone(), &[], &Limits::default()).unwrap();
    let (key, value) = {
        let key = hive.find("ControlSet001\\Services\\Tcpip").unwrap().unwrap();
        (
            key.id() as usize,
            key.value("start").unwrap().unwrap().id() as usize,
        )
    };
    edited(&mut hive, |edit| {
        edit.set(key as u32, "Start", Kind::DWORD, &4_u32.to_le_bytes())
            .unwrap()
    });
    let after = hive.bytes();
    assert_eq!(before.len(), after.len());
    let changed: Vec<usize> = (0..before.len()).filter(|i| before[*i] != after[*i]).collect();
    for i in &changed {
        let data = 4096 + value + 4 + 8;
        let time = 4096 + key + 4 + 4;
        let head = [4..20, 508..512, 4096 + 20..4096 + 28];
        let meant = (data..data + 4).contains(i)
            || (time..time + 8).contains(i)
            || head.iter().any(|r| r.contains(i));
        assert!(meant, "{i:#x} changed");
    }
    assert!(changed.len() > 5);
}

/// What adding a key below the root may change: the base block's numbers, the root's node, its lists and its security
/// item, and free cells.
fn meant(hive: &Hive) -> Vec<Range<usize>> {
    let bytes = hive.bytes();
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let cell = |id: u32| {
        let at = 4096 + id as usize;
        at..at + (word(at) as i32).unsigned_abs() as usize
    };
    let root = cell(hive.root().unwrap().id());
    let mut all = vec![4..20, 40..44, 508..512, 4096 + 20..4096 + 28];
    let list = word(root.start + 32);
    if hive.root().unwrap().subkey_count() > 0 {
        let at = cell(list).start + 4;
        if bytes[at..at + 2] == *b"ri" {
            let count = usize::from(u16::from_le_bytes([bytes[at + 2], bytes[at + 3]]));
            all.extend((0..count).map(|i| cell(word(at + 4 + 4 * i))));
        }
        all.push(cell(list));
    }
    all.extend([cell(word(root.start + 48)), root]);
    // Bins and the cells in them.
    let end = (4096 + word(40) as usize).min(bytes.len());
    let mut bin = 4096;
    while bin < end {
        let (mut at, next) = (bin + 32, bin + word(bin + 8) as usize);
        while at < next {
            let len = (word(at) as i32).unsigned_abs() as usize;
            if word(at) as i32 > 0 {
                all.push(at..at + len);
            }
            at += len;
        }
        bin = next;
    }
    // What lies behind the bins is room to grow into.
    all.push(end..usize::MAX);
    all.sort_by_key(|range| range.start);
    all
}

/// Every byte outside of `meant` is what it was.
fn untouched(before: &[u8], after: &[u8], meant: &[Range<usize>], name: &str) {
    for (at, (a, b)) in before.iter().zip(after).enumerate() {
        let near = meant.partition_point(|range| range.start <= at);
        assert!(
            a == b || meant[..near].last().is_some_and(|range| range.contains(&at)),
            "{name}: {at:#x} changed"
        );
    }
}

/// Every hive of the corpus that is whole: something is added, read by hivex where that is quick, and removed again.
#[test]
fn hives_of_every_maker_are_edited_and_come_back() {
    let Some(corpus) = corpus() else { return };
    let mut count = 0;
    for case in corpus.below("hives/") {
        if !case.oracle["hive"]["dump_sha256"].is_string() || case.oracle["hive"]["dirty"] == true {
            continue;
        }
        let mut hive = Hive::open(corpus.bytes(case), &[], &Limits::default()).unwrap();
        let (before, was) = (dump(&hive), hive.check().unwrap());
        let old = hive.facts().sequence.0;
        let meant = meant(&hive);
        let old_bytes = hive.bytes().to_vec();
        edited(&mut hive, |edit| {
            for n in 0..40 {
                let key = edit.create(&format!("zz new\\{n} Ж")).unwrap();
                edit.set(key, "data", Kind::BINARY, &vec![n as u8; n * 700])
                    .unwrap();
            }
        });
        untouched(&old_bytes, hive.bytes(), &meant, &case.path);
        let facts = hive.facts();
        assert_eq!(facts.sequence, (old + 1, old + 1), "{}", case.path);
        let now = hive.check().unwrap();
        assert_eq!(
            (now.keys, now.values),
            (was.keys + 41, was.values + 40),
            "{}",
            case.path
        );
        assert_eq!(
            (now.errors, now.leaks),
            (was.errors, was.leaks),
            "{}: {:?}",
            case.path,
            now.findings
        );
        if was.keys < 100 && was.clean() && !case.path.contains("PairHive") {
            let theirs = hivex(hive.bytes());
            assert_eq!(theirs["zz new\\39 Ж"]["data"].1.len(), 39 * 700, "{}", case.path);
            if !case.path.contains("SAM_DUPENAME") {
                assert_eq!(theirs.len() as u64, now.keys, "{}", case.path);
            }
        }
        edited(&mut hive, |edit| assert!(edit.delete("ZZ NEW").unwrap()));
        let after = dump(&hive);
        let without_times = |text: &str| -> Vec<String> {
            let plain = |l: &str| l.strip_prefix("K\t\t").map_or(l.to_owned(), |_| "K".to_owned());
            text.lines().map(plain).collect()
        };
        assert_eq!(
            without_times(&after.text),
            without_times(&before.text),
            "{}",
            case.path
        );
        let now = hive.check().unwrap();
        assert_eq!(
            (now.errors, now.leaks),
            (was.errors, was.leaks),
            "{}: {:?}",
            case.path,
            now.findings
        );
        count += 1;
    }
    assert!(count >= 50, "{count}");
}

#[test]
fn every_version_and_kind_of_list_is_edited_and_read_the_same_by_others() {
    for (name, minor) in VERSIONS.into_iter().zip(3..) {
        let mut hive = sound(&bytes(name));
        let before = dump(&hive).text;
        let (meant, old) = (meant(&hive), hive.bytes().to_vec());
        edited(&mut hive, |edit| assert!(edit.create("new at the root").is_ok()));
        untouched(&old, hive.bytes(), &meant, name);
        edited(&mut hive, |edit| {
            // More than one leaf of any kind holds, before, between and behind what is there.
            for i in 0..1300_u32 {
                edit.create(&format!(
                    "list\\{} {:04}",
                    ["a", "key 1", "z"][i as usize % 3],
                    i * 7 % 1300
                ))
                .unwrap();
            }
            let data = edit.create("data").unwrap();
            for (name, len) in [
                ("40000", 16_344),
                ("16344", 40_000),
                ("16345", 3),
                ("four", 16_345),
            ] {
                edit.set(data, name, Kind::BINARY, &vec![minor as u8; len])
                    .unwrap();
            }
            let below = edit.create("ключ\\new").unwrap();
            edit.set_class(below, Some("Ж")).unwrap();
        });
        let read = sound(hive.bytes());
        assert_eq!(read.facts().version, (1, minor));
        agreed(&read);
        edited(&mut hive, |edit| {
            for i in 0..1300 {
                let path = format!("LIST\\{} {:04}", ["a", "key 1", "z"][i % 3], i * 7 % 1300);
                assert!(edit.delete(&path).unwrap(), "{path}");
            }
            for path in ["new at the root", "ключ\\new"] {
                assert!(edit.delete(path).unwrap());
            }
        });
        let read = sound(hive.bytes());
        let lines = |text: &str| -> Vec<String> {
            let keys = text.lines().filter(|line| line.starts_with("K\t"));
            keys.map(|line| line.rsplit_once('\t').unwrap().0.to_owned())
                .collect()
        };
        assert_eq!(lines(&dump(&read).text), lines(&before), "{name}");
    }
}

/// A dirty hive is written only with its logs, and then none of them ever applies again.
fn inert(name: &str, bytes: &[u8], logs: &[Vec<u8>]) {
    let logs: Vec<&[u8]> = logs.iter().map(Vec::as_slice).collect();
    let open = |bytes: &[u8], logs: &[&[u8]]| Hive::open(bytes.to_vec(), logs, &Limits::default()).unwrap();

    let e = open(bytes, &[]).edit(NOW).unwrap_err();
    assert_eq!(e.class(), Class::Invalid);
    assert!(e.advice().is_some());

    let mut hive = open(bytes, &logs);
    assert!(matches!(hive.facts().state, State::Recovered(_)));
    edited(&mut hive, |edit| {
        edit.create("written here").unwrap();
    });
    let ours = dump(&hive).text;
    assert_eq!(open(hive.bytes(), &logs).bytes(), hive.bytes(), "{name}");
    // Even where Windows dies in the middle of its next write.
    let mut dying = hive.bytes().to_vec();
    let primary = u32::from_le_bytes(dying[4..8].try_into().unwrap()) + 1;
    dying[4..8].copy_from_slice(&primary.to_le_bytes());
    let sum = dying[..508]
        .chunks(4)
        .fold(0, |s, c| s ^ u32::from_le_bytes(c.try_into().unwrap()));
    dying[508..512].copy_from_slice(&sum.to_le_bytes());
    let dying = open(&dying, &logs);
    assert_eq!(dying.facts().state, State::Dirty, "{name}");
    assert_eq!(dump(&dying).text, ours, "{name}");
}

#[test]
fn logs_are_inert_after_a_write() {
    for name in ["dirty-new", "dirty-old"] {
        let (hive, logs) = set(name);
        inert(name, &hive, &logs);
    }
    let Some(corpus) = corpus() else { return };
    for dir in [
        "hives/yarp/NewDirtyHive1/",
        "hives/yarp/OldDirtyHive/",
        "hives/regipy/transactions-dirty/",
    ] {
        let cases = corpus.below(dir).filter(|c| !c.path.contains("Recovered"));
        let (logs, hives): (Vec<_>, Vec<_>) = cases.partition(|c| c.path.to_lowercase().contains(".log"));
        let logs: Vec<Vec<u8>> = logs.into_iter().map(|c| corpus.bytes(c)).collect();
        inert(dir, &corpus.bytes(hives[0]), &logs);
    }
}

#[test]
fn a_dirty_hive_is_taken_as_it_is_when_somebody_says_so() {
    let Some(corpus) = corpus() else { return };
    let case = corpus.below("hives/regipy/SECURITY").next().unwrap();
    let mut hive = Hive::open(corpus.bytes(case), &[], &Limits::default()).unwrap();
    assert_eq!(hive.facts().state, State::Dirty);
    hive.accept();
    edited(&mut hive, |_| {});
    let read = sound(hive.bytes());
    assert_eq!(read.facts().sequence, (108, 108));
    assert_eq!(case.oracle["hive"]["keys"], read.check().unwrap().keys);
}
