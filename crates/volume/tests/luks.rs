//! LUKS against what dm-crypt read, against headers that cryptsetup makes here, and against damage.

use crate::common::{all, file_disk, mem, problems, scan_all};
use crate::fixture;
use h2k_block::{BlockWrite, Class, Limits, MemDisk, Overlay};
use h2k_testkit::hash::disk_sha256;
use h2k_testkit::oracle;
use h2k_testkit::rng::Rng;
use h2k_volume::{Disk, Kind, Luks, Secret, UNLOCK_LIMITS, Volumes, scan};
use std::path::Path;
use std::sync::Arc;

pub fn pass() -> Secret {
    Secret::new(b"correct horse".to_vec())
}

fn about(volumes: &Volumes, device: &str) -> Luks {
    volumes.find(device).unwrap().encryption.clone().unwrap()
}

#[test]
fn devices_that_dm_crypt_wrote_read_as_dm_crypt_read_them() {
    let case = fixture::load("luks");
    let mut volumes = scan_all(case.without(&[]));
    assert_eq!(volumes.list.len(), 5, "nothing inside is seen without a key");
    for device in ["/dev/sda", "/dev/sdb", "/dev/sdc", "/dev/sdd"] {
        let name = volumes.unlock(device, &pass(), &UNLOCK_LIMITS).unwrap();
        assert!(name.starts_with("/dev/mapper/luks-"), "{name}");
        assert!(
            volumes
                .find(&name)
                .unwrap()
                .is_named(&format!("/dev/mapper/crypt{}", &device[5..]))
        );
    }
    let wrong = volumes.unlock("/dev/sde", &pass(), &UNLOCK_LIMITS).unwrap_err();
    assert_eq!(wrong.class(), Class::Invalid);
    assert!(wrong.to_string().contains("none of the 1 key slot"), "{wrong}");
    let file = Secret::new(b"\x01\x02\x00binary\nkey".to_vec());
    volumes.unlock("/dev/sde", &file, &UNLOCK_LIMITS).unwrap();
    for (device, len, digest) in &case.volumes {
        let volume = volumes.find(device).unwrap();
        assert_eq!(volume.disk.len(), *len, "{device}");
        assert_eq!(disk_sha256(volume.disk.as_ref()).unwrap(), *digest, "{device}");
    }
    // The group inside the last one appeared with it.
    let lv = volumes.find("/dev/vgc/lv").unwrap();
    let pv = &volumes.list[lv.below[0]];
    assert!(matches!(pv.kind, Kind::Crypt(_)));
    assert_eq!(volumes.list[pv.below[0]].device, "/dev/sde");
    assert!(!volumes.find("/dev/sde").unwrap().may_hold_files());
}

#[test]
fn headers_are_described_without_a_key() {
    let case = fixture::load("luks");
    let volumes = scan_all(case.without(&[]));
    let a = about(&volumes, "/dev/sda");
    assert_eq!(
        (a.version, a.cipher.as_str(), a.key_bits),
        (1, "aes-cbc-essiv:sha256", 128)
    );
    assert_eq!(a.slots[0].kdf, "pbkdf2-sha1, 1000 iterations");
    let b = about(&volumes, "/dev/sdb");
    assert_eq!(
        (b.version, b.cipher.as_str(), b.key_bits),
        (2, "aes-xts-plain64", 512)
    );
    assert_eq!(
        (b.label.as_str(), b.subsystem.as_str(), b.data_start),
        ("a label", "sub", 1 << 20)
    );
    assert_eq!(b.slots[0].kdf, "argon2id, time 4, memory 1024 KiB, 1 lanes");
    assert_eq!(about(&volumes, "/dev/sdc").sector_size, 4096);
    assert_eq!(about(&volumes, "/dev/sdd").sector_size, 2048);
    for (i, device) in ["/dev/sda", "/dev/sdb"].iter().enumerate() {
        let identity = volumes.list[i].identity.clone().unwrap();
        assert_eq!(identity.uuid.unwrap(), about(&volumes, device).uuid);
    }
}

