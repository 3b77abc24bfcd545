//! Checkpoints: what is found of those that were written, and how they are written when not all
//! goes well.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod disk;
mod faulty;
mod fixture;
mod retention;
mod s3;
mod sink;
mod store;
mod writer;
