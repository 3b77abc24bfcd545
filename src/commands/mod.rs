//! The commands, one file each. A command wires the crates together.

pub(crate) mod backtest;
pub(crate) mod launch;
pub(crate) mod migrate;
pub(crate) mod produce;
pub(crate) mod run;
pub(crate) mod serve;
pub(crate) mod up;
