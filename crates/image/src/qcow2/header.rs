use super::entry::Dialect;
use super::geometry::Geometry;
use super::layout::{
    COMPRESSION_TYPE, EXTENSION_BACKING_FORMAT, EXTENSION_DATA_FILE, EXTENSION_END, EXTENSION_FEATURE_NAMES,
    ExtensionHead, FEATURES, FeatureName, HeaderV2, HeaderV3, INCOMPATIBLE_COMPRESSION, INCOMPATIBLE_CORRUPT,
    INCOMPATIBLE_DATA_FILE, INCOMPATIBLE_DIRTY, INCOMPATIBLE_EXTENDED_L2, MAGIC, MAX_BACKING_NAME,
    MAX_CLUSTER_BITS, MAX_L1_BYTES,
};
use crate::codec::Coding;
use h2k_block::{BlockRead, Error, Meter, Result};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

/// A table of 8-byte entries somewhere in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Table {
    /// First byte.
    pub(super) offset: u64,
    /// How many entries.
    pub(super) entries: u64,
}

impl Table {
    /// Where entry `index` lies.
    pub(super) fn at(self, index: u64) -> u64 {
        self.offset.saturating_add(index.saturating_mul(8))
    }

    /// First byte after it.
    pub(super) fn end(self) -> u64 {
        self.at(self.entries)
    }
}

/// A run of bytes in the file: a name, the data of a header extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) offset: u64,
    pub(super) len: u32,
}

/// A header that was checked as far as reading the guest's disk needs it.
#[derive(Clone, Debug)]
pub(super) struct Header {
    pub(super) version: u32,
    pub(super) geometry: Geometry,
    /// Size of the guest's disk in bytes.
    pub(super) size: u64,
    pub(super) crypt_method: u32,
    pub(super) l1: Table,
    pub(super) refcount_table_offset: u64,
    pub(super) refcount_table_clusters: u32,
    pub(super) snapshots_offset: u64,
    pub(super) nb_snapshots: u32,
    pub(super) incompatible: u64,
    pub(super) compatible: u64,
    pub(super) autoclear: u64,
    /// 0 to 6: a reference count has 1 << this bits.
    pub(super) refcount_order: u32,
    pub(super) coding: Coding,
    /// The name of the backing file.
    pub(super) backing: Option<Span>,
    extensions: Vec<(u32, Span)>,
}

impl Header {
    /// Reads and checks the header and lists its extensions.
    ///
    /// # Errors
    /// [`h2k_block::Class::Corrupt`] and [`h2k_block::Class::Unsupported`], naming the field.
    pub(super) fn read(file: &dyn BlockRead, meter: &mut Meter) -> Result<Self> {
        let mut v2 = HeaderV2::new_zeroed();
        if file.len() < 72 {
            return Err(bad(0, "the file ends inside the header"));
        }
        file.read_at(0, v2.as_mut_bytes())?;
        if v2.magic != MAGIC {
            return Err(bad(
                0,
                format!("magic is {:02x?}, expected {MAGIC:02x?}", v2.magic),
            ));
        }
        let version = v2.version.get();
        if version == 1 {
            return Err(
                Error::unsupported("this is a qcow version 1 image, which is a format of its own")
                    .advise("name the format qcow, not qcow2"),
            );
        }
        if !(2..=3).contains(&version) {
            return Err(Error::unsupported(format!(
                "this is qcow version {version}; versions 2 and 3 are read"
            ))
            .at("header", 4));
        }
        let cluster_bits = v2.cluster_bits.get();
        if cluster_bits < 9 {
            return Err(bad(
                20,
                format!("cluster_bits is {cluster_bits}, at least 9 is allowed"),
            ));
        }
        if cluster_bits > MAX_CLUSTER_BITS {
            return Err(Error::unsupported(format!(
                "cluster_bits is {cluster_bits}; clusters of more than 2 MiB are read by nobody"
            ))
            .at("header", 20));
        }
        let (v3, header_length) = v3(file, version, cluster_bits)?;
        let incompatible = v3.incompatible_features.get();
        let extended = incompatible & INCOMPATIBLE_EXTENDED_L2 != 0;
        let mut header = Self {
            version,
            geometry: Geometry::new(cluster_bits, extended),
            size: v2.size.get(),
            crypt_method: v2.crypt_method.get(),
            l1: Table {
                offset: v2.l1_table_offset.get(),
                entries: v2.l1_size.get().into(),
            },
            refcount_table_offset: v2.refcount_table_offset.get(),
            refcount_table_clusters: v2.refcount_table_clusters.get(),
            snapshots_offset: v2.snapshots_offset.get(),
            nb_snapshots: v2.nb_snapshots.get(),
            incompatible,
            compatible: v3.compatible_features.get(),
            autoclear: v3.autoclear_features.get(),
            refcount_order: v3.refcount_order.get(),
            coding: Coding::Deflate,
            backing: None,
            extensions: Vec::new(),
        };
        if v2.backing_file_offset.get() != 0 {
            header.backing = Some(backing(&v2, file.len())?);
        }
        header.list_extensions(file, header_length, meter)?;
        header.refuse_unknown_features(file, meter)?;
        if extended && cluster_bits < 14 {
            return Err(bad(
                20,
                format!("cluster_bits is {cluster_bits}; with extended L2 entries at least 14 is needed"),
            ));
        }
        if header.refcount_order > 6 {
            return Err(bad(
                96,
                format!(
                    "refcount_order is {}, at most 6 is allowed",
                    header.refcount_order
                ),
            ));
        }
        header.coding = coding(file, incompatible, header_length)?;
        header.check_l1(file, header.l1, header.size)?;
        Ok(header)
    }

