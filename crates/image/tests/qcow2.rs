//! qcow2: known answers, differential tests, damage.
