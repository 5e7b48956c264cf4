//! Text: a byte that says how wide characters are, then the characters (UDF 2.1.1).

use h2k_fs::wtf8;

/// The text of `bytes`; empty where it is none.
pub(crate) fn text(bytes: &[u8]) -> Vec<u8> {
    match bytes.split_first() {
        Some((8 | 254, rest)) => wtf8::encode(rest.iter().map(|b| u16::from(*b))),
        Some((16 | 255, rest)) => {
            wtf8::encode(rest.as_chunks::<2>().0.iter().map(|b| u16::from_be_bytes(*b)))
        }
        _ => Vec::new(),
    }
}

/// A `dstring`: text in a field whose last byte tells how much of it is used.
pub(crate) fn dstring(field: &[u8]) -> Vec<u8> {
    let Some((len, text_at)) = field.split_last() else {
        return Vec::new();
    };
    text(text_at.get(..usize::from(*len)).unwrap_or(text_at))
}

/// A link's target out of its path components (4/14.16.1), as Linux shows it.
pub(crate) fn target(content: &[u8]) -> Vec<u8> {
    let mut path = Vec::new();
    let mut rest = content;
    while let [kind, len, _, _, tail @ ..] = rest {
        let Some((name, tail)) = tail.split_at_checked(usize::from(*len)) else {
            break;
        };
        rest = tail;
        match kind {
            1 if *len > 0 => {}
            1 | 2 => {
                path.clear();
                path.push(b'/');
            }
            3 => path.extend_from_slice(b"../"),
            4 => path.extend_from_slice(b"./"),
            5 => {
                path.extend(text(name));
                path.push(b'/');
            }
            _ => {}
        }
    }
    if path.len() > 1 && path.last() == Some(&b'/') {
        path.pop();
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_both_widths_and_paths() {
        assert_eq!(text(b"\x08a\xe9"), "aé".as_bytes());
        assert_eq!(text(b"\x10\x26\x03"), "☃".as_bytes());
        assert_eq!(dstring(b"\x08ab\0\0\x03"), b"ab");
        let path = b"\x02\0\0\0\x05\x02\0\0\x08a\x03\0\0\0\x05\x03\0\0\x08bc";
        assert_eq!(target(path), b"/a/../bc");
        assert_eq!(target(b"\x04\0\0\0"), b".");
    }
}
