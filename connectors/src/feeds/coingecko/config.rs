//! Settings of the CoinGecko feed: address, plan, coins and intervals.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use tallow_model::coins::Coin;
use tallow_model::error::Error;
use tallow_model::secret::Secret;
use tallow_model::setting::{Bounded, DAY_MS, UNBOUNDED};

/// Most coins of one request: the ids must fit into its address.
const MAX_COINS: usize = 250;
/// Shortest interval: below it, the unit must be a mistake.
const MIN_POLL_INTERVAL_MS: u64 = 10;

/// The section `[coingecko]` of the settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoinGeckoConfig {
    /// Base of all paths; empty for the address of the plan.
    pub base_url: String,
    /// Plan that the key belongs to.
    pub plan: Plan,
    /// API key; empty without a plan.
    pub api_key: Secret,
    /// Coins to request.
    pub coins: Vec<Coin>,
    /// Interval between requests, in milliseconds.
    #[serde(with = "Bounded::<MIN_POLL_INTERVAL_MS, DAY_MS>")]
    pub poll_interval_ms: u64,
    /// Time limit of a request, in milliseconds.
    #[serde(with = "Bounded::<1, DAY_MS>")]
    pub timeout_ms: u64,
    /// Source of a tick's event time.
    pub event_time: TimeOf,
    /// Wait after a first failure, in milliseconds.
    #[serde(with = "Bounded::<1, DAY_MS>")]
    pub backoff_first_ms: u64,
    /// Longest wait between failures, in milliseconds.
    #[serde(with = "Bounded::<1, DAY_MS>")]
    pub backoff_max_ms: u64,
    /// Failures in a row after which the breaker opens.
    #[serde(with = "Bounded::<1, UNBOUNDED>")]
    pub breaker_failures: u32,
    /// Time for which the breaker stays open, in milliseconds.
    #[serde(with = "Bounded::<1, DAY_MS>")]
    pub breaker_open_ms: u64,
}

/// The plan that a key belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Plan {
    /// No key: few requests a minute.
    None,
    /// The free demo plan.
    Demo,
    /// A paid plan, with an address of its own.
    Pro,
}

impl Plan {
    /// Returns the base address of the plan.
    pub const fn base_url(self) -> &'static str {
        match self {
            Plan::None | Plan::Demo => "https://api.coingecko.com/api/v3",
            Plan::Pro => "https://pro-api.coingecko.com/api/v3",
        }
    }

    /// Returns the header that carries the plan's key.
    pub const fn key_header(self) -> Option<&'static str> {
        match self {
            Plan::None => None,
            Plan::Demo => Some("x-cg-demo-api-key"),
            Plan::Pro => Some("x-cg-pro-api-key"),
        }
    }
}

/// The source of a tick's event time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimeOf {
    /// Arrival of the response.
    Observed,
    /// Last change of the price at the source, in whole seconds.
    Source,
}

impl CoinGeckoConfig {
    /// Returns the base of all paths, without a trailing slash.
    pub fn base_url(&self) -> &str {
        let base = self.base_url.trim().trim_end_matches('/');
        if base.is_empty() { self.plan.base_url() } else { base }
    }

    /// Returns the host, for messages: an address may contain a password.
    pub fn host(&self) -> String {
        let url = reqwest::Url::parse(self.base_url());
        url.ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// When a setting is invalid; the text names it.
    pub fn check(&self) -> Result<(), Error> {
        let refused = |problem: String| Err(Error::Invalid(format!("coingecko.{problem}")));
        if self.coins.is_empty() || self.coins.len() > MAX_COINS {
            return refused(format!("coins has {}, not within 1 and {MAX_COINS}", self.coins.len()));
        }
        let (mut ids, mut symbols) = (BTreeSet::new(), BTreeSet::new());
        for coin in &self.coins {
            if !ids.insert(&coin.id) {
                return refused(format!("coins has {} twice", coin.id));
            }
            if !symbols.insert(coin.symbol) {
                return refused(format!("coins has {} twice", coin.symbol));
            }
        }
        if self.plan != Plan::None && self.api_key.expose().trim().is_empty() {
            return refused("api_key is empty, which only plan = \"none\" allows".to_owned());
        }
        if self.plan == Plan::None && !self.api_key.expose().is_empty() {
            return refused("api_key is set, and plan says of no plan".to_owned());
        }
        let url = reqwest::Url::parse(self.base_url());
        if !url.is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host()) {
            return refused("base_url is no http or https address".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coin_is_read_from_its_id_its_symbol_and_maybe_its_name() {
        let coin: Coin = "avalanche-2:avax:Avalanche: the coin".parse().expect("a coin");
        assert_eq!((coin.id.as_str(), coin.name.as_str()), ("avalanche-2", "Avalanche: the coin"));
        assert_eq!(coin.symbol.to_string(), "AVAX");
        assert_eq!("bitcoin:BTC".parse::<Coin>().expect("a coin").name, "BTC");
        assert_eq!(String::from(coin.clone()).parse::<Coin>(), Ok(coin));
        for (text, problem) in [
            ("bitcoin", "coin \"bitcoin\" is not written as id:SYMBOL or id:SYMBOL:Name"),
            ("a,b:BTC", "coin \"a,b:BTC\" has an id that is none"),
            (":BTC", "coin \":BTC\" has an id that is none"),
        ] {
            assert_eq!(text.parse::<Coin>(), Err(problem.to_owned()));
        }
        assert!("bitcoin:".parse::<Coin>().is_err_and(|problem| problem.starts_with("coin \"bitcoin:\": ")));
    }

    #[test]
    fn what_cannot_be_is_named_and_the_key_is_not() {
        type Change = fn(&mut CoinGeckoConfig);
        let cases: [(Change, &str); 6] = [
            (|c| c.coins.clear(), "coingecko.coins has 0, not within 1 and 250"),
            (|c| c.coins.push(c.coins[0].clone()), "coingecko.coins has bitcoin twice"),
            (|c| c.coins.extend("x:BTC".parse()), "coingecko.coins has BTC twice"),
            (|c| c.plan = Plan::Pro, "coingecko.api_key is empty, which only plan = \"none\" allows"),
            (
                |c| c.api_key = Secret::from("key".to_owned()),
                "coingecko.api_key is set, and plan says of no plan",
            ),
            (|c| c.base_url = "ftp://key@host".to_owned(), "coingecko.base_url is no http or https address"),
        ];
        for (change, expected) in cases {
            let mut config = CoinGeckoConfig {
                base_url: String::new(),
                plan: Plan::None,
                api_key: Secret::default(),
                coins: vec!["bitcoin:BTC".parse().expect("a coin")],
                poll_interval_ms: 30_000,
                timeout_ms: 10_000,
                event_time: TimeOf::Observed,
                backoff_first_ms: 1_000,
                backoff_max_ms: 60_000,
                breaker_failures: 5,
                breaker_open_ms: 120_000,
            };
            config.check().expect("the settings can be");
            change(&mut config);
            assert_eq!(config.check().expect_err("refused").to_string(), expected);
        }
    }
}
