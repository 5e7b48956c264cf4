//! Units of systemd that mount filesystems and use swap areas: `What=`.

use super::{Asked, Book, Renamer, Use};
use crate::edit::Edit;
use crate::finding::Finding;
use crate::fixes::Fix;
use crate::fixes::patch::{Patch, lines, listed, part};
use crate::options::FstabMode;
use crate::view::View;
use h2k_block::Result;
use h2k_systemd::escape_path;

const UNITS: &str = "/etc/systemd/system";
/// What units are told in; the rest of them names places, not devices.
const KINDS: [(&str, &[u8]); 2] = [(".mount", b"[Mount]"), (".swap", b"[Swap]")];

/// Names disks in units that mount filesystems and use swap areas.
pub(in crate::fixes) struct Units;

impl Fix for Units {
    fn id(&self) -> &'static str {
        "linux.units"
    }

    fn about(&self) -> &'static str {
        "names disks by what lies on them in systemd's units of mounts and swap areas"
    }

    fn look(&self, view: &View<'_>) -> Result<Vec<Finding>> {
        let mode = view.options.fstab;
        if mode == FstabMode::Noop {
            return Ok(vec![Finding::leave(
                "units are to be left as they are, as /etc/fstab is",
            )]);
        }
        let mut findings = Vec::new();
        for (kind, section) in KINDS {
            for path in listed(view, UNITS, kind) {
                findings.extend(of_unit(view, &path, kind, section));
            }
            for dir in listed(view, UNITS, &format!("{kind}.d")) {
                for path in listed(view, &dir, ".conf") {
                    findings.extend(of_unit(view, &path, kind, section));
                }
            }
        }
        if findings.is_empty() {
            findings.push(Finding::leave("no unit of the guest's own mounts anything"));
        }
        Ok(findings)
    }
}

fn of_unit(view: &View<'_>, path: &str, kind: &str, section: &[u8]) -> Vec<Finding> {
    // Links lead to units of packages, or to nothing.
    if view.look.target(path).is_some() {
        return Vec::new();
    }
    let Some(bytes) = view.look.bytes(path, 1 << 20) else {
        return Vec::new();
    };
    let mut book = Book::new(Renamer::new(view), path);
    let mut patch = Patch::new(&bytes);
    let mut moved = None;
    let mut inside = false;
    for line in lines(&bytes) {
        let text = line.text.trim_ascii();
        if text.starts_with(b"[") {
            inside = text == section;
        }
        let Some(equals) = line.text.iter().position(|b| *b == b'=').filter(|_| inside) else {
            continue;
        };
        let (key, value) = line.text.split_at(equals);
        let said = value.get(1..).unwrap_or_default().trim_ascii();
        let by_path = said.starts_with(b"/dev/disk/by-path/");
        let wanted = view.options.fstab == FstabMode::StabilizeAll || by_path;
        // Comments have no such key, and specifiers are not known here.
        if key.trim_ascii() != b"What" || !said.starts_with(b"/dev/") || said.contains(&b'%') || !wanted {
            continue;
        }
        let asked = Asked {
            spec: said,
            usage: Use::Path,
            what: "What=",
            line: line.number,
            needed: false,
        };
        if let Some(new) = book.rename(&asked) {
            let pads = value
                .iter()
                .skip(1)
                .take_while(|b| b.is_ascii_whitespace())
                .count();
            let start = line
                .start
                .saturating_add(equals)
                .saturating_add(1)
                .saturating_add(pads);
            patch.replace(start..start.saturating_add(said.len()), new.clone());
            moved = escape_path(said).zip(escape_path(&new));
        }
    }
    let mut findings = book.close(&patch);
    if let (".swap", Some((from, to))) = (kind, moved)
        && part(path.as_bytes(), &(UNITS.len().saturating_add(1)..path.len()))
            == format!("{from}.swap").as_bytes()
    {
        let edits = renamed(view, &format!("{from}.swap"), &format!("{to}.swap"));
        let change = findings.iter_mut().find(|f| !f.edits.is_empty());
        if let Some(change) = change {
            change
                .why
                .push_str(&format!("; systemd wants the unit called {to}.swap then"));
            change.edits.extend(edits);
        }
    }
    findings
}

/// The unit of a swap area has its device's name: with another one, so have it its drop-ins and whoever wants it.
fn renamed(view: &View<'_>, from: &str, to: &str) -> Vec<Edit> {
    let path = |name: &str| format!("{UNITS}/{name}").into_bytes();
    let mut edits = vec![Edit::Rename {
        from: path(from),
        to: path(to),
    }];
    let drop_ins = format!("{from}.d");
    if view.look.exists(path(&drop_ins)) {
        edits.push(Edit::Rename {
            from: path(&drop_ins),
            to: path(&format!("{to}.d")),
        });
    }
    let wanting = [".wants", ".requires"].into_iter();
    for dir in wanting.flat_map(|ending| listed(view, UNITS, ending)) {
        let link = format!("{dir}/{from}");
        let Some(target) = view.look.target(&link) else {
            continue;
        };
        let old = from.as_bytes();
        let target = target.strip_suffix(old).map(|dir| [dir, to.as_bytes()].concat());
        edits.extend(target.map(|target| Edit::Link {
            path: format!("{dir}/{to}").into_bytes(),
            target,
        }));
        let path = link.into_bytes();
        edits.push(Edit::Remove { path });
    }
    edits
}
