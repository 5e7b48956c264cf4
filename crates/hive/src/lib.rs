//! Windows registry hives: from the bytes of a file to keys and values, and back.
//!
//! ```text
//! file      base block, 4096 bytes | hive bin | hive bin | … | padding
//! hive bin  header, 32 bytes | cell | cell | …             (no gaps; free cells are cells)
//! cell      size (negative: allocated) | key node nk | value vk | security sk | list lf lh li ri | big data db | data
//! ```
//!
//! Source: "Windows registry file format specification" by Maxim Suhanov (CC BY 4.0). Versions 1.3 (Windows NT 4) to
//! 1.6 are read and written.
//!
//! * reading: [`Hive`], [`Key`], [`Value`]; transaction logs are replayed by [`Hive::open`]
//! * writing: [`Hive::create`], [`Hive::edit`], [`Editor`]
//! * judging: [`Hive::check`], [`Hive::diff`]
//! * registry text, the `.reg` files of regedit: [`Hive::export`], [`RegFile`]
//!
//! Bytes that nobody touches stay as they are: cells this code does not understand survive an edit.
//!
//! Non-goals: the transactional registry's CLFS files, hives of Windows NT 3 (named and refused) and of Windows 9x.

mod bytes;
mod check;
mod create;
mod descriptor;
mod diff;
mod edit;
mod hive;
mod key;
mod layout;
mod log;
mod name;
mod reg;
mod subkeys;
mod sums;
mod upcase;
mod value;
mod walk;

pub use check::{Checked, Finding, Severity};
pub use create::Version;
pub use diff::{Content, Difference, Differs};
pub use edit::Editor;
pub use hive::{Facts, Hive};
pub use key::Key;
pub use log::State;
pub use name::Name;
pub use reg::{Action, Export, Form, Imported, RegFile, Wish};
pub use subkeys::Subkeys;
pub use upcase::upcase;
pub use value::{Kind, Value, Values};
pub use walk::Visit;
