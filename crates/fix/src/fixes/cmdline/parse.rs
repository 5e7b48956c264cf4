//! Where files keep command lines.

use super::{CommandLine, Kind};
use crate::fixes::patch::{Line, lines, part, words};
use std::ops::Range;

/// Entries that are read of one file.
const MOST: usize = 4096;

/// Lines that one command goes on over, and bytes between quotes. Real ones have a few, and some hundred.
const LINES: usize = 64;
const QUOTED: usize = 1 << 16;

/// The command lines in a file.
pub(super) fn lines_of(kind: Kind, path: &str, bytes: &[u8]) -> Vec<CommandLine> {
    let mut all: Vec<CommandLine> = Vec::new();
    let shell = kind == Kind::GrubDefault || path.ends_with("/update-extlinux.conf");
    let mut past = 0;
    for line in lines(bytes).filter(|line| !line.silent()) {
        if all.len() >= MOST {
            break;
        }
        // The rest of a value that goes on over lines.
        if line.start < past {
            continue;
        }
        let found = if shell {
            assigned(bytes, &line)
        } else {
            match kind {
                Kind::GrubCfg => script(bytes, &line),
                Kind::GrubEnv => env(bytes, &line),
                Kind::KernelCmdline => Some(Found::new("", line.range(), line.words())),
                Kind::Bls => after(&line, &["options"]),
                Kind::GrubLegacy => after(&line, &["kernel", "module"]).map(legacy),
                _ => after(&line, &["append"]),
            }
        };
        let Some(Found {
            name,
            value,
            words,
            bare,
        }) = found
        else {
            continue;
        };
        let end = words.last().map_or(value.end, |w| w.end);
        past = end;
        all.push(CommandLine {
            number: line.number,
            name,
            words,
            end,
            bare: bare.then_some(value.start),
        });
    }
    all
}

/// A command line in a file.
struct Found {
    name: String,
    /// Where its words are, with what is between them.
    value: Range<usize>,
    words: Vec<Range<usize>>,
    /// Whether a second word would have to be put into quotes with the first.
    bare: bool,
}

impl Found {
    fn new(name: impl Into<String>, value: Range<usize>, words: Vec<Range<usize>>) -> Self {
        Self {
            name: name.into(),
            value,
            words,
            bare: false,
        }
    }

    /// All that is in a range of the text.
    fn within(name: impl Into<String>, bytes: &[u8], value: Range<usize>) -> Self {
        let words = words(part(bytes, &value), value.start);
        Self::new(name, value, words)
    }
}

/// What follows one of these words at the beginning of a line, in any case of letters.
fn after(line: &Line<'_>, keys: &[&str]) -> Option<Found> {
    let mut words = line.words();
    if words.is_empty() {
        return None;
    }
    let first = words.remove(0);
    let key = part(
        line.text,
        &(first.start.saturating_sub(line.start)..first.end.saturating_sub(line.start)),
    );
    let key = String::from_utf8_lossy(key).to_ascii_lowercase();
    let value = first.end..line.range().end;
    keys.contains(&key.as_str())
        .then(|| Found::new(key, value, words))
}

/// `kernel --no-mem-option (hd0,0)/vmlinuz root=…`: what comes before the words that the kernel is told goes away.
fn legacy(mut found: Found) -> Found {
    found.words = found.words.into_iter().skip(1).collect();
    found
}

/// `kernelopts=…` and other lists of parameters in an environment block.
fn env(bytes: &[u8], line: &Line<'_>) -> Option<Found> {
    let equals = line.text.iter().position(|b| *b == b'=')?;
    let name = String::from_utf8_lossy(line.text.get(..equals)?).into_owned();
    if !["kernelopts", "tuned_params", "kernel_opts"].contains(&name.as_str()) {
        return None;
    }
    let begin = line.start.saturating_add(equals).saturating_add(1);
    Some(Found::within(name, bytes, begin..line.range().end))
}

