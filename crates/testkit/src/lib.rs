//! What tests need and users never see: the corpus, seeded mutations, failing disks, oracle tools.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod attributes;
pub mod corpus;
pub mod door;
pub mod faulty;
pub mod findings;
pub mod fixture;
pub mod hash;
pub mod listing;
pub mod modules;
pub mod mount;
pub mod mutate;
pub mod oracle;
pub mod reads;
pub mod rng;
pub mod sparse;
pub mod twins;
pub mod uki;
pub mod volatile;
