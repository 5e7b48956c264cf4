//! ISO 9660 with Joliet and Rock Ridge.
//!
//! ```text
//! disc      16 sectors of system area | volume descriptors | path tables | directories | files
//! trees     the primary descriptor has one, Joliet's another with UCS-2 names; files are shared
//! record    extent, size, date, flags | name | system use area: Rock Ridge, which may go on elsewhere
//! ```
//!
//! Sources: ECMA-119; Microsoft, "Joliet Specification"; IEEE P1281 (SUSP) and P1282 (RRIP); "El Torito" 1.0.

mod descriptor;
mod layout;
mod names;
mod record;
mod susp;
mod time;
mod volume;
mod zisofs;

pub use names::Names;
pub(crate) use names::safe;
pub(crate) use time::seconds;
pub use volume::{Iso, Options, View, open, open_with, probe};
