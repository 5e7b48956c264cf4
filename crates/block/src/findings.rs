use crate::{Class, Error, Result};

/// How bad a [`Finding`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Severity {
    /// Data is or may become wrong.
    Error,
    /// Space is taken and used by nothing. No data is touched.
    Leak,
    /// Odd, and harmless for reading.
    Warning,
}

impl Severity {
    /// The word used for it in reports and JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Leak => "leak",
            Self::Warning => "warning",
        }
    }
}

/// One thing a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Name of the structure as its specification spells it.
    pub structure: &'static str,
    /// Byte offset in the layer that was checked: an image's file, a filesystem's volume.
    pub offset: u64,
    /// A plain sentence: what was found, and what was expected.
    pub what: String,
}

/// What the check of a structure found: an image's books, a filesystem's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// How many errors there are.
    pub errors: u64,
    /// How many units of allocation are leaked.
    pub leaks: u64,
    /// How many warnings there are.
    pub warnings: u64,
    /// What was found, in the order of the check: the first [`Findings::KEPT`] of it. The counts are complete.
    pub findings: Vec<Finding>,
}

impl Findings {
    /// How many findings are kept word for word; what is damaged can have billions.
    pub const KEPT: usize = 1000;

    /// Notes a finding. The sentence is made only when it is kept.
    pub fn note(
        &mut self,
        severity: Severity,
        structure: &'static str,
        offset: u64,
        what: impl FnOnce() -> String,
    ) {
        let count = match severity {
            Severity::Error => &mut self.errors,
            Severity::Leak => &mut self.leaks,
            Severity::Warning => &mut self.warnings,
        };
        *count = count.saturating_add(1);
        if self.findings.len() < Self::KEPT {
            self.findings.push(Finding {
                severity,
                structure,
                offset,
                what: what(),
            });
        }
    }

    /// Notes damage as a finding, about `structure` where the error does not say; hands every other failure back.
    ///
    /// # Errors
    /// `e`, when it is not [`Class::Corrupt`].
    pub fn damage(&mut self, structure: &'static str, e: Error) -> Result<()> {
        if e.class() != Class::Corrupt {
            return Err(e);
        }
        let place = e.place();
        self.note(
            Severity::Error,
            place.map_or(structure, |p| p.structure),
            place.map_or(0, |p| p.offset),
            || e.sentence().to_owned(),
        );
        Ok(())
    }

    /// Whether there is neither an error nor a leak.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.errors == 0 && self.leaks == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_complete_where_sentences_are_not() {
        let mut found = Findings::default();
        for n in 0..2000 {
            found.note(Severity::Leak, "bitmap", n, || format!("block {n}"));
        }
        assert_eq!((found.leaks, found.findings.len()), (2000, Findings::KEPT));
        assert!(!found.is_clean());
    }

    #[test]
    fn only_damage_is_a_finding() {
        let mut found = Findings::default();
        found
            .damage("table", Error::corrupt("entry", 7, "points nowhere"))
            .unwrap();
        assert_eq!(found.findings[0].structure, "entry");
        assert_eq!(found.findings[0].offset, 7);
        let limit = found.damage("table", Error::new(Class::Limit, "too long"));
        assert_eq!(limit.unwrap_err().class(), Class::Limit);
        assert_eq!(found.errors, 1);
    }
}
