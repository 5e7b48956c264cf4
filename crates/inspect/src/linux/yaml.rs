//! YAML with the line each value stands in.
//!
//! The parser's events are put together here, so that what a file may cost is known: nesting is bounded, and an alias
//! is paid for with what it stands for.

use h2k_block::{Class, Error, Meter, Result};
use h2k_guest::{Fact, Source, Text};
use saphyr_parser::{Event, Parser};
use std::collections::BTreeMap;
use std::mem;

/// What a file may weigh: the largest that are known have some hundred KiB.
const LARGEST: usize = 1 << 20;
/// How deep values may lie in each other.
const DEEPEST: usize = 64;

/// A value, and where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) node: Node,
    pub(crate) source: Source,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    /// Nothing: `~`, `null`, or left empty.
    Null,
    /// Text, numbers and truth values: which of them is for the reader to say.
    Scalar(String),
    /// A list.
    List(Vec<Value>),
    /// Keys in their order; of a key that stands twice, the last counts.
    Map(Vec<(String, Value)>),
}

impl Value {
    /// What `key` leads to.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.entries().rev().find(|(k, _)| k == key).map(|(_, v)| v)
    }

    /// Keys and values of a map.
    pub(crate) fn entries(&self) -> impl DoubleEndedIterator<Item = &(String, Self)> {
        let all = match &self.node {
            Node::Map(all) => all.as_slice(),
            _ => &[],
        };
        all.iter()
    }

    /// The values of a list.
    pub(crate) fn items(&self) -> impl Iterator<Item = &Self> {
        let all = match &self.node {
            Node::List(all) => all.as_slice(),
            _ => &[],
        };
        all.iter()
    }

    /// The text of a scalar.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.node {
            Node::Scalar(text) => Some(text),
            _ => None,
        }
    }

    /// The text of a scalar, with where it stands.
    pub(crate) fn fact(&self) -> Option<Fact<String>> {
        let text = self.text()?;
        Some(Fact::new(text.to_owned(), self.source.clone()))
    }

    /// The scalar that `key` leads to.
    pub(crate) fn said(&self, key: &str) -> Option<Fact<String>> {
        self.get(key)?.fact()
    }

    /// The scalars of the list that `key` leads to; a scalar in its place is a list of one.
    pub(crate) fn list(&self, key: &str) -> Vec<Fact<String>> {
        let Some(value) = self.get(key) else {
            return Vec::new();
        };
        match &value.node {
            Node::List(all) => all.iter().filter_map(Self::fact).collect(),
            _ => value.fact().into_iter().collect(),
        }
    }

    /// Puts `other` over this: maps key by key, lists one behind the other, anything else in its place.
    pub(crate) fn merge(&mut self, other: Self) {
        match (&mut self.node, other.node) {
            (Node::Map(ours), Node::Map(theirs)) => {
                let mut places: BTreeMap<String, usize> = ours
                    .iter()
                    .enumerate()
                    .map(|(i, (k, _))| (k.clone(), i))
                    .collect();
                for (key, value) in theirs {
                    match places.get(&key).and_then(|i| ours.get_mut(*i)) {
                        Some((_, here)) => here.merge(value),
                        None => {
                            places.insert(key.clone(), ours.len());
                            ours.push((key, value));
                        }
                    }
                }
            }
            (Node::List(ours), Node::List(theirs)) => ours.extend(theirs),
            (_, node) => {
                self.node = node;
                self.source = other.source;
            }
        }
    }
}

/// A map or list that is being read.
struct Open {
    value: Value,
    key: Option<String>,
    anchor: usize,
}

