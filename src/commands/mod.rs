//! One file per command: what each wires together.

pub(crate) mod backtest;
pub(crate) mod produce;
pub(crate) mod up;