#[test]
fn reads_across_every_border_agree_with_the_whole() {
    let case = fixture::load("luks");
    let mut volumes = scan_all(case.without(&[]));
    let mut rng = Rng::new(11);
    for device in ["/dev/sda", "/dev/sdb", "/dev/sdc", "/dev/sdd"] {
        let name = volumes.unlock(device, &pass(), &UNLOCK_LIMITS).unwrap();
        let disk = Arc::clone(&volumes.find(&name).unwrap().disk);
        let whole = all(disk.as_ref());
        let check = |from: usize, to: usize| {
            let mut buf = vec![0; to - from];
            disk.read_at(from as u64, &mut buf).unwrap();
            assert!(buf == whole[from..to], "{device} {from}..{to}");
        };
        for border in (512..whole.len()).step_by(512) {
            check(border - 1, border + 1);
            check(border - 1, border);
            check(border, border + 1);
        }
        for _ in 0..500 {
            let from = rng.below(whole.len() as u64) as usize;
            check(from, from + rng.below((whole.len() - from) as u64 + 1) as usize);
        }
    }
}

#[test]
fn what_is_written_through_an_overlay_reads_back_and_changes_nothing_else() {
    let case = fixture::load("luks");
    let mut rng = Rng::new(12);
    for (name, disk) in case.disks.iter().take(4) {
        let overlay = Arc::new(Overlay::new(Arc::clone(disk)));
        let mut volumes = scan(&[Disk::new(0, Arc::clone(disk))], &Limits::default()).unwrap();
        let device = volumes.unlock("/dev/sda", &pass(), &UNLOCK_LIMITS).unwrap();
        let mut model = all(volumes.find(&device).unwrap().disk.as_ref());
        let place = volumes.list.iter().position(|v| v.device == device).unwrap();
        let writable = volumes
            .over(&[Arc::clone(&overlay) as Arc<dyn BlockWrite>])
            .unwrap();
        for _ in 0..50 {
            let from = rng.below(model.len() as u64 - 9000) as usize;
            let mut bytes = vec![0; rng.below(9000) as usize];
            rng.fill(&mut bytes);
            writable[place].write_at(from as u64, &bytes).unwrap();
            model[from..from + bytes.len()].copy_from_slice(&bytes);
        }
        assert!(all(writable[place].as_ref()) == model, "{name}");
        // And the overlay, opened from the start, says the same.
        let mut again = scan(&[Disk::new(0, overlay)], &Limits::default()).unwrap();
        let device = again.unlock("/dev/sda", &pass(), &UNLOCK_LIMITS).unwrap();
        assert!(all(again.find(&device).unwrap().disk.as_ref()) == model, "{name}");
    }
}

/// A file that cryptsetup formats with `args`.
fn made(dir: &Path, len: u64, args: &str) -> std::path::PathBuf {
    let path = dir.join("luks");
    let key = dir.join("key");
    std::fs::write(&key, "correct horse").unwrap();
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(len).unwrap();
    let command = format!(
        "cryptsetup luksFormat -q {args} {} {}",
        path.display(),
        key.display()
    );
    oracle::ok("sh", &["-c", &command]);
    path
}

fn one(path: &Path) -> Volumes {
    scan(&[Disk::new(0, file_disk(path))], &Limits::default()).unwrap()
}

