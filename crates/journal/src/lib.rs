//! systemd's journal: what a guest logged, read from its journal files.
//!
//! ```text
//! file     header | object | object | …                      objects are appended, then linked
//! DATA     one FIELD=value, compressed or not; in a hash table; knows the entries it occurs in
//! FIELD    one field name; in a hash table; knows the values it occurs with
//! ENTRY    one message: times, boot, and the DATA it is made of
//! arrays   chains of offsets: all entries of a file, the entries of one DATA
//! ```
//!
//! * [`File`] is one journal file, opened from its bytes.
//! * [`Journal`] is several of them, read as one stream: [`Journal::entries`] with a [`Query`].
//! * [`Journal::boots`], [`Journal::errors`], [`Journal::failures`], [`Journal::units`], [`Journal::startup`] answer what an engineer asks
//!   of a machine that is switched off.
//! * [`File::verify`] checks every object, hash and link.
//!
//! A file that was being written when the machine stopped is read as far as it is whole; what is odd is a warning.
//!
//! Source: "Journal File Format" (systemd.io/JOURNAL_FILE_FORMAT); numbers of messages: systemd's message catalog.
//!
//! * [`Output`] writes entries as `journalctl` does, [`Catalog`] explains them; [`text_logs`] reads what a guest without
//!   a journal has.
//!
//! Non-goals: writing, the seals of forward secure sealing (their tags are stepped over).

mod catalog;
mod codec;
mod entry;
mod events;
mod facts;
mod file;
mod find;
mod hash;
mod layout;
mod links;
mod merge;
mod message;
mod plot;
mod query;
mod select;
mod show;
mod text;
mod units;
mod verify;

pub use catalog::Catalog;
pub use entry::{Entry, EntryHead, Id};
pub use facts::{Boot, Failure, Startup};
pub use file::File;
pub use find::{Found, find, is_journal_name};
pub use layout::{Header, Status};
pub use merge::{Entries, Journal};
pub use plot::span;
pub use query::Query;
pub use show::{Output, Zone, utc};
pub use text::{TextLog, text_logs};
pub use units::{UnitLog, UnitState, Units};
pub use verify::Report;
