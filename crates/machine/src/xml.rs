//! XML as a small tree, bounded: no document types, hence no entities that grow; depth, elements, attributes and bytes
//! are paid for.

use crate::number::said;
use h2k_block::{Class, Error, Limits, Meter, Result};
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};

/// What a description may weigh: real ones are a thousandth of this.
pub(crate) const LARGEST: usize = 4 << 20;
/// Tags, texts and attributes: real ones have a few thousand.
const EVENTS: u64 = 200_000;
/// How deep elements may lie in each other, whatever the caller allows: real ones lie ten deep.
const DEEPEST: u16 = 64;
/// Attributes of one element; each is compared with those before it.
const ATTRIBUTES: usize = 64;

/// An element. Names are local ones: prefixes are the author's choice, and no two vocabularies here share a name
/// where it matters.
#[derive(Debug, Default)]
pub(crate) struct Element {
    /// The name without its prefix.
    pub(crate) name: String,
    /// Where it begins, in bytes.
    pub(crate) at: u64,
    /// Names as written, with their prefixes, and values.
    attributes: Vec<(String, String)>,
    /// Elements directly inside.
    pub(crate) children: Vec<Element>,
    /// Text directly inside, joined.
    text: String,
}

impl Element {
    /// The first element called `name` directly inside.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|c| c.name == name)
    }

    /// The elements called `name` directly inside.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |c| c.name == name)
    }

    /// Follows names downwards, the first of each.
    pub(crate) fn path(&self, names: &[&str]) -> Option<&Self> {
        names.iter().try_fold(self, |at, name| at.child(name))
    }

    /// The attribute called `name`, whatever its prefix. One without a prefix wins.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        let plain = self.attributes.iter().find(|(k, _)| k == name);
        let prefixed = || {
            let local = |k: &str| k.split_once(':').is_some_and(|(p, l)| p != "xmlns" && l == name);
            self.attributes.iter().find(|(k, _)| local(k))
        };
        plain.or_else(prefixed).map(|(_, v)| v.as_str())
    }

    /// The name spaces this element declares.
    pub(crate) fn spaces(&self) -> impl Iterator<Item = &str> {
        let declares = |k: &str| k == "xmlns" || k.starts_with("xmlns:");
        self.attributes
            .iter()
            .filter(move |(k, _)| declares(k))
            .map(|(_, v)| v.as_str())
    }

    /// The attribute called `name`, unless it is empty.
    pub(crate) fn said(&self, name: &str) -> Option<String> {
        self.attribute(name).and_then(said)
    }

    /// The text directly inside, without blanks around it.
    pub(crate) fn text(&self) -> &str {
        self.text.trim()
    }

    /// The text of the first element called `name` directly inside, unless it is empty.
    pub(crate) fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(Self::text).filter(|t| !t.is_empty())
    }
}

/// The outermost element of `bytes`, which are UTF-8.
///
/// # Errors
/// [`Class::Unsupported`] for other encodings; else as [`read`].
pub(crate) fn decode(bytes: &[u8], limits: &Limits) -> Result<Element> {
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let at = u64::try_from(e.valid_up_to()).unwrap_or(u64::MAX);
        Error::unsupported("XML in another encoding than UTF-8").at("XML", at)
    })?;
    read(text, limits)
}

