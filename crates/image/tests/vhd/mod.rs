//! vhd: known answers, differential tests, a builder of odd images, damage.

pub mod build;
mod damage;
mod known;
mod made;
mod parents;
