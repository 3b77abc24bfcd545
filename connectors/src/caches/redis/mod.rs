//! Redis: the newest candles and the channels of updates, between the processes of the pipeline and
//! the servers.
//!
//! - [`RedisPublisher`] is the sink of a process of the pipeline. Best effort: Redis is a cache,
//!   and nothing waits for it.
//! - [`RedisCache`] is the [`Cache`](tallow_model::store::Cache) of a server.
//!
//! **Names in Redis**, with the prefix `crypto`:
//!
//! | name | content |
//! | --- | --- |
//! | `crypto:BTC:latest` | JSON of the newest 1-minute candle, open or closed; expires after `ttl_seconds` |
//! | `crypto:BTC:5m:latest`, `crypto:BTC:15m:latest` | of the other intervals; expire after two windows or `ttl_seconds`, whichever is longer |
//! | `crypto:seq` | hash: the number of the last update of `BTC:1m`, …; expires after a week without any |
//! | channel `crypto:updates` | JSON of every candle that moved, closed or was corrected; the newest one is stored under its key too |
//! | channel `crypto:alerts` | JSON of every alert raised or retracted |
//! | channel `crypto:gaps` | JSON with the number of settled changes that the publisher has dropped, `{"dropped":…}` |
//!
//! **Newer wins.** The publisher decides which candle is the newest and which number an update
//! gets, by the rules of the embedded cache. This needs no script in Redis, because a symbol has
//! one publisher: a worker has all of a symbol, and the workers of a process share one publisher. A
//! publisher takes each series over from Redis before it first publishes to it. So after a restart
//! a replayed candle does not replace a newer one, and numbers continue. Afterwards the publisher's
//! memory counts: an empty Redis is refilled, and no number decreases.
//!
//! **Order.** Numbers are stored before they are used, and a key is written before its update is
//! published: whoever has an update finds that candle, or a newer one, under the key.
//!
//! **Outages.** Updates that are lost with a connection are sent again with their old numbers. So
//! an update can come twice, and an alert too, under its id. A subscriber whose connection is lost
//! misses updates: it then reads the newest candles from their keys, forwards them, and notifies
//! its own subscribers of a gap, because alerts have no numbers that would show it. It does the
//! same if the publisher had to drop waiting updates: those had no numbers yet.
//!
//! **Cost.** One round trip a wake-up of the publisher, whatever waits. One subscription a server,
//! whatever the number of its clients. One query at a time for the candles that its clients want,
//! and none for a candle that was read before and is still the newest. No part of the path polls.

mod batched_reads;
mod cache;
mod config;
mod errors;
mod keys;
mod message;
mod newest;
mod queue;
mod sequence_filter;
mod server;
mod sink;
mod subscription;
mod tracked_cache;
mod writer;

pub use cache::RedisCache;
pub use config::RedisConfig;
pub use sink::RedisPublisher;
