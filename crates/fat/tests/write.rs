//! Writing: random operations on a volume and on the model, judged by fsck.vfat, by mtools and by our reader.

use h2k_block::{Limits, Overlay};
use h2k_fat::{Fat, FatWriter, open_writer};
use h2k_fs::{FsRead, FsWrite, Node, Stat};
use h2k_testkit::listing::{self, Options};
use h2k_testkit::mount::mount;
use h2k_testkit::oracle::{ok, run};
use h2k_testkit::rng::Rng;
use h2k_testkit::twins::{NOW, Twins, Ways, judge, same_tree};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The first moment that FAT knows.
const FIRST: i64 = 315_532_800;

pub const WAYS: Ways = Ways {
    options: Options::PLAIN,
    unix: false,
    shrink: 24,
    name,
    details,
};

/// Names of every kind: short ones in upper and lower case, long ones that are alike, signs and letters.
fn name(n: u64, rng: &mut Rng) -> Vec<u8> {
    match rng.below(9) {
        0 => format!("N{n:X}.TXT"),
        1 => format!("n{n:x}.efi"),
        2 => format!("n{n:x}.EFI"),
        3 => format!("N{n:x}Mix.Txt"),
        4 => format!("nämé ☃ {n} Ж"),
        5 => format!(".dot {n} x.y.conf"),
        6 => format!("n{n} with+some,signs=[x];"),
        7 => format!("a name that begins as others do {n}"),
        _ => format!("n{n:x}{}", "-".repeat(rng.below(220) as usize)),
    }
    .into_bytes()
}

/// FAT keeps even seconds and days.
fn details(fs: &dyn FsRead, node: Node, s: &Stat) -> String {
    if node == fs.root() {
        return String::new();
    }
    let (modified, accessed) = (s.modified.seconds.max(FIRST), s.accessed.seconds.max(FIRST));
    format!("{} {}", modified / 2 * 2, accessed / 86_400 * 86_400)
}

/// One volume that is written, and the image its edits are brought to for others to judge.
pub struct Subject {
    pub image: PathBuf,
    pub over: Arc<Overlay>,
    pub fs: FatWriter,
}

impl Subject {
    pub fn open(image: &Path) -> h2k_block::Result<Self> {
        // What is brought onto the image hides in the overlay what it was.
        let over = Arc::new(Overlay::new(crate::mtools::disk(image)));
        let fs = open_writer(over.clone(), &Limits::default(), NOW)?;
        Ok(Self {
            image: image.to_owned(),
            over,
            fs,
        })
    }

    /// Settles, brings the edits onto the image, and asks fsck.vfat; then reads it anew.
    pub fn judge(&mut self, when: &str) -> Fat {
        self.fs.settle().unwrap();
        judge(&self.over, &self.image, ("fsck.vfat", "-n"), when);
        let found = h2k_fat::check(self.over.clone(), &Limits::default()).unwrap();
        let mut told = h2k_testkit::findings::words(&found);
        // Others wrote that, and a writer leaves it there.
        told.retain(|word| !word.ends_with("an entry behind the end of its directory"));
        assert_eq!(told, [""; 0], "{when}");
        let fs = crate::mtools::open(&self.image);
        assert_eq!(fs.facts().warnings, Vec::<String>::new(), "{when}");
        assert_eq!(fs.usage().unwrap(), self.fs.usage().unwrap(), "{when}");
        fs
    }
}

/// An empty volume of so many KiB, as mkfs.fat makes it.
pub fn make(dir: &Path, options: &str, kib: u64) -> PathBuf {
    let image = dir.join("w.img");
    let path = image.to_str().unwrap();
    let script =
        format!("rm -f {path}; truncate -s {kib}K {path}; mkfs.fat {options} -n LABEL -i 12345678 {path}");
    ok("bash", &["-c", &script]);
    image
}

/// What mtools reads from `image`.
fn by_mtools(image: &Path, dir: &Path) -> String {
    let out = dir.join("out");
    let script = r#"set -e; export LC_ALL=C.UTF-8 MTOOLS_SKIP_CHECK=1; rm -rf "$1"; mkdir "$1"
mcopy -s -n -Q -i "$0" ::/ "$1""#;
    ok(
        "bash",
        &["-c", script, image.to_str().unwrap(), out.to_str().unwrap()],
    );
    listing::of_host(&out, Options::PLAIN).text
}

/// Random operations on a volume made with `options`, filled by mtools first.
fn random(options: &str, kib: u64, seed: u64, steps: u64) {
    let dir = tempfile::tempdir().unwrap();
    let image = make(dir.path(), options, kib);
    ok("bash", &["-c", crate::mtools::FILL, dir.path().to_str().unwrap()]);
    let script = r#"export LC_ALL=C.UTF-8 MTOOLS_SKIP_CHECK=1; cd "$0"; rm -rf tree/deep tree/size-65537; mcopy -s -Q -m -i "$1" tree/* ::/"#;
    run(
        "bash",
        &[
            "-c",
            script,
            dir.path().to_str().unwrap(),
            image.to_str().unwrap(),
        ],
    );
    let mut subject = Subject::open(&image).unwrap();
    let mut twins = Twins::new(&subject.fs, seed, WAYS);
    for batch in 0..3 {
        for _ in 0..steps {
            twins.step(&mut subject.fs);
        }
        let when = format!("{options}, batch {batch}");
        same_tree(&twins.model, &subject.fs, WAYS, &when);
        println!("{when}: {} done, {} refused for space", twins.done, twins.full);
        assert!(
            twins.done > twins.full && twins.done > steps / 2,
            "{when}: {} done, {} refused for space",
            twins.done,
            twins.full
        );
        // What was written is what is read again.
        let fs = subject.judge(&when);
        same_tree(&twins.model, &fs, WAYS, &when);
    }
    let ours = listing::of_fs(&twins.model, Options::PLAIN).unwrap();
    let theirs = by_mtools(&image, dir.path());
    assert_eq!(
        listing::differences(&theirs, &ours.text),
        None,
        "{options}: mtools"
    );
    match mount(&image, "vfat", "ro,iocharset=utf8") {
        Ok(mounted) => {
            let theirs = listing::of_host(mounted.path(), Options::PLAIN);
            assert_eq!(
                listing::differences(&theirs.text, &ours.text),
                None,
                "{options}: Linux"
            );
        }
        Err(why) => println!("skipped: the kernel mounts no vfat here ({why})"),
    }
}

macro_rules! rows {
    ($($name:ident: $options:literal, $kib:literal;)*) => {
        $(#[test]
        fn $name() {
            let seed: u64 = stringify!($name).bytes().map(u64::from).sum();
            random($options, $kib, seed, 150);
        })*
    };
}

rows! {
    fat12_with_clusters_of_a_sector: "-F12 -s1", 1900;
    fat12_with_one_table: "-F12 -s2 -f1", 3000;
    fat12_with_clusters_of_16k: "-F12 -s32 -r 1024", 8000;
    fat12_with_sectors_of_4k: "-F12 -s1 -S4096", 8000;
    fat16_with_clusters_of_a_sector: "-F16 -s1", 8000;
    fat16_with_clusters_of_2k: "-F16 -s4", 16000;
    fat16_with_sectors_of_4k: "-F16 -s1 -S4096", 32000;
    fat32_with_clusters_of_a_sector: "-F32 -s1", 40000;
    fat32_with_clusters_of_4k: "-F32 -s8", 300_000;
    fat32_with_sectors_of_4k: "-F32 -s1 -S4096", 300_000;
    fat32_with_one_table: "-F32 -s4 -f1", 140_000;
}