    /// Checks that an L1 table can map a disk of `size` bytes.
    pub(super) fn check_l1(&self, file: &dyn BlockRead, l1: Table, size: u64) -> Result<()> {
        let needed = self.geometry.l1_entries(size);
        let bad = |what: String| Err(Error::corrupt("L1 table", l1.offset, what));
        if l1.entries < needed {
            return bad(format!(
                "has {} entries, a disk of {size} bytes needs {needed}",
                l1.entries
            ));
        }
        if l1.entries.saturating_mul(8) > MAX_L1_BYTES {
            return Err(Error::unsupported(format!(
                "it has {} entries; tables of more than 32 MiB are read by nobody",
                l1.entries
            ))
            .at("L1 table", l1.offset));
        }
        if l1.entries > 0 && self.geometry.within(l1.offset) != 0 {
            return bad("is not aligned to a cluster".to_owned());
        }
        if l1.entries > 0 && (l1.offset == 0 || l1.end() > file.len()) {
            return bad(format!(
                "occupies {:#x}..{:#x}, the file has {:#x} bytes",
                l1.offset,
                l1.end(),
                file.len()
            ));
        }
        Ok(())
    }

    /// The data of the extension `kind`, if it is there.
    pub(super) fn extension(&self, kind: u32) -> Option<Span> {
        self.extensions
            .iter()
            .find(|(k, _)| *k == kind)
            .map(|(_, span)| *span)
    }

    /// The name of the backing file.
    pub(super) fn backing_name(&self, file: &dyn BlockRead) -> Result<Option<String>> {
        self.backing
            .map(|span| text(file, span, "backing file name"))
            .transpose()
    }

    /// The recorded format of the backing file, in QEMU's words.
    pub(super) fn backing_format(&self, file: &dyn BlockRead) -> Result<Option<String>> {
        self.extension(EXTENSION_BACKING_FORMAT)
            .map(|span| text(file, span, "backing file format"))
            .transpose()
    }

    /// The name of the external data file.
    pub(super) fn data_file_name(&self, file: &dyn BlockRead) -> Result<Option<String>> {
        self.extension(EXTENSION_DATA_FILE)
            .map(|span| text(file, span, "external data file name"))
            .transpose()
    }

    /// What decides how table entries are read.
    pub(super) fn dialect(&self) -> Dialect {
        Dialect {
            geometry: self.geometry,
            version: self.version,
            external: self.external(),
        }
    }

    /// Whether guest clusters lie in an external data file.
    pub(super) fn external(&self) -> bool {
        self.incompatible & INCOMPATIBLE_DATA_FILE != 0
    }

    /// Whether reference counts may be stale.
    pub(super) fn dirty(&self) -> bool {
        self.incompatible & INCOMPATIBLE_DIRTY != 0
    }

    /// Whether somebody found the image damaged.
    pub(super) fn corrupt(&self) -> bool {
        self.incompatible & INCOMPATIBLE_CORRUPT != 0
    }

    fn list_extensions(&mut self, file: &dyn BlockRead, header_length: u32, meter: &mut Meter) -> Result<()> {
        // The area ends where the backing file's name begins, else with the first cluster.
        let end = self
            .backing
            .map_or(self.geometry.cluster(), |name| name.offset)
            .min(self.geometry.cluster())
            .min(file.len());
        let mut at = u64::from(header_length);
        loop {
            meter.step("header extension")?;
            let data = at.saturating_add(8);
            if data > end {
                return Ok(());
            }
            let mut head = ExtensionHead::new_zeroed();
            file.read_at(at, head.as_mut_bytes())?;
            let (kind, len) = (head.kind.get(), head.len.get());
            if kind == EXTENSION_END {
                return Ok(());
            }
            let after = data.saturating_add(len.into());
            if after > end {
                return Err(Error::corrupt(
                    "header extension",
                    at,
                    format!("type {kind:#010x} has {len} bytes, the area of extensions ends at {end:#x}"),
                ));
            }
            self.extensions.push((kind, Span { offset: data, len }));
            // At most a cluster of at least 8 bytes each, so this ends and stays small.
            at = after.next_multiple_of(8);
        }
    }

