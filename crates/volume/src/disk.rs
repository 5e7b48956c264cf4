use crate::name::disk_name;
use h2k_block::BlockRead;
use std::sync::Arc;

/// One disk of a guest.
#[derive(Clone)]
pub struct Disk {
    /// `sda`, `sdb`, …: the last part of the device's name.
    pub name: String,
    /// Its content.
    pub bytes: Arc<dyn BlockRead>,
    /// Logical sector size in bytes, where the container says it; else 512 and 4096 are tried.
    pub sector_size: Option<u32>,
}

impl Disk {
    /// The disk at `index` (from 0) in the order the user gave them, named as guestfish names it.
    #[must_use]
    pub fn new(index: usize, bytes: Arc<dyn BlockRead>) -> Self {
        Self {
            name: disk_name(index),
            bytes,
            sector_size: None,
        }
    }

    /// The same, with a known logical sector size.
    #[must_use]
    pub fn with_sector_size(mut self, bytes: u32) -> Self {
        self.sector_size = Some(bytes);
        self
    }
}
