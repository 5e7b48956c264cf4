//! The decoders of compressed system files against wimlib, which stores resources in the same chunks.

use h2k_testkit::oracle::ok;
use std::path::Path;

/// The one resource of a WIM with one file of `size` bytes: its chunks as they are stored.
fn chunks(wim: &[u8], size: usize, chunk: usize) -> Vec<Vec<u8>> {
    let u64_at = |at: usize| u64::from_le_bytes(wim[at..at + 8].try_into().unwrap());
    // The header's lookup table: offset at 0x38; its first resource is the file.
    let table = u64_at(0x38) as usize;
    let entry = (0..8)
        .map(|i| table + i * 50)
        .find(|e| u64_at(e + 16) as usize == size)
        .unwrap();
    let packed = (u64_at(entry) & 0xff_ffff_ffff_ffff) as usize;
    let at = u64_at(entry + 8) as usize;
    let count = size.div_ceil(chunk);
    let ends: Vec<usize> = (0..count - 1)
        .map(|i| u32::from_le_bytes(wim[at + i * 4..at + i * 4 + 4].try_into().unwrap()) as usize)
        .chain([packed - (count - 1) * 4])
        .collect();
    let data = at + (count - 1) * 4;
    let mut start = 0;
    ends.into_iter()
        .map(|end| {
            let chunk = wim[data + start..data + end].to_vec();
            start = end;
            chunk
        })
        .collect()
}

/// Program text, x86 code, zeros and noise: every kind of block a compressor makes.
fn content() -> Vec<u8> {
    let mut all: Vec<u8> = (0..30_000)
        .flat_map(|n: u32| n.to_string().into_bytes())
        .collect();
    all.extend(
        std::fs::read(std::env::current_exe().unwrap())
            .unwrap()
            .into_iter()
            .take(600_000),
    );
    all.extend([0; 50_000]);
    let mut noise = vec![0; 70_001];
    h2k_testkit::rng::Rng::new(7).fill(&mut noise);
    all.extend(noise);
    all
}

fn capture(dir: &Path, kind: &str, chunk: &str, level: &str) -> Vec<u8> {
    let wim = dir.join(format!("{kind}{chunk}{level}.wim"));
    let args = [
        "capture",
        dir.join("tree").to_str().unwrap(),
        wim.to_str().unwrap(),
        &format!("--compress={kind}:{level}"),
        &format!("--chunk-size={chunk}"),
        "--no-acls",
    ]
    .map(str::to_owned);
    ok("wimlib-imagex", &args);
    std::fs::read(wim).unwrap()
}

#[test]
fn xpress_and_lzx_chunks_of_wimlib_decode() {
    let dir = tempfile::tempdir().unwrap();
    let plain = content();
    std::fs::create_dir(dir.path().join("tree")).unwrap();
    std::fs::write(dir.path().join("tree/file"), &plain).unwrap();
    for level in ["10", "50", "100"] {
        for (kind, size) in [
            ("XPRESS", 4096),
            ("XPRESS", 8192),
            ("XPRESS", 16384),
            ("LZX", 32768),
        ] {
            let wim = capture(dir.path(), kind, &size.to_string(), level);
            let mut coded = 0;
            for (chunk, want) in chunks(&wim, plain.len(), size).iter().zip(plain.chunks(size)) {
                if chunk.len() == want.len() {
                    assert_eq!(chunk, want);
                    continue;
                }
                let mut out = vec![0; want.len()];
                let done = match kind {
                    "LZX" => h2k_ntfs::lzx::decode(chunk, &mut out),
                    _ => h2k_ntfs::xpress::decode(chunk, &mut out),
                };
                assert_eq!(done, Ok(()), "{kind} {size} at level {level}");
                assert!(out == want, "{kind} {size} at level {level}: content differs");
                coded += 1;
            }
            assert!(coded > 20, "{kind} {size}: only {coded} chunks were compressed");
        }
    }
}

