//! The corpus of real images beside the checkout (`../shared/corpus`), and what independent tools say of them.

use h2k_block::{Access, BlockRead, FileDisk, MemDisk, Sharing, Window};
use ruzstd::decoding::StreamingDecoder;
use serde_json::Value;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One file of the corpus.
#[derive(Clone, Debug)]
pub struct Case {
    /// Path below the corpus, with `.zst`.
    pub path: String,
    /// What the file is, in the manifest's words.
    pub format: String,
    /// Files that belong together have the same value; `-` for files on their own.
    pub set: String,
    /// Bytes after decompression.
    pub unpacked_size: u64,
    /// What independent tools found.
    pub oracle: Value,
}

/// The folder `../shared` as seen from the workspace's root, if this checkout has it.
#[must_use]
pub fn shared() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?.parent()?;
    let shared = root.parent()?.join("shared");
    shared.join("corpus/MANIFEST.tsv").is_file().then_some(shared)
}

/// The corpus, or a line that says it is absent.
#[must_use]
pub fn corpus() -> Option<Corpus> {
    let Some(shared) = shared() else {
        println!("skipped: no corpus");
        return None;
    };
    let root = shared.join("corpus");
    let text = std::fs::read_to_string(root.join("MANIFEST.tsv")).expect("the manifest is readable");
    let cases = text.lines().skip(1).map(case).collect();
    Some(Corpus { root, cases })
}

fn case(line: &str) -> Case {
    let mut columns = line.split('\t');
    let mut next = || columns.next().unwrap_or_default();
    let path = next().to_owned();
    let unpacked_size = next().parse().unwrap_or(0);
    let _sha256 = next();
    let format = next().to_owned();
    let set = next().to_owned();
    let (_origin, _licence, _special) = (next(), next(), next());
    let oracle = serde_json::from_str(next()).unwrap_or(Value::Null);
    Case {
        path,
        format,
        set,
        unpacked_size,
        oracle,
    }
}

/// The whole corpus.
#[derive(Clone, Debug)]
pub struct Corpus {
    root: PathBuf,
    /// Its files, in the manifest's order.
    pub cases: Vec<Case>,
}

impl Corpus {
    /// Files whose path below the corpus begins with `prefix`.
    pub fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a Case> {
        self.cases.iter().filter(move |c| c.path.starts_with(prefix))
    }

    /// The decompressed bytes of `case`.
    #[must_use]
    pub fn bytes(&self, case: &Case) -> Vec<u8> {
        let packed = std::fs::read(self.root.join(&case.path)).expect("a file of the manifest is there");
        unzstd(&packed)
    }

    /// The full canonical listing behind `fs.listing_sha256`, where the corpus keeps it.
    #[must_use]
    pub fn listing(&self, case: &Case) -> Option<String> {
        let stem = case.path.strip_suffix(".zst").unwrap_or(&case.path);
        let stem = stem.strip_suffix(".qcow2").unwrap_or(stem);
        let path = self.root.join("listings").join(format!("{stem}.listing.zst"));
        let packed = std::fs::read(path).ok()?;
        let text = unzstd(&packed);
        Some(String::from_utf8(text).expect("a listing is text"))
    }

    /// The content of `case` as a disk. Cases kept "in qcow2" are unpacked into `dir` by qemu-img as sparse files.
    #[must_use]
    pub fn disk(&self, case: &Case, dir: &Path) -> Arc<dyn BlockRead> {
        if !case.format.ends_with(" in qcow2") {
            return Arc::new(MemDisk::new(self.bytes(case)));
        }
        let packed = dir.join(plain_name(case));
        let raw = packed.with_extension("raw");
        sparse_write(&packed, &self.bytes(case));
        let args: [&std::ffi::OsStr; 7] = [
            "convert".as_ref(),
            "-f".as_ref(),
            "qcow2".as_ref(),
            "-O".as_ref(),
            "raw".as_ref(),
            packed.as_ref(),
            raw.as_ref(),
        ];
        crate::oracle::ok("qemu-img", &args);
        std::fs::remove_file(&packed).expect("a scratch file can be removed");
        Arc::new(FileDisk::open(&raw, Access::Read, Sharing::Careful).expect("qemu-img made a raw file"))
    }

    /// The filesystem on `case`, and what was recorded of it: that of the first partition where there is one.
    ///
    /// # Panics
    /// When the manifest says nothing of where the partition begins.
    #[must_use]
    pub fn volume<'a>(&self, case: &'a Case, dir: &Path) -> (Arc<dyn BlockRead>, &'a Value) {
        let disk = self.disk(case, dir);
        if !case.oracle["partition_fs"].is_object() {
            return (disk, &case.oracle["fs"]);
        }
        let part = &case.oracle["partitions"][0];
        let start = part["start"].as_u64().expect("a partition begins somewhere");
        let len = part["length"].as_u64().unwrap_or(disk.len() - start);
        let facts = &case.oracle["partition_fs"]["1"];
        (Arc::new(Window::new(disk, start, len)), facts)
    }

    /// Unpacks `case` and everything of its set into `dir`, keeping file names (without `.zst`), and answers
    /// with the path of `case` there.
    #[must_use]
    pub fn unpack(&self, case: &Case, dir: &Path) -> PathBuf {
        for other in &self.cases {
            if other.path == case.path || (case.set != "-" && other.set == case.set) {
                sparse_write(&dir.join(plain_name(other)), &self.bytes(other));
            }
        }
        dir.join(plain_name(case))
    }
}

/// The content of a `.zst` file. In Rust, because the build without C runs the same tests.
#[must_use]
pub fn unzstd(mut packed: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while !packed.is_empty() {
        let mut frame = StreamingDecoder::new_with_max_window_size(&mut packed, 1 << 31)
            .expect("a test file begins with a zstd frame");
        frame.read_to_end(&mut out).expect("a test file decompresses");
    }
    out
}

/// The file name of `case` without `.zst`.
#[must_use]
pub fn plain_name(case: &Case) -> &str {
    let name = case.path.rsplit('/').next().unwrap_or_default();
    name.strip_suffix(".zst").unwrap_or(name)
}

/// Writes `bytes` to `path`, leaving out 4 KiB blocks of zeros.
pub fn sparse_write(path: &Path, bytes: &[u8]) {
    use std::os::unix::fs::FileExt;
    let file = std::fs::File::create(path).expect("a scratch file can be made");
    file.set_len(bytes.len() as u64).expect("a scratch file can grow");
    for (i, block) in bytes.chunks(4096).enumerate() {
        if !h2k_block::is_zero(block) {
            file.write_all_at(block, i as u64 * 4096)
                .expect("a scratch file can be written");
        }
    }
}
