//! `/etc/crypttab`.

use super::{Asked, Book, Renamer, Use, items};
use crate::finding::Finding;
use crate::fixes::Fix;
use crate::fixes::patch::{Patch, lines, part};
use crate::view::View;
use h2k_block::Result;
use h2k_boot::naming::{Naming, of as naming};
use std::ops::Range;

const PATH: &str = "/etc/crypttab";

/// Names encrypted devices by their LUKS headers.
pub(in crate::fixes) struct Crypttab;

impl Fix for Crypttab {
    fn id(&self) -> &'static str {
        "linux.crypttab"
    }

    fn about(&self) -> &'static str {
        "names devices in /etc/crypttab by their LUKS headers"
    }

    fn look(&self, view: &View<'_>) -> Result<Vec<Finding>> {
        let Some(bytes) = view.look.bytes(PATH, 1 << 20) else {
            return Ok(vec![Finding::leave("there is no /etc/crypttab")]);
        };
        let mut book = Book::new(Renamer::new(view), PATH);
        let mut patch = Patch::new(&bytes);
        for line in lines(&bytes).filter(|line| !line.silent()) {
            let fields = line.words();
            let [name, device, rest @ ..] = fields.as_slice() else {
                continue;
            };
            let name = String::from_utf8_lossy(part(&bytes, name)).into_owned();
            let options = rest.get(1).map_or(&b""[..], |field| part(&bytes, field));
            let optional = options
                .split(|b| *b == b',')
                .any(|o| o == b"nofail" || o == b"noauto");
            let asked = Asked {
                spec: part(&bytes, device),
                usage: Use::Crypt,
                what: &name,
                line: line.number,
                needed: !optional && of_root(view, &name),
            };
            if let Some(new) = book.rename(&asked) {
                patch.replace(device.clone(), new);
            }
            let mut path = |range: Range<usize>, what: &str| {
                let value = part(&bytes, &range);
                let device = device_of(view, value);
                let asked = Asked {
                    spec: device,
                    usage: Use::Path,
                    what,
                    line: line.number,
                    needed: false,
                };
                if let Some(new) = book.rename(&asked).filter(|_| value.starts_with(b"/dev/")) {
                    patch.replace(range.start..range.start.saturating_add(device.len()), new);
                }
            };
            if let Some(key) = rest.first().filter(|key| part(&bytes, key).starts_with(b"/dev/")) {
                path(key.clone(), &format!("the key of {name}"));
            }
            if let Some(field) = rest.get(1) {
                for (item, range) in items(options, field.start) {
                    if item.starts_with(b"header=/dev/") {
                        let start = range.start.saturating_add(b"header=".len());
                        path(start..range.end, &format!("the header of {name}"));
                    }
                }
            }
        }
        Ok(book.close(&patch))
    }
}

/// Whether the system's own root is behind this name.
fn of_root(view: &View<'_>, name: &str) -> bool {
    let path = format!("/dev/mapper/{name}");
    let root = view.guest.device(&view.system.device);
    root.is_ok_and(|root| root.is_named(&path))
}

/// Colons that a name by path may have: PCI has two, a target of iSCSI at an address of IPv6 a dozen.
const COLONS: usize = 32;

/// The device of a value that may have more behind a colon: `/dev/sdb1:/key`. Names by path have colons themselves.
pub(super) fn device_of<'a>(view: &View<'_>, value: &'a [u8]) -> &'a [u8] {
    let by_place = std::str::from_utf8(value).is_ok_and(|text| naming(text) == Naming::Place);
    let ends = value
        .iter()
        .enumerate()
        .filter(|(_, b)| **b == b':')
        .map(|(at, _)| at);
    let mut heads = ends.take(COLONS).filter_map(|at| value.get(..at));
    if by_place {
        return heads.find(|head| view.resolve(head).is_ok()).unwrap_or(value);
    }
    heads.next().unwrap_or(value)
}
