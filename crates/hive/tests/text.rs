//! Registry text: as regedit writes it, as hivexregedit reads and writes it, and there and back.

use crate::oracle::{hivex, ours};
use h2k_block::{Class, Limits};
use h2k_hive::{Action, Differs, Form, Hive, Kind, RegFile, Version};
use h2k_testkit::corpus::corpus;
use h2k_testkit::oracle;

fn blank() -> Hive {
    Hive::create(Version::V1_5, 1)
}

fn import(hive: &mut Hive, text: &[u8], prefix: &str) -> h2k_hive::Imported {
    let file = RegFile::parse(text, &Limits::default()).unwrap();
    let mut edit = hive.edit(1).unwrap();
    let done = file.apply(&mut edit, prefix).unwrap();
    edit.finish();
    done
}

fn same(a: &Hive, b: &Hive) {
    let differences = Hive::diff(a.root().unwrap(), b.root().unwrap(), &Limits::default()).unwrap();
    assert!(
        differences.is_empty(),
        "{:?}",
        &differences[..differences.len().min(3)]
    );
}

/// Folded as in the exports of Windows that people publish: after 25 bytes, and on the first line at the same column.
#[test]
fn a_value_is_written_as_regedit_writes_it() {
    let mut hive = blank();
    let path: Vec<u8> = "\\SystemRoot\\System32\\drivers\\viostor.sys\0"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let mut edit = hive.edit(1).unwrap();
    let key = edit.create("viostor").unwrap();
    edit.set(key, "ImagePath", Kind::EXPAND_SZ, &path).unwrap();
    edit.set(key, "", Kind::SZ, b"\"\0\\\0\0\0").unwrap();
    edit.set(key, "Start", Kind::DWORD, &0x1e_u32.to_le_bytes())
        .unwrap();
    edit.set(key, "odd", Kind::DWORD, &[1, 2]).unwrap();
    edit.set(key, "q", Kind::QWORD, &7_u64.to_le_bytes()).unwrap();
    edit.set(key, "none", Kind::NONE, b"").unwrap();
    edit.set(key, "lines", Kind::SZ, b"a\0\n\0\0\0").unwrap();
    edit.finish();
    let key = hive.find("viostor").unwrap().unwrap();
    let out = hive
        .export(key, "HKEY_LOCAL_MACHINE\\SYSTEM\\viostor", Form::Version5)
        .unwrap();
    let expected = "Windows Registry Editor Version 5.00\r\n\
        \r\n\
        [HKEY_LOCAL_MACHINE\\SYSTEM\\viostor]\r\n\
        \"ImagePath\"=hex(2):5c,00,53,00,79,00,73,00,74,00,65,00,6d,00,52,00,6f,00,6f,00,\\\r\n  \
        74,00,5c,00,53,00,79,00,73,00,74,00,65,00,6d,00,33,00,32,00,5c,00,64,00,72,\\\r\n  \
        00,69,00,76,00,65,00,72,00,73,00,5c,00,76,00,69,00,6f,00,73,00,74,00,6f,00,\\\r\n  \
        72,00,2e,00,73,00,79,00,73,00,00,00\r\n\
        @=\"\\\"\\\\\"\r\n\
        \"Start\"=dword:0000001e\r\n\
        \"odd\"=hex(4):01,02\r\n\
        \"q\"=hex(b):07,00,00,00,00,00,00,00\r\n\
        \"none\"=hex(0):\r\n\
        \"lines\"=hex(1):61,00,0a,00,00,00\r\n\
        \r\n";
    assert_eq!(out.text, expected);
    assert_eq!((out.keys, out.values, out.missing.len()), (1, 7, 0));
    assert!(out.text.lines().all(|line| line.len() <= 80));
    assert_eq!(out.bytes()[..4], [0xff, 0xfe, b'W', 0]);
}

