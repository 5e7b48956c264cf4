//! vdi: known answers, differential tests, damage.
