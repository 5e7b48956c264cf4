//! Feature bits by the names `xfs_info` and the specification use, and what becomes of each.

use crate::superblock::Geometry;

/// `sb_versionnum` bits above the version number.
pub(crate) mod version {
    pub(crate) const ATTR: u16 = 0x0010;
    pub(crate) const NLINK: u16 = 0x0020;
    pub(crate) const QUOTA: u16 = 0x0040;
    pub(crate) const ALIGN: u16 = 0x0080;
    pub(crate) const DALIGN: u16 = 0x0100;
    pub(crate) const SHARED: u16 = 0x0200;
    pub(crate) const LOGV2: u16 = 0x0400;
    pub(crate) const SECTOR: u16 = 0x0800;
    pub(crate) const EXTFLG: u16 = 0x1000;
    pub(crate) const DIRV2: u16 = 0x2000;
    pub(crate) const BORG: u16 = 0x4000;
    pub(crate) const MOREBITS: u16 = 0x8000;
}

/// `sb_features2` bits.
pub(crate) mod features2 {
    pub(crate) const LAZYSBCOUNT: u32 = 0x02;
    pub(crate) const ATTR2: u32 = 0x08;
    pub(crate) const PARENT: u32 = 0x10;
    pub(crate) const PROJID32: u32 = 0x80;
    pub(crate) const CRC: u32 = 0x100;
    pub(crate) const FTYPE: u32 = 0x200;
}

/// Incompatible features of version 5, bit by bit.
pub(crate) const INCOMPAT: [&str; 11] = [
    "ftype",
    "sparse",
    "metauuid",
    "bigtime",
    "needsrepair",
    "nrext64",
    "exchange",
    "parent",
    "metadir",
    "zoned",
    "zone-gaps",
];

/// Those of [`INCOMPAT`] that this reader handles.
pub(crate) const INCOMPAT_READ: u32 = 0x00ff;

/// Bits of `sb_features_incompat`.
pub(crate) mod incompat {
    pub(crate) const FTYPE: u32 = 1;
    pub(crate) const BIGTIME: u32 = 1 << 3;
    pub(crate) const NEEDSREPAIR: u32 = 1 << 4;
    pub(crate) const NREXT64: u32 = 1 << 5;
}

/// Read-only compatible features of version 5, bit by bit.
const RO_COMPAT: [&str; 4] = ["finobt", "rmapbt", "reflink", "inobtcount"];

/// The names of the bits of `set`; bits without a name by number.
pub(crate) fn names(set: u32, known: &[&str]) -> Vec<String> {
    (0..32_usize)
        .filter(|bit| set >> bit & 1 == 1)
        .map(|bit| {
            known
                .get(bit)
                .map_or_else(|| format!("bit {bit}"), |n| (*n).to_owned())
        })
        .collect()
}

/// All features of a filesystem.
pub(crate) fn list(sb: &Geometry) -> Vec<String> {
    let mut all = vec![if sb.v5 { "v5".to_owned() } else { "v4".to_owned() }];
    let mut old = |bit: bool, name: &str| {
        if bit {
            all.push(name.to_owned());
        }
    };
    let has = |bit: u16| sb.versionnum & bit != 0;
    old(has(version::ATTR), "attr");
    old(has(version::NLINK), "nlink");
    old(has(version::QUOTA), "quota");
    old(has(version::ALIGN), "align");
    old(has(version::DALIGN), "dalign");
    old(has(version::SHARED), "shared");
    old(has(version::LOGV2), "logv2");
    old(has(version::SECTOR), "sector");
    old(has(version::EXTFLG), "extflg");
    old(sb.ascii_ci, "ascii-ci");
    old(sb.features2 & features2::LAZYSBCOUNT != 0, "lazysbcount");
    old(sb.features2 & features2::ATTR2 != 0, "attr2");
    old(sb.features2 & features2::PARENT != 0, "parent");
    old(sb.features2 & features2::PROJID32 != 0, "projid32bit");
    old(sb.features2 & features2::CRC != 0, "crc");
    old(!sb.v5 && sb.ftype, "ftype");
    if sb.v5 {
        all.extend(names(sb.incompat, &INCOMPAT));
        all.extend(names(sb.ro_compat, &RO_COMPAT));
    }
    all
}
