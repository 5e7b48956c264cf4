//! Names: which can be, how they are stored, and the short names that stand for long ones.

use crate::dir::checksum;
use crate::layout::{ENTRY, LAST_LONG, Long, PIECE, attr};
use h2k_block::{Class, Error, Result};
use h2k_fs::{Name, check_name, wtf8};
use zerocopy::{FromZeros, IntoBytes};

/// Characters no name can have (section 7.1, table of valid characters).
const NEVER: &str = "\"*/:<>?\\|";
/// What a short name may have besides letters and digits.
const ALSO_SHORT: &[u8] = b"$%'-_@~`!(){}^#&";
/// Largest number behind the tilde of a short name.
const MOST_TAIL: u32 = 999_999;

/// The units of a name that is to be made.
///
/// # Errors
/// [`Class::Invalid`] when no file can be called that.
pub(super) fn check(name: &Name) -> Result<Vec<u16>> {
    check_name(name)?;
    let wrong = |why: &str| {
        let shown = String::from_utf8_lossy(name);
        Error::new(Class::Invalid, format!("the name {shown:?} {why}"))
    };
    let units = wtf8::decode(name).ok_or_else(|| wrong("is no Unicode"))?;
    let never = |u: &u16| *u < 0x20 || NEVER.bytes().any(|b| u16::from(b) == *u);
    if units.iter().any(never) {
        return Err(wrong("holds a control character or one of \"*/:<>?\\|"));
    }
    if matches!(units.last(), Some(0x20 | 0x2e)) {
        return Err(wrong("ends with a space or a dot"));
    }
    Ok(units)
}

/// How a name is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) short: [u8; 11],
    /// The bits of Windows NT that make parts of the short name lower case.
    pub(super) case: u8,
    /// Pieces of the long name in the order they are stored in; none where the short name says it all.
    pub(super) pieces: Vec<[u8; ENTRY]>,
}

/// How the name `units` is stored in a directory where `taken` short names exist already.
///
/// # Errors
/// [`Class::Limit`] when every short name for it is taken.
pub(super) fn stored(units: &[u16], taken: impl Fn(&[u8; 11]) -> bool) -> Result<Stored> {
    if let Some((short, case)) = as_short(units)
        && !taken(&short)
    {
        return Ok(Stored {
            short,
            case,
            pieces: Vec::new(),
        });
    }
    let short = alias(units, taken)?;
    Ok(Stored {
        short,
        case: 0,
        pieces: pieces(units, checksum(&short)),
    })
}

/// The short name that says all of `units`, and its bits for lower case.
fn as_short(units: &[u16]) -> Option<([u8; 11], u8)> {
    let text: Vec<u8> = units
        .iter()
        .map(|u| u8::try_from(*u).ok())
        .collect::<Option<_>>()?;
    let (base, extension) = split(&text);
    let dots = text.iter().filter(|b| **b == b'.').count();
    if base.is_empty() || base.len() > 8 || extension.len() > 3 || dots > 1 {
        return None;
    }
    let case = |part: &[u8]| {
        let (lower, upper) = (
            part.iter().any(u8::is_ascii_lowercase),
            part.iter().any(u8::is_ascii_uppercase),
        );
        let fine = part.iter().all(|b| is_short(b.to_ascii_uppercase()));
        (fine && !(lower && upper)).then_some(lower)
    };
    let bits = u8::from(case(base)?) << 3 | u8::from(case(extension)?) << 4;
    Some((fields(base, extension), bits))
}

fn is_short(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit() || ALSO_SHORT.contains(&byte)
}

/// What lies before and behind the last dot.
fn split(text: &[u8]) -> (&[u8], &[u8]) {
    match text.iter().rposition(|b| *b == b'.') {
        Some(at) => (
            text.get(..at).unwrap_or_default(),
            text.get(at.saturating_add(1)..).unwrap_or_default(),
        ),
        None => (text, &[]),
    }
}

fn fields(base: &[u8], extension: &[u8]) -> [u8; 11] {
    let mut short = [b' '; 11];
    let (to_base, to_extension) = short.split_at_mut(8);
    for (part, to) in [(base, to_base), (extension, to_extension)] {
        for (to, from) in to.iter_mut().zip(part) {
            *to = from.to_ascii_uppercase();
        }
    }
    short
}

/// A short name that stands for a long one (section 7.4, "basis-name generation" and "numeric-tail generation").
/// Characters beyond ASCII become underscores: which code page others read them by is not known here.
fn alias(units: &[u16], taken: impl Fn(&[u8; 11]) -> bool) -> Result<[u8; 11]> {
    let mut lossy = false;
    let mut text: Vec<u8> = Vec::new();
    for unit in units {
        let byte = u8::try_from(*unit).unwrap_or(b'_').to_ascii_uppercase();
        match byte {
            b' ' => lossy = true,
            b'.' => text.push(byte),
            _ if is_short(byte) && *unit < 0x80 => text.push(byte),
            _ => {
                text.push(b'_');
                lossy = true;
            }
        }
    }
    let leading = text.iter().take_while(|b| **b == b'.').count();
    lossy |= leading > 0;
    let text = text.get(leading..).unwrap_or_default();
    let (stem, extension) = split(text);
    let base: Vec<u8> = stem.iter().copied().filter(|b| *b != b'.').collect();
    lossy |= base.len() != stem.len() || base.len() > 8 || extension.len() > 3 || base.is_empty();
    let base = if base.is_empty() { vec![b'_'] } else { base };
    let whole = fields(&base, extension);
    if !lossy && !taken(&whole) {
        return Ok(whole);
    }
    for n in 1..=MOST_TAIL {
        let tail = format!("~{n}");
        let kept = base.len().min(8_usize.saturating_sub(tail.len()));
        let base = [base.get(..kept).unwrap_or_default(), tail.as_bytes()].concat();
        let short = fields(&base, extension);
        if !taken(&short) {
            return Ok(short);
        }
    }
    let shown = String::from_utf16_lossy(units);
    Err(Error::new(
        Class::Limit,
        format!("no short name is left for {shown:?}"),
    ))
}

