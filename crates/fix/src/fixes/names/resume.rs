//! Where the guest wakes up from: swap that is called otherwise now, or is gone.

use super::{Asked, Book, Renamed, Renamer, Use};
use crate::finding::Finding;
use crate::fixes::Fix;
use crate::fixes::cmdline::{Change, Home, all_homes, value, with};
use crate::fixes::patch::{Patch, lines, part};
use crate::view::View;
use h2k_block::Result;

const FILES: [&str; 2] = [
    "/etc/initramfs-tools/conf.d/resume",
    "/etc/initramfs-tools/initramfs.conf",
];

/// Names the swap area to resume from by its UUID, or says that there is none.
pub(in crate::fixes) struct Resume;

impl Fix for Resume {
    fn id(&self) -> &'static str {
        "linux.resume"
    }

    fn about(&self) -> &'static str {
        "names the swap area to resume from by its UUID; where it is gone, nothing waits for it"
    }

    fn look(&self, view: &View<'_>) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for path in FILES {
            if let Some(bytes) = view.look.bytes(path, 1 << 20) {
                findings.extend(of_initramfs_tools(view, path, &bytes));
            }
        }
        for home in all_homes(view) {
            let resumes = home.lines.iter().any(|line| home.words(line).any(resumes));
            if resumes {
                findings.extend(of_home(view, &home));
            }
        }
        if findings.is_empty() {
            findings.push(Finding::leave("nothing is told to resume"));
        }
        Ok(findings)
    }
}

fn resumes(word: &[u8]) -> bool {
    let key = value(word).map(|(key, _)| key);
    matches!(key, Some(b"resume" | b"real_resume"))
}

/// What becomes of a name; an error where the area is gone. Of what is only hidden, nothing is concluded.
fn fate(book: &mut Book<'_>, spec: &[u8], line: usize) -> std::result::Result<Option<Vec<u8>>, ()> {
    match book.names.rename(spec, Use::Content) {
        Renamed::Lost | Renamed::Absent => Err(()),
        renamed => {
            let asked = Asked {
                spec,
                usage: Use::Content,
                what: "resume",
                line,
                needed: false,
            };
            Ok(book.note(&asked, renamed))
        }
    }
}

fn gone(spec: &[u8], instead: &str) -> String {
    let spec = String::from_utf8_lossy(spec);
    format!("resume: {spec} is not on these disks, and becomes {instead}")
}

fn of_initramfs_tools(view: &View<'_>, path: &str, bytes: &[u8]) -> Vec<Finding> {
    let mut book = Book::new(Renamer::new(view), path);
    let mut patch = Patch::new(bytes);
    for line in lines(bytes) {
        let Some(word) = line.words().first().cloned().filter(|_| !line.silent()) else {
            continue;
        };
        let text = part(bytes, &word);
        let Some((b"RESUME", range)) = value(text) else {
            continue;
        };
        let spec = part(text, &range);
        if !spec.starts_with(b"/dev/") && !spec.contains(&b'=') {
            continue;
        }
        match fate(&mut book, spec, line.number) {
            Ok(None) => {}
            Ok(Some(new)) => patch.replace(word, with(text, &range, &new)),
            Err(()) => {
                book.change(line.number, gone(spec, "RESUME=none"));
                patch.replace(word, "RESUME=none");
            }
        }
    }
    book.close(&patch)
}

fn of_home(view: &View<'_>, home: &Home) -> Vec<Finding> {
    let mut book = Book::new(Renamer::new(view), &home.path);
    let edit = home.edit(&mut |line, words| {
        let mut quiet = words.contains(&&b"noresume"[..]);
        let mut changes = Vec::new();
        for (at, word) in words.iter().enumerate() {
            let Some((_, range)) = value(word).filter(|_| resumes(word)) else {
                continue;
            };
            let spec = part(word, &range);
            if !spec.starts_with(b"/dev/") && !spec.contains(&b'=') {
                continue;
            }
            match fate(&mut book, spec, line.number) {
                Ok(None) => {}
                Ok(Some(new)) => changes.push(Change::Replace(at, with(word, &range, &new))),
                Err(()) => {
                    book.change(line.number, gone(spec, "noresume"));
                    changes.push(match quiet {
                        true => Change::Remove(at),
                        false => Change::Replace(at, b"noresume".to_vec()),
                    });
                    quiet = true;
                }
            }
        }
        changes
    });
    match edit {
        Ok(edit) => book.close_with(edit),
        Err(why) => vec![Finding::warn(format!("{} cannot be changed: {why}", home.path))],
    }
}
