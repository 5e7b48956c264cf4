//! The superblock of XFS as its own tools print it.
//!
//! Source: "XFS Algorithms & Data Structures", 3rd edition, chapter 13.1 (superblocks). Numbers are big-endian.

use h2k_block::{BlockRead, Error, Result};

const NAME: &str = "XFS superblock";
const MAGIC: &[u8] = b"XFSB";
/// Bytes that versions 4 and 5 have in common and together.
const LEN: usize = 264;

/// What `xfs_info` tells first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XfsInfo {
    /// Bytes of a block.
    pub blocksize: u32,
    /// Number of allocation groups.
    pub agcount: u32,
    /// Blocks of an allocation group.
    pub agsize: u32,
    /// Bytes of an inode.
    pub inodesize: u16,
    /// Bytes of a sector.
    pub sectsize: u16,
    /// Blocks of the filesystem.
    pub dblocks: u64,
    /// Blocks of the log, which lies inside unless `logstart` of [`superblock`] is 0.
    pub logblocks: u32,
    /// Label; empty where there is none.
    pub label: String,
    /// UUID.
    pub uuid: String,
}

impl XfsInfo {
    pub(super) fn read(disk: &dyn BlockRead) -> Result<Self> {
        let raw = first(disk)?;
        let small = |at: usize| u16::try_from(number(&raw, at, 2)).unwrap_or_default();
        let large = |at: usize| u32::try_from(number(&raw, at, 4)).unwrap_or_default();
        Ok(Self {
            blocksize: large(4),
            agcount: large(88),
            agsize: large(84),
            inodesize: small(104),
            sectsize: small(102),
            dblocks: number(&raw, 8, 8),
            logblocks: large(96),
            label: text(&raw),
            uuid: uuid(&raw, 32),
        })
    }
}

fn first(disk: &dyn BlockRead) -> Result<[u8; LEN]> {
    let mut raw = [0; LEN];
    if disk.len() >= 512 {
        disk.read_at(0, &mut raw)?;
    }
    if raw.starts_with(MAGIC) {
        return Ok(raw);
    }
    let found = raw.get(..4).unwrap_or_default();
    Err(Error::corrupt(
        NAME,
        0,
        format!("magic is {found:02x?}, expected \"XFSB\""),
    ))
}

fn number(raw: &[u8], at: usize, width: usize) -> u64 {
    let bytes = raw.get(at..at.saturating_add(width)).unwrap_or_default();
    bytes
        .iter()
        .fold(0, |sum: u64, byte| (sum << 8) | u64::from(*byte))
}

fn text(raw: &[u8]) -> String {
    let label = raw.get(108..120).unwrap_or_default();
    let label = label.split(|b| *b == 0).next().unwrap_or_default();
    String::from_utf8_lossy(label).into_owned()
}

fn uuid(raw: &[u8], at: usize) -> String {
    let bytes = raw.get(at..at.saturating_add(16)).unwrap_or_default();
    let mut out = String::new();
    for (n, byte) in bytes.iter().enumerate() {
        if matches!(n, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        out.push_str(&format!("{byte:02x}"));
    }
    out
}

/// Name, offset, bytes; negative for those that are shown in hexadecimal.
const FIELDS: [(&str, usize, i8); 54] = [
    ("magicnum", 0, -4),
    ("blocksize", 4, 4),
    ("dblocks", 8, 8),
    ("rblocks", 16, 8),
    ("rextents", 24, 8),
    ("uuid", 32, 16),
    ("logstart", 48, 8),
    ("rootino", 56, 8),
    ("rbmino", 64, 8),
    ("rsumino", 72, 8),
    ("rextsize", 80, 4),
    ("agblocks", 84, 4),
    ("agcount", 88, 4),
    ("rbmblocks", 92, 4),
    ("logblocks", 96, 4),
    ("versionnum", 100, -2),
    ("sectsize", 102, 2),
    ("inodesize", 104, 2),
    ("inopblock", 106, 2),
    ("fname", 108, 12),
    ("blocklog", 120, 1),
    ("sectlog", 121, 1),
    ("inodelog", 122, 1),
    ("inopblog", 123, 1),
    ("agblklog", 124, 1),
    ("rextslog", 125, 1),
    ("inprogress", 126, 1),
    ("imax_pct", 127, 1),
    ("icount", 128, 8),
    ("ifree", 136, 8),
    ("fdblocks", 144, 8),
    ("frextents", 152, 8),
    ("uquotino", 160, 8),
    ("gquotino", 168, 8),
    ("qflags", 176, -2),
    ("flags", 178, -1),
    ("shared_vn", 179, 1),
    ("inoalignmt", 180, 4),
    ("unit", 184, 4),
    ("width", 188, 4),
    ("dirblklog", 192, 1),
    ("logsectlog", 193, 1),
    ("logsectsize", 194, 2),
    ("logsunit", 196, 4),
    ("features2", 200, -4),
    ("bad_features2", 204, -4),
    ("features_compat", 208, -4),
    ("features_ro_compat", 212, -4),
    ("features_incompat", 216, -4),
    ("features_log_incompat", 220, -4),
    ("spino_align", 228, 4),
    ("pquotino", 232, 8),
    ("lsn", 240, -8),
    ("meta_uuid", 248, 16),
];
/// Fields from here on are those of version 5.
const V5: usize = 208;

/// The fields of the first superblock on `disk`, by the names and in the form of `xfs_db`.
///
/// # Errors
/// [`h2k_block::Class::Corrupt`] when there is none.
pub fn superblock(disk: &dyn BlockRead) -> Result<Vec<(&'static str, String)>> {
    let raw = first(disk)?;
    let version = number(&raw, 100, 2) & 0xf;
    let known = FIELDS.into_iter().filter(|(_, at, _)| version >= 5 || *at < V5);
    let fields = known.map(|(name, at, width)| {
        let value = match width {
            16 => uuid(&raw, at),
            12 => format!("\"{}\"", text(&raw)),
            _ => {
                let value = number(&raw, at, usize::from(width.unsigned_abs()));
                match (width > 0, name) {
                    // No inode at all.
                    (true, "uquotino" | "gquotino" | "pquotino") if value == u64::MAX => "null".to_owned(),
                    (true, _) => value.to_string(),
                    (false, _) if value == 0 => "0".to_owned(),
                    (false, _) => format!("{value:#x}"),
                }
            }
        };
        (name, value)
    });
    Ok(fields.collect())
}
