//! LVM's configuration text: `name = value` and `name { … }`, with strings, numbers, lists and `#` comments.
//!
//! Parsed into one flat list of nodes without recursion. Everything is bounded: the text has a size already, nesting
//! and the number of nodes are counted.

use crate::bytes::wide;
use h2k_block::{Error, Meter, Result};

/// LVM nests four levels.
const MAX_DEPTH: usize = 16;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    /// Whole numbers; fractions do not occur in metadata and are kept as text.
    Number(i64),
    List(Vec<Value>),
}

/// `name = value` or `name { … }`.
#[derive(Debug)]
struct Node {
    name: String,
    value: Option<Value>,
    /// Of a section: the first node behind it.
    end: usize,
}

/// A parsed text: nodes in the order in which they appear, sections before what is in them.
#[derive(Debug)]
pub(super) struct Document {
    nodes: Vec<Node>,
}

/// A section of a document, or all of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Section<'a> {
    document: &'a Document,
    first: usize,
    end: usize,
}

#[derive(Debug, PartialEq)]
enum Token<'a> {
    Word(&'a [u8]),
    Quoted(String),
    Equals,
    Open,
    Close,
    OpenList,
    CloseList,
    Comma,
}

/// Cuts text into tokens.
struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Lexer<'a> {
    fn bad(&self, what: impl Into<String>) -> Error {
        Error::corrupt("LVM2 metadata text", wide(self.at), what)
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn bump(&mut self) {
        self.at = self.at.saturating_add(1);
    }

    fn next(&mut self) -> Result<Option<Token<'a>>> {
        loop {
            match self.peek() {
                // A NUL ends the text.
                None | Some(0) => return Ok(None),
                Some(b'#') => {
                    while self.peek().is_some_and(|c| c != b'\n') {
                        self.bump();
                    }
                }
                Some(c) if c.is_ascii_whitespace() => self.bump(),
                Some(_) => break,
            }
        }
        let start = self.at;
        let single = match self.peek() {
            Some(b'=') => Some(Token::Equals),
            Some(b'{') => Some(Token::Open),
            Some(b'}') => Some(Token::Close),
            Some(b'[') => Some(Token::OpenList),
            Some(b']') => Some(Token::CloseList),
            Some(b',') => Some(Token::Comma),
            _ => None,
        };
        if let Some(token) = single {
            self.bump();
            return Ok(Some(token));
        }
        if let Some(quote @ (b'"' | b'\'')) = self.peek() {
            return self.quoted(quote).map(Some);
        }
        while self.peek().is_some_and(is_word) {
            self.bump();
        }
        match self.text.get(start..self.at) {
            Some(word) if !word.is_empty() => Ok(Some(Token::Word(word))),
            _ => Err(self.bad(format!(
                "byte {:#04x} where a name or value belongs",
                self.peek().unwrap_or(0)
            ))),
        }
    }

    fn quoted(&mut self, quote: u8) -> Result<Token<'a>> {
        self.bump();
        let mut bytes = Vec::new();
        loop {
            match self.peek() {
                None | Some(0) => return Err(self.bad("a string does not end")),
                // Only in double quotes a backslash protects the next byte.
                Some(b'\\') if quote == b'"' => {
                    self.bump();
                    let Some(c) = self.peek() else {
                        return Err(self.bad("a string does not end"));
                    };
                    bytes.push(c);
                    self.bump();
                }
                Some(c) if c == quote => {
                    self.bump();
                    return Ok(Token::Quoted(String::from_utf8_lossy(&bytes).into_owned()));
                }
                Some(c) => {
                    bytes.push(c);
                    self.bump();
                }
            }
        }
    }
}

fn is_word(c: u8) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-' | b'.' | b'+' | b'/' | b'@' | b':')
}

fn scalar(word: &[u8]) -> Value {
    let text = String::from_utf8_lossy(word);
    text.parse::<i64>()
        .map_or_else(|_| Value::Text(text.clone().into_owned()), Value::Number)
}

/// Parses a whole text.
///
/// # Errors
/// Corrupt where the text breaks the grammar, Limit where it has more nodes than the account covers.
pub(super) fn parse(text: &[u8], meter: &mut Meter) -> Result<Document> {
    let mut lexer = Lexer { text, at: 0 };
    let mut nodes: Vec<Node> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    while let Some(token) = lexer.next()? {
        let name = match token {
            Token::Word(word) => String::from_utf8_lossy(word).into_owned(),
            Token::Quoted(name) => name,
            Token::Close => {
                let Some(section) = open.pop() else {
                    return Err(lexer.bad("a closing brace without an opening one"));
                };
                let end = nodes.len();
                if let Some(node) = nodes.get_mut(section) {
                    node.end = end;
                }
                continue;
            }
            other => return Err(lexer.bad(format!("{other:?} where a name belongs"))),
        };
        meter.step("LVM2 metadata entry")?;
        let value = match lexer.next()? {
            Some(Token::Open) => {
                if open.len() >= MAX_DEPTH {
                    return Err(lexer.bad(format!("sections nested deeper than {MAX_DEPTH}")));
                }
                open.push(nodes.len());
                None
            }
            Some(Token::Equals) => Some(value(&mut lexer, meter)?),
            other => return Err(lexer.bad(format!("{other:?} after the name {name:?}"))),
        };
        let end = nodes.len().saturating_add(1);
        nodes.push(Node { name, value, end });
    }
    if !open.is_empty() {
        return Err(lexer.bad("the text ends inside a section"));
    }
    Ok(Document { nodes })
}

