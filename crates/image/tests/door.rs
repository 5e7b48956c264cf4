//! The door hostile images come through: the same function serves the mutation tests and the fuzz targets.
#![allow(dead_code)]

use h2k_block::{Host, HostFile, Kind, Limits, MemHost, NoHost};
use h2k_image::{Format, OpenOptions, open};
use std::sync::Arc;

/// What hostile input may cost here.
pub const LIMITS: Limits = Limits {
    bytes: 64 << 20,
    steps: 2_000_000,
    depth: 8,
};

/// Opens `bytes` as an image of `format`, walks its map and reads at its borders. Whatever happens, it has to end
/// soon, without a panic and in bounded memory; errors are the expected answer.
pub fn knock(bytes: Vec<u8>, format: Format) {
    let host = MemHost::default();
    let file = host.put("image", bytes);
    walk_in(file, &host, format);
}

/// The same with the file "image" of `host`, which may name others there.
pub fn knock_among(host: &MemHost, format: Format) {
    if let Some(file) = host.get("image") {
        walk_in(file, host, format);
    }
}

/// The same for an image in any file, with nothing beside it.
pub fn knock_file(file: Arc<dyn HostFile>, format: Format) {
    walk_in(file, &NoHost, format);
}

fn walk_in(file: Arc<dyn HostFile>, host: &dyn Host, format: Format) {
    let options = OpenOptions {
        format: Some(format),
        limits: LIMITS,
        ..OpenOptions::default()
    };
    let Ok(image) = open(file, host, &options) else {
        return;
    };
    let disk = image.disk;
    let mut buf = vec![0; 4096];
    let mut at = 0;
    for _ in 0..256 {
        if at >= disk.len() {
            break;
        }
        let Ok(extent) = disk.extent_at(at, disk.len()) else {
            break;
        };
        if extent.kind == Kind::Data {
            let n = extent.len.min(4096) as usize;
            let _ = disk.read_at(extent.start, &mut buf[..n]);
            let _ = disk.read_at(extent.end() - n as u64, &mut buf[..n]);
        }
        at = extent.end();
    }
    if disk.len() >= 512 {
        let _ = disk.read_at(disk.len() - 512, &mut buf[..512]);
        let _ = disk.read_at(disk.len() / 2, &mut buf[..512]);
    }
}
