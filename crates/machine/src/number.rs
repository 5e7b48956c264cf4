//! Numbers as descriptions spell them.

/// The decimal number in `text`, with blanks around it.
pub(crate) fn decimal<T: std::str::FromStr>(text: &str) -> Option<T> {
    let text = text.trim();
    // Signs are none of a count's.
    if text.starts_with('+') {
        return None;
    }
    text.parse().ok()
}

/// Whether `text` says yes: `TRUE`, `true`, `yes`, `on`, `1`. Everything else says no.
pub(crate) fn yes(text: &str) -> bool {
    ["true", "yes", "on", "1"]
        .iter()
        .any(|word| text.trim().eq_ignore_ascii_case(word))
}

/// `text`, unless it is empty or blank.
pub(crate) fn said(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}
