//! Opening: superblock, features, journal; everything else is read when it is asked for.

use crate::backup::{self, Found};
use crate::blocks::Blocks;
use crate::bytes::{at, le32};
use crate::feature::{self, compat, incompat, ro_compat};
use crate::geometry::read_super;
use crate::group::Groups;
use crate::inode;
use crate::journal::fast::{self, Changes};
use crate::journal::{Log, replay};
use crate::layout::{
    JNL_BACKUP_BLOCKS, MAGIC, MMP_MAGIC, MMP_SEQ_CLEAN, MMP_SEQ_FSCK, Mmp, STATE_ERROR, STATE_VALID,
    SUPER_AT, SuperBlock,
};
use crate::volume::Ext4;
use crate::warnings::Warnings;
use h2k_block::{BlockRead, Class, Error, Limits, Overlay, Result};
use h2k_fs::Facts;
use std::sync::Arc;

/// What to do about a journal that holds changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Journal {
    /// Replay it into memory, as mounting would.
    #[default]
    Replay,
    /// Read what lies on the volume without it, as `mount -o noload` does.
    Ignore,
}

/// Whether the volume begins like ext2, ext3 or ext4: the magic number of the primary superblock. Volumes whose
/// primary superblock is damaged answer `false`; [`open`] may still succeed with a backup.
///
/// # Errors
/// What reading the volume fails with.
pub fn probe(disk: &dyn BlockRead) -> Result<bool> {
    if disk.len() < SUPER_AT.saturating_add(1024) {
        return Ok(false);
    }
    Ok(read_super(disk, SUPER_AT)?.magic.get() == MAGIC)
}

/// Opens a filesystem. A journal that holds changes is replayed into an overlay in memory.
///
/// # Errors
/// [`Class::Corrupt`] when no superblock is sound or a needed journal is damaged, [`Class::Unsupported`] for features
/// that are refused, by their names, and for changes that wait in an external journal.
pub fn open(disk: Arc<dyn BlockRead>, limits: &Limits) -> Result<Ext4> {
    open_with(disk, limits, Journal::Replay)
}

/// As [`open`], with a choice about the journal.
///
/// # Errors
/// As [`open`].
pub fn open_with(disk: Arc<dyn BlockRead>, limits: &Limits, journal: Journal) -> Result<Ext4> {
    open_over(disk, None, limits, journal)
}

/// As [`open_with`]; a journal is replayed into `over`, which is the disk itself, to be written.
pub(crate) fn open_over(
    disk: Arc<dyn BlockRead>,
    over: Option<Arc<Overlay>>,
    limits: &Limits,
    journal: Journal,
) -> Result<Ext4> {
    let found = backup::find(&*disk)?;
    let warnings = Warnings::default();
    if let Some(e) = &found.primary {
        warnings.add(format!(
            "the primary superblock is damaged ({e}); the copy in group {} is used",
            found.group
        ));
    }
    let (sb, from_backup) = (found.sb.clone(), found.group != 0);
    let mut fs = assemble(disk.clone(), found, limits, warnings);
    // Backups are not updated when a filesystem is mounted: only the journal itself tells.
    let marked = fs.geo.has_incompat(incompat::RECOVER);
    let has_journal = fs.geo.has_compat(compat::HAS_JOURNAL);
    if marked && !has_journal {
        fs.warnings
            .add("the superblock asks for recovery, but there is no journal");
    }
    if has_journal && (marked || from_backup) {
        match journal {
            Journal::Replay => fs = recover(fs, disk, over, &sb, limits, marked)?,
            Journal::Ignore if marked => {
                fs.maps_hold = false;
                fs.warnings
                    .add("the journal holds changes that were not replayed, as asked");
            }
            Journal::Ignore => {}
        }
    }
    // A copy of the superblock is old: it does not say whether the filesystem was left clean.
    fs.maps_hold &= is_clean(&fs) && !from_backup;
    look_around(&fs, &sb);
    Ok(fs)
}

