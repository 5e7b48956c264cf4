//! Builds VHD files from the specification's numbers, without any of the code under test.

use h2k_block::{BlockRead, BlockWrite, HostFile};
use h2k_testkit::sparse::Sparse;

pub const FIXED: u32 = 2;
pub const DYNAMIC: u32 = 3;
pub const DIFFERENCING: u32 = 4;

/// One's complement of the byte sum, the four bytes at `field` counting as zero.
pub fn seal(bytes: &mut [u8], field: usize) {
    bytes[field..field + 4].fill(0);
    let sum: u32 = bytes.iter().map(|b| u32::from(*b)).sum();
    bytes[field..field + 4].copy_from_slice(&(!sum).to_be_bytes());
}

#[derive(Clone)]
pub struct Footer {
    pub app: [u8; 4],
    pub chs: (u16, u8, u8),
    pub size: u64,
    pub kind: u32,
    pub id: [u8; 16],
    pub time: u32,
}

impl Footer {
    pub fn new(kind: u32, size: u64) -> Self {
        Self {
            app: *b"win ",
            chs: (65535, 16, 255),
            size,
            kind,
            id: [0x77; 16],
            time: 1234,
        }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut f = vec![0; 512];
        f[..8].copy_from_slice(b"conectix");
        f[11] = 2;
        f[13] = 1;
        let offset = if self.kind == FIXED { u64::MAX } else { 512 };
        f[16..24].copy_from_slice(&offset.to_be_bytes());
        f[24..28].copy_from_slice(&self.time.to_be_bytes());
        f[28..32].copy_from_slice(&self.app);
        f[36..40].copy_from_slice(b"Wi2k");
        f[40..48].copy_from_slice(&self.size.to_be_bytes());
        f[48..56].copy_from_slice(&self.size.to_be_bytes());
        f[56..58].copy_from_slice(&self.chs.0.to_be_bytes());
        f[58] = self.chs.1;
        f[59] = self.chs.2;
        f[60..64].copy_from_slice(&self.kind.to_be_bytes());
        f[68..84].copy_from_slice(&self.id);
        seal(&mut f, 64);
        f
    }
}

/// What a child says of its parent.
#[derive(Clone, Default)]
pub struct Parent {
    pub id: [u8; 16],
    pub time: u32,
    pub unicode: String,
    /// Platform code and bytes as they lie in the file.
    pub locators: Vec<([u8; 4], Vec<u8>)>,
}

/// A dynamic or differencing image being built.
pub struct Builder {
    pub file: Sparse,
    pub footer: Footer,
    pub block: u64,
    pub end: u64,
}

pub const BAT: u64 = 1536;

impl Builder {
    pub fn new(name: &str, footer: Footer, block: u64, parent: &Parent) -> Self {
        let file = Sparse::new(name);
        let entries = footer.size.div_ceil(block);
        let mut end = BAT + (entries * 4).next_multiple_of(512);
        file.set_len(end).unwrap();
        file.write_at(BAT, &vec![0xff; (end - BAT) as usize]).unwrap();
        file.write_at(0, &footer.bytes()).unwrap();
        let mut h = vec![0; 1024];
        h[..8].copy_from_slice(b"cxsparse");
        h[8..16].fill(0xff);
        h[16..24].copy_from_slice(&BAT.to_be_bytes());
        h[25] = 1;
        h[28..32].copy_from_slice(&(entries as u32).to_be_bytes());
        h[32..36].copy_from_slice(&(block as u32).to_be_bytes());
        h[40..56].copy_from_slice(&parent.id);
        h[56..60].copy_from_slice(&parent.time.to_be_bytes());
        for (i, unit) in parent.unicode.encode_utf16().enumerate() {
            h[64 + 2 * i..66 + 2 * i].copy_from_slice(&unit.to_be_bytes());
        }
        for (i, (code, text)) in parent.locators.iter().enumerate() {
            let l = &mut h[576 + 24 * i..600 + 24 * i];
            l[..4].copy_from_slice(code);
            l[4..8].copy_from_slice(&512_u32.to_be_bytes());
            l[8..12].copy_from_slice(&(text.len() as u32).to_be_bytes());
            l[16..24].copy_from_slice(&end.to_be_bytes());
            end += (text.len() as u64).next_multiple_of(512);
            file.set_len(end).unwrap();
            file.write_at(end - (text.len() as u64).next_multiple_of(512), text)
                .unwrap();
        }
        seal(&mut h, 36);
        file.write_at(512, &h).unwrap();
        Self {
            file,
            footer,
            block,
            end,
        }
    }

    /// Stores `sectors` (first sector, bytes) of block `n` and marks them in its bitmap; answers where the bitmap is.
    pub fn put(&mut self, n: u64, sectors: &[(u64, Vec<u8>)]) -> u64 {
        let at = self.end;
        let bitmap = (self.block / 512 / 8).next_multiple_of(512).max(512);
        self.end += bitmap + self.block;
        self.file.set_len(self.end).unwrap();
        for (first, bytes) in sectors {
            self.file.write_at(at + bitmap + first * 512, bytes).unwrap();
            for sector in *first..first + bytes.len() as u64 / 512 {
                self.file.edit(at + sector / 8..at + sector / 8 + 1, |b| {
                    b[0] |= 0x80 >> (sector % 8)
                });
            }
        }
        self.entry(n, (at / 512) as u32);
        at
    }

    pub fn entry(&self, n: u64, value: u32) {
        self.file.write_at(BAT + n * 4, &value.to_be_bytes()).unwrap();
    }

    /// Appends the footer: the image is complete.
    pub fn done(self) -> Sparse {
        self.file.set_len(self.end + 512).unwrap();
        self.file.write_at(self.end, &self.footer.bytes()).unwrap();
        self.file
    }
}

/// UTF-16LE, as the W2ru and W2ku locators are.
pub fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// All bytes of a small file.
pub fn all(file: &Sparse) -> Vec<u8> {
    let mut bytes = vec![0; file.len() as usize];
    file.read_at(0, &mut bytes).unwrap();
    bytes
}
