//! What documents the program says what the program does.

use crate::run::{fields, names, run};
use std::path::Path;

const COMMANDS: &[&str] = &[
    "cat",
    "check",
    "checksum",
    "compare",
    "compare-vms",
    "completions",
    "convert",
    "copy-out",
    "create",
    "df",
    "digest",
    "doctor",
    "du",
    "filesystems",
    "find",
    "fix",
    "info",
    "inspect",
    "journal",
    "ls",
    "man",
    "map",
    "measure",
    "migrate",
    "partitions",
    "plan",
    "recover",
    "reg",
    "resize",
    "snapshot",
    "stat",
    "systemd",
    "tar-out",
    "tree",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_manual_pages_are_those_of_this_program() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), &["man", "--dir", "."]).good();
    let shipped = root().join("docs/man");
    assert_eq!(
        names(dir.path()),
        names(&shipped),
        "run: cargo run -- man --dir docs/man"
    );
    for name in names(&shipped) {
        let (new, old) = (
            std::fs::read(dir.path().join(&name)),
            std::fs::read(shipped.join(&name)),
        );
        assert!(
            new.unwrap() == old.unwrap(),
            "{name} is out of date; run: cargo run -- man --dir docs/man"
        );
    }
}

#[test]
fn every_command_has_help_and_a_manual_page() {
    let dir = tempfile::tempdir().unwrap();
    let overview = run(dir.path(), &["--help"]).good().out;
    for command in COMMANDS {
        assert!(
            overview.contains(&format!("\n  {command} ")),
            "{command} is not in the overview"
        );
        let help = run(dir.path(), &[command, "--help"]).good();
        assert!(help.out.contains("Usage: hyper2kvm"), "{help:?}");
        let page = run(dir.path(), &["man", command]).good();
        assert!(page.out.contains(".SH NAME"), "{page:?}");
    }
    assert_eq!(run(dir.path(), &["man", "nonsense"]).code, 2);
}

#[test]
fn completion_scripts_know_every_command_and_bash_accepts_its_own() {
    let dir = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(dir.path(), &["completions", shell]).good().out;
        for command in COMMANDS {
            assert!(script.contains(command), "{shell} does not know {command}");
        }
    }
    let script = run(dir.path(), &["completions", "bash"]).good().out;
    std::fs::write(dir.path().join("script"), script).unwrap();
    h2k_testkit::oracle::ok("bash", &["-n".into(), dir.path().join("script")]);
}

#[test]
fn usage_errors_end_with_code_2_and_print_nothing_to_standard_output() {
    let dir = tempfile::tempdir().unwrap();
    for args in [
        &["no-such-command"][..],
        &["convert", "only-one"],
        &["convert", "a", "b.qcow2", "--compress", "lzma"],
        &["convert", "a", "b.qcow2", "--compress", "zstd=99"],
        &["convert", "a", "b.qcow2", "--cluster-size", "lots"],
        &["convert", "a", "b.qcow2", "--shrink"],
        &["convert", "a", "b"],
        &["check", "--repair", "all", "a.qcow2"],
        &["create", "a.qcow2"],
        &["measure"],
    ] {
        let ran = run(dir.path(), args);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{args:?}: {ran:?}");
        assert!(ran.err.starts_with("error: "), "{ran:?}");
    }
}

