//! What is odd but does not stop reading. Collected while opening and, for what is found later, while reading.

use std::sync::{Mutex, PoisonError};

/// More than this many would be noise: the first ones tell.
const MOST: usize = 32;

#[derive(Debug, Default)]
pub(crate) struct Warnings(Mutex<Vec<String>>);

impl Warnings {
    pub(crate) fn add(&self, warning: impl Into<String>) {
        let warning = warning.into();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() < MOST && !all.contains(&warning) {
            all.push(warning);
        }
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
