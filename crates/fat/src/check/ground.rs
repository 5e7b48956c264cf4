//! The ground: the boot sector, what repeats it, FSInfo, and the copies of the table.

use super::Check;
use crate::boot;
use crate::layout::{Bpb, Head32};
use crate::table::{Table, Width};
use h2k_block::{Error, Result};
use zerocopy::FromBytes;

const BOOT: &str = "boot sector";
/// Bytes of tables compared at once.
const PIECE: u64 = 64 << 10;
/// Where FAT32's boot sector says how the volume was left, which its copy does not.
const STATE: usize = 65;

impl Check {
    pub(super) fn ground(&mut self) -> Result<()> {
        let mut sector = [0; 512];
        self.disk.read_at(0, &mut sector)?;
        if sector.last_chunk() != Some(&[0x55, 0xaa]) {
            self.odd(BOOT, 510, || "it does not end with 0x55 0xaa".to_owned());
        }
        if self.fat32() {
            self.fat32_ground(&sector)?;
        }
        if self.geometry.dirty {
            self.error(BOOT, 0, || "the volume was not unmounted cleanly".to_owned());
        }
        if self.geometry.worn {
            self.odd(BOOT, 0, || {
                "a disk error was met when the volume was used last".to_owned()
            });
        }
        self.first_entries()?;
        self.copies()
    }

    fn fat32_ground(&mut self, sector: &[u8; 512]) -> Result<()> {
        let (_, rest) = Bpb::read_from_prefix(sector).map_err(|_| Error::corrupt(BOOT, 0, "is too short"))?;
        let (head, _) =
            Head32::read_from_prefix(rest).map_err(|_| Error::corrupt(BOOT, 36, "is too short"))?;
        if head.version.get() != 0 {
            let (major, minor) = (head.version.get() >> 8, head.version.get() & 0xff);
            let what = format!("version {major}.{minor} of FAT32 is not known, only 0.0");
            return Err(Error::unsupported(what).at(BOOT, 42));
        }
        let flags = head.flags.get();
        if flags & 0x80 != 0 && self.geometry.active.is_none() {
            let fats = self.geometry.fats;
            self.error(BOOT, 40, || {
                format!("table {} is to be used, of {fats}", flags & 0xf)
            });
        }
        let place = u64::from(head.backup_sector.get()).saturating_mul(self.geometry.sector);
        if place == 0 || place >= self.geometry.fat_at {
            self.odd(BOOT, 50, || {
                "it has no copy among the reserved sectors".to_owned()
            });
        } else {
            let mut copy = [0; 512];
            self.disk.read_at(place, &mut copy)?;
            let differs = |(at, (one, two)): (usize, (&u8, &u8))| at != STATE && one != two;
            let mut pairs = sector.iter().zip(&copy).enumerate();
            if let Some(first) = pairs.position(differs) {
                self.odd("copy of the boot sector", place, || {
                    format!("differs from byte {first} on")
                });
            }
        }
        let Some(at) = self.geometry.info else {
            self.odd(BOOT, 48, || {
                "there is no FSInfo among the reserved sectors".to_owned()
            });
            return Ok(());
        };
        match boot::info(&*self.disk, at) {
            Ok(_) => Ok(()),
            Err(e) => self.out.damage("FSInfo", e),
        }
    }

    /// The first two entries of a table stand for no cluster (section 4.2).
    fn first_entries(&mut self) -> Result<()> {
        let (at, media) = (self.table()?.at(), u32::from(self.geometry.media));
        let (first, second) = (self.first_entry(0)?, self.first_entry(1)?);
        if first & 0xff != media && first & 0xff < 0xf8 {
            self.error("FAT", at, || {
                format!("the first entry is {first:#x}, the media byte {media:#x}")
            });
        }
        let (clean, fine) = match self.geometry.width {
            Width::Fat12 | Width::Exfat => (0, 0),
            Width::Fat16 => (0x8000, 0x4000),
            Width::Fat32 => (0x0800_0000, 0x0400_0000),
        };
        if second & clean != clean {
            self.error("FAT", at, || "the volume was not unmounted cleanly".to_owned());
        }
        if second & fine != fine {
            self.odd("FAT", at, || {
                "a disk error was met when the volume was used last".to_owned()
            });
        }
        Ok(())
    }

    fn first_entry(&self, cluster: u32) -> Result<u32> {
        self.table()?.raw(cluster, &mut None)
    }

    /// Whether the tables are copies of each other, as far as they have clusters.
    fn copies(&mut self) -> Result<()> {
        if self.geometry.active.is_some() {
            return Ok(());
        }
        let entries = u64::from(self.geometry.clusters).saturating_add(2);
        let len = entries.saturating_mul(self.geometry.width.bits()).div_ceil(8);
        let all = Table::entries(self.geometry.width, self.geometry.fat_len);
        if entries > all {
            self.error("FAT", self.geometry.fat_at, || {
                format!("it has {all} entries, {entries} are needed")
            });
        }
        let len = len.min(self.geometry.fat_len);
        let size = usize::try_from(PIECE).unwrap_or(0);
        let (mut one, mut two) = (vec![0; size], vec![0; size]);
        for table in 1..self.geometry.fats {
            let apart = table.saturating_mul(self.geometry.fat_len);
            let mut done = 0;
            while done < len {
                let part = len.saturating_sub(done).min(PIECE);
                self.meter.steps(part.div_ceil(512), "table")?;
                let part = usize::try_from(part).unwrap_or(0);
                let (Some(a), Some(b)) = (one.get_mut(..part), two.get_mut(..part)) else {
                    break;
                };
                let at = self.geometry.fat_at.saturating_add(done);
                self.disk.read_at(at, a)?;
                self.disk.read_at(at.saturating_add(apart), b)?;
                if a != b {
                    let within = a.iter().zip(&*b).position(|(one, two)| one != two);
                    let within = u64::try_from(within.unwrap_or(0)).unwrap_or(0);
                    let place = at.saturating_add(apart).saturating_add(within);
                    let number = table.saturating_add(1);
                    self.error("FAT", place, || format!("table {number} differs from the first"));
                    break;
                }
                done = done.saturating_add(PIECE);
            }
        }
        Ok(())
    }
}
