//! Other programs' readings of a hive that was written here.

use h2k_hive::Hive;
use h2k_testkit::oracle;
use std::collections::BTreeMap;

/// A tree without times: values by the path of their key, kind and data by name. The root is the empty path.
pub type Tree = BTreeMap<String, BTreeMap<String, (u32, Vec<u8>)>>;

/// What `hivexregedit --export` says is in `bytes`.
pub fn hivex(bytes: &[u8]) -> Tree {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hive");
    std::fs::write(&file, bytes).unwrap();
    let path = file.to_str().unwrap();
    let text = oracle::ok("env", &["PERL_UNICODE=O", "hivexregedit", "--export", path, "\\"]);
    let mut tree = Tree::new();
    let mut key = String::new();
    for line in text.lines().skip(1).filter(|line| !line.is_empty()) {
        if let Some(path) = line.strip_prefix("[\\").and_then(|rest| rest.strip_suffix(']')) {
            key = path.to_owned();
            tree.insert(key.clone(), BTreeMap::new());
            continue;
        }
        let (name, rest) = match line.strip_prefix("@=") {
            Some(rest) => (String::new(), rest),
            None => {
                // The closing quote is the first that has no backslash before it.
                let (mut name, mut chars) = (String::new(), line[1..].char_indices());
                let end = loop {
                    match chars.next().unwrap() {
                        (_, '\\') => name.push(chars.next().unwrap().1),
                        (at, '"') => break at,
                        (_, c) => name.push(c),
                    }
                };
                (name, &line[end + 3..])
            }
        };
        let (kind, data) = if let Some(word) = rest.strip_prefix("dword:") {
            (4, u32::from_str_radix(word, 16).unwrap().to_le_bytes().to_vec())
        } else {
            let (kind, hex) = rest.strip_prefix("hex(").unwrap().split_once("):").unwrap();
            let hex = hex.split(',').filter(|pair| !pair.is_empty());
            let data = hex.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
            (u32::from_str_radix(kind, 16).unwrap(), data)
        };
        tree.get_mut(&key).unwrap().insert(name, (kind, data));
    }
    tree
}

/// How many keys and values `reglookup` finds in `bytes`.
pub fn reglookup(bytes: &[u8]) -> (usize, usize) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hive");
    std::fs::write(&file, bytes).unwrap();
    let text = oracle::ok("reglookup", &["-H", file.to_str().unwrap()]);
    let is_key = |line: &&str| line.split(',').nth(1) == Some("KEY");
    let keys = text.lines().filter(is_key).count();
    (keys, text.lines().count() - keys)
}

/// What this project's reader says is in `hive`.
pub fn ours(hive: &Hive) -> Tree {
    let mut tree = Tree::new();
    let root = hive.root().unwrap();
    hive.walk(root, &mut |visit| {
        let h2k_hive::Visit::Key(path, key) = visit else {
            panic!("{visit:?}")
        };
        let names = path.iter().skip(1).chain((!path.is_empty()).then_some(&key));
        let path = names.map(|k| k.name().to_string()).collect::<Vec<_>>().join("\\");
        let values = key.values().map(|value| {
            let value = value.unwrap();
            (
                value.name().to_string(),
                (value.kind().0, value.data().unwrap().into_owned()),
            )
        });
        tree.insert(path, values.collect());
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    tree
}

/// Nothing is wrong with the structure, and it opens as it is.
pub fn sound(bytes: &[u8]) -> Hive {
    let hive = Hive::open(bytes.to_vec(), &[], &h2k_block::Limits::default()).unwrap();
    let checked = hive.check().unwrap();
    assert!(
        checked.clean() && checked.warnings == 0,
        "{:#?}",
        checked.findings
    );
    assert_eq!(hive.facts().state, h2k_hive::State::Clean);
    hive
}
