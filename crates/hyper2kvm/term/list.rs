use super::Screen;
use serde::Serialize;

/// How much is gathered before it is written.
const FULL: usize = 1 << 16;

/// Results that are written while they come in: a guest can have millions of files. As text, or as one JSON document
/// with the results in a list.
pub(crate) struct List<'a> {
    screen: &'a Screen,
    name: &'static str,
    pending: Vec<u8>,
    begun: bool,
}

impl<'a> List<'a> {
    /// Nothing yet. In JSON the list is the document's field `name`.
    pub(crate) fn new(screen: &'a Screen, name: &'static str) -> Self {
        Self {
            screen,
            name,
            pending: Vec::new(),
            begun: false,
        }
    }

    /// Adds text, where text is asked for.
    pub(crate) fn text(&mut self, text: &[u8]) {
        self.pending.extend_from_slice(text);
        self.relieve();
    }

    /// Adds one result to the list.
    pub(crate) fn item(&mut self, item: &impl Serialize) {
        let head = match self.begun {
            true => ",\n  ".to_owned(),
            false => format!("{{\"{}\": [\n  ", self.name),
        };
        self.begun = true;
        self.pending.extend_from_slice(head.as_bytes());
        // A report of strings and numbers has a form in JSON.
        let _infallible = serde_json::to_writer(&mut self.pending, item);
        self.relieve();
    }

    /// Ends it; in JSON `more` has the fields after the list.
    pub(crate) fn end(mut self, more: &[(&str, serde_json::Value)]) {
        if self.screen.json {
            let head = match self.begun {
                true => "\n]".to_owned(),
                false => format!("{{\"{}\": []", self.name),
            };
            self.pending.extend_from_slice(head.as_bytes());
            for (key, value) in more {
                self.pending
                    .extend_from_slice(format!(", \"{key}\": {value}").as_bytes());
            }
            self.pending.extend_from_slice(b"}\n");
        }
        self.flush();
    }

    fn relieve(&mut self) {
        if self.pending.len() > FULL {
            self.flush();
        }
    }

    /// Writes what was gathered.
    pub(crate) fn flush(&mut self) {
        if !self.pending.is_empty() {
            self.screen.raw(&self.pending);
            self.pending.clear();
        }
    }
}
