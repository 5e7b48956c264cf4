//! `/etc/fstab`.

use super::{Asked, Book, Renamed, Renamer, Use, items};
use crate::finding::Finding;
use crate::fixes::Fix;
use crate::fixes::patch::{Patch, lines, part};
use crate::options::FstabMode;
use crate::view::View;
use h2k_block::Result;
use h2k_boot::naming::{Naming, of as naming};
use h2k_guest::{Device, FstabLine, fstab};
use std::ops::Range;

const PATH: &str = "/etc/fstab";

/// Options whose value is a path of a device.
const PATHS: [&str; 8] = [
    "journal_path=",
    "journal_dev=",
    "logdev=",
    "rtdev=",
    "device=",
    "x-systemd.requires=",
    "x-systemd.after=",
    "x-systemd.before=",
];

/// Names disks in the table of filesystems by what lies on them.
pub(in crate::fixes) struct Fstab;

impl Fix for Fstab {
    fn id(&self) -> &'static str {
        "linux.fstab"
    }

    fn about(&self) -> &'static str {
        "names disks in /etc/fstab by what lies on them"
    }

    fn look(&self, view: &View<'_>) -> Result<Vec<Finding>> {
        let mode = view.options.fstab;
        if mode == FstabMode::Noop {
            return Ok(vec![Finding::leave("/etc/fstab is to be left as it is")]);
        }
        let Some(bytes) = view.look.bytes(PATH, 1 << 20) else {
            return Ok(vec![Finding::leave("there is no /etc/fstab")]);
        };
        let mut book = Book::new(Renamer::new(view), PATH);
        let mut patch = Patch::new(&bytes);
        for line in lines(&bytes) {
            let Some(entry) = fstab(line.text).into_iter().next() else {
                continue;
            };
            let fields = line.words();
            if let Some(field) = fields.first()
                && (mode == FstabMode::StabilizeAll || entry.spec.starts_with(b"/dev/disk/by-path/"))
                && let Some(new) = spec(&mut book, &entry, line.number)
            {
                patch.replace(field.clone(), new);
            }
            if let Some(field) = fields.get(3).filter(|_| mode == FstabMode::StabilizeAll) {
                options(
                    &mut book,
                    &mut patch,
                    &entry,
                    field,
                    part(&bytes, field),
                    line.number,
                );
            }
        }
        Ok(book.close(&patch))
    }
}

/// What takes the place of the first field.
fn spec(book: &mut Book<'_>, entry: &FstabLine, line: usize) -> Option<Vec<u8>> {
    let point = String::from_utf8_lossy(&entry.point).into_owned();
    let what = if entry.kind == b"swap" {
        "swap"
    } else {
        point.as_str()
    };
    let text = String::from_utf8_lossy(&entry.spec).into_owned();
    let needed = ["/", "/usr", "/boot", "/boot/efi", "/efi"].contains(&point.as_str());
    let naming = naming(&text);
    // The root is mounted by the time this is read, whatever the line calls it.
    let mounted = point == "/" && naming == Naming::Content;
    let asked = Asked {
        spec: &entry.spec,
        usage: Use::Content,
        what,
        line,
        needed: needed && !mounted && !entry.has("nofail") && !entry.has("noauto"),
    };
    let machine = matches!(naming, Naming::Order(_) | Naming::Place);
    if machine && disc(entry) {
        // What was the second IDE channel's drive has another name; udev keeps this link.
        let renamed = match naming {
            Naming::Order("hd") => Renamed::To("/dev/cdrom".to_owned()),
            _ => Renamed::Stays,
        };
        return book.note(&asked, renamed);
    }
    // This is the table of the system that lies there, whatever it calls the disk.
    let root = book
        .names
        .root()
        .filter(|d| point == "/" && machine && fits(entry, d));
    if let Some(root) = root {
        let renamed = book.names.stable(root, &text, Use::Content);
        return book.note(&asked, renamed);
    }
    if let Some(device) = book.names.view.resolve(&entry.spec).ok().filter(|_| machine)
        && !fits(entry, device)
    {
        let why = format!(
            "{what} is on {text}, which would be {}, and that holds {} and not {}",
            device.name,
            device.kind.unwrap_or("nothing that is known"),
            String::from_utf8_lossy(&entry.kind)
        );
        let advice = "the order of the disks differs from the old machine's: name them in its order";
        let finding = if asked.needed {
            Finding::blocked(why)
        } else {
            Finding::warn(why)
        };
        book.tell(line, finding.advise(advice));
        return None;
    }
    book.rename(&asked)
}

/// Whether a drive for discs is meant.
fn disc(entry: &FstabLine) -> bool {
    let discs: [&[u8]; 4] = [b"iso9660", b"udf", b"udf,iso9660", b"iso9660,udf"];
    let point = entry.point.to_ascii_lowercase();
    let named = point.windows(5).any(|w| w == b"cdrom") || point.windows(3).any(|w| w == b"dvd");
    discs.contains(&entry.kind.as_slice()) || (named && entry.has("noauto"))
}

/// Whether a device may hold what the line says it holds. What is not known to differ fits.
fn fits(entry: &FstabLine, device: &Device) -> bool {
    const KNOWN: [&str; 12] = [
        "ext2", "ext3", "ext4", "xfs", "btrfs", "swap", "vfat", "exfat", "ntfs", "f2fs", "jfs", "reiserfs",
    ];
    let Some(kind) = device.kind.filter(|kind| KNOWN.contains(kind)) else {
        return true;
    };
    let wanted = String::from_utf8_lossy(&entry.kind).into_owned();
    wanted.split(',').any(|wanted| {
        let family = match wanted {
            "ext2" | "ext3" | "ext4" => "ext",
            "msdos" | "umsdos" => "vfat",
            _ if wanted.starts_with("ntfs") => "ntfs",
            _ => wanted,
        };
        !KNOWN.iter().any(|known| known.starts_with(family)) || kind.starts_with(family)
    })
}

fn options(
    book: &mut Book<'_>,
    patch: &mut Patch<'_>,
    entry: &FstabLine,
    field: &Range<usize>,
    list: &[u8],
    line: usize,
) {
    for (item, range) in items(list, field.start) {
        let key = PATHS.iter().find(|key| item.starts_with(key.as_bytes()));
        let Some((key, value)) = key.and_then(|key| Some((*key, item.strip_prefix(key.as_bytes())?))) else {
            continue;
        };
        if !value.starts_with(b"/dev/") {
            continue;
        }
        let what = format!("{key} of {}", String::from_utf8_lossy(&entry.point));
        let asked = Asked {
            spec: value,
            // Every device of one btrfs has its UUID.
            usage: if key == "device=" { Use::Crypt } else { Use::Path },
            what: &what,
            line,
            needed: false,
        };
        if let Some(new) = book.rename(&asked) {
            let start = range.start.saturating_add(key.len());
            patch.replace(start..range.end, new);
        }
    }
}
