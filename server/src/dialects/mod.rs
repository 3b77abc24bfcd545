//! APIs of other programs over the same stores, a folder each.

pub(crate) mod binance;
pub(crate) mod udf;
