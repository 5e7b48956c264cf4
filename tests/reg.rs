//! The registry from the command line.

use crate::run::{changes, limited, names, run, struck};
use h2k_hive::{Hive, Kind, Version};
use h2k_testkit::oracle;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A hive with a control set, a key of many values, and what `Select` says.
fn hive(path: &Path) -> Vec<u8> {
    let mut hive = Hive::create(Version::V1_5, 0x01d0_0000_0000_0000);
    let mut edit = hive.edit(0x01d0_0000_0000_0001).unwrap();
    let select = edit.create("Select").unwrap();
    edit.set(select, "Current", Kind::DWORD, &[2, 0, 0, 0]).unwrap();
    let disk = edit.create("ControlSet002\\Services\\disk").unwrap();
    edit.set(disk, "Start", Kind::DWORD, &[3, 0, 0, 0]).unwrap();
    edit.set(disk, "", Kind::SZ, b"d\0\0\0").unwrap();
    edit.set(disk, "raw", Kind::BINARY, &[7; 20_000]).unwrap();
    edit.finish();
    std::fs::write(path, hive.bytes()).unwrap();
    hive.into_bytes()
}

/// One of the hives of the repository, or a log.
fn fixture(name: &str) -> Vec<u8> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/hives/regf");
    h2k_testkit::corpus::unzstd(&std::fs::read(home.join(format!("{name}.zst"))).unwrap())
}

#[test]
fn values_are_set_and_found_under_the_current_control_set() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("SYSTEM");
    hive(&file);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let reg = |args: &[&str]| run(dir.path(), &[&["reg"], args].concat());
    assert_eq!(
        reg(&["get", "SYSTEM:currentcontrolset\\SERVICES\\Disk", "start"])
            .good()
            .out,
        "3\n"
    );
    let set = ["set", "SYSTEM:CurrentControlSet\\Services\\viostor"];
    for (name, data, kind, shown) in [
        ("Start", &["0"][..], "dword", "0\n"),
        ("Tag", &["0x20"], "REG_DWORD", "32\n"),
        ("Q", &["18446744073709551615"], "qword", "18446744073709551615\n"),
        (
            "ImagePath",
            &["drivers\\viostor.sys"],
            "expand_sz",
            "drivers\\viostor.sys\n",
        ),
        ("Owners", &["a.inf", "b ü.inf"], "multi_sz", "a.inf\nb ü.inf\n"),
        ("Blob", &["00,ff 10"], "binary", "00ff10\n"),
        ("Odd", &["0102"], "0x80000001", "0102\n"),
        ("@", &["default"], "sz", "default\n"),
    ] {
        reg(&[&set[..], &[name], data, &["--type", kind]].concat()).good();
        assert_eq!(
            reg(&["get", "SYSTEM:ControlSet002\\Services\\viostor", name])
                .good()
                .out,
            shown,
            "{name}"
        );
    }
    assert_eq!(
        std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o640
    );
    let again = reg(&["set", set[1], "Tag", "32", "-t", "dword", "--json"])
        .good()
        .json();
    assert_eq!(again["changed"], false);
    let query = reg(&["query", "-r", "SYSTEM:ControlSet002", "--json"])
        .good()
        .json();
    assert_eq!(query["keys"].as_array().unwrap().len(), 4);
    assert_eq!(query["keys"][0]["subkeys"][0], "Services");
    reg(&["delete", set[1], "Blob"]).good();
    assert_eq!(reg(&["delete", set[1], "Blob"]).code, 1);
    reg(&["delete", set[1]]).good();
    assert_eq!(reg(&["query", set[1]]).code, 1);
    for bad in [
        &["set", "SYSTEM:k", "n", "x", "-t", "dword"][..],
        &["set", "SYSTEM:k", "n", "4294967296", "-t", "dword"],
        &["set", "SYSTEM:k", "n", "abc", "-t", "binary"],
        &["set", "SYSTEM:k", "n", "a", "b"],
        &["set", "SYSTEM:k", "n", "a", "-t", "nonsense"],
        &["delete", "SYSTEM:"],
    ] {
        assert_eq!(reg(bad).code, 2, "{bad:?}");
    }
    assert_eq!(reg(&["check", "SYSTEM"]).good().err, "");
    assert_eq!(names(dir.path()), ["SYSTEM"]);
}

