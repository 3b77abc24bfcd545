//! Logs: partitioned sequences of records that the graph reads, and topics that it writes.

pub mod file;
pub mod filelog;
pub mod kafka;