#[test]
fn every_json_field_is_documented() {
    let page = std::fs::read_to_string(root().join("docs/json.md")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    crate::run::raw_disk(&dir.path().join("a.raw"), 4 << 20, 300_000, 1);
    crate::guest::fixture(dir.path());
    let hive = h2k_hive::Hive::create(h2k_hive::Version::V1_5, 1);
    std::fs::write(dir.path().join("blank"), hive.bytes()).unwrap();
    std::fs::write(dir.path().join("hive"), hive.bytes()).unwrap();
    std::fs::write(dir.path().join("a.reg"), "REGEDIT4\n[\\k]\n@=\"x\"\n").unwrap();
    let mut found = std::collections::BTreeSet::new();
    let reg = |args: &[&str]| run(dir.path(), &[&["reg"], args, &["--json"]].concat());
    fields(
        &reg(&["set", "hive:k", "n", "1", "--type", "dword"]).good().json(),
        &mut found,
    );
    fields(&reg(&["import", "hive", "a.reg"]).good().json(), &mut found);
    fields(&reg(&["query", "-r", "hive"]).good().json(), &mut found);
    fields(&reg(&["get", "hive:k", "n"]).good().json(), &mut found);
    fields(&reg(&["export", "hive"]).good().json(), &mut found);
    fields(&reg(&["check", "hive"]).good().json(), &mut found);
    fields(&reg(&["diff", "blank", "hive"]).json(), &mut found);
    fields(&reg(&["delete", "hive:k", "n"]).good().json(), &mut found);
    for args in [
        &["convert", "a.raw", "b.qcow2", "--digest", "blake3"][..],
        &["convert", "-n", "a.raw", "c.qcow2"],
        &["info", "b.qcow2"],
        &["map", "b.qcow2"],
        &["compare", "a.raw", "b.qcow2"],
        &["digest", "b.qcow2"],
        &["create", "d.qcow2", "1G"],
        &["measure", "a.raw"],
        &["check", "a.raw"],
        &["resize", "a.raw", "+1M"],
        &["recover", "a.raw"],
        &["snapshot", "list", "b.qcow2"],
        &["partitions", "sda.img", "sdb.img"],
        &["filesystems", "sda.img", "sdb.img"],
        &["ls", "-R", "-a", "sda.img", "-a", "sdb.img"],
        &["cat", "sda.img:/etc/fstab"],
        &["stat", "sda.img:/etc/hostname"],
        &["find", "sda.img:/etc"],
        &["tree", "sda.img:/"],
        &["df", "sda.img"],
        &["du", "sda.img:/"],
        &["checksum", "-r", "sda.img:/etc"],
        &["copy-out", "sda.img:/dev", "out"],
        &["tar-out", "sda.img:/etc", "etc.tar"],
        &["compare-vms", "sda.img,sdb.img"],
    ] {
        let args = [args, &["--json"]].concat();
        fields(&run(dir.path(), &args).good().json(), &mut found);
    }
    // The fixture is of several systems, none of which starts: what matters here is what is told of them.
    fields(
        &run(dir.path(), &["plan", "-a", "sda.img", "-a", "sdb.img", "--json"]).json(),
        &mut found,
    );
    let migrated = &[
        "migrate",
        "sda.img",
        "-o",
        "kvm",
        "--allow-partial",
        "--prove",
        "--json",
    ];
    fields(&run(dir.path(), migrated).good().json(), &mut found);
    let fixed = &[
        "fix",
        "sda.img",
        "--overlay",
        "over.qcow2",
        "--allow-partial",
        "--json",
    ];
    fields(&run(dir.path(), fixed).good().json(), &mut found);
    fields(&run(dir.path(), &["info", "none", "--json"]).json(), &mut found);
    for field in found {
        assert!(
            page.contains(&format!("`{field}`")),
            "docs/json.md does not explain {field}"
        );
    }
}

#[test]
fn the_example_of_a_configuration_configures_a_guest() {
    let page = std::fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let example = page
        .split("```yaml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    crate::guest::fixture(dir.path());
    std::fs::write(dir.path().join("guest.yaml"), example).unwrap();
    let plan = |config: &str| {
        run(
            dir.path(),
            &[
                "plan", "--json", "--config", config, "-a", "sda.img", "-a", "sdb.img",
            ],
        )
    };
    let document = plan("guest.yaml").json();
    let changes = document["systems"][0]["changes"].as_array().unwrap().clone();
    let paths: Vec<&str> = changes.iter().filter_map(|c| c["path"].as_str()).collect();
    for path in [
        "/etc/hostname",
        "/etc/hosts",
        "/etc/systemd/network/20-lan.network",
    ] {
        assert!(paths.iter().any(|p| p.starts_with(path)), "{path}: {document:#}");
    }
    std::fs::write(dir.path().join("wrong.yaml"), "configuration:\n  hostnme: x\n").unwrap();
    let refused = plan("wrong.yaml");
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.out.contains("hostnme"), "{refused:?}");
}
