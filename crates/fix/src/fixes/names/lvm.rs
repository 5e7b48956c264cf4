//! LVM's filters, which may admit disks by the names of the old machine alone.

use super::{Book, Renamer};
use crate::finding::Finding;
use crate::fixes::Fix;
use crate::fixes::patch::{Patch, lines, part};
use crate::view::View;
use h2k_block::Result;
use std::ops::Range;

const FILES: [&str; 2] = ["/etc/lvm/lvm.conf", "/etc/lvm/lvmlocal.conf"];

/// What is admitted, too: every disk by the names that disks have on KVM.
const ADMIT: &str = "\"a|^/dev/([hsv]d|xvd|nvme)|\"";

/// Beginnings of names that hang on the machine, as patterns have them.
const NAMES: [&str; 7] = [
    "/dev/sd",
    "/dev/hd",
    "/dev/xvd",
    "/dev/nvme",
    "/dev/cciss",
    "/dev/disk/by-path",
    "/dev/disk/by-id",
];

/// Lets LVM see disks by their new names.
pub(in crate::fixes) struct LvmFilter;

impl Fix for LvmFilter {
    fn id(&self) -> &'static str {
        "linux.lvm-filter"
    }

    fn about(&self) -> &'static str {
        "lets LVM see disks by their new names, where a filter admits the old ones alone"
    }

    fn look(&self, view: &View<'_>) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for path in FILES {
            if let Some(bytes) = view.look.bytes(path, 1 << 20) {
                let mut book = Book::new(Renamer::new(view), path);
                let mut patch = Patch::new(&bytes);
                filters(&mut book, &mut patch, &bytes);
                findings.extend(book.close(&patch));
            }
        }
        if findings.is_empty() {
            findings.push(Finding::leave("there is no configuration of LVM"));
        }
        Ok(findings)
    }
}

fn filters(book: &mut Book<'_>, patch: &mut Patch<'_>, bytes: &[u8]) {
    let mut past = 0;
    for line in lines(bytes).filter(|line| !line.silent()) {
        let begin = line.text.trim_ascii_start();
        let Some(key) = ["global_filter", "filter"]
            .iter()
            .find(|k| begin.starts_with(k.as_bytes()))
        else {
            continue;
        };
        let rest = begin.get(key.len()..).unwrap_or_default().trim_ascii_start();
        if !rest.starts_with(b"=") || line.start < past {
            continue;
        }
        let start = line.range().end.saturating_sub(rest.len());
        let patterns = strings(bytes, start.saturating_add(1));
        past = patterns.last().map_or(past, |p| p.end);
        let said = |p: &Range<usize>| {
            String::from_utf8_lossy(part(bytes, p))
                .trim_matches('"')
                .to_owned()
        };
        // The first pattern that matches decides: only what comes before everything else is refused counts.
        let all = patterns.iter().position(|p| {
            let inner: String = said(p).chars().skip(2).collect();
            let inner = inner.trim_end_matches(['|', '/', '!', '#']);
            matches!(inner, ".*" | "." | "" | "^.*" | ".*$" | "^/dev/.*" | "^/dev/")
        });
        let Some((at, refused)) = all.and_then(|at| Some((at, patterns.get(at)?))) else {
            continue;
        };
        let before: Vec<String> = patterns.iter().take(at).map(said).collect();
        let ours = before.iter().any(|p| p == ADMIT.trim_matches('"'));
        let machine = |p: &String| {
            let plain = p.replace(['(', ')', '^', '\\'], "");
            plain.starts_with('a') && NAMES.iter().any(|n| plain.contains(n))
        };
        if ours || !said(refused).starts_with('r') {
            continue;
        }
        let Some(first) = before.iter().position(machine).and_then(|at| patterns.get(at)) else {
            continue;
        };
        let what = format!(
            "{key}: disks are admitted as {}, and now by their new names, too",
            said(first)
        );
        book.change(line.number, what);
        patch.replace(first.start..first.start, format!("{ADMIT}, "));
    }
}

/// The strings of the list, or the one string, that begins at `start`, quotes included.
fn strings(bytes: &[u8], start: usize) -> Vec<Range<usize>> {
    let mut all = Vec::new();
    let mut open: Option<usize> = None;
    let mut comment = false;
    let mut list = false;
    for (at, byte) in bytes.iter().enumerate().skip(start) {
        match (open, byte) {
            (Some(begin), b'"') => {
                all.push(begin..at.saturating_add(1));
                open = None;
                if !list {
                    break;
                }
            }
            (Some(_), _) => {}
            (None, b'\n') if comment || list => comment = false,
            (None, b'\n') => break,
            (None, _) if comment => {}
            (None, b'#') => comment = true,
            (None, b'"') => open = Some(at),
            (None, b'[') => list = true,
            (None, b']') => break,
            _ => {}
        }
    }
    all
}