#[test]
fn text_goes_out_and_in_and_differences_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let before = hive(&dir.path().join("a"));
    std::fs::write(dir.path().join("b"), Hive::create(Version::V1_3, 1).bytes()).unwrap();
    let reg = |args: &[&str]| run(dir.path(), &[&["reg"], args].concat());
    assert_eq!(reg(&["diff", "a", "a"]).code, 0);
    assert_eq!(reg(&["diff", "a", "b"]).code, 1);
    assert_eq!(reg(&["diff", "a", "none"]).code, 2);
    reg(&[
        "export",
        "a",
        "-o",
        "a.reg",
        "--prefix",
        "HKEY_LOCAL_MACHINE\\SYSTEM",
    ])
    .good();
    assert_eq!(
        std::fs::read(dir.path().join("a.reg")).unwrap()[..4],
        [0xff, 0xfe, b'W', 0]
    );
    assert_eq!(
        reg(&["export", "a", "-o", "a.reg"]).code,
        1,
        "it is there already"
    );
    assert_eq!(
        reg(&["import", "b", "a.reg"]).code,
        2,
        "nobody said what the root is called"
    );
    let done = reg(&["import", "b", "a.reg", "--prefix", "hklm\\system", "--json"])
        .good()
        .json();
    assert_eq!(
        (&done["keys-created"], &done["values-set"]),
        (&4.into(), &4.into())
    );
    assert_eq!(reg(&["diff", "a", "b"]).good().code, 0);
    reg(&["set", "b:Select", "Current", "1", "-t", "dword"]).good();
    let differences = reg(&["diff", "a", "b", "--json"]).json();
    assert_eq!(differences["differences"].as_array().unwrap().len(), 1);
    assert_eq!(differences["differences"][0]["change"], "value-changed");
    // Into another file the one that was named stays as it is.
    reg(&["delete", "a:Select", "-o", "c"]).good();
    assert!(std::fs::read(dir.path().join("a")).unwrap() == before);
    assert_eq!(reg(&["diff", "a", "c"]).code, 1);
    // The old form goes out and comes in too.
    reg(&["export", "a", "-o", "old.reg", "--regedit4"]).good();
    let old = std::fs::read(dir.path().join("old.reg")).unwrap();
    assert!(old.starts_with(b"REGEDIT4\r\n"), "{old:?}");
    std::fs::write(dir.path().join("e"), Hive::create(Version::V1_5, 1).bytes()).unwrap();
    reg(&["import", "e", "old.reg"]).good();
    assert_eq!(reg(&["diff", "a", "e"]).good().code, 0);
    // All of a text, or nothing.
    std::fs::write(
        dir.path().join("bad.reg"),
        "REGEDIT4\n[\\new]\n[other]\n\"x\"=hex:zz\n",
    )
    .unwrap();
    let bad = reg(&["import", "a", "bad.reg"]);
    assert_eq!(bad.code, 1);
    assert!(bad.err.contains("line 4"), "{}", bad.err);
    assert!(std::fs::read(dir.path().join("a")).unwrap() == before);
}

#[test]
fn a_change_that_does_not_come_to_its_end_leaves_the_hive_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let before = hive(&dir.path().join("SYSTEM"));
    // A file that may not grow beyond any length short of the whole one: the write fails at every place.
    for kib in 0..before.len() as u64 / 1024 {
        let ran = limited(
            dir.path(),
            kib * 1024,
            &["reg", "set", "SYSTEM:new\\key", "n", "v"],
        );
        assert_ne!(ran.code, 0, "{kib}");
        assert!(
            std::fs::read(dir.path().join("SYSTEM")).unwrap() == before,
            "{kib}"
        );
    }
    run(dir.path(), &["reg", "set", "SYSTEM:new\\key", "n", "v"]).good();
    assert_eq!(
        run(dir.path(), &["reg", "get", "SYSTEM:new\\key", "n"])
            .good()
            .out,
        "v\n"
    );
    assert_eq!(names(dir.path()), ["SYSTEM"]);
}

