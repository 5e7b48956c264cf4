#![allow(clippy::arithmetic_side_effects)]

use super::{Coding, Decoder, Encoder};
use h2k_block::Class;

fn codings() -> Vec<Coding> {
    let mut all = vec![Coding::Deflate, Coding::Zlib];
    if cfg!(feature = "fast") {
        all.push(Coding::Zstd);
    }
    all
}

/// Text-like bytes: compressible, not trivial.
fn prose(len: usize) -> Vec<u8> {
    let mut word = 0x1234_5678_9abc_def0_u64;
    let mut out = Vec::new();
    while out.len() < len {
        word = word
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let pick = usize::try_from(word >> 60).unwrap();
        let words = [
            "grain ", "cluster ", "extent\n", "0x7f", "disk ", "of ", "the ", "a ",
        ];
        out.extend_from_slice(words[pick % words.len()].as_bytes());
        out.push(word.to_be_bytes()[1] & 0x1f);
    }
    out.truncate(len);
    out
}

fn noise(len: usize) -> Vec<u8> {
    let mut word = 88_172_645_463_325_252_u64;
    let mut out = Vec::new();
    while out.len() < len {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        out.extend_from_slice(&word.to_le_bytes());
    }
    out.truncate(len);
    out
}

#[test]
fn what_is_encoded_decodes_to_itself_and_bytes_after_it_do_not_matter() {
    for coding in codings() {
        for len in [2_048, 65_536, 2 << 20] {
            let encoder = Encoder::new(coding, 3).unwrap();
            let plain = prose(len);
            let mut coded = vec![7, 7, 7];
            let n = encoder.encode(&plain, &mut coded).unwrap();
            assert_eq!(coded.len(), n + 3);
            assert!(n < len);
            coded.extend_from_slice(&noise(700));
            let mut back = vec![0xaa; len];
            let decoder = Decoder::default();
            assert_eq!(decoder.decode(coding, &coded[3..], &mut back), Ok(len));
            assert!(back == plain, "{coding:?} {len}");
        }
    }
}

#[test]
fn noise_is_left_alone() {
    for coding in codings() {
        for len in [1, 512, 65_536] {
            let mut coded = vec![1, 2];
            let encoder = Encoder::new(coding, 1).unwrap();
            assert_eq!(encoder.encode(&noise(len), &mut coded), None);
            assert_eq!(coded, [1, 2]);
        }
        assert_eq!(
            Encoder::new(coding, 1).unwrap().encode(&[], &mut Vec::new()),
            None
        );
    }
}

#[test]
fn the_same_bytes_encode_the_same_whatever_came_before() {
    for coding in codings() {
        let encoder = Encoder::new(coding, 2).unwrap();
        let (mut first, mut again) = (Vec::new(), Vec::new());
        encoder.encode(&prose(65_536), &mut first).unwrap();
        encoder.encode(&noise(4_096), &mut again);
        encoder.encode(&prose(1 << 20), &mut Vec::new());
        encoder.encode(&prose(65_536), &mut again).unwrap();
        assert!(first == again, "{coding:?}");
    }
}

#[test]
fn deflate_never_looks_back_further_than_4_kib() {
    // A block that returns after 5 KiB could only be had from a larger window.
    let mut plain = noise(5_120);
    plain.extend_from_slice(&noise(5_120));
    plain.extend_from_slice(&prose(30_000));
    for level in Encoder::levels(Coding::Deflate) {
        let mut coded = Vec::new();
        let n = Encoder::new(Coding::Deflate, level)
            .unwrap()
            .encode(&plain, &mut coded);
        assert!(n.unwrap() > 10_240, "level {level}");
        // A decoder that keeps 4 KiB and sees the output in small pieces reads it all.
        let mut small = flate2::Decompress::new_with_window_bits(false, 12);
        let mut back = Vec::new();
        let mut piece = [0; 100];
        while back.len() < plain.len() {
            let (used, made) = (small.total_in(), small.total_out());
            let src = &coded[usize::try_from(used).unwrap()..];
            small
                .decompress(src, &mut piece, flate2::FlushDecompress::None)
                .unwrap();
            let got = usize::try_from(small.total_out() - made).unwrap();
            assert!(got > 0);
            back.extend_from_slice(&piece[..got]);
        }
        assert!(back == plain, "level {level}");
    }
}

