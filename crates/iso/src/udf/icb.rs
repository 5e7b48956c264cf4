//! File entries (4/14.9 and 4/14.17) and the extents they list.

use super::space::{Address, Space};
use super::tag::{self, Fields, id};
use h2k_block::{Error, Meter, Result};
use h2k_fs::{FileKind, Time};

const NAME: &str = "file entry";
/// Descriptors that only list more extents, one file may have.
const MOST_LISTS: u32 = 4096;
/// Memory of an extent.
const EXTENT: u64 = 40;

/// A run of a file's content.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// Byte of the file.
    pub(crate) from: u64,
    pub(crate) len: u64,
    /// Byte of the volume; `None` for zeros.
    pub(crate) at: Option<u64>,
}

/// Where the content is.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    Inline(Vec<u8>),
    Extents(Vec<Run>),
}

/// A file, directory or link.
#[derive(Clone, Debug)]
pub(crate) struct Icb {
    pub(crate) at: u64,
    pub(crate) file_type: u8,
    pub(crate) len: u64,
    pub(crate) body: Body,
    pub(crate) mode: u16,
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    pub(crate) links: u16,
    pub(crate) unique: u64,
    pub(crate) accessed: Time,
    pub(crate) modified: Time,
    pub(crate) changed: Time,
    pub(crate) created: Option<Time>,
    pub(crate) device: Option<(u32, u32)>,
    /// The directory of named streams.
    pub(crate) streams: Option<Address>,
}

/// Reads the entry at `address`.
pub(crate) fn read(space: &Space, address: Address) -> Result<Icb> {
    let (at, _) = space.place(address)?;
    let ids = [id::FILE, id::EXTENDED_FILE];
    let bytes = tag::read(&*space.disk, at, space.block, &ids, NAME)?;
    parse(space, at, &bytes, address.part)
}

/// The entry in `bytes`, which lie at byte `at`; short extents are of the partition `part`.
pub(crate) fn parse(space: &Space, at: u64, bytes: &[u8], part: u16) -> Result<Icb> {
    let fields = Fields(bytes);
    let bad = |what: String| Error::corrupt(NAME, at, what);
    let strategy = fields.u16(20);
    if strategy != 4 {
        let what = format!("a file entry of strategy {strategy} is not read");
        return Err(Error::unsupported(what).at(NAME, at));
    }
    let extended = fields.id() == id::EXTENDED_FILE;
    let flags = fields.u16(34);
    let (attributes_at, head) = if extended { (208, 216_usize) } else { (168, 176) };
    let attributes = usize::try_from(fields.u32(attributes_at)).unwrap_or(usize::MAX);
    let len = usize::try_from(fields.u32(attributes_at.saturating_add(4))).unwrap_or(usize::MAX);
    let list = bytes
        .get(head.saturating_add(attributes)..)
        .and_then(|rest| rest.get(..len))
        .ok_or_else(|| {
            bad(format!(
                "{attributes} and {len} bytes of attributes and extents in one block"
            ))
        })?;
    let size = fields.u64(56);
    let body = match flags & 7 {
        3 => Body::Inline(list.to_vec()),
        0 | 1 => Body::Extents(extents(space, at, list, flags & 7 == 1, part, size)?),
        other => {
            let what = format!("extents of the form {other} are not read");
            return Err(Error::unsupported(what).at(NAME, at));
        }
    };
    if let Body::Inline(bytes) = &body
        && u64::try_from(bytes.len()).unwrap_or(0) < size
    {
        return Err(bad(format!("{size} bytes of content, {} are there", bytes.len())));
    }
    let known = |id: u32| Some(id).filter(|id| *id != u32::MAX);
    let stream = Address::of_long(&fields, 152);
    Ok(Icb {
        at,
        file_type: fields.u8(27),
        len: size,
        body,
        mode: mode(fields.u32(44), flags),
        uid: known(fields.u32(36)),
        gid: known(fields.u32(40)),
        links: fields.u16(48),
        unique: fields.u64(if extended { 200 } else { 160 }),
        accessed: fields.time(if extended { 80 } else { 72 }),
        modified: fields.time(if extended { 92 } else { 84 }),
        changed: fields.time(if extended { 116 } else { 96 }),
        created: extended.then(|| fields.time(104)),
        device: device(fields.bytes(head, attributes)),
        streams: (extended && fields.u32(152) != 0).then_some(stream),
    })
}

/// Permissions of Unix out of those of UDF (4/14.9.5): five bits each, of which three are the same.
fn mode(permissions: u32, flags: u16) -> u16 {
    let three = |shift: u32| u16::try_from(permissions >> shift & 7).unwrap_or(0);
    let special = flags >> 6 & 7;
    // Set user, set group, sticky: bits 6, 7 and 8.
    let special = (special & 1) << 11 | (special & 2) << 9 | (special & 4) << 7;
    three(10) << 6 | three(5) << 3 | three(0) | special
}

/// The numbers of a device (4/14.10.7), an attribute of type 12.
fn device(attributes: &[u8]) -> Option<(u32, u32)> {
    // The header is 24 bytes; attributes tell their length at byte 8.
    let mut rest = attributes.get(24..)?;
    for _ in 0..64 {
        let fields = Fields(rest);
        if fields.u32(0) == 12 {
            return Some((fields.u32(16), fields.u32(20)));
        }
        let len = usize::try_from(fields.u32(8)).ok().filter(|len| *len >= 12)?;
        rest = rest.get(len..)?;
    }
    None
}

