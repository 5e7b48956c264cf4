use h2k_block::{Class, Error};
use serde::Serialize;
use std::fmt;
use std::path::{Path, PathBuf};

/// A job that ended without its result.
#[derive(Debug)]
pub struct Failure {
    error: Error,
    subject: Option<PathBuf>,
    headline: Option<String>,
    aftermath: Vec<String>,
}

/// Result of a job.
pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// What was asked for makes no sense; `what` says why in one sentence.
    #[must_use]
    pub fn invalid(what: impl Into<String>) -> Self {
        Error::new(Class::Invalid, what).into()
    }

    /// A new size would cut off content and nobody allowed it.
    pub(crate) fn cuts_off(old: u64, new: u64) -> Self {
        let lost = crate::human(old.saturating_sub(new));
        Self::invalid(format!(
            "the disk has {old} bytes; a size of {new} would cut off its last {lost} with everything in them"
        ))
        .advise("shrink partitions and filesystems first, then say --shrink")
    }

    /// Says which file the failure is about. The first answer wins.
    #[must_use]
    pub fn about(mut self, subject: &Path) -> Self {
        self.subject.get_or_insert_with(|| subject.to_owned());
        self
    }

    /// Replaces the sentence in front, where the class alone would mislead.
    #[must_use]
    pub fn headed(mut self, headline: impl Into<String>) -> Self {
        self.headline.get_or_insert_with(|| headline.into());
        self
    }

    /// Adds what the user can do. The first advice wins.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.error = self.error.advise(advice);
        self
    }

    /// Adds what the failure left behind or did not touch.
    #[must_use]
    pub fn leaving(mut self, what: impl Into<String>) -> Self {
        self.aftermath.push(what.into());
        self
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn class(&self) -> Class {
        self.error.class()
    }

    /// The error underneath.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// The file it is about, where there is one.
    #[must_use]
    pub fn subject(&self) -> Option<&Path> {
        self.subject.as_deref()
    }

    /// The sentence in front: which file, and what is wrong with it.
    #[must_use]
    pub fn headline(&self) -> String {
        if let Some(headline) = &self.headline {
            return headline.clone();
        }
        let Some(subject) = &self.subject else {
            return match self.class() {
                Class::Cancelled => "stopped".to_owned(),
                _ => self.error.sentence().to_owned(),
            };
        };
        let s = subject.display();
        match self.class() {
            Class::Busy => format!("{s} is in use"),
            Class::Cancelled => "stopped".to_owned(),
            Class::Corrupt => format!("{s} is damaged"),
            Class::Exists => format!("{s} exists already"),
            Class::Invalid => self.error.sentence().to_owned(),
            Class::Io => format!("{s} could not be read or written"),
            Class::Limit => format!("{s} asks for more than an image may cost"),
            Class::NoSpace => format!("no room left for {s}"),
            Class::NotFound => format!("{s} does not exist"),
            Class::OutOfBounds => format!("{s} is shorter than what was asked of it"),
            Class::ReadOnly => format!("{s} may not be written"),
            Class::Refused => format!("{s} names a file that may not be opened"),
            Class::Unsupported => format!("this cannot be done with {s}"),
            _ => format!("{s}: {}", self.class().word()),
        }
    }

    /// The line below the headline: layers, structure, offset, sentence. `None` where the headline said it all.
    #[must_use]
    pub fn detail(&self) -> Option<String> {
        if self.error.place().is_none() && self.headline() == self.error.sentence() {
            return None;
        }
        let subject = self.subject.as_ref().map(|s| s.display().to_string());
        // The headline names the subject already.
        let mut layers: Vec<&str> = self
            .error
            .layers()
            .filter(|layer| Some(*layer) != subject.as_deref())
            .collect();
        layers.dedup();
        let mut line = String::new();
        for layer in layers.iter().rev() {
            line.push_str(layer);
            line.push_str(": ");
        }
        if let Some(place) = self.error.place() {
            line.push_str(&format!("{} at {:#x}: ", place.structure, place.offset));
        }
        line.push_str(self.error.sentence());
        Some(line)
    }

    /// What was left behind or not touched, in sentences.
    #[must_use]
    pub fn aftermath(&self) -> &[String] {
        &self.aftermath
    }

    /// The same as data.
    #[must_use]
    pub fn report(&self) -> ErrorReport {
        ErrorReport {
            class: self.class().word(),
            message: self.headline(),
            detail: self.error.sentence().to_owned(),
            subject: self.subject.as_ref().map(|s| s.display().to_string()),
            structure: self.error.place().map(|p| p.structure),
            offset: self.error.place().map(|p| p.offset),
            layers: self.error.layers().map(str::to_owned).collect(),
            advice: self.error.advice().map(str::to_owned),
            aftermath: self.aftermath.clone(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline())?;
        match self.detail() {
            Some(detail) => write!(f, ": {detail}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            error,
            subject: None,
            headline: None,
            aftermath: Vec::new(),
        }
    }
}

/// Gives a failing result its subject.
pub(crate) trait About<T> {
    /// Says which file the failure is about.
    fn about(self, subject: &Path) -> Result<T>;
}

impl<T> About<T> for h2k_block::Result<T> {
    fn about(self, subject: &Path) -> Result<T> {
        self.map_err(|e| Failure::from(e).about(subject))
    }
}

/// A failure as JSON tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ErrorReport {
    /// The class, one word.
    pub class: &'static str,
    /// Which file, and what is wrong with it.
    pub message: String,
    /// What was found and what was expected.
    pub detail: String,
    /// The file it is about.
    pub subject: Option<String>,
    /// The structure inside that file, as its specification names it.
    pub structure: Option<&'static str>,
    /// Where that structure lies, in bytes of the layer that speaks.
    pub offset: Option<u64>,
    /// The layers the failure crossed, innermost first.
    pub layers: Vec<String>,
    /// What the user can do.
    pub advice: Option<String>,
    /// What was left behind or not touched.
    pub aftermath: Vec<String>,
}
