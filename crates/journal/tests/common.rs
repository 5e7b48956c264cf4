//! Journals that systemd writes now, and what journalctl reads in them.

use h2k_block::{Limits, MemDisk};
use h2k_journal::{File, Id, Journal, Query};
use h2k_testkit::oracle;
use h2k_testkit::rng::Rng;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// How a journal is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Form {
    pub compress: bool,
    pub compact: bool,
    pub keyed: bool,
}

pub const FORMS: [Form; 4] = [
    Form {
        compress: false,
        compact: false,
        keyed: false,
    },
    Form {
        compress: true,
        compact: false,
        keyed: true,
    },
    Form {
        compress: true,
        compact: true,
        keyed: true,
    },
    Form {
        compress: false,
        compact: true,
        keyed: false,
    },
];

/// Where Debian keeps it, which is not on the path.
const REMOTE: &str = "/lib/systemd/systemd-journal-remote";

/// Writes `export` (systemd's export format) into a journal file.
pub fn write(path: &Path, export: &[u8], form: Form) {
    let input = path.with_extension("export");
    std::fs::write(&input, export).unwrap();
    let flag = |on: bool| if on { "1" } else { "0" };
    let out = Command::new(REMOTE)
        .arg(format!("--compress={}", flag(form.compress)))
        .arg("-o")
        .args([path, &input])
        .env("SYSTEMD_JOURNAL_COMPACT", flag(form.compact))
        .env("SYSTEMD_JOURNAL_KEYED_HASH", flag(form.keyed))
        .output()
        .unwrap_or_else(|e| panic!("oracle {REMOTE} did not start ({e}); run `cargo xtask setup`"));
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

pub fn boot(n: u8) -> Id {
    let mut id = [0; 16];
    id[15] = n;
    id[0] = 0xb0;
    Id(id)
}

/// One entry in export format.
pub fn entry(realtime: u64, monotonic: u64, boot: Id, fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out =
        format!("__REALTIME_TIMESTAMP={realtime}\n__MONOTONIC_TIMESTAMP={monotonic}\n_BOOT_ID={boot}\n")
            .into_bytes();
    for (name, value) in fields {
        out.extend(name.as_bytes());
        if value.iter().any(|b| *b < 32 || *b > 126) {
            out.push(b'\n');
            out.extend((value.len() as u64).to_le_bytes());
        } else {
            out.push(b'=');
        }
        out.extend(*value);
        out.push(b'\n');
    }
    out.push(b'\n');
    out
}

/// `count` entries a boot: text, binary values, long values, names that occur twice, all priorities.
pub fn many(seed: u64, boots: u8, count: u64, start: u64) -> Vec<u8> {
    let mut rng = Rng::new(seed);
    let mut out = Vec::new();
    let mut real = start;
    for n in 1..=boots {
        let mut mono = 1_000_000;
        for i in 0..count {
            let step = 1 + rng.below(5000);
            (real, mono) = (real + step, mono + step);
            let message = format!("message {i} of boot {n}: {}", rng.word());
            let priority = (i % 8).to_string();
            let mut fields: Vec<(&str, &[u8])> = vec![
                ("MESSAGE", message.as_bytes()),
                ("PRIORITY", priority.as_bytes()),
                ("_HOSTNAME", b"guest"),
            ];
            let binary = [b"one\ntwo \xff\x00".as_slice(), &rng.word().to_le_bytes()].concat();
            let mut noise = vec![0; 3000];
            rng.fill(&mut noise);
            let long = format!("compress me {i} ").repeat(300);
            if i % 7 == 0 {
                fields.push(("BINARY", &binary));
            }
            if i % 11 == 0 {
                fields.push(("LONG", long.as_bytes()));
            }
            if i % 29 == 0 {
                fields.push(("NOISE", &noise));
            }
            if i % 13 == 0 {
                fields.extend([("TAG", b"one".as_slice()), ("TAG", b"two"), ("EMPTY", b"")]);
            }
            out.extend(entry(real, mono, boot(n), &fields));
        }
        real += 10_000_000;
    }
    out
}

/// What `journalctl -o export` says of files, without what names the way to an entry.
pub fn journalctl(paths: &[PathBuf], more: &[&str]) -> Vec<u8> {
    let mut args: Vec<String> = paths.iter().map(|p| format!("--file={}", p.display())).collect();
    args.extend(["-o", "export", "--no-pager", "--quiet"].map(str::to_owned));
    args.extend(more.iter().map(|s| (*s).to_owned()));
    let out = oracle::run("journalctl", &args);
    // Nothing chosen is an answer too.
    assert!(
        out.status.success() || out.stdout.is_empty(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    strip(&out.stdout)
}

/// Drops the lines that a version of journalctl may or may not print.
pub fn strip(export: &[u8]) -> Vec<u8> {
    let lines = export.split_inclusive(|b| *b == b'\n');
    let kept = lines.filter(|l| !l.starts_with(b"__CURSOR=") && !l.starts_with(b"__SEQNUM"));
    kept.flatten().copied().collect()
}

pub fn open(path: &Path) -> File<'static> {
    open_bytes(std::fs::read(path).unwrap())
}

pub fn open_bytes(bytes: Vec<u8>) -> File<'static> {
    File::open(Arc::new(MemDisk::new(bytes)), "x.journal", &Limits::default()).unwrap()
}

/// Everything `query` chooses, in export format; nothing may be odd.
pub fn ours(journal: &Journal, query: &Query) -> Vec<u8> {
    let mut entries = journal.entries(query);
    let out = entries.by_ref().flat_map(|entry| entry.export()).collect();
    assert!(entries.warnings().is_empty(), "{:?}", entries.warnings());
    out
}

/// Compares two exports entry by entry, so that a difference can be read.
pub fn same(ours: &[u8], theirs: &[u8], what: &str) {
    if ours == theirs {
        return;
    }
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    let (ours, theirs) = (text(ours), text(theirs));
    let count = |s: &str| s.matches("__REALTIME_TIMESTAMP=").count();
    for (a, b) in ours.lines().zip(theirs.lines()) {
        assert_eq!(a, b, "{what}");
    }
    panic!(
        "{what}: {} entries, journalctl shows {}",
        count(&ours),
        count(&theirs)
    );
}
