//! Builds images from the formats' numbers, without any of the code under test.

use flate2::{Compress, Compression, FlushCompress};
use h2k_testkit::rng::Rng;
use h2k_testkit::sparse::Sparse;

fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    Rng::new(seed).fill(&mut bytes);
    bytes
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 1024);
    Compress::new(Compression::default(), true)
        .compress_vec(bytes, &mut out, FlushCompress::Finish)
        .unwrap();
    out
}

fn text(seed: u8, len: usize) -> Vec<u8> {
    (0..len)
        .map(|i| b'a' + ((i / 7) as u8).wrapping_add(seed) % 26)
        .collect()
}

/// Extents of 4 KiB; two are stored, out of order, with some of their sectors.
pub fn bochs(version: u32) -> Vec<u8> {
    let (extent, size) = (4096_u32, 9 * 4096 + 512_u64);
    let mut out = vec![0; 512];
    out[..22].copy_from_slice(b"Bochs Virtual HD Image");
    out[32..39].copy_from_slice(b"Redolog");
    out[48..55].copy_from_slice(b"Growing");
    out[64..68].copy_from_slice(&(version << 16).to_le_bytes());
    out[68..72].copy_from_slice(&512_u32.to_le_bytes());
    out[72..76].copy_from_slice(&16_u32.to_le_bytes());
    out[76..80].copy_from_slice(&1_u32.to_le_bytes());
    out[80..84].copy_from_slice(&extent.to_le_bytes());
    let at = if version == 1 { 84 } else { 88 };
    out[at..at + 8].copy_from_slice(&size.to_le_bytes());
    for n in 0..16 {
        let entry = match n {
            1 => 1_u32,
            3 => 0,
            9 => 2,
            _ => u32::MAX,
        };
        out.extend(entry.to_le_bytes());
    }
    for (seed, bits) in [(1, 0b0101_1101_u8), (2, 0xff), (3, 1)] {
        let mut bitmap = vec![0; 512];
        bitmap[0] = bits;
        out.extend(bitmap);
        out.extend(noise(seed, 4096));
    }
    out
}

/// Clusters of 8 KiB; three are stored, out of order; the disk ends inside one.
pub fn parallels(extended: bool) -> Vec<u8> {
    let cluster = 8192;
    let mut out = vec![0; 64];
    let magic = if extended {
        b"WithouFreSpacExt"
    } else {
        b"WithoutFreeSpace"
    };
    out[..16].copy_from_slice(magic);
    out[16] = 2;
    out[20] = 16;
    out[28..32].copy_from_slice(&16_u32.to_le_bytes());
    out[32..36].copy_from_slice(&6_u32.to_le_bytes());
    out[36..44].copy_from_slice(&(5 * 16 + 3_u64).to_le_bytes());
    out[48..52].copy_from_slice(&16_u32.to_le_bytes());
    let unit = if extended { 1 } else { 16_u32 };
    for entry in [0, 2 * unit, unit, 0, 0, 3 * unit] {
        out.extend(entry.to_le_bytes());
    }
    out.resize(cluster, 0);
    for seed in 0..3 {
        out.extend(noise(seed, cluster));
    }
    out
}

/// Five blocks of 4 KiB.
pub fn cloop() -> Vec<u8> {
    let mut out =
        b"#!/bin/sh\n#V2.0 Format\nmodprobe cloop file=$0 && mount -r -t iso9660 /dev/cloop $1\n".to_vec();
    out.resize(128, 0);
    out.extend(4096_u32.to_be_bytes());
    out.extend(5_u32.to_be_bytes());
    let blocks: Vec<Vec<u8>> = (0..5)
        .map(|n| {
            zlib(&if n % 2 == 0 {
                text(n, 4096)
            } else {
                noise(n.into(), 4096)
            })
        })
        .collect();
    let mut at = 136 + 6 * 8;
    out.extend((at as u64).to_be_bytes());
    for block in &blocks {
        at += block.len();
        out.extend((at as u64).to_be_bytes());
    }
    out.extend(blocks.concat());
    out
}

struct DmgChunk(u32, u64, u64, Vec<u8>);

