//! What checks found, for people and for comparisons.

use h2k_block::Findings;

/// The first dozen findings, a line each.
#[must_use]
pub fn words(found: &Findings) -> Vec<String> {
    let each = found.findings.iter().take(12);
    each.map(|f| {
        format!(
            "{} {} @{:#x}: {}",
            f.severity.word(),
            f.structure,
            f.offset,
            f.what
        )
    })
    .collect()
}