/// The runs that a list of `short_ad` or `long_ad` describes, up to `size` bytes.
fn extents(space: &Space, at: u64, list: &[u8], long: bool, part: u16, size: u64) -> Result<Vec<Run>> {
    let mut meter = Meter::new(space.limits);
    let mut runs = Vec::new();
    let mut from = 0_u64;
    let mut list = list.to_vec();
    let step = if long { 16 } else { 8 };
    for _ in 0..MOST_LISTS {
        let mut next = None;
        for entry in list.chunks_exact(step) {
            meter.step("extent")?;
            let fields = Fields(entry);
            let (kind, len) = (fields.u32(0) >> 30, u64::from(fields.u32(0) & 0x3fff_ffff));
            if len == 0 || from >= size {
                break;
            }
            let address = if long {
                Address::of_long(&fields, 0)
            } else {
                Address {
                    block: fields.u32(4),
                    part,
                }
            };
            match kind {
                0 => {
                    from = recorded(
                        space,
                        &mut runs,
                        &mut meter,
                        from,
                        len.min(size.saturating_sub(from)),
                        address,
                    )?
                }
                1 | 2 => {
                    meter.bytes(EXTENT, "extent")?;
                    runs.push(Run { from, len, at: None });
                    from = from.saturating_add(len);
                }
                _ => {
                    next = Some(address);
                    break;
                }
            }
        }
        let Some(address) = next else {
            return Ok(runs);
        };
        let (at, _) = space.place(address)?;
        let bytes = tag::read(
            &*space.disk,
            at,
            space.block,
            &[id::ALLOCATION],
            "allocation extent",
        )?;
        let len = usize::try_from(Fields(&bytes).u32(20)).unwrap_or(usize::MAX);
        let body = bytes.get(24..).and_then(|rest| rest.get(..len));
        list = body
            .ok_or_else(|| Error::corrupt("allocation extent", at, format!("{len} bytes in one block")))?
            .to_vec();
    }
    let what = format!("its extents are in more than {MOST_LISTS} lists");
    Err(Error::corrupt(NAME, at, what))
}

/// Adds a recorded extent, in as many pieces as its partition keeps it in.
fn recorded(
    space: &Space,
    runs: &mut Vec<Run>,
    meter: &mut Meter,
    from: u64,
    len: u64,
    address: Address,
) -> Result<u64> {
    let (mut from, mut left, mut address) = (from, len, address);
    while left > 0 {
        meter.step("extent")?;
        let (at, room) = space.place(address)?;
        let n = left.min(room);
        match runs.last_mut() {
            Some(run) if run.at.and_then(|a| a.checked_add(run.len)) == Some(at) => {
                run.len = run.len.saturating_add(n);
            }
            _ => {
                meter.bytes(EXTENT, "extent")?;
                runs.push(Run {
                    from,
                    len: n,
                    at: Some(at),
                });
            }
        }
        from = from.saturating_add(n);
        left = left.saturating_sub(n);
        let blocks = u32::try_from(n.div_ceil(space.block)).unwrap_or(u32::MAX);
        address.block = address.block.saturating_add(blocks);
    }
    Ok(from)
}

impl Icb {
    pub(crate) fn kind(&self) -> Option<FileKind> {
        Some(match self.file_type {
            4 | 13 => FileKind::Dir,
            // 0 is "not said", which old writers use for files; 249 is a file for real-time use.
            0 | 5 | 249 => FileKind::File,
            6 => FileKind::BlockDevice,
            7 => FileKind::CharDevice,
            9 => FileKind::Fifo,
            10 => FileKind::Socket,
            12 => FileKind::Link,
            _ => return None,
        })
    }

    /// The run at byte `offset`: how much of it follows, and where it lies; `None` for zeros.
    pub(crate) fn place(&self, offset: u64) -> (u64, Option<u64>) {
        let rest = self.len.saturating_sub(offset);
        let Body::Extents(runs) = &self.body else {
            return (rest, None);
        };
        let found = runs.partition_point(|r| r.from <= offset).checked_sub(1);
        match found.and_then(|i| runs.get(i)) {
            Some(run) if offset.saturating_sub(run.from) < run.len => {
                let within = offset.saturating_sub(run.from);
                let at = run.at.map(|at| at.saturating_add(within));
                (run.len.saturating_sub(within).min(rest), at)
            }
            // What no extent holds was never written.
            _ => (rest, None),
        }
    }

    /// Fills `buf` from byte `offset`, all of which is inside the content.
    pub(crate) fn read(&self, space: &Space, offset: u64, buf: &mut [u8]) -> Result<()> {
        if let Body::Inline(bytes) = &self.body {
            let from = usize::try_from(offset).unwrap_or(usize::MAX);
            let source = bytes.get(from..).and_then(|rest| rest.get(..buf.len()));
            match source {
                Some(source) => buf.copy_from_slice(source),
                None => return Err(Error::corrupt(NAME, self.at, "its content ends early")),
            }
            return Ok(());
        }
        let (mut rest, mut at) = (buf, offset);
        while !rest.is_empty() {
            let (len, place) = self.place(at);
            if len == 0 {
                return Err(Error::corrupt(NAME, self.at, "its content ends early"));
            }
            let n = usize::try_from(len).unwrap_or(usize::MAX).min(rest.len());
            let (head, tail) = rest.split_at_mut(n);
            match place {
                Some(place) if place.saturating_add(u64::try_from(n).unwrap_or(0)) > space.disk.len() => {
                    let what = format!("its content at {place:#x} lies behind the end of the volume");
                    return Err(Error::corrupt(NAME, self.at, what));
                }
                Some(place) => space.disk.read_at(place, head)?,
                None => head.fill(0),
            }
            at = at.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
            rest = tail;
        }
        Ok(())
    }
}
