//! The units of a guest's systemd, and what `systemctl`, `systemd-analyze`, `hostnamectl` and their kin would say of
//! them, from files alone.
//!
//! Everything is read from the files of a [`h2k_guest::Tree`] by a [`h2k_guest::Look`]; nothing is run, so what only a
//! running manager knows is either taken from the journal of the last boot, and labelled so, or not answered.

pub mod ctl;
