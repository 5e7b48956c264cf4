//! Databases that rpm and SQLite make now.

use crate::common::{RPM_FORMAT, clean, fixtures, rpm_lines};
use h2k_block::{Limits, MemDisk};
use h2k_packages::rpm;
use h2k_testkit::oracle;
use std::path::Path;

fn rpm_says(db: &Path) -> Vec<String> {
    let db = db.to_str().unwrap();
    let said = oracle::ok("rpm", &["--dbpath", db, "-qa", "--qf", RPM_FORMAT]);
    let mut lines: Vec<_> = said.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Three packages, built and put into a database by rpm.
fn made(dir: &Path) -> std::path::PathBuf {
    let script = fixtures().join("make/rpms.sh");
    oracle::ok("sh", &[script.to_str().unwrap(), dir.to_str().unwrap()]);
    let db = dir.join("db");
    let mut args = [
        "--dbpath",
        db.to_str().unwrap(),
        "-i",
        "--nodeps",
        "--justdb",
        "--noscripts",
    ]
    .map(str::to_owned)
    .to_vec();
    args.extend(["--ignorearch", "--nodigest", "--nosignature"].map(str::to_owned));
    for name in ["alpha", "beta", "gamma"] {
        args.push(dir.join(format!("rpms/{name}.rpm")).to_str().unwrap().to_owned());
    }
    oracle::ok("rpm", &args);
    db
}

#[test]
fn what_rpm_installs_is_listed_as_rpm_lists_it() {
    let dir = tempfile::tempdir().unwrap();
    let db = made(dir.path());
    let bytes = std::fs::read(db.join("rpmdb.sqlite")).unwrap();
    let wal = std::fs::read(db.join("rpmdb.sqlite-wal")).unwrap_or_default();
    let database = rpm::read(
        &MemDisk::new(bytes),
        Some(&MemDisk::new(wal)),
        "/p",
        &Limits::default(),
    );
    clean(&database);
    assert_eq!(database.packages.len(), 3);
    assert_eq!(rpm_lines(&database), rpm_says(&db));
    let db = db.to_str().unwrap();
    let said = oracle::ok(
        "rpm",
        &["--dbpath", db, "-qa", "--qf", "%{NAME}|%{DESCRIPTION}=END="],
    );
    let mut theirs: Vec<_> = said.split_terminator("=END=").collect();
    let mut ours: Vec<_> = database
        .packages
        .iter()
        .map(|p| format!("{}|{}", p.name, p.description.as_deref().unwrap()))
        .collect();
    theirs.sort_unstable();
    ours.sort();
    assert_eq!(ours, theirs);
}

/// SQLite's shell runs `sql` on a copy of the fixture in write-ahead mode, and copies database and log while both are
/// open; then the log is read with the database, as after a crash.
#[test]
fn a_log_that_was_not_checkpointed_belongs_to_the_database() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("a"), crate::common::fixture("rpm/rpmdb.sqlite")).unwrap();
    let copy = format!(
        ".shell cp {} {}\n.shell cp {}-wal {}",
        path("a"),
        path("b"),
        path("a"),
        path("b-wal")
    );
    let session = [
        "pragma journal_mode=wal; pragma wal_autocheckpoint=0;",
        "delete from Packages where hnum = 1;",
        "insert into Packages(blob) select blob from Packages where hnum > 1;",
        "begin; delete from Packages; rollback;",
        "update Packages set blob = x'00' where hnum = 2;",
        &copy,
    ]
    .join("\n");
    let script = dir.path().join("session.sql");
    std::fs::write(&script, session).unwrap();
    oracle::ok("sqlite3", &[path("a"), format!(".read {}", script.display())]);
    let [bytes, wal] = ["b", "b-wal"].map(|name| std::fs::read(path(name)).unwrap());
    assert!(wal.len() > 4096);

    // What SQLite itself sees of the copies.
    let said = oracle::ok(
        "sqlite3",
        &[path("b"), "select hnum, length(blob) from Packages".to_owned()],
    );
    let rows = said.lines().count();
    let with = rpm::read(
        &MemDisk::new(bytes.clone()),
        Some(&MemDisk::new(wal.clone())),
        "/p",
        &Limits::default(),
    );
    // One row was made unreadable: it is the only warning.
    assert_eq!(
        (with.packages.len() + 1, with.warnings.len()),
        (rows, 1),
        "{:?}",
        with.warnings
    );
    let without = rpm::read(&MemDisk::new(bytes.clone()), None, "/p", &Limits::default());
    assert_eq!(without.packages.len(), 4);

    // A log that ends in the middle of its last transaction gives the state before.
    let page = 4096 + 24;
    let frames = (wal.len() - 32) / page;
    let cut = wal[..32 + (frames - 1) * page + 100].to_vec();
    let before = rpm::read(
        &MemDisk::new(bytes.clone()),
        Some(&MemDisk::new(cut)),
        "/p",
        &Limits::default(),
    );
    assert!(before.error.is_none());
    assert!(before.warnings.is_empty(), "{:?}", before.warnings);
    assert_eq!(before.packages.len(), rows);

    // A log of another database is left out, and said to be.
    let mut other = wal;
    other[9] = 0x20;
    let database = rpm::read(
        &MemDisk::new(bytes),
        Some(&MemDisk::new(other)),
        "/p",
        &Limits::default(),
    );
    assert_eq!((database.packages.len(), database.warnings.len()), (4, 1));
}

