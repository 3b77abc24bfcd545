//! Settings of Redis: its address, and the names and lifetime of its keys.

use serde::{Deserialize, Serialize};
use tallow_model::secret::Secret;
use tallow_model::setting::{Bounded, UNBOUNDED};

/// The section `[redis]` of the settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedisConfig {
    /// Address of the server, as a URL.
    pub url: Secret,
    /// Prefix of keys and channels: `crypto` for `crypto:BTC:latest` and `crypto:updates`.
    pub prefix: String,
    /// Lifetime in seconds of the newest candle of a symbol without a newer one.
    #[serde(with = "Bounded::<1, UNBOUNDED>")]
    pub ttl_seconds: u64,
}