/// `GRUB_CMDLINE_LINUX="…"`, over as many lines as the quotes say.
fn assigned(bytes: &[u8], line: &Line<'_>) -> Option<Found> {
    let indent = line.text.len().saturating_sub(line.text.trim_ascii_start().len());
    let rest = line.text.get(indent..)?;
    let skip = if rest.starts_with(b"export ") {
        b"export ".len()
    } else {
        0
    };
    let name_at = indent.saturating_add(skip);
    let equals = line
        .text
        .iter()
        .position(|b| *b == b'=')
        .filter(|at| *at > name_at)?;
    let name = line.text.get(name_at..equals)?;
    let name = String::from_utf8_lossy(name.strip_suffix(b"+").unwrap_or(name)).into_owned();
    if name == "root" {
        // Alpine: the word is `root=…` itself.
        let start = line.start.saturating_add(name_at);
        return Some(Found::within(name, bytes, start..line.range().end));
    }
    let wanted =
        name.starts_with("GRUB_CMDLINE_LINUX") || name.ends_with("_APPEND") || name == "default_kernel_opts";
    if !wanted {
        return None;
    }
    let start = line.start.saturating_add(equals).saturating_add(1);
    let range = quoted(bytes, start, line.range().end);
    let quote = |b: &u8| matches!(b, b'"' | b'\'');
    let bare = !bytes.get(start).is_some_and(quote);
    // `root=x" y"`: where such a value ends is for a shell to say.
    if bare && part(bytes, &range).iter().any(quote) {
        return None;
    }
    let found = Found::within(name, bytes, range);
    Some(Found { bare, ..found })
}

/// What is between the quotes that begin at `start`, or up to the first white space where there are none. Quotes that
/// never end, end with the line.
fn quoted(bytes: &[u8], start: usize, line_end: usize) -> Range<usize> {
    let rest = bytes.get(start..).unwrap_or_default();
    let Some(quote) = rest.first().filter(|b| matches!(b, b'"' | b'\'')) else {
        let end = rest
            .iter()
            .position(u8::is_ascii_whitespace)
            .unwrap_or(rest.len());
        return start..start.saturating_add(end);
    };
    let inner = start.saturating_add(1);
    let mut escaped = false;
    for (at, byte) in rest.iter().enumerate().take(QUOTED).skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if *quote == b'"' => escaped = true,
            b if b == quote => return inner..start.saturating_add(at),
            _ => {}
        }
    }
    inner..line_end
}

/// Commands of a script that start kernels, and variables that hold what kernels are told.
fn script(bytes: &[u8], line: &Line<'_>) -> Option<Found> {
    const COMMANDS: [&[u8]; 5] = [b"linux", b"linux16", b"linuxefi", b"module", b"module2"];
    let joined = continued(bytes, line);
    let all = words(part(bytes, &joined), joined.start);
    let text = |range: &Range<usize>| part(bytes, range);
    let mut opens = true;
    for (at, word) in all.iter().enumerate() {
        let said = text(word);
        if opens && COMMANDS.contains(&said) {
            let rest = all.iter().skip(at.saturating_add(2));
            let mut list = Vec::new();
            for word in rest {
                let said = text(word);
                if said.starts_with(b"#") || said == b";" || said == b"}" {
                    break;
                }
                let ends = said.ends_with(b";");
                list.push(if ends {
                    word.start..word.end.saturating_sub(1)
                } else {
                    word.clone()
                });
                if ends {
                    break;
                }
            }
            return Some(Found::new(String::from_utf8_lossy(said), joined, list));
        }
        if opens && said == b"set" {
            let next = all.get(at.saturating_add(1))?;
            let equals = text(next).iter().position(|b| *b == b'=')?;
            let name = String::from_utf8_lossy(text(next).get(..equals)?).into_owned();
            if !["kernelopts", "default_kernelopts", "tuned_params"].contains(&name.as_str()) {
                return None;
            }
            let start = next.start.saturating_add(equals).saturating_add(1);
            let range = quoted(bytes, start, line.range().end);
            return Some(Found::within(name, bytes, range));
        }
        opens = said.ends_with(b"{") || said.ends_with(b";") || said == b"then" || said == b"else";
        if said.starts_with(b"#") {
            return None;
        }
    }
    None
}

