//! Making dynamic VHDX images. The log is empty, and the file type identifier is written last.

use super::header::checksum;
use super::layout::{
    BAT_REGION, BLOCK_SIZES, FILE_PARAMETERS, FILE_SIGNATURE, FULLY_PRESENT, HEADER_LEN, HEADER_SIGNATURE,
    HEADERS, Header, IS_REQUIRED, IS_VIRTUAL_DISK, LOGICAL_SECTOR_SIZE, MAX_DISK, METADATA_REGION,
    METADATA_SIGNATURE, METADATA_TABLE_LEN, MIB, MetadataTableEntry, MetadataTableHeader,
    PHYSICAL_SECTOR_SIZE, REGION_SIGNATURE, REGION_TABLE_LEN, REGION_TABLES, RegionTableEntry,
    RegionTableHeader, VIRTUAL_DISK_ID, VIRTUAL_DISK_SIZE,
};
use super::metadata::Metadata;
use crate::guid::Guid;
use crate::make::{Identity, TableWriter};
use h2k_block::{Batch, Body, Class, Error, HostFile, Result, Sink};
use std::sync::{Arc, Mutex, PoisonError};
use zerocopy::IntoBytes;

/// How a VHDX is made: always dynamic.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes in a payload block: a power of two from 1 to 256 MiB. `None` chooses as qemu-img does: 8 MiB up to
    /// 1 GiB of disk, 16 up to 100 GiB, 32 up to 32 TiB, 64 beyond.
    pub block_size: Option<u32>,
    /// 512 or 4096: the sector size the guest sees.
    pub logical_sector_size: u32,
    /// Identity of the virtual disk. `None` derives it from the disk's size and content, so that the same source
    /// gives the same bytes.
    pub disk_id: Option<[u8; 16]>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            block_size: None,
            logical_sector_size: 512,
            disk_id: None,
        }
    }
}

const LOG_AT: u64 = MIB;
const METADATA_AT: u64 = 2 * MIB;
const BAT_AT: u64 = 3 * MIB;
/// Bytes told apart as data or zero: far below the block size, so that a batch stays small.
const GRAIN: u32 = 65536;

/// Starts a container for `len` bytes in `file`.
pub(crate) fn create(file: Arc<dyn HostFile>, options: &Options, len: u64) -> Result<Box<dyn Sink>> {
    let sector = u64::from(options.logical_sector_size);
    if sector != 512 && sector != 4096 {
        return Err(Error::new(
            Class::Invalid,
            format!("logical sectors of {sector} bytes; VHDX has 512 and 4096"),
        ));
    }
    let block_size = options
        .block_size
        .map_or_else(|| usual_block_size(len), u64::from);
    if !block_size.is_power_of_two() || !BLOCK_SIZES.contains(&block_size) {
        return Err(Error::new(
            Class::Invalid,
            format!("blocks of {block_size} bytes; VHDX allows powers of two from 1 to 256 MiB"),
        ));
    }
    let disk_size = len.checked_next_multiple_of(sector).unwrap_or(u64::MAX);
    if disk_size > MAX_DISK {
        return Err(Error::unsupported(format!(
            "a disk of {len} bytes; VHDX holds at most 64 TiB ({MAX_DISK} bytes)"
        )));
    }
    let metadata = Metadata {
        block_size,
        fixed: false,
        disk_size,
        logical_sector: sector,
        physical_sector: 4096,
        disk_id: Guid(options.disk_id.unwrap_or_default()),
        parent: None,
    };
    let bat_len = metadata
        .bat_entries()
        .saturating_mul(8)
        .max(1)
        .checked_next_multiple_of(MIB)
        .unwrap_or(u64::MAX);
    let data = BAT_AT.saturating_add(bat_len);
    file.set_len(data)?;
    Ok(Box::new(VhdxSink {
        len,
        metadata,
        bat_len,
        identity: Identity::default(),
        given: options.disk_id.is_some(),
        state: Mutex::new(State {
            next: data,
            block: None,
            bat: TableWriter::new(file.clone(), BAT_AT, 0),
        }),
        file,
    }))
}

/// What qemu-img 10 chooses, seen from outside.
fn usual_block_size(len: u64) -> u64 {
    const GIB: u64 = 1 << 30;
    match len {
        n if n > 32768 * GIB => 64 * MIB,
        n if n > 100 * GIB => 32 * MIB,
        n if n > GIB => 16 * MIB,
        _ => 8 * MIB,
    }
}

struct VhdxSink {
    file: Arc<dyn HostFile>,
    /// What the caller asked for; the virtual disk is rounded up to whole sectors.
    len: u64,
    metadata: Metadata,
    bat_len: u64,
    identity: Identity,
    /// The disk's identity was given, not to be derived.
    given: bool,
    state: Mutex<State>,
}

struct State {
    /// Where the next payload block goes.
    next: u64,
    /// The payload block given out last, and where it is. Batches ascend, so no other is needed.
    block: Option<(u64, u64)>,
    bat: TableWriter,
}

impl Sink for VhdxSink {
    fn len(&self) -> u64 {
        self.len
    }

    fn grain(&self) -> u32 {
        GRAIN
    }

