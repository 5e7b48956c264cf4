//! XML of guests: without document types, so nothing in it grows, and with a limit on how much there is.

use h2k_block::{Class, Error, Result};
use roxmltree::{Document, ParsingOptions};

/// What a file may weigh: the parser keeps several times as much.
const LARGEST: usize = 4 << 20;
/// How many elements and texts are taken.
const NODES: u32 = 200_000;
/// How deep elements may lie in each other, counted before the parser sees them.
const DEEPEST: usize = 256;

/// The document.
///
/// # Errors
/// [`Class::Corrupt`] for what is no XML; [`Class::Limit`] for what is too much of it.
pub(crate) fn read(text: &str) -> Result<Document<'_>> {
    if text.len() > LARGEST || depth(text) > DEEPEST {
        return Err(Error::new(
            Class::Limit,
            format!("XML larger than {LARGEST} bytes or deeper than {DEEPEST} elements is not read"),
        ));
    }
    let options = ParsingOptions {
        nodes_limit: NODES,
        ..ParsingOptions::default()
    };
    Document::parse_with_options(text, options)
        .map_err(|e| Error::new(Class::Corrupt, format!("this is no XML: {e}")))
}

/// At least as deep as the elements lie: tags that close nothing are not counted off.
fn depth(text: &str) -> usize {
    let (mut now, mut most) = (0_usize, 0_usize);
    for (at, _) in text.match_indices('<') {
        let rest = text.as_bytes().get(at.saturating_add(1)..).unwrap_or_default();
        match rest.first() {
            Some(b'/') => now = now.saturating_sub(1),
            Some(b'!' | b'?') => {}
            _ => {
                let near = rest.get(..4096).unwrap_or(rest);
                let tag = near.split(|b| *b == b'>').next().unwrap_or_default();
                if tag.last() != Some(&b'/') {
                    now = now.saturating_add(1);
                    most = most.max(now);
                }
            }
        }
    }
    most
}
