//! What the user sees: colours, tables, progress, failures.

mod date;
mod failure;
mod fields;
mod list;
mod progress;
mod screen;
mod style;
mod table;

pub(crate) use date::utc;
pub(crate) use fields::Fields;
pub(crate) use list::List;
pub(crate) use progress::{Progress, fancy};
pub(crate) use screen::Screen;
pub(crate) use style::{Colour, Style};
pub(crate) use table::{Align, Table};

/// Text that came from an image or a file name, for a terminal: control characters are shown, not obeyed.
pub(crate) fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// A guest's name for a terminal: what is not text, and control characters, as escapes. A backslash stays one: this is
/// for eyes, and JSON is for programs.
pub(crate) fn shown_bytes(name: &[u8]) -> String {
    let mut out = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        out.push_str(&shown(chunk.valid()));
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

/// `n` with a comma every three digits.
pub(crate) fn exact(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        let left = digits.len().saturating_sub(i);
        if i > 0 && left.is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A size for people with the exact number of bytes behind it, where the short form is not exact by itself.
pub(crate) fn size(bytes: u64) -> String {
    if bytes < 1024 {
        return h2k_convert::human(bytes);
    }
    format!("{} ({} bytes)", h2k_convert::human(bytes), exact(bytes))
}

#[cfg(test)]
mod tests {
    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(super::shown("a\x1b[2Jb\n"), "a\\u{1b}[2Jb\\n");
        assert_eq!(super::shown("é ü"), "é ü");
        assert_eq!(super::shown_bytes(b"a\xff\x1b\n\xc3\xa9"), "a\\xff\\u{1b}\\né");
    }

    #[test]
    fn digits_are_grouped_by_threes() {
        assert_eq!(super::exact(0), "0");
        assert_eq!(super::exact(999), "999");
        assert_eq!(super::exact(1000), "1,000");
        assert_eq!(super::exact(21_474_836_480), "21,474,836,480");
        assert_eq!(super::size(2048), "2 KiB (2,048 bytes)");
    }
}