/// The entries that hold a long name, the last piece first (section 7).
fn pieces(units: &[u16], checksum: u8) -> Vec<[u8; ENTRY]> {
    let count = units.len().div_ceil(PIECE);
    let mut all = Vec::new();
    for (n, part) in units.chunks(PIECE).enumerate().rev() {
        let mut long = Long::new_zeroed();
        let order = u8::try_from(n.saturating_add(1)).unwrap_or(0);
        let last = n.saturating_add(1) == count;
        long.order = if last { order | LAST_LONG } else { order };
        long.attributes = attr::LONG;
        long.checksum = checksum;
        // A zero ends a name that does not fill its piece, and ones fill up the rest.
        let padded = part.iter().copied().chain([0]).chain(std::iter::repeat(0xffff));
        let slots = long
            .name_1
            .iter_mut()
            .chain(&mut long.name_2)
            .chain(&mut long.name_3);
        for (slot, unit) in slots.zip(padded) {
            slot.set(unit);
        }
        let mut bytes = [0; ENTRY];
        bytes.copy_from_slice(long.as_bytes());
        all.push(bytes);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(name: &str) -> Vec<u16> {
        name.encode_utf16().collect()
    }

    fn shown(name: &str, taken: &[&[u8; 11]]) -> (String, u8, usize) {
        let stored = stored(&units(name), |s| taken.contains(&s)).unwrap();
        let short = String::from_utf8(stored.short.to_vec()).unwrap();
        (short, stored.case, stored.pieces.len())
    }

    #[test]
    fn names_that_fit_are_short_names_with_bits_for_lower_case() {
        assert_eq!(shown("README.TXT", &[]), ("README  TXT".to_owned(), 0, 0));
        assert_eq!(shown("readme.TXT", &[]), ("README  TXT".to_owned(), 8, 0));
        assert_eq!(shown("grub.cfg", &[]), ("GRUB    CFG".to_owned(), 0x18, 0));
        assert_eq!(shown("EFI", &[]), ("EFI        ".to_owned(), 0, 0));
        assert_eq!(shown("bootx64.efi", &[]), ("BOOTX64 EFI".to_owned(), 0x18, 0));
        assert_eq!(shown("a~1", &[]), ("A~1        ".to_owned(), 8, 0));
    }

    #[test]
    fn other_names_are_long_and_have_a_short_name_of_their_own() {
        assert_eq!(shown("Readme.txt", &[]), ("README  TXT".to_owned(), 0, 1));
        assert_eq!(shown("grubx64.signed", &[]), ("GRUBX6~1SIG".to_owned(), 0, 2));
        assert_eq!(shown("a b", &[]), ("AB~1       ".to_owned(), 0, 1));
        assert_eq!(shown(".config", &[]), ("CONFIG~1   ".to_owned(), 0, 1));
        assert_eq!(
            shown("with.many.dots.in it", &[]),
            ("WITHMA~1INI".to_owned(), 0, 2)
        );
        assert_eq!(shown("näme", &[]), ("N_ME~1     ".to_owned(), 0, 1));
        assert_eq!(shown("a+b", &[]), ("A_B~1      ".to_owned(), 0, 1));
        assert_eq!(shown("thirteen-long", &[]).2, 1);
        assert_eq!(shown(&"x".repeat(255), &[]).2, 20);
    }

    #[test]
    fn short_names_that_are_taken_are_numbered_on() {
        let taken: [&[u8; 11]; 3] = [b"README  TXT", b"README~1TXT", b"README~2TXT"];
        assert_eq!(shown("Readme.txt", &taken).0, "README~3TXT");
        let many = |n: u32| stored(&units("a long name"), |s| s[6] == b'~' || n > 9 && s[5] == b'~').unwrap();
        assert_eq!(&many(9).short, b"ALONG~10   ");
        assert_eq!(&many(10).short, b"ALON~100   ");
        let none = stored(&units("a long name"), |_| true).unwrap_err();
        assert_eq!(none.class(), Class::Limit);
    }

    #[test]
    fn names_that_cannot_be_are_refused() {
        for name in [
            "a:b", "a\\b", "a*", "what?", "a\"", "<", ">", "a|b", "a\tb", "dot.", "space ", "..", "",
        ] {
            assert_eq!(
                check(name.as_bytes()).unwrap_err().class(),
                Class::Invalid,
                "{name:?}"
            );
        }
        assert_eq!(check(b"\xff\xfe").unwrap_err().class(), Class::Invalid);
        for name in [" a", ".a", "a b", "ä", "a+b,c;d=e[f]", "x"] {
            assert_eq!(check(name.as_bytes()).unwrap(), units(name));
        }
    }
}
