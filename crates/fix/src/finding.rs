//! What a fix found.

use crate::edit::Edit;
use h2k_guest::Source;
use schemars::JsonSchema;
use serde::Serialize;

/// What follows from a look; the weightier is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Outcome {
    /// It is as it should be, or not this fix's business.
    Leave,
    /// The guest will differ from what it was, and nothing is done about that here: the user should know.
    Warn,
    /// It is changed.
    Change,
    /// It should be changed and cannot be: the guest would not start, or not as it was.
    Blocked,
}

impl Outcome {
    /// As tables name it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Leave => "leave",
            Self::Change => "change",
            Self::Warn => "warn",
            Self::Blocked => "blocked",
        }
    }
}

/// One thing a fix looked at, and what it says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Finding {
    /// Which fix: `linux.fstab`.
    pub fix: String,
    /// What it says.
    pub outcome: Outcome,
    /// Why, in a sentence.
    pub why: String,
    /// What the user can do about it.
    pub advice: Option<String>,
    /// Where that was read.
    pub evidence: Vec<Source>,
    /// What is to be changed; part of the plan's list of changes, not of this.
    #[serde(skip)]
    pub edits: Vec<Edit>,
}

impl Finding {
    fn new(outcome: Outcome, why: impl Into<String>) -> Self {
        Self {
            fix: String::new(),
            outcome,
            why: why.into(),
            advice: None,
            evidence: Vec::new(),
            edits: Vec::new(),
        }
    }

    /// Nothing is to be done, for this reason.
    #[must_use]
    pub fn leave(why: impl Into<String>) -> Self {
        Self::new(Outcome::Leave, why)
    }

    /// These edits are to be made, for this reason.
    #[must_use]
    pub fn change(why: impl Into<String>, edits: Vec<Edit>) -> Self {
        Self {
            edits,
            ..Self::new(Outcome::Change, why)
        }
    }

    /// The user should know this.
    #[must_use]
    pub fn warn(why: impl Into<String>) -> Self {
        Self::new(Outcome::Warn, why)
    }

    /// What should be done cannot be, for this reason.
    #[must_use]
    pub fn blocked(why: impl Into<String>) -> Self {
        Self::new(Outcome::Blocked, why)
    }

    /// With where that was read.
    #[must_use]
    pub fn read(mut self, sources: impl IntoIterator<Item = Source>) -> Self {
        self.evidence.extend(sources);
        self
    }

    /// With what the user can do about it.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}