/// Whether the hive at `path` is the one after the change: one of the two it has to be, and whole.
fn is_new(path: &Path, before: &[u8]) -> bool {
    let bytes = std::fs::read(path).unwrap();
    if bytes == before {
        return false;
    }
    let hive = Hive::open(bytes, &[], &h2k_block::Limits::default()).unwrap();
    assert!(hive.check().unwrap().clean());
    assert_eq!(hive.facts().state, h2k_hive::State::Clean);
    assert!(hive.find("Select").unwrap().is_none());
    let new = hive.find("new\\key").unwrap().unwrap();
    assert_eq!(new.value("big").unwrap().unwrap().data().unwrap().len(), 3);
    true
}

#[test]
fn a_kill_or_a_failure_at_any_change_leaves_the_old_hive_or_the_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let file = dir.join("SYSTEM");
    let before = hive(&file);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(
        dir.join("a.reg"),
        "REGEDIT4\n[-\\Select]\n[\\new\\key]\n\"big\"=hex:01,02,03\n",
    )
    .unwrap();
    let import = ["reg", "import", "SYSTEM", "a.reg"];
    let Some(calls) = changes(dir, &import) else {
        return;
    };
    assert!(is_new(&file, &before));
    assert!(calls.len() >= 6, "{calls:?}");
    for what in ["signal=KILL", "error=EIO"] {
        let (mut old, mut new) = (0, 0);
        for call in &calls {
            std::fs::write(&file, &before).unwrap();
            let ran = struck(dir, call, what, &import);
            assert!(ran.code == -9 || what != "signal=KILL", "{call:?}: {ran:?}");
            let changed = is_new(&file, &before);
            assert!(changed || ran.code != 0, "{what} {call:?}: {ran:?}");
            (old, new) = (old + u32::from(!changed), new + u32::from(changed));
            if let Ok(part) = std::fs::metadata(dir.join("SYSTEM.part")) {
                assert_eq!(what, "signal=KILL", "{call:?}: a failure cleans up");
                assert!(
                    part.len() == 0 || part.permissions().mode() & 0o077 == 0,
                    "{call:?}"
                );
            }
            // Whatever was left behind does not hinder the next run.
            run(dir, &import).good();
            assert!(is_new(&file, &before));
            assert_eq!(names(dir), ["SYSTEM", "a.reg"], "{what} {call:?}");
        }
        assert!(old >= 3 && new >= 2, "{what}: {old} old, {new} new");
    }
}

#[test]
fn a_hive_in_the_middle_of_a_write_is_changed_with_its_logs_only() {
    let dir = tempfile::tempdir().unwrap();
    let mut logs = Vec::new();
    // Names differ in case: an archive or another system may have written them.
    for (from, to) in [
        ("", "SOFTWARE"),
        (".LOG1", "SOFTWARE.log1"),
        (".LOG2", "software.LOG2"),
    ] {
        let bytes = fixture(&format!("dirty-new{from}"));
        std::fs::write(dir.path().join(to), &bytes).unwrap();
        if !from.is_empty() {
            logs.push((to, bytes));
        }
    }
    std::fs::create_dir(dir.path().join("alone")).unwrap();
    std::fs::copy(dir.path().join("SOFTWARE"), dir.path().join("alone/SOFTWARE")).unwrap();
    let reg = |args: &[&str]| run(dir.path(), &[&["reg"], args].concat());
    assert_eq!(reg(&["check", "alone/SOFTWARE"]).code, 4);
    let refused = reg(&["set", "alone/SOFTWARE:k"]);
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("LOG1"), "{}", refused.err);
    reg(&["set", "alone/SOFTWARE:k", "--without-logs"]).good();
    assert_eq!(reg(&["check", "SOFTWARE", "--json"]).json()["state"], "recovered");
    reg(&["set", "SOFTWARE:k"]).good();
    assert_eq!(reg(&["check", "SOFTWARE", "--json"]).json()["state"], "clean");
    for (name, bytes) in logs {
        assert!(std::fs::read(dir.path().join(name)).unwrap() == bytes, "{name}");
    }
    // What the logs held is there, and stays there.
    let current = reg(&["get", "SOFTWARE:Select", "Current"]).good();
    assert_eq!((current.out.as_str(), current.err.as_str()), ("2\n", ""));
}