/// Pieces of noise, of one byte, of a short period, of text and of what was there before, near and far.
fn patchwork(seed: u64, len: usize) -> Vec<u8> {
    let mut word = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = move |below: usize| {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        usize::try_from(word >> 11).unwrap() % below
    };
    let mut out: Vec<u8> = Vec::new();
    while out.len() < len {
        let most = 2 << next(13);
        let n = 1 + next(most);
        match next(5) {
            0 => out.extend((0..n).map(|_| u8::try_from(next(256)).unwrap())),
            1 => out.resize(out.len() + n, u8::try_from(next(256)).unwrap()),
            2 => {
                let period = 2 + next(9);
                out.extend((0..n).map(|i| u8::try_from(i % period).unwrap()));
            }
            3 => out.extend(prose(n)),
            _ => {
                let back = 1 + next(6000);
                let from = out.len().saturating_sub(back);
                for i in from..from + n {
                    out.push(out.get(i).copied().unwrap_or(0));
                }
            }
        }
    }
    out.truncate(len);
    out
}

#[test]
fn whatever_level_1_deflates_three_decoders_read() {
    let encoder = Encoder::new(Coding::Deflate, 1).unwrap();
    let decoder = Decoder::default();
    let mut smaller = 0;
    for seed in 0..1500 {
        let len = match seed % 6 {
            0 => 1 + usize::try_from(seed).unwrap() % 40,
            1 => 512,
            2 => 4096,
            3 => 65_536,
            4 => 65_537,
            _ => 150_000,
        };
        let plain = patchwork(seed, len);
        let mut coded = Vec::new();
        let Some(n) = encoder.encode(&plain, &mut coded) else {
            continue;
        };
        assert!(n < len && n == coded.len());
        smaller += 1;
        let mut back = vec![0; len];
        assert_eq!(
            decoder.decode(Coding::Deflate, &coded, &mut back),
            Ok(len),
            "seed {seed}"
        );
        assert!(back == plain, "seed {seed}");
        // zlib with all its window and in one go, and with 4 KiB of it and piece by piece.
        for (bits, room) in [(15, len), (12, 1000)] {
            let mut stream = flate2::Decompress::new_with_window_bits(false, bits);
            let mut back = Vec::new();
            let mut piece = vec![0; room];
            while back.len() < len {
                let (used, made) = (stream.total_in(), stream.total_out());
                let src = &coded[usize::try_from(used).unwrap()..];
                stream
                    .decompress(src, &mut piece, flate2::FlushDecompress::None)
                    .unwrap();
                let got = usize::try_from(stream.total_out() - made).unwrap();
                assert!(got > 0, "seed {seed}");
                back.extend_from_slice(&piece[..got]);
            }
            assert!(back == plain, "seed {seed}, window {bits}");
        }
    }
    assert!(smaller > 1000, "{smaller}");
}

#[test]
fn our_own_deflate_is_read_by_two_other_decoders_whatever_the_bytes() {
    let encoder = Encoder::new(Coding::Deflate, 1).unwrap();
    let decoder = Decoder::default();
    let mut kinds: Vec<Vec<u8>> = Vec::new();
    for len in [
        3,
        9,
        60,
        511,
        512,
        4_095,
        4_096,
        65_535,
        65_536,
        65_537,
        200_000,
        2 << 20,
    ] {
        // One byte, short periods, periods around the window's end, prose, prose within noise.
        kinds.push(vec![0; len]);
        for period in [2, 3, 7, 255, 259, 3_833, 3_834, 3_835, 4_096] {
            let one = noise(period);
            kinds.push(one.iter().copied().cycle().take(len).collect());
        }
        kinds.push(prose(len));
        let mut mixed = prose(len);
        for (i, piece) in mixed.chunks_mut(5_000).enumerate() {
            if i % 2 == 1 {
                let n = piece.len();
                piece.copy_from_slice(&noise(n));
            }
        }
        kinds.push(mixed);
        // Few values, none of them often: no matches, short codes.
        kinds.push(noise(len).iter().map(|b| b & 7).collect());
    }
    let mut encoded = 0;
    for plain in kinds {
        let mut coded = Vec::new();
        let Some(n) = encoder.encode(&plain, &mut coded) else {
            continue;
        };
        encoded += 1;
        assert!(n < plain.len());
        let mut back = vec![0xaa; plain.len()];
        assert_eq!(
            decoder.decode(Coding::Deflate, &coded, &mut back),
            Ok(plain.len())
        );
        assert!(back == plain, "{} bytes", plain.len());
        // zlib-rs with a window of 4 KiB, in one go: it checks every code and every distance.
        let mut strict = flate2::Decompress::new_with_window_bits(false, 12);
        let mut back = vec![0xaa; plain.len()];
        let status = strict.decompress(&coded, &mut back, flate2::FlushDecompress::Finish);
        assert_eq!(status.unwrap(), flate2::Status::StreamEnd);
        assert_eq!(strict.total_in(), u64::try_from(n).unwrap());
        assert!(back == plain, "{} bytes", plain.len());
    }
    assert!(encoded > 100, "{encoded}");
}