#[test]
fn the_old_form_is_in_a_code_page_and_names_what_it_cannot_say() {
    let mut hive = blank();
    let wide = |text: &str| {
        text.encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect::<Vec<u8>>()
    };
    let mut edit = hive.edit(1).unwrap();
    let key = edit.create("Größe").unwrap();
    edit.set(key, "€", Kind::SZ, &wide("Ã¤\0")).unwrap();
    edit.set(key, "path", Kind::EXPAND_SZ, &wide("%a%\\ä\0")).unwrap();
    edit.set(key, "two", Kind::MULTI_SZ, &wide("a\0b\0\0")).unwrap();
    edit.set(key, "open", Kind::SZ, &wide("aa")).unwrap();
    edit.set(key, "bin", Kind::BINARY, &[0x80, 0]).unwrap();
    edit.set(key, "Ж", Kind::SZ, &wide("a\0")).unwrap();
    edit.set(key, "text", Kind::SZ, &wide("Ж\0")).unwrap();
    edit.set(key, "expand", Kind::EXPAND_SZ, &wide("Ж\0")).unwrap();
    edit.set(key, "half", Kind::MULTI_SZ, &[1, 2, 3]).unwrap();
    edit.create("Größe\\Ключ").unwrap();
    edit.finish();
    let out = hive
        .export(hive.root().unwrap(), "HKEY_CURRENT_USER", Form::Regedit4)
        .unwrap();
    let expected: &[u8] = b"REGEDIT4\r\n\r\n[HKEY_CURRENT_USER]\r\n\r\n[HKEY_CURRENT_USER\\Gr\xf6\xdfe]\r\n\
        \"\x80\"=\"\xc3\xa4\"\r\n\"path\"=hex(2):25,61,25,5c,e4,00\r\n\"two\"=hex(7):61,00,62,00,00\r\n\
        \"open\"=hex(1):61,61\r\n\"bin\"=hex:80,00\r\n\r\n";
    assert_eq!(out.bytes(), expected, "{}", out.text);
    assert_eq!((out.keys, out.values, out.missing.len()), (2, 5, 5));
    assert!(
        out.missing
            .iter()
            .all(|e| e.class() == Class::Unsupported && e.advice().is_some())
    );
    let mut back = blank();
    import(&mut back, &out.bytes(), "HKCU");
    let mut edit = hive.edit(2).unwrap();
    edit.delete("Größe\\Ключ").unwrap();
    for gone in ["Ж", "text", "expand", "half"] {
        assert!(edit.unset(key, gone).unwrap());
    }
    edit.finish();
    same(&hive, &back);
}

#[test]
fn what_people_and_tools_write_is_read() {
    let mut hive = blank();
    let text = "\u{feff}Windows Registry Editor Version 5.00\n; a comment\n\n\
        [HKEY_LOCAL_MACHINE\\SOFTWARE\\A [x]]\n\
        @=\"default\"\n  \"path\" = \"C:\\\\dir \\\"q\\\"\" ; behind\n\
        \"hex\"=hex:01,02,\\\n  03 ; three\n\"DW\"=DWORD:ff\n\"multi\"=hex(7):61,00,00,00,\\  \n\t00,00\n\
        \"two lines\"=\"a\nb\"\n\"e\"=hex:\n\"s\"=str(2):\"%x%\"\n\"gone\"=\"x\"\n\"gone\"=-\n\
        [HKLM\\software\\B]\n[-HKEY_LOCAL_MACHINE\\SOFTWARE\\B]\n";
    let done = import(&mut hive, text.as_bytes(), "HKEY_LOCAL_MACHINE\\Software");
    assert_eq!(
        (
            done.keys_created,
            done.keys_deleted,
            done.values_set,
            done.values_deleted
        ),
        (2, 1, 9, 1)
    );
    let key = hive.find("a [X]").unwrap().unwrap();
    assert_eq!(key.value("").unwrap().unwrap().text().unwrap(), "default");
    assert_eq!(
        key.value("PATH").unwrap().unwrap().text().unwrap(),
        "C:\\dir \"q\""
    );
    assert_eq!(*key.value("hex").unwrap().unwrap().data().unwrap(), [1, 2, 3]);
    assert_eq!(key.value("dw").unwrap().unwrap().number().unwrap(), Some(255));
    assert_eq!(key.value("multi").unwrap().unwrap().texts().unwrap(), ["a"]);
    assert_eq!(key.value("two lines").unwrap().unwrap().text().unwrap(), "a\nb");
    assert!(key.value("e").unwrap().unwrap().is_empty() && key.value("gone").unwrap().is_none());
    assert!(hive.find("B").unwrap().is_none());
    // The same again changes nothing but what was made to be deleted.
    let before = hive.bytes().to_vec();
    let again = import(&mut hive, text.as_bytes(), "HKLM\\Software");
    assert_eq!((again.keys_deleted, again.values_deleted), (1, 1));
    same(&hive, &Hive::open(before, &[], &Limits::default()).unwrap());

    // REGEDIT4: text in hexadecimal is in a code page too.
    let mut hive = blank();
    import(
        &mut hive,
        b"REGEDIT4\r\n\r\n[\\k]\r\n\"n\xe4me\"=\"\x80\"\r\n\"e\"=hex(2):80,00\r\n\"b\"=hex:80\r\n",
        "",
    );
    let key = hive.find("k").unwrap().unwrap();
    assert_eq!(key.value("näme").unwrap().unwrap().text().unwrap(), "€");
    assert_eq!(
        *key.value("e").unwrap().unwrap().data().unwrap(),
        [0xac, 0x20, 0, 0]
    );
    assert_eq!(*key.value("b").unwrap().unwrap().data().unwrap(), [0x80]);
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(
        RegFile::parse(&utf16, &Limits::default()).unwrap(),
        RegFile::parse(text.as_bytes(), &Limits::default()).unwrap()
    );
}

