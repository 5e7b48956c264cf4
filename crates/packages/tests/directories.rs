//! apk, pacman and portage.

use crate::common::{clean, fixture};
use h2k_block::Limits;
use h2k_fs::{FsFiles, MemFs};
use h2k_packages::{Database, Format, databases};
use h2k_testkit::oracle;

/// What pacman 6 writes.
pub const DESC: &str = "\
%NAME%
gmp

%VERSION%
1:6.2.1-2

%BASE%
gmp

%DESC%
A free library

%ARCH%
x86_64

%INSTALLDATE%
1665878640

%SIZE%
1044438

%LICENSE%
LGPL3
GPL

%DEPENDS%
gcc-libs
sh
";

/// What pacman 6.0.2 wrote when it installed the package of the test below.
const HELLO: &str = "%NAME%\nhello\n\n%VERSION%\n1:2.12-3\n\n%BASE%\nhello-src\n\n%DESC%\nA greeting\n\n%URL%\n\
https://example.org/hello\n\n%ARCH%\nany\n\n%BUILDDATE%\n1700000000\n\n%INSTALLDATE%\n1795264477\n\n%PACKAGER%\n\
P <p@example.org>\n\n%SIZE%\n12288\n\n%GROUPS%\ngreetings\n\n%LICENSE%\nGPL\ncustom\n\n%VALIDATION%\nnone\n\n";

fn only(fs: &MemFs) -> Database {
    let mut found = databases(&FsFiles::new(fs, Limits::default()), &Limits::default());
    assert_eq!(found.len(), 1);
    found.remove(0)
}

#[test]
fn alpines_list_reads_as_apk_wrote_it() {
    let mut fs = MemFs::new();
    fs.file("/lib/apk/db/installed", fixture("apk/installed"))
        .unwrap();
    let database = only(&fs);
    clean(&database);
    assert_eq!(database.format, Format::Apk);
    let full: Vec<_> = database
        .packages
        .iter()
        .map(|p| {
            (
                p.name.as_str(),
                p.full_version(),
                p.source.as_deref().unwrap(),
                p.size.unwrap(),
            )
        })
        .collect();
    assert_eq!(
        full,
        [
            ("bash", "5.2.21-r0".to_owned(), "bash", 1_396_736),
            ("busybox-binsh", "1.36.1-r15".to_owned(), "busybox", 8192),
            ("musl", "1.2.4_git20230717-r4".to_owned(), "musl", 667_648),
        ]
    );
    let bash = &database.packages[1];
    assert_eq!(
        bash.maintainer.as_deref(),
        Some("Sören Tempel <soeren+alpine@soeren-tempel.net>")
    );
    assert_eq!(bash.built, Some(1_699_383_189));
    assert_eq!(bash.license.as_deref(), Some("GPL-2.0-only"));
}

/// pacman installs a package we pack; then it is asked what it installed.
#[test]
fn what_pacman_installs_is_listed_as_pacman_lists_it() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    let db = root.join("var/lib/pacman");
    std::fs::create_dir_all(&db).unwrap();
    let info = "pkgname = hello\npkgbase = hello-src\npkgver = 1:2.12-3\npkgdesc = A greeting\n\
                url = https://example.org/hello\nbuilddate = 1700000000\npackager = P <p@example.org>\n\
                size = 12288\narch = any\nlicense = GPL\nlicense = custom\ngroup = greetings\n";
    std::fs::write(dir.path().join(".PKGINFO"), info).unwrap();
    std::fs::write(dir.path().join("none.conf"), "[options]\nSigLevel = Never\n").unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    oracle::ok("tar", &["-C", &at(""), "-cf", &at("hello.pkg.tar"), ".PKGINFO"]);
    let common = [
        "--noconfirm",
        "--config",
        &at("none.conf"),
        "--dbpath",
        db.to_str().unwrap(),
    ]
    .map(str::to_owned);
    let mut install = common.to_vec();
    install.extend(["--root", root.to_str().unwrap(), "--nodeps", "--noscriptlet"].map(str::to_owned));
    install.extend(
        [
            "--logfile",
            &at("log"),
            "--hookdir",
            &at("hooks"),
            "-U",
            &at("hello.pkg.tar"),
        ]
        .map(str::to_owned),
    );
    let done = oracle::run("pacman", &install);
    if !done.status.success() {
        // Installing is for root; anybody may ask. Then the package is what pacman wrote on another day.
        let why = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(why.contains("unless you are root"), "{why}");
        let home = db.join("local/hello-1:2.12-3");
        std::fs::create_dir_all(&home).unwrap();
        std::fs::write(db.join("local/ALPM_DB_VERSION"), "9\n").unwrap();
        std::fs::write(home.join("desc"), HELLO).unwrap();
        std::fs::write(home.join("files"), "").unwrap();
    }
    let mut query = common.to_vec();
    query.push("-Qi".to_owned());
    let said = oracle::ok("pacman", &query);
    let says = |key: &str| {
        let line = said.lines().find(|l| l.starts_with(key)).unwrap();
        line.split_once(": ").unwrap().1.trim().to_owned()
    };

    let mut fs = MemFs::new();
    for entry in std::fs::read_dir(db.join("local")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let (file, place) = if path.is_dir() {
            (path.join("desc"), format!("{name}/desc"))
        } else {
            (path, name)
        };
        fs.file(
            &format!("/var/lib/pacman/local/{place}"),
            std::fs::read(file).unwrap(),
        )
        .unwrap();
    }
    let database = only(&fs);
    clean(&database);
    assert_eq!((database.format, database.packages.len()), (Format::Pacman, 1));
    let p = &database.packages[0];
    let text = |o: &Option<String>| o.clone().unwrap();
    assert_eq!(
        [
            p.name.clone(),
            p.full_version(),
            text(&p.summary),
            text(&p.arch),
            text(&p.url),
            text(&p.license).replace(", ", "  "),
            text(&p.group),
            text(&p.maintainer),
            format!("{:.2} KiB", p.size.unwrap() as f64 / 1024.0),
        ],
        [
            "Name",
            "Version",
            "Description",
            "Architecture",
            "URL",
            "Licenses",
            "Groups",
            "Packager",
            "Installed Size"
        ]
        .map(says)
    );
    assert_eq!(
        (p.built, text(&p.source)),
        (Some(1_700_000_000), "hello-src".to_owned())
    );
    assert!(p.installed.unwrap() > 1_700_000_000);
    assert_eq!(&*p.from, "/var/lib/pacman/local/hello-1:2.12-3/desc");
}

