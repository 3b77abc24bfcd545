//! The results of a replay as files in a folder: `candles.{csv,jsonl}`, `alerts.{csv,jsonl}`,
//! `rejects.jsonl` and `summary.json`.
//!
//! - **Versions.** The candle with the most ticks is written, and the alert that settled last.
//! - **Order.** Candles by symbol, interval and window; alerts by symbol and window; rejects by
//!   partition and offset. So the bytes are the same for any order of the workers' steps.
//! - **Numbers.** Prices are the shortest decimals that read back the same, volumes exact decimals,
//!   never with an exponent; times are integer milliseconds. An absent value is empty in CSV and
//!   `null` in JSON.
//! - **Atomic.** Every file is written beside its place and moved there at the end, `summary.json`
//!   last: a run that fails leaves the earlier files.
//! - **Memory.** The versions of candles and alerts, about 180 bytes each, and 24 bytes for each
//!   reject.

mod alerts;
mod candles;
mod draft;
mod rejects;
mod sink;
mod summary;
mod table;
#[cfg(test)]
mod tests;

pub use sink::{Export, Run};
pub use summary::{CandleCounts, Summary, peak_rss_bytes};
pub use table::Format;
