//! Units as CIM programs them: `byte * 2^20`.

use crate::number::decimal;

/// How many bytes one `unit` is; `None` for what is no unit of bytes.
pub(super) fn bytes(unit: &str) -> Option<u64> {
    let unit = unit.trim().to_ascii_lowercase();
    let named = match unit.as_str() {
        "byte" | "bytes" => Some(1),
        "kilobyte" | "kilobytes" | "kb" => Some(1 << 10),
        "megabyte" | "megabytes" | "mb" => Some(1 << 20),
        "gigabyte" | "gigabytes" | "gb" => Some(1 << 30),
        "terabyte" | "terabytes" | "tb" => Some(1 << 40),
        _ => None,
    };
    named.or_else(|| product(&unit))
}

/// `byte * 2^20 * 10^3 * 512`, in any number of factors.
fn product(unit: &str) -> Option<u64> {
    let mut factors = unit.split('*').map(str::trim);
    if !matches!(factors.next(), Some("byte" | "bytes")) {
        return None;
    }
    factors.try_fold(1_u64, |all, factor| {
        let one = match factor.split_once('^') {
            Some((base, power)) => decimal::<u64>(base)?.checked_pow(decimal(power)?)?,
            None => decimal(factor)?,
        };
        all.checked_mul(one)
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn units_are_computed() {
        for (unit, want) in [
            ("byte", Some(1)),
            ("byte * 2^20", Some(1 << 20)),
            ("byte*2^30", Some(1 << 30)),
            ("byte * 10^3 * 2^10", Some(1_024_000)),
            ("byte * 512", Some(512)),
            ("MegaBytes", Some(1 << 20)),
            ("hertz * 10^6", None),
            ("byte * 2^64", None),
            ("byte * 2^99999999999", None),
            ("", None),
        ] {
            assert_eq!(super::bytes(unit), want, "{unit}");
        }
    }
}
