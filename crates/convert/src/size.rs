/// `bytes` for people: about three digits and a binary unit, exact where the unit divides it, else rounded down.
#[must_use]
pub fn human(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut shift = 0_u32;
    let mut name = if bytes == 1 { "byte" } else { "bytes" };
    for unit in UNITS {
        if bytes >> shift < 1024 {
            break;
        }
        shift = shift.saturating_add(10);
        name = unit;
    }
    let whole = bytes >> shift;
    let rest = bytes.saturating_sub(whole << shift);
    if rest == 0 || whole >= 100 {
        return format!("{whole} {name}");
    }
    let hundredths = u128::from(rest).saturating_mul(100) >> shift;
    if whole >= 10 {
        let tenths = hundredths.wrapping_div(10);
        format!("{whole}.{tenths} {name}")
    } else {
        format!("{whole}.{hundredths:02} {name}")
    }
}

#[cfg(test)]
mod tests {
    use super::human;

    #[test]
    fn sizes_are_short_and_exact_where_they_can_be() {
        assert_eq!(human(0), "0 bytes");
        assert_eq!(human(1), "1 byte");
        assert_eq!(human(1023), "1023 bytes");
        assert_eq!(human(20 << 30), "20 GiB");
        assert_eq!(human((1 << 20) + (1 << 19)), "1.50 MiB");
        assert_eq!(human((12 << 20) + (1 << 19)), "12.5 MiB");
        assert_eq!(human((1 << 30) - 1), "1023 MiB");
        assert_eq!(human(u64::MAX), "15.9 EiB");
    }
}
