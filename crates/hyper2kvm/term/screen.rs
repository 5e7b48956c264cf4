use super::{Colour, Style};
use h2k_convert::{ErrorReport, Failure};
use h2k_guest::Unread;
use serde::Serialize;
use std::cell::Cell;
use std::io::{IsTerminal, Write};

/// Standard output and standard error, as the user wants them.
pub(crate) struct Screen {
    /// Whether results are one JSON document on standard output.
    pub(crate) json: bool,
    /// Whether only results and errors are shown.
    pub(crate) quiet: bool,
    /// Paints what goes to standard output.
    pub(crate) out: Style,
    /// Paints what goes to standard error.
    pub(crate) err: Style,
    /// Whether standard output is a terminal, which control characters could command.
    tty: bool,
    closed: Cell<bool>,
}

/// The one document of a run that failed.
#[derive(Serialize)]
struct Failed {
    error: ErrorReport,
}

impl Screen {
    pub(crate) fn new(json: bool, quiet: bool, colour: Colour) -> Self {
        Self {
            json,
            quiet,
            out: Style::of(colour, &std::io::stdout()),
            err: Style::of(colour, &std::io::stderr()),
            tty: std::io::stdout().is_terminal(),
            closed: Cell::new(false),
        }
    }

    /// Writes a result. Whoever stops reading (`| head`) has had enough: that is no failure.
    pub(crate) fn say(&self, text: &str) {
        self.raw(text.as_bytes());
    }

    /// Writes bytes as they are.
    pub(crate) fn raw(&self, bytes: &[u8]) {
        let mut out = std::io::stdout().lock();
        if out.write_all(bytes).and_then(|()| out.flush()).is_err() {
            self.closed.set(true);
        }
    }

    /// A guest's name for standard output: as it is in a pipe or a file, harmless on a terminal, as `ls` does it.
    pub(crate) fn name(&self, name: &[u8]) -> Vec<u8> {
        if self.tty {
            super::shown_bytes(name).into_bytes()
        } else {
            name.to_vec()
        }
    }

    /// The same for text of several lines, each of which ends in a new line.
    pub(crate) fn name_lines(&self, text: &[u8]) -> Vec<u8> {
        let lines = text.split_inclusive(|b| *b == b'\n');
        let each = lines.flat_map(|line| match line.strip_suffix(b"\n") {
            Some(line) => [self.name(line), b"\n".to_vec()].concat(),
            None => self.name(line),
        });
        each.collect()
    }

    /// Whether nobody reads standard output any more.
    pub(crate) fn closed(&self) -> bool {
        self.closed.get()
    }

    /// Writes what is good to know, unless the user wants quiet.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet && !self.json {
            self.complain(text);
        }
    }

    /// Writes a warning, one that must not be missed.
    pub(crate) fn warn(&self, text: &str) {
        if !self.json {
            self.complain(&format!("{} {text}", self.err.yellow("warning:")));
        }
    }

    /// Warns of what could not be read in a guest.
    pub(crate) fn unread<'a>(&self, all: impl IntoIterator<Item = &'a Unread>) {
        for one in all {
            self.warn(&super::shown(&one.to_string()));
        }
    }

    /// Writes a report as one JSON document.
    pub(crate) fn document(&self, report: &impl Serialize) {
        match serde_json::to_string_pretty(report) {
            Ok(text) => self.say(&format!("{text}\n")),
            Err(e) => self.complain(&format!("error: the report cannot be written as JSON: {e}")),
        }
    }

    /// Tells a failure.
    pub(crate) fn fail(&self, failure: &Failure) {
        if self.json {
            self.document(&Failed {
                error: failure.report(),
            });
        } else {
            self.complain(super::failure::text(failure, self.err).trim_end());
        }
    }

    fn complain(&self, line: &str) {
        // Nothing to do about a standard error that is gone.
        let _gone = writeln!(std::io::stderr().lock(), "{line}");
    }
}
