use crate::{Class, Error, Result};

/// How much one public call may cost when the input is hostile. Plain data, given when a thing is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory whose size was read from the input.
    pub bytes: u64,
    /// Structures visited.
    pub steps: u64,
    /// Levels descended: tree levels, backing chain, nested links.
    pub depth: u16,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 256 << 20,
            steps: 64_000_000,
            depth: 64,
        }
    }
}

/// The running account of one call. Local to the call: no atomics, nothing shared.
#[derive(Debug, Clone)]
pub struct Meter {
    left: Limits,
}

impl Meter {
    /// Opens an account.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { left: limits }
    }

    /// Pays for visiting one structure.
    ///
    /// # Errors
    /// [`Class::Limit`] when the account is empty.
    pub fn step(&mut self, what: &'static str) -> Result<()> {
        self.steps(1, what)
    }

    /// Pays for visiting `n` structures at once.
    ///
    /// # Errors
    /// [`Class::Limit`] when the account does not cover them.
    pub fn steps(&mut self, n: u64, what: &'static str) -> Result<()> {
        self.left.steps = self
            .left
            .steps
            .checked_sub(n)
            .ok_or_else(|| over("steps", what))?;
        Ok(())
    }

    /// Pays for `len` bytes of memory without allocating them.
    ///
    /// # Errors
    /// [`Class::Limit`] when the account does not cover them.
    pub fn bytes(&mut self, len: u64, what: &'static str) -> Result<usize> {
        self.left.bytes = self
            .left
            .bytes
            .checked_sub(len)
            .ok_or_else(|| over("bytes", what))?;
        usize::try_from(len).map_err(|_| over("bytes", what))
    }

    /// Allocates a zeroed buffer whose size the input chose.
    ///
    /// # Errors
    /// [`Class::Limit`] when the account does not cover it.
    pub fn buffer(&mut self, len: u64, what: &'static str) -> Result<Vec<u8>> {
        Ok(vec![0; self.bytes(len, what)?])
    }

    /// Pays for one level down. Give it back with [`Meter::ascend`] when walking a tree.
    ///
    /// # Errors
    /// [`Class::Limit`] when the input is nested deeper than allowed.
    pub fn descend(&mut self, what: &'static str) -> Result<()> {
        self.left.depth = self
            .left
            .depth
            .checked_sub(1)
            .ok_or_else(|| over("depth", what))?;
        Ok(())
    }

    /// Gives one level back.
    pub fn ascend(&mut self) {
        self.left.depth = self.left.depth.saturating_add(1);
    }

    /// What is left of the account.
    #[must_use]
    pub fn left(&self) -> Limits {
        self.left
    }
}

fn over(unit: &'static str, what: &'static str) -> Error {
    Error::new(
        Class::Limit,
        format!("{what} needs more {unit} than this call was given"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_account_says_what_ran_out() {
        let mut meter = Meter::new(Limits {
            bytes: 10,
            steps: 1,
            depth: 0,
        });
        meter.step("entry").unwrap();
        assert_eq!(meter.step("entry").unwrap_err().class(), Class::Limit);
        assert_eq!(meter.buffer(10, "table").unwrap().len(), 10);
        assert_eq!(meter.buffer(1, "table").unwrap_err().class(), Class::Limit);
        assert_eq!(meter.descend("node").unwrap_err().class(), Class::Limit);
    }
}
