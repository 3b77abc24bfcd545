//! CoinGecko: prices of coins, asked for at an interval, as ticks.
//!
//! ```text
//! client ─► answer ─► quotes ─► feed
//! (one request)  │      (by coin)   (when to ask next: interval, back-off, Retry-After, breaker)
//!                └─► failure
//! ```

mod breaker;
mod client;
mod config;
mod errors;
mod feed;
mod quote;

pub use client::{Client, QuoteResponse};
pub use config::{CoinGeckoConfig, Plan, TimeOf};
pub use errors::{Remedy, RequestFailure};
pub use feed::{Feed, FeedTotals};
pub use quote::{Found, PRODUCER, Quote, quotes};