#[test]
fn headers_that_cryptsetup_makes_open() {
    let fast = "--pbkdf pbkdf2 --pbkdf-force-iterations 1000";
    let cases = [
        ("--type luks1 --pbkdf-force-iterations 1000", 512),
        (
            "--type luks1 -c aes-xts-plain64 -s 256 -h sha512 --pbkdf-force-iterations 1001",
            256,
        ),
        (
            "--type luks1 -c aes-cbc-plain -s 192 -h sha224 --pbkdf-force-iterations 1000",
            192,
        ),
        (
            "--type luks1 -c aes-cbc-essiv:sha256 -s 256 -h sha384 --pbkdf-force-iterations 1000",
            256,
        ),
        (&format!("--type luks2 {fast}"), 512),
        (
            &format!("--type luks2 {fast} --hash sha1 --sector-size 1024 -s 256"),
            256,
        ),
        (
            &format!("--type luks2 {fast} --luks2-metadata-size 64k -c aes-cbc-plain64 -s 256 --key-slot 5"),
            256,
        ),
        (
            "--type luks2 --pbkdf argon2id --pbkdf-memory 4096 --pbkdf-parallel 4 --pbkdf-force-iterations 4",
            512,
        ),
        (
            "--type luks2 --pbkdf argon2i --pbkdf-memory 2048 --pbkdf-parallel 1 --pbkdf-force-iterations 5",
            512,
        ),
    ];
    for (args, bits) in cases {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let path = made(dir.path(), 20 << 20, args);
        let mut volumes = one(&path);
        let luks = about(&volumes, "/dev/sda");
        let uuid = oracle::ok("cryptsetup", &["luksUUID", path.to_str().unwrap()]);
        assert_eq!(luks.uuid, uuid.trim(), "{args}");
        assert_eq!(luks.key_bits, bits, "{args}");
        let name = volumes.unlock("/dev/sda", &pass(), &UNLOCK_LIMITS).unwrap();
        let room = file_disk(&path).len() - luks.data_start;
        assert_eq!(volumes.find(&name).unwrap().disk.len(), room, "{args}");
        let mut volumes = one(&path);
        let e = volumes
            .unlock("/dev/sda", &Secret::new(b"wrong horse".to_vec()), &UNLOCK_LIMITS)
            .unwrap_err();
        assert_eq!(e.class(), Class::Invalid, "{args}: {e}");
    }
}

#[test]
fn every_key_slot_is_tried_and_the_second_header_used() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let path = made(
        dir.path(),
        20 << 20,
        "--type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000",
    );
    let (file, key, other) = (
        path.to_str().unwrap(),
        dir.path().join("key"),
        dir.path().join("other"),
    );
    std::fs::write(&other, b"second \x00 key").unwrap();
    oracle::ok(
        "sh",
        &[
            "-c",
            &format!(
                "cryptsetup luksAddKey -q --key-file {} --pbkdf pbkdf2 --pbkdf-force-iterations 1000 {file} {}",
                key.display(),
                other.display()
            ),
        ],
    );
    let second = || Secret::new(b"second \x00 key".to_vec());
    let mut volumes = one(&path);
    assert_eq!(about(&volumes, "/dev/sda").slots.len(), 2);
    volumes.unlock("/dev/sda", &second(), &UNLOCK_LIMITS).unwrap();
    // The first header, its JSON, or the whole of it damaged.
    for range in [8..9, 5000..5001, 0..16384] {
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[range.clone()].iter_mut().for_each(|b| *b ^= 0x55);
        // Its magic has to stay, or nobody would look further.
        bytes[..8].copy_from_slice(b"LUKS\xba\xbe\x00\x02");
        let mut volumes = scan_all(vec![mem(bytes)]);
        volumes.unlock("/dev/sda", &second(), &UNLOCK_LIMITS).unwrap();
    }
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[5000] ^= 1;
    bytes[16384 + 5000] ^= 1;
    let volumes = scan_all(vec![mem(bytes)]);
    assert!(
        problems(&volumes)[0].contains("checksum does not match"),
        "{:?}",
        problems(&volumes)
    );
}

#[test]
fn costs_above_the_limits_are_refused_with_advice() {
    let case = fixture::load("luks");
    let mut volumes = scan_all(case.without(&[]));
    let little = Limits {
        bytes: 600 << 10,
        ..UNLOCK_LIMITS
    };
    let e = volumes.unlock("/dev/sdb", &pass(), &little).unwrap_err();
    assert_eq!(e.class(), Class::Limit, "{e}");
    assert!(e.advice().unwrap().contains("allow more memory"), "{e}");
    let brief = Limits {
        steps: 500,
        ..UNLOCK_LIMITS
    };
    assert_eq!(
        volumes.unlock("/dev/sda", &pass(), &brief).unwrap_err().class(),
        Class::Limit
    );
}

/// Changes the JSON of the first header of a LUKS2 device and makes its checksum hold; the second header goes.
pub fn with_json(disk: &[u8], change: &dyn Fn(String) -> String) -> Vec<u8> {
    let mut bytes = disk.to_vec();
    let json = bytes[4096..16384].split(|b| *b == 0).next().unwrap().to_vec();
    let mut json = change(String::from_utf8(json).unwrap()).into_bytes();
    json.resize(16384 - 4096, 0);
    bytes[4096..16384].copy_from_slice(&json);
    bytes[16384..32768].fill(0);
    seal(&mut bytes);
    bytes
}