/// Records of every length around the borders of what fits into a leaf, with several page sizes.
#[test]
fn records_at_every_border_of_a_page_are_whole() {
    let dir = tempfile::tempdir().unwrap();
    for (page, reach) in [(512, 1600), (1024, 2200), (65536, 300)] {
        let path = dir.path().join(format!("{page}")).to_str().unwrap().to_owned();
        // Headers with name and version behind `n` bytes of padding.
        let mut script = format!(
            "pragma page_size={page}; create table Packages(hnum integer primary key, blob blob not null);begin;\n"
        );
        let mut want = Vec::new();
        for n in (0..reach).chain([60_000, 70_000, 200_000]) {
            let mut blob = vec![0, 0, 0, 2];
            blob.extend((4 + n as u32).to_be_bytes());
            for (tag, at) in [(1000_u32, n as u32), (1001, n as u32 + 2)] {
                for field in [tag, 6, at, 1] {
                    blob.extend(field.to_be_bytes());
                }
            }
            blob.extend(vec![b'x'; n]);
            blob.extend(b"n\x001\x00");
            let hex: String = blob.iter().map(|b| format!("{b:02x}")).collect();
            script += &format!("insert into Packages values({}, x'{hex}');\n", want.len() + 1);
            want.push(n);
        }
        script += "commit;";
        let file = dir.path().join("script.sql");
        std::fs::write(&file, script).unwrap();
        oracle::ok("sqlite3", &[path.clone(), format!(".read {}", file.display())]);
        let bytes = std::fs::read(&path).unwrap();
        let database = rpm::read(&MemDisk::new(bytes), None, "/p", &Limits::default());
        clean(&database);
        assert_eq!(database.packages.len(), want.len(), "pages of {page}");
        assert!(
            database
                .packages
                .iter()
                .all(|p| p.name == "n" && p.version == "1")
        );
    }
}

/// rpm reads Berkeley DB still, without writing it.
#[test]
fn rpm_reads_the_same_in_berkeley_db() {
    for name in ["rpm/Packages-little", "rpm/Packages-big"] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("Packages"), crate::common::fixture(name)).unwrap();
        let db = dir.path().to_str().unwrap();
        let said = oracle::ok(
            "rpm",
            &[
                "--define",
                "_db_backend bdb_ro",
                "--dbpath",
                db,
                "-qa",
                "--qf",
                RPM_FORMAT,
            ],
        );
        let mut lines: Vec<_> = said.lines().map(str::to_owned).collect();
        lines.sort();
        let bytes = crate::common::fixture(name);
        let database = rpm::read(&MemDisk::new(bytes), None, "/p", &Limits::default());
        assert_eq!(rpm_lines(&database), lines, "{name}");
    }
}
