//! Fixes on guests in memory: each changes what it should, leaves what it should and says why, and asked twice leaves.

mod caches;
mod draft;
mod lab;
