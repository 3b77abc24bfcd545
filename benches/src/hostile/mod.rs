//! Hostile traffic against a server, and customers that use it meanwhile.

mod attacks;
mod customers;

pub use attacks::{Attack, Attacks};
pub use customers::{Customers, Served};
