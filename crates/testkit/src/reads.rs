//! Reads that have to agree with one another.

use h2k_fs::{FsRead, Node};

/// Reads of `file` across every border of a `unit`, its end among them, give what a read of everything gives.
///
/// # Panics
/// When one does not.
pub fn borders(fs: &dyn FsRead, file: Node, whole: &[u8], unit: usize) {
    for border in (0..=whole.len()).step_by(unit).chain([whole.len()]) {
        for (from, len) in [(border.saturating_sub(1), 2), (border, 1), (border, unit + 1)] {
            let mut buf = vec![0xa5; len];
            let n = fs.read_at(file, from as u64, &mut buf).expect("a sound file");
            let want = &whole[from.min(whole.len())..(from + len).min(whole.len())];
            assert_eq!(&buf[..n], want, "{from}+{len}");
        }
    }
}
