//! A job from description to report: what is done in which order.
