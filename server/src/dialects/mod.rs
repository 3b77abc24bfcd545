//! Interfaces that other programs already speak, over the same stores: one folder each.

pub(crate) mod binance;
pub(crate) mod udf;
