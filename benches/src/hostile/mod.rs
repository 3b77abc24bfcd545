//! Hostile traffic against a server, and regular clients that use it meanwhile.

mod attacks;
mod customers;

pub use attacks::{Attack, Attacks};
pub use customers::{Customers, Served};
