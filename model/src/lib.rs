//! The vocabulary that all crates of Tallow share: time, numbers, symbols, ticks, candles and
//! alerts; the traits of logs, stores and caches; errors, retries, clocks and secrets.
//!
//! No driver and no timely: a crate that knows this one knows no outside system. Of tokio it has
//! the channel that a cache publishes updates on.

mod alert;
mod candle;
pub mod candle_stats;
pub mod clock;
pub mod coins;
pub mod distribution;
pub mod error;
pub mod feed;
mod log;
mod number;
pub mod pipeline_stats;
pub mod progress;
pub mod published;
pub mod retry;
pub mod rows;
pub mod secret;
pub mod setting;
mod step;
pub mod store;
mod symbol;
mod tick;
mod time;
pub mod version;

pub use alert::{Alert, AlertStatus, AlertType, DETECTOR, SettledAlert, Severity};
pub use candle::{Candle, LiveCandle, SettledCandle, Volume};
pub use clock::Clock;
pub use error::{Action, Error};
pub use log::{Counts, PartitionProgress, PartitionReader, ReadStatus, Record, Reject, RejectReason};
pub use number::{
    Decimal, FixedText, MAX_NOTIONAL, MAX_PRICE, MAX_SIZE, MIN_PRICE, NOTIONAL_PLACES, NotionalSum,
    PRICE_PLACES, Price, PriceSum, SIZE_PLACES, SizeSum, nearest_ratio,
};
pub use step::Step;
pub use symbol::{InvalidSymbol, MAX_SYMBOL_LEN, Symbol, SymbolText};
pub use tick::{DecodeError, Tick, decode};
pub use time::{EventTime, Interval, MAX_EVENT_TIME, MINUTE_MS, SECOND_MS, next_second};
