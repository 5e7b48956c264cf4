//! Texts of a guest, changed line by line: what is not touched stays as it is, ends of lines included.

use super::patch::{self, Patch};
use crate::edit::Edit;
use crate::view::View;
use h2k_guest::look::join;

/// Largest text that is edited, in bytes.
pub(super) const TEXT: u64 = 1 << 20;

/// What becomes of a line.
pub(super) enum Becomes {
    /// It stays.
    Same,
    /// It goes.
    Gone,
    /// It reads so.
    This(String),
}

/// `text` with `each` line, shown without its end, as it becomes; `None` where all stay.
pub(super) fn lines(text: &str, mut each: impl FnMut(&str) -> Becomes) -> Option<String> {
    let mut patch = Patch::new(text.as_bytes());
    for line in patch::lines(text.as_bytes()) {
        let said = text.get(line.range())?.trim_end_matches('\r');
        match each(said) {
            Becomes::Gone => patch.drop_line(&line),
            Becomes::This(other) if other != said => {
                let end = line.start.saturating_add(said.len());
                patch.replace(line.start..end, other);
            }
            Becomes::Same | Becomes::This(_) => {}
        }
    }
    let changed = patch.changed().then(|| patch.done())?;
    String::from_utf8(changed).ok()
}

/// The file at `path`, if it is a text that can be changed without harm: small enough, and UTF-8 throughout.
pub(super) fn read(view: &View<'_>, path: impl AsRef<[u8]>) -> Option<String> {
    String::from_utf8(view.look.bytes(path, TEXT)?).ok()
}

/// The files of a directory whose names end with one of `endings`, with their paths.
pub(super) fn files(view: &View<'_>, dir: &str, endings: &[&str]) -> Vec<(Vec<u8>, String)> {
    let fits = |name: &&Vec<u8>| {
        !name.starts_with(b".") && endings.iter().any(|ending| name.ends_with(ending.as_bytes()))
    };
    let names = view.look.names(dir);
    let paths = names.iter().filter(fits).map(|name| join(dir.as_bytes(), name));
    paths
        .filter_map(|path| {
            let text = read(view, &path)?;
            Some((path, text))
        })
        .collect()
}

/// The edit that gives a file this content; `None` where it has it.
pub(super) fn write(view: &View<'_>, path: &str, content: impl Into<Vec<u8>>, mode: u16) -> Option<Edit> {
    let content = content.into();
    let same = view.look.stat(path).is_some_and(|stat| {
        let wide = u64::try_from(content.len()).unwrap_or(u64::MAX);
        stat.len == wide && view.look.bytes(path, wide).as_ref() == Some(&content)
    });
    (!same).then(|| Edit::Write {
        path: path.as_bytes().to_vec(),
        content,
        mode,
    })
}

/// The edit that makes `path` a link to `target`; `None` where it is one.
pub(super) fn link(view: &View<'_>, path: &str, target: &str) -> Option<Edit> {
    let there = view.look.target(path).as_deref() == Some(target.as_bytes());
    (!there).then(|| Edit::Link {
        path: path.as_bytes().to_vec(),
        target: target.as_bytes().to_vec(),
    })
}

/// A path for people.
pub(super) fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}
