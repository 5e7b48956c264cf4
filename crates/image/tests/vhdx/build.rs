//! Builds VHDX files from the specification's numbers, without any of the code under test.

use h2k_block::{BlockWrite, HostFile};
use h2k_testkit::sparse::Sparse;

pub const MIB: u64 = 1 << 20;
pub const HEADER_1: u64 = 0x1_0000;
pub const HEADER_2: u64 = 0x2_0000;
pub const REGIONS_1: u64 = 0x3_0000;
pub const REGIONS_2: u64 = 0x4_0000;
pub const LOG: u64 = MIB;
pub const METADATA: u64 = 2 * MIB;
pub const BAT: u64 = 3 * MIB;

/// Block states by the specification's numbers.
pub const UNDEFINED: u64 = 1;
pub const ZERO: u64 = 2;
pub const UNMAPPED: u64 = 3;
pub const PRESENT: u64 = 6;
pub const PARTIAL: u64 = 7;

/// An image being built.
pub struct Builder {
    pub file: Sparse,
    pub size: u64,
    pub block: u64,
    pub sector: u64,
    pub end: u64,
    pub bat_len: u64,
    parent: Option<Vec<(&'static str, String)>>,
}

pub fn guid(a: u32, b: u16, c: u16, tail: [u8; 8]) -> [u8; 16] {
    let mut out = [0; 16];
    out[..4].copy_from_slice(&a.to_le_bytes());
    out[4..6].copy_from_slice(&b.to_le_bytes());
    out[6..8].copy_from_slice(&c.to_le_bytes());
    out[8..].copy_from_slice(&tail);
    out
}

/// The log GUID of every log built here.
pub const LOG_GUID: [u8; 16] = [0x33; 16];

impl Builder {
    /// A clean image with nothing in it.
    pub fn new(name: &str, size: u64, block: u64, sector: u64) -> Self {
        Self::with_parent(name, size, block, sector, None)
    }

