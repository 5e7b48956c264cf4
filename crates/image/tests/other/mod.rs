//! Containers that are only read: bochs, cloop, dmg, ewf, parallels, qcow version 1.

mod build;
mod damage;
mod known;
