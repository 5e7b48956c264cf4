//! A section of an inspection as text, whatever it holds: facts as lines, lists as tables.

use crate::term::{Align, Fields, Style, Table, shown};
use serde_json::{Map, Value};

/// How an outline is drawn.
pub(super) struct Outline {
    /// The terminal's abilities.
    pub(super) style: Style,
    /// Whether to tell where each fact was read.
    pub(super) sources: bool,
}

/// More columns than this do not fit on a terminal: such lists become blocks.
const COLUMNS: usize = 7;

impl Outline {
    /// A section, its title left to the caller.
    pub(super) fn section(&self, section: &Map<String, Value>) -> String {
        self.object(section, "  ")
    }

    fn object(&self, object: &Map<String, Value>, indent: &str) -> String {
        let mut fields = Fields::default();
        let mut below = String::new();
        for (key, value) in object {
            if empty(value) || (key == "source" && !self.sources) {
                continue;
            }
            let label = key.replace('-', " ");
            if let Some(text) = self.inline(value) {
                fields.add(label, text);
                continue;
            }
            let deeper = format!("{indent}  ");
            let body = match value {
                Value::Array(items) => self.list(items, &deeper),
                Value::Object(inner) => self.object(inner, &deeper),
                _ => continue,
            };
            let count = value
                .as_array()
                .map(|a| format!(" ({})", a.len()))
                .unwrap_or_default();
            let heading = format!("{}{}", label, self.style.dim(&count));
            below.push_str(&format!("{indent}{heading}\n{body}"));
        }
        fields.render(self.style, indent) + &below
    }

    fn list(&self, items: &[Value], indent: &str) -> String {
        let objects: Option<Vec<&Map<String, Value>>> = items.iter().map(Value::as_object).collect();
        let Some(objects) = objects else {
            return items
                .iter()
                .filter_map(|item| Some(format!("{indent}{}\n", self.inline(item)?)))
                .collect();
        };
        match self.table(&objects) {
            Some(table) => {
                let paint = |column: usize, cell: &str| match column {
                    0 => self.style.bold(cell),
                    _ => cell.to_owned(),
                };
                table.render(self.style, indent, &paint)
            }
            None => objects
                .iter()
                .map(|object| self.object(object, indent) + "\n")
                .collect(),
        }
    }

    /// The objects as rows, if each of their values fits into a cell and the columns onto a terminal.
    fn table(&self, objects: &[&Map<String, Value>]) -> Option<Table> {
        let mut columns: Vec<&str> = Vec::new();
        for object in objects {
            for (key, value) in *object {
                if empty(value) || (key == "source" && !self.sources) || columns.contains(&key.as_str()) {
                    continue;
                }
                columns.push(key);
            }
        }
        if columns.is_empty() || columns.len() > COLUMNS {
            return None;
        }
        let titles: Vec<(String, Align)> = columns
            .iter()
            .map(|c| (c.replace('-', " ").to_uppercase(), Align::Left))
            .collect();
        let mut table = Table::named(titles);
        for object in objects {
            let mut cells = Vec::with_capacity(columns.len());
            for column in &columns {
                let value = object.get(*column).filter(|v| !empty(v));
                // Where it was read is the last column's: a cell has room for the value.
                let cell = match value.map(|v| fact(v).map_or(v, |(inner, _)| inner)) {
                    Some(value) => self.inline(value)?,
                    None => String::new(),
                };
                if cell.contains('\n') {
                    return None;
                }
                cells.push(cell);
            }
            table.row(cells);
        }
        Some(table)
    }

    /// What fits into one cell; `None` for what has parts of its own.
    fn inline(&self, value: &Value) -> Option<String> {
        match value {
            Value::Null => Some(String::new()),
            Value::Bool(true) => Some("yes".to_owned()),
            Value::Bool(false) => Some("no".to_owned()),
            Value::Number(n) => Some(n.to_string()),
            Value::String(s) => Some(lines(s)),
            Value::Array(items) => {
                if items
                    .iter()
                    .any(|i| i.is_array() || (i.is_object() && fact(i).is_none()))
                {
                    return None;
                }
                let words: Option<Vec<String>> = items.iter().map(|i| self.inline(i)).collect();
                Some(words?.join(", "))
            }
            Value::Object(_) => {
                let (value, source) = fact(value)?;
                let text = self.inline(value)?;
                match self.sources {
                    true => Some(format!("{text}  {}", self.style.dim(&lines(source)))),
                    false => Some(text),
                }
            }
        }
    }
}

/// Text of the guest, made safe for a terminal line by line.
fn lines(text: &str) -> String {
    let all: Vec<String> = text.lines().map(shown).collect();
    all.join("\n")
}

/// A value with the place it was read at, if that is what `value` is.
fn fact(value: &Value) -> Option<(&Value, &str)> {
    let object = value.as_object()?;
    if object.len() != 2 {
        return None;
    }
    Some((object.get("value")?, object.get("source")?.as_str()?))
}

fn empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(s) => s.is_empty(),
        Value::Array(a) => a.is_empty(),
        Value::Object(o) => o.is_empty() || fact(value).is_some_and(|(v, _)| empty(v)),
        _ => false,
    }
}
