//! VMDKs put together byte by byte, without the project's own writers.

use flate2::{Compression, write::ZlibEncoder};
use h2k_testkit::rng::Rng;
use std::io::Write;

pub const SECTOR: usize = 512;

/// What a grain is.
#[derive(Clone, Debug)]
pub enum Grain {
    Hole,
    /// Entry 1; in SESPARSE entry kind 2.
    Zero,
    /// SESPARSE entry kind 1; elsewhere as [`Grain::Zero`].
    Unmapped,
    Data(Vec<u8>),
}

/// Grains of all kinds, in runs of various lengths: `count` of them, of `bytes` each. Data is half noise, half zero.
pub fn grains(seed: u64, count: usize, bytes: usize) -> Vec<Grain> {
    let mut rng = Rng::new(seed);
    let mut all = Vec::new();
    while all.len() < count {
        let kind = rng.below(6);
        for _ in 0..=rng.below(5) {
            all.push(match kind {
                0 | 1 => Grain::Hole,
                2 => Grain::Zero,
                _ => {
                    let mut data = vec![0; bytes];
                    rng.fill(&mut data[bytes / 4..bytes / 4 * 3]);
                    Grain::Data(data)
                }
            });
        }
    }
    all.truncate(count);
    all
}

/// The same grains without zero entries, for formats that have none.
pub fn without_zeros(grains: Vec<Grain>) -> Vec<Grain> {
    let hole = |g| match g {
        Grain::Zero | Grain::Unmapped => Grain::Hole,
        g => g,
    };
    grains.into_iter().map(hole).collect()
}

/// What a disk of `grains` over `parent` reads like; holes beyond the parent's end are zero.
pub fn model(grains: &[Grain], bytes: usize, len: usize, parent: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    for (i, grain) in grains.iter().enumerate() {
        match grain {
            Grain::Data(data) => all.extend_from_slice(data),
            Grain::Zero | Grain::Unmapped => all.resize(all.len() + bytes, 0),
            Grain::Hole => {
                let from = (i * bytes).min(parent.len());
                let to = ((i + 1) * bytes).min(parent.len());
                all.extend_from_slice(&parent[from..to]);
                all.resize((i + 1) * bytes, 0);
            }
        }
    }
    all.truncate(len);
    all
}

/// A descriptor with these extent lines.
pub fn descriptor(kind: &str, cid: u32, parent: Option<(u32, &str)>, lines: &[String]) -> String {
    let parent_cid = parent.map_or(u32::MAX, |p| p.0);
    let hint = parent.map_or(String::new(), |p| format!("parentFileNameHint=\"{}\"\n", p.1));
    format!(
        "# Disk DescriptorFile\nversion=1\nCID={cid:08x}\nparentCID={parent_cid:08x}\ncreateType=\"{kind}\"\n{hint}\n\
         # Extent description\n{}\n\n# The Disk Data Base\n#DDB\n\nddb.adapterType = \"ide\"\n\
         ddb.geometry.cylinders = \"1\"\nddb.geometry.heads = \"16\"\nddb.geometry.sectors = \"63\"\n\
         ddb.virtualHWVersion = \"4\"\n",
        lines.join("\n")
    )
}

/// How a hosted sparse extent or a stream is made. Sizes in sectors.
#[derive(Clone, Debug)]
pub struct Hosted {
    pub capacity: u64,
    pub grain: u64,
    pub gtes: u32,
    pub version: u32,
    pub zero_flag: bool,
    pub redundant: bool,
    pub descriptor: Option<String>,
}

impl Hosted {
    /// A monolithicSparse disk of `len` bytes in grains of 8 sectors and tables of 16 entries: small, and many
    /// borders.
    pub fn small(len: usize) -> Self {
        let capacity = (len / SECTOR) as u64;
        let line = format!("RW {capacity} SPARSE \"image\"");
        Self {
            capacity,
            grain: 8,
            gtes: 16,
            version: 2,
            zero_flag: true,
            redundant: true,
            descriptor: Some(descriptor("monolithicSparse", 0x1234_5678, None, &[line])),
        }
    }

    fn tables(&self) -> usize {
        self.capacity.div_ceil(self.grain * u64::from(self.gtes)) as usize
    }