    pub fn with_parent(
        name: &str,
        size: u64,
        block: u64,
        sector: u64,
        parent: Option<Vec<(&'static str, String)>>,
    ) -> Self {
        let file = Sparse::new(name);
        let ratio = (1 << 23) * sector / block;
        let blocks = size.div_ceil(block);
        let entries = blocks.div_ceil(ratio) * (ratio + 1);
        let bat_len = (entries * 8).next_multiple_of(MIB);
        let end = BAT + bat_len;
        file.set_len(end).unwrap();
        file.write_at(0, b"vhdxfile").unwrap();
        let built = Self {
            file,
            size,
            block,
            sector,
            end,
            bat_len,
            parent,
        };
        built.header(HEADER_1, 5, [0; 16], [0x11; 16]);
        built.header(HEADER_2, 6, [0; 16], [0x11; 16]);
        built.regions(REGIONS_1, &[]);
        built.regions(REGIONS_2, &[]);
        built.metadata(&[]);
        built
    }

    pub fn header(&self, at: u64, sequence: u64, log_guid: [u8; 16], data_write_guid: [u8; 16]) {
        self.header_with_log(at, sequence, log_guid, data_write_guid, MIB);
    }

    pub fn header_with_log(
        &self,
        at: u64,
        sequence: u64,
        log_guid: [u8; 16],
        data_write: [u8; 16],
        log: u64,
    ) {
        let mut h = vec![0; 4096];
        h[..4].copy_from_slice(b"head");
        h[8..16].copy_from_slice(&sequence.to_le_bytes());
        h[16..32].fill(0x22);
        h[32..48].copy_from_slice(&data_write);
        h[48..64].copy_from_slice(&log_guid);
        h[66] = 1;
        h[68..72].copy_from_slice(&(log as u32).to_le_bytes());
        h[72..80].copy_from_slice(&LOG.to_le_bytes());
        seal(&mut h);
        self.file.write_at(at, &h).unwrap();
    }

    /// Writes a region table with `more` entries after the two usual ones.
    pub fn regions(&self, at: u64, more: &[([u8; 16], u64, u32, u32)]) {
        let bat = guid(
            0x2dc2_7766,
            0xf623,
            0x4200,
            [0x9d, 0x64, 0x11, 0x5e, 0x9b, 0xfd, 0x4a, 0x08],
        );
        let meta = guid(
            0x8b7c_a206,
            0x4790,
            0x4b9a,
            [0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e],
        );
        let mut all = vec![
            (bat, BAT, self.bat_len as u32, 1),
            (meta, METADATA, MIB as u32, 1),
        ];
        all.extend_from_slice(more);
        let mut t = vec![0; 65536];
        t[..4].copy_from_slice(b"regi");
        t[8..12].copy_from_slice(&(all.len() as u32).to_le_bytes());
        for (i, (guid, offset, len, required)) in all.iter().enumerate() {
            let e = &mut t[16 + i * 32..48 + i * 32];
            e[..16].copy_from_slice(guid);
            e[16..24].copy_from_slice(&offset.to_le_bytes());
            e[24..28].copy_from_slice(&len.to_le_bytes());
            e[28..32].copy_from_slice(&required.to_le_bytes());
        }
        seal(&mut t);
        self.file.write_at(at, &t).unwrap();
    }

    /// Writes the metadata region with `more` items (id, flags, bytes) after the usual ones.
    pub fn metadata(&self, more: &[([u8; 16], u32, Vec<u8>)]) {
        let flags = if self.parent.is_some() { 2_u32 } else { 0 };
        let parameters = [(self.block as u32).to_le_bytes(), flags.to_le_bytes()].concat();
        let id = |a, b, c, d: u64| guid(a, b, c, d.to_be_bytes());
        let mut items = vec![
            (
                id(0xcaa1_6737, 0xfa36, 0x4d43, 0xb3b6_33f0_aa44_e76b),
                4_u32,
                parameters,
            ),
            (
                id(0x2fa5_4224, 0xcd1b, 0x4876, 0xb211_5dbe_d83b_f4b8),
                6,
                self.size.to_le_bytes().to_vec(),
            ),
            (
                id(0xbeca_12ab, 0xb2e6, 0x4523, 0x93ef_c309_e000_c746),
                6,
                vec![0x44; 16],
            ),
            (
                id(0x8141_bf1d, 0xa96f, 0x4709, 0xba47_f233_a8fa_ab5f),
                6,
                (self.sector as u32).to_le_bytes().to_vec(),
            ),
            (
                id(0xcda3_48c7, 0x445d, 0x4471, 0x9cc9_e988_5251_c556),
                6,
                4096_u32.to_le_bytes().to_vec(),
            ),
        ];
        if let Some(pairs) = &self.parent {
            items.push((
                id(0xa8d3_5f2d, 0xb30b, 0x454d, 0xabf7_d3d8_4834_ab0c),
                4,
                locator(pairs),
            ));
        }
        items.extend_from_slice(more);
        let mut m = vec![0; MIB as usize];
        m[..8].copy_from_slice(b"metadata");
        m[10..12].copy_from_slice(&(items.len() as u16).to_le_bytes());
        let mut at = 65536;
        for (i, (id, flags, bytes)) in items.iter().enumerate() {
            let e = &mut m[32 + i * 32..64 + i * 32];
            e[..16].copy_from_slice(id);
            e[16..20].copy_from_slice(&(at as u32).to_le_bytes());
            e[20..24].copy_from_slice(&(bytes.len() as u32).to_le_bytes());
            e[24..28].copy_from_slice(&flags.to_le_bytes());
            m[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        }
        self.file.write_at(METADATA, &m).unwrap();
    }

    pub fn ratio(&self) -> u64 {
        (1 << 23) * self.sector / self.block
    }

    /// File offset of the BAT entry of payload block `n`.
    pub fn entry_at(&self, n: u64) -> u64 {
        BAT + (n + n / self.ratio()) * 8
    }

    pub fn entry(&self, n: u64, value: u64) {
        self.file
            .write_at(self.entry_at(n), &value.to_le_bytes())
            .unwrap();
    }

    fn grow(&mut self, len: u64) -> u64 {
        let at = self.end;
        self.end += len.next_multiple_of(MIB);
        self.file.set_len(self.end).unwrap();
        at
    }

    /// Stores `bytes` as the whole of payload block `n`.
    pub fn full(&mut self, n: u64, bytes: &[u8]) -> u64 {
        let at = self.grow(self.block);
        self.file.write_at(at, bytes).unwrap();
        self.entry(n, at | PRESENT);
        at
    }

    /// Stores `sectors` of payload block `n`, the rest being the parent's.
    pub fn partial(&mut self, n: u64, sectors: &[(u64, Vec<u8>)]) {
        let at = self.grow(self.block);
        let chunk = n / self.ratio();
        let bitmap_entry = BAT + ((chunk + 1) * (self.ratio() + 1) - 1) * 8;
        let mut raw = [0; 8];
        h2k_block::BlockRead::read_at(&self.file, bitmap_entry, &mut raw).unwrap();
        let mut bitmap = u64::from_le_bytes(raw) & !7;
        if bitmap == 0 {
            bitmap = self.grow(MIB);
            let entry = (bitmap | PRESENT).to_le_bytes();
            self.file.write_at(bitmap_entry, &entry).unwrap();
        }
        let first = n % self.ratio() * (self.block / self.sector);
        for (sector, bytes) in sectors {
            assert_eq!(bytes.len() as u64 % self.sector, 0);
            self.file.write_at(at + sector * self.sector, bytes).unwrap();
            for bit in 0..bytes.len() as u64 / self.sector {
                let bit = first + sector + bit;
                self.file
                    .edit(bitmap + bit / 8..bitmap + bit / 8 + 1, |b| b[0] |= 1 << (bit % 8));
            }
        }
        self.entry(n, at | PARTIAL);
    }
}

/// Fills in the checksum of a header or region table.
pub fn seal(bytes: &mut [u8]) {
    bytes[4..8].fill(0);
    let sum = crc32c::crc32c(bytes);
    bytes[4..8].copy_from_slice(&sum.to_le_bytes());
}

pub fn locator(pairs: &[(&str, String)]) -> Vec<u8> {
    let utf16 = |s: &str| s.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let mut out = guid(
        0xb04a_efb7,
        0xd19e,
        0x4a81,
        0xb789_25b8_e944_5913_u64.to_be_bytes(),
    )
    .to_vec();
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&(pairs.len() as u16).to_le_bytes());
    let mut at = 20 + 12 * pairs.len();
    let mut text = Vec::new();
    for (key, value) in pairs {
        let (key, value) = (utf16(key), utf16(value));
        out.extend_from_slice(&(at as u32).to_le_bytes());
        out.extend_from_slice(&((at + key.len()) as u32).to_le_bytes());
        out.extend_from_slice(&(key.len() as u16).to_le_bytes());
        out.extend_from_slice(&(value.len() as u16).to_le_bytes());
        at += key.len() + value.len();
        text.extend_from_slice(&key);
        text.extend_from_slice(&value);
    }
    out.extend_from_slice(&text);
    out
}

/// One change in a log entry.
pub enum Change {
    Data(u64, Vec<u8>),
    Zero(u64, u64),
}

/// A log entry with its checksum, as it lies in the ring.
pub fn log_entry(sequence: u64, tail: u64, file_len: u64, last: u64, changes: &[Change]) -> Vec<u8> {
    let head_len = (64 + 32 * changes.len()).next_multiple_of(4096);
    let mut out = vec![0; head_len];
    let mut sectors = Vec::new();
    for (i, change) in changes.iter().enumerate() {
        let d = &mut out[64 + i * 32..96 + i * 32];
        d[24..32].copy_from_slice(&sequence.to_le_bytes());
        match change {
            Change::Zero(at, len) => {
                d[..4].copy_from_slice(b"zero");
                d[8..16].copy_from_slice(&len.to_le_bytes());
                d[16..24].copy_from_slice(&at.to_le_bytes());
            }
            Change::Data(at, bytes) => {
                assert_eq!(bytes.len(), 4096);
                d[..4].copy_from_slice(b"desc");
                d[4..8].copy_from_slice(&bytes[4092..]);
                d[8..16].copy_from_slice(&bytes[..8]);
                d[16..24].copy_from_slice(&at.to_le_bytes());
                let mut sector = bytes.clone();
                sector[..4].copy_from_slice(b"data");
                sector[4..8].copy_from_slice(&((sequence >> 32) as u32).to_le_bytes());
                sector[4092..].copy_from_slice(&(sequence as u32).to_le_bytes());
                sectors.extend_from_slice(&sector);
            }
        }
    }
    out.extend_from_slice(&sectors);
    let len = out.len() as u32;
    out[..4].copy_from_slice(b"loge");
    out[8..12].copy_from_slice(&len.to_le_bytes());
    out[12..16].copy_from_slice(&(tail as u32).to_le_bytes());
    out[16..24].copy_from_slice(&sequence.to_le_bytes());
    out[24..28].copy_from_slice(&(changes.len() as u32).to_le_bytes());
    out[32..48].copy_from_slice(&LOG_GUID);
    out[48..56].copy_from_slice(&file_len.to_le_bytes());
    out[56..64].copy_from_slice(&last.to_le_bytes());
    seal(&mut out);
    out
}
