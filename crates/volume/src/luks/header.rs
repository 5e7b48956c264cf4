//! A LUKS header of either version in one form.

use super::kdf::{Hash, Kdf};
use h2k_block::{BlockRead, Error, Meter, Result};

/// A key slot that is in use.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) number: u32,
    /// Slots are tried in this order; LUKS2 prefers some over others, and says of some not to try them unasked.
    pub(super) priority: u8,
    pub(super) kdf: Kdf,
    /// Bytes of the volume key.
    pub(super) key_len: usize,
    /// Where the split key lies, in bytes.
    pub(super) area: u64,
    pub(super) stripes: u32,
    pub(super) af_hash: Hash,
    /// What the split key is encrypted with, and the length of that key.
    pub(super) cipher: String,
    pub(super) area_key_len: usize,
}

/// How a volume key is known to be the right one.
#[derive(Debug, Clone)]
pub(super) struct Check {
    pub(super) kdf: Kdf,
    pub(super) digest: Vec<u8>,
    /// The key slots whose key it is; `None` for all of them.
    pub(super) slots: Option<Vec<u32>>,
}

/// A header.
#[derive(Debug, Clone)]
pub(crate) struct Header {
    pub(super) version: u16,
    pub(super) uuid: String,
    pub(super) label: String,
    pub(super) subsystem: String,
    /// Of the data.
    pub(super) cipher: String,
    pub(super) key_len: usize,
    /// Bytes encrypted at once.
    pub(super) sector_size: u32,
    /// Where data begins, in bytes.
    pub(super) data_start: u64,
    /// Where it ends, if not with the device.
    pub(super) data_len: Option<u64>,
    /// Added to the number of each sector.
    pub(super) iv_tweak: u64,
    pub(super) slots: Vec<Slot>,
    pub(super) check: Option<Check>,
    /// Types of tokens: `systemd-tpm2`, `clevis`.
    pub(super) tokens: Vec<String>,
    /// Why it cannot be opened, whatever the key.
    pub(super) refused: Option<String>,
}

/// Reads the header of a device that was recognised as LUKS.
pub(crate) fn read(disk: &dyn BlockRead, meter: &mut Meter) -> Result<Header> {
    let version = crate::bytes::peek::<8>(disk, 0)?.map(|b| u16::from_be_bytes([b[6], b[7]]));
    let mut header = match version {
        Some(1) => super::v1::read(disk)?,
        Some(2) => super::v2::read(disk, meter)?,
        other => {
            return Err(Error::unsupported(format!(
                "LUKS of version {}, known are 1 and 2",
                other.unwrap_or(0)
            )));
        }
    };
    if header.refused.is_none() && (header.data_start == 0 || header.data_start >= disk.len()) {
        header.refused = Some("the header is detached: the data lies on another device".to_owned());
    }
    Ok(header)
}

/// What a LUKS device says of itself, without any key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Luks {
    /// 1 or 2.
    pub version: u16,
    /// As `blkid` prints it.
    pub uuid: String,
    /// LUKS2: the label; empty if there is none.
    pub label: String,
    /// LUKS2: the subsystem label; empty if there is none.
    pub subsystem: String,
    /// As dm-crypt spells it: `aes-xts-plain64`.
    pub cipher: String,
    /// Length of the volume key in bits.
    pub key_bits: usize,
    /// Bytes encrypted at once.
    pub sector_size: u32,
    /// Where data begins, in bytes.
    pub data_start: u64,
    /// The key slots in use.
    pub slots: Vec<KeySlot>,
    /// LUKS2: types of tokens, such as `systemd-tpm2`.
    pub tokens: Vec<String>,
    /// Why it cannot be opened here, whatever the key; `None` when it can.
    pub refused: Option<String>,
}

/// One key slot in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySlot {
    /// Its number.
    pub number: u32,
    /// Key derivation and its cost, in words.
    pub kdf: String,
}

impl Header {
    /// For people and reports.
    pub(crate) fn describe(&self) -> Luks {
        Luks {
            version: self.version,
            uuid: self.uuid.clone(),
            label: self.label.clone(),
            subsystem: self.subsystem.clone(),
            cipher: self.cipher.clone(),
            key_bits: self.key_len.saturating_mul(8),
            sector_size: self.sector_size,
            data_start: self.data_start,
            slots: self
                .slots
                .iter()
                .map(|s| KeySlot {
                    number: s.number,
                    kdf: s.kdf.describe(),
                })
                .collect(),
            tokens: self.tokens.clone(),
            refused: self.refused.clone(),
        }
    }
}
