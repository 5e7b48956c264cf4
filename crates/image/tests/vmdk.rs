//! vmdk: known answers, differential tests, damage.
