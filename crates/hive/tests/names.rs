//! Upper case as Windows has it.

use h2k_hive::upcase;

/// `$UpCase` of a volume that another program formatted holds the same table.
#[test]
fn the_table_is_that_of_ntfs() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("volume");
    std::fs::File::create(&image).unwrap().set_len(4 << 20).unwrap();
    let volume = image.to_str().unwrap();
    h2k_testkit::oracle::ok("mkntfs", &["-F", "-Q", "-q", volume]);
    let out = h2k_testkit::oracle::run("ntfscat", &["-f", "-i", "10", volume]);
    assert_eq!(
        out.stdout.len(),
        131_072,
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    for (unit, upper) in (0..=u16::MAX).zip(out.stdout.chunks(2)) {
        let expected = u16::from_le_bytes([upper[0], upper[1]]);
        assert_eq!(upcase(unit), expected, "U+{unit:04X}");
    }
}

#[test]
fn what_unicode_folds_and_windows_does_not_stays_apart() {
    for c in ['ß', 'ŉ', 'ǰ', 'İ', 'ﬁ'] {
        assert_eq!(upcase(c as u16), c as u16, "{c}");
    }
    assert_eq!(upcase('ÿ' as u16), 'Ÿ' as u16);
    assert_eq!(upcase('я' as u16), 'Я' as u16);
}
