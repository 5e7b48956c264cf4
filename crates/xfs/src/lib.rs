//! XFS versions 4 and 5: from a volume to files.
