use super::header;
use super::layout::{
    COMPATIBLE_LAZY_REFCOUNTS, EXTENSION_BACKING_FORMAT, EXTENSION_END, EXTENSION_FEATURE_NAMES,
    ExtensionHead, FULL_HEADER, HeaderV2, HeaderV3, INCOMPATIBLE_COMPRESSION, MAGIC,
};
use super::options::{Compression, Options, Preallocation};
use super::place::{Empty, Finished, Placer};
use crate::Format;
use crate::codec::Encoder;
use h2k_block::{Batch, Body, Class, Error, HostFile, Pool, Result, Sink};
use std::sync::{Arc, Mutex, PoisonError};
use zerocopy::IntoBytes;

/// A qcow2 image being made.
struct Qcow2Sink {
    file: Arc<dyn HostFile>,
    options: Options,
    len: u64,
    placer: Mutex<Placer>,
    encoder: Option<Encoder>,
    /// Whole clusters for the end of a disk that ends inside one.
    padded: Pool<Vec<u8>>,
}

/// Starts a container for `len` bytes in `file`. A length that is not a multiple of 512 is rounded up in the image,
/// because QEMU would round it down; the bytes added read as zero.
pub(crate) fn create(file: Arc<dyn HostFile>, options: &Options, len: u64) -> Result<Box<dyn Sink>> {
    let rounded = len
        .checked_next_multiple_of(512)
        .ok_or_else(|| Error::new(Class::Invalid, "the disk is too large"))?;
    let geometry = options.geometry(rounded)?;
    let encoder = options.encoder()?;
    // Made once to see that it fits: the name of a backing file may not.
    let nothing = Finished {
        l1_offset: 0,
        l1_entries: 0,
        refcount_table_offset: 0,
        refcount_table_clusters: 0,
    };
    head(options, rounded, &nothing)?;
    file.set_len(0)?;
    let empty = match (&options.backing, options.preallocation) {
        (_, Preallocation::Metadata | Preallocation::Falloc | Preallocation::Full) => Empty::Kept,
        (Some(_), Preallocation::Off) => Empty::Marked,
        (None, Preallocation::Off) => Empty::Absent,
    };
    let placer = Placer::new(file.clone(), geometry, rounded, empty)?;
    if matches!(options.preallocation, Preallocation::Falloc | Preallocation::Full) {
        // Data and its tables; what little else there is comes when it is written.
        let tables = geometry.l1_entries(rounded).saturating_mul(geometry.cluster());
        file.reserve(0..rounded.saturating_add(tables))?;
    }
    Ok(Box::new(Qcow2Sink {
        file,
        options: options.clone(),
        len,
        placer: Mutex::new(placer),
        encoder,
        padded: Pool::default(),
    }))
}

impl Sink for Qcow2Sink {
    fn len(&self) -> u64 {
        self.len
    }

    fn grain(&self) -> u32 {
        self.options.cluster_size
    }

    fn encode(&self, batch: &mut Batch) -> Result<()> {
        let Some(encoder) = &self.encoder else {
            return Ok(());
        };
        batch.coded.clear();
        let cluster = usize::try_from(self.options.cluster_size).unwrap_or(usize::MAX);
        let mut pieces = std::mem::take(&mut batch.pieces);
        for piece in &mut pieces {
            if piece.body != Body::Plain {
                continue;
            }
            let at = usize::try_from(piece.start.saturating_sub(batch.start)).unwrap_or(usize::MAX);
            let len = usize::try_from(piece.len).unwrap_or(usize::MAX);
            let plain = batch.guest.get(at..).and_then(|g| g.get(..len));
            let plain =
                plain.ok_or_else(|| Error::new(Class::Invalid, "a batch lacks the bytes of a piece"))?;
            let first = batch.coded.len();
            let coded = if plain.len() == cluster {
                encoder.encode(plain, &mut batch.coded)
            } else {
                // A reader expects a whole cluster out of a compressed one.
                self.padded.with(Vec::new, |whole| {
                    whole.clear();
                    whole.extend_from_slice(plain);
                    whole.resize(cluster, 0);
                    encoder.encode(whole, &mut batch.coded)
                })
            };
            if let Some(len) = coded {
                piece.body = Body::Coded { at: first, len };
            }
        }
        batch.pieces = pieces;
        Ok(())
    }

    fn place(&self, batch: &mut Batch) -> Result<()> {
        self.placer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .place(&mut batch.pieces)
    }

