//! vhdx: known answers, differential tests, damage.