#[test]
fn damaged_chunks_end_in_errors() {
    let mut rng = h2k_testkit::rng::Rng::new(11);
    let mut out = vec![0; 32768];
    for _ in 0..30_000 {
        let mut bytes = vec![0; 40 + rng.below(600) as usize];
        rng.fill(&mut bytes);
        // Small code lengths make tables that hold, so that the damage gets further.
        for b in &mut bytes[..rng.below(40) as usize] {
            *b &= 0x77;
        }
        let n = 1 + rng.below(4096) as usize;
        let _ = h2k_ntfs::xpress::decode(&bytes, &mut out[..n]);
        let _ = h2k_ntfs::lzx::decode(&bytes, &mut out[..n]);
        let _ = h2k_ntfs::lznt1::decode(&bytes, &mut out[..n]);
    }
}

/// A file as Windows compresses it: sparse data of the right length, the chunks in a stream, a reparse point.
fn plant(mounted: &Path, name: &str, algorithm: u32, wim: &[u8], plain: &[u8], chunk: usize) {
    let parts = chunks(wim, plain.len(), chunk);
    let mut stream = Vec::new();
    let mut end = 0_u32;
    for part in &parts[..parts.len() - 1] {
        end += u32::try_from(part.len()).unwrap();
        stream.extend_from_slice(&end.to_le_bytes());
    }
    stream.extend(parts.concat());
    let file = mounted.join(name);
    std::fs::File::create(&file)
        .unwrap()
        .set_len(plain.len() as u64)
        .unwrap();
    std::fs::write(mounted.join(format!("{name}:WofCompressedData")), stream).unwrap();
    let mut point = 0x8000_0017_u32.to_le_bytes().to_vec();
    point.extend([16, 0, 0, 0]);
    point.extend([1, 2, 1, algorithm].iter().flat_map(|w| w.to_le_bytes()));
    let hex: String = point.iter().map(|b| format!("{b:02x}")).collect();
    let value = format!("0x{hex}");
    ok(
        "setfattr",
        &[
            "-h",
            "-n",
            "system.ntfs_reparse_data",
            "-v",
            &value,
            file.to_str().unwrap(),
        ],
    );
}

#[test]
fn compressed_system_files_read_as_what_they_were() {
    use h2k_fs::FsRead;
    let dir = tempfile::tempdir().unwrap();
    let plain = content();
    std::fs::create_dir(dir.path().join("tree")).unwrap();
    std::fs::write(dir.path().join("tree/file"), &plain).unwrap();
    let image = dir.path().join("ntfs.img");
    ok("truncate", &["-s", "100M", image.to_str().unwrap()]);
    ok("mkntfs", &["-q", "-F", "-Q", image.to_str().unwrap()]);
    let Some(mounted) = crate::ntfs3g::mount(&image, "streams_interface=windows") else {
        return;
    };
    let kinds = [
        ("x4", 0, "XPRESS", 4096),
        ("lzx", 1, "LZX", 32768),
        ("x8", 2, "XPRESS", 8192),
        ("x16", 3, "XPRESS", 16384),
    ];
    for (name, algorithm, kind, size) in kinds {
        let wim = capture(dir.path(), kind, &size.to_string(), "50");
        plant(mounted.path(), name, algorithm, &wim, &plain, size);
    }
    drop(mounted);
    let fs = crate::ntfs3g::open(&image);
    for (name, _, _, size) in kinds {
        let node = fs.lookup(fs.root(), name.as_bytes()).unwrap().unwrap();
        assert_eq!(fs.stat(node).unwrap().len, plain.len() as u64);
        let mut all = vec![0; plain.len()];
        assert_eq!(fs.read_at(node, 0, &mut all).unwrap(), plain.len());
        assert!(all == plain, "{name}: content differs");
        for border in (0..plain.len()).step_by(size) {
            for start in [border.saturating_sub(1), border, border + 1] {
                let mut buf = vec![0; size + 2];
                let n = fs.read_at(node, start as u64, &mut buf).unwrap();
                assert!(
                    buf[..n] == plain[start..(start + size + 2).min(plain.len())],
                    "{name} {start}"
                );
            }
        }
        let mut streams = 0;
        fs.streams(node, &mut |_| {
            streams += 1;
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(streams, 0, "the stream of chunks is not the user's to see");
    }
}
