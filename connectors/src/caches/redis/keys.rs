//! Names of keys and channels, and the lifetimes of keys.

use super::RedisConfig;
use tallow_model::{Interval, Symbol};

/// Lifetime in seconds of the channel's numbers without an update: a week.
pub(super) const NUMBERS_TTL_SECONDS: u64 = 7 * 24 * 3_600;

/// The names under one prefix.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    prefix: String,
    ttl_seconds: u64,
    /// Channel of candles.
    pub(super) updates: String,
    /// Channel of alerts.
    pub(super) alerts: String,
    /// Channel of the updates that the publisher has dropped.
    pub(super) gaps: String,
    /// Hash of the number of the last update, by [`Keys::field`].
    pub(super) numbers: String,
}

impl Keys {
    pub(super) fn new(config: &RedisConfig) -> Keys {
        let prefix = config.prefix.clone();
        Keys {
            updates: format!("{prefix}:updates"),
            alerts: format!("{prefix}:alerts"),
            gaps: format!("{prefix}:gaps"),
            numbers: format!("{prefix}:seq"),
            ttl_seconds: config.ttl_seconds,
            prefix,
        }
    }

    /// Returns the key of the newest candle of a series: `crypto:BTC:latest`,
    /// `crypto:BTC:5m:latest`.
    pub(super) fn latest(&self, symbol: Symbol, interval: Interval) -> String {
        match interval {
            Interval::OneMinute => format!("{}:{symbol}:latest", self.prefix),
            longer => format!("{}:{symbol}:{longer}:latest", self.prefix),
        }
    }

    /// Parses the name of such a key; `None` for any other name.
    pub(super) fn parse_latest(&self, name: &[u8]) -> Option<(Symbol, Interval)> {
        let name = str::from_utf8(name).ok()?;
        let series = name.strip_prefix(&*self.prefix)?.strip_prefix(':')?.strip_suffix(":latest")?;
        match series.split_once(':') {
            None => Some((series.parse().ok()?, Interval::OneMinute)),
            Some((symbol, interval)) => {
                let interval = Interval::parse(interval).filter(|it| *it != Interval::OneMinute)?;
                Some((symbol.parse().ok()?, interval))
            }
        }
    }

    /// Returns the lifetime in seconds of the newest candle of an interval. An interval above a
    /// minute outlives two windows; otherwise its candle would vanish between two closed candles of
    /// a quiet market.
    pub(super) fn ttl_seconds(&self, interval: Interval) -> u64 {
        match interval {
            Interval::OneMinute => self.ttl_seconds,
            longer => self.ttl_seconds.max(2 * longer.millis() / 1_000),
        }
    }

    /// Returns the field of a series in the hash of numbers: `BTC:1m`.
    pub(super) fn field(symbol: Symbol, interval: Interval) -> String {
        format!("{symbol}:{interval}")
    }

    /// Parses a field; `None` if it is malformed.
    pub(super) fn parse_field(field: &str) -> Option<(Symbol, Interval)> {
        let (symbol, interval) = field.rsplit_once(':')?;
        Some((symbol.parse().ok()?, Interval::parse(interval)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tallow_model::secret::Secret;

    #[test]
    fn names_are_the_contracts_and_read_back() {
        let config = RedisConfig {
            url: Secret::from("redis://localhost".to_owned()),
            prefix: "crypto".to_owned(),
            ttl_seconds: 300,
        };
        let keys = Keys::new(&config);
        let symbol: Symbol = "BTC-USD.P".parse().expect("a symbol");
        let names = Interval::ALL.map(|interval| (keys.latest(symbol, interval), keys.ttl_seconds(interval)));
        let expected = [
            ("crypto:BTC-USD.P:latest", 300),
            ("crypto:BTC-USD.P:5m:latest", 600),
            ("crypto:BTC-USD.P:15m:latest", 1_800),
        ];
        assert_eq!(names, expected.map(|(name, ttl)| (name.to_owned(), ttl)));
        assert_eq!(
            (&*keys.updates, &*keys.alerts, &*keys.gaps),
            ("crypto:updates", "crypto:alerts", "crypto:gaps")
        );
        for interval in Interval::ALL {
            assert_eq!(Keys::parse_field(&Keys::field(symbol, interval)), Some((symbol, interval)));
        }
        for foreign in ["", "BTC", "BTC:2m", "b/t:1m"] {
            assert_eq!(Keys::parse_field(foreign), None);
        }
        for interval in Interval::ALL {
            let name = keys.latest(symbol, interval);
            assert_eq!(keys.parse_latest(name.as_bytes()), Some((symbol, interval)));
        }
        for foreign in [
            "",
            "crypto:seq",
            "other:BTC:latest",
            "crypto:BTC:1m:latest",
            "crypto:BTC:2m:latest",
            "crypto:b/t:latest",
        ] {
            assert_eq!(keys.parse_latest(foreign.as_bytes()), None, "{foreign}");
        }
    }
}
