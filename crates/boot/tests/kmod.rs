//! Indexes that depmod makes.

use h2k_block::{Limits, Meter};
use h2k_boot::kmod::{Entries, Index};
use h2k_testkit::modules::{Driver, plant};
use h2k_testkit::oracle;
use h2k_testkit::rng::Rng;
use std::collections::BTreeMap;

/// A directory of modules: `b` needs what `a` has, both serve devices.
pub fn made() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let all: [Driver; 2] = [
        ("kernel/a-one.ko", "virtio:d00000002v*", &[]),
        ("kernel/b-two.ko", "pci:v00001AF4d*sv*sd*bc*sc*i*", &["a_one"]),
    ];
    plant(dir.path(), "1.0", &all);
    dir
}

fn index(dir: &tempfile::TempDir, name: &str) -> Index {
    let path = dir.path().join("lib/modules/1.0").join(name);
    Index::open(std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn an_index_has_what_the_text_beside_it_has() {
    let dir = made();
    let text = |name: &str| std::fs::read_to_string(dir.path().join("lib/modules/1.0").join(name)).unwrap();
    let mut lines = Vec::new();
    index(&dir, "modules.dep.bin")
        .all(&mut Meter::new(Limits::default()), &mut |key, values| {
            assert!(["a_one", "b_two"].contains(&key), "{key}");
            lines.extend(values.iter().map(|v| v.text.clone()));
        })
        .unwrap();
    lines.sort();
    let mut expected: Vec<String> = text("modules.dep").lines().map(str::to_owned).collect();
    expected.sort();
    assert_eq!(lines, expected);
    assert!(
        expected.iter().any(|l| l == "kernel/b-two.ko: kernel/a-one.ko"),
        "{expected:?}"
    );

    let mut aliases = Vec::new();
    index(&dir, "modules.alias.bin")
        .all(&mut Meter::new(Limits::default()), &mut |key, values| {
            aliases.extend(values.iter().map(|v| format!("alias {key} {}", v.text)));
        })
        .unwrap();
    aliases.sort();
    let alias = text("modules.alias");
    let mut expected: Vec<&str> = alias.lines().filter(|l| l.starts_with("alias")).collect();
    expected.sort_unstable();
    assert_eq!(aliases, expected);
}

#[test]
fn a_key_is_found_and_no_other() {
    let dir = made();
    let index = index(&dir, "modules.dep.bin");
    let found = index.get("b_two").unwrap();
    assert_eq!(found[0].text, "kernel/b-two.ko: kernel/a-one.ko");
    for key in ["b_tw", "b_two_", "", "zzz", "b-two"] {
        assert!(index.get(key).unwrap().is_empty(), "{key}");
    }
}

fn entries(index: &Index) -> Entries {
    Entries::of(index, &mut Meter::new(Limits::default())).unwrap()
}

#[test]
fn what_was_read_and_written_says_the_same() {
    let dir = made();
    for name in ["modules.dep.bin", "modules.alias.bin", "modules.symbols.bin"] {
        let bytes = std::fs::read(dir.path().join("lib/modules/1.0").join(name)).unwrap();
        let once = entries(&Index::open(bytes.clone()).unwrap());
        let written = once.to_bytes().unwrap();
        assert_eq!(entries(&Index::open(written.clone()).unwrap()), once, "{name}");
        assert!(
            written.len() <= bytes.len(),
            "{name}: more nodes than depmod needs"
        );
    }
}

#[test]
fn random_keys_are_found_again_and_no_others() {
    let mut rng = Rng::new(0x6b6d_6f64);
    for _ in 0..300 {
        let (mut all, mut model) = (Entries::default(), BTreeMap::<String, Vec<(u32, String)>>::new());
        for _ in 0..rng.below(60) {
            // Few letters, so that keys are beginnings of each other.
            let key: String = (0..rng.below(7))
                .map(|_| ['a', 'b', '*', ':', '\u{7f}'][rng.below(5) as usize])
                .collect();
            let (priority, text) = (rng.below(5) as u32, format!("v{}", rng.below(4)));
            all.add(&key, priority, &text);
            let values = model.entry(key).or_default();
            if values.iter().all(|v| v.1 != text) {
                values.push((priority, text));
                values.sort_by_key(|v| v.0);
            }
        }
        let index = Index::open(all.to_bytes().unwrap()).unwrap();
        assert_eq!(entries(&index), all);
        for (key, values) in &model {
            let found: Vec<_> = index
                .get(key)
                .unwrap()
                .into_iter()
                .map(|v| (v.priority, v.text))
                .collect();
            assert_eq!(&found, values, "{key:?}");
        }
        assert!(index.get("abz").unwrap().is_empty());
    }
}

#[test]
fn keys_that_kmod_could_not_ask_for_are_refused() {
    for key in ["ä", "a\0b", &"x".repeat(2000)] {
        let mut all = Entries::default();
        all.add(key, 0, "m");
        assert_eq!(all.to_bytes().unwrap_err().class(), h2k_block::Class::Unsupported);
    }
}

#[test]
fn modprobe_takes_what_was_merged() {
    let dir = made();
    let root = dir.path().to_str().unwrap();
    let below = dir.path().join("lib/modules/1.0");
    let add = |name: &str, edit: &dyn Fn(&mut Entries)| {
        let mut all = entries(&index(&dir, name));
        edit(&mut all);
        std::fs::write(below.join(name), all.to_bytes().unwrap()).unwrap();
    };
    std::fs::copy(below.join("kernel/b-two.ko"), below.join("kernel/c_three.ko")).unwrap();
    add("modules.dep.bin", &|all| {
        all.put("c_three", "kernel/c_three.ko: kernel/b-two.ko kernel/a-one.ko");
    });
    add("modules.alias.bin", &|all| {
        all.add("virtio:d00000008v*", 0, "c_three")
    });
    // The texts would say otherwise: kmod reads the other form.
    std::fs::remove_file(below.join("modules.dep")).unwrap();
    std::fs::remove_file(below.join("modules.alias")).unwrap();
    let said = oracle::ok(
        "modprobe",
        &["-d", root, "-S", "1.0", "--show-depends", "c_three"],
    );
    let said: Vec<_> = said
        .lines()
        .map(|l| l.trim().rsplit('/').next().unwrap())
        .collect();
    assert_eq!(said, ["a-one.ko", "b-two.ko", "c_three.ko"]);
    for (device, module) in [
        ("virtio:d00000008v00001AF4", "c_three"),
        ("virtio:d00000002v00001AF4", "a_one"),
        ("pci:v00001AF4d00001042sv00sd00bc00sc00i00", "b_two"),
    ] {
        let said = oracle::ok("modprobe", &["-d", root, "-S", "1.0", "-R", device]);
        assert_eq!(said.trim(), module);
    }
}

#[test]
fn texts_and_indexes_say_the_same() {
    let dir = made();
    let text = |name: &str| std::fs::read_to_string(dir.path().join("lib/modules/1.0").join(name)).unwrap();
    let lines = |text: &str| {
        let spoken = text.lines().filter(|l| !l.starts_with('#'));
        let mut lines: Vec<String> = spoken.map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let dep = entries(&index(&dir, "modules.dep.bin"));
    assert_eq!(lines(&dep.to_dependencies()), lines(&text("modules.dep")));
    let read = Entries::of_dependencies(&text("modules.dep"));
    assert_eq!(lines(&read.to_dependencies()), lines(&text("modules.dep")));
    let alias = entries(&index(&dir, "modules.alias.bin"));
    assert_eq!(lines(&alias.to_aliases()), lines(&text("modules.alias")));
    let read = Entries::of_aliases("# x\nalias a-b[0-9]-c d-e f\nalias a-b[0-9]-c other\n");
    let found: Vec<_> = read.get("a_b[0-9]_c").iter().map(|v| v.text.as_str()).collect();
    assert_eq!(found, ["d-e", "other"]);
}

#[test]
fn a_small_file_with_very_many_keys_costs_no_more_than_is_allowed() {
    let words = |all: &[u32]| all.iter().flat_map(|w| w.to_be_bytes()).collect::<Vec<u8>>();
    // Each node has a value and two children, which are one and the same: 2^40 keys.
    let mut bytes = words(&[0xb007_f457, 0x0002_0001, 0]);
    let mut below = 0;
    for _ in 0..40 {
        let at = bytes.len() as u32 | 0x6000_0000;
        bytes.extend(b"ab");
        bytes.extend(words(&[below, below, 1, 0]));
        bytes.extend(b"m\0");
        below = at;
    }
    bytes.splice(8..12, below.to_be_bytes());
    let limits = Limits {
        bytes: 1 << 20,
        ..Limits::default()
    };
    let error = Entries::of(&Index::open(bytes).unwrap(), &mut Meter::new(limits)).unwrap_err();
    assert_eq!(error.class(), h2k_block::Class::Limit);
}
