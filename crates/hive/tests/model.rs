//! Random edits against a plain map, and what others read of the result.

use crate::fixture::bytes;
use crate::oracle::{Tree, agreed, ours, sound};
use h2k_hive::{Editor, Hive, Kind, Version, upcase};
use h2k_testkit::rng::Rng;

const NAMES: [&str; 14] = [
    "a",
    "B",
    "Name",
    "NAME",
    "größe",
    "GRÖßE",
    "Ключ",
    "ключ",
    "€uro",
    "x y",
    "123",
    "😀",
    "ÿ",
    "long name with many letters",
];

fn folded(name: &str) -> Vec<u16> {
    name.encode_utf16().map(upcase).collect()
}

/// The name under which the model holds what Windows would find as `name`.
fn spelled<'m>(names: impl Iterator<Item = &'m String>, name: &str) -> String {
    let wanted = folded(name);
    let mut names = names.filter(|n| folded(n) == wanted);
    names.next().map_or_else(|| name.to_owned(), Clone::clone)
}

/// A path as the model spells it, and itself and what is missing above it.
fn path(rng: &mut Rng, model: &Tree, depth: u64) -> Vec<String> {
    let mut at = String::new();
    let mut all = Vec::new();
    for _ in 0..=rng.below(depth) {
        let name = NAMES[rng.below(NAMES.len() as u64) as usize];
        let prefix = if at.is_empty() {
            String::new()
        } else {
            format!("{at}\\")
        };
        at = spelled(model.keys(), &format!("{prefix}{name}"));
        all.push(at.clone());
    }
    all
}

/// Another key's class or descriptor: nothing that the map knows of, but cells are taken, shared and given back.
fn attributes(rng: &mut Rng, edit: &mut Editor<'_>, key: &str) {
    let Some(id) = edit.find(key).unwrap() else { return };
    let root = edit.hive().root().unwrap().security().unwrap().unwrap();
    let descriptor = [root, &vec![7; rng.below(3) as usize * 4]].concat();
    if rng.below(2) == 0 || descriptor.len() > 1000 {
        let class = ["", "class", "Klasse ß", "Ж"][rng.below(4) as usize];
        edit.set_class(id, Some(class)).unwrap();
    } else {
        edit.set_security(id, &descriptor).unwrap();
    }
}

fn step(rng: &mut Rng, edit: &mut Editor<'_>, model: &mut Tree) {
    let way = path(rng, model, 4);
    let key = way.last().unwrap().clone();
    match rng.below(11) {
        10 => attributes(rng, edit, &key),
        0 => {
            let there = model.contains_key(&key);
            assert_eq!(edit.delete(&key.to_lowercase()).unwrap(), there);
            let below = format!("{key}\\");
            model.retain(|k, _| *k != key && !k.starts_with(&below));
        }
        1 | 2 => {
            let Some(id) = edit.hive().find(&key).unwrap().map(|k| k.id()) else {
                assert!(!model.contains_key(&key));
                return;
            };
            let name = NAMES[rng.below(NAMES.len() as u64) as usize];
            let values = model.get_mut(&key).unwrap();
            let name = spelled(values.keys(), name);
            assert_eq!(edit.unset(id, &name).unwrap(), values.remove(&name).is_some());
        }
        _ => {
            let id = edit.create(&key).unwrap();
            for step in way {
                model.entry(step).or_default();
            }
            let name = if rng.below(8) == 0 {
                ""
            } else {
                NAMES[rng.below(NAMES.len() as u64) as usize]
            };
            let values = model.get_mut(&key).unwrap();
            let name = spelled(values.keys(), name);
            let len = match rng.below(12) {
                0 => rng.below(60_000),
                1..4 => rng.below(5000),
                4..7 => rng.below(9),
                _ => rng.below(200),
            };
            let data: Vec<u8> = (0..len).map(|_| rng.below(256) as u8).collect();
            let kind = [1, 2, 3, 7, 0, 0x8000_0001][rng.below(6) as usize];
            edit.set(id, &name, Kind(kind), &data).unwrap();
            values.insert(name, (kind, data));
        }
    }
}

#[test]
fn random_edits_agree_with_a_plain_map_and_with_three_other_readers() {
    let blank = [Version::V1_3, Version::V1_5].map(|version| Hive::create(version, 1));
    let filled = ["by-hand-1.3", "by-hand-1.4", "by-hand-1.6"].map(|name| sound(&bytes(name)));
    for (seed, mut hive) in (1..).zip(blank.into_iter().chain(filled)) {
        let mut rng = Rng::new(seed);
        let mut model = ours(&hive);
        let mut largest = 0;
        for round in 0..40_u64 {
            let mut edit = hive.edit(1000 + round).unwrap();
            let before = model.clone();
            for _ in 0..60 {
                step(&mut rng, &mut edit, &mut model);
            }
            if round % 7 == 6 {
                // Taken back.
                drop(edit);
                model = before;
            } else {
                edit.finish();
            }
            let read = sound(hive.bytes());
            assert_eq!(ours(&read), model, "seed {seed}, round {round}");
            largest = largest.max(hive.bytes().len());
            if round % 26 == 12 {
                agreed(&read);
            }
            if round == 25 {
                let mut edit = hive.edit(5000).unwrap();
                let tops: Vec<String> = model
                    .keys()
                    .filter(|k| !k.is_empty() && !k.contains('\\'))
                    .cloned()
                    .collect();
                for top in tops {
                    assert!(edit.delete(&top).unwrap());
                }
                edit.finish();
                model = Tree::from([(String::new(), model.remove("").unwrap())]);
                let read = sound(hive.bytes());
                assert_eq!(ours(&read), model);
                assert_eq!(read.check().unwrap().securities, 1);
                assert!(
                    hive.bytes().len() < largest / 4,
                    "{} of {largest}",
                    hive.bytes().len()
                );
            }
        }
    }
}