    fn store(&self, batch: &Batch) -> Result<()> {
        for (host, bytes) in batch.runs() {
            self.file.write_at(host, bytes)?;
        }
        if self.options.preallocation == Preallocation::Full {
            for piece in &batch.pieces {
                if !matches!(piece.body, Body::Hole | Body::Zero) {
                    continue;
                }
                let end = piece.host.saturating_add(piece.len);
                let mut at = piece.host;
                while at < end {
                    let some = h2k_block::zeros(end.saturating_sub(at));
                    self.file.write_at(at, some)?;
                    at = at.saturating_add(u64::try_from(some.len()).unwrap_or(u64::MAX));
                }
            }
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let placer = self.placer.into_inner().unwrap_or_else(PoisonError::into_inner);
        let finished = placer.finish()?;
        let size = self.len.next_multiple_of(512);
        let head = head(&self.options, size, &finished)?;
        let (magic, rest) = head.split_at_checked(MAGIC.len()).unwrap_or_default();
        self.file.write_at(4, rest)?;
        self.file.flush()?;
        self.file.write_at(0, magic)?;
        self.file.flush()
    }
}

/// The header's cluster, as far as it is not zero.
fn head(options: &Options, size: u64, finished: &Finished) -> Result<Vec<u8>> {
    let too_large = |_| Error::unsupported("a table has more than 2^32 entries");
    let zstd = matches!(options.compression, Compression::Zstd { .. });
    let v3 = HeaderV3 {
        incompatible_features: if zstd { INCOMPATIBLE_COMPRESSION } else { 0 }.into(),
        compatible_features: if options.lazy_refcounts {
            COMPATIBLE_LAZY_REFCOUNTS
        } else {
            0
        }
        .into(),
        autoclear_features: 0.into(),
        refcount_order: 4.into(),
        header_length: FULL_HEADER.into(),
    };
    let mut tail = v3.as_bytes().to_vec();
    // compression_type and its padding.
    tail.extend_from_slice(&[u8::from(zstd), 0, 0, 0, 0, 0, 0, 0]);
    if let Some(backing) = &options.backing {
        extension(
            &mut tail,
            EXTENSION_BACKING_FORMAT,
            qemu_name(backing.format).as_bytes(),
        );
    }
    if options.cluster_size >= 4096 {
        // A courtesy that very small clusters have no room for.
        extension(&mut tail, EXTENSION_FEATURE_NAMES, &header::feature_names());
    }
    extension(&mut tail, EXTENSION_END, &[]);
    let name = options.backing.as_ref().map_or("", |b| b.name.as_str());
    let name_at = size_of::<HeaderV2>().saturating_add(tail.len());
    let end = name_at.saturating_add(name.len());
    if end > usize::try_from(options.cluster_size).unwrap_or(usize::MAX) {
        return Err(Error::new(
            Class::Invalid,
            format!(
                "the name of the backing file does not fit into a header of {} bytes",
                options.cluster_size
            ),
        )
        .advise("choose larger clusters"));
    }
    let v2 = HeaderV2 {
        magic: MAGIC,
        version: 3.into(),
        backing_file_offset: if name.is_empty() {
            0
        } else {
            u64::try_from(name_at).unwrap_or(0)
        }
        .into(),
        backing_file_size: u32::try_from(name.len()).map_err(too_large)?.into(),
        cluster_bits: options.cluster_size.trailing_zeros().into(),
        size: size.into(),
        crypt_method: 0.into(),
        l1_size: u32::try_from(finished.l1_entries).map_err(too_large)?.into(),
        l1_table_offset: finished.l1_offset.into(),
        refcount_table_offset: finished.refcount_table_offset.into(),
        refcount_table_clusters: u32::try_from(finished.refcount_table_clusters)
            .map_err(too_large)?
            .into(),
        nb_snapshots: 0.into(),
        snapshots_offset: 0.into(),
    };
    let mut head = v2.as_bytes().to_vec();
    head.extend_from_slice(&tail);
    head.extend_from_slice(name.as_bytes());
    Ok(head)
}

fn extension(to: &mut Vec<u8>, kind: u32, data: &[u8]) {
    let head = ExtensionHead {
        kind: kind.into(),
        len: u32::try_from(data.len()).unwrap_or(u32::MAX).into(),
    };
    to.extend_from_slice(head.as_bytes());
    to.extend_from_slice(data);
    to.resize(to.len().next_multiple_of(8), 0);
}

/// What QEMU calls a format.
fn qemu_name(format: Format) -> &'static str {
    match format {
        Format::Vhd => "vpc",
        other => other.name(),
    }
}
