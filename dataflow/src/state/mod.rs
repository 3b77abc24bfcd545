//! The state of a worker: the rows that its operators keep, and the form in which checkpoints hold
//! those rows.
//!
//! `checkpoint` has plain data only and knows no other file of this folder. The conversions stand
//! with the rows that are converted.

pub(crate) mod checkpoint;
pub(crate) mod log_return;
pub(crate) mod minute;
pub(crate) mod part;
pub(crate) mod resume_points;
pub(crate) mod versions;
pub(crate) mod worker;