fn assemble(disk: Arc<dyn BlockRead>, found: Found, limits: &Limits, warnings: Warnings) -> Ext4 {
    let Found {
        sb, geometry, group, ..
    } = found;
    let facts = facts(&sb);
    Ext4 {
        blocks: Blocks::new(disk, geometry.block_bits, geometry.blocks),
        geo: geometry,
        groups: Groups::new(sb, group),
        warnings,
        limits: *limits,
        fast: Changes::default(),
        facts,
        maps_hold: true,
        replayed: None,
        torn: None,
        aborted: false,
    }
}

/// Whether the superblock says that nothing went wrong and nothing is left to do.
fn is_clean(fs: &Ext4) -> bool {
    let state = fs.groups.superblock().state.get();
    let unmounted = state & STATE_VALID != 0 || fs.geo.has_compat(compat::HAS_JOURNAL);
    unmounted && state & STATE_ERROR == 0
}

/// Replays the journal and opens what it leads to. `marked`: the superblock says that there is something to replay.
fn recover(
    fs: Ext4,
    disk: Arc<dyn BlockRead>,
    over: Option<Arc<Overlay>>,
    sb: &SuperBlock,
    limits: &Limits,
    marked: bool,
) -> Result<Ext4> {
    let advice = "open it without its journal to see the files as they were when it was last emptied";
    let number = sb.journal_inum.get();
    if number == 0 {
        if !marked {
            return Ok(fs);
        }
        return Err(Error::unsupported(format!(
            "changes wait in an external journal (uuid {}), which is another volume",
            uuid(&sb.journal_uuid)
        ))
        .at("superblock", SUPER_AT)
        .advise(advice));
    }
    let aborted;
    let overlay = over.unwrap_or_else(|| Arc::new(Overlay::new(disk)));
    let (outcome, changes) = {
        let log = match open_log(&fs, sb, number) {
            Ok(log) => log,
            // Nothing says that there is anything to replay.
            Err(e) if !marked && e.class() == Class::Corrupt => {
                fs.warnings.add(format!("the journal is damaged: {e}"));
                return Ok(fs);
            }
            Err(e) => return Err(e.advise(advice)),
        };
        aborted = log.errno != 0;
        if aborted {
            fs.warnings
                .add(format!("the journal was aborted with error {}", log.errno));
        }
        if log.start == 0 {
            return Ok(fs);
        }
        let mut meter = fs.meter();
        // Blocks past the end of a volume that was cut off cannot be replayed either.
        let there = overlay.len().checked_shr(fs.geo.block_bits).unwrap_or(0);
        let blocks = fs.geo.blocks.min(there);
        let outcome = replay(&log, blocks, &*overlay, &mut meter).map_err(|e| e.advise(advice))?;
        let changes = if outcome.damage.is_none() {
            fast::read(&log, outcome.next, blocks, &mut meter).map_err(|e| e.advise(advice))?
        } else {
            Changes::default()
        };
        (outcome, changes)
    };
    if let Some(damage) = &outcome.damage {
        fs.warnings
            .add(format!("the journal is damaged and ends early: {damage}"));
    }
    fs.warnings.add(format!(
        "the journal was replayed in memory: {} transactions, {} blocks, {} fast commits",
        outcome.transactions,
        outcome.blocks,
        changes.commits()
    ));
    // The superblock itself may have come through the journal, a sound one over a damaged one, too.
    let found = backup::find(&*overlay)?;
    let opened = assemble(overlay, found, limits, fs.warnings);
    Ok(Ext4 {
        fast: changes,
        // As found on the volume: `needs_recovery` is one of them.
        facts: fs.facts,
        maps_hold: outcome.damage.is_none(),
        torn: outcome.damage.map(|damage| damage.to_string()),
        replayed: Some(outcome.next),
        aborted,
        ..opened
    })
}