#[test]
fn what_means_nothing_is_refused_with_its_line() {
    let head = "Windows Registry Editor Version 5.00\n\n[k]\n";
    for (text, line) in [
        ("nonsense\n".to_owned(), 1),
        (format!("{head}\"a\"=hex:01,zz\n"), 4),
        (format!("{head}\"a\"=hex:123\n"), 4),
        (format!("{head}\"a\"=dword:123456789\n"), 4),
        (format!("{head}\n\n\"a\"=\"open\n"), 6),
        (format!("{head}\"a\" \"b\"\n"), 4),
        (format!("{head}a=1\n"), 4),
        (format!("{head}[open\n"), 4),
        (format!("{head}\"a\"=hex(x):00\n"), 4),
        ("REGEDIT4\n\"a\"=\"b\"\n".to_owned(), 2),
    ] {
        let e = RegFile::parse(text.as_bytes(), &Limits::default()).unwrap_err();
        assert_eq!(e.class(), Class::Corrupt, "{text}");
        assert!(e.sentence().starts_with(&format!("line {line}: ")), "{text}: {e}");
    }
    let file = RegFile::parse(format!("{head}\"v\"=-\n").as_bytes(), &Limits::default()).unwrap();
    assert_eq!(file.wishes[1].action, Action::Unset("v".into()));
    let mut hive = blank();
    let e = file
        .apply(&mut hive.edit(1).unwrap(), "HKLM\\SYSTEM")
        .unwrap_err();
    assert_eq!(e.class(), Class::Invalid);
    assert!(e.advice().unwrap().contains("--prefix"));
}