    fn header(&self, flags: u32, rgd: u64, gd: u64, overhead: u64, compress: u16) -> Vec<u8> {
        let mut h = b"KDMV".to_vec();
        h.extend(self.version.to_le_bytes());
        h.extend(flags.to_le_bytes());
        h.extend(self.capacity.to_le_bytes());
        h.extend(self.grain.to_le_bytes());
        let (at, len) = if self.descriptor.is_some() {
            (1_u64, 4_u64)
        } else {
            (0, 0)
        };
        h.extend(at.to_le_bytes());
        h.extend(len.to_le_bytes());
        h.extend(self.gtes.to_le_bytes());
        h.extend(rgd.to_le_bytes());
        h.extend(gd.to_le_bytes());
        h.extend(overhead.to_le_bytes());
        h.push(0);
        h.extend(b"\n \r\n");
        h.extend(compress.to_le_bytes());
        h.resize(SECTOR, 0);
        h
    }

    /// Bytes of a hosted sparse extent.
    pub fn sparse(&self, grains: &[Grain]) -> Vec<u8> {
        let table_sectors = (self.gtes as usize * 4).div_ceil(SECTOR) as u64;
        let directory_sectors = (self.tables() * 4).div_ceil(SECTOR) as u64;
        let set = directory_sectors + table_sectors * self.tables() as u64;
        let rgd = if self.redundant { 5 } else { 0 };
        let gd = if self.redundant { 5 + set } else { 5 };
        let overhead = (gd + set).next_multiple_of(self.grain);
        let flags = 1 | u32::from(self.redundant) << 1 | u32::from(self.zero_flag) << 2;
        let mut out = self.header(flags, rgd, gd, overhead, 0);
        out.extend(self.descriptor.clone().unwrap_or_default().into_bytes());
        out.resize(overhead as usize * SECTOR, 0);
        let starts: Vec<u64> = if self.redundant { vec![rgd, gd] } else { vec![gd] };
        for (i, grain) in grains.iter().enumerate() {
            let entry = match grain {
                Grain::Hole => continue,
                Grain::Zero | Grain::Unmapped => 1,
                Grain::Data(data) => {
                    let at = out.len() / SECTOR;
                    out.extend(data);
                    at as u32
                }
            };
            let (table, index) = (i as u64 / u64::from(self.gtes), i % self.gtes as usize);
            for start in &starts {
                let table = (start + directory_sectors + table * table_sectors) as usize * SECTOR;
                put32(&mut out, table + index * 4, entry);
            }
        }
        for start in starts {
            for table in 0..self.tables() {
                let at = start + directory_sectors + table as u64 * table_sectors;
                put32(&mut out, start as usize * SECTOR + table * 4, at as u32);
            }
        }
        out
    }

    /// Bytes of a stream: compressed grains, tables behind their grains, directory and footer at the end. Grains
    /// that are not data are left out. Without `lba` the grains have a header of four bytes only.
    pub fn stream(&self, grains: &[Grain], lba: bool) -> Vec<u8> {
        let flags = 1 | 1 << 16 | u32::from(lba) << 17;
        let mut out = self.header(flags, 0, u64::MAX, 8, 1);
        out.extend(self.descriptor.clone().unwrap_or_default().into_bytes());
        out.resize(8 * SECTOR, 0);
        let mut directory = Vec::new();
        for (t, table) in grains.chunks(self.gtes as usize).enumerate() {
            let mut entries = Vec::new();
            for (i, grain) in table.iter().enumerate() {
                let Grain::Data(data) = grain else {
                    entries.push(0_u32);
                    continue;
                };
                entries.push((out.len() / SECTOR) as u32);
                let number = (t * self.gtes as usize + i) as u64;
                let packed = zlib(data);
                if lba {
                    out.extend((number * self.grain).to_le_bytes());
                }
                out.extend((packed.len() as u32).to_le_bytes());
                out.extend(packed);
                out.resize(out.len().next_multiple_of(SECTOR), 0);
            }
            if entries.iter().all(|e| *e == 0) {
                directory.push(0);
                continue;
            }
            entries.resize(self.gtes as usize, 0);
            out.extend(marker((self.gtes as u64 * 4).div_ceil(512), 1));
            directory.push((out.len() / SECTOR) as u32);
            out.extend(entries.iter().flat_map(|e| e.to_le_bytes()));
            out.resize(out.len().next_multiple_of(SECTOR), 0);
        }
        out.extend(marker((directory.len() as u64 * 4).div_ceil(512), 2));
        let gd = (out.len() / SECTOR) as u64;
        out.extend(directory.iter().flat_map(|e| e.to_le_bytes()));
        out.resize(out.len().next_multiple_of(SECTOR), 0);
        out.extend(marker(1, 3));
        out.extend(self.header(flags, 0, gd, 8, 1));
        out.extend(marker(0, 0));
        out
    }
}

