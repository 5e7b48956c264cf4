//! Tests over everything at once: every fixture, every image of the corpus, every pair of writer and judge.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod corpus;
mod fixtures;
mod pairs;
