use super::common::{Scratch, host_file, qemu_img, qemu_io};
use h2k_block::Limits;
use h2k_image::{Check, qcow2};
use h2k_testkit::oracle;
use std::path::Path;

/// What qemu-img says, as far as both say it.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    corruptions: u64,
    leaks: u64,
    end: u64,
    total: u64,
    allocated: u64,
    compressed: u64,
}

fn by_qemu(path: &Path) -> Said {
    let out = oracle::run(
        "qemu-img",
        &["check", "--output=json", "-f", "qcow2", path.to_str().unwrap()],
    );
    let text = String::from_utf8(out.stdout).unwrap();
    let number = |key: &str| -> u64 {
        let Some(at) = text.find(&format!("\"{key}\": ")) else {
            return 0;
        };
        let digits: String = text[at + key.len() + 4..]
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        digits.parse().unwrap()
    };
    assert!(
        text.contains("image-end-offset"),
        "{text}{}",
        String::from_utf8_lossy(&out.stderr)
    );
    assert_eq!(number("check-errors"), 0, "{text}");
    Said {
        corruptions: number("corruptions"),
        leaks: number("leaks"),
        end: number("image-end-offset"),
        total: number("total-clusters"),
        allocated: number("allocated-clusters"),
        compressed: number("compressed-clusters"),
    }
}

fn by_us(path: &Path) -> (Said, Check) {
    let check = qcow2::check(host_file(path), &Limits::default()).unwrap();
    let said = Said {
        corruptions: check.errors,
        leaks: check.leaks,
        end: check.image_end.unwrap(),
        total: check.total.unwrap(),
        allocated: check.allocated.unwrap(),
        compressed: check.compressed.unwrap(),
    };
    (said, check)
}

pub fn agrees(path: &Path) -> Check {
    let (ours, check) = by_us(path);
    assert_eq!(ours, by_qemu(path), "{:#?}", check.findings);
    check
}

/// An image of everything an option allows.
fn make(scratch: &Scratch, options: &str, convert: &str) -> std::path::PathBuf {
    let raw = scratch.raw("source.raw", 5, 700 * 1024, 20_000);
    let path = scratch.path("a.qcow2");
    qemu_img(
        &format!("convert {convert} -f raw -O qcow2 -o {options} {{}} {{}}"),
        &[&raw, &path],
    );
    if !options.contains("refcount_bits=1,") {
        qemu_img("snapshot -c one {}", &[&path]);
        qemu_io(&path, "qcow2", &["write -P 5 100K 64K".to_owned()]);
    }
    qemu_io(&path, "qcow2", &["write -z 300K 64K".to_owned()]);
    if !options.contains("compat=0.10") {
        qemu_img("bitmap --add --enable {} b", &[&path]);
        qemu_io(&path, "qcow2", &["write -P 7 200K 64K".to_owned()]);
    }
    path
}

#[test]
fn sound_images_are_as_sound_as_qemu_img_says() {
    for (options, convert) in [
        ("cluster_size=65536", ""),
        ("cluster_size=65536", "-c"),
        ("cluster_size=512", ""),
        ("cluster_size=512", "-c"),
        ("cluster_size=2M", "-c"),
        ("cluster_size=4096,compat=0.10", "-c"),
        ("cluster_size=4096,refcount_bits=1,compat=1.1", ""),
        ("cluster_size=4096,refcount_bits=2", ""),
        ("cluster_size=4096,refcount_bits=4", ""),
        ("cluster_size=4096,refcount_bits=8", ""),
        ("cluster_size=4096,refcount_bits=32", "-c"),
        ("cluster_size=4096,refcount_bits=64", ""),
        ("cluster_size=16384,extended_l2=on", "-c"),
        ("cluster_size=4096,lazy_refcounts=on", ""),
        ("cluster_size=65536,preallocation=metadata", ""),
    ] {
        let scratch = Scratch::new();
        let path = make(&scratch, options, convert);
        let check = agrees(&path);
        assert!(check.is_clean(), "{options}: {:#?}", check.findings);
    }
}

#[test]
fn encrypted_images_and_data_files_are_checked_too() {
    let scratch = Scratch::new();
    let path = scratch.path("luks.qcow2");
    oracle::qemu_luks(&path, "1M");
    let check = qcow2::check(host_file(&path), &Limits::default()).unwrap();
    assert!(check.is_clean(), "{:#?}", check.findings);
    let data = scratch.path("d.raw");
    let path = scratch.path("d.qcow2");
    qemu_img(
        &format!(
            "create -f qcow2 -o cluster_size=4096,data_file={} {{}} 1M",
            data.to_str().unwrap()
        ),
        &[&path],
    );
    qemu_io(&path, "qcow2", &["write -P 5 100K 64K".to_owned()]);
    assert!(agrees(&path).is_clean());
}

/// An image and the places of its structures, to be damaged.
pub struct Victim {
    pub bytes: Vec<u8>,
    pub cluster: usize,
    pub l1: usize,
    pub l2: usize,
    pub refcount_table: usize,
    pub refcount_block: usize,
}

impl Victim {
    pub fn new(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let mut victim = Self {
            cluster: 1 << u32::from_be_bytes(bytes[20..24].try_into().unwrap()),
            bytes,
            l1: 0,
            l2: 0,
            refcount_table: 0,
            refcount_block: 0,
        };
        victim.l1 = victim.word(40) as usize;
        victim.refcount_table = victim.word(48) as usize;
        victim.l2 = (victim.word(victim.l1) & 0x00ff_ffff_ffff_fe00) as usize;
        victim.refcount_block = victim.word(victim.refcount_table) as usize;
        victim
    }

