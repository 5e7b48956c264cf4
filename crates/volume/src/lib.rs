//! Partition tables, LVM2, MD RAID and LUKS: from a disk to volumes.
