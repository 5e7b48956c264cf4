//! The boot test of a migration, and its line in the report.

use super::{Migrate, MigrateReport, store};
use crate::boot_test::{self, Trial};
use crate::failure::About;
use crate::{Fixed, Result};
use h2k_block::Output;
use h2k_boot::Firmware;
use std::path::Path;
use std::sync::atomic::AtomicBool;

impl Migrate {
    /// Starts what was made, where that was asked for, and stores the report again, with what was seen.
    pub(super) fn boot(
        &self,
        report: &mut MigrateReport,
        fixed: &Fixed,
        path: &Path,
        stop: &AtomicBool,
    ) -> Result<()> {
        let Some(limit) = self.boot_test else {
            return Ok(());
        };
        let firmware = fixed.report.systems.iter().find_map(|s| s.firmware);
        let nics = fixed.guest.machine.iter().flat_map(|open| &open.machine.nics);
        let told = fixed.target.nics.iter().map(|nic| nic.mac.clone());
        let mut macs: Vec<String> = nics
            .filter_map(|nic| nic.mac.map(|mac| mac.to_string()))
            .collect();
        macs.extend(told);
        macs.sort();
        macs.dedup();
        let trial = Trial {
            disks: report.images(),
            bus: fixed.bus(),
            firmware: firmware.unwrap_or(Firmware::Bios),
            macs,
            scratch: self.into.clone(),
        };
        report.boot_test = Some(boot_test::run(&trial, limit, stop));
        let mut output = Output::new(true);
        store(&*output.create(path).about(path)?, &report.text()?).about(path)?;
        output.commit().about(&self.into)
    }
}
