//! The boot test of a migration, and its line in the report.

use super::{Migrate, MigrateReport, store};
use crate::boot_test::{self, BootResult, Trial};
use crate::failure::About;
use crate::free::free;
use crate::{Failure, Fixed, Result};
use h2k_block::{Class, Error, Output};
use h2k_boot::Firmware;
use h2k_image::Info;
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// What the picture of the screen is called, without the ending that says what it is.
const PICTURE: &str = "boot-test";

impl Migrate {
    /// Refuses before anything is done what would be in the way of a picture at the end.
    pub(super) fn picture_is_free(&self, needed: &[&Info]) -> Result<()> {
        if self.boot_test.is_some() {
            for ending in ["png", "ppm"] {
                free(
                    &self.into.join(PICTURE).with_extension(ending),
                    self.replace,
                    needed,
                )?;
            }
        }
        Ok(())
    }

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
            scratch: self.into.join(PICTURE).with_extension("part"),
            picture: self.into.join(PICTURE),
        };
        let seen = boot_test::run(&trial, limit, stop);
        let stopped = seen.result == BootResult::Stopped;
        report.boot_test = Some(seen);
        let mut output = Output::new(true);
        store(&*output.create(path).about(path)?, &report.text()?).about(path)?;
        output.commit().about(&self.into)?;
        if stopped {
            let error = Failure::from(Error::new(Class::Cancelled, "stopped"));
            return Err(error.leaving("the new machine is whole; only its boot test was stopped"));
        }
        Ok(())
    }
}