/// The checksum of the first header, by sha256sum's sibling in the test kit.
pub fn seal(bytes: &mut [u8]) {
    bytes[448..512].fill(0);
    let digest = h2k_testkit::hash::sha256(&bytes[..16384]);
    for (i, pair) in digest.as_bytes().chunks(2).enumerate() {
        bytes[448 + i] = u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    }
}

#[test]
fn what_is_not_opened_is_refused_by_name() {
    let case = fixture::load("luks");
    let disk = all(case.disks[1].1.as_ref());
    let cases: [(&str, &str, &str); 7] = [
        (
            "\"keyslots_size\":\"262144\"",
            "\"keyslots_size\":\"262144\",\"requirements\":[\"online-reencrypt-v2\"]",
            "being encrypted anew (online-reencrypt-v2)",
        ),
        (
            "\"keyslots_size\":\"262144\"",
            "\"keyslots_size\":\"262144\",\"requirements\":[\"opal\"]",
            "requires \"opal\"",
        ),
        (
            "\"iv_tweak\":\"0\"",
            "\"iv_tweak\":\"0\",\"integrity\":{\"type\":\"hmac(sha256)\"}",
            "integrity",
        ),
        ("\"type\":\"crypt\"", "\"type\":\"linear\"", "\"linear\""),
        ("\"offset\":\"1048576\"", "\"offset\":\"0\"", "detached"),
        ("\"offset\":\"1048576\"", "\"offset\":\"99999744\"", "detached"),
        (
            "\"keyslots\":{",
            "\"keyslots\":{\"1\":{\"type\":\"reencrypt\",\"mode\":\"decrypt\"},",
            "being encrypted anew (decrypt)",
        ),
    ];
    for (from, to, word) in cases {
        let changed = with_json(&disk, &|json| {
            assert!(json.contains(from), "{from} in {json}");
            json.replacen(from, to, 1)
        });
        let mut volumes = scan_all(vec![mem(changed)]);
        let e = volumes.unlock("/dev/sda", &pass(), &UNLOCK_LIMITS).unwrap_err();
        assert_eq!(e.class(), Class::Unsupported, "{e}");
        assert!(e.to_string().contains(word), "{e}");
        assert!(problems(&volumes)[0].contains(word), "{:?}", problems(&volumes));
    }
    let serpent = with_json(&disk, &|json| {
        json.replace(
            "\"encryption\":\"aes-xts-plain64\",\"sector_size\"",
            "\"encryption\":\"serpent-xts-plain64\",\"sector_size\"",
        )
    });
    let mut volumes = scan_all(vec![mem(serpent)]);
    let e = volumes.unlock("/dev/sda", &pass(), &UNLOCK_LIMITS).unwrap_err();
    assert!(e.to_string().contains("serpent-xts-plain64"), "{e}");
}

#[test]
fn a_device_that_cryptsetup_is_encrypting_anew_is_refused_by_name() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let fast = "--pbkdf pbkdf2 --pbkdf-force-iterations 1000";
    let path = made(dir.path(), 20 << 20, &format!("--type luks2 {fast}"));
    let key = dir.path().join("key");
    let command = format!(
        "cryptsetup reencrypt --init-only -q {fast} --key-file {} {}",
        key.display(),
        path.display()
    );
    oracle::ok("sh", &["-c", &command]);
    let mut volumes = one(&path);
    let e = volumes.unlock("/dev/sda", &pass(), &UNLOCK_LIMITS).unwrap_err();
    assert_eq!(e.class(), Class::Unsupported);
    assert!(e.to_string().contains("encrypted anew (online-reencrypt"), "{e}");
}

#[test]
fn a_secret_does_not_show_itself() {
    assert_eq!(format!("{:?}", pass()), "Secret(..)");
}

#[test]
fn a_device_that_is_not_luks_is_not_unlocked() {
    let mut volumes = scan_all(vec![Arc::new(MemDisk::new(vec![0; 4096]))]);
    let e = volumes.unlock("/dev/sda", &pass(), &UNLOCK_LIMITS).unwrap_err();
    assert_eq!(e.class(), Class::Invalid);
}
