//! Redis: the newest candles and the channels of updates, between the processes of the pipeline and the servers.
//!
//! - [`RedisPublisher`]: the sink, of a process of the pipeline. Best effort: Redis is a cache, and nothing waits for it.
//! - [`RedisCache`]: answers as a [`Cache`](tallow_model::store::Cache), in a server.
//!
//! **What is where**, `crypto` being the prefix:
//!
//! | name | what |
//! | --- | --- |
//! | `crypto:BTC:latest` | JSON of the newest 1-minute candle, open or closed; expires after `ttl_seconds` |
//! | `crypto:BTC:5m:latest`, `crypto:BTC:15m:latest` | of the other intervals; expire after two windows or `ttl_seconds`, whichever is longer |
//! | `crypto:seq` | hash: the number of the last update of `BTC:1m`, …; expires after a week without any |
//! | channel `crypto:updates` | JSON of every candle that moved, closed or was corrected; the newest one's also stands under its key |
//! | channel `crypto:alerts` | JSON of every alert raised or retracted |
//! | channel `crypto:gaps` | JSON with the number of settled changes that the publisher has dropped, `{"dropped":…}` |
//!
//! **Newer wins.** Which candle is the newest, and which number an update gets, is decided in the publisher, by the rules
//! of the embedded cache. That takes no script in Redis, as a symbol has one publisher: a worker has all of a symbol, and
//! the workers of a process share one publisher. A publisher takes over each series from Redis before it first
//! publishes to it: so after a restart a replayed candle does not replace a newer one, and numbers go on. After that the
//! publisher's memory counts: a Redis that comes back empty is told everything again, and no number goes down.
//!
//! **Order.** Numbers are kept before they are used, and a key is written before its update is published: whoever has an
//! update finds that candle, or a newer one, under the key.
//!
//! **Outages.** What is lost with a connection is sent again with the numbers it had, so an update can come twice, and an
//! alert too, under its id. A subscriber's connection that is lost loses updates: then the newest candles are read from
//! their keys and forwarded, and subscribers are told of a gap, as alerts have no numbers that would show it. So they are
//! where the publisher had to drop what waited for Redis: that had no numbers yet.
//!
//! **Cost.** One round trip per wake-up of the publisher, whatever waits; one subscription per server, whatever the number
//! of its clients; one question at a time for the candles that its clients ask for, whatever their number, and none for a
//! candle that was read before and is still the newest. No part of the path polls.

mod cache;
mod config;
mod errors;
mod held;
mod keys;
mod message;
mod newest;
mod queue;
mod reads;
mod sequence_filter;
mod server;
mod sink;
mod subscription;
mod writer;

pub use cache::RedisCache;
pub use config::RedisConfig;
pub use sink::RedisPublisher;
