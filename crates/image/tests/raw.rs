//! raw: known answers, differential tests, damage.
