//! FAT12, FAT16, FAT32 and exFAT: from a volume to files.
