//! dpkg's database as dpkg-query lists it.

use crate::common::clean;
use h2k_block::{Limits, Meter};
use h2k_fs::{FsFiles, MemFs};
use h2k_packages::{Database, Format, Package, State, databases, dpkg};
use h2k_testkit::oracle;
use std::path::Path;

/// Every state, a hold, an epoch, a version without a revision, configuration files, no end of line at the end.
pub const STATES: &str = "\
Package: good
Status: install ok installed
Priority: optional
Section: devel
Installed-Size: 12
Maintainer: Jörg <j@example.org>
Architecture: amd64
Multi-Arch: same
Source: good-src (1:2.0-0)
Version: 1:2.0-1+b1
Conffiles:
 /etc/good.conf 0123456789abcdef0123456789abcdef
 /etc/old one.conf 0123456789abcdef0123456789abcdee obsolete
Description: a line
 A longer text: with a colon
 .
 and a dot.
Homepage: https://example.org/good

Package: held
Status: hold ok installed
Maintainer: X <x@example.org>
Architecture: all
Version: 3
Description: no revision

Package: half
Status: install ok half-configured
Maintainer: X <x@example.org>
Architecture: all
Version: 3-1
Description: x

Package: broken
Status: install reinstreq half-installed
Maintainer: X <x@example.org>
Architecture: all
Version: 3-1-2~rc1
Description: x

Package: gone
Status: deinstall ok config-files
Maintainer: X <x@example.org>
Architecture: all
Version: 0.1
Conffiles:
 /etc/gone 0123456789abcdef0123456789abcdef
Description: x

Package: unpacked
Status: install ok unpacked
Maintainer: X <x@example.org>
Architecture: arm64
Version: 2:9.8.7-6
Description: x";

fn parsed(text: &str) -> Database {
    let mut database = Database::empty(Format::Dpkg, "/var/lib/dpkg/status");
    let mut meter = Meter::new(Limits::default());
    dpkg::parse(text.as_bytes(), "/var/lib/dpkg/status", &mut meter, &mut database).unwrap();
    database
}

const FORMAT: &str = "${Package}|${Version}|${Architecture}|${Source}|${Maintainer}|${binary:Summary}|${Homepage}|${Section}|${Installed-Size}|${db:Status-Want}|${db:Status-Status}\\n${Conffiles}\\n";

/// What `dpkg-query` says of a status file, blank lines left out.
fn dpkg_says(status: &str) -> Vec<String> {
    dpkg_says_with(status, &[])
}

/// The same, with files in `updates`.
fn dpkg_says_with(status: &str, updates: &[(&str, &str)]) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("status"), status).unwrap();
    for part in ["updates", "info", "triggers"] {
        std::fs::create_dir(dir.path().join(part)).unwrap();
    }
    for (name, text) in updates {
        std::fs::write(dir.path().join("updates").join(name), text).unwrap();
    }
    let admin = format!("--admindir={}", dir.path().display());
    let said = oracle::ok("dpkg-query", &[&admin, "-W", "-f", FORMAT]);
    let mut stanzas: Vec<String> = Vec::new();
    for line in said.lines().filter(|l| !l.trim().is_empty()) {
        match stanzas.last_mut().filter(|_| line.starts_with(' ')) {
            Some(last) => *last += line,
            // A few summaries end in a space.
            None => stanzas.push(line.replace(" |", "|")),
        }
    }
    stanzas.sort();
    stanzas
}

fn lines(database: &Database) -> Vec<String> {
    let mut lines: Vec<_> = database.packages.iter().map(line).collect();
    lines.sort();
    lines
}

fn line(p: &Package) -> String {
    let text = |o: &Option<String>| o.clone().unwrap_or_default();
    let mut line = [
        p.name.clone(),
        p.full_version(),
        text(&p.arch),
        text(&p.source),
        text(&p.maintainer),
        text(&p.summary),
        text(&p.url),
        text(&p.group),
        p.size.map(|n| (n / 1024).to_string()).unwrap_or_default(),
    ]
    .join("|");
    // dpkg's words are finer than ours: what is compared is which of them belong together.
    line += match (p.hold, p.state) {
        (true, _) => "|hold|installed",
        (false, State::Installed) => "|install|installed",
        (_, State::ConfigFiles) => "|deinstall|config-files",
        (_, state) => match state {
            State::Incomplete if p.name == "half" => "|install|half-configured",
            State::Incomplete => "|install|unpacked",
            _ => "|install|half-installed",
        },
    };
    for file in &p.config_files {
        let obsolete = if file.obsolete { " obsolete" } else { "" };
        let remove = if file.remove_on_upgrade {
            " remove-on-upgrade"
        } else {
            ""
        };
        line += &format!(" {} {}{obsolete}{remove}", file.path, file.shipped);
    }
    line
}

#[test]
fn every_state_reads_as_dpkg_reads_it() {
    let database = parsed(STATES);
    clean(&database);
    assert_eq!(lines(&database), dpkg_says(&format!("{STATES}\n")));
    let states: Vec<_> = database.packages.iter().map(|p| p.state).collect();
    use State::{Broken, ConfigFiles, Incomplete, Installed};
    assert_eq!(
        states,
        [Installed, Installed, Incomplete, Broken, ConfigFiles, Incomplete]
    );
    let broken = &database.packages[3];
    assert_eq!(
        (broken.version.as_str(), broken.release.as_deref()),
        ("3-1", Some("2~rc1"))
    );
}

