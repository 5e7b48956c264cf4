//! Facts, and where they were read.

use super::text::lossy;
use h2k_block::Error;
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt;

/// Where a fact was read, as somebody would look it up: `/etc/os-release:3` for a line of a file of the guest,
/// `/etc/machine-id` for a file as a whole, `HKLM\SYSTEM\Select\Current` for a value of the registry, `partition table
/// of /dev/sda` for what lies in no file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Source(String);

impl Source {
    /// A file of the guest, as a whole or by its being there.
    #[must_use]
    pub fn file(path: &[u8]) -> Self {
        Self(lossy(path))
    }

    /// A line of a file; lines count from 1.
    #[must_use]
    pub fn line(path: &[u8], line: usize) -> Self {
        Self(format!("{}:{line}", String::from_utf8_lossy(path)))
    }

    /// What is no file of the guest: `the header of /dev/sda2`.
    #[must_use]
    pub fn named(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    /// As it is shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A value, and where it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Fact<T> {
    /// What was read.
    pub value: T,
    /// Where.
    pub source: Source,
}

impl<T> Fact<T> {
    /// `value`, as `source` has it.
    pub fn new(value: T, source: Source) -> Self {
        Self { value, source }
    }

    /// The same source, another value: for what is concluded from one fact alone.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Fact<U> {
        Fact {
            value: f(self.value),
            source: self.source,
        }
    }
}

/// What could not be read, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Unread {
    /// What was to be read.
    pub source: Source,
    /// One word to decide on, as failures have it: `corrupt`, `unsupported`, `limit` …
    pub class: String,
    /// Why not.
    pub message: String,
}

impl Unread {
    /// `error` kept `source` from being read.
    #[must_use]
    pub fn new(source: Source, error: &Error) -> Self {
        Self {
            source,
            class: error.class().word().to_owned(),
            message: error.to_string(),
        }
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.source, self.message)
    }
}
