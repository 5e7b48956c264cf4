//! The disk everything starts from: real files of this machine, laid out as on a half-empty disk.

use super::scratch::Scratch;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Data and nothing take turns at this stride, as in the block groups of a disk that is half full.
const GROUP: u64 = 64 << 20;

/// No single file may be more than a small part of the data.
const LARGEST: u64 = 32 << 20;

/// Where the files come from: programs, libraries, documentation, whatever a system has.
const FROM: [&str; 5] = ["/usr/lib", "/usr/bin", "/usr/share", "/usr/libexec", "/usr/local"];

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    /// Next to nothing: does all of this still work?
    Tiny,
    /// Little: a rough figure.
    Quick,
    /// What counts.
    Full,
}

/// How much is wanted.
pub(super) struct Plan {
    /// Bytes of file data.
    pub(super) data: u64,
}

/// What was made.
pub(super) struct Facts {
    /// Bytes of the disk.
    pub(super) len: u64,
    /// Bytes of file data on it.
    pub(super) data: u64,
    /// Files it came from.
    pub(super) files: u64,
}

impl Plan {
    pub(super) fn new(size: Size) -> Self {
        Self {
            data: match size {
                Size::Tiny => 4 << 20,
                Size::Quick => 96 << 20,
                Size::Full => 2176 << 20,
            },
        }
    }

    /// What a run needs at its widest: the disk, a source made from it, and one output more.
    pub(super) fn room(&self) -> u64 {
        self.data * 7 / 2 + (256 << 20)
    }
}

/// Makes the raw disk.
pub(super) fn make(scratch: &Scratch, plan: &Plan) -> Result<(PathBuf, Facts), String> {
    let path = scratch.path("base.raw");
    let disk = File::create_new(&path).map_err(|e| e.to_string())?;
    let mut facts = Facts {
        len: 0,
        data: 0,
        files: 0,
    };
    let mut at = 0;
    let mut visit = |file: &Path| -> Result<bool, String> {
        let Ok(bytes) = slurp(file) else { return Ok(true) };
        facts.files += u64::from(!bytes.is_empty());
        for block in bytes.chunks(4096) {
            disk.write_all_at(block, at).map_err(|e| e.to_string())?;
            facts.data += 4096;
            at += 4096;
            if at % (2 * GROUP) == GROUP {
                at += GROUP;
            }
        }
        Ok(facts.data < plan.data)
    };
    self::visit(&mut visit)?;
    if facts.data < plan.data {
        return Err(format!(
            "{} MiB of files are needed below {}, there are {}",
            plan.data >> 20,
            FROM.join(" "),
            facts.data >> 20
        ));
    }
    // A hole at the end too, up to a whole number of groups.
    facts.len = at.next_multiple_of(2 * GROUP);
    disk.set_len(facts.len).map_err(|e| e.to_string())?;
    Ok((path, facts))
}

/// Shows the machine's files until `visit` has enough.
pub(super) fn visit(visit: &mut dyn FnMut(&Path) -> Result<bool, String>) -> Result<(), String> {
    for from in FROM {
        if !walk(Path::new(from), visit)? {
            break;
        }
    }
    Ok(())
}

/// A file, or its first part where it is very large.
pub(super) fn slurp(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Shows every regular file below `dir` in the order of their names, until `visit` has enough.
fn walk(dir: &Path, visit: &mut dyn FnMut(&Path) -> Result<bool, String>) -> Result<bool, String> {
    let Ok(list) = std::fs::read_dir(dir) else {
        return Ok(true);
    };
    let mut entries: Vec<_> = list.flatten().collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        // Not followed: a link's target comes by itself.
        let Ok(kind) = entry.file_type() else { continue };
        let go_on = if kind.is_dir() {
            walk(&entry.path(), visit)?
        } else if kind.is_file() {
            visit(&entry.path())?
        } else {
            true
        };
        if !go_on {
            return Ok(false);
        }
    }
    Ok(true)
}