    pub fn word(&self, at: usize) -> u64 {
        u64::from_be_bytes(self.bytes[at..at + 8].try_into().unwrap())
    }

    pub fn set(&mut self, at: usize, word: u64) {
        self.bytes[at..at + 8].copy_from_slice(&word.to_be_bytes());
    }

    /// The 16-bit reference count of a host cluster.
    pub fn set_count(&mut self, cluster: usize, count: u16) {
        let at = self.refcount_block + 2 * cluster;
        self.bytes[at..at + 2].copy_from_slice(&count.to_be_bytes());
    }

    /// Offsets of the first table's entries that point to plain data.
    pub fn data_entries(&self) -> Vec<usize> {
        (self.l2..self.l2 + self.cluster)
            .step_by(8)
            .filter(|at| self.word(*at) >> 62 == 2 && self.word(*at) & 1 == 0)
            .collect()
    }

    /// Offsets of the first table's entries that are empty.
    pub fn holes(&self) -> Vec<usize> {
        (self.l2..self.l2 + self.cluster)
            .step_by(8)
            .filter(|at| self.word(*at) == 0)
            .collect()
    }

    pub fn host(&self, entry: usize) -> usize {
        (self.word(entry) & 0x00ff_ffff_ffff_fe00) as usize / self.cluster
    }
}

pub type Damage = (&'static str, fn(&mut Victim));

pub const DAMAGES: [Damage; 16] = [
    ("a leak", |v| {
        let last = v.bytes.len() / v.cluster;
        v.bytes.resize((last + 1) * v.cluster, 0);
        v.set_count(last, 1);
    }),
    ("many leaks", |v| {
        for entry in v.data_entries() {
            v.set(entry, 0);
        }
    }),
    ("a count too low", |v| {
        let cluster = v.host(v.data_entries()[3]);
        v.set_count(cluster, 0);
    }),
    ("a count too high", |v| {
        let cluster = v.host(v.data_entries()[3]);
        v.set_count(cluster, 2);
    }),
    ("one cluster used twice", |v| {
        let entries = v.data_entries();
        v.set(entries[1], v.word(entries[2]));
    }),
    ("a flag missing in an L2 entry", |v| {
        let entry = v.data_entries()[0];
        v.set(entry, v.word(entry) & !(1 << 63));
    }),
    ("a flag missing in the L1 table", |v| {
        v.set(v.l1, v.word(v.l1) & !(1 << 63))
    }),
    ("data that is not aligned", |v| {
        let entry = v.data_entries()[5];
        v.set(entry, v.word(entry) + 512);
    }),
    ("data past the end of the file", |v| {
        let entry = v.data_entries()[4];
        v.set(entry, (1 << 63) | (1 << 40));
    }),
    ("an L2 table past the end of the file", |v| {
        v.set(v.l1, (1 << 63) | (1 << 40))
    }),
    ("data in the header", |v| {
        let entry = v.holes()[0];
        v.set(entry, (1 << 63) | v.l1 as u64);
    }),
    ("data in an L2 table", |v| {
        let entry = v.holes()[0];
        v.set(entry, (1 << 63) | v.l2 as u64);
    }),
    ("a refcount block that is not there", |v| {
        v.set(v.refcount_table, 0)
    }),
    ("reserved bits in the L1 table", |v| {
        v.set(v.l1, v.word(v.l1) | 1 << 58)
    }),
    ("an L1 table used as data and a leak", |v| {
        let entries = v.data_entries();
        v.set(entries[0], (1 << 63) | v.l1 as u64);
    }),
    ("reserved bits in an L2 entry", |v| {
        let entry = v.data_entries()[2];
        v.set(entry, v.word(entry) | 1 << 57);
    }),
];

/// Damage that hides whole structures: QEMU walks on through what is left and counts chance finds, or gives up.
pub const WORSE: [Damage; 3] = [
    ("an L2 table that is not aligned", |v| {
        v.set(v.l1, v.word(v.l1) + 512)
    }),
    ("a refcount block that is not aligned", |v| {
        v.set(v.refcount_table, v.word(v.refcount_table) + 512);
    }),
    ("a refcount block past the end of the file", |v| {
        v.set(v.refcount_table, 1 << 40)
    }),
];

#[test]
fn damaged_images_are_as_damaged_as_qemu_img_says() {
    for options in [
        "cluster_size=4096",
        "cluster_size=65536",
        "cluster_size=2048,compat=0.10",
    ] {
        for (i, (name, damage)) in DAMAGES.iter().chain(&WORSE).enumerate() {
            let scratch = Scratch::new();
            let path = damaged(&scratch, options, *damage);
            let (ours, check) = by_us(&path);
            assert!(!check.is_clean(), "{options} {name}");
            if i < DAMAGES.len() {
                assert_eq!(ours, by_qemu(&path), "{options} {name}: {:#?}", check.findings);
            }
        }
    }
}

/// A fresh image with `damage` in it.
pub fn damaged(scratch: &Scratch, options: &str, damage: fn(&mut Victim)) -> std::path::PathBuf {
    let raw = scratch.raw("source.raw", 5, 700 * 1024, 20_000);
    let path = scratch.path("a.qcow2");
    qemu_img(
        &format!("convert -f raw -O qcow2 -o {options} {{}} {{}}"),
        &[&raw, &path],
    );
    let mut victim = Victim::new(&path);
    damage(&mut victim);
    std::fs::write(&path, &victim.bytes).unwrap();
    path
}