/// The outermost element of `text`.
///
/// # Errors
/// [`Class::Corrupt`] for what is no XML, [`Class::Unsupported`] for document types, [`Class::Limit`] for too much.
pub(crate) fn read(text: &str, limits: &Limits) -> Result<Element> {
    let mut meter = Meter::new(Limits {
        depth: limits.depth.min(DEEPEST),
        steps: limits.steps.min(EVENTS),
        ..*limits
    });
    if text.len() > LARGEST {
        return Err(Error::new(
            Class::Limit,
            format!("XML of {} bytes; at most {LARGEST} are read", text.len()),
        ));
    }
    meter.bytes(bytes(text.len()), "an XML text")?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Element> = Vec::new();
    let mut root = None;
    loop {
        let at = reader.buffer_position();
        let event = reader
            .read_event()
            .map_err(|e| broken(reader.error_position(), &e.to_string()))?;
        meter.step("an XML text")?;
        match event {
            Event::Start(_) | Event::Empty(_) if root.is_some() => {
                return Err(broken(at, "a second outermost element"));
            }
            Event::Start(start) => {
                meter.descend("an XML text")?;
                open.push(element(&start, at, &mut meter)?);
            }
            Event::Empty(start) => {
                let made = element(&start, at, &mut meter)?;
                close(made, &mut open, &mut root);
            }
            Event::End(_) => {
                meter.ascend();
                // The reader has compared the names.
                if let Some(made) = open.pop() {
                    close(made, &mut open, &mut root);
                }
            }
            Event::Text(t) => add(&mut open, &t.xml10_content(), at)?,
            Event::CData(t) => add(&mut open, &t.xml10_content(), at)?,
            Event::GeneralRef(entity) => {
                let text = resolve(&entity).ok_or_else(|| broken(at, &unknown(&entity)))?;
                add(&mut open, &text, at)?;
            }
            Event::DocType(_) => {
                return Err(
                    Error::unsupported("XML with a document type, which could define entities").at("XML", at),
                );
            }
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    match (open.last(), root) {
        (Some(unclosed), _) => Err(broken(
            unclosed.at,
            &format!("<{}> is never closed", unclosed.name),
        )),
        (None, Some(root)) => Ok(root),
        (None, None) => Err(broken(0, "no element at all")),
    }
}

fn element(start: &BytesStart<'_>, at: u64, meter: &mut Meter) -> Result<Element> {
    let name = local(start.name().as_ref()).to_owned();
    let mut attributes: Vec<(String, String)> = Vec::new();
    for attribute in start.attributes().with_checks(false) {
        meter.step("attributes in an XML text")?;
        let attribute = attribute.map_err(|e| broken(at, &e.to_string()))?;
        let key = attribute.key.as_ref().to_owned();
        if attributes.iter().any(|(k, _)| *k == key) {
            return Err(broken(at, &format!("attribute {key} twice")));
        }
        if attributes.len() >= ATTRIBUTES {
            return Err(Error::new(
                Class::Limit,
                format!("an element has more than {ATTRIBUTES} attributes"),
            )
            .at("XML", at));
        }
        let value = attribute
            .normalized_value(quick_xml::XmlVersion::Implicit1_0)
            .map_err(|e| broken(at, &e.to_string()))?;
        attributes.push((key, value.into_owned()));
    }
    Ok(Element {
        name,
        at,
        attributes,
        ..Element::default()
    })
}

fn close(made: Element, open: &mut [Element], root: &mut Option<Element>) {
    match open.last_mut() {
        Some(parent) => parent.children.push(made),
        None => *root = Some(made),
    }
}

fn add(open: &mut [Element], text: &str, at: u64) -> Result<()> {
    match open.last_mut() {
        Some(parent) => parent.text.push_str(text),
        None if text.trim().is_empty() => {}
        None => return Err(broken(at, "text outside of any element")),
    }
    Ok(())
}

fn resolve(entity: &BytesRef<'_>) -> Option<String> {
    if entity.is_char_ref() {
        return entity.resolve_char_ref().ok()?.map(String::from);
    }
    resolve_predefined_entity(&entity.xml10_content()).map(str::to_owned)
}

fn unknown(entity: &BytesRef<'_>) -> String {
    let name: String = entity.xml10_content().chars().take(40).collect();
    format!("unknown entity &{name};")
}

fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

fn broken(at: u64, why: &str) -> Error {
    Error::corrupt("XML", at, why)
}

fn bytes(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(text: &str) -> Class {
        read(text, &Limits::default()).map(|_| ()).unwrap_err().class()
    }

    #[test]
    fn elements_attributes_and_texts_are_found_whatever_the_prefix() {
        let text = "\u{feff}<?xml version='1.0'?><!-- <x> --><a:r xmlns:a='u' a:id='1' id='2'>\
                    x&amp;<b:c b:k='&lt;&#65;'/><c>1</c> y<![CDATA[<&]]></a:r>";
        let root = read(text, &Limits::default()).unwrap();
        assert_eq!((root.name.as_str(), root.text()), ("r", "x& y<&"));
        assert_eq!(root.attribute("id"), Some("2"), "one without a prefix wins");
        assert_eq!(root.attribute("a"), None, "a declaration is no attribute");
        assert_eq!(root.spaces().collect::<Vec<_>>(), ["u"]);
        assert_eq!(root.child("c").unwrap().attribute("k"), Some("<A"));
        assert_eq!(root.all("c").count(), 2);
    }

    #[test]
    fn what_is_no_xml_or_could_grow_is_refused() {
        for text in [
            "",
            "x",
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "<a x='1' x='2'/>",
            "<a>&x;</a>",
            "<a/>&amp;",
            "<a x=1/>",
        ] {
            assert_eq!(class(text), Class::Corrupt, "{text}");
        }
        let bomb = "<!DOCTYPE a [<!ENTITY x 'xxx'>]><a>&x;</a>";
        assert_eq!(class(bomb), Class::Unsupported);
    }

    #[test]
    fn depth_attributes_and_size_are_bounded() {
        let deep = "<a>".repeat(65) + &"</a>".repeat(65);
        assert_eq!(class(&deep), Class::Limit);
        let wide: String = (0..65).map(|i| format!(" k{i}=''")).collect();
        assert_eq!(class(&format!("<a{wide}/>")), Class::Limit);
        assert_eq!(class(&" ".repeat(LARGEST + 1)), Class::Limit);
        let few = Limits {
            steps: 100,
            ..Limits::default()
        };
        let many = format!("<a>{}</a>", "<b/>".repeat(200));
        assert_eq!(read(&many, &few).map(|_| ()).unwrap_err().class(), Class::Limit);
    }
}
