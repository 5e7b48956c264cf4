//! btrfs: from one or several volumes to files.
