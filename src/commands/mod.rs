//! One file per command: what each wires together.

pub(crate) mod backtest;
pub(crate) mod up;
