//! Registry hives: files of the host, read, changed, compared and checked; hives inside a guest, read.
//!
//! [`HiveSource`] is what the user named, [`OpenHive`] the hive with its logs replayed. [`Changing`] is the only job
//! that writes: a whole new file takes the old one's name, so that an interruption leaves one of the two.

mod change;
mod guest;
mod open;
mod report;

pub use change::{ChangedReport, Changing};
pub use guest::{HIVES, hive_in};
pub use open::{HiveSource, OpenHive, is_hive};
pub use report::{DifferenceReport, HiveCheckReport, HiveDiffReport, KeyReport, ValueReport};
