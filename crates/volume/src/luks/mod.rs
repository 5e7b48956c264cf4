//! LUKS1 and LUKS2: described without a key, opened with one.
//!
//! ```text
//! LUKS1  ┌ header, 8 key slots ┬ key material … ┬────────── data ──────────┐
//! LUKS2  ┌ header ┬ JSON ┬ header' ┬ JSON' ┬ key material … ┬──── data ────┐
//!
//! secret ─kdf─▶ key of the slot ─decrypts─▶ split key ─merge─▶ volume key ─digest─▶ right?
//! ```
//!
//! Sources: "LUKS1 On-Disk Format Specification" 1.2.3, "LUKS2 On-Disk Format Specification" 1.1.3, the kernel's
//! documentation of dm-crypt. A secret comes from the caller as bytes, is never written anywhere, and is wiped with
//! every key made of it. What a header asks for in memory and work is compared with limits before it is spent.

mod af;
mod cipher;
mod header;
mod kdf;
mod layout;
mod open;
mod sectors;
mod v1;
mod v2;

pub use header::{KeySlot, Luks};
pub use open::{Secret, UNLOCK_LIMITS};

pub(crate) use header::read;
pub(crate) use open::open;
pub(crate) use sectors::{Keyed, Plain};
