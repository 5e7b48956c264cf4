//! ext2, ext3 and ext4: from a volume to files.
