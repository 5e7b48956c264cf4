//! Indexes that depmod makes.

use h2k_block::{Limits, Meter};
use h2k_boot::kmod::Index;
use h2k_testkit::oracle;

/// A directory of modules: `b` needs what `a` has, both serve devices.
pub fn made() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let kernel = dir.path().join("lib/modules/1.0/kernel");
    std::fs::create_dir_all(&kernel).unwrap();
    let source = |name: &str, alias: &str, more: &str| {
        format!(
            "__attribute__((section(\".modinfo\"),used)) static const char n[]=\"name={name}\";\n\
             __attribute__((section(\".modinfo\"),used)) static const char l[]=\"alias={alias}\";\n{more}\n"
        )
    };
    let exports = "int shared(void){return 1;} extern int shared(void);\n\
        __attribute__((section(\"__ksymtab_strings\"),used)) static const char s[]=\"shared\";";
    let uses = "extern int shared(void); int other(void){return shared();}";
    for (name, alias, more) in [
        ("a-one", "virtio:d00000002v*", exports),
        ("b-two", "pci:v00001AF4d*sv*sd*bc*sc*i*", uses),
    ] {
        let c = dir.path().join(format!("{name}.c"));
        std::fs::write(&c, source(&name.replace('-', "_"), alias, more)).unwrap();
        let ko = kernel.join(format!("{name}.ko"));
        oracle::ok("cc", &["-c", "-o", ko.to_str().unwrap(), c.to_str().unwrap()]);
    }
    oracle::ok("depmod", &["-b", dir.path().to_str().unwrap(), "1.0"]);
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