/// The first document of `text`; `Null` where there is none.
///
/// # Errors
/// [`Class::Corrupt`] for what is no YAML, with the line; [`Class::Limit`] for what costs more than it may.
pub(crate) fn read(text: &Text, meter: &mut Meter) -> Result<Value> {
    let nothing = Value {
        node: Node::Null,
        source: text.source(),
    };
    if text.as_str().len() > LARGEST {
        return Err(Error::new(
            Class::Limit,
            format!(
                "a YAML file of {} bytes, and no more than {LARGEST} are read",
                text.as_str().len()
            ),
        ));
    }
    let mut anchors: BTreeMap<usize, (Value, Cost)> = BTreeMap::new();
    let mut stack: Vec<Open> = Vec::new();
    let mut parser = Parser::new_from_str(text.as_str());
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|e| Error::new(Class::Corrupt, format!("this is no YAML: {e}")))?;
        meter.step("YAML value")?;
        let source = || Source::line(text.path(), span.start.line());
        let open = |node, anchor| Open {
            value: Value {
                node,
                source: source(),
            },
            key: None,
            anchor,
        };
        let (done, anchor) = match event {
            Event::MappingStart(anchor, _) | Event::SequenceStart(anchor, _) if stack.len() >= DEEPEST => {
                let what = format!("values lie deeper in each other than {DEEPEST}, anchor {anchor}");
                return Err(Error::new(Class::Limit, what));
            }
            Event::MappingStart(anchor, _) => {
                stack.push(open(Node::Map(Vec::new()), anchor));
                continue;
            }
            Event::SequenceStart(anchor, _) => {
                stack.push(open(Node::List(Vec::new()), anchor));
                continue;
            }
            Event::MappingEnd | Event::SequenceEnd => match stack.pop() {
                Some(open) => (open.value, open.anchor),
                None => continue,
            },
            Event::Scalar(said, style, anchor, _) => {
                let plain = style == saphyr_parser::ScalarStyle::Plain;
                let null = plain && matches!(said.as_ref(), "" | "~" | "null" | "Null" | "NULL");
                let node = if null {
                    Node::Null
                } else {
                    meter.bytes(u64::try_from(said.len()).unwrap_or(u64::MAX), "YAML text")?;
                    Node::Scalar(said.into_owned())
                };
                let value = Value {
                    node,
                    source: source(),
                };
                (value, anchor)
            }
            Event::Alias(anchor) => {
                let Some((value, cost)) = anchors.get(&anchor) else {
                    continue;
                };
                if cost.depth.saturating_add(stack.len()) > DEEPEST {
                    let what = format!("an alias makes values lie deeper in each other than {DEEPEST}");
                    return Err(Error::new(Class::Limit, what));
                }
                meter.bytes(cost.bytes, "YAML alias")?;
                (value.clone(), 0)
            }
            _ => continue,
        };
        if anchor != 0 {
            let cost = Cost::of(&done);
            meter.bytes(cost.bytes, "YAML anchor")?;
            anchors.insert(anchor, (done.clone(), cost));
        }
        let Some(parent) = stack.last_mut() else {
            return Ok(done);
        };
        match &mut parent.value.node {
            Node::List(all) => all.push(done),
            Node::Map(all) => match parent.key.take() {
                Some(key) if key == "<<" => inherit(all, done, meter)?,
                Some(key) => all.push((key, done)),
                // A key that is no text is kept apart from all others by where it stands.
                None => {
                    let known = match done.node {
                        Node::Scalar(text) => text,
                        _ => format!("? {}", done.source),
                    };
                    parent.key = Some(known);
                }
            },
            _ => {}
        }
    }
    Ok(nothing)
}

/// YAML 1.1's merge key: what is not said here is taken from there.
fn inherit(all: &mut Vec<(String, Value)>, from: Value, meter: &mut Meter) -> Result<()> {
    let maps = match from.node {
        Node::List(maps) => maps,
        _ => vec![from],
    };
    for mut map in maps {
        if let Node::Map(entries) = &mut map.node {
            meter.steps(u64::try_from(all.len()).unwrap_or(u64::MAX), "YAML merge key")?;
            let own = mem::take(all);
            all.append(entries);
            all.extend(own);
        }
    }
    Ok(())
}

/// What keeping a value once more costs.
struct Cost {
    /// About how much memory.
    bytes: u64,
    /// How many values lie in each other.
    depth: usize,
}

impl Cost {
    fn of(value: &Value) -> Self {
        let text = |text: &str| u64::try_from(text.len()).unwrap_or(u64::MAX);
        let mut all = Self { bytes: 64, depth: 0 };
        let mut add = |more: u64, value: &Value| {
            let below = Self::of(value);
            all.bytes = all.bytes.saturating_add(more).saturating_add(below.bytes);
            all.depth = all.depth.max(below.depth.saturating_add(1));
        };
        match &value.node {
            Node::Null => {}
            Node::Scalar(said) => all.bytes = text(said).saturating_add(64),
            Node::List(items) => items.iter().for_each(|item| add(0, item)),
            Node::Map(entries) => entries.iter().for_each(|(key, value)| add(text(key), value)),
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use h2k_block::Limits;

    fn parsed(yaml: &str) -> Result<Value> {
        read(
            &Text::new(b"/f", yaml.as_bytes()),
            &mut Meter::new(Limits::default()),
        )
    }

    #[test]
    fn values_know_their_lines_and_later_files_go_over_earlier_ones() {
        let mut first = parsed("a:\n  b: [1, 2]\n  c: old\n  e: ~\n").unwrap();
        first.merge(parsed("a:\n  b:\n   - \"3\"\n  c: new\n").unwrap());
        let a = first.get("a").unwrap();
        let b: Vec<_> = a.list("b").into_iter().map(|f| f.value).collect();
        assert_eq!(b, ["1", "2", "3"]);
        assert_eq!(
            a.said("c").unwrap(),
            Fact::new("new".into(), Source::line(b"/f", 4))
        );
        assert_eq!(a.said("e"), None);
    }

    #[test]
    fn aliases_are_followed_and_paid_for() {
        let value = parsed("x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}\nz: *x\n").unwrap();
        let y = value.get("y").unwrap();
        assert_eq!(
            (y.said("a").unwrap().value, y.said("b").unwrap().value),
            ("1".into(), "3".into())
        );
        let mut bomb = "a0: &a0 [x]\n".to_owned();
        for i in 1..40 {
            let before = vec![format!("*a{}", i - 1); 10].join(",");
            bomb += &format!("a{i}: &a{i} [{before}]\n");
        }
        assert_eq!(parsed(&bomb).unwrap_err().class(), Class::Limit);
        let mut deep = "a0: &a0 [x]\n".to_owned();
        for i in 1..9 {
            deep += &format!("a{i}: &a{i} {}*a{}{}\n", "[".repeat(9), i - 1, "]".repeat(9));
        }
        assert_eq!(parsed(&deep).unwrap_err().class(), Class::Limit);
        assert_eq!(parsed(&"- ".repeat(1000)).unwrap_err().class(), Class::Limit);
        assert_eq!(parsed("a: [\n").unwrap_err().class(), Class::Corrupt);
    }
}