#[test]
fn the_packages_of_this_machine_read_as_dpkg_lists_them() {
    let status = Path::new("/var/lib/dpkg/status");
    if !status.is_file() {
        println!("skipped: this is no Debian");
        return;
    }
    let status = std::fs::read_to_string(status).unwrap();
    let database = parsed(&status);
    clean(&database);
    let (ours, theirs) = (lines(&database), dpkg_says(&status));
    assert!(ours.len() > 50);
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours, theirs);
    }
}

#[test]
fn images_without_dpkg_keep_one_file_a_package() {
    let mut fs = MemFs::new();
    fs.file(
        "/var/lib/dpkg/status.d/tzdata",
        "Package: tzdata\nVersion: 2024a-0+deb12u1\nArchitecture: all\n",
    )
    .unwrap();
    fs.file(
        "/var/lib/dpkg/status.d/base",
        "Package: base-files\nVersion: 12.4\n",
    )
    .unwrap();
    fs.file("/var/lib/dpkg/status.d/base.md5sums", "0123 etc/x\n")
        .unwrap();
    let found = databases(&FsFiles::new(&fs, Limits::default()), &Limits::default());
    assert_eq!(found.len(), 1);
    clean(&found[0]);
    let names: Vec<_> = found[0]
        .packages
        .iter()
        .map(|p| (p.name.as_str(), &*p.from))
        .collect();
    assert_eq!(
        names,
        [
            ("base-files", "/var/lib/dpkg/status.d/base"),
            ("tzdata", "/var/lib/dpkg/status.d/tzdata")
        ]
    );
}

#[test]
fn a_line_that_is_no_field_is_a_warning() {
    let database = parsed("Package: a\nVersion: 1\nnonsense\n\nVersion: 2\n\nPackage: b\nVersion: 3\n");
    assert_eq!(database.packages.len(), 2);
    assert_eq!(
        database.warnings,
        [
            "/var/lib/dpkg/status: line 3 is neither a field nor a continuation",
            "/var/lib/dpkg/status: the stanza after 1 packages has no name"
        ]
    );
}

#[test]
fn a_hundred_thousand_packages_are_read() {
    let text: String = (0..100_000)
        .map(|n| format!("Package: p{n}\nVersion: {n}-1\n\n"))
        .collect();
    let database = parsed(&text);
    assert_eq!(database.packages.len(), 100_000);
    assert_eq!(database.packages[99_999].full_version(), "99999-1");
}

#[test]
fn what_an_interrupted_run_left_counts_as_dpkg_counts_it() {
    let stanza = |name: &str, version: &str, status: &str| {
        format!(
            "Package: {name}\nStatus: install ok {status}\nMaintainer: X <x@example.org>\nArchitecture: all\n\
             Version: {version}\nDescription: x\n"
        )
    };
    let updates = [
        ("0000", stanza("held", "4", "unpacked")),
        ("0001", stanza("fresh", "1-1", "unpacked")),
        ("0002", stanza("held", "5", "installed")),
    ];
    let updates = updates.each_ref().map(|(name, text)| (*name, text.as_str()));
    let status = format!("{STATES}\n");
    let mut fs = MemFs::new();
    fs.file("/var/lib/dpkg/status", status.as_str()).unwrap();
    for (name, text) in updates {
        fs.file(&format!("/var/lib/dpkg/updates/{name}"), text).unwrap();
    }
    fs.file("/var/lib/dpkg/updates/tmp.i", "Package: never\n")
        .unwrap();
    let found = databases(&FsFiles::new(&fs, Limits::default()), &Limits::default());
    assert_eq!(lines(&found[0]), dpkg_says_with(&status, &updates));
    assert_eq!(found[0].packages.len(), 7);
    assert!(
        found[0].warnings[0].contains("3 changes"),
        "{:?}",
        found[0].warnings
    );
    let held = &found[0].packages[1];
    assert_eq!(
        (held.version.as_str(), &*held.from),
        ("5", "/var/lib/dpkg/updates/0002")
    );
}

#[test]
fn descriptions_are_whole() {
    let mut status = STATES.to_owned();
    status.push('\n');
    if let Ok(machine) = std::fs::read_to_string("/var/lib/dpkg/status") {
        status = format!("{status}\n{machine}");
    }
    let database = parsed(&status);
    let mut ours: Vec<String> = database
        .packages
        .iter()
        .map(|p| {
            let long = p.description.iter().flat_map(|d| d.split('\n'));
            let long: String = long.map(|line| format!("\n {line}")).collect();
            let summary = p.summary.clone().unwrap_or_default();
            format!(
                "{}|{}|{summary}{long}",
                p.name,
                p.arch.clone().unwrap_or_default()
            )
        })
        .collect();
    ours.sort();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("status"), &status).unwrap();
    for part in ["updates", "info", "triggers"] {
        std::fs::create_dir(dir.path().join(part)).unwrap();
    }
    let admin = format!("--admindir={}", dir.path().display());
    let format = "${Package}|${Architecture}|${Description}=END=";
    let said = oracle::ok("dpkg-query", &[&admin, "-W", "-f", format]);
    let mut theirs: Vec<String> = said
        .split_terminator("=END=")
        // The summary may end in a space, which ours does not.
        .map(|one| match one.split_once('\n') {
            Some((first, rest)) => format!("{}\n{rest}", first.trim_end()),
            None => one.trim_end().to_owned(),
        })
        .collect();
    theirs.sort();
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(
        database.packages[0].description.as_deref(),
        Some("A longer text: with a colon\n.\nand a dot.")
    );
}
