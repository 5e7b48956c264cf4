use h2k_fs::Civil;

/// Seconds since 1970 as `2026-11-20 12:22:00 UTC`.
pub(crate) fn utc(seconds: i64) -> String {
    format!("{} UTC", Civil::of(seconds))
}
