//! A file in memory that stores only what is not a hole: terabytes cost what is in them, and a copy costs nothing.

use h2k_block::{BlockRead, BlockWrite, Class, Error, Extent, HostFile, Kind, MemDisk, Result, is_zero};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

const PAGE: u64 = 4096;
/// A page and its number, packed.
const PACKED: usize = 4096 + 4;

type Page = Arc<[u8]>;

/// A sparse file in memory. Cloning it shares its pages until one side changes them.
#[derive(Default)]
pub struct Sparse {
    state: Mutex<State>,
    name: PathBuf,
}

#[derive(Clone, Default)]
struct State {
    pages: BTreeMap<u64, Page>,
    len: u64,
}

impl Clone for Sparse {
    fn clone(&self) -> Self {
        Self {
            state: Mutex::new(self.state.lock().unwrap().clone()),
            name: self.name.clone(),
        }
    }
}

impl Sparse {
    /// An empty file.
    #[must_use]
    pub fn new(name: impl Into<PathBuf>) -> Self {
        Self {
            state: Mutex::default(),
            name: name.into(),
        }
    }

    /// A file holding `bytes`; pages of zeros become holes.
    #[must_use]
    pub fn of(name: impl Into<PathBuf>, bytes: &[u8]) -> Self {
        let file = Self::new(name);
        file.set_len(bytes.len() as u64).expect("memory files grow");
        for (i, page) in bytes.chunks(PAGE as usize).enumerate() {
            if !is_zero(page) {
                file.write_at(i as u64 * PAGE, page).expect("inside the file");
            }
        }
        file
    }

    /// What [`pack`](Self::pack) made, or any other bytes: always a file, of at most 16 TiB, that stores no more than
    /// `packed` does. Lets a fuzzer work on the few pages of a large volume that say something.
    #[must_use]
    pub fn unpack(name: impl Into<PathBuf>, packed: &[u8]) -> Self {
        let file = Self::new(name);
        let (len, records) = packed.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        let len = u64::from_le_bytes(*len).min(16 << 40);
        file.set_len(len).expect("memory files grow");
        for record in records.chunks(PACKED) {
            let Some((number, page)) = record.split_first_chunk::<4>() else {
                break;
            };
            let at = u64::from(u32::from_le_bytes(*number)) * PAGE;
            let kept = len.saturating_sub(at).min(page.len() as u64);
            if kept > 0 {
                file.write_at(at, &page[..kept as usize])
                    .expect("inside the file");
            }
        }
        file
    }

    /// The length of `disk` and its pages that are not zero, the first ones up to `most` bytes.
    #[must_use]
    pub fn pack(disk: &dyn BlockRead, most: usize) -> Vec<u8> {
        let mut packed = disk.len().to_le_bytes().to_vec();
        let mut page = vec![0; PAGE as usize];
        let mut at = 0;
        while at < disk.len() && packed.len() + PACKED <= most {
            let run = disk.extent_at(at, disk.len()).expect("a seed has a map");
            // Pages that an extent touches, whole.
            let (first, last) = (at / PAGE, run.end().div_ceil(PAGE));
            for number in first..last {
                if run.kind != Kind::Data || packed.len() + PACKED > most {
                    break;
                }
                let start = number * PAGE;
                let kept = (disk.len() - start).min(PAGE) as usize;
                page.fill(0);
                disk.read_at(start, &mut page[..kept])
                    .expect("a seed can be read");
                if !is_zero(&page) {
                    packed.extend((number as u32).to_le_bytes());
                    packed.extend(&page);
                }
            }
            at = run.end();
        }
        packed
    }

    /// Bytes that are stored.
    #[must_use]
    pub fn stored(&self) -> u64 {
        self.state.lock().unwrap().pages.len() as u64 * PAGE
    }

    /// Every stored page that holds a non-zero byte, with its number: equal for equal files.
    #[must_use]
    pub fn pages(&self) -> Vec<(u64, Page)> {
        let state = self.state.lock().unwrap();
        let pages = state.pages.iter().filter(|(_, page)| !is_zero(page));
        pages.map(|(n, page)| (*n, page.clone())).collect()
    }

    /// Changes the bytes of `range` through `edit`, as one piece.
    pub fn edit(&self, range: std::ops::Range<u64>, edit: impl FnOnce(&mut [u8])) {
        let mut bytes = vec![0; (range.end - range.start) as usize];
        self.read_at(range.start, &mut bytes).expect("inside the file");
        edit(&mut bytes);
        self.write_at(range.start, &bytes).expect("inside the file");
    }

