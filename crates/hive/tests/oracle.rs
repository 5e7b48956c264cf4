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

/// Class and owner by the path of their key; the empty class is none.
type Classes = BTreeMap<String, (String, String)>;

/// What regipy says is in `bytes`.
fn regipy(bytes: &[u8]) -> (Tree, Classes) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hive");
    std::fs::write(&file, bytes).unwrap();
    let text = oracle::python(include_str!("regipy_dump.py"), &[file.to_str().unwrap()]);
    let hex = |digits: &str| -> Vec<u8> {
        let pairs = digits.as_bytes().chunks(2);
        pairs
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    };
    let name = |digits: &str| String::from_utf8(hex(digits)).unwrap();
    let (mut tree, mut classes) = (Tree::new(), Classes::new());
    for line in text.lines() {
        match *line.split('\t').collect::<Vec<_>>() {
            ["K", path, class, owner] => {
                tree.insert(path.to_owned(), BTreeMap::new());
                classes.insert(path.to_owned(), (name(class), owner.to_owned()));
            }
            ["V", path, value, kind, data] => {
                let content = (kind.parse().unwrap(), hex(data));
                tree.get_mut(path).unwrap().insert(name(value), content);
            }
            _ => panic!("{line}"),
        }
    }
    (tree, classes)
}

/// A name as regipy has it: of one in Latin-1 it reads the ASCII alone.
fn ascii(name: &str) -> String {
    let latin = name.chars().all(|c| c <= 'ÿ');
    let shown = |c: char| if latin && !c.is_ascii() { '\u{fffd}' } else { c };
    name.chars().map(shown).collect()
}

/// `hive` is read alike here, by hivex, by reglookup and by regipy.
pub fn agreed(hive: &Hive) {
    let ours = ours(hive);
    assert_eq!(hivex(hive.bytes()), ours);
    let values = ours.values().map(BTreeMap::len).sum::<usize>();
    assert_eq!(reglookup(hive.bytes()), (ours.len(), values));
    let path = |path: &str| path.split('\\').map(ascii).collect::<Vec<_>>().join("\\");
    let (tree, classes) = regipy(hive.bytes());
    let named = ours.iter().map(|(key, values)| {
        let values = values
            .iter()
            .map(|(name, content)| (ascii(name), content.clone()));
        (path(key), values.collect())
    });
    assert_eq!(tree, named.collect::<Tree>());
    let named = ours.keys().map(|name| {
        let key = hive.find(name).unwrap().unwrap();
        let class = key.class().unwrap().unwrap_or_default();
        (path(name), (class, owner(key.security().unwrap().unwrap())))
    });
    assert_eq!(classes, named.collect());
}

/// The owner in a security descriptor, as people write it.
fn owner(descriptor: &[u8]) -> String {
    let word = |at: usize| u32::from_le_bytes(descriptor[at..at + 4].try_into().unwrap());
    let at = word(4) as usize;
    let subs = (0..usize::from(descriptor[at + 1])).map(|i| word(at + 8 + 4 * i).to_string());
    let subs: Vec<String> = subs.collect();
    format!("S-{}-{}-{}", descriptor[at], descriptor[at + 7], subs.join("-"))
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
