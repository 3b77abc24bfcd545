//! Checkpoints, kept in an object store: a folder, S3 or another that a URL names.
//!
//! - **Layout.** A checkpoint is a folder `FRONTIER-RUN` with an object for each worker,
//!   `part-00000-of-00002`. The checkpoint exists once all parts do. Names sort as the checkpoints
//!   do.
//! - **Promise.** An object is created, never overwritten, and read back. A part is written after
//!   all durable sinks have stored everything that they were given before it. So every checkpoint
//!   that exists can be resumed from.
//! - **No coordination.** No worker and no process waits for another one to write its part, and
//!   there is no index that could disagree with the objects.

mod bucket;
mod config;
mod fields;
mod format;
mod found;
mod header;
mod in_flight;
mod latest;
mod names;
mod origin;
mod part;
mod runs;
mod section;
mod store;
mod writer;

pub use config::CheckpointConfig;
pub use format::{EncodedPart, StoredPart, encode};
pub use found::Found;
pub use in_flight::CheckpointStatus;
pub use origin::Origin;
pub use part::{PartHead, PartSource};
pub use store::CheckpointStore;
pub use writer::{CheckpointWriter, WriterSettings};
