//! NTFS: from a volume to files.