    fn refuse_unknown_features(&self, file: &dyn BlockRead, meter: &mut Meter) -> Result<()> {
        let known = INCOMPATIBLE_DIRTY
            | INCOMPATIBLE_CORRUPT
            | INCOMPATIBLE_DATA_FILE
            | INCOMPATIBLE_COMPRESSION
            | INCOMPATIBLE_EXTENDED_L2;
        let unknown = self.incompatible & !known;
        if unknown == 0 {
            return Ok(());
        }
        let names = match self.extension(EXTENSION_FEATURE_NAMES) {
            Some(span) => {
                let mut bytes = meter.buffer(span.len.into(), "feature name table")?;
                file.read_at(span.offset, &mut bytes)?;
                bytes
            }
            None => Vec::new(),
        };
        let said: Vec<String> = (0..64_u8)
            .filter(|bit| unknown & 1_u64.wrapping_shl(u32::from(*bit)) != 0)
            .map(|bit| match feature_name(&names, 0, bit) {
                Some(name) => format!("{name:?} (bit {bit})"),
                None => format!("bit {bit}, which the image does not name"),
            })
            .collect();
        Err(Error::unsupported(format!(
            "the image needs features that this code does not have: {}",
            said.join(", ")
        ))
        .at("header", 72))
    }
}

/// The name of a feature bit, from the image's own table.
fn feature_name(table: &[u8], kind: u8, bit: u8) -> Option<String> {
    let (entries, _) = table.as_chunks::<48>();
    entries.iter().find_map(|bytes| {
        let entry = FeatureName::ref_from_bytes(bytes).ok()?;
        let name = entry.name.split(|b| *b == 0).next().unwrap_or_default();
        (entry.kind == kind && entry.bit == bit).then(|| String::from_utf8_lossy(name).into_owned())
    })
}

/// The feature name table QEMU writes, so that old readers can say what they miss.
pub(super) fn feature_names() -> Vec<u8> {
    let mut table = Vec::new();
    for (kind, bit, name) in FEATURES {
        let mut entry = FeatureName {
            kind,
            bit,
            name: [0; 46],
        };
        for (to, from) in entry.name.iter_mut().zip(name.bytes()) {
            *to = from;
        }
        table.extend_from_slice(entry.as_bytes());
    }
    table
}

/// The fields of version 3, or what they stand for in version 2, and the header's length.
fn v3(file: &dyn BlockRead, version: u32, cluster_bits: u32) -> Result<(HeaderV3, u32)> {
    let mut v3 = HeaderV3::new_zeroed();
    if version == 2 {
        v3.refcount_order = 4.into();
        return Ok((v3, 72));
    }
    if file.len() < COMPRESSION_TYPE {
        return Err(bad(72, "the file ends inside the header"));
    }
    file.read_at(72, v3.as_mut_bytes())?;
    let length = v3.header_length.get();
    let most = 1_u64.wrapping_shl(cluster_bits).min(file.len());
    if length < 104 || u64::from(length) > most || !length.is_multiple_of(8) {
        return Err(bad(
            100,
            format!("header_length is {length}, expected a multiple of 8 from 104 to {most}"),
        ));
    }
    Ok((v3, length))
}

fn coding(file: &dyn BlockRead, incompatible: u64, header_length: u32) -> Result<Coding> {
    let mut kind = [0];
    if u64::from(header_length) > COMPRESSION_TYPE {
        file.read_at(COMPRESSION_TYPE, &mut kind)?;
    }
    match (incompatible & INCOMPATIBLE_COMPRESSION != 0, kind) {
        (false, [0]) => Ok(Coding::Deflate),
        (true, [1]) => Ok(Coding::Zstd),
        (true, [0]) => Err(bad(
            COMPRESSION_TYPE,
            "compression_type is 0, but the feature bit says that it is not",
        )),
        (false, [kind]) => Err(bad(
            COMPRESSION_TYPE,
            format!("compression_type is {kind}, but the feature bit is not set"),
        )),
        (true, [kind]) => Err(Error::unsupported(format!(
            "compression type {kind}; 0 (zlib) and 1 (zstd) are read"
        ))
        .at("header", COMPRESSION_TYPE)),
    }
}

fn backing(v2: &HeaderV2, file_len: u64) -> Result<Span> {
    let span = Span {
        offset: v2.backing_file_offset.get(),
        len: v2.backing_file_size.get(),
    };
    if span.len > MAX_BACKING_NAME {
        return Err(bad(
            16,
            format!("backing_file_size is {}, at most 1023 is allowed", span.len),
        ));
    }
    let end = span.offset.checked_add(span.len.into());
    if end.is_none_or(|end| end > file_len) {
        return Err(bad(
            8,
            format!(
                "the backing file name at {:#x} ends past the end of the file",
                span.offset
            ),
        ));
    }
    Ok(span)
}

fn text(file: &dyn BlockRead, span: Span, what: &'static str) -> Result<String> {
    if span.len > MAX_BACKING_NAME {
        return Err(Error::corrupt(
            what,
            span.offset,
            format!("is {} bytes long, at most 1023 are allowed", span.len),
        ));
    }
    let mut bytes = vec![0; usize::try_from(span.len).unwrap_or(0)];
    file.read_at(span.offset, &mut bytes)?;
    String::from_utf8(bytes)
        .map_err(|_| Error::unsupported("the name is not valid UTF-8").at(what, span.offset))
}

fn bad(offset: u64, what: impl Into<String>) -> Error {
    Error::corrupt("header", offset, what)
}
