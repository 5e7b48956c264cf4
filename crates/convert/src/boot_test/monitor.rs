//! QEMU's monitor: QMP over the standard input and output of the program, one JSON document a line.
//!
//! QEMU's manual, "QEMU Machine Protocol".

use serde_json::{Value, json};
use std::io::Write;
use std::process::ChildStdin;

/// The longest answer: the text memory in hexadecimal is a tenth of it.
const LONGEST: usize = 1 << 20;

/// What is asked, what was answered.
#[derive(Debug)]
pub(super) struct Monitor {
    to: Option<ChildStdin>,
    heard: Vec<u8>,
    asked: u64,
    answer: Option<(u64, Option<Value>)>,
}

impl Monitor {
    pub(super) fn new(to: Option<ChildStdin>) -> Self {
        let mut monitor = Self {
            to,
            heard: Vec::new(),
            asked: 0,
            answer: None,
        };
        // Nothing else is taken before this.
        let _id = monitor.ask("qmp_capabilities", &json!({}));
        monitor
    }

    /// Asks, and says by which number the answer will be known. `None` when nobody listens any more.
    pub(super) fn ask(&mut self, command: &str, arguments: &Value) -> Option<u64> {
        self.asked = self.asked.saturating_add(1);
        self.answer = None;
        let line = json!({"execute": command, "arguments": arguments, "id": self.asked});
        let to = self.to.as_mut()?;
        writeln!(to, "{line}").and_then(|()| to.flush()).ok()?;
        Some(self.asked)
    }

    /// Takes what was said next.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.heard.extend_from_slice(bytes);
        while let Some(end) = self.heard.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.heard.drain(..=end).collect();
            // Greetings and events have no number.
            let said: Option<Value> = serde_json::from_slice(&line).ok();
            let id = said.as_ref().and_then(|said| said.get("id")?.as_u64());
            if let (Some(id), Some(mut said)) = (id, said) {
                self.answer = Some((id, said.get_mut("return").map(Value::take)));
            }
        }
        if self.heard.len() > LONGEST {
            self.heard.clear();
        }
    }

    /// The answer to a question, once it is there: a value, or a refusal.
    pub(super) fn answer(&mut self, id: u64) -> Option<Option<Value>> {
        let (_, value) = self.answer.take_if(|(number, _)| *number == id)?;
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::Monitor;
    use serde_json::json;

    #[test]
    fn answers_are_found_among_greetings_and_events_however_they_are_cut() {
        let mut monitor = Monitor::new(None);
        let said = b"{\"QMP\": {}}\r\n{\"event\": \"RESET\"}\r\n{\"return\": \"text\", \"id\": 2}\r\n\
                     {\"event\": \"STOP\"}\r\n";
        for piece in said.chunks(7) {
            monitor.take(piece);
        }
        assert_eq!(monitor.answer(1), None);
        assert_eq!(monitor.answer(2), Some(Some(json!("text"))));
        assert_eq!(monitor.answer(2), None);
        monitor.take(b"{\"error\": {\"class\": \"GenericError\"}, \"id\": 3}\n");
        assert_eq!(monitor.answer(3), Some(None));
    }

    #[test]
    fn a_line_without_end_is_not_kept() {
        let mut monitor = Monitor::new(None);
        for _ in 0..40 {
            monitor.take(&[b'x'; 100_000]);
        }
        assert!(monitor.heard.len() <= super::LONGEST);
    }
}
