//! Code page 437: what the bytes of a short name stand for where nobody says otherwise.

/// The upper half of code page 437 (Unicode consortium, CP437.TXT); the lower half is ASCII.
const UPPER: [char; 128] = [
    'Ç', 'ü', 'é', 'â', 'ä', 'à', 'å', 'ç', 'ê', 'ë', 'è', 'ï', 'î', 'ì', 'Ä', 'Å', 'É', 'æ', 'Æ', 'ô', 'ö',
    'ò', 'û', 'ù', 'ÿ', 'Ö', 'Ü', '¢', '£', '¥', '₧', 'ƒ', 'á', 'í', 'ó', 'ú', 'ñ', 'Ñ', 'ª', 'º', '¿', '⌐',
    '¬', '½', '¼', '¡', '«', '»', '░', '▒', '▓', '│', '┤', '╡', '╢', '╖', '╕', '╣', '║', '╗', '╝', '╜', '╛',
    '┐', '└', '┴', '┬', '├', '─', '┼', '╞', '╟', '╚', '╔', '╩', '╦', '╠', '═', '╬', '╧', '╨', '╤', '╥', '╙',
    '╘', '╒', '╓', '╫', '╪', '┘', '┌', '█', '▄', '▌', '▐', '▀', 'α', 'ß', 'Γ', 'π', 'Σ', 'σ', 'µ', 'τ', 'Φ',
    'Θ', 'Ω', 'δ', '∞', 'φ', 'ε', '∩', '≡', '±', '≥', '≤', '⌠', '⌡', '÷', '≈', '°', '∙', '·', '√', 'ⁿ', '²',
    '■', '\u{a0}',
];

/// The character of `byte`.
pub(crate) fn character(byte: u8) -> char {
    byte.checked_sub(128)
        .and_then(|i| UPPER.get(usize::from(i)).copied())
        .unwrap_or(char::from(byte))
}

/// The lower-case form of the character of `byte`, where the code page has one; else the character.
pub(crate) fn lower(byte: u8) -> char {
    let c = character(byte);
    let mut small = c.to_lowercase();
    match (small.next(), small.next()) {
        (Some(one), None) if one.is_ascii() || UPPER.contains(&one) => one,
        _ => c,
    }
}

/// The upper-case form of a UTF-16 unit where that is one unit too; names are equal when these are.
pub(crate) fn up(unit: u16) -> u16 {
    let Some(c) = char::from_u32(unit.into()) else {
        return unit;
    };
    let mut big = c.to_uppercase();
    match (big.next(), big.next()) {
        (Some(one), None) => u16::try_from(u32::from(one)).unwrap_or(unit),
        _ => unit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_of_the_code_page_have_their_case() {
        assert_eq!((character(0x80), lower(0x80)), ('Ç', 'ç'));
        assert_eq!((character(b'A'), lower(b'A')), ('A', 'a'));
        assert_eq!((character(0xe1), lower(0xe1)), ('ß', 'ß'));
        assert_eq!(character(0xff), '\u{a0}');
        assert_eq!(up(u16::from(b'z')), u16::from(b'Z'));
        assert_eq!(up(0xdf), 0xdf, "sharp s has no single upper-case unit");
        assert_eq!(up(0xd800), 0xd800);
    }
}
