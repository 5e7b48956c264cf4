//! vhd: known answers, differential tests, damage.
