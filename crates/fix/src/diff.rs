//! What changed in a text, line by line.

use similar::TextDiff;
use std::time::Duration;

/// A text larger than this is told by its sizes only.
const MOST: usize = 1 << 20;

/// The difference as `diff -u` shows it; `None` where one of them is no text.
pub(crate) fn unified(path: &str, before: &[u8], after: &[u8]) -> Option<String> {
    let text = |bytes| {
        let text = std::str::from_utf8(bytes).ok()?;
        (text.len() <= MOST && !text.contains('\0')).then_some(text)
    };
    let (before, after) = (text(before)?, text(after)?);
    // A file made to be compared slowly costs a coarser answer, not time.
    let diff = TextDiff::configure()
        .timeout(Duration::from_secs(1))
        .diff_lines(before, after);
    let shown = diff
        .unified_diff()
        .context_radius(3)
        .header(&format!("a{path}"), &format!("b{path}"))
        .to_string();
    Some(shown)
}