    fn place(&self, batch: &mut Batch) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let size = self.metadata.block_size;
        let before = state.next;
        for piece in &mut batch.pieces {
            // A block nobody stores into stays "not present": without a parent that is zero.
            if piece.body != Body::Plain {
                continue;
            }
            let block = piece.start.checked_div(size).unwrap_or(0);
            let host = match state.block {
                Some((last, host)) if last == block => host,
                _ => {
                    let host = state.next;
                    state.next = host.saturating_add(size);
                    let index =
                        block.saturating_add(block.checked_div(self.metadata.chunk_ratio()).unwrap_or(0));
                    state
                        .bat
                        .put(index.saturating_mul(8), &(host | FULLY_PRESENT).to_le_bytes())?;
                    state.block = Some((block, host));
                    host
                }
            };
            piece.host = host.saturating_add(piece.start.checked_rem(size).unwrap_or(0));
        }
        if state.next > before {
            self.file.set_len(state.next)?;
        }
        Ok(())
    }

    fn store(&self, batch: &Batch) -> Result<()> {
        if !self.given {
            self.identity.add(batch);
        }
        batch
            .runs()
            .try_for_each(|(host, bytes)| self.file.write_at(host, bytes))
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let Self { file, metadata, .. } = &*self;
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .bat
            .flush()?;
        let salt = self.len ^ metadata.block_size.rotate_left(40) ^ metadata.logical_sector.rotate_left(20);
        let guid = |tag: u64| self.identity.guid(salt, tag);
        let disk_id = if self.given { metadata.disk_id } else { guid(1) };
        file.write_at(METADATA_AT, &metadata_region(metadata, disk_id))?;
        for at in REGION_TABLES {
            file.write_at(at, &region_table(self.bat_len))?;
        }
        for (sequence, at) in (1..).zip(HEADERS) {
            file.write_at(at, &header(sequence, guid(2), guid(3)))?;
        }
        let mut identifier = [0; 520];
        let creator = "hyper2kvm".encode_utf16().flat_map(u16::to_le_bytes);
        for (to, from) in identifier.iter_mut().skip(8).zip(creator) {
            *to = from;
        }
        file.write_at(0, &identifier)?;
        file.flush()?;
        file.write_at(0, &FILE_SIGNATURE)?;
        file.flush()
    }
}

fn header(sequence: u64, file_write_guid: Guid, data_write_guid: Guid) -> Vec<u8> {
    let header = Header {
        signature: HEADER_SIGNATURE,
        checksum: 0.into(),
        sequence_number: sequence.into(),
        file_write_guid,
        data_write_guid,
        log_guid: Guid::default(),
        log_version: 0.into(),
        version: 1.into(),
        log_length: u32::try_from(MIB).unwrap_or(0).into(),
        log_offset: LOG_AT.into(),
    };
    sealed(header.as_bytes(), HEADER_LEN)
}

fn region_table(bat_len: u64) -> Vec<u8> {
    let header = RegionTableHeader {
        signature: REGION_SIGNATURE,
        checksum: 0.into(),
        entry_count: 2.into(),
        reserved: [0; 4],
    };
    let entry = |guid, offset: u64, length: u64| RegionTableEntry {
        guid,
        file_offset: offset.into(),
        length: u32::try_from(length).unwrap_or(u32::MAX).into(),
        required: 1.into(),
    };
    let mut table = header.as_bytes().to_vec();
    table.extend_from_slice(entry(BAT_REGION, BAT_AT, bat_len).as_bytes());
    table.extend_from_slice(entry(METADATA_REGION, METADATA_AT, MIB).as_bytes());
    sealed(&table, REGION_TABLE_LEN)
}

/// `head` padded to `len` bytes, its checksum filled in.
fn sealed(head: &[u8], len: usize) -> Vec<u8> {
    let mut all = head.to_vec();
    all.resize(len, 0);
    let sum = checksum(&mut all);
    if let Some(field) = all.get_mut(4..8) {
        field.copy_from_slice(&sum.to_le_bytes());
    }
    all
}

fn metadata_region(metadata: &Metadata, disk_id: Guid) -> Vec<u8> {
    let narrow = |n: u64| u32::try_from(n).unwrap_or(0).to_le_bytes();
    let parameters = [narrow(metadata.block_size), [0; 4]].concat();
    let disk = IS_VIRTUAL_DISK | IS_REQUIRED;
    let items: [(Guid, u32, Vec<u8>); 5] = [
        (FILE_PARAMETERS, IS_REQUIRED, parameters),
        (VIRTUAL_DISK_SIZE, disk, metadata.disk_size.to_le_bytes().to_vec()),
        (VIRTUAL_DISK_ID, disk, disk_id.0.to_vec()),
        (
            LOGICAL_SECTOR_SIZE,
            disk,
            narrow(metadata.logical_sector).to_vec(),
        ),
        (
            PHYSICAL_SECTOR_SIZE,
            disk,
            narrow(metadata.physical_sector).to_vec(),
        ),
    ];
    let header = MetadataTableHeader {
        signature: METADATA_SIGNATURE,
        reserved: [0; 2],
        entry_count: 5.into(),
        reserved2: [0; 20],
    };
    let mut table = header.as_bytes().to_vec();
    let mut content = Vec::new();
    for (item_id, flags, bytes) in items {
        let offset = METADATA_TABLE_LEN.saturating_add(content.len());
        let entry = MetadataTableEntry {
            item_id,
            offset: u32::try_from(offset).unwrap_or(0).into(),
            length: u32::try_from(bytes.len()).unwrap_or(0).into(),
            flags: flags.into(),
            reserved: [0; 4],
        };
        table.extend_from_slice(entry.as_bytes());
        content.extend_from_slice(&bytes);
    }
    table.resize(METADATA_TABLE_LEN, 0);
    table.extend_from_slice(&content);
    table
}