fn value(lexer: &mut Lexer<'_>, meter: &mut Meter) -> Result<Value> {
    match lexer.next()? {
        Some(Token::Word(word)) => Ok(scalar(word)),
        Some(Token::Quoted(text)) => Ok(Value::Text(text)),
        Some(Token::OpenList) => {
            let mut list = Vec::new();
            loop {
                meter.step("LVM2 metadata list")?;
                match lexer.next()? {
                    Some(Token::CloseList) => return Ok(Value::List(list)),
                    Some(Token::Comma) => {}
                    Some(Token::Word(word)) => list.push(scalar(word)),
                    Some(Token::Quoted(text)) => list.push(Value::Text(text)),
                    other => return Err(lexer.bad(format!("{other:?} in a list"))),
                }
            }
        }
        other => Err(lexer.bad(format!("{other:?} where a value belongs"))),
    }
}

impl Document {
    pub(super) fn root(&self) -> Section<'_> {
        Section {
            document: self,
            first: 0,
            end: self.nodes.len(),
        }
    }
}

impl<'a> Section<'a> {
    /// The entries directly in this section: name, value, or the section of that name.
    fn entries(self) -> impl Iterator<Item = (&'a str, Option<&'a Value>, Section<'a>)> {
        let mut at = self.first;
        std::iter::from_fn(move || {
            if at >= self.end {
                return None;
            }
            let node = self.document.nodes.get(at)?;
            let inner = Section {
                document: self.document,
                first: at.saturating_add(1),
                end: node.end,
            };
            at = node.end.max(at.saturating_add(1));
            Some((node.name.as_str(), node.value.as_ref(), inner))
        })
    }

    /// The sections directly in this one, with their names.
    pub(super) fn sections(self) -> impl Iterator<Item = (&'a str, Section<'a>)> {
        self.entries()
            .filter(|(_, value, _)| value.is_none())
            .map(|(name, _, inner)| (name, inner))
    }

    pub(super) fn section(self, name: &str) -> Option<Section<'a>> {
        self.sections().find(|(n, _)| *n == name).map(|(_, s)| s)
    }

    pub(super) fn value(self, name: &str) -> Option<&'a Value> {
        self.entries()
            .find(|(n, _, _)| *n == name)
            .and_then(|(_, v, _)| v)
    }

    pub(super) fn text(self, name: &str) -> Option<&'a str> {
        match self.value(name) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(super) fn number(self, name: &str) -> Option<u64> {
        match self.value(name) {
            Some(Value::Number(n)) => u64::try_from(*n).ok(),
            _ => None,
        }
    }

    /// A list, or a single value as a list of one.
    pub(super) fn list(self, name: &str) -> &'a [Value] {
        match self.value(name) {
            Some(Value::List(list)) => list,
            Some(one) => std::slice::from_ref(one),
            None => &[],
        }
    }

    /// Whether the list `name` holds the word `word`: LVM's flags.
    pub(super) fn has_flag(self, name: &str, word: &str) -> bool {
        self.list(name)
            .iter()
            .any(|v| matches!(v, Value::Text(t) if t == word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use h2k_block::{Class, Limits};

    fn doc(text: &str) -> Result<Document> {
        parse(text.as_bytes(), &mut Meter::new(Limits::default()))
    }

    #[test]
    fn sections_lists_strings_and_comments() {
        let d = doc("vg {# comment {\n id=\"a\\\"b\" n = -5 status = [\"READ\", \"WRITE\"]\n inner { x = 7 }\n after = 1 }\nversion = 1\n\0junk{")
            .unwrap();
        let vg = d.root().section("vg").unwrap();
        assert_eq!(vg.text("id"), Some("a\"b"));
        assert_eq!(vg.number("n"), None);
        assert_eq!(vg.value("n"), Some(&Value::Number(-5)));
        assert!(vg.has_flag("status", "WRITE"));
        assert_eq!(vg.section("inner").unwrap().number("x"), Some(7));
        assert_eq!(vg.number("x"), None);
        assert_eq!(vg.number("after"), Some(1));
        assert_eq!(d.root().number("version"), Some(1));
    }

    #[test]
    fn broken_text_is_corrupt_and_deep_text_too() {
        for text in ["a {", "}", "a = ", "a = [", "a \"b\"", "= 3", "a = \"x", "%"] {
            assert_eq!(doc(text).unwrap_err().class(), Class::Corrupt, "{text}");
        }
        assert_eq!(doc(&"a {".repeat(100)).unwrap_err().class(), Class::Corrupt);
    }

    #[test]
    fn many_entries_meet_the_limit() {
        let mut meter = Meter::new(Limits {
            steps: 10,
            ..Limits::default()
        });
        let e = parse("a = [1,2,3,4,5,6,7,8,9,10,11]".as_bytes(), &mut meter).unwrap_err();
        assert_eq!(e.class(), Class::Limit);
    }
}
