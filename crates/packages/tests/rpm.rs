//! rpm databases of all three forms as rpm lists them.

use crate::common::{clean, fixture, rpm_lines};
use h2k_block::{Class, Limits, MemDisk};
use h2k_fs::{FsFiles, MemFs};
use h2k_packages::{Database, Format, databases, rpm};

fn read(bytes: Vec<u8>) -> Database {
    rpm::read(&MemDisk::new(bytes), None, "/var/lib/rpm/x", &Limits::default())
}

fn listed() -> Vec<String> {
    String::from_utf8(fixture("rpm/packages.list"))
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

#[test]
fn all_three_forms_read_as_rpm_lists_them() {
    for (name, format) in [
        ("rpm/Packages.db", Format::RpmNdb),
        ("rpm/rpmdb.sqlite", Format::RpmSqlite),
        ("rpm/Packages-little", Format::RpmBerkeley),
        ("rpm/Packages-big", Format::RpmBerkeley),
    ] {
        let database = read(fixture(name));
        clean(&database);
        assert_eq!(database.format, format);
        assert_eq!(rpm_lines(&database), listed(), "{name}");
        let keys: Vec<_> = database
            .packages
            .iter()
            .filter(|p| p.key)
            .map(|p| &*p.name)
            .collect();
        assert_eq!(keys, ["gpg-pubkey"], "{name}");
    }
}

#[test]
fn older_and_newer_versions_of_berkeley_db_have_the_same_pages() {
    for version in [7_u8, 8, 10] {
        let mut bytes = fixture("rpm/Packages-little");
        bytes[16] = version;
        // Before version 9 the items of a page were not sorted, and its type was another.
        for page in bytes.chunks_mut(4096).filter(|page| page[25] == 13) {
            page[25] = 2;
        }
        assert_eq!(rpm_lines(&read(bytes)), listed(), "version {version}");
    }
    let mut bytes = fixture("rpm/Packages-big");
    bytes[19] = 6;
    assert_eq!(read(bytes).error.unwrap().class(), Class::Unsupported);
}

#[test]
fn a_berkeley_db_that_is_cut_short_gives_what_is_left() {
    let mut bytes = fixture("rpm/Packages-little");
    bytes.truncate(bytes.len() / 2);
    let database = read(bytes);
    assert!(database.error.is_none());
    assert_eq!(database.packages.len() + database.warnings.len(), 4);
    assert!(!database.packages.is_empty() && !database.warnings.is_empty());
}

#[test]
fn the_form_is_told_by_content_and_old_forms_beside_it_are_named() {
    let mut fs = MemFs::new();
    fs.file("/usr/lib/sysimage/rpm/rpmdb.sqlite", fixture("rpm/rpmdb.sqlite"))
        .unwrap();
    fs.file("/usr/lib/sysimage/rpm/Packages", fixture("rpm/Packages-big"))
        .unwrap();
    fs.link("/var/lib/rpm", "../../usr/lib/sysimage/rpm").unwrap();
    let found = databases(&FsFiles::new(&fs, Limits::default()), &Limits::default());
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].format, found[0].path.as_str()),
        (Format::RpmSqlite, "/var/lib/rpm/rpmdb.sqlite")
    );
    assert_eq!(found[0].packages.len(), 4);
    assert_eq!(&*found[0].packages[0].from, "/var/lib/rpm/rpmdb.sqlite");
    assert_eq!(found[0].warnings.len(), 1, "{:?}", found[0].warnings);

    let mut fs = MemFs::new();
    fs.file("/var/lib/rpm/Packages", fixture("rpm/Packages-big"))
        .unwrap();
    let found = databases(&FsFiles::new(&fs, Limits::default()), &Limits::default());
    assert_eq!(rpm_lines(&found[0]), listed());
}

#[test]
fn a_guest_without_packages_has_no_database() {
    let fs = MemFs::new();
    assert!(databases(&FsFiles::new(&fs, Limits::default()), &Limits::default()).is_empty());
}
