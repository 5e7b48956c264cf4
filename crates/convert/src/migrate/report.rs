//! What a migration did, as a report.

use super::Proof;
use crate::{BootTest, ConvertReport, FixReport, Fixed};
use h2k_boot::Bus;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Instant;

/// What a migration did: `report.json`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct MigrateReport {
    /// Name and version of this form: `hyper2kvm-migrate-1`.
    pub schema: &'static str,
    /// The program that made it.
    pub version: &'static str,
    /// The machine's name.
    pub name: String,
    /// The controller its disks are attached to.
    pub bus: Option<Bus>,
    /// Everything that was found, changed and judged.
    pub fixes: FixReport,
    /// The disks that were made, in order.
    pub disks: Vec<ConvertReport>,
    /// What was proved of them, where that was asked for.
    pub proofs: Vec<Proof>,
    /// The file with libvirt's description of the machine.
    pub domain: String,
    /// What of the machine was assumed, and what is not carried over.
    pub notes: Vec<String>,
    /// Bytes of the guest's disks that were read: looking, fixing and copying.
    pub bytes_read: u64,
    /// Bytes that were written to the new disks' files.
    pub bytes_written: u64,
    /// What was seen when the machine was started, where that was asked for.
    pub boot_test: Option<BootTest>,
    /// How long it took.
    pub times: MigrateTimes,
}

/// How long the stages took, in milliseconds; those before the copy are in `fixes`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct MigrateTimes {
    /// Everything before the copy.
    pub fix_ms: u64,
    /// Copying, verification included.
    pub copy_ms: u64,
    /// All of it, up to the writing of this.
    pub total_ms: u64,
}

impl MigrateReport {
    pub(super) fn new(name: &str, fixed: &Fixed) -> Self {
        Self {
            schema: "hyper2kvm-migrate-1",
            version: env!("CARGO_PKG_VERSION"),
            name: name.to_owned(),
            bus: Some(fixed.bus()),
            fixes: fixed.report.clone(),
            disks: Vec::new(),
            proofs: Vec::new(),
            domain: String::new(),
            notes: Vec::new(),
            bytes_read: 0,
            bytes_written: 0,
            boot_test: None,
            times: MigrateTimes::default(),
        }
    }

    /// The disks that were made, each with its format.
    pub(super) fn images(&self) -> Vec<(PathBuf, &'static str)> {
        let disks = self.disks.iter();
        disks
            .map(|d| (PathBuf::from(&d.target), d.target_format))
            .collect()
    }

    /// The report as it is stored.
    pub(super) fn text(&self) -> h2k_block::Result<String> {
        let mut text = serde_json::to_string_pretty(self).map_err(|e| {
            h2k_block::Error::new(
                h2k_block::Class::Invalid,
                format!("the report cannot be written: {e}"),
            )
        })?;
        text.push('\n');
        Ok(text)
    }

    /// Adds up what is known at the end.
    pub(super) fn finish(&mut self, fixed: &Fixed, begun: Instant) {
        let read = fixed
            .guest
            .images
            .iter()
            .map(|(_, opened)| opened.disk.bytes_read());
        self.bytes_read = read.fold(0, u64::saturating_add);
        let written = self
            .disks
            .iter()
            .map(|d| d.target_file.actual_size.unwrap_or(d.target_file.length));
        self.bytes_written = written.fold(0, u64::saturating_add);
        let times = &fixed.report.times;
        let fix = [times.open_ms, times.look_ms, times.write_ms, times.judge_ms];
        let total = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let fix_ms = fix.into_iter().fold(0, u64::saturating_add);
        self.times = MigrateTimes {
            fix_ms,
            copy_ms: total.saturating_sub(fix_ms),
            total_ms: total,
        };
    }
}