/// A line and those it goes on in: a backslash stands before their ends.
fn continued(bytes: &[u8], line: &Line<'_>) -> Range<usize> {
    let Range { start, mut end } = line.range();
    for _ in 0..LINES {
        let goes_on = bytes.get(start..end).is_some_and(|text| text.ends_with(b"\\"));
        if !goes_on || end >= bytes.len() {
            break;
        }
        let next = end.saturating_add(1);
        let rest = bytes.get(next..).unwrap_or_default();
        let len = rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
        if len == 0 {
            break;
        }
        end = next.saturating_add(len);
    }
    start..end
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;

    /// The words of each command line.
    fn read(kind: Kind, path: &str, text: &str) -> Vec<Vec<String>> {
        let lines = lines_of(kind, path, text.as_bytes());
        let words = |l: &CommandLine| l.words.iter().map(|w| text[w.clone()].to_owned()).collect();
        lines.iter().map(words).collect()
    }

    #[test]
    fn defaults_are_read_through_quotes_lines_and_comments() {
        let text = "# GRUB_CMDLINE_LINUX=\"root=/dev/a\"\nGRUB_TIMEOUT=5\nexport GRUB_CMDLINE_LINUX=\"root=/dev/b\n  \
                    quiet\" # why\nGRUB_CMDLINE_LINUX_DEFAULT=''\nGRUB_CMDLINE_LINUX+=\" $X a=\\\"b c\\\"\"\n\
                    GRUB_CMDLINE_LINUX=bare next\nGRUB_CMDLINE_LINUX=a\" b\"\n";
        assert_eq!(
            read(Kind::GrubDefault, "/etc/default/grub", text),
            [
                vec!["root=/dev/b", "quiet"],
                vec![],
                vec!["$X", "a=\\\"b", "c\\\""],
                vec!["bare"],
            ]
        );
    }

    #[test]
    fn a_script_is_read_in_menus_over_lines_and_after_semicolons() {
        let text = "set kernelopts=\"root=/dev/a ro\"\nif x; then\n linux /x y\nfi\nsubmenu 'linux root' {\n\
                    menuentry 'linux /v root=/dev/no' { linux16 /v root=/dev/c ro; initrd /i\n}\n\
                    linuxefi /v root=/dev/d \\\n  quiet # root=/dev/no\n\tsearch --hint=hd0 uuid\n#linux /v root=/dev/no\n}";
        assert_eq!(
            read(Kind::GrubCfg, "/boot/grub/grub.cfg", text),
            [
                vec!["root=/dev/a", "ro"],
                vec!["y"],
                vec!["root=/dev/c", "ro"],
                vec!["root=/dev/d", "\\", "quiet"],
            ]
        );
    }

    #[test]
    fn other_files_are_read() {
        let legacy = "default 0\ntitle kernel x\n\tkernel (hd0,0)/v ro root=/dev/a\n# kopt=root=/dev/no\n";
        assert_eq!(read(Kind::GrubLegacy, "x", legacy), [["ro", "root=/dev/a"]]);
        assert_eq!(
            read(Kind::Extlinux, "x", "LABEL a\n APPEND root=/dev/a ro\n"),
            [["root=/dev/a", "ro"]]
        );
        let alpine = "root=UUID=1\ndefault_kernel_opts=\"quiet\"\nmodules=sd-mod\n";
        assert_eq!(
            read(Kind::Extlinux, "/etc/update-extlinux.conf", alpine),
            [["root=UUID=1"], ["quiet"]]
        );
        assert_eq!(
            read(Kind::Bls, "x", "title options\noptions  a b\n"),
            [["a", "b"]]
        );
        assert_eq!(read(Kind::KernelCmdline, "x", "# a\nb c\n"), [["b", "c"]]);
        assert_eq!(
            read(Kind::GrubEnv, "x", "# GRUB\nsaved_entry=a b\nkernelopts=c d\n##"),
            [["c", "d"]]
        );
    }
}
