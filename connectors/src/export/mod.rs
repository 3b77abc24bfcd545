//! The results of a replay as files in a folder: `candles.{csv,jsonl}`, `alerts.{csv,jsonl}`, `rejects.jsonl` and
//! `summary.json`.
//!
//! - **Versions.** Of a candle the one with the most ticks is written, of an alert the one settled last.
//! - **Order.** Candles by symbol, interval and window; alerts by symbol and window; rejects by partition and offset.
//!   So the bytes are the same in whatever order the steps of several workers come.
//! - **Numbers.** Prices as the shortest decimal that reads back the same, volumes as exact decimals, never with an
//!   exponent; times as integer milliseconds. What is absent is empty in CSV and `null` in JSON.
//! - **Atomic.** Everything is written beside its place and moved there at the end, `summary.json` last: a run that
//!   fails leaves what was there before.
//! - **Memory.** The versions of candles and alerts, about 180 bytes each, and 24 bytes for each reject.

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