#[test]
fn a_desc_without_a_name_is_a_warning_and_hides_nothing() {
    let mut fs = MemFs::new();
    fs.file("/var/lib/pacman/local/ALPM_DB_VERSION", "9\n").unwrap();
    fs.file("/var/lib/pacman/local/bad-1-1/desc", "%VERSION%\n1-1\n")
        .unwrap();
    fs.file("/var/lib/pacman/local/gmp-1:6.2.1-2/desc", DESC).unwrap();
    let database = only(&fs);
    assert_eq!(
        database.warnings,
        ["/var/lib/pacman/local/bad-1-1/desc names no package"]
    );
    assert_eq!(database.packages[0].full_version(), "1:6.2.1-2");
    assert_eq!(database.packages[0].license.as_deref(), Some("LGPL3, GPL"));
}

#[test]
fn gentoos_directories_are_packages() {
    let mut fs = MemFs::new();
    let mut put = |path: &str, text: &str| fs.file(&format!("/var/db/pkg/{path}"), text).unwrap();
    for (file, text) in [
        ("CHOST", "x86_64-pc-linux-gnu\n"),
        ("DESCRIPTION", "The standard GNU shell\n"),
        ("LICENSE", "GPL-3+\n"),
        ("SIZE", "8214235\n"),
        ("BUILD_TIME", "1700000000\n"),
        ("repository", "gentoo\n"),
    ] {
        put(&format!("app-shells/bash-5.2_p37-r1/{file}"), text);
    }
    put("sys-libs/zlib-1.3.1/SIZE", "1\n");
    put("sys-libs/-MERGING-x-1/SIZE", "1\n");
    let database = only(&fs);
    clean(&database);
    assert_eq!(database.format, Format::Portage);
    let [bash, zlib] = database.packages.as_slice() else {
        panic!("{:?}", database.packages)
    };
    assert_eq!(
        (bash.name.as_str(), bash.full_version()),
        ("app-shells/bash", "5.2_p37-r1".to_owned())
    );
    assert_eq!(
        (bash.arch.as_deref(), bash.size),
        (Some("x86_64"), Some(8_214_235))
    );
    assert_eq!(
        (zlib.name.as_str(), zlib.version.as_str()),
        ("sys-libs/zlib", "1.3.1")
    );
}

#[test]
fn damage_to_one_database_is_told_and_hides_no_other() {
    let mut fs = MemFs::new();
    let node = fs
        .file("/lib/apk/db/installed", fixture("apk/installed"))
        .unwrap();
    fs.file("/var/lib/pacman/local/gmp/desc", DESC).unwrap();
    fs.damage(node, "its inode is damaged").unwrap();
    let found = databases(&FsFiles::new(&fs, Limits::default()), &Limits::default());
    let told: Vec<_> = found
        .iter()
        .map(|d| (d.format, d.packages.len(), d.error.is_some()))
        .collect();
    assert_eq!(told, [(Format::Apk, 0, true), (Format::Pacman, 1, false)]);
}