/// Two tables; zlib, raw, zero and ignored chunks. `odd`: out of order, with a gap nobody describes, which qemu-img
/// does not read.
pub fn dmg(odd: bool) -> Vec<u8> {
    let zlib_kind = 0x8000_0005;
    let mut first = [
        DmgChunk(zlib_kind, 0, 16, zlib(&noise(1, 8192))),
        DmgChunk(zlib_kind, 16, 16, zlib(&text(1, 8192))),
        DmgChunk(0, 32, 8, Vec::new()),
        DmgChunk(2, 40, 8, Vec::new()),
    ];
    let second = [
        DmgChunk(1, 0, 3, noise(9, 1536)),
        DmgChunk(zlib_kind, 3, 1, zlib(&text(3, 512))),
    ];
    if odd {
        first.swap(0, 1);
    }
    dmg_of(&[(0, &first), (if odd { 60 } else { 48 }, &second)])
}

/// One chunk of a kind.
pub fn dmg_with(kind: u32) -> Vec<u8> {
    dmg_of(&[(0, &[DmgChunk(kind, 0, 16, vec![1; 100])])])
}

fn dmg_of(tables: &[(u64, &[DmgChunk])]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut plist = "<plist><dict><key>resource-fork</key><dict><key>blkx</key><array>".to_owned();
    let mut sectors = 0;
    for (first, chunks) in tables {
        let mut mish = vec![0; 204];
        mish[..4].copy_from_slice(b"mish");
        mish[7] = 1;
        mish[8..16].copy_from_slice(&first.to_be_bytes());
        mish[200..204].copy_from_slice(&(chunks.len() as u32 + 1).to_be_bytes());
        let mut end = 0;
        for DmgChunk(kind, start, count, bytes) in *chunks {
            mish.extend(kind.to_be_bytes());
            mish.extend([0; 4]);
            mish.extend(start.to_be_bytes());
            mish.extend(count.to_be_bytes());
            mish.extend((out.len() as u64).to_be_bytes());
            mish.extend((bytes.len() as u64).to_be_bytes());
            out.extend(bytes);
            end = end.max(start + count);
        }
        sectors = sectors.max(first + end);
        mish[16..24].copy_from_slice(&end.to_be_bytes());
        mish.extend(u32::MAX.to_be_bytes());
        mish.extend([0; 4]);
        mish.extend(end.to_be_bytes());
        mish.extend([0; 24]);
        plist += &format!("<dict><key>Data</key><data>\n{}\n</data></dict>", base64(&mish));
    }
    plist += "</array></dict></dict></plist>";
    let fork = out.len() as u64;
    out.extend(plist.as_bytes());
    let mut koly = vec![0; 512];
    koly[..4].copy_from_slice(b"koly");
    koly[4..8].copy_from_slice(&4_u32.to_be_bytes());
    koly[8..12].copy_from_slice(&512_u32.to_be_bytes());
    koly[32..40].copy_from_slice(&fork.to_be_bytes());
    koly[60..64].copy_from_slice(&1_u32.to_be_bytes());
    koly[216..224].copy_from_slice(&fork.to_be_bytes());
    koly[224..232].copy_from_slice(&(plist.len() as u64).to_be_bytes());
    koly[492..500].copy_from_slice(&sectors.to_be_bytes());
    out.extend(koly);
    out
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let n = three.iter().fold(0_u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - three.len()));
        for i in 0..=three.len() {
            out.push(DIGITS[(n >> (18 - 6 * i)) as usize % 64] as char);
        }
        out += &"=".repeat(3 - three.len());
    }
    out
}

/// A version 1 header with clusters of 4 KiB, L2 tables of 512 entries, an L1 table at 48.
pub fn qcow_header() -> Vec<u8> {
    let mut out = vec![0; 48];
    out[..8].copy_from_slice(b"QFI\xfb\0\0\0\x01");
    out[24..32].copy_from_slice(&(3 * 4096_u64 + 512).to_be_bytes());
    out[32] = 12;
    out[33] = 9;
    out[47] = 48;
    out
}

/// A small image: cluster 0 plain, 1 missing, 2 compressed, 3 (in which the disk ends) compressed or plain.
pub fn qcow(last_packed: bool) -> Vec<u8> {
    let deflate = |bytes: &[u8]| {
        let mut raw = Vec::with_capacity(8192);
        Compress::new(Compression::default(), false)
            .compress_vec(bytes, &mut raw, FlushCompress::Finish)
            .unwrap();
        raw
    };
    let (two, three) = (deflate(&text(4, 4096)), deflate(&text(5, 4096)));
    let packed = |bytes: &[u8], at: u64| (1 << 63) | (bytes.len() as u64) << (63 - 12) | at;
    let mut out = qcow_header();
    out.extend(4096_u64.to_be_bytes());
    out.resize(4096, 0);
    let end = 4 * 4096 + two.len() as u64;
    let last = if last_packed {
        packed(&three, end)
    } else {
        3 * 4096
    };
    for entry in [2 * 4096, 0, packed(&two, 4 * 4096), last] {
        out.extend(entry.to_be_bytes());
    }
    out.resize(2 * 4096, 0);
    out.extend(noise(1, 4096));
    out.extend(noise(2, 4096));
    out.extend(two);
    out.extend(three);
    // qemu-img reads compressed bytes in whole sectors.
    out.resize(out.len().next_multiple_of(512), 0);
    out
}

