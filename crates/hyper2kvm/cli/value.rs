//! Values on the command line: sizes, formats.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use h2k_convert::{Format, Resize};

/// Accepts the names of formats that can be read, and qemu-img's `vpc`.
pub(super) fn format() -> impl TypedValueParser<Value = Format> {
    among(Format::ALL.to_vec())
}

/// Accepts the names of formats that can be made.
pub(super) fn made() -> impl TypedValueParser<Value = Format> {
    among(Format::ALL.into_iter().filter(|f| f.is_made()).collect())
}

fn among(formats: Vec<Format>) -> impl TypedValueParser<Value = Format> {
    let names = formats.into_iter().map(|f| match f {
        Format::Vhd => PossibleValue::new("vhd").alias("vpc"),
        other => PossibleValue::new(other.name()),
    });
    PossibleValuesParser::new(names)
        .try_map(|name| Format::from_name(&name).ok_or_else(|| format!("{name} is not a format")))
}

/// A number of bytes: `1048576`, `64K`, `1.5G`, `20GiB`; units are powers of 1024 (`GB` and the like: of 1000).
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let bad = || format!("{text:?} is not a size; write bytes, or a number and K, M, G, T, P or E");
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits).ok_or_else(bad)?;
    let unit = unit.trim().to_ascii_uppercase();
    let (letter, base) = match unit.as_bytes() {
        [] | b"B" => (None, 1024_u64),
        [letter] | [letter, b'I', b'B'] => (Some(*letter), 1024),
        [letter, b'B'] => (Some(*letter), 1000),
        _ => return Err(bad()),
    };
    let power = match letter {
        None => 0,
        Some(letter) => b"KMGTPE"
            .iter()
            .position(|l| *l == letter)
            .ok_or_else(bad)?
            .saturating_add(1),
    };
    let factor = u128::from(base).pow(u32::try_from(power).unwrap_or(0));
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let whole: u128 = whole.parse().map_err(|_| bad())?;
    let mut total = whole.checked_mul(factor).ok_or_else(bad)?;
    if number.contains('.') {
        // A fraction has to name a whole number of bytes, or nearly: what is left of a byte is dropped.
        let scale = 10_u128
            .checked_pow(u32::try_from(part.len()).unwrap_or(u32::MAX))
            .filter(|_| part.len() <= 9);
        let (scale, part) = (scale.ok_or_else(bad)?, part.parse::<u128>().map_err(|_| bad())?);
        let more = part
            .checked_mul(factor)
            .and_then(|n| n.checked_div(scale))
            .ok_or_else(bad)?;
        total = total.checked_add(more).ok_or_else(bad)?;
    }
    u64::try_from(total).map_err(|_| format!("{text:?} is more than a disk can have"))
}

/// The same, more than nothing.
pub(super) fn some_bytes(text: &str) -> Result<u64, String> {
    match bytes(text)? {
        0 => Err("has to be more than nothing".to_owned()),
        n => Ok(n),
    }
}

/// A new size: `20G`, or `+5G` for so much more.
pub(super) fn resize(text: &str) -> Result<Resize, String> {
    match text.strip_prefix('+') {
        Some(more) => bytes(more).map(Resize::By),
        None => bytes(text).map(Resize::To),
    }
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        assert_eq!(bytes("0"), Ok(0));
        assert_eq!(bytes("512"), Ok(512));
        assert_eq!(bytes("64K"), Ok(65536));
        assert_eq!(bytes("64k"), Ok(65536));
        assert_eq!(bytes("1.5G"), Ok(3 << 29));
        assert_eq!(bytes("20GiB"), Ok(20 << 30));
        assert_eq!(bytes("20GB"), Ok(20_000_000_000));
        assert_eq!(bytes("16T"), Ok(16 << 40));
        assert_eq!(bytes("15E"), Ok(15 << 60));
        assert_eq!(bytes("100B"), Ok(100));
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for bad in [
            "",
            "G",
            "-1",
            "1X",
            "1KK",
            "1e9",
            "16E",
            "1.",
            ".5",
            "1.5.5",
            "0x10",
            "99999999999999999999",
            "é",
        ] {
            assert!(bytes(bad).is_err(), "{bad:?}");
        }
    }
}