fn marker(sectors: u64, kind: u32) -> Vec<u8> {
    let mut m = sectors.to_le_bytes().to_vec();
    m.extend(0_u32.to_le_bytes());
    m.extend(kind.to_le_bytes());
    m.resize(SECTOR, 0);
    m
}

fn zlib(data: &[u8]) -> Vec<u8> {
    let mut e = ZlibEncoder::new(Vec::new(), Compression::new(6));
    e.write_all(data).unwrap();
    e.finish().unwrap()
}

pub fn put32(out: &mut [u8], at: usize, value: u32) {
    out[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

pub fn put64(out: &mut [u8], at: usize, value: u64) {
    out[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

/// Bytes of a COWD extent of `capacity` sectors in grains of `grain` sectors.
pub fn cowd(capacity: u32, grain: u32, grains: &[Grain]) -> Vec<u8> {
    let tables = capacity.div_ceil(grain * 4096);
    let mut out = b"COWD".to_vec();
    for word in [1, 3, capacity, grain, 4, tables, 0] {
        out.extend(word.to_le_bytes());
    }
    out.resize(4 * SECTOR, 0);
    out.resize(out.len() + (tables as usize * 4).next_multiple_of(SECTOR), 0);
    for (t, chunk) in grains.chunks(4096).enumerate() {
        if chunk.iter().all(|g| !matches!(g, Grain::Data(_))) {
            continue;
        }
        // Tables come when they are needed, between the grains.
        let table = out.len();
        put32(&mut out, 4 * SECTOR + t * 4, (table / SECTOR) as u32);
        out.resize(table + 4096 * 4, 0);
        for (i, g) in chunk.iter().enumerate() {
            if let Grain::Data(data) = g {
                let at = (out.len() / SECTOR) as u32;
                put32(&mut out, table + i * 4, at);
                out.extend(data);
            }
        }
    }
    let free = (out.len() / SECTOR) as u32;
    put32(&mut out, 28, free);
    out
}

/// Bytes of a SESPARSE extent of `capacity` sectors. Grains are stored in reverse order, from number `first` on.
pub fn sesparse(capacity: u64, first: u64, grains: &[Grain]) -> Vec<u8> {
    let tables = capacity.div_ceil(8 * 4096);
    let data = grains.iter().filter(|g| matches!(g, Grain::Data(_))).count() as u64;
    let directory_sectors = (tables * 8).div_ceil(512);
    let (gd, gts) = (16, 16 + directory_sectors);
    let bitmap = gts + tables * 64;
    let backmap = bitmap + 8;
    let store = backmap + 8;
    let mut h = Vec::new();
    for word in [
        0xcafe_babe_u64,
        0x2_0000_0001,
        capacity,
        8,
        64,
        0,
        0,
        0,
        0,
        0,
        1,
        1,
        2,
        2,
        4,
        4,
        gd,
        directory_sectors,
        gts,
        tables * 64,
        bitmap,
        8,
        backmap,
        8,
        store,
        (first + data) * 8,
    ] {
        h.extend(word.to_le_bytes());
    }
    h.resize(SECTOR, 0);
    for word in [0xcafe_cafe_u64, tables, 1, 0] {
        h.extend(word.to_le_bytes());
    }
    let mut out = h;
    out.resize((store + (first + data) * 8) as usize * SECTOR, 0);
    let mut next = first + data;
    for (t, chunk) in grains.chunks(4096).enumerate() {
        if chunk.iter().all(|g| matches!(g, Grain::Hole)) {
            continue;
        }
        // Tables in reverse too: the directory says which is whose.
        let number = tables - 1 - t as u64;
        put64(
            &mut out,
            gd as usize * SECTOR + t * 8,
            0x1000_0000_0000_0000 | number,
        );
        let table = (gts + number * 64) as usize * SECTOR;
        for (i, g) in chunk.iter().enumerate() {
            let entry = match g {
                Grain::Hole => 0,
                Grain::Unmapped => 0x1000_0000_0000_0000,
                Grain::Zero => 0x2000_0000_0000_0000,
                Grain::Data(bytes) => {
                    next -= 1;
                    let at = (store + next * 8) as usize * SECTOR;
                    out[at..at + bytes.len()].copy_from_slice(bytes);
                    0x3000_0000_0000_0000 | (next & 0xfff) << 48 | next >> 12
                }
            };
            put64(&mut out, table + i * 8, entry);
        }
    }
    out
}
