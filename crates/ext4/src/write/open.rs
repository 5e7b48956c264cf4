//! Opening for writing: what may not be written is refused here, by name, before anything is.

use super::Ext4Writer;
use super::space::Zone;
use crate::bytes::at;
use crate::feature::{self, compat, incompat, ro_compat};
use crate::layout::{MMP_MAGIC, MMP_SEQ_CLEAN, Mmp, STATE_ERROR, SUPER_AT};
use crate::open::{Journal, open_over};
use crate::volume::Ext4;
use h2k_block::{BlockRead, Class, Error, Limits, Overlay, Result};
use h2k_fs::Time;
use std::collections::BTreeMap;
use std::sync::Arc;

/// `feature_compat` whose meaning for a writer is not known well enough: `lazy_bg`, snapshots' exclude bitmap.
const REFUSED_COMPAT: u32 = 0x40 | 0x100;

/// `feature_ro_compat` that is written.
const WRITTEN_RO: u32 = ro_compat::SPARSE_SUPER
    | ro_compat::LARGE_FILE
    | ro_compat::BTREE_DIR
    | ro_compat::HUGE_FILE
    | ro_compat::GDT_CSUM
    | 0x20 // dir_nlink
    | 0x40 // extra_isize
    | ro_compat::BIGALLOC
    | ro_compat::METADATA_CSUM
    | 0x8000 // verity: files that have it are refused one by one
    | ro_compat::ORPHAN_PRESENT;

/// What to do about a filesystem that cannot be trusted.
const ADVICE: &str = "check it inside the guest or with fsck first";

/// Opens a filesystem for writing into `over`. A journal that holds changes is replayed into it, and files that were
/// deleted while they were open are done away with, as mounting would. Operations are stamped with `now` until
/// [`h2k_fs::FsWrite::set_clock`] says otherwise.
///
/// # Errors
/// As [`crate::open`]; [`Class::Unsupported`] for features that are read but not written, by their names,
/// [`Class::Busy`] when somebody has the filesystem mounted (`mmp`), [`Class::Corrupt`] when its free space cannot be
/// trusted: errors recorded by the kernel, not cleanly unmounted without a journal, a copy of the superblock or of a
/// group descriptor in use, a damaged journal.
pub fn open_writer(over: Arc<Overlay>, limits: &Limits, now: Time) -> Result<Ext4Writer> {
    let disk: Arc<dyn BlockRead> = over.clone();
    let fs = open_over(disk, Some(over.clone()), limits, Journal::Replay)?;
    check(&fs)?;
    let zone = zone(&fs)?;
    let sequence = fs.replayed.map(|next| next.wrapping_add(1));
    let mut writer = Ext4Writer {
        fs,
        over,
        now,
        undo: BTreeMap::new(),
        zone,
        sequence,
        large_file: false,
        ext_attr: false,
        broken: false,
    };
    writer.whole(Ext4Writer::clear_orphans)?;
    Ok(writer)
}

fn unsupported(what: impl Into<String>) -> Error {
    Error::unsupported(what).at("superblock", SUPER_AT)
}

fn distrusted(what: impl Into<String>) -> Error {
    Error::corrupt("superblock", SUPER_AT, what).advise(ADVICE)
}

fn check(fs: &Ext4) -> Result<()> {
    let sb = fs.groups.superblock();
    if sb.rev_level.get() > 0 {
        let refused = feature::names_of(
            sb.feature_compat.get() & REFUSED_COMPAT,
            0,
            sb.feature_ro_compat.get() & !WRITTEN_RO,
        );
        if !refused.is_empty() {
            return Err(unsupported(format!(
                "the filesystem uses features that are not written: {}",
                refused.join(", ")
            )));
        }
    }
    if fs.geo.hurd {
        return Err(unsupported(
            "the filesystem belongs to GNU Hurd, which is not written",
        ));
    }
    if fs.geo.has_compat(compat::HAS_JOURNAL) && sb.journal_inum.get() == 0 {
        return Err(unsupported(
            "the filesystem has an external journal, which is not written",
        ));
    }
    if fs.fast.commits() > 0 {
        return Err(
            unsupported("the journal holds fast commits, which are read but not written back")
                .advise("mount the filesystem once, or run fsck"),
        );
    }
    if sb.state.get() & STATE_ERROR != 0 {
        return Err(distrusted("the kernel recorded errors in this filesystem"));
    }
    if fs.aborted {
        return Err(distrusted("the journal was aborted by the kernel"));
    }
    if !fs.maps_hold {
        return Err(distrusted(
            "the filesystem was not cleanly unmounted, or its journal or superblock is damaged: its free space cannot \
             be trusted",
        ));
    }
    if fs.replayed.is_some() {
        fs.any_inode(sb.journal_inum.get())?;
    }
    if fs.geo.blocks.saturating_mul(fs.geo.block_size()) > fs.disk().len() {
        return Err(distrusted("the filesystem is longer than its volume"));
    }
    if fs.geo.has_incompat(incompat::MMP) {
        let number = sb.mmp_block.get();
        let block = fs.blocks.get(number, "MMP block")?;
        let mmp: Option<&Mmp> = at(&block, 0).filter(|m: &&Mmp| m.magic.get() == MMP_MAGIC);
        match mmp.map(|m| m.seq.get()) {
            Some(MMP_SEQ_CLEAN) => {}
            Some(_) => {
                return Err(Error::new(
                    Class::Busy,
                    "multiple mount protection says that the filesystem is in use",
                )
                .at("MMP block", fs.blocks.offset(number)));
            }
            None => return Err(distrusted("the multiple mount protection block is damaged")),
        }
    }
    Ok(())
}

/// Every block of the filesystem itself; each descriptor has to be sound for that.
fn zone(fs: &Ext4) -> Result<Zone> {
    let mut zone = Zone::default();
    let mut meter = fs.meter();
    zone.add(0, fs.geo.first_block.max(1));
    if fs.geo.has_incompat(incompat::MMP) {
        zone.add(fs.groups.superblock().mmp_block.get(), 1);
    }
    for number in 0..fs.geo.groups {
        meter.steps(8, "group descriptor")?;
        meter.bytes(128, "group descriptor")?;
        let group = fs.group(number)?;
        if !group.current {
            return Err(distrusted(format!(
                "the descriptor of group {number} is damaged, its free space cannot be trusted"
            )));
        }
        for bitmap in [group.block_bitmap, group.inode_bitmap] {
            if !fs.blocks.holds(bitmap, 1) {
                return Err(distrusted(format!(
                    "group {number} has a bitmap at block {bitmap}"
                )));
            }
            zone.add(bitmap, 1);
        }
        zone.add(fs.geo.group_start(number), fs.groups.base_blocks(&fs.geo, number));
        zone.add(group.inode_table, fs.geo.table_blocks());
    }
    zone.join();
    Ok(zone)
}