/// A volume that Windows XP could have been installed on, with a hive that was left in the middle of a write.
#[test]
fn a_hive_inside_a_guest_is_read_with_its_logs_and_the_guest_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("xp.img");
    let disk = image.to_str().unwrap();
    oracle::ok("mkfs.vfat", &["-C", disk, "4096"]);
    let config = "::Windows/System32/config";
    oracle::ok("mmd", &["-i", disk, "::Windows", "::Windows/System32", config]);
    let file = dir.path().join("file");
    for name in ["", ".LOG1", ".LOG2"] {
        std::fs::write(&file, fixture(&format!("dirty-new{name}"))).unwrap();
        let to = format!("{config}/SYSTEM{name}");
        oracle::ok("mcopy", &["-i", disk, file.to_str().unwrap(), &to]);
    }
    let before = std::fs::read(&image).unwrap();
    let reg = |args: &[&str]| run(dir.path(), &[&["reg"], args].concat());
    let current = reg(&["get", "xp.img:HKLM\\SYSTEM\\Select", "current"]).good();
    assert_eq!(current.out, "2\n");
    assert!(current.err.contains("2 entries"), "{}", current.err);
    // The log says which control set is the current one; names are told as the hive has them.
    let services = "xp.img:HKEY_LOCAL_MACHINE\\system\\currentcontrolset\\SERVICES";
    let query = reg(&["query", "--json", services]).good().json();
    assert_eq!(query["keys"][0]["key"], "ControlSet002\\Services");
    assert_eq!(query["keys"][0]["subkeys"][0], "disk");
    let text = reg(&["export", services]).good().out;
    assert!(
        text.contains("\\ControlSet002\\Services\\disk]\n\"Start\"=dword:00000000\n"),
        "{text}"
    );
    assert_eq!(reg(&["check", "xp.img:HKLM\\SYSTEM"]).code, 0);
    std::fs::write(dir.path().join("SYSTEM"), fixture("dirty-new")).unwrap();
    assert_eq!(
        reg(&["diff", "xp.img:HKLM\\SYSTEM", "SYSTEM"]).code,
        1,
        "without its logs"
    );
    std::fs::write(dir.path().join("SYSTEM.LOG1"), fixture("dirty-new.LOG1")).unwrap();
    std::fs::write(dir.path().join("SYSTEM.LOG2"), fixture("dirty-new.LOG2")).unwrap();
    reg(&["diff", "xp.img:HKLM\\SYSTEM", "SYSTEM"]).good();
    reg(&["diff", "xp.img:HKLM\\SYSTEM\\Select", "SYSTEM:Select"]).good();
    assert!(std::fs::read(&image).unwrap() == before);
}

#[test]
fn the_registry_of_a_guest_is_read_in_place_and_not_written() {
    let Some(shared) = h2k_testkit::corpus::shared() else {
        println!("skipped: no corpus");
        return;
    };
    let packed = std::fs::read(shared.join("guests/windows.img.zst")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("win.img");
    h2k_testkit::corpus::sparse_write(&image, &h2k_testkit::corpus::unzstd(&packed));
    let reg = |args: &[&str]| run(dir.path(), &[&["reg"], args].concat());
    let product = reg(&[
        "get",
        "win.img:HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion",
        "ProductName",
    ]);
    assert_eq!(product.good().out, "Microsoft Windows 7 Phony Edition\n");
    let text = reg(&["export", "win.img:HKLM\\SYSTEM\\Select"]).good().out;
    assert!(
        text.contains("[HKEY_LOCAL_MACHINE\\SYSTEM\\Select]\n\"Current\"=dword:00000001\n"),
        "{text}"
    );
    let set = reg(&["set", "win.img:HKLM\\SYSTEM\\Select", "x", "y", "--json"]);
    assert_eq!(
        (set.code, &set.json()["error"]["class"]),
        (1, &"unsupported".into())
    );
    assert_eq!(reg(&["query", "win.img:HKLM\\NONSENSE"]).code, 2);
    assert_eq!(reg(&["query", "win.img:HKLM\\COMPONENTS"]).code, 1);
}