pub const EWF_CHUNK: u64 = 4096;

fn adler32(bytes: &[u8]) -> u32 {
    let (a, b) = bytes.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65521;
        (a, (a + b) % 65521)
    });
    b << 16 | a
}

fn section(kind: &str, at: usize, body: &[u8], last: bool) -> Vec<u8> {
    let mut out = vec![0; 76];
    out[..kind.len()].copy_from_slice(kind.as_bytes());
    let size = 76 + body.len();
    let next = if last { at } else { at + size };
    out[16..24].copy_from_slice(&(next as u64).to_le_bytes());
    out[24..32].copy_from_slice(&(size as u64).to_le_bytes());
    let sum = adler32(&out[..72]);
    out[72..76].copy_from_slice(&sum.to_le_bytes());
    out.extend(body);
    out
}

/// Where the first chunk of a segment lies: after the file header, the volume and the section's own header.
pub fn ewf_first_chunk(_file: &Sparse) -> u64 {
    13 + 76 + 94 + 76
}

/// Seven chunks of 4 KiB and a bit, plain and compressed, in three segments; and the disk.
pub fn ewf() -> (Vec<Sparse>, Vec<u8>) {
    let size = 7 * 4096 + 512;
    let mut truth = Vec::new();
    for n in 0..8_u8 {
        truth.extend(if n % 2 == 0 {
            noise(n.into(), 4096)
        } else {
            text(n, 4096)
        });
    }
    truth.truncate(size);
    let chunks: Vec<&[u8]> = truth.chunks(4096).collect();
    let mut files = Vec::new();
    for (number, chunks) in (1_u16..).zip(chunks.chunks(3)) {
        let mut out = b"EVF\x09\x0d\x0a\xff\0\x01".to_vec();
        out.extend(number.to_le_bytes());
        out.extend([0, 0]);
        if number == 1 {
            let mut volume = vec![0; 94];
            volume[0] = 1;
            volume[4] = 8;
            volume[8] = 8;
            volume[12..16].copy_from_slice(&512_u32.to_le_bytes());
            volume[16..24].copy_from_slice(&((size / 512) as u64).to_le_bytes());
            out.extend(section("volume", out.len(), &volume, false));
        }
        let first = out.len() + 76;
        let (mut body, mut offsets) = (Vec::new(), Vec::new());
        for (i, chunk) in chunks.iter().enumerate() {
            let at = (first + body.len()) as u32;
            if i % 2 == 0 {
                offsets.push(at);
                body.extend(*chunk);
                body.extend(adler32(chunk).to_le_bytes());
            } else {
                offsets.push(at | 1 << 31);
                body.extend(zlib(chunk));
            }
        }
        out.extend(section("sectors", out.len(), &body, false));
        let mut table = vec![0; 24];
        table[..4].copy_from_slice(&(offsets.len() as u32).to_le_bytes());
        let sum = adler32(&table[..20]);
        table[20..24].copy_from_slice(&sum.to_le_bytes());
        table.extend(offsets.iter().flat_map(|o| o.to_le_bytes()));
        out.extend(section("table", out.len(), &table, false));
        let ending = if number == 3 { "done" } else { "next" };
        out.extend(section(ending, out.len(), &[], true));
        files.push(Sparse::of(format!("x.E{number:02}"), &out));
    }
    (files, truth)
}

/// Fills in the checksums of the sections of a small segment again, as far as they can be followed.
pub fn ewf_seal(bytes: &mut [u8]) {
    let mut at = 13;
    for _ in 0..8 {
        let Some(head) = bytes.get_mut(at..at + 76) else {
            return;
        };
        let sum = adler32(&head[..72]);
        head[72..76].copy_from_slice(&sum.to_le_bytes());
        let next = u64::from_le_bytes(head[16..24].try_into().unwrap()) as usize;
        let table = head.starts_with(b"table\0");
        if table && let Some(t) = bytes.get_mut(at + 76..at + 100) {
            let sum = adler32(&t[..20]);
            t[20..24].copy_from_slice(&sum.to_le_bytes());
        }
        if next <= at || next > bytes.len() {
            return;
        }
        at = next;
    }
}
