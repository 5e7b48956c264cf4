//! vhdx: known answers, differential tests, a builder of odd images, damage.

pub mod build;
mod damage;
mod known;
mod log;
mod made;
mod parents;
