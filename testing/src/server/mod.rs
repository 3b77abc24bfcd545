//! A server on port 0 over stores in memory, and clients for it.

pub mod history;
pub mod http;
pub mod market;
mod running;
pub mod socket;

pub use http::{Client, DEADLINE, within};
pub use market::START_MS;
pub use running::Server;
