//! How to reach Redis, and how its keys are named.

use serde::{Deserialize, Serialize};
use tallow_model::secret::Secret;
use tallow_model::setting::{Bounded, UNBOUNDED};

/// `[redis]` of the settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedisConfig {
    /// Where the server is, as a URL.
    pub url: Secret,
    /// What keys and channels begin with: `crypto` for `crypto:BTC:latest` and `crypto:updates`.
    pub prefix: String,
    /// How long the newest candle is kept without a newer one, in seconds.
    #[serde(with = "Bounded::<1, UNBOUNDED>")]
    pub ttl_seconds: u64,
}