/// Ours to ours, ours to hivexregedit, hivexregedit's to ours.
#[test]
fn hives_of_the_corpus_go_through_text_and_come_back() {
    let Some(corpus) = corpus() else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    for (name, merged) in [
        ("hives/python-registry/UNICODE_TESTS", true),
        ("hives/hivex/special", false),
        ("hives/yarp/MultiSzHive", true),
        ("hives/yarp/StringValuesHive", true),
        ("hives/yarp/BigDataHive", true),
        ("hives/aiowinreg/win2019_64-sam", true),
        ("hives/ez/BCD", true),
        ("hives/colinfinck-testhive", false),
        ("hives/plaso/NTUSER-WIN7", false),
        ("hives/aiowinreg/nt-system", false),
    ] {
        let case = corpus.below(name).next().unwrap();
        let hive = Hive::open(corpus.bytes(case), &[], &Limits::default()).unwrap();
        let out = hive
            .export(hive.root().unwrap(), "HKEY_LOCAL_MACHINE\\X", Form::Version5)
            .unwrap();
        assert!(out.missing.is_empty(), "{name}: {:?}", out.missing);
        let mut back = blank();
        let done = import(&mut back, &out.bytes(), "HKLM\\X");
        assert_eq!(
            (done.keys_created + 1, done.values_set),
            (out.keys, out.values),
            "{name}"
        );
        let classless = |differs: &Differs| !matches!(differs, Differs::Class(..));
        let mut differences =
            Hive::diff(hive.root().unwrap(), back.root().unwrap(), &Limits::default()).unwrap();
        differences.retain(|difference| classless(&difference.what));
        assert!(differences.is_empty(), "{name}: {:?}", differences.first());
        if !merged {
            continue;
        }
        std::fs::write(path("in.hive"), blank().bytes()).unwrap();
        std::fs::write(path("ours.reg"), &out.text).unwrap();
        let args = [
            "PERL_UNICODE=SD",
            "hivexregedit",
            "--merge",
            "--encoding",
            "UTF-16LE",
            "--prefix",
            "HKEY_LOCAL_MACHINE\\X",
            &path("in.hive"),
            &path("ours.reg"),
        ];
        oracle::ok("env", &args);
        // hivex hashes names beyond ASCII otherwise than Windows; only the content counts here.
        let theirs = std::fs::read(path("in.hive")).unwrap();
        let theirs = Hive::open(theirs, &[], &Limits::default()).unwrap();
        assert_eq!(ours(&theirs), ours(&back), "{name}");

        std::fs::write(path("x.hive"), corpus.bytes(case)).unwrap();
        let args = [
            "PERL_UNICODE=O",
            "hivexregedit",
            "--export",
            &path("x.hive"),
            "\\",
        ];
        let text = oracle::ok("env", &args);
        let mut from_theirs = blank();
        import(&mut from_theirs, text.as_bytes(), "");
        assert_eq!(ours(&from_theirs), ours(&back), "{name}");
        assert_eq!(hivex(from_theirs.bytes()), ours(&back), "{name}");
    }
}

#[test]
fn differences_are_named_and_only_they() {
    let mut a = blank();
    import(
        &mut a,
        b"REGEDIT4\n[\\same]\n\"v\"=dword:1\n[\\old\\below]\n[\\x]\n\"gone\"=\"1\"\n\"Changed\"=\"1\"\n",
        "",
    );
    let mut b = blank();
    import(
        &mut b,
        b"REGEDIT4\n[\\SAME]\n\"V\"=dword:1\n[\\x]\n\"CHANGED\"=\"2\"\n\"new\"=dword:2\n[\\x\\n]\n@=\"d\"\n",
        "",
    );
    let mut edit = b.edit(2).unwrap();
    let key = edit.create("same").unwrap();
    edit.set_class(key, Some("c")).unwrap();
    edit.finish();
    let all = Hive::diff(a.root().unwrap(), b.root().unwrap(), &Limits::default()).unwrap();
    let text = |t: &str| {
        (
            Kind::SZ,
            t.encode_utf16()
                .chain([0])
                .flat_map(u16::to_le_bytes)
                .collect::<Vec<u8>>(),
        )
    };
    let names: Vec<_> = all.iter().map(|d| (d.key.as_str(), &d.what)).collect();
    assert_eq!(
        names,
        [
            ("old", &Differs::KeyRemoved),
            ("same", &Differs::Class(None, Some("c".into()))),
            (
                "x",
                &Differs::Value("Changed".into(), Some(text("1")), Some(text("2")))
            ),
            ("x", &Differs::Value("gone".into(), Some(text("1")), None)),
            (
                "x",
                &Differs::Value("new".into(), None, Some((Kind::DWORD, vec![2, 0, 0, 0])))
            ),
            ("x\\n", &Differs::KeyAdded),
            ("x\\n", &Differs::Value(String::new(), None, Some(text("d")))),
        ]
    );
    same(&a, &a);
}

#[test]
fn the_current_control_set_is_the_one_that_select_names() {
    let Some(corpus) = corpus() else { return };
    let case = corpus.below("hives/dissect/SYSTEM").next().unwrap();
    let hive = Hive::open(corpus.bytes(case), &[], &Limits::default()).unwrap();
    assert_eq!(hive.control_set().unwrap().as_deref(), Some("ControlSet001"));
    assert_eq!(
        hive.resolve("currentcontrolset\\Services").unwrap(),
        "ControlSet001\\Services"
    );
    assert_eq!(hive.resolve("Select").unwrap(), "Select");
    assert_eq!(
        blank().resolve("CurrentControlSet\\x").unwrap(),
        "CurrentControlSet\\x"
    );
}