    /// Writes the file to `path`, holes as holes.
    pub fn save(&self, path: &Path) {
        use std::os::unix::fs::FileExt;
        let file = std::fs::File::create(path).expect("a scratch file can be made");
        let state = self.state.lock().unwrap();
        file.set_len(state.len).expect("a scratch file can grow");
        for (n, page) in &state.pages {
            let room = (state.len - n * PAGE).min(PAGE) as usize;
            file.write_all_at(&page[..room], n * PAGE)
                .expect("a scratch file can be written");
        }
    }

    /// The same content without holes.
    #[must_use]
    pub fn dense(&self) -> MemDisk {
        let mut all = vec![0; self.len() as usize];
        self.read_at(0, &mut all).expect("inside the file");
        MemDisk::named(self.name.clone(), all)
    }
}

impl BlockRead for Sparse {
    fn len(&self) -> u64 {
        self.state.lock().unwrap().len
    }

    fn fetch(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let state = self.state.lock().unwrap();
        buf.fill(0);
        let end = offset + buf.len() as u64;
        for (n, page) in state.pages.range(offset / PAGE..=(end - 1) / PAGE) {
            let from = (n * PAGE).max(offset);
            let to = ((n + 1) * PAGE).min(end);
            buf[(from - offset) as usize..(to - offset) as usize]
                .copy_from_slice(&page[(from - n * PAGE) as usize..(to - n * PAGE) as usize]);
        }
        Ok(())
    }

    fn map(&self, offset: u64, end: u64) -> Result<Extent> {
        let state = self.state.lock().unwrap();
        let first = offset / PAGE;
        if state.pages.contains_key(&first) {
            let mut next = first;
            while state.pages.contains_key(&next) && next * PAGE < end {
                next += 1;
            }
            return Ok(Extent::new(offset, (next * PAGE).min(end) - offset, Kind::Data));
        }
        let next = state.pages.range(first..).next().map_or(end, |(n, _)| n * PAGE);
        Ok(Extent::new(offset, next.min(end) - offset, Kind::Hole))
    }
}

impl BlockWrite for Sparse {
    fn store(&self, offset: u64, buf: &[u8]) -> Result<()> {
        let mut state = self.state.lock().unwrap();
        let end = offset + buf.len() as u64;
        for n in offset / PAGE..=(end - 1) / PAGE {
            let from = (n * PAGE).max(offset);
            let to = ((n + 1) * PAGE).min(end);
            let page = state
                .pages
                .entry(n)
                .or_insert_with(|| vec![0; PAGE as usize].into());
            let mut bytes = page.to_vec();
            bytes[(from - n * PAGE) as usize..(to - n * PAGE) as usize]
                .copy_from_slice(&buf[(from - offset) as usize..(to - offset) as usize]);
            *page = bytes.into();
        }
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        Ok(())
    }
}

impl HostFile for Sparse {
    fn set_len(&self, len: u64) -> Result<()> {
        let mut state = self.state.lock().unwrap();
        if len < state.len {
            if !len.is_multiple_of(PAGE)
                && let Some(page) = state.pages.get_mut(&(len / PAGE))
            {
                let mut bytes = page.to_vec();
                bytes[(len % PAGE) as usize..].fill(0);
                *page = bytes.into();
            }
            state.pages.split_off(&len.div_ceil(PAGE));
        }
        if len > i64::MAX as u64 {
            return Err(Error::new(Class::Limit, "no file is that long"));
        }
        state.len = len;
        Ok(())
    }

    fn name(&self) -> &Path {
        &self.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_like_a_dense_file_and_knows_its_holes() {
        let mut bytes = vec![0; 20000];
        bytes[5000..5100].fill(7);
        bytes[19999] = 1;
        let file = Sparse::of("x", &bytes);
        assert_eq!(file.stored(), 2 * PAGE);
        let mut all = vec![9; 20000];
        file.read_at(0, &mut all).unwrap();
        assert_eq!(all, bytes);
        assert_eq!(
            file.extent_at(0, 20000).unwrap(),
            Extent::new(0, 4096, Kind::Hole)
        );
        assert_eq!(
            file.extent_at(5000, 20000).unwrap(),
            Extent::new(5000, 3192, Kind::Data)
        );
        let copy = file.clone();
        copy.edit(5000..5001, |b| b[0] = 8);
        file.set_len(5050).unwrap();
        file.set_len(20000).unwrap();
        let mut two = [0; 2];
        file.read_at(5049, &mut two).unwrap();
        assert_eq!(two, [7, 0]);
        copy.read_at(4999, &mut two).unwrap();
        assert_eq!(two, [0, 8]);
    }
}
