//! An image as the kernel takes it apart: archives of cpio, packed or not, one after the other, zeros between them.

use super::codec::{self, Compression};
use super::cpio::{Entry, Reader};
use super::source::Stream;
use h2k_block::{BlockRead, Error, Meter, Result};
use schemars::JsonSchema;
use serde::Serialize;
use std::io::{BufRead, BufReader, Read};

/// How many segments an image may have. Real ones have two or three.
const SEGMENTS: usize = 64;

/// How much a segment may unpack to: ten times the largest image that distributions make.
const PLAIN: u64 = 4 << 30;

/// How much is unpacked at once.
const CHUNK: usize = 128 << 10;

/// A run of an image that is packed in one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Segment {
    /// Where it begins, in bytes.
    pub offset: u64,
    /// How long it is, packed, in bytes.
    pub length: u64,
    /// How it is packed.
    pub compression: Compression,
    /// How long it is unpacked, in bytes.
    pub plain_length: u64,
    /// How many entries it has.
    pub entries: u64,
    /// Whether its last archive has the entry that ends it. Without, kernels take what follows for more of it.
    #[serde(skip)]
    pub closed: bool,
}

/// The content of the entry that is being visited.
pub trait Content {
    /// At most `most` bytes of it.
    ///
    /// # Errors
    /// When the image is damaged.
    fn read(&mut self, most: u64, meter: &mut Meter) -> Result<Vec<u8>>;
}

impl<R: BufRead> Content for Reader<R> {
    fn read(&mut self, most: u64, meter: &mut Meter) -> Result<Vec<u8>> {
        self.content(most, meter)
    }
}

/// What is called for each entry of an image: with the number of its segment, and its content to be read or left.
pub type Visitor<'v> = dyn FnMut(usize, &Entry, &mut dyn Content, &mut Meter) -> Result<()> + 'v;

/// Walks through every entry of the image on `disk`, in order. What has been found before damage is handed over all
/// the same: `segments` then has what could be read, and the error is the answer.
///
/// # Errors
/// [`h2k_block::Class::Corrupt`] where the kernel would refuse the image; [`h2k_block::Class::Unsupported`] for bzip2.
pub fn walk(
    disk: &dyn BlockRead,
    meter: &mut Meter,
    segments: &mut Vec<Segment>,
    visit: &mut Visitor<'_>,
) -> Result<()> {
    let mut stream = Stream::new(disk);
    loop {
        let outcome = one(&mut stream, meter, segments, visit);
        // What the disk said is nearer to the cause than what a decoder made of it.
        if let Some(error) = stream.take_error() {
            return Err(error);
        }
        if !outcome? {
            return Ok(());
        }
    }
}

/// Walks through one segment; false at the end of the image.
fn one(
    stream: &mut Stream<'_>,
    meter: &mut Meter,
    segments: &mut Vec<Segment>,
    visit: &mut Visitor<'_>,
) -> Result<bool> {
    loop {
        let here = stream.fill_buf().map_err(|e| unreadable(&e))?;
        if here.is_empty() {
            return Ok(false);
        }
        let zeros = here.iter().take_while(|b| **b == 0).count();
        if zeros == 0 {
            break;
        }
        stream.consume(zeros);
    }
    let offset = stream.position();
    let head = stream.peek(8).map_err(|e| unreadable(&e))?;
    let compression = Compression::of(head).ok_or_else(|| {
        let shown = head.get(..head.len().min(6)).unwrap_or_default().escape_ascii();
        Error::corrupt("initramfs", offset, format!("no archive begins with {shown}"))
    })?;
    if compression == Compression::None && !offset.is_multiple_of(4) {
        let what = "an archive begins where it is not aligned to 4 bytes: kernels refuse it";
        return Err(Error::corrupt("initramfs", offset, what));
    }
    if segments.len() >= SEGMENTS {
        let what = format!("it has more than {SEGMENTS} segments");
        return Err(Error::new(h2k_block::Class::Limit, what).at("initramfs", offset));
    }
    let number = segments.len();
    let mut segment = Segment {
        offset,
        length: 0,
        compression,
        plain_length: 0,
        entries: 0,
        closed: false,
    };
    let outcome = if compression == Compression::None {
        entries(Reader::new(&mut *stream), number, &mut segment, meter, visit)
    } else {
        codec::open(compression, stream).and_then(|plain| {
            let plain = BufReader::with_capacity(CHUNK, plain.take(PLAIN));
            entries(Reader::new(plain), number, &mut segment, meter, visit)
        })
    };
    segment.length = stream.position().saturating_sub(offset);
    segments.push(segment);
    outcome.map_err(|e| {
        if e.place().is_some() {
            e.through(format!("segment at {offset:#x}"))
        } else {
            e
        }
    })?;
    Ok(true)
}

fn entries<R: BufRead>(
    mut reader: Reader<R>,
    number: usize,
    segment: &mut Segment,
    meter: &mut Meter,
    visit: &mut Visitor<'_>,
) -> Result<()> {
    let outcome = loop {
        match reader.next_entry(meter) {
            Ok(Some(entry)) => {
                segment.entries = segment.entries.saturating_add(1);
                if let Err(e) = visit(number, &entry, &mut reader, meter) {
                    break Err(e);
                }
            }
            Ok(None) => break Ok(()),
            Err(e) => break Err(e),
        }
    };
    segment.plain_length = reader.taken();
    segment.closed = reader.closed();
    outcome
}

fn unreadable(error: &std::io::Error) -> Error {
    Error::corrupt("initramfs", 0, error.to_string())
}
