//! Where `mdadm` looks for members of arrays.

use super::{Book, Renamer};
use crate::finding::Finding;
use crate::fixes::Fix;
use crate::fixes::patch::{Patch, lines, listed, part};
use crate::view::View;
use h2k_block::Result;
use h2k_boot::naming::{Naming, of as naming};
use std::ops::Range;

const FILES: [&str; 2] = ["/etc/mdadm/mdadm.conf", "/etc/mdadm.conf"];
const DIRS: [&str; 2] = ["/etc/mdadm/mdadm.conf.d", "/etc/mdadm.conf.d"];

/// Has `mdadm` look at every partition, where it was told names of disks.
pub(in crate::fixes) struct Mdadm;

impl Fix for Mdadm {
    fn id(&self) -> &'static str {
        "linux.mdadm"
    }

    fn about(&self) -> &'static str {
        "has mdadm look at every partition, where it was told names of disks"
    }

    fn look(&self, view: &View<'_>) -> Result<Vec<Finding>> {
        let mut paths: Vec<String> = FILES.iter().map(|p| (*p).to_owned()).collect();
        paths.extend(DIRS.iter().flat_map(|dir| listed(view, dir, ".conf")));
        let mut findings = Vec::new();
        for path in paths {
            if let Some(bytes) = view.look.bytes(&path, 1 << 20) {
                findings.extend(of_file(view, &path, &bytes));
            }
        }
        if findings.is_empty() {
            findings.push(Finding::leave("there is no configuration of mdadm"));
        }
        Ok(findings)
    }
}

/// Whether a name, or a pattern of names, hangs on the machine.
fn machine(word: &[u8]) -> bool {
    let text = String::from_utf8_lossy(word);
    matches!(naming(&text), Naming::Order(_) | Naming::Place)
}

fn of_file(view: &View<'_>, path: &str, bytes: &[u8]) -> Vec<Finding> {
    let mut book = Book::new(Renamer::new(view), path);
    let mut patch = Patch::new(bytes);
    for (number, words) in entries(bytes) {
        let Some((first, rest)) = words.split_first() else {
            continue;
        };
        let key = part(bytes, first).to_ascii_lowercase();
        // mdadm takes any beginning of a keyword that has three letters.
        let is = |word: &[u8]| key.len() > 2 && word.starts_with(&key);
        if is(b"devices") && rest.iter().any(|word| machine(part(bytes, word))) {
            let (Some(begin), Some(end)) = (rest.first(), rest.last()) else {
                continue;
            };
            let said = String::from_utf8_lossy(part(bytes, &(begin.start..end.end))).into_owned();
            book.change(number, format!("DEVICE: {said} becomes partitions"));
            patch.replace(begin.start..end.end, "partitions");
        }
        if is(b"arrays") {
            array(&mut book, &mut patch, bytes, number, rest);
        }
    }
    book.close(&patch)
}

/// `ARRAY /dev/md0 devices=/dev/sda1,/dev/sdb1`: the UUID is enough.
fn array(book: &mut Book<'_>, patch: &mut Patch<'_>, bytes: &[u8], number: usize, words: &[Range<usize>]) {
    let known = words.iter().any(|w| {
        let word = part(bytes, w).to_ascii_lowercase();
        word.starts_with(b"uuid=") || word.starts_with(b"name=") || word.starts_with(b"super-minor=")
    });
    let mut before = None;
    for word in words {
        let list = part(bytes, word).strip_prefix(b"devices=").unwrap_or_default();
        if list.split(|b| *b == b',').any(machine) {
            let said = String::from_utf8_lossy(list).into_owned();
            if known {
                book.change(
                    number,
                    format!("ARRAY: devices={said} goes, for the array's identity is enough"),
                );
                patch.replace(before.unwrap_or(word.start)..word.end, Vec::new());
            } else {
                let why =
                    format!("an array is known by its devices alone, {said}, which have other names now");
                book.tell(
                    number,
                    Finding::warn(why).advise("give its UUID instead, as mdadm --detail --scan prints it"),
                );
            }
        }
        before = Some(word.end);
    }
}

/// The words of each entry: lines that begin with white space go on.
fn entries(bytes: &[u8]) -> Vec<(usize, Vec<Range<usize>>)> {
    let mut all: Vec<(usize, Vec<Range<usize>>)> = Vec::new();
    for line in lines(bytes).filter(|line| !line.silent()) {
        let mut words = line.words();
        if let Some(at) = words.iter().position(|w| part(bytes, w).starts_with(b"#")) {
            words.truncate(at);
        }
        let on = line.text.first().is_some_and(u8::is_ascii_whitespace);
        match all.last_mut().filter(|_| on) {
            Some((_, list)) => list.extend(words),
            None => all.push((line.number, words)),
        }
    }
    all
}
