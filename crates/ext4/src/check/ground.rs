//! The superblock, the descriptors, and where the filesystem itself lies.

use super::Check;
use crate::bytes::{at, wide};
use crate::feature::{compat, incompat, ro_compat};
use crate::geometry::{Geometry, read_super};
use crate::layout::{MMP_MAGIC, MMP_SEQ_CLEAN, Mmp, STATE_ERROR, STATE_VALID, SUPER_AT};
use crate::write::group::{Desc, FREE_CLUSTERS, FREE_INODES, TABLE_UNUSED, USED_DIRS};
use crate::write::raw::get32;
use h2k_block::{Class, Error, Result};

const MMP: &str = "MMP block";

/// What a run of the filesystem's own blocks costs.
const RUN_BYTES: u64 = 32;

/// Blocks of the filesystem itself.
struct Own {
    first: u64,
    len: u64,
    what: &'static str,
    group: u32,
}

impl Check<'_> {
    /// Numbers of the superblock that reading can do without.
    pub(super) fn superblock(&mut self) {
        let (geo, sb) = (&self.fs.geo, self.sb);
        if let Err(e) = read_super(&**self.fs.disk(), SUPER_AT).and_then(|sb| Geometry::new(&sb, SUPER_AT)) {
            // A copy stood in for it.
            self.error("superblock", SUPER_AT, || e.sentence().to_owned());
        }
        if self.fs.replayed.is_some() {
            self.odd("journal superblock", SUPER_AT, || {
                "the journal holds changes, which were replayed in memory".to_owned()
            });
        }
        if let Some(damage) = &self.fs.torn {
            let damage = damage.clone();
            self.error("journal", SUPER_AT, || format!("ends early: {damage}"));
        }
        let mut wrong = |what: String| {
            self.out
                .note(h2k_block::Severity::Error, "superblock", SUPER_AT, || what)
        };
        if sb.rev_level.get() > 1 {
            wrong(format!("rev_level {}, at most 1 is known", sb.rev_level.get()));
        }
        let inodes = u64::from(geo.groups).saturating_mul(u64::from(geo.group_inodes));
        if inodes != u64::from(geo.inodes) {
            wrong(format!("inodes_count {}, expected {inodes}", geo.inodes));
        }
        let (bytes, there) = (geo.blocks.saturating_mul(geo.block_size()), self.fs.disk().len());
        if bytes > there {
            wrong(format!("the filesystem has {bytes} bytes, the volume {there}"));
        }
        let reserved = wide(
            sb.r_blocks_count_lo.get(),
            if geo.desc_size >= 64 {
                sb.r_blocks_count_hi.get()
            } else {
                0
            },
        );
        if reserved > geo.blocks {
            wrong(format!("r_blocks_count {reserved} of {} blocks", geo.blocks));
        }
        let first = u64::from(geo.block_bits == 10 && geo.cluster_bits == 0);
        if geo.first_block != first {
            wrong(format!("first_data_block {}, expected {first}", geo.first_block));
        }
        let clusters = if geo.has_ro(ro_compat::BIGALLOC) {
            geo.group_clusters
        } else {
            geo.group_blocks
        };
        if u64::from(sb.clusters_per_group.get()) != clusters {
            wrong(format!(
                "clusters_per_group {}, expected {clusters}",
                sb.clusters_per_group.get()
            ));
        }
        if !geo.has_ro(ro_compat::BIGALLOC) && sb.log_cluster_size.get() != sb.log_block_size.get() {
            wrong(format!(
                "log_cluster_size {} without bigalloc, expected {}",
                sb.log_cluster_size.get(),
                sb.log_block_size.get()
            ));
        }
        if u64::from(sb.reserved_gdt_blocks.get()) > geo.block_size() >> 2 {
            wrong(format!(
                "reserved_gdt_blocks {}, a block can name {}",
                sb.reserved_gdt_blocks.get(),
                geo.block_size() >> 2
            ));
        }
        if geo.has_compat(compat::RESIZE_INODE) && geo.has_incompat(incompat::META_BG) {
            wrong("resize_inode and meta_bg exclude each other".to_owned());
        }
        if geo.has_ro(ro_compat::GDT_CSUM) && geo.has_ro(ro_compat::METADATA_CSUM) {
            wrong("uninit_bg and metadata_csum exclude each other".to_owned());
        }
        if sb.rev_level.get() > 0 && (geo.first_ino < 11 || geo.first_ino > geo.inodes) {
            wrong(format!("first_ino {} of {} inodes", geo.first_ino, geo.inodes));
        }
        if geo.has_incompat(incompat::META_BG)
            && u64::from(sb.first_meta_bg.get()) > u64::from(geo.groups).div_ceil(geo.descs_per_block())
        {
            wrong(format!(
                "first_meta_bg {} is past the last one",
                sb.first_meta_bg.get()
            ));
        }
        for (quota, usual) in [(sb.usr_quota_inum.get(), 3), (sb.grp_quota_inum.get(), 4)] {
            if quota != 0 && quota != usual && (quota < geo.first_ino || quota > geo.inodes) {
                wrong(format!("quota in inode {quota}, expected {usual}"));
            }
        }
        for (name, size) in [("min", &sb.min_extra_isize), ("want", &sb.want_extra_isize)] {
            let (size, room) = (size.get(), geo.inode_size.saturating_sub(128));
            if geo.inode_size > 128 && (size > room || !size.is_multiple_of(4)) {
                wrong(format!("{name}_extra_isize {size} in {room} bytes"));
            }
        }
        let projects = sb.prj_quota_inum.get();
        if projects != 0 && (projects < geo.first_ino || projects > geo.inodes) {
            wrong(format!("project quota in inode {projects} of {}", geo.inodes));
        }
        if !geo.group_inodes.is_multiple_of(8) {
            wrong(format!("inodes_per_group {}, no multiple of 8", geo.group_inodes));
        }
        let state = sb.state.get();
        if state & STATE_ERROR != 0 {
            self.odd("superblock", SUPER_AT, || {
                format!("state {state:#x}: errors were recorded")
            });
        } else if state & STATE_VALID == 0 && !geo.has_compat(compat::HAS_JOURNAL) {
            self.odd("superblock", SUPER_AT, || {
                format!("state {state:#x}: not cleanly unmounted")
            });
        }
    }

    /// Descriptors, and where they say that bitmaps and tables lie. `false` when that cannot be believed.
    pub(super) fn ground(&mut self) -> Result<bool> {
        let geo = &self.fs.geo;
        if geo.blocks.saturating_mul(geo.block_size()) > self.fs.disk().len() {
            return Ok(false);
        }
        let mut own: Vec<Own> = Vec::new();
        let mut firm = true;
        if geo.has_incompat(incompat::MMP) {
            self.mmp()?;
            self.meter.bytes(RUN_BYTES, "map of the filesystem itself")?;
            own.push(Own {
                first: self.sb.mmp_block.get(),
                len: 1,
                what: MMP,
                group: 0,
            });
        }
        for number in 0..geo.groups {
            self.meter.steps(4, "group descriptor")?;
            self.meter
                .bytes(RUN_BYTES.saturating_mul(4), "map of the filesystem itself")?;
            let desc = match self.fs.desc(number) {
                Ok(desc) => desc,
                Err(e) => {
                    self.damage("group descriptor", e)?;
                    firm = false;
                    continue;
                }
            };
            self.descriptor(&desc);
            own.extend(
                [
                    (
                        geo.group_start(number),
                        self.fs.groups.base_blocks(geo, number),
                        "superblock or descriptors",
                    ),
                    (desc.block_bitmap(), 1, "block bitmap"),
                    (desc.inode_bitmap(), 1, "inode bitmap"),
                    (desc.inode_table(), geo.table_blocks(), "inode table"),
                ]
                .map(|(first, len, what)| Own {
                    first,
                    len,
                    what,
                    group: number,
                }),
            );
        }
        own.retain(|o| o.len > 0);
        own.sort_by_key(|o| o.first);
        let (mut free, mut before) = (geo.first_block, "boot block");
        for o in &own {
            let bad = if o.first
                < geo
                    .first_block
                    .max(u64::from(o.what != "superblock or descriptors"))
                || o.first.saturating_add(o.len) > geo.blocks
            {
                Some(format!(
                    "the {} of group {} lies at blocks {}+{} of {}",
                    o.what, o.group, o.first, o.len, geo.blocks
                ))
            } else if self.strays(o) {
                Some(format!(
                    "the {} of group {} lies at block {}, in another group",
                    o.what, o.group, o.first
                ))
            } else if o.first < free {
                Some(format!(
                    "the {} of group {} at block {} overlaps the {before}",
                    o.what, o.group, o.first
                ))
            } else {
                None
            };
            match bad {
                Some(what) => {
                    let place = self.fs.desc(o.group).map_or(0, |d| d.place);
                    self.error("group descriptor", place, || what);
                    firm = false;
                }
                None => {
                    self.claims.take(geo, o.first, o.len, &mut self.meter)?;
                }
            }
            free = free.max(o.first.saturating_add(o.len));
            before = o.what;
        }
        Ok(firm)
    }

    /// Whether a bitmap or table lies outside its group without `flex_bg`.
    fn strays(&self, own: &Own) -> bool {
        let geo = &self.fs.geo;
        let start = geo.group_start(own.group);
        !geo.has_incompat(incompat::FLEX_BG)
            && own.what != MMP
            && (own.first < start
                || own.first.saturating_add(own.len) > start.saturating_add(geo.group_len(own.group)))
    }

    fn descriptor(&mut self, desc: &Desc) {
        let geo = &self.fs.geo;
        let (number, place) = (desc.number, desc.place);
        if desc.stray {
            self.error("group descriptor", place, || {
                format!("group {number}: flags of tables that were never written, without the feature")
            });
        }
        let (said, expected) = (desc.said(), desc.sum(self.fs));
        if said != expected {
            self.error("group descriptor", place, || {
                format!("group {number}: checksum {said:#06x}, computed {expected:#06x}")
            });
        }
        let clusters = geo.group_len(number).div_ceil(1 << geo.cluster_bits);
        let inodes = u64::from(geo.group_inodes);
        for (name, field, most) in [
            ("free blocks", FREE_CLUSTERS, clusters),
            ("free inodes", FREE_INODES, inodes),
            ("directories", USED_DIRS, inodes),
            ("unused inodes", TABLE_UNUSED, inodes),
        ] {
            let n = u64::from(desc.get(field));
            let counts = name != "unused inodes" || self.fs.has_group_flags();
            if counts && n > most {
                self.error("group descriptor", place, || {
                    format!("group {number}: {n} {name}, at most {most} are possible")
                });
            }
        }
    }

    /// Multiple mount protection: its block, and whether anybody uses the filesystem.
    fn mmp(&mut self) -> Result<()> {
        let number = self.sb.mmp_block.get();
        let block = match self.fs.blocks.get(number, MMP) {
            Ok(block) => block,
            Err(e) => return self.damage(MMP, e),
        };
        let place = self.fs.blocks.offset(number);
        let Some(mmp) = at::<Mmp>(&block, 0).filter(|m| m.magic.get() == MMP_MAGIC) else {
            self.error(MMP, place, || {
                format!("magic {:#010x}, expected {MMP_MAGIC:#010x}", get32(&block, 0))
            });
            return Ok(());
        };
        let (seq, found) = (mmp.seq.get(), get32(&block, 0x3fc));
        let expected = self
            .fs
            .geo
            .seed
            .zip(block.get(..0x3fc))
            .map(|(seed, covered)| seed.covered(covered));
        if let Some(expected) = expected.filter(|e| *e != found) {
            self.error(MMP, place, || {
                format!("checksum {found:#010x}, computed {expected:#010x}")
            });
        }
        if seq != MMP_SEQ_CLEAN {
            self.odd(MMP, place, || {
                format!("sequence {seq:#x}: in use, or not left cleanly")
            });
        }
        Ok(())
    }

    /// Whether the journal is one, and is empty.
    pub(super) fn journal(&mut self) -> Result<()> {
        let number = self.sb.journal_inum.get();
        if !self.fs.geo.has_compat(compat::HAS_JOURNAL) {
            if number != 0 {
                self.error("superblock", SUPER_AT, || {
                    format!("a journal in inode {number} without has_journal")
                });
            }
            if self.sb.journal_uuid != [0; 16] {
                self.error("superblock", SUPER_AT, || {
                    "an external journal without has_journal".to_owned()
                });
            }
            return Ok(());
        }
        if number == 0 {
            return Ok(());
        }
        if self.sb.journal_uuid != [0; 16] {
            self.error("superblock", SUPER_AT, || {
                format!("an external journal beside the one in inode {number}")
            });
        }
        if number != crate::layout::JOURNAL_INO {
            self.error("superblock", SUPER_AT, || {
                format!("the journal is inode {number}, expected 8")
            });
        }
        let log = self
            .fs
            .any_inode(number)
            .and_then(|inode| crate::journal::Log::open(self.fs, inode));
        match log {
            Ok(log) => {
                let (users, features) = (log.users, log.ro_compat);
                if features != 0 {
                    self.error("journal superblock", 0, || {
                        format!("feature_ro_compat {features:#x}, none are known")
                    });
                }
                if users > 1 {
                    self.error("journal superblock", 0, || {
                        format!("shared by {users} filesystems, expected one")
                    });
                }
                let (errno, waits) = (log.errno, log.start != 0 && self.fs.replayed.is_none());
                if errno != 0 {
                    self.error("journal superblock", 0, || format!("aborted with error {errno}"));
                }
                if waits {
                    self.error("journal superblock", 0, || {
                        "holds changes, but the superblock does not ask for recovery".to_owned()
                    });
                }
                Ok(())
            }
            Err(e) if e.class() == Class::Unsupported => Err(e),
            Err(e) => self.damage("journal superblock", e),
        }
    }

    /// An error where there is a lie about where things are.
    pub(super) fn outside(&self, structure: &'static str, place: u64, block: u64) -> Error {
        Error::corrupt(
            structure,
            place,
            format!("points to block {block} of {}", self.fs.blocks.count()),
        )
    }
}