/// The journal by its inode, or by the copy of it in the superblock.
fn open_log<'a>(fs: &'a Ext4, sb: &SuperBlock, number: u32) -> Result<Log<'a>> {
    let e = match fs.any_inode(number).and_then(|inode| Log::open(fs, inode)) {
        Ok(log) => return Ok(log),
        Err(e) => e,
    };
    if e.class() != Class::Corrupt || sb.jnl_backup_type != JNL_BACKUP_BLOCKS {
        return Err(e);
    }
    let Ok(log) = inode::from_backup(&fs.geo, number, &sb.jnl_blocks).and_then(|inode| Log::open(fs, inode))
    else {
        return Err(e);
    };
    fs.warnings.add(format!(
        "the journal's inode is damaged ({e}); its copy in the superblock is used"
    ));
    Ok(log)
}

/// Collects what is odd but does not stop reading.
fn look_around(fs: &Ext4, sb: &SuperBlock) {
    let now = fs.groups.superblock();
    let warn = |text: String| fs.warnings.add(text);
    let (promised, there) = (
        fs.geo.blocks.saturating_mul(fs.geo.block_size()),
        fs.blocks.disk().len(),
    );
    if promised > there {
        warn(format!(
            "the filesystem has {promised} bytes, but the volume only {there}"
        ));
    }
    if now.state.get() & STATE_ERROR != 0 {
        warn("the kernel recorded errors in this filesystem; fsck should be run".to_owned());
    } else if !is_clean(fs) {
        warn("the filesystem was not cleanly unmounted and has no journal".to_owned());
    }
    if now.last_orphan.get() != 0 {
        warn(format!(
            "deleted files wait for their space to be freed (orphan list begins at inode {})",
            now.last_orphan.get()
        ));
    }
    if fs.geo.has_ro(ro_compat::ORPHAN_PRESENT) {
        warn(format!(
            "deleted files wait for their space to be freed (orphan file is inode {})",
            now.orphan_file_inum.get()
        ));
    }
    if fs.geo.has_incompat(incompat::MMP) {
        look_at_mmp(fs, sb.mmp_block.get());
    }
}

/// Multiple mount protection (mmp.rst): says whether somebody has the filesystem mounted.
fn look_at_mmp(fs: &Ext4, number: u64) {
    let block = match fs.blocks.get(number, "MMP block") {
        Ok(block) => block,
        Err(e) => {
            return fs
                .warnings
                .add(format!("multiple mount protection cannot be read: {e}"));
        }
    };
    let Some(mmp) = at::<Mmp>(&block, 0).filter(|m| m.magic.get() == MMP_MAGIC) else {
        return fs
            .warnings
            .add(format!("multiple mount protection block {number} is damaged"));
    };
    if let Some(seed) = fs.geo.seed
        && let Some((covered, found)) = block.get(..0x3fc).zip(le32(&block, 0x3fc))
        && found != seed.covered(covered)
    {
        fs.warnings.add(format!(
            "multiple mount protection block {number} has a wrong checksum"
        ));
    }
    let text = |bytes: &[u8]| {
        let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
    };
    match mmp.seq.get() {
        MMP_SEQ_CLEAN => {}
        MMP_SEQ_FSCK => fs.warnings.add(format!(
            "multiple mount protection says that fsck runs on {}",
            text(&mmp.nodename)
        )),
        _ => fs.warnings.add(format!(
            "multiple mount protection says that {} has it mounted from {} (last sign of life at {} s)",
            text(&mmp.nodename),
            text(&mmp.bdevname),
            mmp.time.get()
        )),
    }
}

fn facts(sb: &SuperBlock) -> Facts {
    let end = sb.volume_name.iter().position(|b| *b == 0).unwrap_or(16);
    let label = sb.volume_name.get(..end).unwrap_or_default();
    Facts {
        kind: feature::kind(sb),
        label: (!label.is_empty()).then(|| label.to_vec()),
        uuid: (sb.uuid != [0; 16]).then(|| uuid(&sb.uuid)),
        features: feature::list(sb),
        warnings: Vec::new(),
    }
}

/// A UUID in its usual form.
fn uuid(bytes: &[u8; 16]) -> String {
    let mut out = String::with_capacity(36);
    for (n, byte) in bytes.iter().enumerate() {
        if matches!(n, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        out.push_str(&format!("{byte:02x}"));
    }
    out
}