#[test]
fn a_short_stream_gives_what_it_has_and_damage_gives_no_more_than_asked() {
    let decoder = Decoder::default();
    for coding in codings() {
        let plain = prose(65_536);
        let mut coded = Vec::new();
        Encoder::new(coding, 3)
            .unwrap()
            .encode(&plain, &mut coded)
            .unwrap();
        let mut back = vec![0; 65_536];
        // Cut short: an error or fewer bytes, never a full cluster.
        let cut = decoder.decode(coding, &coded[..coded.len() / 2], &mut back);
        assert!(cut.is_err() || cut.is_ok_and(|n| n < 65_536), "{coding:?}");
        for i in 0..coded.len().min(400) {
            let mut bad = coded.clone();
            bad[i] ^= 0x55;
            let got = decoder.decode(coding, &bad, &mut back);
            assert!(got.is_err() || got.is_ok_and(|n| n <= 65_536));
        }
        assert_eq!(decoder.decode(coding, &coded, &mut back), Ok(65_536));
        assert!(back == plain);
    }
    // Deflate decoding stops when the cluster is full, whatever the stream has left.
    let mut coded = Vec::new();
    Encoder::new(Coding::Deflate, 3)
        .unwrap()
        .encode(&prose(65_536), &mut coded)
        .unwrap();
    let mut head = vec![0; 4_096];
    assert_eq!(decoder.decode(Coding::Deflate, &coded, &mut head), Ok(4_096));
    assert_eq!(head, prose(65_536)[..4_096]);
}

#[test]
fn levels_that_do_not_exist_are_refused() {
    let class = |coding, level| Encoder::new(coding, level).err().map(|e| e.class());
    assert_eq!(class(Coding::Deflate, 0), Some(Class::Invalid));
    assert_eq!(class(Coding::Zlib, 10), Some(Class::Invalid));
    assert_eq!(class(Coding::Zstd, 23), Some(Class::Invalid));
    let without = (!cfg!(feature = "fast")).then_some(Class::Unsupported);
    assert_eq!(class(Coding::Zstd, 3), without);
}

/// Time this thread has had a processor: what others do on the machine does not count.
#[allow(clippy::disallowed_methods)]
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let ns: u64 = stat.split(' ').next().unwrap().parse().unwrap();
    std::time::Duration::from_nanos(ns).as_secs_f64()
}

/// Prints the table in `docs/formats/qcow2.md`:
/// `H2K_SAMPLE=FILE cargo test --release -p h2k-image --lib speed -- --ignored --nocapture`
#[test]
#[ignore = "prints speeds: cargo test --release -p h2k-image --lib speed -- --ignored --nocapture"]
#[allow(clippy::disallowed_methods)]
fn speed_of_each_level() {
    let sample =
        std::env::var_os("H2K_SAMPLE").map_or_else(|| prose(64 << 20), |p| std::fs::read(p).unwrap());
    for coding in codings() {
        for level in 1..=6 {
            let encoder = Encoder::new(coding, level).unwrap();
            let mut total = 0_usize;
            let mut coded = Vec::new();
            let start = cpu_seconds();
            for cluster in sample.chunks(65_536) {
                coded.clear();
                total += encoder.encode(cluster, &mut coded).unwrap_or(cluster.len());
            }
            let mib = f64::from(u32::try_from(sample.len() >> 20).unwrap());
            println!(
                "{coding:?} level {level}: {:.0} MiB/s, {:.1} % of the size",
                mib / (cpu_seconds() - start),
                100.0 * f64::from(u32::try_from(total >> 10).unwrap()) / (mib * 1024.0)
            );
        }
    }
}
