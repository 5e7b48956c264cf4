use crate::{FileKind, FsRead, Node};
use h2k_block::{Class, Error, Meter, Result};
use std::collections::VecDeque;

/// How many links one path may follow, as in Linux (`MAXSYMLINKS`).
const LINKS: usize = 40;

/// The components of a path: without empty ones and `.`, with `..`.
pub fn parts(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|b| *b == b'/').filter(|p| !p.is_empty() && *p != b".")
}

/// Walks `path` from the root and follows every link on the way and at the end. `None` when it leads nowhere.
///
/// Links are followed inside this filesystem; `..` at the root stays at the root, as in `chroot`.
///
/// # Errors
/// [`Class::Limit`] for links that go round in circles; else as [`FsRead`].
pub fn resolve(fs: &dyn FsRead, path: &[u8], meter: &mut Meter) -> Result<Option<Node>> {
    lookup_path(fs, path, true, meter)
}

/// As [`resolve`]; with `follow` unset the last component may be a link itself.
///
/// # Errors
/// As [`resolve`].
pub fn lookup_path(fs: &dyn FsRead, path: &[u8], follow: bool, meter: &mut Meter) -> Result<Option<Node>> {
    let mut trail = vec![fs.root()];
    let mut todo: VecDeque<Vec<u8>> = parts(path).map(<[u8]>::to_vec).collect();
    let mut links = 0_usize;
    while let Some(part) = todo.pop_front() {
        meter.step("path component")?;
        if part == b".." {
            if trail.len() > 1 {
                trail.pop();
            }
            continue;
        }
        let here = trail.last().copied().unwrap_or_else(|| fs.root());
        if fs.stat(here)?.kind != FileKind::Dir {
            return Ok(None);
        }
        let Some(next) = fs.lookup(here, &part)? else {
            return Ok(None);
        };
        let last = todo.is_empty();
        if fs.stat(next)?.kind != FileKind::Link || (last && !follow) {
            trail.push(next);
            continue;
        }
        links = links.saturating_add(1);
        if links > LINKS {
            return Err(Error::new(
                Class::Limit,
                format!(
                    "{} follows more than {LINKS} links",
                    String::from_utf8_lossy(path)
                ),
            ));
        }
        let target = fs.target(next)?;
        if target.first() == Some(&b'/') {
            trail.truncate(1);
        }
        for part in parts(&target).collect::<Vec<_>>().into_iter().rev() {
            todo.push_front(part.to_vec());
        }
    }
    Ok(trail.pop())
}

/// All of a file, or an error if it is larger than the meter allows.
///
/// # Errors
/// [`Class::Limit`] for a file that is too large; [`Class::Invalid`] for what is no regular file.
pub fn read_file(fs: &dyn FsRead, file: Node, meter: &mut Meter) -> Result<Vec<u8>> {
    let stat = fs.stat(file)?;
    if stat.kind != FileKind::File {
        return Err(Error::new(Class::Invalid, "not a regular file"));
    }
    // A length is the input's word: pay for all of it, allocate only what really comes.
    meter.bytes(stat.len, "file content")?;
    let mut all = Vec::new();
    let mut piece = vec![0; 1 << 16];
    loop {
        let offset = u64::try_from(all.len()).unwrap_or(u64::MAX);
        if offset >= stat.len {
            break;
        }
        match fs.read_at(file, offset, &mut piece)? {
            0 => break,
            n => all.extend_from_slice(piece.get(..n).unwrap_or_default()),
        }
    }
    Ok(all)
}
