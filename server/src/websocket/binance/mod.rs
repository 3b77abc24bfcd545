//! The market streams of Binance, `/ws/…` and `/stream?streams=…`, for programs that already use
//! them.
//!
//! The only kind of stream is the klines of a settled interval: `btcusd@kline_1m`, `_5m` and
//! `_15m`. A stream whose data would have to be invented is refused by name: the market has no
//! order book, and its ticks are not trades with ids.
//!
//! As at Binance, a client gets nothing before the first event. Two things differ. A closed kline
//! is sent again with each correction of its candle. And if an event is lost, the connection is
//! closed with 1013, because the protocol has no event that reports a loss.
//!
//! Requests, responses and error codes are those of [Binance].
//!
//! [Binance]: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams

mod address;
mod client;
mod command;
mod errors;
mod kline;
pub(super) mod listeners;
mod membership;
mod stream_name;

pub(crate) use address::StreamAddress;
pub(super) use client::run;
